"""What AllMySMS tells of prices: credits and euros of one part by country."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from chappe.core.countries import Country, countries, country
from chappe.core.errors import Refusal
from chappe.core.model import AccountSettings
from chappe.core.pricelist import PriceList, price_list
from chappe.dialects.allmysms.credits import credits_needed
from chappe.dialects.allmysms.render import Fields, Row, money

HOME: Final = "FR"


def price_list_of(settings: AccountSettings) -> PriceList:
    """What a part costs the account, by destination."""
    return price_list(settings.price_allmysms_micros, settings.prices)


def credits_of_country(written: str, settings: AccountSettings) -> Fields:
    """Credits of one part to a country; raises Refusal not_found for one that is unknown or not served."""
    place, price_micros = _served(written, settings)
    return {"isoCode": place.region, "nbCredits": str(credits_needed(price_micros))}


def prices(written: str, settings: AccountSettings) -> Fields:
    """Prices of one country, or with an empty one of all that the account's tariff serves.

    Raises Refusal not_found.
    """
    if written:
        return {"countries": [_row(*_served(written, settings))]}
    return {"countries": [_row(place, price) for place, price in _priced(countries(), settings)]}


def price_at_home_micros(settings: AccountSettings) -> int | None:
    """The price of one part to France; None where the account may not send there."""
    place = country(HOME)
    assert place is not None
    return next((price for _, price in _priced((place,), settings)), None)


def _served(written: str, settings: AccountSettings) -> tuple[Country, int]:
    place = country(written.upper())
    found = list(_priced((place,), settings)) if place is not None else []
    if not found:
        raise Refusal("not_found")
    return found[0]


def _priced(places: Iterable[Country], settings: AccountSettings) -> Iterable[tuple[Country, int]]:
    price = price_list_of(settings).price
    for place in places:
        price_micros = price(place.mobile)
        if price_micros is not None:
            yield place, price_micros


def _row(place: Country, price_micros: int) -> Row:
    # The provider names three prices of voice messages here too. There is no voice, and what is priced gets planned.
    return {"isoCode": place.region, "sms": money(price_micros), "prefix": place.code}
