"""What one account pays for a part, by destination: its own prices over those of the French tariff zone.

A compiled value, because a request with 500 numbers asks it 500 times.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

# The numbering plans served at the French price. +687, +689 and +681 are French soil but not in the tariff zone.
FRENCH_ZONE: Final = ("33", "590", "594", "596", "262", "508")
_REFUSED: Final = -1  # "no price" of a longer prefix must hide the price of a shorter one


class PriceList:
    """Prices in micro-euros a part; the longest prefix that fits decides."""

    __slots__ = ("_lengths", "_prices")

    def __init__(self, prices: Mapping[str, int | None]) -> None:
        self._prices = {prefix: _REFUSED if price is None else price for prefix, price in prices.items()}
        self._lengths = sorted({len(prefix) for prefix in self._prices}, reverse=True)

    def price(self, e164: str) -> int | None:
        """The price of one part to this number (with its plus), or None where it is not served."""
        for length in self._lengths:
            found = self._prices.get(e164[1 : 1 + length])
            if found is not None:
                return None if found == _REFUSED else found
        return None


def price_list(french_micros: int, own: Mapping[str, int | None] | None = None) -> PriceList:
    """The list of an account: french_micros for the French zone, `own` by prefix over it.

    own: international digits without plus to micro-euros, None for "not served"; the prefix "" is everywhere else.
    """
    return _price_list(french_micros, tuple(own.items()) if own else ())


@lru_cache(maxsize=4096)
def _price_list(french_micros: int, own: tuple[tuple[str, int | None], ...]) -> PriceList:
    return PriceList({**dict.fromkeys(FRENCH_ZONE, french_micros), **dict(own)})
