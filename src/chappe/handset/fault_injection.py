"""What becomes of each submit: magic numbers first, then the chaos switches; pure, chance comes in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from chappe.handset.chaos import CALM, Chaos, Intermediate, ReceiptOutcome, ReceiptParts, ResponseFault
from chappe.handset.magic_numbers import (
    ABSENT_SUBSCRIBER,
    FORGIVEN_S,
    MAGIC_PREFIXES,
    ORDINARY,
    THROTTLED_S,
    Answering,
    Fate,
    Report,
    fate_of,
)
from chappe.smpp.commands import Status
from chappe.smpp.error_codes import ReceiptState

_TRIED_MAX = 1_000
_SECOND_S = 1.0  # from a receipt to the one that follows it by receipt_then
_MAGIC_STARTS = tuple((sign + prefix).encode() for prefix in MAGIC_PREFIXES for sign in ("", "+", "00"))
_STATES = {
    ReceiptOutcome.DELIVERED: ReceiptState.DELIVERED,
    ReceiptOutcome.UNDELIVERED: ReceiptState.UNDELIVERED,
    ReceiptOutcome.EXPIRED: ReceiptState.EXPIRED,
    ReceiptOutcome.REJECTED: ReceiptState.REJECTED,
    ReceiptOutcome.DELETED: ReceiptState.DELETED,
    ReceiptOutcome.UNKNOWN: ReceiptState.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fate with all chance in it decided.

    refused: nothing is taken; cut: the connection ends at once (before the message is taken when also refused);
    delays_s of the reports count from the response, which itself waits latency_s.
    """

    status: int = 0
    answered: bool = True
    cut: bool = False
    unbind: bool = False
    latency_s: float = 0.0
    fault: ResponseFault | None = None
    reports: tuple[Report, ...] = ORDINARY.reports
    early: bool = False
    reply: str = ""
    unasked: bool = False
    refused: bool = False


ORDINARY_VERDICT = Verdict()
_REFUSED = Verdict(refused=True)


class Judge:
    """Decides with the switches in force; `random` is all the chance there is."""

    def __init__(self, random: Random, receipt_delay_s: float) -> None:
        self._random = random
        self._receipt_delay_s = receipt_delay_s
        self._tried: dict[str, float] = {}  # magic number -> when it first failed
        self._submits = 0
        self._throttled_until = 0.0
        self._calm = True
        self.chaos = CALM
        self._ordinary = self._with_delays(ORDINARY_VERDICT)

    def set(self, chaos: Chaos, now: float, *, reseed: bool, throttle: bool) -> None:
        """Puts switches in force; `reseed`, `throttle`: whether seed and throttle_for_s were among those named, since
        naming them has an effect even with the value that they have."""
        if reseed:
            self._random.seed(chaos.seed)
        if throttle:
            self._throttled_until = now + chaos.throttle_for_s
        self.chaos = chaos
        self._submits = 0
        self._calm = not chaos.touches_submits
        self._ordinary = self._with_delays(ORDINARY_VERDICT)

    def decide(self, destination: bytes, seqnum: int, total: int, now: float) -> Verdict:
        """What becomes of part `seqnum` of `total` for this address."""
        fate = None
        if destination.startswith(_MAGIC_STARTS):
            digits = destination.decode("ascii", "replace").removeprefix("+").removeprefix("00")
            fate = fate_of(digits)
        if self._calm and fate is None:
            return self._ordinary
        verdict = self._by_magic(digits, fate, now) if fate is not None else self._by_chaos(now)
        return self._with_delays(self._for_part(verdict, seqnum, total))

    def _by_magic(self, digits: str, fate: Fate, now: float) -> Verdict:
        base = Verdict(status=fate.status, reports=fate.reports, early=fate.early, reply=fate.reply)
        base = replace(base, latency_s=self._latency_s(), refused=bool(fate.status))
        if fate.answering is Answering.NONE:
            return replace(base, answered=False)
        if fate.answering is Answering.CUT_ONCE and self._since_first_try(digits, now) == 0.0:
            return replace(_REFUSED, cut=True, answered=False)
        if fate.answering is Answering.THROTTLED_ONCE and self._since_first_try(digits, now) < THROTTLED_S:
            return replace(_REFUSED, status=int(Status.RTHROTTLED))
        return base

    def _since_first_try(self, digits: str, now: float) -> float:
        first = self._tried.get(digits)
        if first is None or now - first > FORGIVEN_S:
            self._tried.pop(digits, None)
            self._tried[digits] = now
            if len(self._tried) > _TRIED_MAX:
                del self._tried[next(iter(self._tried))]
            return 0.0
        return max(now - first, 1e-9)

    def _by_chaos(self, now: float) -> Verdict:
        chaos = self.chaos
        self._submits += 1
        latency_s = self._latency_s()
        status = 0
        if chaos.queue_full:
            status = int(Status.RMSGQFUL)
        elif now < self._throttled_until or self._hit(chaos.throttle_rate):
            status = int(Status.RTHROTTLED)
        elif self._hit(chaos.error_rate) or (chaos.error_every and self._submits % chaos.error_every == 0):
            status = chaos.error_status
        fault = chaos.response_fault if chaos.response_fault and self._hit(chaos.response_fault_rate) else None
        if status:
            return replace(_REFUSED, status=status, latency_s=latency_s, fault=fault)
        if fault is ResponseFault.ERROR_BODY:
            return replace(_REFUSED, status=chaos.error_status, latency_s=latency_s, fault=fault)
        if fault in (ResponseFault.NACK, ResponseFault.NACK_WITHOUT_SEQUENCE):
            return replace(_REFUSED, status=chaos.error_status, latency_s=latency_s, fault=fault)
        cut = self._hit(chaos.disconnect_rate)
        return Verdict(
            answered=not cut and not self._hit(chaos.drop_response_rate),
            cut=cut,
            unbind=self._hit(chaos.unbind_rate),
            latency_s=latency_s,
            fault=fault,
            reports=self._reports(),
            early=chaos.receipt_before_response,
            unasked=chaos.receipt_unasked,
        )

    def _reports(self) -> tuple[Report, ...]:
        chaos = self.chaos
        state = _STATES.get(chaos.receipt_outcome)
        if self._hit(chaos.receipt_fail_rate):
            state = ReceiptState.UNDELIVERED
        if state is None:
            return ()
        error_code = ABSENT_SUBSCRIBER if state is ReceiptState.UNDELIVERED else 0
        delay_s = None if chaos.receipt_delay_ms is None else chaos.receipt_delay_ms / 1000
        jitter_s = self._random.uniform(0, chaos.receipt_jitter_ms / 1000) if chaos.receipt_jitter_ms else 0.0
        delay_s = (self._receipt_delay_s if delay_s is None else delay_s) + jitter_s
        reports = [Report(state, delay_s, error_code)]
        if chaos.intermediate is not Intermediate.ASKED:
            reports.insert(0, Report(ReceiptState.IN_TRANSIT, delay_s / 2, intermediate=True))
        if chaos.intermediate is Intermediate.ONLY:
            del reports[1:]
        if self._hit(chaos.receipt_duplicate_rate):
            reports.append(reports[-1])
        then = _STATES.get(chaos.receipt_then)
        if then is not None:
            reports.append(Report(then, delay_s + _SECOND_S))
        return tuple(reports)

    def _for_part(self, verdict: Verdict, seqnum: int, total: int) -> Verdict:
        wanted = self.chaos.receipt_parts
        if (wanted is ReceiptParts.FIRST and seqnum != 1) or (wanted is ReceiptParts.LAST and seqnum != total):
            return replace(verdict, reports=())
        if verdict.reply and seqnum != total:
            return replace(verdict, reply="")  # one reply to a long message
        return verdict

    def _with_delays(self, verdict: Verdict) -> Verdict:
        """The delay that is configured, where a report leaves it open."""
        if all(report.delay_s is not None for report in verdict.reports):
            return verdict
        configured_ms = self.chaos.receipt_delay_ms
        delay_s = self._receipt_delay_s if configured_ms is None else configured_ms / 1000
        reports = tuple(
            replace(report, delay_s=delay_s) if report.delay_s is None else report for report in verdict.reports
        )
        return replace(verdict, reports=reports)

    def unknown_id(self) -> bool:
        """Whether this receipt is for an id that was never given."""
        return self._hit(self.chaos.receipt_unknown_id_rate)

    def _latency_s(self) -> float:
        chaos = self.chaos
        jitter_ms = self._random.uniform(0, chaos.latency_jitter_ms) if chaos.latency_jitter_ms else 0.0
        return (chaos.latency_ms + jitter_ms) / 1000

    def _hit(self, rate: float) -> bool:
        return rate > 0 and self._random.random() < rate
