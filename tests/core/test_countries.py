"""Countries: each has its calling code and a mobile number that core.numbers takes for one."""

import pytest

from chappe.core import numbers
from chappe.core.countries import countries, country


@pytest.mark.parametrize(
    ("region", "code", "prefix"),
    [("FR", 33, "+33"), ("RE", 262, "+262692"), ("YT", 262, "+262639"), ("CA", 1, "+1506"), ("BE", 32, "+32")],
)
def test_a_country_has_its_code_and_a_mobile_of_its_own(region: str, code: int, prefix: str) -> None:
    found = country(region)
    assert found is not None
    assert (found.region, found.code) == (region, code)
    assert found.mobile.startswith(prefix)


@pytest.mark.parametrize("region", ["", "fr", "XX", "FRA", "001", "\0"])
def test_what_is_no_country_is_none(region: str) -> None:
    assert country(region) is None


def test_every_country_s_sample_is_a_mobile_number_of_its_code() -> None:
    found = countries()
    assert len(found) > 200
    assert [place.region for place in found] == sorted({place.region for place in found})
    for place in found:
        assert place.mobile.startswith(f"+{place.code}")
        read = numbers.read_mobile(place.mobile)
        assert isinstance(read, numbers.Number), place
