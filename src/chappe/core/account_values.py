"""The kinds of values that an account's settings have, beside those of every table of settings. Pure."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Final

from chappe.core.callback_url import is_callback_url
from chappe.core.countries import country
from chappe.core.pricing import json_number, micros
from chappe.core.stop_replies import WORDS_MAX
from chappe.core.window_profiles import PROFILES
from chappe.settings.kinds import Kind, list_of, matching, text_of, whole

PRICE_MICROS_MAX: Final = 1_000_000_000
SPEND_MICROS_MAX: Final = 10**15


def _url(value: str) -> str:
    if not is_callback_url(value):
        raise ValueError
    return value


def _price(value: str) -> int:
    amount = micros(value)
    if not 0 <= amount <= PRICE_MICROS_MAX:
        raise ValueError
    return amount


def _spend(value: str) -> int | None:
    word = value.lower()
    if word in ("auto", "none"):
        return None if word == "auto" else 0
    amount = micros(value)
    if not 0 < amount <= SPEND_MICROS_MAX:
        raise ValueError
    return amount


def _show_spend(value: int | None) -> str:
    return "auto" if value is None else json_number(value) if value else "none"


def _country(value: str) -> str:
    if country(value.upper()) is None:
        raise ValueError
    return value.upper()


def _network(value: str) -> str:
    return str(ip_network(value, strict=False))


TEXT: Final = text_of(200)
URL: Final = Kind("a URL that begins with http:// or https:// and a host, without user or password", _url)
PRICE: Final = Kind("a price in EUR such as 0.038", _price, json_number)
SPEND: Final = Kind("an amount in EUR, none for no limit, or auto", _spend, _show_spend)
LIMIT: Final = whole(0, 100_000_000)
SENDER: Final = matching(r"[A-Za-z0-9 ]{3,11}", "3 to 11 letters, digits and spaces")
SENDERS: Final = list_of(SENDER.parse, "senders of 3 to 11 letters, digits and spaces")
_A_NAME: Final = matching(r"[A-Za-z0-9][A-Za-z0-9 .'-]{0,39}", "a name of at most 40 characters")
NAMES: Final = list_of(_A_NAME.parse, "names of at most 40 characters")
WORDS: Final = list_of(str, f"at most {WORDS_MAX} words or short phrases")
COUNTRIES: Final = list_of(_country, "countries of two letters (ISO 3166)")
NETWORKS: Final = list_of(_network, "addresses or networks such as 192.0.2.0/24")
WINDOW: Final = matching(
    r"[a-z0-9][a-z0-9_-]{0,39}", f"the name of a window profile: {', '.join(PROFILES)}, or one of your own"
)
LOGIN: Final = matching(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", "a login")
