"""Prices of an account by destination."""

import pytest

from chappe.core.model import AccountSettings
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


@pytest.mark.parametrize(
    ("number", "served"),
    [("+33612345678", True), ("+262692123456", True), ("+508551234", True)]
    + [(number, False) for number in ("+687751234", "+68987123456", "+681721234", "+447911123456", "+3", "+")],
)
def test_by_default_the_french_zone_pays_the_public_prices_and_nobody_else_is_served(number: str, served: bool) -> None:
    usual = AccountSettings()
    wanted = (38_000, 23_000, 45_000)
    for micros, given in zip(
        wanted, (usual.price_premium_micros, usual.price_lowcost_micros, usual.price_allmysms_micros), strict=True
    ):
        assert price_list(given, usual.prices).price(number) == (micros if served else None)
    assert usual.price_hlr_micros == 5_000
