"""Which clock and which calendar of holidays a number lives by: its numbering plan, or what is known of the contact.

The plan decides, not where the telephone is. A number tells neither Alsace-Moselle from the rest of +33, nor the three
islands of +590, nor the three zones of +689: the commonest answers for all, `strict` takes all, and the contact's
own `region` or `time_zone` overrules both.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from chappe.core import numbers
from chappe.core.holidays_fr import ALSACE_MOSELLE, METROPOLE
from chappe.core.localtime import PARIS
from chappe.settings.words import did_you_mean


class UnknownPlace(ValueError):
    """A region or a time zone that nobody knows; the message is one line with a suggestion."""


class Place(NamedTuple):
    """zone: IANA name; calendar: key of holidays_fr.FEASTS; guessed: the sender's, for want of knowledge."""

    zone: str
    calendar: str
    guessed: bool = False


HOME: Final = Place(PARIS, METROPOLE)

# By the zone that core.numbers finds for the plan; further places are what else the same plan may mean.
PLANS: Final[Mapping[str, tuple[Place, ...]]] = {
    PARIS: (HOME, Place(PARIS, ALSACE_MOSELLE)),
    "America/Guadeloupe": (
        Place("America/Guadeloupe", "GP"),
        Place("America/Marigot", "MF"),
        Place("America/St_Barthelemy", "BL"),
    ),
    "America/Martinique": (Place("America/Martinique", "MQ"),),
    "America/Cayenne": (Place("America/Cayenne", "GF"),),
    "America/Miquelon": (Place("America/Miquelon", "PM"),),
    "Indian/Reunion": (Place("Indian/Reunion", "RE"),),
    "Indian/Mayotte": (Place("Indian/Mayotte", "YT"),),
    "Pacific/Noumea": (Place("Pacific/Noumea", "NC"),),
    "Pacific/Tahiti": (
        Place("Pacific/Tahiti", "PF"),
        Place("Pacific/Marquesas", "PF"),
        Place("Pacific/Gambier", "PF"),
    ),
    "Pacific/Wallis": (Place("Pacific/Wallis", "WF"),),
}

# Reversed, so that the first place of a plan stands for a calendar that several share.
_BY_CALENDAR: Final = {place.calendar: place for plan in PLANS.values() for place in reversed(plan)}
# Department and collectivity numbers (INSEE). 20 is Corsica as postcodes write it.
_OVERSEAS: Final = {
    "971": "GP",
    "972": "MQ",
    "973": "GF",
    "974": "RE",
    "975": "PM",
    "976": "YT",
    "977": "BL",
    "978": "MF",
    "986": "WF",
    "987": "PF",
    "988": "NC",
}
REGIONS: Final[Mapping[str, Place]] = {
    **_BY_CALENDAR,
    **{f"{department:02}": HOME for department in range(1, 96)},
    **dict.fromkeys(("2A", "2B"), HOME),
    **dict.fromkeys(("57", "67", "68", "6AE", "ALSACE", "MOSELLE", "ALSACE-MOSELLE"), _BY_CALENDAR[ALSACE_MOSELLE]),
    **{number: _BY_CALENDAR[code] for number, code in _OVERSEAS.items()},
}


def region_place(region: str) -> Place:
    """The place of a contact's region: ISO code (`RE`, `FR-974`), department (`57`, `2A`, `974`) or `alsace-moselle`.

    Raises UnknownPlace.
    """
    key = region.strip().upper()
    found = REGIONS.get(key) or REGIONS.get(key.removeprefix("FR-"))
    if found is None:
        raise UnknownPlace(f"region {region!r} is unknown{did_you_mean(key, REGIONS)}")
    return found


@lru_cache(maxsize=1024)
def clock(zone: str) -> ZoneInfo:
    """The zone of an IANA name. Raises UnknownPlace."""
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as trouble:  # OSError: the name of a folder, as `America`
        raise UnknownPlace(f"time zone {zone!r} is unknown; write it as Europe/Paris") from trouble


def plan(e164: str) -> str | None:
    """The zone of a number's plan, None outside the French plans."""
    # The metropole is last in the longest-prefix table, and nearly all traffic.
    return PARIS if e164.startswith("+33") else _plan(e164[:9])


@lru_cache(maxsize=4096)
def _plan(prefix: str) -> str | None:
    """By the first nine characters: no prefix of the table is longer."""
    return numbers.zone(prefix)


@lru_cache(maxsize=1024)
def places(plan: str | None, region: str = "", time_zone: str = "", strict: bool = False) -> tuple[Place, ...]:
    """Where a number of the plan lives: the likeliest place first, and with `strict` all others that it may mean.

    region, time_zone: what is known of the contact, empty for nothing. Without any knowledge the answer is HOME,
    guessed. Raises UnknownPlace.
    """
    found: tuple[Place, ...]
    if region:
        found = (region_place(region),)
    elif plan is None:
        found = (HOME._replace(guessed=True),)
    else:
        found = PLANS[plan] if strict else PLANS[plan][:1]
    if time_zone:
        clock(time_zone)
        found = tuple(dict.fromkeys(Place(time_zone, place.calendar) for place in found))
    return found
