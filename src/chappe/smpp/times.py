"""The time format of SMPP: 16 characters `YYMMDDhhmmsstnnp`, absolute or relative (SMPP 3.4, 7.1.1).

t are tenths of a second, nn the quarter hours between local time and UTC, p the direction: `+` local time is ahead of
UTC, `-` it is behind, `R` the whole is a span counted from now. An empty string means that no time is given.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone

_FORM = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([+\-R])", re.ASCII)
_QUARTER = timedelta(minutes=15)
_QUARTERS_MAX = 48
_RELATIVE_DAYS_MAX = 31


class TimeError(ValueError):
    """These octets are no SMPP time, or this time cannot be written as one."""


def parse(octets: bytes, now: datetime) -> datetime | None:
    """The instant that is meant, aware and in UTC; None for an empty string. `now` (aware) is the start of a relative
    time, in which years and months are those of the calendar. Raises TimeError."""
    assert now.tzinfo is not None
    if not octets:
        return None
    match = _FORM.fullmatch(octets)
    if match is None:
        raise TimeError("16 characters YYMMDDhhmmsstnnp are wanted")
    year, month, day, hour, minute, second, tenth, quarters = (int(digits) for digits in match.groups()[:8])
    direction = match[9]
    try:
        if direction == b"R":
            span = timedelta(days=day, hours=hour, minutes=minute, seconds=second, milliseconds=100 * tenth)
            return _months_later(now.astimezone(UTC), 12 * year + month) + span
        if quarters > _QUARTERS_MAX:
            raise TimeError("more than 48 quarter hours from UTC")
        offset = timezone(quarters * _QUARTER * (1 if direction == b"+" else -1))
        local = datetime(2000 + year, month, day, hour, minute, second, 100_000 * tenth, offset)
        return local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise TimeError(f"no such time: {error}") from error


def format_absolute(moment: datetime) -> bytes:
    """An aware instant in UTC, cut to tenths of a second. Raises TimeError outside of the years 2000 to 2099."""
    assert moment.tzinfo is not None
    utc = moment.astimezone(UTC)
    if not 2000 <= utc.year <= 2099:
        raise TimeError("two digits cannot say this year")
    return f"{utc:%y%m%d%H%M%S}{utc.microsecond // 100_000}00+".encode()


def format_relative(span: timedelta) -> bytes:
    """A span from now, cut to seconds. Raises TimeError when negative or above 31 days, which SMSCs count differently:
    write an absolute time then."""
    if not timedelta(0) <= span < timedelta(days=_RELATIVE_DAYS_MAX + 1):
        raise TimeError("0 to 31 days can be said relatively")
    minutes, seconds = divmod(span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"0000{span.days:02}{hours:02}{minutes:02}{seconds:02}000R".encode()


def _months_later(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))
