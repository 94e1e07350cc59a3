"""What messages have cost, month by month."""

from __future__ import annotations

from datetime import datetime, timedelta

from chappe.core import localtime
from chappe.core.model import Costs, Moment, MonthCost, ReadCosts
from chappe.store import costs
from chappe.store.database import Database


async def read_costs(database: Database, command: ReadCosts, moment: Moment) -> Costs:
    """The months of Europe/Paris that have something; the first and the last may be cut by the range of days."""
    if command.until <= command.since:
        return Costs(())
    first = localtime.local_date(command.since)
    last = localtime.local_date(command.until - timedelta(microseconds=1))
    rows = await costs.by_month(database, command.account.id, first, last)
    return Costs(
        tuple(
            MonthCost(
                month=localtime.instant(datetime(row.month.year, row.month.month, 1), moment.now),
                cost_micros=row.cost_micros,
                messages=row.messages,
            )
            for row in rows
        )
    )
