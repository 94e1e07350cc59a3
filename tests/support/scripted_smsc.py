"""An SMSC that does what a test says: our own session in the other role, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from chappe.carriers.smpp.transport import Wire
from chappe.smpp.events import Answered, BindRequested, Closed, Event, Received
from chappe.smpp.pdu import DeliverSm, SubmitSm
from chappe.smpp.session import Session
from chappe.smpp.settings import Settings
from chappe.smpp.states import Mode, Role


class Smsc:
    """Listens on a free port of loopback.

    on_submit: called with each submit_sm and its connection; by default it is answered with the next number as id.
    on_bind: gives the status of the answer to a bind, None for no answer at all. version: the sc_interface_version of
    these answers, None for what the session says by itself.
    """

    def __init__(self) -> None:
        self.port = 0
        self.submits: list[SubmitSm] = []
        self.binds: list[BindRequested] = []
        self.answers: list[tuple[object, int]] = []  # to our deliver_sm: (context, status)
        self.closed: list[Closed] = []
        self.wires: list[Wire] = []
        self.on_submit: Callable[[Wire, SubmitSm], None] = self.take
        self.on_bind: Callable[[BindRequested], int | None] = lambda _: 0
        self.settings: dict[str, Any] = {}
        self.version: int | None = None
        self._ids = count(1)
        self._heard = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._session, self._events), "127.0.0.1", port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Nobody listens any more, and every connection is cut."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for wire in self.wires:
            wire.cut()
        for wire in self.wires:
            await wire.gone.wait()

    async def until(self, is_so: Callable[[], Any], timeout_s: float = 60.0) -> Any:
        """Waits for what the ESME does; fails when it does not do it in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (answer := is_so()):
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            raise AssertionError(f"not within {timeout_s} s; {len(self.submits)} submits") from None
        return answer

    # -- what a script does

    def take(self, wire: Wire, pdu: SubmitSm) -> None:
        self.answer(wire, pdu, message_id=f"id{next(self._ids)}".encode())

    def answer(self, wire: Wire, pdu: SubmitSm, status: int = 0, message_id: bytes = b"") -> None:
        wire.session.answer_submit(pdu.sequence, status, message_id)
        wire.flush()

    @property
    def bound(self) -> list[Wire]:
        """The connections on which we may deliver, oldest first."""
        return [w for w in self.wires if not w.gone.is_set() and w.session.mode in (Mode.TRX, Mode.RX)]

    def deliver(self, pdu: DeliverSm, context: object = None, wire: Wire | None = None) -> None:
        chosen = wire or self.bound[-1]
        chosen.session.deliver(pdu, context, chosen.now())
        chosen.flush()

    def receipt(
        self, message_id: str, source: str, stat: str = "DELIVRD", context: object = None, wire: Wire | None = None
    ) -> None:
        """A receipt as most carriers write it."""
        text = (
            f"id:{message_id} sub:001 dlvrd:001 submit date:2603021000 done date:2603021000 stat:{stat} err:000 text:"
        )
        pdu = DeliverSm(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr=source.encode(),
            destination_addr=b"SHOP",
            esm_class=0x04,
            short_message=text.encode(),
        )
        self.deliver(pdu, context, wire)

    # -- inside

    def _session(self, now: float) -> Session:
        usual: dict[str, Any] = {"role": Role.SMSC, "window": 1000, "unanswered_max": 5000}
        return Session(Settings(**(usual | self.settings)), now)

    def _events(self, wire: Wire, events: list[Event]) -> None:
        if wire not in self.wires:
            self.wires.append(wire)
        for event in events:
            if isinstance(event, BindRequested):
                self.binds.append(event)
                status = self.on_bind(event)
                if status is not None:
                    wire.session.answer_bind(event.sequence, status, version=self.version)
            elif isinstance(event, Received) and isinstance(event.pdu, SubmitSm):
                self.submits.append(event.pdu)
                self.on_submit(wire, event.pdu)
            elif isinstance(event, Answered):
                self.answers.append((event.context, event.status))
            elif isinstance(event, Closed):
                self.closed.append(event)
        wire.flush()
        self._heard.set()


@asynccontextmanager
async def listening() -> AsyncIterator[Smsc]:
    """An SMSC that listens, stopped at the end."""
    smsc = Smsc()
    await smsc.start()
    try:
        yield smsc
    finally:
        await smsc.stop()
