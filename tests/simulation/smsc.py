"""The carriers of the simulation: SMSCs that misbehave in every way that their mood allows, on our own session machine.

What an SMSC took it keeps through a crash, with the receipts that it owes; what it had not answered yet it forgets
that it owes an answer to.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from network import NOBODY, Network
from virtual import Process, VirtualLoop

from chappe.carriers.smpp.transport import Wire
from chappe.smpp.commands import Status
from chappe.smpp.events import Answered, BindRequested, Closed, Event, Nacked, Received, TimedOut
from chappe.smpp.header import HEADER
from chappe.smpp.pdu import DeliverSm, SubmitSm
from chappe.smpp.session import Session, SessionError
from chappe.smpp.settings import Settings, Timers
from chappe.smpp.states import Mode, Role

ERRORS = (
    Status.RTHROTTLED,
    Status.RTHROTTLED,
    Status.RMSGQFUL,
    Status.RSYSERR,
    Status.RSUBMITFAIL,
    Status.RINVDSTADR,
    Status.RINVSRCADR,
    Status.RX_P_APPN,
    Status.RINVSERTYP,
    Status.RINVBNDSTS,
    0x0401,
)
TIMERS = Timers(response_s=8.0, enquire_link_s=20.0, session_init_s=5.0, unbind_s=2.0)


@dataclass
class Mood:
    """How an SMSC is just now: delays in seconds, the rest are shares of what it does."""

    delay_s: float = 0.01
    refuses_binds: float = 0.0
    errors: float = 0.0
    nacks: float = 0.0
    drops: float = 0.0  # takes a message and never answers
    forgets: float = 0.0  # neither takes nor answers
    late: float = 0.0  # answers after our patience
    twice: float = 0.0  # answers twice
    noise: float = 0.0  # sends what nobody asked for
    receipt_delay_s: float = 0.5
    receipts_early: float = 0.0
    receipts_lost: float = 0.0
    receipts_twice: float = 0.0
    undelivered: float = 0.2


@dataclass
class Owed:
    """One deliver_sm that the SMSC tries until it is acknowledged. marker: what tells it from all others."""

    pdu: DeliverSm
    marker: bytes
    message_ref: str = ""  # of a receipt
    word: str = ""
    times: int = 1
    wire: Wire | None = None  # on which it waits for its acknowledgement


@dataclass
class Watch:
    """Who is told what the SMSC sees. took: pdu, id; acknowledged: what, status."""

    arrived: Callable[[Smsc, Wire, SubmitSm], None]
    took: Callable[[Smsc, SubmitSm, str], None]
    acknowledged: Callable[[Smsc, Owed, int], None]


@dataclass
class Smsc:
    """One carrier, which listens on a port of its own while its process lives."""

    loop: VirtualLoop
    network: Network
    chance: random.Random
    port: int
    watch: Watch
    mood: Mood = field(default_factory=Mood)
    owed: list[Owed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = count(self.port * 100_000 + 1)
        self._markers = count(1)
        self.wires: list[Wire] = []
        self.crashes = 0
        self.start()

    def start(self) -> None:
        self.process = Process(self.loop, f"smsc {self.port}")
        self.wires = []
        for owed in self.owed:
            owed.wire = None
        self.network.listeners[self.port] = (self.process, lambda: Wire(self._session, self._events))

    def crash(self) -> None:
        self.crashes += 1
        self.process.kill()
        self.network.killed(self.process)
        self.wires = []

    def says(self, share: float) -> bool:
        return self.chance.random() < share

    # -- what it sends by itself

    def write(self, number: str, to: str, text: str) -> None:
        """A subscriber writes a message."""
        marker = b" #%d" % next(self._markers)
        pdu = DeliverSm(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr=number.encode(),
            destination_addr=to.encode(),
            short_message=text.encode() + marker,
        )
        self.owed.append(Owed(pdu, marker))
        self.process.soon(self.deliver)

    def receipt(self, pdu: SubmitSm, message_id: str, word: str) -> None:
        marker = b"text:R%d." % next(self._markers)
        text = b"id:%s sub:001 dlvrd:001 submit date:2603021000 done date:2603021000 stat:%s err:000 %s"
        receipt = DeliverSm(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr=pdu.destination_addr,
            destination_addr=pdu.source_addr,
            esm_class=0x04,
            short_message=text % (message_id.encode(), word.encode(), marker),
        )
        self.owed.append(Owed(receipt, marker, message_id, word, 2 if self.says(self.mood.receipts_twice) else 1))
        self.process.soon(self.deliver)

    def deliver(self) -> None:
        """Sends what it owes and is not on its way, as far as sessions take it."""
        bound = [w for w in self.wires if not w.gone.is_set() and w.session.bound and w.session.mode is not Mode.TX]
        for owed in self.owed:
            if owed.wire is not None:
                continue
            for wire in bound:
                if wire.session.free:
                    wire.session.deliver(owed.pdu, owed, wire.now())
                    wire.flush()
                    owed.wire = wire
                    break

    # -- what it hears

    def _session(self, now: float) -> Session:
        return Session(Settings(role=Role.SMSC, window=20, timers=TIMERS, timeouts_max=3), now)

    def _events(self, wire: Wire, events: list[Event]) -> None:
        if wire not in self.wires:
            self.wires.append(wire)
        for event in events:
            if isinstance(event, BindRequested):
                status = self.chance.choice((Status.RALYBND, Status.RBINDFAIL, Status.RSYSERR))
                refused = self.says(self.mood.refuses_binds)
                wire.session.answer_bind(event.sequence, int(status) if refused else 0)
                self._later(0.05, self.deliver)
            elif isinstance(event, Received) and isinstance(event.pdu, SubmitSm):
                self.watch.arrived(self, wire, event.pdu)
                self._submitted(wire, event.pdu)
            elif isinstance(event, Answered | Nacked) and isinstance(event.context, Owed):
                self._acknowledged(event.context, event.status)
            elif isinstance(event, TimedOut) and isinstance(event.context, Owed):
                event.context.wire = None
            elif isinstance(event, Closed):
                for owed in self.owed:
                    if owed.wire is wire:
                        owed.wire = None
                self._later(0.05, self.deliver)
        if self.says(self.mood.noise):
            self._noise(wire)
        wire.flush()

    def _acknowledged(self, owed: Owed, status: int) -> None:
        owed.wire = None
        self.watch.acknowledged(self, owed, status)
        if status:
            self._later(1.0, self.deliver)
            return
        owed.times -= 1
        if owed.times <= 0 and owed in self.owed:
            self.owed.remove(owed)
        self.deliver()

    def _submitted(self, wire: Wire, pdu: SubmitSm) -> None:
        mood = self.mood
        delay_s = mood.delay_s * (0.5 + self.chance.random())
        if self.says(mood.forgets):
            return
        if self.says(mood.errors):
            self._later(delay_s, self._answer, wire, pdu.sequence, int(self.chance.choice(ERRORS)), b"")
            return
        if self.says(mood.nacks):
            self._later(delay_s, self._nack, wire, pdu.sequence)
            return
        message_id = str(next(self._ids))
        self.watch.took(self, pdu, message_id)
        if not self.says(mood.receipts_lost):
            word = self.chance.choice(("UNDELIV", "EXPIRED", "REJECTD")) if self.says(mood.undelivered) else "DELIVRD"
            if self.says(0.1):
                self._owe(delay_s + 0.1, pdu, message_id, "ENROUTE")
            early = self.says(mood.receipts_early)
            wait_s = mood.receipt_delay_s * self.chance.random() * (0.01 if early else 2)
            self._owe(wait_s if early else delay_s + wait_s, pdu, message_id, word)
        if self.says(mood.drops):
            return
        if self.says(mood.late):
            delay_s += 3 + self.chance.random() * 12
        self._later(delay_s, self._answer, wire, pdu.sequence, 0, message_id.encode())

    def _owe(self, delay_s: float, pdu: SubmitSm, message_id: str, word: str) -> None:
        """The receipt of what it took comes even if it crashes meanwhile."""
        self.loop.call_later(delay_s, self.receipt, pdu, message_id, word, context=NOBODY)

    def _answer(self, wire: Wire, sequence: int, status: int, message_id: bytes) -> None:
        if wire.gone.is_set():
            return
        try:
            wire.session.answer_submit(sequence, status, message_id)
        except SessionError:
            return  # answered already, by a nack
        if self.says(self.mood.twice):
            size = HEADER.size + len(message_id) + 1
            wire.session.inject(HEADER.pack(size, 0x80000004, status, sequence) + message_id + b"\0")
        wire.flush()

    def _nack(self, wire: Wire, sequence: int) -> None:
        if not wire.gone.is_set():
            wire.session.nack(sequence, int(Status.RSYSERR))
            wire.flush()

    def _noise(self, wire: Wire) -> None:
        """What no SMSC should send, and some do."""
        junk = (
            HEADER.pack(16, 0x00000777, 0, 1),  # no known command
            HEADER.pack(21, 0x80000004, 0, 0x40000000) + b"none\0",  # an answer to nothing: no run comes so far
            HEADER.pack(16, 0x80000000, 3, 0),  # a nack of nothing
            HEADER.pack(16, 0x00000015, 0, 77),  # are you there?
            HEADER.pack(20, 0x00000005, 0, 78) + b"\xff\xff\xff\xff",  # a deliver_sm that cannot be read
            HEADER.pack(7, 0, 0, 0),  # framing is lost
        )
        weights = (4, 4, 2, 4, 4, 1)
        wire.session.inject(self.chance.choices(junk, weights)[0])

    def _later(self, delay_s: float, call: Callable[..., object], *args: object) -> None:
        self.loop.call_later(delay_s, call, *args, context=self.process.context)
