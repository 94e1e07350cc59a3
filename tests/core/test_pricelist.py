"""Prices of an account by destination."""

import pytest

from chappe.core.pricelist import PriceList, price_list

OWN = {"49": 75_000, "4915": 80_000, "336": 30_000, "262": None, "262692": 41_000}


@pytest.mark.parametrize(
    ("number", "own", "price_micros"),
    [
        ("+33612345678", {}, 38_000),
        ("+590690123456", {}, 38_000),
        ("+262692123456", {}, 38_000),
        ("+4915112345678", {}, None),
        ("+687751234", {}, None),
        ("+33612345678", OWN, 30_000),
        ("+33712345678", OWN, 38_000),
        ("+4915112345678", OWN, 80_000),
        ("+4917012345678", OWN, 75_000),
        ("+262639123456", OWN, None),
        ("+262692123456", OWN, 41_000),
        ("+4915112345678", {"": 90_000}, 90_000),
        ("+33612345678", {"": 90_000}, 38_000),
        ("+4915112345678", {"": 90_000, "4915": None}, None),
        ("+33612345678", {"33": 0}, 0),
    ],
)
def test_the_longest_prefix_decides(number: str, own: dict[str, int | None], price_micros: int | None) -> None:
    assert price_list(38_000, own).price(number) == price_micros


def test_a_list_without_prices_serves_nobody() -> None:
    assert PriceList({}).price("+33612345678") is None
