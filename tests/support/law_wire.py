"""The network's side of the tests that drive the whole path: an SMSC in memory that does what it is told, and writes
down what reached it, when and from whose campaign."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from scripted_smsc import Smsc
from virtual_time import VirtualLoop

from chappe.carriers.smpp.transport import Wire
from chappe.smpp.commands import Status
from chappe.smpp.pdu import DeliverSm, SubmitSm
from chappe.smpp.settings import Timers

TOKEN = re.compile(r"m([0-9]+)x")
_RELATIVE = re.compile(rb"([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})000R").fullmatch
_PAYLOAD = 0x0424

# What the network does with a submit_sm: a status, or something that is no answer.
DEEDS: dict[str, Status | None] = {
    "take": Status.ROK,
    "throttle": Status.RTHROTTLED,
    "full": Status.RMSGQFUL,
    "temporary": Status.RSYSERR,
    "unclear": Status.RSUBMITFAIL,
    "number": Status.RINVDSTADR,
    "misconfigured": Status.RINVSERTYP,
    "silent": None,  # takes it and never answers
    "late": None,  # takes it and answers when told to
    "cut": None,  # takes it and the connection ends
    "early": None,  # tells by a receipt how it ended before it answers
}


@dataclass
class Heard:
    """One submit_sm as it came. token: the number of the submission that its text tells; part: 0 for an only part."""

    at: datetime
    pdu: SubmitSm
    token: int
    number: str
    sender: str
    part: int
    parts: int
    valid_until: datetime | None
    wire: Wire
    reference: str = ""  # the id with which it was taken
    answered: bool = False


@dataclass
class Network:
    """One carrier. on_heard: called with each submit_sm before anything is done with it."""

    loop: VirtualLoop
    port: int
    wall: Callable[[], datetime]
    on_heard: Callable[[Heard], None]
    heard: list[Heard] = field(default_factory=list)
    deeds: deque[str] = field(default_factory=deque)
    late: list[Heard] = field(default_factory=list)
    stored: set[object] = field(default_factory=set)  # contexts of deliver_sm that were answered well

    def __post_init__(self) -> None:
        self._long: dict[tuple[str, int, int], int] = {}
        self._count = 0
        self.smsc = Smsc()
        self.smsc.on_submit = self._submitted
        # Nobody asks whether the other is there: it would be a day's work for a test in which days pass.
        self.smsc.settings = {"window": 1000, "timers": Timers(enquire_link_s=0, inactivity_s=0)}
        self.open()

    def open(self) -> None:
        self.loop.listeners[self.port] = self._session

    def _session(self) -> Wire:
        return Wire(self.smsc._session, self._events)

    def _events(self, wire: Wire, events: list) -> None:  # type: ignore[type-arg]
        self.smsc._events(wire, events)
        for context, status in self.smsc.answers:
            if status == 0:
                self.stored.add(context)
        self.smsc.answers.clear()
        self.smsc.submits.clear()

    def shut(self) -> None:
        """Nobody listens any more and all connections end."""
        self.loop.listeners.pop(self.port, None)
        self.cut()

    def cut(self) -> None:
        for wire in self.smsc.wires:
            wire.cut()
        self.smsc.wires.clear()

    def _submitted(self, wire: Wire, pdu: SubmitSm) -> None:
        heard = self._read(wire, pdu)
        self.heard.append(heard)
        self.on_heard(heard)
        deed = self.deeds.popleft() if self.deeds else "take"
        status = DEEDS[deed]
        if status is Status.ROK:
            self.take(heard)
        elif status is not None:
            heard.answered = True
            self.smsc.answer(wire, pdu, status=int(status))
        elif deed == "late":
            self.late.append(heard)
        elif deed == "cut":
            self._count += 1
            heard.reference = f"k{self._count}"
            wire.cut()
        elif deed == "early":
            self._count += 1
            heard.reference = f"k{self._count}"
            self.receipt(heard, "DELIVRD")
            self.take(heard)
        else:
            self._count += 1
            heard.reference = f"k{self._count}"

    def take(self, heard: Heard) -> None:
        """Answers with an id; nothing happens when the connection is gone."""
        if not heard.reference:
            self._count += 1
            heard.reference = f"k{self._count}"
        if not heard.wire.gone.is_set() and not heard.answered:
            heard.answered = True
            self.smsc.answer(heard.wire, heard.pdu, message_id=heard.reference.encode())

    def receipt(self, heard: Heard, stat: str) -> bool:
        """Tells how it ended; False when nobody is bound who could hear it."""
        if not self.smsc.bound:
            return False
        self.smsc.receipt(heard.reference, heard.number.removeprefix("+"), stat)
        return True

    def reply(self, number: str, to: str, text: str, context: object) -> bool:
        """A subscriber writes; False when nobody is bound who could hear it."""
        if not self.smsc.bound:
            return False
        unicode = not text.isascii()
        self.smsc.deliver(
            DeliverSm(
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr=number.removeprefix("+").encode(),
                destination_addr=to.removeprefix("+").encode(),
                data_coding=8 if unicode else 0,
                short_message=text.encode("utf-16-be" if unicode else "ascii"),
            ),
            context,
        )
        return True

    # -- reading

    def _read(self, wire: Wire, pdu: SubmitSm) -> Heard:
        octets = next((value for tag, value in pdu.tlvs if int(tag) == _PAYLOAD), pdu.short_message)
        number = "+" + pdu.destination_addr.decode()
        part, parts, reference = 0, 1, -1
        if pdu.esm_class & 0x40:
            header, octets = octets[1 : 1 + octets[0]], octets[1 + octets[0] :]
            part, parts, reference = header[-1], header[-2], int.from_bytes(header[2:-2], "big")
        text = octets.decode("utf-16-be" if pdu.data_coding & 0x0C == 0x08 else "latin-1", "replace")
        found = TOKEN.search(text)
        if found is not None:
            token = int(found[1])
            self._long[number, reference, parts] = token
        else:  # the short end of a long text: its other parts have told whose it is
            token = self._long.get((number, reference, parts), -1)
        return Heard(
            self.wall(),
            pdu,
            token,
            number,
            pdu.source_addr.decode(),
            part,
            parts,
            _valid_until(pdu.validity_period, self.wall()),
            wire,
        )


def _valid_until(period: bytes, now: datetime) -> datetime | None:
    """Until when the network may try; None when the message does not say."""
    if not period:
        return None
    relative = _RELATIVE(period)
    if relative is not None:
        years, months, days, hours, minutes, seconds = map(int, relative.groups())
        assert not years
        assert not months
        return now + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    assert period.endswith(b"000+"), period
    return datetime.strptime(period[:12].decode() + "+0000", "%y%m%d%H%M%S%z")
