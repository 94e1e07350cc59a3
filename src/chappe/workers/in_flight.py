"""What a bind holds: messages in flight, and what follows when all their parts have come to something. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from chappe.carriers import TAKEN, PartResult
from chappe.core import retry
from chappe.core.errors import FaultKind
from chappe.core.lifecycle import State
from chappe.core.window import Verdict
from chappe.store.bind_turn import Claimed, Turn
from chappe.store.flags import Flag
from chappe.store.lanes import LaneClass, lane
from chappe.store.message_parts import Cut, PartLate
from chappe.store.messages import key_of
from chappe.store.outcomes import Doubt, Finish, Requeue
from chappe.store.refusals import Refusal

VALIDITY = timedelta(hours=48)
"""How long a message is tried at all (SMS Partner's default validity)."""

CLOSED_MAX = timedelta(days=4)
"""The longest that a sending window stays closed: a Sunday between holidays."""


class Flight(msgspec.Struct):
    """One claimed message: which parts are answered, and the worst of what was not a yes."""

    claimed: Claimed
    parts: int = 0  # as the link made them; 0 until the first result
    done: int = 0  # bit n: part n is at the carrier, from before or now
    answered: int = 0  # parts that came to something now
    trouble: PartResult | None = None
    refs: dict[int, str] = msgspec.field(default_factory=dict)  # of a long message: part -> the carrier's id


@dataclass(slots=True)
class Decisions:
    """What one turn has to write beside the usual."""

    requeue: list[Requeue] = field(default_factory=list)
    finish: list[Finish] = field(default_factory=list)
    doubt: list[Doubt] = field(default_factory=list)
    resolved: list[int] = field(default_factory=list)
    parts_late: list[PartLate] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    late_refused: list[tuple[int, str]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (
            self.requeue
            or self.finish
            or self.doubt
            or self.resolved
            or self.parts_late
            or self.cuts
            or self.late_refused
            or self.refusals
        )


# Of several parts' troubles the first of these decides about the message.
_WORST = (
    FaultKind.UNSENDABLE,
    FaultKind.PERMANENT,
    FaultKind.IN_DOUBT,
    FaultKind.TEMPORARY,
    FaultKind.BLOCKED,
    FaultKind.THROTTLED,
    FaultKind.UNSENT,
)
_RANK = {fault: rank for rank, fault in enumerate(_WORST)}


@dataclass(frozen=True, slots=True)
class Rules:
    """What may differ by carrier in these decisions. uncertain: `auto` resends transactional messages and holds
    others."""

    carrier_id: int
    uncertain: str = "auto"
    grace_s: float = 10.0

    def policy(self, flags: int) -> retry.Policy:
        resend = self.uncertain == "resend" or (self.uncertain == "auto" and bool(flags & Flag.TRANSACTIONAL))
        return retry.Policy(resend=resend, grace_s=self.grace_s)


def absorb(flight: Flight, result: PartResult, news: Turn) -> bool:
    """Takes one part's result into the flight and the news; True when the message has come to a decision."""
    flight.parts = parts = result.parts
    flight.answered += 1
    if result.fault is TAKEN:
        flight.done |= 1 << result.part
        news.r_message.append(result.message_id)
        news.r_part.append(result.part)
        # A carrier that gives no id sends no receipt that could be matched; the row still says that it was submitted.
        news.r_ref.append(result.carrier_ref or f"none-{result.message_id}-{result.part}")
        if parts > 1:
            _compare(flight, result, news)
    else:
        worst = flight.trouble
        if worst is None or worst.fault is None or _RANK[result.fault] < _RANK[worst.fault]:
            flight.trouble = result
    before = (flight.claimed.parts_done >> 1).bit_count() if parts > 1 else 0
    return flight.answered + before >= parts


def _compare(flight: Flight, result: PartResult, news: Turn) -> None:
    """Some carriers give one id for all parts of a message, or one for the first and none for the others."""
    refs, ref = flight.refs, result.carrier_ref
    known = [other for other in refs.values() if other]
    if flight.claimed.parts_done or ref in known:
        share(result.message_id, result.part, ref, news)
    elif known and not ref:
        share(result.message_id, result.part, known[-1], news)
    elif ref and not known:
        for part in refs:
            share(result.message_id, part, ref, news)
    refs[result.part] = ref


def share(message_id: int, part: int, ref: str, news: Turn) -> None:
    """This part may have the id, and with it the receipts, of another one; an empty ref: of whichever has one."""
    news.s_message.append(message_id)
    news.s_part.append(part)
    news.s_ref.append(ref)


def tell_taken(claimed: Claimed, news: Turn) -> None:
    """A message is at the carrier, whole: whoever wants to hear of that does."""
    if claimed.flags & Flag.REPORTS_WAITING and claimed.report_host is not None:
        news.w_message.append(claimed.message_id)
        news.w_host.append(claimed.report_host)


def decide(
    flight: Flight,
    until: datetime,
    now: datetime,
    chance: float,
    rules: Rules,
    decisions: Decisions,
    *,
    elsewhere: bool = False,
) -> None:
    """Writes down what follows for a message whose parts have all come to something, and not all to a yes. until: when
    it is no longer tried. elsewhere: some route of it leads to another carrier."""
    claimed = flight.claimed
    trouble = flight.trouble
    assert trouble is not None
    done = flight.done | claimed.parts_done
    kept = done.bit_count()
    if trouble.fault in (FaultKind.PERMANENT, FaultKind.UNSENDABLE):
        state, what = (State.REJECTED, "refused") if trouble.fault is FaultKind.PERMANENT else (State.FAILED, "failed")
        if elsewhere and not done and may_leave_elsewhere(claimed, trouble):
            decisions.requeue.append(_refused_here(claimed, trouble, now))
            decisions.refusals.append(
                Refusal(claimed.message_id, rules.carrier_id, state, trouble.reason, what, trouble.detail)
            )
            return
        decisions.finish.append(Finish(claimed.message_id, state, kept, trouble.reason, what, trouble.detail))
    elif trouble.fault is FaultKind.IN_DOUBT:
        decisions.doubt.append(
            doubtful(
                claimed.message_id, claimed.flags, claimed.doubts, done, trouble.detail, now, claimed.due_at, rules
            )
        )
    elif trouble.fault in (FaultKind.TEMPORARY, FaultKind.BLOCKED, FaultKind.THROTTLED):
        _retry(claimed, trouble, done, kept, until, now, chance, rules, decisions)
    else:
        decisions.requeue.append(
            Requeue(claimed.message_id, claimed.lane, claimed.key, claimed.attempts, done, State.QUEUED)
        )


def may_leave_elsewhere(claimed: Claimed, trouble: PartResult) -> bool:
    """Whether another carrier may be asked: what is refused is refused by this one only, and no copy of the message may
    have arrived."""
    return trouble.other_route and not claimed.doubts


def _refused_here(claimed: Claimed, trouble: PartResult, now: datetime) -> Requeue:
    """A message that this carrier does not want: its other routes are asked at once, and not before now, so that the
    timeline tells both in their order."""
    nowhere = lane(0, LaneClass.WAITING)
    detail = f"{trouble.detail}; its next route is asked"
    return Requeue(claimed.message_id, nowhere, key_of(now), claimed.attempts, 0, State.QUEUED, "refused_here", detail)


def deadline(claimed: Claimed, opened_at: datetime | None = None) -> datetime:
    """Until when a message is tried. The time in which it had to wait for its window does not count against it: of a
    first attempt we know when it became due; for later ones opened_at says when its window opened after it was due, and
    commercial messages get the longest wait as well."""
    began_at = claimed.due_at if opened_at is None else max(claimed.due_at, opened_at)
    if not claimed.attempts:
        began_at = max(began_at, datetime.fromtimestamp(claimed.key / 1_000_000, UTC))
    if claimed.flags & Flag.TRANSACTIONAL:
        return began_at + VALIDITY
    return began_at + VALIDITY + CLOSED_MAX


def overdue(claimed: Claimed, now: datetime, until: datetime) -> Finish | None:
    """The end of a message that nobody would want any more, after an outage; None while it is worth sending."""
    if now < until or claimed.parts_done:
        return None
    detail = "its validity was over before it left"
    return Finish(claimed.message_id, _given_up(claimed), 0, "deadline", "gave_up", detail)


def _given_up(claimed: Claimed) -> State:
    """The end of what is not tried any more. Of one that was in doubt a copy may have arrived: nobody may say that it
    was not sent, nor give its money back."""
    return State.NO_RECEIPT if claimed.doubts else State.FAILED


def doubtful(
    message_id: int, flags: int, doubts: int, done: int, detail: str, now: datetime, due_at: datetime, rules: Rules
) -> Doubt:
    """What policy makes of a message in doubt."""
    decision = retry.decide(
        FaultKind.IN_DOUBT, 0, now, max(due_at, now - VALIDITY / 2) + VALIDITY, 0.5, rules.policy(flags), doubts
    )
    assert isinstance(decision, retry.Uncertain)
    return Doubt(message_id, key_of(decision.resend_at) if decision.resend_at else 0, done, detail)


def _retry(
    claimed: Claimed,
    trouble: PartResult,
    done: int,
    kept: int,
    until: datetime,
    now: datetime,
    chance: float,
    rules: Rules,
    decisions: Decisions,
) -> None:
    assert trouble.fault is not None
    # A wrong setting is nobody's message's fault, but one message that alone meets it must not stop the others.
    policy = retry.DEFAULT if trouble.attempts_max is None else retry.Policy(attempts_max=trouble.attempts_max)
    decision = retry.decide(trouble.fault, claimed.attempts, now, until, chance, policy)
    if isinstance(decision, retry.RetryAt):
        decisions.requeue.append(
            Requeue(
                claimed.message_id,
                lane(rules.carrier_id, LaneClass.WAITING),
                key_of(decision.when),
                decision.attempts,
                done,
                State.QUEUED,
                "retry",
                trouble.detail,
            )
        )
    else:
        assert isinstance(decision, retry.GiveUp)
        detail = f"{decision.reason}: {trouble.detail}"
        decisions.finish.append(Finish(claimed.message_id, _given_up(claimed), kept, trouble.reason, "gave_up", detail))


def not_for_this_carrier(claimed: Claimed) -> Requeue:
    """A claimed message that may not leave through this carrier (any more): its routes are asked anew at once."""
    nowhere = lane(0, LaneClass.WAITING)
    why = "this carrier takes the demo account's messages only"
    return Requeue(claimed.message_id, nowhere, claimed.key, claimed.attempts, 0, State.QUEUED, "rerouted", why)


def held(claimed: Claimed, verdict: Verdict, now: datetime, rules: Rules) -> Requeue:
    """A claimed message whose sending window is closed: it waits until it opens. One whose window never opens is asked
    about again every day, until an operator changes the profile or it is too old."""
    due_at = verdict.next_at or now + timedelta(days=1)
    waiting = lane(rules.carrier_id, LaneClass.WAITING)
    why = f"{verdict.reason or 'hold.night'}, until {due_at:%Y-%m-%d %H:%M:%S} UTC"
    return Requeue(
        claimed.message_id, waiting, key_of(due_at), claimed.attempts, claimed.parts_done, State.HELD, "held", why
    )
