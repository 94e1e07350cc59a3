"""What one HTTP listener allows: sizes, counts and times, and whose word about addresses it believes."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one listener; every one of them has a clear answer when passed.

    target_bytes_max: request line (414), as long as that of a GET with a whole flow in it; head_bytes_max: header
    fields (431); body_bytes_max: body, de-chunked (413, worded by the dialect); gathered_bytes_max: unfinished bodies
    of all connections together (503); connections_max: per process: one that is idle is closed for a new one, and
    where none is, 503; connections_per_address_max: of one IPv4 address or IPv6 /64, trusted proxies excepted (503);
    requests_in_flight_max: pipelined on one connection before reading pauses; write_bytes_max: octets of answers unsent
    before reading pauses; backlog: connections that the system keeps for us before we accept them.
    progress_timeout_s: silence inside a request (408); head_timeout_s: a whole head; body_timeout_s: a whole body,
    plus the time that body_bytes_per_s_min allows for its size; first_request_timeout_s: silence of a new connection;
    keep_alive_timeout_s: silence between requests; answer_timeout_s: the application's silence; slow_reader_timeout_s:
    answers that the client does not read; linger_timeout_s: how long a refused client may go on sending before the
    connection is cut.
    trusted_proxies: peers whose X-Forwarded-For is believed.
    """

    target_bytes_max: int = 65_536
    head_bytes_max: int = 65_536
    body_bytes_max: int = 2_000_000
    gathered_bytes_max: int = 268_435_456
    connections_max: int = 4_096
    connections_per_address_max: int = 128
    requests_in_flight_max: int = 64
    write_bytes_max: int = 262_144
    backlog: int = 1_024
    progress_timeout_s: float = 10.0
    head_timeout_s: float = 20.0
    body_timeout_s: float = 30.0
    body_bytes_per_s_min: int = 2_000
    first_request_timeout_s: float = 10.0
    keep_alive_timeout_s: float = 75.0
    answer_timeout_s: float = 60.0
    slow_reader_timeout_s: float = 30.0
    linger_timeout_s: float = 5.0
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
