"""Wrong keys by address: free at first, then counted, forgiven with time, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.web import key_guessing
from chappe.web.key_guessing import DEBT_MAX, FREE, PER_S, Guesses


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def tried(count: int, clock: Clock, remote: str = "203.0.113.7") -> Guesses:
    book = Guesses(clock)
    for _ in range(count):
        book.count(remote)
    return book


@pytest.mark.parametrize(("count", "too_many"), [(0, False), (FREE - 1, False), (FREE, True), (FREE * 50, True)])
def test_an_address_may_be_wrong_so_often_and_another_is_not_its_keeper(count: int, too_many: bool) -> None:
    book = tried(count, Clock())
    assert book.too_many("203.0.113.7") is too_many
    assert not book.too_many("203.0.113.8")


def test_debts_are_paid_off_and_end_within_a_minute_however_many_they_were() -> None:
    clock = Clock()
    book = tried(1_000_000 // 100, clock)
    clock.now_s += DEBT_MAX / PER_S - 0.1
    assert book.too_many("203.0.113.7")
    clock.now_s += 0.2
    assert not book.too_many("203.0.113.7")
    book.count("203.0.113.7")
    assert book.too_many("203.0.113.7"), "one more is one too many"
    clock.now_s += (FREE + 1) / PER_S
    assert not book.too_many("203.0.113.7")
    assert len(book._owed) == 0, "who owes nothing is not kept"


def test_a_clock_that_steps_back_forgives_and_charges_nothing() -> None:
    clock = Clock()
    book = tried(FREE, clock)
    clock.now_s -= 500
    assert book.too_many("203.0.113.7")


def test_addresses_without_number_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_guessing, "KEPT_MAX", 50)
    book = Guesses(Clock())
    for number in range(5_000):
        book.count(f"2001:db8:{number:x}::1")
    assert len(book._owed) == 50


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3), st.floats(0.1, 30)), max_size=60))
def test_no_address_ever_gets_more_than_its_share(steps: list[tuple[str, float, float]]) -> None:
    """However asked and counted: what is let through is at most FREE and what the time that passed forgives."""
    clock = Clock()
    book = Guesses(clock)
    through: dict[str, float] = {}
    for place, wait_s, weight in steps:
        clock.now_s += wait_s
        if not book.too_many(place):
            through[place] = through.get(place, 0) + weight
            book.count(place, weight)
    for spent in through.values():
        assert spent <= FREE + 30 + (clock.now_s - 1000) * PER_S
