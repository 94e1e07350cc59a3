"""Numbers of a request: read and priced alike in every dialect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import numbers
from chappe.core.model import AccountSettings, Skipped
from chappe.core.numbers import Number
from chappe.core.pricelist import price_list
from chappe.dialects.recipients import Numbers, Unreachable, none_left

PRICES = price_list(38_000, {"49": 70_000, "44": None, "262": None, "": None})
READ = Numbers(PRICES, AccountSettings()).read


@pytest.mark.parametrize(
    ("written", "e164", "price_micros"),
    [
        ("0612345678", "+33612345678", 38_000),
        ("+33 6 12 34 56 78", "+33612345678", 38_000),
        ("612345678", "+33612345678", 38_000),
        ("+49 1512 3456789", "+4915123456789", 70_000),
        ("0690123456", "+590690123456", 38_000),
    ],
)
def test_a_number_comes_with_the_price_of_a_part(written: str, e164: str, price_micros: int) -> None:
    found = READ(written)
    assert not isinstance(found, Unreachable)
    assert (found[0].e164, found[1]) == (e164, price_micros)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", Unreachable("number_malformed")),
        ("abc", Unreachable("number_malformed")),
        ("0140000001", Unreachable("number_not_mobile", "+33140000001")),
        ("+33000000000", Unreachable("number_invalid")),
        ("+447911123456", Unreachable("price_missing", "+447911123456", judged=False)),
        ("+44000", Unreachable("number_malformed")),
        ("+1 500 555 0006", Unreachable("price_missing", "+15005550006", judged=False)),
        ("0692123456", Unreachable("price_missing", "+262692123456")),
    ],
)
def test_why_a_number_gets_nothing(written: str, why: Unreachable) -> None:
    assert READ(written) == why


@given(st.text(max_size=20) | st.from_regex(r"(\+|00)?[0-9 .-]{3,16}", fullmatch=True), st.sampled_from(["FR", "none"]))
def test_what_has_a_price_is_read_as_numbers_read_it(written: str, home: str) -> None:
    found = Numbers(PRICES, AccountSettings(home=home)).read(written)
    number = numbers.read_mobile(written, home)
    if not isinstance(found, Unreachable):
        assert found == (number, PRICES.price(found[0].e164))
    elif found.reason != "price_missing":
        assert not isinstance(number, Number)
        assert number.value == found.reason
    elif isinstance(number, Number):
        assert PRICES.price(number.e164) is None


def test_only_missing_prices_are_told_as_such() -> None:
    unpriced, landline = Skipped("+44", "price_missing"), Skipped("01", "number_not_mobile")
    assert none_left([unpriced, unpriced]).code == "price_missing"
    refusal = none_left([unpriced, landline])
    assert (refusal.code, refusal.values["skipped"]) == ("recipients_unusable", (unpriced, landline))


@pytest.mark.parametrize(
    ("allowed", "denied", "served"),
    [
        ((), (), ["+33612345678", "+4915123456789", "+12025550123", "+262692123456"]),
        ((), ("DE", "RE"), ["+33612345678", "+12025550123"]),
        ((), ("FR",), ["+4915123456789", "+12025550123", "+262692123456"]),
        (("FR", "US"), (), ["+33612345678", "+12025550123"]),
        (("FR", "US"), ("US",), ["+33612345678"]),
    ],
)
def test_an_account_sends_to_the_countries_that_are_open_to_it(
    allowed: tuple[str, ...], denied: tuple[str, ...], served: list[str]
) -> None:
    settings = AccountSettings(countries_allowed=allowed, countries_denied=denied)
    read = Numbers(price_list(38_000), settings).read
    written = ["0612345678", "+4915123456789", "+1 202 555 0123", "0692123456"]
    found = [read(one) for one in written]
    assert [one[0].e164 for one in found if not isinstance(one, Unreachable)] == served
    assert {one.reason for one in found if isinstance(one, Unreachable)} <= {"price_missing"}
