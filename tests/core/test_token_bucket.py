"""Pace: never faster than agreed, slower after a complaint, and back again."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import token_bucket

times = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 20), st.booleans()), max_size=40)


def test_a_full_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = token_bucket.full(10, 5, 0)
    bucket, allowed, wait_s = token_bucket.take(bucket, 8, 0)
    assert allowed == 5
    assert wait_s == pytest.approx(0.1)
    bucket, allowed, wait_s = token_bucket.take(bucket, 1, wait_s)
    assert (allowed, wait_s) == (1, 0)
    bucket, allowed, _ = token_bucket.take(bucket, 100, 10)
    assert allowed == 5


def test_less_than_one_message_a_second_works() -> None:
    bucket = token_bucket.full(0.5, 1, 0)
    bucket, allowed, wait_s = token_bucket.take(bucket, 2, 0)
    assert allowed == 1
    assert wait_s == pytest.approx(2)
    assert token_bucket.take(bucket, 1, 1.9)[1] == 0
    assert token_bucket.take(bucket, 1, 2)[1] == 1


@given(st.floats(0.1, 5000), st.floats(1, 100), st.floats(0, 1e6))
def test_waiting_as_long_as_told_is_enough(rate: float, burst: float, now_s: float) -> None:
    bucket, _, wait_s = token_bucket.take(token_bucket.full(rate, burst, now_s), 1000, now_s)
    assert wait_s > 0
    assert token_bucket.take(bucket, 1, now_s + wait_s + 1e-9)[1] == 1


@given(st.floats(0.5, 1000), st.floats(1, 50), times)
def test_the_agreed_rate_is_never_passed_and_throttling_never_speeds_up(
    rate: float, burst: float, steps: list[tuple[float, int, bool]]
) -> None:
    bucket, now_s, sent = token_bucket.full(rate, burst, 0), 0.0, 0
    for gap_s, wanted, complaint in steps:
        now_s += gap_s
        bucket, allowed, wait_s = token_bucket.take(bucket, wanted, now_s)
        sent += allowed
        assert 0 <= allowed <= wanted
        assert (wait_s == 0) == (allowed == wanted)
        assert sent <= burst + rate * now_s + 0.001
        if complaint:
            before = bucket.rate_per_s
            bucket = token_bucket.throttled(bucket, now_s)
            assert bucket.rate_per_s <= min(rate, before + rate)
        assert rate * token_bucket.RATE_SHARE_MIN <= bucket.rate_per_s <= rate


def test_a_complaint_halves_the_rate_and_pauses_for_a_second() -> None:
    bucket = token_bucket.throttled(token_bucket.full(100, 10, 0), 0)
    assert bucket.rate_per_s == 50
    assert token_bucket.take(bucket, 5, 0.25)[1:] == (0, 0.75)
    assert token_bucket.take(bucket, 50, 1.1)[1] == 5


def test_complaints_about_what_was_on_its_way_count_once() -> None:
    bucket = token_bucket.full(100, 10, 0)
    for at_s in (0, 0.1, 0.5, 0.99):
        bucket = token_bucket.throttled(bucket, at_s)
    assert bucket.rate_per_s == 50
    assert token_bucket.throttled(bucket, 1.0).rate_per_s == 25


def test_the_rate_grows_back_step_by_step_up_to_the_contract() -> None:
    bucket = token_bucket.throttled(token_bucket.full(100, 10, 0), 0)
    seen = []
    for second in range(1, 80):
        bucket, _, _ = token_bucket.take(bucket, 0, float(second))
        seen.append(bucket.rate_per_s)
    assert seen == sorted(seen)
    assert seen[:5] == [50] * 5
    assert seen[5] == 55
    assert seen[-1] == 100
    assert seen.index(100) + 1 == 51


def test_growing_in_one_leap_is_growing_in_steps() -> None:
    leap = token_bucket.take(token_bucket.throttled(token_bucket.full(100, 10, 0), 0), 0, 34.0)[0]
    steps = token_bucket.throttled(token_bucket.full(100, 10, 0), 0)
    for second in range(1, 35):
        steps = token_bucket.take(steps, 0, float(second))[0]
    assert leap.rate_per_s == pytest.approx(steps.rate_per_s)
    assert leap.grown_at_s == steps.grown_at_s


def test_constant_complaints_stop_at_a_floor() -> None:
    bucket = token_bucket.full(64, 1, 0)
    for second in range(0, 40, 2):
        bucket = token_bucket.throttled(bucket, float(second))
    assert bucket.rate_per_s == 64 * token_bucket.RATE_SHARE_MIN == 1


def test_a_clock_that_steps_back_gives_and_takes_nothing() -> None:
    bucket, _, _ = token_bucket.take(token_bucket.full(10, 5, 100), 2, 100)
    back, allowed, _ = token_bucket.take(bucket, 1, 50)
    assert (allowed, back.tokens, back.at_s) == (1, 2, 100)


def test_unused_tokens_return_up_to_the_burst() -> None:
    bucket, _, _ = token_bucket.take(token_bucket.full(10, 5, 0), 4, 0)
    assert token_bucket.give_back(bucket, 3).tokens == 4
    assert token_bucket.give_back(bucket, 30).tokens == 5
    assert token_bucket.give_back(bucket, -3).tokens == 1


def test_a_new_contract_keeps_the_share_that_complaints_left() -> None:
    bucket = token_bucket.set_contract(token_bucket.throttled(token_bucket.full(100, 10, 0), 0), 20, 3)
    assert (bucket.contract_per_s, bucket.rate_per_s, bucket.burst) == (20, 10, 3)
    assert token_bucket.set_contract(token_bucket.full(100, 10, 0), 20, 3).tokens == 3


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (math.inf, 1), (math.nan, 1), (1, 0.5), (1, math.nan)])
def test_a_pace_without_sense_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        token_bucket.full(rate, burst, 0)
    with pytest.raises(ValueError, match="rate"):
        token_bucket.set_contract(token_bucket.full(1, 1, 0), rate, burst)
