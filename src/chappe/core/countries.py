"""Countries as prices need them: the calling code, and a mobile number that shows which prefix of a tariff rules.

Codes alone do not tell: +1 is two dozen countries, +590 three, and an operator may price one range of a country.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple


class Country(NamedTuple):
    """region: ISO 3166 letters; code: of calling; mobile: the numbering plan's sample of a mobile number, E.164."""

    region: str
    code: int
    mobile: str


@lru_cache(maxsize=512)
def country(region: str) -> Country | None:
    """The country of two upper-case letters; None where there is none, or none with mobile numbers."""
    import phonenumbers

    if region not in phonenumbers.SUPPORTED_REGIONS:
        return None
    sample = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if sample is None:
        return None
    e164 = phonenumbers.format_number(sample, phonenumbers.PhoneNumberFormat.E164)
    return Country(region, phonenumbers.country_code_for_region(region), e164)


@cache
def countries() -> tuple[Country, ...]:
    """Every country with mobile numbers, by its letters."""
    import phonenumbers

    return tuple(found for region in sorted(phonenumbers.SUPPORTED_REGIONS) if (found := country(region)))
