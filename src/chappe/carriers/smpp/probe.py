"""One short SMPP session beside the workers', to look at a carrier: connects, binds, measures, sends probes.

It never takes what is not its own: without probes it binds as a transmitter, and with them it answers what belongs to
others with a temporary error, so that the carrier gives it to the workers' binds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from chappe.carriers import Outgoing
from chappe.carriers.smpp import connecting, port_check
from chappe.carriers.smpp.connecting import Trouble
from chappe.carriers.smpp.port_check import Speaks
from chappe.carriers.smpp.submission import CannotCarry, pdus, validity
from chappe.carriers.smpp.transport import Wire
from chappe.core.carrier_config import CarrierSettings
from chappe.smpp import receipts
from chappe.smpp.commands import Status
from chappe.smpp.events import (
    Answered,
    BindRefused,
    Bound,
    Closed,
    EnquiryAnswered,
    Event,
    Nacked,
    Reason,
    Received,
    TimedOut,
)
from chappe.smpp.message_ids import variants
from chappe.smpp.pdu import DataSm, DeliverSm, EncodeError, Request
from chappe.smpp.profile import LongMethod, Mode, Profile, verdict
from chappe.smpp.session import Session, SessionError
from chappe.smpp.settings import Settings, Timers
from chappe.smpp.states import Mode as BindMode
from chappe.smpp.states import Role

ENQUIRIES = 3
ANSWER_TIMEOUT_S_MAX = 15.0
STRANGERS_MAX = 100
# Where the connection itself says all that there is to know.
_EXPLAINED = frozenset({Trouble.UNRESOLVED, Trouble.REFUSED, Trouble.CERTIFICATE, Trouble.CA_FILE})

GSM7_TEXT = "Chappe: sonde GSM-7 éàùñ £ [€]"
UCS2_TEXT = "Chappe: sonde UCS-2 Ω я 漢"
LONG_TEXT = "Chappe: sonde en deux parties. " + "0123456789" * 14


class ProbeEnded(Exception):
    """The session ended before its time; the message says why."""


class PartSent(msgspec.Struct, frozen=True):
    """One part of a probe. status: None without an answer; meaning: its name; took_ms: until the answer."""

    part: int
    status: int | None
    meaning: str
    carrier_ref: str
    took_ms: float


class ReceiptSeen(msgspec.Struct, frozen=True):
    """A receipt for a probe's part. known_by: how it can be told from a reply (esm_class, tlv, text)."""

    part: int
    word: str
    final: bool
    carrier_ref: str
    known_by: list[str]
    after_s: float


class Probed(msgspec.Struct):
    """One probe: what was sent and what came. refusal: why it was not even sent, empty otherwise."""

    name: str
    method: str
    parts: list[PartSent] = msgspec.field(default_factory=list)
    receipts: list[ReceiptSeen] = msgspec.field(default_factory=list)
    refusal: str = ""

    @property
    def taken(self) -> bool:
        return bool(self.parts) and all(part.status == 0 for part in self.parts)


class Findings(msgspec.Struct):
    """What one look at a carrier found. Times in ms; None: not reached. tls: protocol, cipher and end of the
    certificate, None for a connection in clear. trouble: of connect_error, a word of connecting.Trouble. speaks:
    where no session came about, what answers at the port, a word of port_check.Speaks; said: its first line."""

    host: str
    port: int
    connect_ms: float | None = None
    connect_error: str = ""
    trouble: str = ""
    speaks: str = ""
    said: str = ""
    tls: dict[str, str] | None = None
    bind_mode: str = ""
    bind_ms: float | None = None
    bind_status: int | None = None
    bind_error: str = ""
    peer_system_id: str = ""
    peer_version: str = ""
    enquire_link_ms: list[float] = msgspec.field(default_factory=list)
    enquire_link_error: str = ""
    probes: list[Probed] = msgspec.field(default_factory=list)
    strangers: int = 0


@dataclass(slots=True)
class _Sent:
    """A part that was taken, for its receipt."""

    probe: Probed
    part: int
    carrier_ref: str
    at: float


@dataclass(slots=True)
class _Waiting:
    """Something received that has not been answered yet: its part may still be on its way."""

    wire: Wire
    pdu: DeliverSm | DataSm


@dataclass(slots=True)
class Probe:
    """The session, or the pair of them where the profile binds so."""

    settings: CarrierSettings
    profile: Profile
    findings: Findings
    enquire_link_interval_s: float = 1.0
    _wires: list[Wire] = field(default_factory=list)
    _bound: asyncio.Future[Bound | BindRefused] | None = None
    _sent: list[_Sent] = field(default_factory=list)
    _round_trips_s: list[float] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self, *, receive: bool) -> bool:
        """Connects, binds, measures; whether it is bound. receive: also bind for what the carrier delivers."""
        modes = [BindMode.TX]
        if receive:
            modes = [BindMode.TRX] if self.profile.mode is Mode.TRX else [BindMode.TX, BindMode.RX]
        for mode in modes:
            if not await self._bind(mode):
                await self._look_closer()
                return False
        await self._measure()
        return True

    async def send(self, number: str, sender: str, message_id: int, wait_s: float) -> None:
        """Sends all probes to a number, then waits for receipts of them all, at most wait_s."""
        for name, method, unicode, text in probes(self.profile):
            probe = Probed(name, method.value)
            self.findings.probes.append(probe)
            message_id += 1
            outgoing = Outgoing(message_id, number, sender, text, unicode=unicode)
            period = validity(datetime.now(UTC), self.profile.validity_s, self.profile)
            try:
                made = pdus(outgoing, replace(self.profile, long_method=method), period)
            except CannotCarry as error:
                probe.refusal = f"{error.reason} {error.detail}".strip()
                continue
            for seqnum, pdu in enumerate(made, 1):
                pdu.registered_delivery = 1
                if not await self._submit(probe, seqnum if len(made) > 1 else 0, pdu):
                    break
        await self._await_receipts(wait_s)

    async def close(self) -> None:
        """Gives back what is not ours, and ends in good order."""
        for waiting in self._waiting:
            self._answer(waiting, int(Status.RX_T_APPN))
        self._waiting.clear()
        for wire in self._wires:
            if not wire.gone.is_set():
                wire.session.unbind(wire.now())
                wire.flush()
        for wire in self._wires:
            try:
                async with asyncio.timeout(self.profile.unbind_timeout_s):
                    await wire.gone.wait()
            except TimeoutError:
                wire.cut()
                await wire.gone.wait()

    # -- steps

    async def _bind(self, mode: BindMode) -> bool:
        found = self.findings
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._bound = loop.create_future()
        try:
            wire = await asyncio.wait_for(self._connect(), self.profile.connect_timeout_s)
        except (OSError, TimeoutError, UnicodeError) as error:  # ssl.SSLError is an OSError
            trouble, found.connect_error = connecting.explain(error)
            found.trouble = trouble.value
            return False
        found.connect_ms = _ms(loop.time() - began)
        self._wires.append(wire)
        began = loop.time()
        found.bind_mode = mode.name.lower()
        connecting.bind(wire, mode, self.settings.system_id, self.settings.password, self.profile)
        try:
            answer = await self._bound
        except ProbeEnded as error:
            found.bind_error = str(error)
            return False
        found.bind_ms = _ms(loop.time() - began)
        if isinstance(answer, BindRefused):
            found.bind_status = answer.status
            found.bind_error = "no answer in time" if answer.status is None else meaning(answer.status, self.profile)
            return False
        found.bind_status = 0
        found.peer_system_id = answer.system_id.decode("latin-1")
        found.peer_version = (
            "" if answer.peer_version is None else f"{answer.peer_version >> 4}.{answer.peer_version & 15}"
        )
        return True

    async def _look_closer(self) -> None:
        """No session came about: what is there instead?"""
        found = self.findings
        if found.bind_status is not None or found.trouble in _EXPLAINED:
            return
        seen = await port_check.check(self.settings.host, self.settings.port)
        found.speaks, found.said = seen.speaks.value, seen.said
        said = ""
        if seen.speaks in (Speaks.HTTP, Speaks.OTHER):
            said = f'not SMPP: it answered "{seen.said}"'
        elif seen.speaks is Speaks.TLS and not self.profile.tls:
            said = "not SMPP in clear: it speaks TLS"
        elif seen.speaks is Speaks.SMPP and self.profile.tls:
            said = "no TLS: it speaks SMPP in clear"
        if said and found.connect_error:
            found.connect_error = said
        elif said:
            found.bind_error = said

    async def _connect(self) -> Wire:
        context = connecting.tls_context(self.profile) if self.profile.tls else None
        transport, wire = await asyncio.get_running_loop().create_connection(
            lambda: Wire(self._session, self._happened, write_timeout_s=self.profile.write_timeout_s),
            self.settings.host,
            self.settings.port,
            ssl=context,
            server_hostname=(self.profile.tls_server_name or self.settings.host) if context else None,
        )
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None:
            certificate = ssl_object.getpeercert() or {}
            self.findings.tls = {
                "protocol": str(ssl_object.version()),
                "cipher": str((ssl_object.cipher() or ("",))[0]),
                "certificate_ends": str(certificate.get("notAfter", "")),
                "verified": "yes" if self.profile.tls_verify else "no",
            }
        return wire

    def _session(self, now: float) -> Session:
        profile = self.profile
        timers = Timers(
            bind_s=min(profile.bind_timeout_s, ANSWER_TIMEOUT_S_MAX),
            response_s=min(profile.response_timeout_s, ANSWER_TIMEOUT_S_MAX),
            enquire_link_s=self.enquire_link_interval_s,
            unbind_s=profile.unbind_timeout_s,
        )
        settings = Settings(Role.ESME, 1, timers, profile.interface_version, profile.command_length_max)
        return Session(settings, now)

    async def _measure(self) -> None:
        """Waits for a few enquire_links of the session, which come after moments of silence."""
        wire = self._wires[0]
        session = wire.session
        patience_s = (ENQUIRIES + 2) * self.enquire_link_interval_s + ANSWER_TIMEOUT_S_MAX
        try:
            async with asyncio.timeout(patience_s):
                while len(self._round_trips_s) < ENQUIRIES and not wire.gone.is_set():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self.findings.enquire_link_error = "no answer in time"
        self.findings.enquire_link_ms = [_ms(time_s) for time_s in self._round_trips_s]
        if wire.gone.is_set():
            self.findings.enquire_link_error = session.reason or "the connection ended"
        # From here on the pace of the profile: ours would call a slow carrier dead.
        session.set_timers(replace(session.settings.timers, enquire_link_s=self.profile.enquire_link_interval_s))

    async def _submit(self, probe: Probed, part: int, pdu: Request) -> bool:
        """Sends one part; False when the session is over."""
        try:
            status, reference, took_s = await self._ask(self._wires[0], pdu)
        except ProbeEnded as error:
            probe.refusal = str(error)
            return False
        except EncodeError as error:
            probe.refusal = f"cannot be written: {error}"
            return True
        words = "no answer" if status is None else meaning(status, self.profile)
        text = reference.decode("latin-1")
        probe.parts.append(PartSent(part, status, words, text, _ms(took_s)))
        if status == 0 and text:
            self._sent.append(_Sent(probe, part, text, asyncio.get_running_loop().time()))
        self._settle()
        return True

    async def _await_receipts(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                while self._open() and not all(wire.gone.is_set() for wire in self._wires):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def _open(self) -> bool:
        """Whether a part that was taken has no final receipt yet."""
        done = {(id(sent.probe), seen.part) for sent in self._sent for seen in sent.probe.receipts if seen.final}
        return any((id(sent.probe), sent.part) not in done for sent in self._sent)

    async def _ask(self, wire: Wire, pdu: Request) -> tuple[int | None, bytes, float]:
        """The status (None: no answer), the message id and the seconds it took. Raises ProbeEnded, EncodeError."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[int | None, bytes]] = loop.create_future()
        began = loop.time()
        try:
            wire.session.request(pdu, answer, wire.now())
        except EncodeError:
            raise
        except SessionError as error:
            raise ProbeEnded(str(error) or type(error).__name__) from error
        wire.flush()
        status, reference = await answer
        return status, reference, loop.time() - began

    # -- what the session tells

    def _happened(self, wire: Wire, events: list[Event]) -> None:
        for event in events:
            match event:
                case Bound() | BindRefused():
                    if self._bound is not None and not self._bound.done():
                        self._bound.set_result(event)
                case Answered(context=context, status=status, message_id=reference):
                    _resolve(context, (status, reference))
                case Nacked(context=context, status=status):
                    _resolve(context, (status, b""))
                case TimedOut(context=context):
                    _resolve(context, (None, b""))
                case EnquiryAnswered(round_trip_s=round_trip_s):
                    if wire is self._wires[0]:
                        self._round_trips_s.append(round_trip_s)
                case Received(pdu=pdu):
                    self._received(wire, pdu)
                case Closed(reason=reason, outstanding=outstanding, unsent=unsent):
                    ended = Reason.TRANSPORT_LOST.value
                    why = ended if reason == ended else f"{ended}: {reason}"
                    for context in (*outstanding, *unsent, self._bound):
                        _fail(context, ProbeEnded(why))
                case _:
                    pass
        self._changed.set()

    def _received(self, wire: Wire, pdu: Request) -> None:
        if not isinstance(pdu, DeliverSm | DataSm):
            return
        self._waiting.append(_Waiting(wire, pdu))
        self._settle()
        if len(self._waiting) > STRANGERS_MAX:
            self.findings.strangers += 1
            self._answer(self._waiting.pop(0), int(Status.RX_T_APPN))

    def _settle(self) -> None:
        """Gives receipts to the parts they are of; the others wait, since a receipt may overtake its response."""
        left = []
        for waiting in self._waiting:
            read = _receipt(waiting.pdu, self.profile)
            owner = next((sent for sent in self._sent if read and _fits(sent.carrier_ref, read[0].id)), None)
            if read is None or owner is None:
                left.append(waiting)
                continue
            receipt, known_by = read
            after_s = round(asyncio.get_running_loop().time() - owner.at, 3)
            owner.probe.receipts.append(
                ReceiptSeen(owner.part, receipt.state_word, receipt.final, receipt.id, known_by, after_s)
            )
            self._answer(waiting, 0)
        self._waiting = left

    def _answer(self, waiting: _Waiting, status: int) -> None:
        if not waiting.wire.gone.is_set():
            waiting.wire.session.answer(waiting.pdu.sequence, status)
            waiting.wire.flush()


def probes(profile: Profile) -> list[tuple[str, LongMethod, bool, str]]:
    """The probes: name, method of parts, whether UCS-2 is forced, text. TLVs only where the profile allows them."""
    methods = [method for method in LongMethod if profile.tlvs_sent or method in (LongMethod.UDH8, LongMethod.UDH16)]
    single = profile.long_method if profile.long_method is not LongMethod.PAYLOAD else LongMethod.UDH8
    return [
        ("gsm7", single, False, GSM7_TEXT),
        ("ucs2", single, True, UCS2_TEXT),
        *((f"two parts by {method}", method, False, LONG_TEXT) for method in methods),
    ]


def meaning(status: int, profile: Profile) -> str:
    """A status in words: number, name and what it means on this carrier."""
    found = verdict(status, profile)
    return "ok" if status == 0 else f"{status:#010x} {found.reason}: {found.sentence}"


def _receipt(pdu: DeliverSm | DataSm, profile: Profile) -> tuple[receipts.Receipt, list[str]] | None:
    """A receipt and by which marks it is known; None when no mark makes it one."""
    text = pdu.short_message if isinstance(pdu, DeliverSm) else b""
    known_by = []
    for mark in ("esm_class", "tlv", "text"):
        only = {f"receipts_by_{other}": other == mark for other in ("esm_class", "tlv", "text")}
        kind = receipts.kind_of(pdu.esm_class, pdu.tlvs, text, replace(profile, **only))  # type: ignore[arg-type]
        if kind not in (receipts.Kind.MESSAGE, receipts.Kind.SME_ACK):
            known_by.append(mark)
    return (receipts.read(text, pdu.tlvs, profile), known_by) if known_by else None


def _fits(response_id: str, receipt_id: str) -> bool:
    forms = {form for _, form in variants(response_id)}
    return bool(receipt_id) and any(form in forms for _, form in variants(receipt_id))


def _resolve(context: object, result: Any) -> None:
    if isinstance(context, asyncio.Future) and not context.done():
        context.set_result(result)


def _fail(context: object, error: ProbeEnded) -> None:
    if isinstance(context, asyncio.Future) and not context.done():
        context.set_exception(error)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
