"""Asking for the addresses of names: DNS over sockets of our own, and the machine's list of hosts.

The system's getaddrinfo occupies a thread for each question, of which there are few: two names whose servers said
nothing stopped all look-ups (docs/decisions/0028-dns-of-our-own.md). c-ares has all questions under way at once.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import aiodns

Place = tuple[int, tuple[Any, ...]]  # an address family, and an address as socket.connect takes it

TRY_S: Final = 1.0  # each further try is given twice the time: 7 s in all
TRIES: Final = 3


class NoSuchName(OSError):
    """The name has no address, and whoever answered was sure of it."""


class Resolver:
    """Asks the name servers of /etc/resolv.conf, after /etc/hosts. servers: `address:port` of others to ask instead.

    Lives in one event loop; close() it at the end.
    """

    def __init__(self, servers: Sequence[str] = ()) -> None:
        self._servers = servers
        self._dns: aiodns.DNSResolver | None = None

    async def __call__(self, host: str, port: int) -> list[Place]:
        """The places of a host; raises NoSuchName when it has none, OSError when nobody says."""
        from aiodns import error  # with c-ares, which takes its time to load

        if self._dns is None:
            self._dns = self._made()
        if host.find(".") == len(host) - 1:  # `localhost.`: the list of hosts has no dot at the end
            host = host.rstrip(".")
        try:
            found = await self._dns.getaddrinfo(host, port=port, type=socket.SOCK_STREAM)
        except error.DNSError as trouble:
            sure = (error.ARES_ENOTFOUND, error.ARES_ENODATA, error.ARES_EBADNAME)
            kind = NoSuchName if trouble.args[0] in sure else OSError
            raise kind(str(trouble.args[-1])) from trouble
        return [(int(node.family), (node.addr[0].decode("ascii"), *node.addr[1:])) for node in found.nodes]

    def _made(self) -> aiodns.DNSResolver:
        import aiodns

        return aiodns.DNSResolver(list(self._servers) or None, timeout=TRY_S, tries=TRIES)

    async def close(self) -> None:
        """Ends what is under way with an OSError."""
        if self._dns is not None:
            await self._dns.close()
            self._dns = None
