"""What keeps one bind from sending, each rule by itself and without any clock."""

from __future__ import annotations

import pytest

from chappe.carriers.flow_control import Breaker, Pace, Trial


def test_without_a_rate_only_pauses_count() -> None:
    free = Pace(0, 10)
    assert free.rate_per_s == 0
    assert free.room(500, 30, 0.0) == (500, 0.0)
    assert free.take(500, 0.0) == (500, 0.0)
    free.slow_down(2.0, 10.0)
    assert free.is_paused(11.9)
    assert not free.is_paused(12.0)


@pytest.mark.parametrize(("rate", "burst", "at_once"), [(100, 10, 10), (5, 10, 5), (0.5, 10, 1), (100, 1, 1)])
def test_a_burst_is_a_second_s_share_at_most_and_one_part_at_least(rate: float, burst: float, at_once: int) -> None:
    bucket = Pace(rate, burst)
    allowed, wait_s = bucket.take(1000, 0.0)
    assert allowed == at_once
    assert wait_s == pytest.approx(1 / rate)
    assert bucket.take(1, wait_s) == (1, 0.0)


def test_looking_takes_nothing_and_leaves_room_for_what_waits() -> None:
    bucket = Pace(10, 10)
    for _ in range(3):
        assert bucket.room(4, 0, 0.0) == (4, 0.0)
        assert bucket.room(10, 7, 0.0) == (3, 0.0)
    assert bucket.room(10, 10, 0.0) == (0, pytest.approx(0.1))
    assert bucket.room(0, 0, 0.0) == (0, 0.0)
    assert bucket.room(-3, 0, 0.0) == (-3, 0.0)
    assert bucket.take(10, 0.0) == (10, 0.0)


def test_a_complaint_halves_the_rate_and_pauses_and_a_shorter_pause_does_not_end_a_longer_one() -> None:
    bucket = Pace(100, 10)
    bucket.slow_down(3.0, 0.0)
    assert bucket.rate_per_s == 50
    bucket.pause(1.0, 0.5)
    assert bucket.paused_until == 3.0
    assert bucket.is_paused(2.9)


def test_the_breaker_trips_after_so_many_failures_in_a_row_and_begins_anew() -> None:
    breaker = Breaker(3)
    assert [breaker.failed() for _ in range(7)] == [False, False, True, False, False, True, False]
    breaker.worked()
    assert [breaker.failed() for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("answers", "doubts", "before", "after"),
    [
        (0, 5, False, True),  # it took messages and answered none
        (1, 5, False, False),
        (0, 0, False, False),  # nothing was tried
        (0, 0, True, True),  # and so a trial goes on
        (2, 0, True, False),
        (0, 1, True, True),
    ],
)
def test_a_connection_that_brings_nothing_but_doubt_makes_the_next_a_trial(
    answers: int, doubts: int, before: bool, after: bool
) -> None:
    trial = Trial()
    if before:
        trial.begin()
        trial.doubted()
        trial.end()
    assert trial.is_on is before
    trial.begin()
    for _ in range(doubts):
        trial.doubted()
    if answers:
        trial.answered(answers)
    trial.end()
    assert trial.is_on is after
