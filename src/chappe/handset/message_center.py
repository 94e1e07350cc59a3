"""The inside of the SMSC, between sessions and phones: what is taken, answered, reported and sent back.

It has no socket and no timer of its own: `tick` does what is due and tells when to come again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from random import Random
from typing import NamedTuple

from chappe.handset import responses
from chappe.handset.chaos import Chaos, ReceiptShape
from chappe.handset.dispatch import ANYBODY, Dispatch
from chappe.handset.fault_injection import Judge, Verdict
from chappe.handset.ids import write as write_id
from chappe.handset.link import Link
from chappe.handset.magic_numbers import Report
from chappe.handset.mailbox import Delivery
from chappe.handset.persistence import Memory
from chappe.handset.phones import Part, Phones, address, piece_of
from chappe.handset.replies import Reply, deliver_sms
from chappe.handset.settings import Settings
from chappe.handset.timer_queue import Agenda
from chappe.smpp import receipts, times
from chappe.smpp.commands import Status
from chappe.smpp.concatenation import Piece
from chappe.smpp.error_codes import ReceiptState
from chappe.smpp.pdu import DeliverSm, SubmitSm

_ESM_RECEIPT, _ESM_INTERMEDIATE, _UDHI = 0x04, 0x20, 0x40
_ASKED, _ASKED_INTERMEDIATE = 0x03, 0x10
_ADDRESS_MAX = 20  # octets of an address in submit_sm; data_sm allows more, which no deliver_sm can give back
_ONE_OCTET_CODINGS = (0x00, 0x01, 0x03)
_NETWORK_GSM = 3
_WRITTEN_MAX = 1_000
_REFUSALS_MAX = 20
_REPLY_DELAY_S = 1.0  # how long a phone with a magic number takes to write
_SHAPES = {
    ReceiptShape.BOTH: receipts.BOTH,
    ReceiptShape.TEXT: receipts.TEXT_ONLY,
    ReceiptShape.TLV: receipts.TLVS_ONLY,
    ReceiptShape.PAYLOAD: receipts.IN_PAYLOAD,
}
_FAILED = frozenset(
    {ReceiptState.UNDELIVERED, ReceiptState.EXPIRED, ReceiptState.REJECTED, ReceiptState.DELETED, ReceiptState.UNKNOWN}
)


@dataclass(frozen=True, slots=True, repr=False)
class Written:
    """A reply as the page shows it: `at` is seconds since 1970."""

    revision: int
    number: int
    at: float
    reply: Reply


class Refused(NamedTuple):
    """A submit that was refused: `at` is seconds since 1970."""

    recipient: str
    status: int
    at: float


class Counters:
    """What happened since the start."""

    __slots__ = ("deliveries_dropped", "refused", "replies", "submitted")

    def __init__(self) -> None:
        self.submitted = 0
        self.refused = 0
        self.replies = 0
        self.deliveries_dropped = 0


class Exchange:
    """Takes submits, gives receipts and replies."""

    def __init__(self, settings: Settings, wake: Callable[[], None]) -> None:
        self.settings = settings
        self._clock = settings.clock
        self._wake = wake  # something was entered that is due earlier than anything before
        # From the microseconds since 1970, so that no id comes again after a restart.
        self._numbers = count(int(self._clock.wall() * 1_000_000))
        self.random = Random(settings.seed)
        self.judge = Judge(self.random, settings.receipt_delay_ms / 1000)
        self.phones = Phones(settings.messages_max, settings.join_timeout_s, self.next_number, settings.octets_max)
        self.agenda = Agenda()
        self.counters = Counters()
        self.pending = 0  # receipts and replies that are not acknowledged
        self.refusals: deque[Refused] = deque(maxlen=_REFUSALS_MAX)  # the last, for the page
        self.written: deque[Written] = deque(maxlen=_WRITTEN_MAX)  # the last replies, for the page
        self.dispatch = Dispatch(settings, self.later, self._ended)
        self._memory = Memory(settings.journal, self.phones)

    def recall(self) -> None:
        """Goes on where the journal ends. Raises JournalError, OSError."""
        now = self._clock.monotonic()
        recalled = self._memory.recall(now)
        if recalled.number_max:
            self._numbers = count(max(recalled.number_max + 1, next(self._numbers)))
        wall = self._clock.wall()
        for part, index, due_at in recalled.receipts:
            self.pending += 1
            self._later(now + max(0.0, due_at - wall), self._report, part, index)
        for delivery in recalled.replies:
            self.pending += 1
            self.dispatch.put(delivery)

    def next_number(self) -> int:
        """A number that no other message, part or reply has."""
        return next(self._numbers)

    # -- time

    def tick(self) -> float | None:
        """Does what is due; gives the monotonic instant of the next thing to do, or None."""
        now = self._clock.monotonic()
        self.agenda.run(now)
        self.phones.expire(now)
        self._memory.commit()
        instants = [at for at in (self.agenda.next_at, self.phones.deadline()) if at is not None]
        return min(instants, default=None)

    def _later(self, due_at: float, call: Callable[..., object], *arguments: object) -> None:
        first = self.agenda.next_at
        self.agenda.add(due_at, call, *arguments)
        if first is None or due_at < first:
            self._wake()

    # -- submits

    def submit(self, link: Link, pdu: SubmitSm, sequence: int) -> None:
        """Takes or refuses a submit_sm (or what amounts to one), and answers it now or later."""
        now = self._clock.monotonic()
        status, answer = self.take(link, pdu)
        if answer is None:
            if status:
                link.session.answer_submit(sequence, status)
            return
        verdict, part = answer
        responses.answer(self, link, sequence, verdict, part, now)

    def take(self, link: Link, pdu: SubmitSm) -> tuple[int, tuple[Verdict, Part | None] | None]:
        """(status, None) when this SMSC itself refuses, else (0, what was decided, and the part if it was taken)."""
        link.submitted += 1
        self.counters.submitted += 1
        now = self._clock.monotonic()
        status = self._objection(pdu)
        if status or self.pending >= self.settings.pending_max:
            status = status or int(Status.RMSGQFUL)
            self._refuse(pdu, status)
            return status, None
        piece = piece_of(pdu)
        seqnum, total = (piece.seqnum, piece.total) if piece is not None else (1, 1)
        verdict = self.judge.decide(pdu.destination_addr, seqnum, total, now)
        if verdict.refused:
            self._refuse(pdu, verdict.status)
            return 0, (verdict, None)
        part = self._part(link.system_id or "", pdu, verdict)
        self._show(part, piece, now)
        due_at = self._plan(part, verdict, now) if part.asked else {}
        self._memory.taken(part, due_at)
        if verdict.early:
            for index in due_at:
                self._report(part, index)
        if verdict.reply:
            recipient = address(pdu.dest_addr_ton, pdu.destination_addr)
            reply = Reply(recipient, address(pdu.source_addr_ton, pdu.source_addr), verdict.reply)
            self._later(now + verdict.latency_s + _REPLY_DELAY_S, self.reply, reply, part.system_id)
        return 0, (verdict, part)

    def _refuse(self, pdu: SubmitSm, status: int) -> None:
        """Counts a submit that is refused, and keeps what the page shows of it."""
        self.counters.refused += 1
        recipient = address(pdu.dest_addr_ton, pdu.destination_addr)
        self.refusals.append(Refused(recipient, status, self._clock.wall()))

    def _objection(self, pdu: SubmitSm) -> int:
        """The status for what this SMSC does not do, so that nothing asked for is dropped in silence; 0 for none."""
        destination = pdu.destination_addr
        if len(destination) > _ADDRESS_MAX or not destination.removeprefix(b"+").isdigit():
            return int(Status.RINVDSTADR)
        if pdu.replace_if_present_flag:
            return int(Status.RINVREPFLAG)
        if pdu.sm_default_msg_id:
            return int(Status.RINVDFTMSGID)
        if pdu.schedule_delivery_time:
            return int(Status.RINVSCHED)
        if pdu.validity_period:
            try:
                times.parse(pdu.validity_period, self._now())
            except times.TimeError:
                return int(Status.RINVEXPIRY)
        return 0

    def _part(self, system_id: str, pdu: SubmitSm, verdict: Verdict) -> Part:
        chaos = self.judge.chaos
        number = self.next_number()
        told = number % chaos.id_cycle + 1 if chaos.id_cycle else number
        id = write_id(told, chaos.response_id_format)
        receipt_id = write_id(told, chaos.receipt_id_format)
        part = Part(number, id, receipt_id, system_id, pdu, self._clock.wall())
        registered = pdu.registered_delivery
        if registered or verdict.unasked:
            part.asked = bool(registered & (_ASKED | _ASKED_INTERMEDIATE)) or verdict.unasked
        part.reports = self._within_validity(pdu, verdict.reports)
        final = next((report for report in part.reports if not report.intermediate), None)
        if final is not None:
            part.error_code = final.error_code
        delay_s = (final.delay_s or 0.0) if final is not None and part.asked else 0.0
        part.final_at = part.at + verdict.latency_s + delay_s
        return part

    def _within_validity(self, pdu: SubmitSm, reports: tuple[Report, ...]) -> tuple[Report, ...]:
        """A phone that is reached too late is not reached: the receipt says expired when the validity ends."""
        if not pdu.validity_period:
            return reports
        ends_at = times.parse(pdu.validity_period, self._now())
        assert ends_at is not None
        left_s = max(0.0, (ends_at - self._now()).total_seconds())
        if all((report.delay_s or 0.0) <= left_s for report in reports):
            return reports
        kept = tuple(report for report in reports if (report.delay_s or 0.0) <= left_s)
        return (*kept, Report(ReceiptState.EXPIRED, left_s))

    def _show(self, part: Part, piece: Piece | None, now: float) -> None:
        waited = self.phones.deadline()
        self.phones.take(part, piece, now)
        if waited is None and self.phones.deadline() is not None:
            self._wake()

    # -- receipts

    def _plan(self, part: Part, verdict: Verdict, now: float) -> dict[int, float]:
        """Enters the receipts that are asked for; gives which is due when, in seconds since 1970.

        Early ones are left to the caller: they are due before the response.
        """
        registered = part.pdu.registered_delivery
        if registered & _ASKED_INTERMEDIATE and not any(report.intermediate for report in part.reports):
            part.reports = (Report(ReceiptState.IN_TRANSIT, 0.0, intermediate=True), *part.reports)
        due_at: dict[int, float] = {}
        for index, report in enumerate(part.reports):
            if verdict.unasked or _is_asked(registered, report):
                delay_s = verdict.latency_s + (report.delay_s or 0.0)
                due_at[index] = part.at + delay_s
                if not verdict.early:
                    self._later(now + delay_s, self._report, part, index)
        self.pending += len(due_at)
        return due_at

    def _report(self, part: Part, index: int) -> None:
        """A receipt is due."""
        report = part.reports[index]
        if part.cancelled:
            self.pending -= 1
            self._memory.reported(part, index)
            return
        if not report.intermediate:
            part.state = report.state
            part.error_code = report.error_code
            self.phones.touch(part)
        self.dispatch.put(Delivery(part.system_id, self._receipt(part, report), part, index))

    def _receipt(self, part: Part, report: Report) -> DeliverSm:
        chaos = self.judge.chaos
        id = write_id(self.next_number(), chaos.receipt_id_format) if self.judge.unknown_id() else part.receipt_id
        contradicting = ReceiptState.UNDELIVERED if chaos.receipt_contradicting else None
        pdu = part.pdu
        text, tlvs = receipts.write(
            id,
            report.state,
            submitted_at=datetime.fromtimestamp(part.at, UTC),
            done_at=self._now(),
            error_code=f"{report.error_code:03}",
            text=_excerpt(pdu),
            shape=_SHAPES[chaos.receipt_shape],
            tlv_state=contradicting,
            network_error=(_NETWORK_GSM, report.error_code) if report.error_code else None,
        )
        esm_class = _ESM_INTERMEDIATE if report.intermediate else _ESM_RECEIPT
        if chaos.esm_class_zero:
            esm_class = 0
        if chaos.receipt_udhi:
            esm_class |= _UDHI
            text = b"\0" + text
        return DeliverSm(
            source_addr_ton=pdu.dest_addr_ton,
            source_addr_npi=pdu.dest_addr_npi,
            source_addr=pdu.destination_addr,
            dest_addr_ton=pdu.source_addr_ton,
            dest_addr_npi=pdu.source_addr_npi,
            destination_addr=pdu.source_addr,
            esm_class=esm_class,
            short_message=text,
            tlvs=tlvs,
        )

    # -- replies

    def reply(self, reply: Reply, system_id: str | None = None) -> int:
        """A phone writes: to the users of `system_id`, or to those who wrote to it last, or to anybody. Gives the
        number of the reply."""
        if system_id is None:
            system_id = self._correspondent(reply)
        chaos = self.judge.chaos
        number = self.next_number()
        self.counters.replies += 1
        self.phones.revision += 1
        self.written.append(Written(self.phones.revision, number, self._clock.wall(), reply))
        for pdu in deliver_sms(reply, number, chaos.reply_parts, chaos.reply_reference, self.random):
            delivery = Delivery(system_id, pdu, key=self.next_number())
            self.pending += 1
            self._memory.replied(delivery)
            self.dispatch.put(delivery)
        return number

    def _correspondent(self, reply: Reply) -> str:
        latest = ANYBODY
        for message in self.phones.newest():
            if message.recipient == reply.source:
                if message.sender == reply.destination:
                    return message.parts[0].system_id
                latest = latest or message.parts[0].system_id
        return latest

    # -- deliveries

    def _ended(self, delivery: Delivery, taken: bool) -> None:
        """A delivery was acknowledged, or given up."""
        self.pending -= 1
        part = delivery.part
        if not taken:
            self.counters.deliveries_dropped += 1
        elif part is not None:
            part.acknowledged += 1
            self.phones.touch(part)
        if part is not None:
            self._memory.reported(part, delivery.index)
        else:
            self._memory.heard(delivery)

    # -- requests about messages

    def part(self, id: bytes) -> Part | None:
        """The part with an id as it was told."""
        return self.phones.parts.get(id.decode("latin-1"))

    def cancel(self, part: Part) -> bool:
        """Calls a part back; False when its outcome is there already."""
        if part.cancelled or part.state_at(self._clock.wall()) is not ReceiptState.IN_TRANSIT:
            return False
        part.cancelled = True
        part.state = ReceiptState.DELETED
        self.phones.touch(part)
        self._memory.cancelled(part)
        return True

    def clear(self) -> None:
        """Deletes every message that was shown."""
        self.phones.clear()
        self.written.clear()
        self.refusals.clear()
        self.counters.refused = 0
        self._memory.cleared()
        self._memory.commit()

    def commit(self) -> None:
        """What was taken is remembered, before anything about it is said."""
        self._memory.commit()

    def close(self) -> None:
        """The end: nothing is due any more."""
        self.agenda.clear()
        self._memory.close()

    # -- switches

    def set_chaos(self, chaos: Chaos, keys: Iterable[str]) -> None:
        """Puts switches in force; `keys` are those that were named."""
        named = set(keys)
        now = self._clock.monotonic()
        self.judge.set(chaos, now, reseed="seed" in named, throttle="throttle_for_s" in named)

    def answer_at(self, due_at: float, call: Callable[..., object], *arguments: object) -> None:
        """Enters a response: it goes before receipts that are due at the same instant."""
        first = self.agenda.next_at
        self.agenda.add_first(due_at, call, *arguments)
        if first is None or due_at < first:
            self._wake()

    def later(self, delay_s: float, call: Callable[..., object], *arguments: object) -> None:
        """Enters a call that is due in so many seconds."""
        self._later(self._clock.monotonic() + delay_s, call, *arguments)

    def wall(self) -> float:
        """Seconds since 1970."""
        return self._clock.wall()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall(), UTC)


def _excerpt(pdu: SubmitSm) -> bytes:
    """What a receipt repeats of a text; nothing of UCS-2, binary or a UDH, which would not be text there."""
    return pdu.short_message[:20] if pdu.data_coding in _ONE_OCTET_CODINGS and not pdu.esm_class & _UDHI else b""


def _is_asked(registered_delivery: int, report: Report) -> bool:
    """Whether registered_delivery asks for this report (SMPP 3.4, 5.2.17; 3 is of 5.0, 4.7.21)."""
    wanted = registered_delivery & _ASKED
    if report.intermediate:
        return wanted == 1 or bool(registered_delivery & _ASKED_INTERMEDIATE)
    if wanted == 2:
        return report.state in _FAILED
    if wanted == 3:
        return report.state is ReceiptState.DELIVERED
    return wanted == 1
