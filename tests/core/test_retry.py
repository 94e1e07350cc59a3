"""Retries: each class of trouble has its answer, and every ladder ends."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import retry
from chappe.core.errors import FaultKind
from chappe.core.lifecycle import Event, State, move
from chappe.core.retry import COMMERCIAL, GiveUp, Policy, RetryAt, Uncertain

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
DEADLINE = NOW + timedelta(hours=48)
chances = st.floats(0, 1)
FREE = (FaultKind.THROTTLED, FaultKind.UNSENT, FaultKind.BLOCKED)


def seconds(decision: retry.Decision) -> float:
    assert isinstance(decision, RetryAt)
    return (decision.when - NOW).total_seconds()


@pytest.mark.parametrize(
    ("attempts", "delay_s"), [(0, 5), (1, 30), (2, 120), (3, 600), (4, 1800), (5, 3600), (6, 3600), (50, 3600)]
)
def test_temporary_trouble_climbs_the_ladder(attempts: int, delay_s: float) -> None:
    decision = retry.decide(FaultKind.TEMPORARY, attempts, NOW, DEADLINE, 0.5)
    assert decision == RetryAt(NOW + timedelta(seconds=delay_s), attempts + 1)


@pytest.mark.parametrize(
    ("fault", "delay_s"), [(FaultKind.THROTTLED, 1), (FaultKind.UNSENT, 2), (FaultKind.BLOCKED, 60)]
)
def test_trouble_of_the_carrier_costs_the_message_no_attempt(fault: FaultKind, delay_s: float) -> None:
    assert retry.decide(fault, 7, NOW, DEADLINE, 0.5) == RetryAt(NOW + timedelta(seconds=delay_s), 7)


@pytest.mark.parametrize(
    ("fault", "reason", "state"),
    [(FaultKind.PERMANENT, "refused", State.REJECTED), (FaultKind.UNSENDABLE, "unsendable", State.FAILED)],
)
def test_trouble_for_good_ends_the_message(fault: FaultKind, reason: str, state: State) -> None:
    decision = retry.decide(fault, 0, NOW, DEADLINE, 0.5)
    assert isinstance(decision, GiveUp)
    assert decision.reason == reason
    assert move(State.SUBMITTING, decision.event) is state


def test_an_unexplained_status_is_tried_three_times() -> None:
    few = Policy(attempts_max=3)
    assert isinstance(retry.decide(FaultKind.TEMPORARY, 0, NOW, DEADLINE, 0.5, few), RetryAt)
    assert isinstance(retry.decide(FaultKind.TEMPORARY, 1, NOW, DEADLINE, 0.5, few), RetryAt)
    assert retry.decide(FaultKind.TEMPORARY, 2, NOW, DEADLINE, 0.5, few) == GiveUp("attempts", Event.FAIL)


def test_even_temporary_trouble_has_a_limit() -> None:
    assert retry.decide(FaultKind.TEMPORARY, 99, NOW, DEADLINE, 0.5) == GiveUp("attempts", Event.FAIL)


def test_a_step_beyond_the_deadline_becomes_a_last_try_before_it() -> None:
    deadline = NOW + timedelta(minutes=40)
    decision = retry.decide(FaultKind.TEMPORARY, 5, NOW, deadline, 0.5)
    assert decision == RetryAt(deadline - timedelta(seconds=30), 6)
    assert retry.decide(FaultKind.TEMPORARY, 6, decision.when, deadline, 0.5) == GiveUp("deadline", Event.FAIL)


@pytest.mark.parametrize("fault", [FaultKind.TEMPORARY, *FREE])
def test_nothing_is_tried_at_or_after_the_deadline(fault: FaultKind) -> None:
    for late_s in (0, 1, 86_400 * 3):
        deadline = NOW - timedelta(seconds=late_s)
        assert retry.decide(fault, 0, NOW, deadline, 0.5) == GiveUp("deadline", Event.FAIL)


@pytest.mark.parametrize(
    ("policy", "resends", "left_s", "resend_s"),
    [
        (Policy(), 0, 3600, 300),
        (Policy(), 1, 3600, None),
        (Policy(), 0, 300, None),
        (COMMERCIAL, 0, 3600, None),
        (Policy(grace_s=5), 0, 60, 5),
        (Policy(resends_max=2), 1, 3600, 300),
    ],
)
def test_doubt_is_settled_by_policy_and_at_most_so_often(
    policy: Policy, resends: int, left_s: float, resend_s: float | None
) -> None:
    decision = retry.decide(FaultKind.IN_DOUBT, 0, NOW, NOW + timedelta(seconds=left_s), 0.5, policy, resends)
    assert decision == Uncertain(None if resend_s is None else NOW + timedelta(seconds=resend_s))


@given(st.sampled_from(FaultKind), st.integers(0, 200), st.integers(-10, 200_000), chances)
def test_a_retry_is_after_now_and_before_the_deadline(
    fault: FaultKind, attempts: int, left_s: int, chance: float
) -> None:
    deadline = NOW + timedelta(seconds=left_s)
    decision = retry.decide(fault, attempts, NOW, deadline, chance)
    if isinstance(decision, RetryAt):
        assert NOW < decision.when < deadline
        assert decision.attempts == attempts + (fault not in FREE)


@given(st.floats(0, 1), st.integers(0, 10))
def test_jitter_spreads_by_its_share(chance: float, attempts: int) -> None:
    plain_s = Policy().ladder_s[min(attempts, 5)]
    decision = retry.decide(FaultKind.TEMPORARY, attempts, NOW, DEADLINE, chance)
    assert plain_s * 0.8 - 0.001 <= seconds(decision) <= plain_s * 1.2 + 0.001


@given(st.lists(chances, min_size=1, max_size=5))
def test_every_ladder_ends(chances_drawn: list[float]) -> None:
    now, attempts = NOW, 0
    for chance in itertools.islice(itertools.cycle(chances_drawn), 300):
        decision = retry.decide(FaultKind.TEMPORARY, attempts, now, DEADLINE, chance)
        if isinstance(decision, GiveUp):
            return
        assert isinstance(decision, RetryAt)
        now, attempts = decision.when, decision.attempts
    raise AssertionError("still retrying after 300 steps")


@pytest.mark.parametrize(
    "wrong",
    [
        {"ladder_s": ()},
        {"ladder_s": (0.0,)},
        {"jitter": 1.0},
        {"jitter": -0.1},
        {"grace_s": -1.0},
        {"last_try_s": -1.0},
    ],
)
def test_a_policy_without_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"ladder|delay"):
        Policy(**wrong)  # type: ignore[arg-type]
