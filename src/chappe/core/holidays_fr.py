"""Public holidays of France and its territories, as a table; computed for any year, years ahead.

Sources: Labour Code L3133-1 (the eleven), L3422-2 (abolition of slavery overseas), L3134-13 (Alsace-Moselle), and each
collectivity's own list. The tests compare the table with an independent library.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple


class Feast(NamedTuple):
    """One line of a calendar: a date, or a number of days from Easter Sunday.

    custom: a day off by use, not by law. year_from, year_to: both inclusive, where the law changed.
    """

    name: str
    month: int = 0
    day: int = 0
    easter_days: int | None = None
    custom: bool = False
    year_from: int = 1
    year_to: int = 9999

    def on(self, year: int) -> date | None:
        """Its date in a year, None where it is not celebrated then."""
        if not self.year_from <= year <= self.year_to:
            return None
        if self.easter_days is None:
            return date(year, self.month, self.day)
        return easter(year) + timedelta(self.easter_days)


METROPOLE: Final = "FR"
ALSACE_MOSELLE: Final = "FR-AM"

_ELEVEN: Final = (
    Feast("Jour de l'an", 1, 1),
    Feast("Lundi de Pâques", easter_days=1),
    Feast("Fête du Travail", 5, 1),
    Feast("Victoire 1945", 5, 8),
    Feast("Ascension", easter_days=39),
    Feast("Lundi de Pentecôte", easter_days=50),
    Feast("Fête nationale", 7, 14),
    Feast("Assomption", 8, 15),
    Feast("Toussaint", 11, 1),
    Feast("Armistice 1918", 11, 11),
    Feast("Noël", 12, 25),
)
_GOOD_FRIDAY: Final = Feast("Vendredi saint", easter_days=-2)
_ABOLITION: Final = "Abolition de l'esclavage"
_SCHOELCHER: Final = Feast("Fête Victor Schœlcher", 7, 21, custom=True)

# ISO 3166 codes, and FR-AM for Moselle, Bas-Rhin and Haut-Rhin together. Each has the eleven and these.
_MORE: Final[Mapping[str, tuple[Feast, ...]]] = {
    METROPOLE: (),
    ALSACE_MOSELLE: (_GOOD_FRIDAY, Feast("Saint-Étienne", 12, 26)),
    "YT": (Feast(_ABOLITION, 4, 27),),
    "MQ": (Feast(_ABOLITION, 5, 22), _SCHOELCHER),
    "GP": (
        Feast(_ABOLITION, 5, 27),
        Feast("Mi-carême", easter_days=-24, custom=True),
        _GOOD_FRIDAY._replace(custom=True),
        _SCHOELCHER,
    ),
    "MF": (Feast(_ABOLITION, 5, 28), _SCHOELCHER),
    "GF": (Feast(_ABOLITION, 6, 10),),
    "BL": (Feast(_ABOLITION, 10, 9),),
    "RE": (Feast(_ABOLITION, 12, 20),),
    "PM": (),
    "NC": (Feast("Fête de la citoyenneté", 9, 24),),
    "PF": (
        Feast("Arrivée de l'Évangile", 3, 5),
        _GOOD_FRIDAY,
        # Matari'i took the place of the autonomy day in 2025.
        Feast("Fête de l'autonomie", 6, 29, year_to=2024),
        Feast("Matari'i", 11, 20, year_from=2025),
    ),
    "WF": (
        Feast("Saint-Pierre-Chanel", 4, 28),
        Feast("Saints-Pierre-et-Paul", 6, 29),
        Feast("Fête du territoire", 7, 29),
    ),
}
FEASTS: Final[Mapping[str, tuple[Feast, ...]]] = {code: _ELEVEN + more for code, more in _MORE.items()}


def easter(year: int) -> date:
    """Easter Sunday of a year in the Gregorian calendar; Oudin's form (1940) of the church's computation."""
    golden = year % 19
    century = year // 100
    skipped_leap_days = century - century // 4
    moon_correction = (8 * century + 13) // 25
    # Days from 21 March to the full moon; two of the thirty values are brought back by a day, as the church does.
    full_moon = (19 * golden + skipped_leap_days - moon_correction + 15) % 30
    full_moon -= (full_moon // 28) * (1 - (29 // (full_moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + full_moon + 2 - skipped_leap_days) % 7
    return date(year, 3, 28) + timedelta(full_moon - weekday)


@lru_cache(maxsize=1024)
def holidays(code: str, year: int, custom: bool = True) -> Mapping[date, str]:
    """The holidays of a calendar of FEASTS in a year, date to French name; `custom` says whether days by use count.

    Two feasts on one day (1 May and Ascension in 2008) are one day with both names. Raises KeyError for another code.
    """
    found: dict[date, str] = {}
    for feast in FEASTS[code]:
        day = feast.on(year)
        if day is not None and (custom or not feast.custom):
            found[day] = f"{found[day]}, {feast.name}" if day in found else feast.name
    return MappingProxyType(dict(sorted(found.items())))
