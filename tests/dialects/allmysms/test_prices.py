"""Prices by country: what the account's tariff serves, in credits and in euros."""

import json

import pytest

from chappe.core.errors import Refusal
from chappe.core.model import AccountSettings
from chappe.dialects.allmysms.prices import credits_of_country, price_at_home_micros, prices
from chappe.dialects.allmysms.render import respond

DEFAULT = AccountSettings(prices={"": None})
WIDE = AccountSettings(prices={"32": 70_000, "1": 10_000, "262639": None, "": 90_000})


def test_the_price_of_a_country_is_the_contract_s_row() -> None:
    assert respond(prices("fr", DEFAULT), "json").body == (b'{"countries":[{"isoCode":"FR","sms":0.045,"prefix":33}]}')


def test_without_a_country_all_that_is_served_are_told() -> None:
    def regions(settings: AccountSettings) -> list[str]:
        return [row["isoCode"] for row in json.loads(respond(prices("", settings), "json").body)["countries"]]

    assert regions(DEFAULT) == ["BL", "FR", "GF", "GP", "MF", "MQ", "PM", "RE", "YT"]
    wide = regions(WIDE)
    assert len(wide) > 200
    assert "YT" not in wide
    assert wide == sorted(wide)


@pytest.mark.parametrize(
    ("written", "settings", "credits"),
    [
        ("FR", DEFAULT, "15"),
        ("re", DEFAULT, "15"),
        ("BE", WIDE, "24"),  # 70,000 / 3,000 is 23.3: no part can be bought with 23
        ("CA", WIDE, "4"),
        ("US", WIDE, "4"),
        ("JP", WIDE, "30"),
        ("FR", AccountSettings(price_allmysms_micros=0), "0"),
    ],
)
def test_credits_of_a_country_pay_for_one_part(written: str, settings: AccountSettings, credits: str) -> None:
    assert credits_of_country(written, settings) == {"isoCode": written.upper(), "nbCredits": credits}


@pytest.mark.parametrize("written", ["", "F", "FRA", "33", "BE", "é", "\0", "XX", "001"])
def test_what_is_no_country_or_is_not_served_is_not_found(written: str) -> None:
    with pytest.raises(Refusal, match="there is nothing of that name"):
        credits_of_country(written, DEFAULT)


@pytest.mark.parametrize(
    ("settings", "price_micros"),
    [(DEFAULT, 45_000), (AccountSettings(prices={"33": 40_000}), 40_000), (AccountSettings(prices={"33": None}), None)],
)
def test_the_price_at_home_is_the_account_s(settings: AccountSettings, price_micros: int | None) -> None:
    assert price_at_home_micros(settings) == price_micros
