"""What stands behind a link in the tests of the contract of carriers: one network for each kind, one line each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

import msgspec
from scripted_smsc import Smsc, listening

from chappe.carriers.kind import Given
from chappe.smpp.commands import Status
from chappe.smpp.pdu import DeliverSm

SECRET: Final = "hush5ecret"


class Network(Protocol):
    """A network that takes what it is sent, unless told otherwise."""

    given: Given
    """What an operator writes to reach it, with SECRET as every secret."""

    def say(self, what: str) -> None:
        """What it answers from now on: `yes`, `never` (refused for good), `later`, or `nothing` at all."""
        ...

    def written(self) -> int:
        """How many parts have reached it."""
        ...

    def reply(self, text: str) -> None:
        """A subscriber writes; the network sends it over the link's own connection."""
        ...

    def acknowledged(self) -> int:
        """To how many of what it sent it has our yes."""
        ...


class SmppNetwork:
    """An SMSC."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        quick = {"reconnect_delay_s_min": "0.01", "reconnect_delay_s_max": "0.02"}
        self.given = Given("127.0.0.1", smsc.port, "me", SECRET, window=3, settings=quick)

    def say(self, what: str) -> None:
        smsc = self._smsc
        status = {"never": Status.RINVDSTADR, "later": Status.RSYSERR}.get(what)
        if what == "yes":
            smsc.on_submit = smsc.take
        elif status is not None:
            smsc.on_submit = lambda wire, pdu: smsc.answer(wire, pdu, int(status))
        else:
            smsc.on_submit = lambda wire, pdu: None

    def written(self) -> int:
        return len(self._smsc.submits)

    def reply(self, text: str) -> None:
        octets = text.encode("ascii")  # the same in the GSM alphabet
        self._smsc.deliver(DeliverSm(source_addr=b"33600000001", destination_addr=b"36111", short_message=octets))

    def acknowledged(self) -> int:
        return sum(1 for _, status in self._smsc.answers if status == 0)


@asynccontextmanager
async def smpp() -> AsyncIterator[Network]:
    async with listening() as smsc:
        yield SmppNetwork(smsc)


class HttpNetwork:
    """A service over HTTP."""

    def __init__(self) -> None:
        self.given = Given(password=SECRET, window=3, profile="smspartner")
        self._what = "yes"
        self._written = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        settings = {"url": f"http://127.0.0.1:{port}/v1/send", "timeout_s": "2"}
        self.given = msgspec.structs.replace(self.given, settings=settings)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]))
                self._written += 1
                said = {
                    "yes": b'{"success":true,"message_id":%d}' % self._written,
                    "never": b'{"success":false,"code":4}',
                    "later": b'{"success":false,"code":500}',
                }.get(self._what)
                if said is not None:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def say(self, what: str) -> None:
        self._what = what

    def written(self) -> int:
        return self._written

    def reply(self, text: str) -> None:
        raise AssertionError("replies come to an address of ours")

    def acknowledged(self) -> int:
        return 0


@asynccontextmanager
async def http() -> AsyncIterator[Network]:
    network = HttpNetwork()
    await network.open()
    try:
        yield network
    finally:
        await network.close()


NETWORKS: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[Network]]]] = {
    "http": http,
    "smpp": smpp,
}
REPLIES_OVER_HTTP: Final[frozenset[str]] = frozenset({"http"})
"""Kinds whose networks send replies to an address that we give them; reply() is not asked of these."""
