"""What came of a run is counted message by message: nothing lost or doubled hides behind a sum."""

from array import array

import pytest
from instruments import NUMBERS_PER_RUN
from records import SCATTER, join, percentiles_ms, rates

FIRST = 3 * NUMBERS_PER_RUN
MS = 1_000_000


def asked(*rows: tuple[int, int]) -> bytes:
    """(number, accepted): due in the order of the rows, a millisecond apart."""
    return array(
        "q", [value for at, (n, ok) in enumerate(rows) for value in (FIRST + n, at * MS, at * MS, 0, 200, ok)]
    ).tobytes()


def submits(*rows: tuple[int, int], request: int | None = None, receipt: int = 0) -> bytes:
    """(number, time in ms), of the request with that number or of one for each."""
    values: list[int] = []
    for number, at_ms in rows:
        text = FIRST + (number if request is None else request)
        values += [text, 33_610_000_000 + number * SCATTER % NUMBERS_PER_RUN, at_ms * MS, 0, receipt, 0]
    return array("q", values).tobytes()


def calls(*rows: tuple[int, int, int]) -> bytes:
    """(number, time in ms, interim)"""
    return array("q", [value for n, at, interim in rows for value in (FIRST + n, at * MS, interim)]).tobytes()


@pytest.mark.parametrize(
    ("asked_", "submits_", "expected"),
    [
        (asked((0, 1), (1, 1)), submits((0, 5), (1, 6)), {"delivered": 2, "lost": 0, "twice": 0, "in_none": 0}),
        (asked((0, 1), (1, 1)), submits((1, 6)), {"delivered": 1, "lost": 1, "twice": 0, "in_none": 0}),
        # One twice and one never make the right sum.
        (asked((0, 1), (1, 1)), submits((0, 5), (0, 6)), {"delivered": 1, "lost": 1, "twice": 1, "copies": 1}),
        (asked((0, 1)), submits((0, 5), (0, 6), (0, 7)), {"delivered": 1, "twice": 1, "copies": 2}),
        (asked((0, 0)), submits((0, 5)), {"accepted": 0, "delivered": 1, "lost": 0, "in_none": 1}),
        (asked((0, 0)), submits(), {"accepted": 0, "delivered": 0, "lost": 0, "in_none": 0}),
    ],
)
def test_losses_and_copies_are_told_apart(asked_: bytes, submits_: bytes, expected: dict[str, int]) -> None:
    joined = join(FIRST, 1, asked_, submits_, None)
    assert {name: getattr(joined, name) for name in expected} == expected


def test_messages_of_other_runs_count_for_nothing() -> None:
    other = array("q", [FIRST - NUMBERS_PER_RUN, 33_610_000_000, 1, 0, 0, 0]).tobytes()
    joined = join(FIRST, 1, asked((0, 1)), other, None)
    assert (joined.delivered, joined.lost) == (0, 1)


def test_each_recipient_of_a_request_is_a_message() -> None:
    joined = join(FIRST, 3, asked((0, 1)), submits((0, 5), (2, 6), request=0), None)
    assert (joined.asked, joined.accepted, joined.delivered, joined.lost) == (3, 3, 2, 1)


def test_latency_counts_from_when_a_request_was_due() -> None:
    joined = join(FIRST, 1, asked((0, 1), (1, 1)), submits((0, 5), (1, 9)), None)
    assert joined.end_to_end_ms == {"p50": 5.0, "p90": 5.0, "p99": 5.0, "max": 8.0}


def test_calls_are_counted_by_what_they_say() -> None:
    told = calls((0, 20, 1), (0, 30, 0), (1, 30, 0), (1, 31, 0), (2, 40, 1))
    reached = submits((0, 5), (1, 6), (2, 7), receipt=10 * MS)
    joined = join(FIRST, 1, asked((0, 1), (1, 1), (2, 1)), reached, told)
    assert (joined.receipts, joined.called, joined.called_interim) == (3, 2, 2)
    assert (joined.receipts_lost, joined.calls_extra) == (1, 1)


def test_a_steady_rate_leaves_the_outer_tenths_out() -> None:
    times = [0, *range(1_000 * MS, 1_009 * MS, MS), 9_000 * MS]
    steady, whole = rates(times, 0)
    assert steady == 1_000.0
    assert whole == round(len(times) / 9, 1)


def test_percentiles_of_nothing_are_no_zeros() -> None:
    assert percentiles_ms([]) == {}
    assert rates([], 0) == (0.0, 0.0)
