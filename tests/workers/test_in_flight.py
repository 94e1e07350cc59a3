"""What follows when the parts of a message have come to something: a table of cases; nothing here touches the world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chappe.carriers import TAKEN, PartResult
from chappe.core.errors import FaultKind
from chappe.core.lifecycle import State
from chappe.store.bind_turn import Claimed, Turn
from chappe.store.flags import Flag
from chappe.store.lanes import LaneClass
from chappe.store.messages import key_of
from chappe.store.outcomes import Finish
from chappe.workers.in_flight import (
    VALIDITY,
    Decisions,
    Flight,
    Rules,
    absorb,
    deadline,
    decide,
    doubtful,
    overdue,
    tell_taken,
)

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
RULES = Rules(3, "auto", 10.0)


def claimed(**given: object) -> Claimed:
    usual: dict[str, object] = {
        "message_id": 1 << 16, "lane": 3 * 8 + 1, "key": 5, "attempts": 0, "parts_done": 0, "account_id": 1, "parts": 1,
        "doubts": 0, "recipient": "+33600000001", "text": "x", "sender": "S", "flags": 0, "report_host": None,
        "dialect": "smspartner", "due_at": NOW,
    }  # fmt: skip
    return Claimed(**(usual | given))  # type: ignore[arg-type]


def ended(row: Claimed, now: datetime) -> Finish | None:
    return overdue(row, now, deadline(row))


def result(fault: FaultKind | None, part: int = 0, parts: int = 1, **given: object) -> PartResult:
    return PartResult(1 << 16, part, parts, fault, **given)  # type: ignore[arg-type]


def play(row: Claimed, *results: PartResult, rules: Rules = RULES) -> tuple[Turn, Decisions]:
    flight, news, decisions = Flight(row), Turn(), Decisions()
    ready = [absorb(flight, one, news) for one in results]
    assert ready == [False] * (len(results) - 1) + [True]
    if flight.trouble is None:
        tell_taken(row, news)
    else:
        decide(flight, deadline(row), NOW, 0.5, rules, decisions)
    return news, decisions


def test_a_yes_is_a_reference_and_nothing_else() -> None:
    news, decisions = play(claimed(), result(TAKEN, carrier_ref="abc"))
    assert (news.r_message, news.r_part, news.r_ref) == ([1 << 16], [0], ["abc"])
    assert decisions.empty
    assert news.w_message == []


@pytest.mark.parametrize(
    ("flags", "host", "told"),
    [(Flag.REPORTS_WAITING, 7, [7]), (Flag.REPORTS_WAITING, None, []), (0, 7, [])],
)
def test_waiting_is_told_to_those_who_asked(flags: int, host: int | None, told: list[int]) -> None:
    news, _ = play(claimed(flags=int(flags), report_host=host), result(TAKEN, carrier_ref="a"))
    assert news.w_host == told


def test_a_carrier_without_ids_still_leaves_a_trace() -> None:
    news, _ = play(claimed(), result(TAKEN))
    assert news.r_ref == [f"none-{1 << 16}-0"]


@pytest.mark.parametrize(
    ("faults", "finish", "requeue", "doubt"),
    [
        ([TAKEN, FaultKind.PERMANENT, FaultKind.UNSENT], (State.REJECTED, 1), None, False),
        ([TAKEN, TAKEN, FaultKind.UNSENDABLE], (State.FAILED, 2), None, False),
        ([FaultKind.IN_DOUBT, FaultKind.PERMANENT, FaultKind.TEMPORARY], (State.REJECTED, 0), None, False),
        ([FaultKind.PERMANENT, FaultKind.UNSENDABLE, TAKEN], (State.FAILED, 1), None, False),
        ([FaultKind.IN_DOUBT, FaultKind.TEMPORARY, FaultKind.UNSENT], None, None, True),
        ([TAKEN, FaultKind.TEMPORARY, FaultKind.UNSENT], None, (LaneClass.WAITING, 1, 0b10), False),
        ([TAKEN, FaultKind.BLOCKED, FaultKind.UNSENT], None, (LaneClass.WAITING, 0, 0b10), False),
        ([TAKEN, FaultKind.THROTTLED, FaultKind.UNSENT], None, (LaneClass.WAITING, 0, 0b10), False),
        ([FaultKind.UNSENT, TAKEN, TAKEN], None, (1, 0, 0b1100), False),
    ],
)
def test_the_worst_part_decides_and_what_arrived_is_remembered(
    faults: list[FaultKind | None], finish: tuple[State, int] | None, requeue: tuple[int, int, int] | None, doubt: bool
) -> None:
    results = [result(fault, part, 3, carrier_ref=f"r{part}") for part, fault in enumerate(faults, 1)]
    _, decisions = play(claimed(parts=3), *results)
    assert [(one.state, one.kept) for one in decisions.finish] == ([finish] if finish else [])
    assert [(one.lane % 8, one.attempts, one.parts_done) for one in decisions.requeue] == ([requeue] if requeue else [])
    assert bool(decisions.doubt) is doubt


def test_parts_that_arrived_before_are_not_waited_for() -> None:
    _, decisions = play(claimed(parts=3, parts_done=0b1010), result(TAKEN, 2, 3, carrier_ref="b"))
    assert decisions.empty
    _, decisions = play(claimed(parts=3, parts_done=0b1010), result(FaultKind.PERMANENT, 2, 3))
    assert decisions.finish[0].kept == 2


@pytest.mark.parametrize(
    ("attempts", "cap", "ends"), [(0, None, False), (98, None, False), (99, None, True), (1, 3, False), (2, 3, True)]
)
def test_attempts_are_counted_and_capped(attempts: int, cap: int | None, ends: bool) -> None:
    _, decisions = play(claimed(attempts=attempts), result(FaultKind.TEMPORARY, reason="rsyserr", attempts_max=cap))
    if ends:
        assert (decisions.finish[0].state, decisions.finish[0].what) == (State.FAILED, "gave_up")
        assert decisions.finish[0].reason == "rsyserr"
    else:
        assert decisions.requeue[0].attempts == attempts + 1


def test_the_validity_ends_retries() -> None:
    _, decisions = play(claimed(due_at=NOW - VALIDITY, flags=Flag.TRANSACTIONAL), result(FaultKind.TEMPORARY))
    assert decisions.finish[0].detail.startswith("deadline")
    _, decisions = play(claimed(due_at=NOW - VALIDITY, flags=Flag.TRANSACTIONAL), result(FaultKind.BLOCKED))
    assert decisions.finish[0].state is State.FAILED


@pytest.mark.parametrize(
    ("uncertain", "flags", "doubts", "resent"),
    [
        ("auto", Flag.TRANSACTIONAL, 0, True),
        ("auto", 0, 0, False),
        ("resend", 0, 0, True),
        ("hold", Flag.TRANSACTIONAL, 0, False),
        ("resend", 0, 1, False),
    ],
)
def test_a_doubt_is_resent_once_at_most_and_by_policy(uncertain: str, flags: int, doubts: int, resent: bool) -> None:
    doubt = doubtful(1, int(flags), doubts, 0b10, "cut", NOW, NOW, Rules(3, uncertain, 10.0))
    assert (doubt.key, doubt.parts_done) == (key_of(NOW + timedelta(seconds=10)) if resent else 0, 0b10)


def test_what_is_too_old_is_not_sent_unless_some_of_it_was() -> None:
    urgent = Flag.TRANSACTIONAL
    assert ended(claimed(due_at=NOW - VALIDITY + timedelta(seconds=1), flags=urgent), NOW) is None
    end = ended(claimed(due_at=NOW - VALIDITY, flags=urgent), NOW)
    assert end is not None
    assert (end.state, end.kept, end.reason) == (State.FAILED, 0, "deadline")
    assert ended(claimed(due_at=NOW - VALIDITY, parts=2, parts_done=0b10, flags=urgent), NOW) is None


def test_the_time_that_a_message_waited_for_its_window_does_not_make_it_too_old() -> None:
    accepted_at = NOW - timedelta(days=4)
    opened = claimed(due_at=accepted_at, key=key_of(NOW - timedelta(minutes=1)))
    assert ended(opened, NOW) is None
    _, decisions = play(claimed(due_at=accepted_at, key=key_of(NOW), attempts=1), result(FaultKind.TEMPORARY))
    assert decisions.requeue


def test_what_was_in_doubt_before_is_not_said_never_to_have_left() -> None:
    """One copy may be with the recipient: then `failed`, with its money back, would not be true."""
    late = NOW + VALIDITY + timedelta(days=5)
    end = ended(claimed(doubts=1), late)
    assert end is not None
    assert end.state is State.NO_RECEIPT
    never = ended(claimed(doubts=0), late)
    assert never is not None
    assert never.state is State.FAILED
    row = claimed(doubts=1, attempts=3)
    _, decisions = play(row, result(FaultKind.TEMPORARY, attempts_max=3, detail="0x45"))
    assert [(one.state, one.what) for one in decisions.finish] == [(State.NO_RECEIPT, "gave_up")]


def test_a_window_that_opens_seldom_costs_no_retries() -> None:
    """Held for longer than any closing that comes with Chappe, and refused once: there is time for a second attempt."""
    opened_at = NOW - timedelta(hours=1)
    row = claimed(due_at=NOW - timedelta(days=7), attempts=1)
    assert deadline(row) < NOW
    assert deadline(row, opened_at) > NOW + VALIDITY
    assert overdue(row, NOW, deadline(row, opened_at)) is None
    urgent = claimed(due_at=NOW - timedelta(days=7), attempts=1, flags=Flag.TRANSACTIONAL)
    assert deadline(urgent) == NOW - timedelta(days=7) + VALIDITY
