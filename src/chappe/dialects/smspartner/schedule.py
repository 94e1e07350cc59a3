"""When an SMS Partner send is to leave: scheduledDeliveryDate, time and minute, local time of Paris."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final, NamedTuple

from chappe.core import localtime
from chappe.core.model import AccountSettings
from chappe.dialects.smspartner.refusals import Violation
from chappe.dialects.smspartner.request_parser import Values, text

_DATE: Final = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})").fullmatch
_WHOLE: Final = re.compile(r"-?[0-9]{1,9}").fullmatch


class Schedule(NamedTuple):
    """When: the instant (none: at once), or what is wrong with it; refusal is the first broken single rule."""

    at: datetime | None = None
    violations: tuple[Violation, ...] = ()
    refusal: str = ""


AT_ONCE: Final = Schedule()


def read(values: Values, settings: AccountSettings, now: datetime) -> Schedule:
    """The schedule of a request; without a date, `time` and `minute` are ignored."""
    date_written = text(values.get("scheduledDeliveryDate"))
    if not date_written:
        return AT_ONCE
    hour_written, minute_written = text(values.get("time")), text(values.get("minute"))
    if settings.schedule_zero_may_be_absent and bool(hour_written) != bool(minute_written):
        hour_written, minute_written = hour_written or "0", minute_written or "0"
    day = _day(date_written)
    hour, minute = _whole(hour_written), _whole(minute_written)
    refusal = ""
    if day is None:
        refusal = "date_invalid"
    elif hour_written and (hour is None or not (0 <= hour <= 23 or (hour == 24 and minute in (0, None)))):
        refusal = "time_invalid"
    elif minute_written and minute is None:
        refusal = "minute_invalid"
    elif minute is not None and (minute % 5 or not 0 <= minute <= 55):
        refusal = "minute_step"

    at, past = None, False
    if day is not None:
        past = day < localtime.local_date(now)
        if not past and not refusal and hour is not None and minute is not None:
            at = localtime.instant(_local(day, hour, minute), now)
            past = at < now
    violations = []
    if past:
        violations.append(Violation("date", "past", f"{date_written} à {hour_written}:{minute_written}"))
    if not minute_written:
        violations.append(Violation("minute", "required"))
    if not hour_written:
        violations.append(Violation("time", "required"))
    return Schedule(at, tuple(violations), refusal)


def _local(day: date, hour: int, minute: int) -> datetime:
    return localtime.end_of_day(day) if hour == 24 else datetime(day.year, day.month, day.day, hour, minute)


def _day(written: str) -> date | None:
    """A day written dd/mm/YYYY; the last years of the calendar are left out, since midnight after them has no date."""
    found = _DATE(written)
    if found is None or int(found[3]) > 9_000:
        return None
    try:
        return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        return None


def _whole(written: str) -> int | None:
    return int(written) if _WHOLE(written) else None
