"""Written local time to an instant and back, with clock changes decided.

Zone data comes from the system or from the tzdata package; it is read once a zone and process.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

PARIS = "Europe/Paris"


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def instant(local: datetime, now: datetime, zone: str = PARIS) -> datetime:
    """The UTC instant of a naive local time.

    A time that the clocks skip in spring is moved on by what they skip (02:30 means 03:30). A time that comes twice in
    autumn is its first coming, unless that is past and the second is not.
    """
    assert local.tzinfo is None
    place = _zone(zone)
    first = local.replace(tzinfo=place).astimezone(UTC)
    if first < now:
        second = local.replace(tzinfo=place, fold=1).astimezone(UTC)
        if second > first and second >= now:
            return second
    return first


def local_date(at: datetime, zone: str = PARIS) -> date:
    """The day that an instant falls on in the zone."""
    return at.astimezone(_zone(zone)).date()


def written(at: datetime, zone: str = PARIS) -> str:
    """An instant as `2030-10-21 09:00:00` in the zone, to the second, without saying the zone."""
    return at.astimezone(_zone(zone)).isoformat(" ", "seconds")[:19]  # without the offset that follows


def with_offset(at: datetime, zone: str = PARIS) -> str:
    """An instant as `2030-10-21T09:00:00+02:00` in the zone, to the second."""
    return at.astimezone(_zone(zone)).isoformat("T", "seconds")


def end_of_day(day: date) -> datetime:
    """Midnight that ends the day, naive: what `24:00` means. Raises OverflowError on the last day of the calendar."""
    return datetime(day.year, day.month, day.day) + timedelta(days=1)
