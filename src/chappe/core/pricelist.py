"""The prices that one account pays for a part, by destination. Its own prices come first, then those of the French
tariff zone, then the price for everywhere else.

A compiled value, because a request with 500 numbers asks it 500 times.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

# The numbering plans served at the French price. +687, +689 and +681 are French soil but not in the tariff zone.
FRENCH_ZONE: Final = ("33", "590", "594", "596", "262", "508")
# Everywhere else, until the operator says what it costs: above what nearly all countries cost, so that nobody loses.
WORLD_MICROS: Final = 150_000
# International ranges that are no country's: free and shared cost, satellites, universal numbers, premium rate (ITU-T
# E.164, assigned country codes). Dear or impossible, so they are served only where somebody gave them a price.
NOT_SERVED: Final = ("800", "808", "870", "878", "881", "882", "883", "888", "979")
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


class Tariff(dict[str, int | None]):
    """Own prices by prefix that remember the lists that were made of them: what is asked with every request."""

    __slots__ = ("_lists",)

    def __init__(self, prices: Mapping[str, int | None]) -> None:
        super().__init__(prices)
        self._lists: dict[int, PriceList] = {}

    def list_of(self, french_micros: int) -> PriceList:
        """As price_list()."""
        found = self._lists.get(french_micros)
        if found is None:
            found = self._lists[french_micros] = _made(french_micros, self)
        return found


def price_list(french_micros: int, own: Mapping[str, int | None] | None = None) -> PriceList:
    """The list of an account: french_micros for the French zone, `own` by prefix over it.

    own: international digits without plus to micro-euros, None for "not served"; the prefix "" is everywhere else.
    """
    if isinstance(own, Tariff):
        return own.list_of(french_micros)
    return _price_list(french_micros, tuple(own.items()) if own else ())


def french_list(french_micros: int) -> PriceList:
    """The list of a product that the French zone alone has."""
    return _price_list(french_micros, (("", None),))


@lru_cache(maxsize=4096)
def _price_list(french_micros: int, own: tuple[tuple[str, int | None], ...]) -> PriceList:
    return _made(french_micros, dict(own))


def _made(french_micros: int, own: Mapping[str, int | None]) -> PriceList:
    return PriceList(
        {
            "": WORLD_MICROS,
            **dict.fromkeys(NOT_SERVED),
            **dict.fromkeys(FRENCH_ZONE, french_micros),
            **own,
        }
    )
