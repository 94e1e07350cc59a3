"""Prices of an account by destination."""

import pytest

from chappe.core.model import AccountSettings
from chappe.core.pricelist import NOT_SERVED, WORLD_MICROS, PriceList, Tariff, french_list, price_list

OWN = {"49": 75_000, "4915": 80_000, "336": 30_000, "262": None, "262692": 41_000}


@pytest.mark.parametrize(
    ("number", "own", "price_micros"),
    [
        ("+33612345678", {}, 38_000),
        ("+590690123456", {}, 38_000),
        ("+262692123456", {}, 38_000),
        ("+4915112345678", {}, WORLD_MICROS),
        ("+687751234", {}, WORLD_MICROS),
        ("+4915112345678", {"": None}, None),
        ("+881612345678", {}, None),
        ("+881612345678", {"": 90_000}, None),
        ("+881612345678", {"8816": 9_000_000}, 9_000_000),
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


@pytest.mark.parametrize("number", ["+33612345678", "+262692123456", "+508551234"])
def test_by_default_the_french_zone_pays_the_public_prices(number: str) -> None:
    usual = AccountSettings()
    wanted = (38_000, 23_000, 45_000)
    for micros, given in zip(
        wanted, (usual.price_premium_micros, usual.price_lowcost_micros, usual.price_allmysms_micros), strict=True
    ):
        assert price_list(given, usual.prices).price(number) == french_list(given).price(number) == micros
    assert usual.price_hlr_micros == 5_000


@pytest.mark.parametrize("number", ["+687751234", "+68987123456", "+447911123456", "+12025550123"])
def test_by_default_the_world_is_served_at_one_price_and_low_cost_is_not(number: str) -> None:
    assert price_list(38_000).price(number) == WORLD_MICROS
    assert french_list(23_000).price(number) is None


@pytest.mark.parametrize("prefix", NOT_SERVED)
def test_what_is_no_country_needs_a_price_of_its_own(prefix: str) -> None:
    assert price_list(38_000, {"": 1}).price(f"+{prefix}1234567") is None
    assert price_list(38_000, {prefix: 5}).price(f"+{prefix}1234567") == 5


def test_a_tariff_makes_each_list_once_and_gives_the_prices_of_its_dictionary() -> None:
    own = {"49": 75_000, "": None}
    tariff = Tariff(own)
    assert price_list(38_000, tariff) is price_list(38_000, tariff)
    for french_micros in (38_000, 45_000):
        for number in ("+33612345678", "+4915112345678", "+12025550123"):
            wanted = price_list(french_micros, own).price(number)
            assert price_list(french_micros, tariff).price(number) == wanted
