"""A name server on a real socket, for tests: it answers some names, denies others, and says nothing about a zone."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

A, AAAA = 1, 28
DENIED, FAILED = 3, 2


class NameServer(asyncio.DatagramProtocol):
    """Answers names below `.dead.example` never, `.failing.example` with SERVFAIL, those in `addresses` with
    theirs, and denies all others. While `silent` it answers nothing."""

    def __init__(self, addresses: Mapping[str, list[str]]) -> None:
        self.addresses = dict(addresses)
        self.asked: Counter[str] = Counter()
        self.silent = False
        self.address = ""
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        host, port = transport.get_extra_info("sockname")
        self.address = f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        labels, place = [], 12
        while data[place]:
            labels.append(data[place + 1 : place + 1 + data[place]].decode().lower())
            place += 1 + data[place]
        (kind,) = struct.unpack("!H", data[place + 1 : place + 3])
        name = ".".join(labels)
        self.asked[name] += 1
        if self.silent or name.endswith(".dead.example"):
            return
        known = self.addresses.get(name)
        code = FAILED if name.endswith(".failing.example") else 0 if known is not None else DENIED
        family, length = (socket.AF_INET, 4) if kind == A else (socket.AF_INET6, 16)
        here = [one for one in known or [] if kind in (A, AAAA) and (":" in one) == (kind == AAAA)]
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, length) + socket.inet_pton(family, one) for one in here
        )
        question = data[12 : place + 5]
        assert self._transport is not None
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(here), 0, 0)
        self._transport.sendto(head + question + records, addr)


@asynccontextmanager
async def name_server(addresses: Mapping[str, list[str]]) -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(addresses), ("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
