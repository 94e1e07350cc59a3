"""How many webhooks may wait for one account, and what becomes of the others: given up, and said so in the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from chappe.core.model import message_id
from chappe.store.database import Connection
from chappe.store.messages import numbers
from chappe.store.webhook_hosts import ORIGIN_BITS, hosts_of
from chappe.store.webhooks import End

FREE_MAX: Final = 5_000
"""So many wait for an account: reports that cost nothing (of skipped recipients and sandbox messages) are not added."""

CROWDED: Final = f"""
with recursive accounts(account) as (
    (select host >> {ORIGIN_BITS} from webhook order by host limit 1)
    union all
    select (select w.host >> {ORIGIN_BITS} from webhook w where w.host >= (a.account + 1) << {ORIGIN_BITS}
            order by w.host limit 1)
    from accounts a where a.account is not null
)
select a.account from accounts a cross join lateral (
    select from webhook w where w.host >= a.account << {ORIGIN_BITS} and w.host < (a.account + 1) << {ORIGIN_BITS}
    order by w.host offset $1 limit 1
) beyond where a.account is not null
"""


async def is_crowded(connection: Connection, account_id: int, waiting_max: int) -> bool:
    """Whether more than so many webhooks wait for an account; reads that many entries of an index at most."""
    first, end = hosts_of(account_id)
    found = await connection.fetchval(
        "select true from webhook where host >= $1 and host < $2 order by host offset $3 limit 1",
        first,
        end,
        waiting_max,
    )
    return bool(found)


async def crowded(connection: Connection, waiting_max: int) -> list[int]:
    """The accounts for which more than so many webhooks wait."""
    return [row["account"] for row in await connection.fetch(CROWDED, waiting_max)]


async def drop_surplus(connection: Connection, account_id: int, waiting_max: int, limit: int, at: datetime) -> int:
    """Gives up the oldest webhooks of the account's host that has most, at most limit of them; gives how many."""
    first, end = hosts_of(account_id)
    counts = await connection.fetch(
        "select host, count(*) as waiting from webhook where host >= $1 and host < $2 group by host", first, end
    )
    surplus = sum(row["waiting"] for row in counts) - waiting_max
    if surplus <= 0:
        return 0
    largest = max(counts, key=lambda row: row["waiting"])
    rows = await connection.fetch(
        """with gone as (
               delete from webhook w where w.ctid = any (array(
                   select ctid from webhook where host = $1 order by host, key, id limit $2))
               returning w.id, w.message_id, w.state)
           insert into webhook_attempt (webhook_id, message_id, at, state, status, took_ms, outcome)
           select id, message_id, $3, state, 0, 0, $4 from gone returning 1""",
        largest["host"],
        min(surplus, largest["waiting"], limit),
        at,
        f"given up: more than {waiting_max} wait for this account",
    )
    return len(rows)


async def give_up(connection: Connection, submission_id: int, ends: Sequence[End], at: datetime) -> None:
    """Records that these ends of a submission are not told, since too many webhooks wait for the account already."""
    await connection.execute(
        """insert into webhook_attempt (webhook_id, message_id, at, state, status, took_ms, outcome)
           select nextval('webhook_number'), e.id, $3, e.state, 0, 0, $4
           from unnest($1::text::bigint[], $2::text::smallint[]) as e(id, state)""",
        numbers([message_id(submission_id, end.place) for end in ends]),
        numbers([end.state for end in ends]),
        at,
        f"given up: more than {FREE_MAX} wait for this account",
    )
