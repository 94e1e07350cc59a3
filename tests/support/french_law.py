"""When a commercial message may ring in France, in plain words: the oracle of the tests that drive the whole path.

Written from the rules, not from our code, and shares nothing with it: territories by number, holidays from an
independent library, one question a time ("is it open at this instant?") and no arithmetic on openings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

SUNDAY = 6
STEP = timedelta(minutes=5)
"""All edges of the profiles used, and all changes of clocks, lie on it."""


@dataclass(frozen=True)
class Rules:
    """One profile. Hours by the recipient's wall clock, opening included, closing excluded; days from Monday, 0."""

    opens: time = time(8)
    closes: time | None = time(22)  # None: midnight
    days: frozenset[int] = frozenset(range(6))
    closed_nights: frozenset[int] = frozenset(range(7))
    sundays: bool = False
    holidays: bool = False
    pause: tuple[time, time] | None = None
    names_close: time | None = None
    outside: str = "hold"
    zone: str = "recipient"
    strict: bool = False
    added: frozenset[date] = frozenset()


ALWAYS = Rules(opens=time(0), closes=None, sundays=True, holidays=True)

KNOWN: Mapping[str, Rules] = {
    "fr-seed": Rules(),
    "fr-partner-2020": Rules(closes=time(20)),
    "fr-af2m-2024": Rules(),
    "fr-af2m-2026": Rules(closes=time(21, 30), sundays=True, holidays=True),
    "fr-carrier-reject": Rules(outside="refuse"),
    "fr-alpha-20": Rules(names_close=time(20)),
    "fr-10-20": Rules(opens=time(10), closes=time(20)),
    "fr-voice": Rules(opens=time(10), closes=time(20), days=frozenset(range(5)), pause=(time(13), time(14))),
    "none": ALWAYS,
}

# Number, and where it may live: (zone, subdivision for the holidays); the first is where it most likely does.
PLACES: tuple[tuple[str, tuple[tuple[str, str | None], ...]], ...] = (
    (r"\+262(639|269|7093[567])", (("Indian/Mayotte", "976"),)),
    (r"\+262", (("Indian/Reunion", "974"),)),
    (r"\+590", (("America/Guadeloupe", "971"), ("America/Marigot", "MF"), ("America/St_Barthelemy", "BL"))),
    (r"\+596", (("America/Martinique", "972"),)),
    (r"\+594", (("America/Cayenne", "973"),)),
    (r"\+508", (("America/Miquelon", "PM"),)),
    (r"\+687", (("Pacific/Noumea", "NC"),)),
    (r"\+689", (("Pacific/Tahiti", "PF"), ("Pacific/Marquesas", "PF"), ("Pacific/Gambier", "PF"))),
    (r"\+681", (("Pacific/Wallis", "WF"),)),
    (r"\+33", (("Europe/Paris", None), ("Europe/Paris", "57"))),
)
PARIS = ("Europe/Paris", None)


def homes(number: str, rules: Rules) -> tuple[tuple[str, str | None], ...]:
    """All the places at which it has to be open."""
    if rules.zone == "paris":
        return (PARIS,)
    found: tuple[tuple[str, str | None], ...] = (PARIS,)  # abroad: the sender's
    for pattern, places in PLACES:
        if re.match(pattern, number):
            found = places if rules.strict else places[:1]
            break
    return found + ((PARIS,) if rules.zone == "both" else ())


@lru_cache(maxsize=200_000)
def is_open(rules: Rules, number: str, sender: str, instant: datetime) -> bool:
    """May a commercial message to this number leave at this instant?"""
    if rules.outside == "warn":
        return True
    by_name = any(character.isalpha() for character in sender)
    closes = rules.names_close if rules.names_close is not None and by_name else rules.closes
    return all(
        _is_open_at(rules, closes, subdivision, instant.astimezone(ZoneInfo(zone)))
        for zone, subdivision in homes(number, rules)
    )


def stays_open(rules: Rules, number: str, sender: str, begin: datetime, end: datetime) -> bool:
    """Whether it is open from `begin` up to `end`, which is excluded."""
    at = begin
    while at < end:
        if not is_open(rules, number, sender, at):
            return False
        at = datetime.fromtimestamp((at.timestamp() // STEP.seconds + 1) * STEP.seconds, at.tzinfo)
    return True


def _is_open_at(rules: Rules, closes: time | None, subdivision: str | None, local: datetime) -> bool:
    today = local.date()
    clock = local.time()
    if _is_closed(rules, subdivision, today):
        return False
    if clock < rules.opens:  # the end of a night that began the evening before
        before = today - timedelta(days=1)
        return before.weekday() not in rules.closed_nights and not _is_closed(rules, subdivision, before)
    if closes is not None and clock >= closes:
        return today.weekday() not in rules.closed_nights
    return rules.pause is None or not rules.pause[0] <= clock < rules.pause[1]


def _is_closed(rules: Rules, subdivision: str | None, day: date) -> bool:
    if day.weekday() == SUNDAY:
        if not rules.sundays:
            return True
    elif day.weekday() not in rules.days:
        return True
    return not rules.holidays and (day in rules.added or day in _calendar(subdivision, day.year))


@lru_cache(maxsize=1000)
def _calendar(subdivision: str | None, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("FR", subdiv=subdivision, years=year))
