"""An SMSC on a real socket with a clock that tests turn, and clients that are ESME sessions of our own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from chappe.carriers.smpp.transport import Wire
from chappe.core.http import Request, Response
from chappe.handset.settings import Clock, Settings
from chappe.handset.smsc import Smsc
from chappe.smpp import settings as session_settings
from chappe.smpp.events import Answered, BindRefused, Bound, Closed, Event, Nacked, Received
from chappe.smpp.pdu import DeliverSm, SubmitSm
from chappe.smpp.pdu import Request as PduRequest
from chappe.smpp.pdu import Response as PduResponse
from chappe.smpp.session import Mode, Role, Session

E = TypeVar("E", bound=Event)
WAIT_S = 5.0
START_AT = 1_800_000_000.0


class Hands:
    """A clock that goes only when it is turned."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: START_AT + self.now - 1_000.0)


class Client:
    """An ESME: everything that happens is in `events`, in order."""

    def __init__(self, wire: Wire, events: asyncio.Queue[Event]) -> None:
        self.wire = wire
        self.events = events

    @property
    def session(self) -> Session:
        return self.wire.session

    async def next(self, *kinds: type[E]) -> E:
        """The next event of one of these kinds; others are left out."""
        async with asyncio.timeout(WAIT_S):
            while True:
                event = await self.events.get()
                if isinstance(event, kinds):
                    return event

    async def bind(self, mode: Mode, system_id: bytes = b"client", password: bytes = b"secret") -> Bound | BindRefused:
        self.session.bind(mode, system_id, password, self.wire.now())
        self.wire.flush()
        return await self.next(Bound, BindRefused)

    def send(self, pdu: PduRequest) -> int:
        sequence = self.session.request(pdu, pdu, self.wire.now())
        self.wire.flush()
        return sequence

    async def ask(self, pdu: PduRequest) -> PduResponse:
        """Sends a request, and gives its answer."""
        self.send(pdu)
        answered = await self.next(Answered)
        return answered.response

    async def submit(self, text: bytes = b"Hello", to: bytes = b"33612345678", **fields: Any) -> tuple[int, bytes]:
        """(status, message id) of one submit_sm."""
        values = {"source_addr_ton": 5, "source_addr": b"Chappe", "dest_addr_ton": 1, "dest_addr_npi": 1, **fields}
        self.send(SubmitSm(destination_addr=to, short_message=text, **values))
        event: Event = await self.next(Answered, Nacked)
        if isinstance(event, Answered):
            return event.status, event.message_id
        assert isinstance(event, Nacked)
        return event.status, b""

    async def deliver(self, status: int = 0) -> DeliverSm:
        """The next deliver_sm, answered with a status."""
        received = await self.next(Received)
        assert isinstance(received.pdu, DeliverSm)
        self.session.answer(received.pdu.sequence, status)
        self.wire.flush()
        return received.pdu

    async def closed(self) -> Closed:
        return await self.next(Closed)

    async def quiet(self) -> list[Event]:
        """What came so far, after a round trip that proves that nothing is on its way."""
        self.wire.flush()
        await self.ask_nothing()
        found = []
        while not self.events.empty():
            found.append(self.events.get_nowait())
        return found

    async def ask_nothing(self) -> None:
        """A request that is refused and changes nothing: its answer comes behind everything written before."""
        from chappe.smpp.pdu import QuerySm

        self.send(QuerySm(message_id=b"-"))
        kept = []
        async with asyncio.timeout(WAIT_S):
            while True:
                event = await self.events.get()
                if isinstance(event, Answered) and isinstance(event.context, QuerySm):
                    break
                kept.append(event)
        for event in kept:
            self.events.put_nowait(event)


class Bench:
    """A running SMSC, and what tests do with it."""

    def __init__(self, smsc: Smsc, port: int, hands: Hands) -> None:
        self.smsc = smsc
        self.port = port
        self.hands = hands
        self.clients: list[Client] = []

    async def connect(self, interface_version: int = 0x34, **options: Any) -> Client:
        events: asyncio.Queue[Event] = asyncio.Queue()
        settings = session_settings.Settings(Role.ESME, window=2000, interface_version=interface_version)

        def handle(wire: Wire, happened: list[Event]) -> None:
            for event in happened:
                events.put_nowait(event)

        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(
            lambda: Wire(lambda now: Session(settings, now), handle), "127.0.0.1", self.port, **options
        )
        client = Client(wire, events)
        self.clients.append(client)
        return client

    async def bound(self, mode: Mode = Mode.TRX, system_id: bytes = b"client", **options: Any) -> Client:
        client = await self.connect(**options)
        assert isinstance(await client.bind(mode, system_id), Bound)
        return client

    def turn(self, seconds: float) -> None:
        """Lets time pass."""
        self.hands.now += seconds
        self.smsc.tick()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Waits for what the server does in its own time."""
        async with asyncio.timeout(WAIT_S):
            while not reached():  # noqa: ASYNC110 - the server has no event for tests
                await asyncio.sleep(0.001)

    async def http(
        self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Response:
        path, _, query = target.partition("?")
        octets = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await self.smsc.page(Request(method, path, query.encode(), headers or {}, octets))

    async def get(self, target: str) -> Any:
        answer = await self.http("GET", target)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def chaos(self, **switches: object) -> None:
        answer = await self.http("POST", "/handset/chaos", switches)
        assert answer.status == 200, answer.body


Running = Callable[..., AbstractAsyncContextManager[Bench]]


@asynccontextmanager
async def _running(tls: Any = None, **values: Any) -> AsyncIterator[Bench]:
    hands = Hands()
    settings = Settings(clock=hands.clock(), receipt_delay_ms=1000, seed=7)
    smsc = Smsc(replace(settings, **values))
    port = await smsc.start("127.0.0.1", 0, tls)
    bench = Bench(smsc, port, hands)
    try:
        yield bench
    finally:
        for client in bench.clients:
            client.wire.cut()
        for client in bench.clients:
            await client.wire.gone.wait()
        await smsc.stop()


@pytest.fixture
def running() -> Running:
    """`async with running(**settings) as bench:` an SMSC on a real socket, whose clock stands still."""
    return _running
