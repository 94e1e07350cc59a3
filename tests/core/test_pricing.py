"""Prices: the published figures of the providers to the last digit, and never a binary float."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import pricing
from chappe.core.lifecycle import FINAL

amounts = st.integers(-(10**15), 10**15)


@pytest.mark.parametrize(
    ("balance", "premium", "low_cost", "hlr", "counts"),
    [
        ("10225.119", "0.038", "0.023", "0.005", (269082, 444570, 2045023)),
        ("10224.688", "0.038", "0.023", "0.005", (269070, 444551, 2044937)),
        ("0.900", "0.045", "0.024", "0.005", (20, 37, 180)),
    ],
)
def test_a_balance_buys_what_the_published_samples_say(
    balance: str, premium: str, low_cost: str, hlr: str, counts: tuple[int, int, int]
) -> None:
    balance_micros = pricing.micros(balance)
    assert pricing.euros(balance_micros) == balance
    assert counts == tuple(
        pricing.affordable(balance_micros, pricing.micros(price)) for price in (premium, low_cost, hlr)
    )


@given(st.integers(0, 10**15), st.integers(1, 10**9))
def test_affordable_is_the_most_that_can_be_paid(balance_micros: int, price_micros: int) -> None:
    count = pricing.affordable(balance_micros, price_micros)
    assert count * price_micros <= balance_micros < (count + 1) * price_micros


def test_a_debt_buys_nothing_and_a_free_price_has_no_count() -> None:
    assert pricing.affordable(-1, 38_000) == 0
    with pytest.raises(ValueError, match="positive"):
        pricing.affordable(1, 0)


@pytest.mark.parametrize(
    ("amount_micros", "places", "text"),
    [
        (10_225_119_000, 3, "10225.119"),
        (10_225_119_999, 3, "10225.119"),
        (0, 3, "0.000"),
        (999, 3, "0.000"),
        (900_000, 3, "0.900"),
        (-1, 3, "-0.001"),
        (-38_000, 3, "-0.038"),
        (1_999_999, 0, "1"),
        (1_999_999, 2, "1.99"),
        (38_000, 6, "0.038000"),
    ],
)
def test_euros_never_show_more_than_there_is(amount_micros: int, places: int, text: str) -> None:
    assert pricing.euros(amount_micros, places) == text


@pytest.mark.parametrize("places", [-1, 7])
def test_euros_know_their_decimals(places: int) -> None:
    with pytest.raises(ValueError, match="decimals"):
        pricing.euros(1, places)


@pytest.mark.parametrize(
    ("amount_micros", "text"),
    [
        (38_000, "0.038"),
        (114_000, "0.114"),
        (0, "0"),
        (2_000_000, "2"),
        (10_000_000, "10"),
        (1, "0.000001"),
        (-5, "-0.000005"),
    ],
)
def test_json_numbers_are_short_and_exact(amount_micros: int, text: str) -> None:
    assert pricing.json_number(amount_micros) == text


@given(amounts)
def test_json_numbers_are_valid_json_and_lose_nothing(amount_micros: int) -> None:
    value = json.loads(pricing.json_number(amount_micros), parse_float=Decimal, parse_int=Decimal)
    assert value * 1_000_000 == amount_micros


@given(amounts)
def test_reading_undoes_writing(amount_micros: int) -> None:
    assert pricing.micros(pricing.euros(amount_micros, 6)) == amount_micros
    assert pricing.micros(pricing.json_number(amount_micros)) == amount_micros


@pytest.mark.parametrize(
    "text", ["", "-", ".", "1.", ".5", "1,5", "1e3", " 1", "--1", "0.0000001", "1" * 13, "٣", "+1", "1.-2"]
)
def test_money_is_not_guessed(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        pricing.micros(text)


def test_every_final_state_says_whether_it_gives_money_back() -> None:
    assert set(pricing.REFUNDS) == FINAL
    assert {state.word for state, back in pricing.REFUNDS.items() if back} == {
        "rejected",
        "suppressed",
        "cancelled",
        "failed",
    }
