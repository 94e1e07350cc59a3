"""The only outgoing HTTP: a client of our own, bounded in time and size, unable to reach addresses that are not public.

    client      the door, which callers see: one request and its answer; who may use which connection, and who waits
    url         what a URL asks for: the origin it leads to, and the octets of a request
    name_cache  addresses of host names, believed for a while
    resolver    who is asked for them: the DNS, and the machine's list of hosts
    connect     from addresses to a connection: the guard's last word, the race of addresses, TLS
    guard       which addresses may be reached
    ports       which ports may not, unless the operator names them
    connection  one connection: octets out, an answer in, its clock

A customer chooses the URLs that we call, so every URL is a stranger's. The guard sits where the socket is made: it sees
the address that is really connected to, whatever the URL, the resolver or a redirect made of it. Redirects are never
followed: a 3xx is an answer. Why it is ours: docs/decisions/0020.

Nothing is imported here: every command reads `url`, and few need the client.
"""
