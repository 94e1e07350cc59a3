"""How much an account may do within an hour or a day, and how that is counted: pure.

An hour is one of UTC, a day one of UTC too: a limit may be used twice around their ends.
"""

from __future__ import annotations

import enum
from typing import Final

from chappe.core.model import AccountSettings
from chappe.core.pricelist import FRENCH_ZONE

HOUR_S: Final = 3_600
DAY_S: Final = 86_400

# Money without a limit of its own: so much in any case, and of larger credits this share of what there was. A campaign
# of an ordinary customer passes; a stolen key does not empty a large account overnight.
SPEND_PER_HOUR_MICROS: Final = 2_000_000_000
SPEND_PER_DAY_MICROS: Final = 5_000_000_000
SPEND_PER_HOUR_SHARE: Final = (1, 2)
SPEND_PER_DAY_SHARE: Final = (4, 5)

# ITU-T E.164 assigned country codes: two digits; +1 and +7 are several countries, all others have three.
_TWO_DIGITS: Final = frozenset(
    [
        "20",
        "27",
        "30",
        "31",
        "32",
        "33",
        "34",
        "36",
        "39",
        "40",
        "41",
        "43",
        "44",
        "45",
        "46",
        "47",
        "48",
        "49",
        "51",
        "52",
        "53",
        "54",
        "55",
        "56",
        "57",
        "58",
        "60",
        "61",
        "62",
        "63",
        "64",
        "65",
        "66",
        "81",
        "82",
        "84",
        "86",
        "90",
        "91",
        "92",
        "93",
        "94",
        "95",
        "98",
    ]
)
_HOME: Final = tuple("+" + code for code in FRENCH_ZONE)


class Kind(enum.IntEnum):
    """What is counted, as it is stored."""

    SPENT_IN_HOUR = 1
    SPENT_IN_DAY = 2
    TO_COUNTRY = 3
    SANDBOX = 4
    SKIPPED = 5
    OPT_OUTS = 6
    TO_NUMBER = 7

    @property
    def span_s(self) -> int:
        """How long one window is."""
        return HOUR_S if self in (Kind.SPENT_IN_HOUR, Kind.TO_NUMBER) else DAY_S

    @property
    def code(self) -> str:
        """The code of the refusal. Skipped recipients beyond theirs are not kept, and nobody is refused."""
        return _CODES[self]


_CODES: Final = {
    Kind.SPENT_IN_HOUR: "spend_limit",
    Kind.SPENT_IN_DAY: "spend_limit",
    Kind.TO_COUNTRY: "country_limit",
    Kind.SANDBOX: "sandbox_limit",
    Kind.SKIPPED: "too_many_requests",
    Kind.OPT_OUTS: "opt_out_limit",
    Kind.TO_NUMBER: "number_limit",
}


def country_of(number: str) -> str:
    """The digits that stand for a destination (E.164 number with its plus): the country code, with more digits where
    several countries share it; empty for the French tariff zone."""
    if number.startswith(_HOME):
        return ""
    if number[1] == "1":
        return number[1:5]
    if number[1] == "7":
        return number[1:3]
    return number[1:3] if number[1:3] in _TWO_DIGITS else number[1:4]


def spend_limits(settings: AccountSettings, credit_micros: int, hour_micros: int, day_micros: int) -> tuple[int, int]:
    """The most that may be spent in this hour and on this day; 0: no limit.

    credit_micros: the balance; hour_micros, day_micros: what was spent so far, and so belonged to the credit then.
    """
    hour = settings.spend_per_hour_micros
    if hour is None:
        share, of = SPEND_PER_HOUR_SHARE
        hour = max(SPEND_PER_HOUR_MICROS, (credit_micros + hour_micros) * share // of)
    day = settings.spend_per_day_micros
    if day is None:
        share, of = SPEND_PER_DAY_SHARE
        day = max(SPEND_PER_DAY_MICROS, (credit_micros + day_micros) * share // of)
    return hour, day


_WIDTH: Final = 1 << 20  # places of the array and of each row
_COUNT_MAX: Final = (1 << 16) - 1


class Sketch:
    """Counts how often each of very many things occurs, in five megabytes, as an estimate.

    The estimate is seldom too high. It is too low by one only if another thing with the same place was taken back.

    Most things occur once. An array of a million bytes marks the first occurrence of each thing. A count-min sketch of
    two rows with a million places each counts the other occurrences. `stray` is the average error of an estimate: it
    grows by one with each million of additions to the sketch. So things that occur often can be told from things that
    occur seldom, however many there are.
    """

    def __init__(self) -> None:
        self._met = bytearray(_WIDTH)
        self._first = memoryview(bytearray(2 * _WIDTH)).cast("H")
        self._second = memoryview(bytearray(2 * _WIDTH)).cast("H")
        self._added = 0

    @property
    def stray(self) -> int:
        return self._added // _WIDTH

    def add(self, hashed: int) -> int:
        """Counts one more occurrence of the thing with this hash; returns the new estimate."""
        first = hashed & (_WIDTH - 1)
        if not self._met[first]:
            self._met[first] = 1
            return 1
        second = hashed >> 24 & (_WIDTH - 1)
        one, other = self._first[first], self._second[second]
        if one < _COUNT_MAX and other < _COUNT_MAX:
            self._first[first] = one + 1
            self._second[second] = other + 1
            self._added += 1
        return (one if one < other else other) + 2

    def take_back(self, hashed: int) -> int:
        """Undoes one add(); returns the new estimate."""
        first, second = hashed & (_WIDTH - 1), hashed >> 24 & (_WIDTH - 1)
        one, other = self._first[first], self._second[second]
        if not one or not other:
            self._met[first] = 0
            return 0
        if one < _COUNT_MAX and other < _COUNT_MAX:
            self._first[first] = one = one - 1
            self._second[second] = other = other - 1
            self._added -= 1
        return (one if one < other else other) + 1
