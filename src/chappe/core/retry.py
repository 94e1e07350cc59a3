"""What to do after a fault: try again at an instant, give up, or admit that nobody knows. Decisions are values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from chappe.core.errors import FaultKind
from chappe.core.lifecycle import Event


class RetryAt(NamedTuple):
    """Queue it again for `when`; `attempts` is the count to store."""

    when: datetime
    attempts: int


class GiveUp(NamedTuple):
    """It ends here: why, and the lifecycle event that says so."""

    reason: str
    event: Event


class Uncertain(NamedTuple):
    """It may have been taken; `resend_at` is when policy sends it once more, None for never by itself."""

    resend_at: datetime | None


Decision = RetryAt | GiveUp | Uncertain


@dataclass(frozen=True)
class Policy:
    """How patiently one route retries.

    ladder_s: delays after the first, second... counted attempt, the last one repeats. attempts_max: counted attempts,
    the refused one included. pause_s: delay of the faults that cost no attempt. jitter: each delay is spread over plus
    or minus this share. resend: send a message in doubt once more, `grace_s` later, at most `resends_max` times.
    """

    ladder_s: tuple[float, ...] = (5, 30, 120, 600, 1800, 3600)
    attempts_max: int = 100
    pause_s: Mapping[FaultKind, float] = field(
        default_factory=lambda: {FaultKind.THROTTLED: 1.0, FaultKind.UNSENT: 2.0, FaultKind.BLOCKED: 60.0}
    )
    jitter: float = 0.2
    resend: bool = True
    grace_s: float = 300.0
    resends_max: int = 1
    last_try_s: float = 30.0
    """A retry that would fall beyond the deadline is made this long before it instead, if at least as long remains
    until then."""

    def __post_init__(self) -> None:
        if not self.ladder_s or min(self.ladder_s) <= 0 or not 0 <= self.jitter < 1:
            raise ValueError("a ladder has steps over zero seconds, and jitter is a share below one")
        if min((self.grace_s, self.last_try_s, *self.pause_s.values())) < 0:
            raise ValueError("a delay is not negative")


DEFAULT = Policy()
TRANSACTIONAL = DEFAULT
COMMERCIAL = Policy(resend=False)

_FOR_GOOD: Mapping[FaultKind, GiveUp] = {
    FaultKind.PERMANENT: GiveUp("refused", Event.REJECT),
    FaultKind.UNSENDABLE: GiveUp("unsendable", Event.FAIL),
}


def decide(
    fault: FaultKind,
    attempts: int,
    now: datetime,
    deadline: datetime,
    chance: float,
    policy: Policy = DEFAULT,
    resends: int = 0,
) -> Decision:
    """Decide what follows a fault.

    `attempts`: counted attempts before this one; `deadline`: end of validity, nothing is tried at or after it;
    `chance`: 0 to 1, for jitter; `resends`: how often this message was already sent again in doubt. Throttling, a lost
    link and a carrier that takes nothing cost no attempt: they say nothing about the message.
    """
    if fault is FaultKind.IN_DOUBT:
        return _doubt(now, deadline, policy, resends)
    if fault in _FOR_GOOD:
        return _FOR_GOOD[fault]
    if fault in policy.pause_s:
        return _retry(now, deadline, policy.pause_s[fault], chance, policy, attempts)
    made = attempts + 1
    if made >= policy.attempts_max:
        return GiveUp("attempts", Event.FAIL)
    delay_s = policy.ladder_s[min(attempts, len(policy.ladder_s) - 1)]
    return _retry(now, deadline, delay_s, chance, policy, made)


def _retry(
    now: datetime, deadline: datetime, delay_s: float, chance: float, policy: Policy, attempts: int
) -> RetryAt | GiveUp:
    spread_s = delay_s * (1 + policy.jitter * (2 * chance - 1))
    when = now + timedelta(seconds=spread_s)
    if when < deadline:
        return RetryAt(when, attempts)
    margin = timedelta(seconds=policy.last_try_s)
    last = deadline - margin
    return RetryAt(last, attempts) if last > now + margin else GiveUp("deadline", Event.FAIL)


def _doubt(now: datetime, deadline: datetime, policy: Policy, resends: int) -> Uncertain:
    resend_at = now + timedelta(seconds=policy.grace_s)
    allowed = policy.resend and resends < policy.resends_max and resend_at < deadline
    return Uncertain(resend_at if allowed else None)
