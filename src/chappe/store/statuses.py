"""The present state of messages as their customers may see it: by submission, number, tag or id. Reads only.

On hot connections: by keys only, since statistics know little of ranges of ids; references by their BRIN index.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chappe.core.model import Selector
from chappe.store.database import Database
from chappe.store.messages import numbers, texts
from chappe.store.rows import converted
from chappe.store.timeline import BY_RANGE, PLACE, PRESENT_STATE

TAGGED_MESSAGES_MAX = 1_000_000
"""How many messages of one tag are counted and paged through."""


class StatusRow(msgspec.Struct, frozen=True):
    """One message. message_id None: the submission has none that fits."""

    submission_id: int
    accepted_at: datetime
    tag: str
    client_reference: str
    message_id: int | None
    recipient: str
    state: int
    at: datetime
    price_micros: int
    refunded_micros: int
    parts: int
    reason: str
    opted_out: bool


# Opt-outs are looked up by a scalar that is limited: an `exists` may be answered by a hash of the whole table.
# `at` is the message's end, or what last moved it; a message that has been submitted came to that with its references.
_ROW = f"""s.id as submission_id, s.created_at as accepted_at, s.tag, s.client_reference, m.id as message_id,
    coalesce(m.recipient, '') as recipient, {PRESENT_STATE} as state, coalesce(m.updated_at, s.created_at) as at,
    coalesce(m.price_micros, 0) as price_micros,
    coalesce((select amount_micros from ledger_entry l where l.kind = 2 and l.reason = m.id), 0) as refunded_micros,
    coalesce(m.parts, 0) as parts, coalesce(m.reason, '') as reason,
    (select true from opt_out p where p.account_id = s.account_id and p.number = m.recipient limit 1) is not null
        as opted_out"""

# Each submission is read once, however many of its numbers are asked for.
SELECTED = f"""with asked as (
    select submission_id, array_agg(number) as wanted, bool_or(number = '') as whole
    from unnest($2::text::bigint[], $3::text::text[]) as w(submission_id, number) group by submission_id
)
select {_ROW} from asked a
cross join lateral (select * from submission where id = a.submission_id and account_id = $1 limit 1) s
left join lateral (select * from message m where m.id >= s.id << 16 and m.id < (s.id + 1) << 16
                   and (a.whole or m.recipient = any (a.wanted))) m on true
{PLACE}
order by s.id, m.id"""


async def selected(database: Database, account_id: int, selectors: Sequence[Selector]) -> list[StatusRow]:
    """The messages that any of the selectors means, submission by submission; one row without a message for a
    submission that has none of them; nothing for submissions that the account does not have."""
    async with database.connection(hot=True) as connection:
        rows = await connection.fetch(
            SELECTED,
            account_id,
            numbers([selector.submission_id for selector in selectors]),
            texts([selector.number for selector in selectors]),
        )
    return await converted(rows, StatusRow)


# In the order of submissions, and in each of its messages: what is before a page is passed over, never sorted.
_TAGGED = """from (select id from submission where account_id = $1 and tag = $2 order by id limit $3) s
cross join lateral (select id from message where id >= s.id << 16 and id < (s.id + 1) << 16) m"""
COUNT = f"select count(*) from (select {_TAGGED} limit $3) counted"
PAGE = f"select m.id {_TAGGED} order by s.id, m.id offset $4 limit $5"
BY_KEYS = """set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_seqscan = off;
set local enable_bitmapscan = off; set local enable_material = off; set local enable_sort = off"""


async def tagged(database: Database, account_id: int, tag: str, offset: int, limit: int) -> tuple[list[StatusRow], int]:
    """One page of the messages whose submission has this tag, oldest first, and how many there are in all.

    On an ordinary connection, since to count many takes a while.
    """
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(BY_KEYS)
        total: int = await connection.fetchval(COUNT, account_id, tag, TAGGED_MESSAGES_MAX)
        ids = await connection.fetch(PAGE, account_id, tag, TAGGED_MESSAGES_MAX, offset, limit)
        rows = await connection.fetch(
            f"""select {_ROW} from unnest($1::text::bigint[]) as w(id)
                cross join lateral (select * from message where id = w.id limit 1) m
                cross join lateral (select * from submission where id = w.id >> 16 limit 1) s
                {PLACE} order by m.id""",
            numbers([row["id"] for row in ids]),
        )
    return await converted(rows, StatusRow), total


async def one(database: Database, account_id: int, message_id: int) -> StatusRow | None:
    """One message by its id; None unless it is the account's."""
    async with database.connection(hot=True) as connection:
        rows = await connection.fetch(
            f"""select {_ROW} from message m join submission s on s.id = m.id >> 16 {PLACE}
                where m.id = $2 and m.account_id = $1""",
            account_id,
            message_id,
        )
    return StatusRow(**dict(rows[0])) if rows else None


async def submitted_at(database: Database, message_ids: Sequence[int]) -> dict[int, datetime]:
    """When a carrier took the last part of each of these messages of one submission."""
    if not message_ids:
        return {}
    async with database.transaction() as tx:
        await tx.execute(BY_RANGE)
        rows = await tx.fetch(
            """select message_id, max(submitted_at) as at from reference where message_id between $1 and $2
               group by message_id""",
            min(message_ids),
            max(message_ids),
        )
    return {row["message_id"]: row["at"] for row in rows}
