"""SMS Partner's /statistics/cost-resume: what an account spent and sent, month by month."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from chappe.core import localtime
from chappe.core.http import Response
from chappe.core.model import Account, AccountSettings, Costs, Moment, ReadCosts
from chappe.dialects.smspartner.refusals import Violation, Violations
from chappe.dialects.smspartner.render import CData, decimal, respond
from chappe.dialects.smspartner.request_parser import Values, text

YEAR_MIN: Final = 2000
YEAR_MAX: Final = 2999
MONTHS_MAX: Final = 120

_DATE: Final = re.compile(r"([0-9]{1,2})-([0-9]{1,2})-([0-9]{4})", re.ASCII).fullmatch
_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


def read(values: Values, account: Account, moment: Moment) -> ReadCosts:
    """The range that is meant, by days of Paris: the month before this one; this one and the eleven before it; or
    `from` to `to`, both whole. Raises Violations."""
    interval = text(values.get("interval"))
    this_month = localtime.local_date(moment.now).replace(day=1)
    if interval == "last_month":
        first, end = _months_before(this_month, 1), this_month
    elif interval == "last_twelve_months":
        first, end = _months_before(this_month, 11), _months_before(this_month, -1)
    elif interval == "custom":
        first, end = _custom(text(values.get("from")), text(values.get("to")))
    else:
        raise Violations((Violation("interval", "invalid" if interval else "required", interval),))
    return ReadCosts(account, _midnight(first), _midnight(end))


def summed(outcome: Costs, values: Values, settings: AccountSettings, xml: bool) -> Response:
    """The months; this page alone has no `code`."""
    datas = []
    for row in outcome.months:
        month = localtime.local_date(row.month)
        datas.append(
            {
                "month": CData(_MONTHS[month.month - 1]),
                "year": CData(month.year),
                "m": CData(f"{month.month:02d}"),
                "date": int(row.month.timestamp()),
                "type": CData("month"),
                "cost": CData(decimal(row.cost_micros)),
                "nb_send": CData(row.messages),
            }
        )
    return respond(200, {"success": True, "datas": datas}, xml=xml)


def _custom(since: str, until: str) -> tuple[date, date]:
    """The first day, and the day after the last."""
    if not since or not until:
        raise Violations((Violation("date", "required"),))
    first, last = _day(since), _day(until)
    if first is None or last is None or first > last:
        raise Violations((Violation("date", "invalid"),))
    if (last.year - first.year) * 12 + last.month - first.month >= MONTHS_MAX:
        raise Violations((Violation("date", "invalid"),))
    return first, last + timedelta(days=1)


def _day(written: str) -> date | None:
    found = _DATE(written)
    if found is None or not YEAR_MIN <= int(found[3]) <= YEAR_MAX:
        return None
    try:
        return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        return None


def _months_before(first: date, months: int) -> date:
    count = first.year * 12 + first.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    # Midnight comes once a day in Paris, whatever the clocks do, so it does not matter what time it is now.
    return localtime.instant(datetime(day.year, day.month, day.day), datetime(YEAR_MIN, 1, 1, tzinfo=UTC))
