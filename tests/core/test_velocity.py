"""Limits by hour and day: which destination a number has, what may be spent, and how very many things are counted."""

from __future__ import annotations

import random

import pytest

from chappe.core.model import AccountSettings
from chappe.core.velocity import Sketch, country_of, spend_limits

EURO = 1_000_000


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+33612345678", ""),
        ("+262692123456", ""),
        ("+590690123456", ""),
        ("+508551234", ""),
        ("+32470123456", "32"),
        ("+447911123456", "44"),
        ("+237673564186", "237"),
        ("+35312345678", "353"),
        ("+12025550123", "1202"),
        ("+18765550123", "1876"),
        ("+79161234567", "79"),
        ("+77011234567", "77"),
        ("+689871234", "689"),
    ],
)
def test_a_destination_is_a_country(number: str, country: str) -> None:
    assert country_of(number) == country


@pytest.mark.parametrize(
    ("settings", "credit", "hour", "day", "most"),
    [
        ({}, 100, 0, 0, (2_000, 5_000)),
        ({}, 20_000, 0, 0, (10_000, 16_000)),
        ({}, 10_000, 10_000, 10_000, (10_000, 16_000)),  # what was spent was credit when the hour began
        ({}, 1_000_000, 0, 0, (500_000, 800_000)),
        ({"spend_per_hour_micros": 50 * EURO}, 20_000, 0, 0, (50, 16_000)),
        ({"spend_per_hour_micros": 0, "spend_per_day_micros": 0}, 20_000, 0, 0, (0, 0)),
    ],
)
def test_what_may_be_spent(settings: dict[str, int], credit: int, hour: int, day: int, most: tuple[int, int]) -> None:
    found = spend_limits(AccountSettings(**settings), credit * EURO, hour * EURO, day * EURO)  # type: ignore[arg-type]
    assert found == (most[0] * EURO, most[1] * EURO)


def test_a_sketch_finds_what_is_met_often_among_very_many_that_are_met_once() -> None:
    chance = random.Random(7)
    sketch, often = Sketch(), [chance.getrandbits(62) for _ in range(5)]
    for round_ in range(40):
        for hashed in often:
            assert sketch.add(hashed) >= round_ + 1
        for _ in range(5_000):
            sketch.add(chance.getrandbits(62))
    assert sketch.stray == 0
    assert all(40 <= sketch.add(hashed) - 1 <= 43 for hashed in often)
    assert max(sketch.add(chance.getrandbits(62)) for _ in range(1_000)) < 10


def test_a_sketch_takes_back_what_it_added_and_never_falls_below_zero() -> None:
    sketch = Sketch()
    for _ in range(3):
        sketch.add(-17)  # hashes may be negative
    for _ in range(5):
        sketch.take_back(-17)
    assert sketch.add(-17) == 1


def test_what_is_taken_back_is_not_met() -> None:
    sketch = Sketch()
    assert [sketch.add(7) for _ in range(3)] == [1, 2, 3]
    assert [sketch.take_back(7) for _ in range(3)] == [2, 1, 0]
    assert sketch.add(7) == 1
    assert sketch.stray == 0
