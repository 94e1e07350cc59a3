"""What an account was charged, less what it got back, by months of Europe/Paris."""

from __future__ import annotations

from datetime import date

import msgspec

from chappe.store.database import Database
from chappe.store.sql import fill_in


class MonthRow(msgspec.Struct, frozen=True):
    """month: its first day."""

    month: date
    cost_micros: int
    messages: int


BY_MONTH = fill_in("""select date_trunc('month', day)::date as month, sum(cost)::bigint as cost_micros,
           sum(messages)::bigint as messages
    from (
        select day, charged_micros - refunded_micros as cost, messages - refunded_messages as messages
        from daily_cost where account_id = $1
        union all
        select (created_at at time zone 'Europe/Paris')::date, cost_micros, recipients from submission
        where id > coalesce((select position from upkeep where name = 'follow'), 0)
          and account_id = $1 and flags & @sandbox@ = 0
    ) d where day between $2 and $3 group by 1 order by 1""")


async def by_month(database: Database, account_id: int, first: date, last: date) -> list[MonthRow]:
    """The months that have something between these days, both included. What `conversations.follow` has not reached
    yet is summed up from the submissions themselves."""
    async with database.connection(hot=True) as connection:  # by keys, whatever statistics say of the newest
        rows = await connection.fetch(BY_MONTH, account_id, first, last)
    return [MonthRow(**dict(row)) for row in rows]
