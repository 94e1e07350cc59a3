"""Opt-outs: the numbers that want nothing more from an account, and what of theirs still waits to leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from chappe.core.model import OptOut
from chappe.store.database import Connection, Database
from chappe.store.messages import REFUND_ARRAY
from chappe.store.rows import converted
from chappe.store.sql import fill_in


class OptOutRemoved(msgspec.Struct, frozen=True):
    """One entry that was taken off a list: whose word it had been (source), when and by whom it was taken off."""

    number: str
    added_at: datetime
    source: str
    comment: str
    removed_at: datetime
    removed_by: str


SWEEP_ROWS_MAX = 20_000
"""How much of the queue is searched when a number opts out; what lies beyond is stopped when its turn comes."""


async def add(
    connection: Connection,
    account_id: int,
    number: str,
    now: datetime,
    source: str,
    comment: str,
    detail: str = "",
) -> tuple[int, bool]:
    """Puts a number on an account's list: the entry's id, and whether it was there before.

    Then it stays as it was; but what a subscriber says himself is his own word from then on, whoever listed him first.
    """
    added: int | None = await connection.fetchval(
        """insert into opt_out (account_id, number, at, source, comment, detail) values ($1, $2, $3, $4, $5, $6)
           on conflict do nothing returning id""",
        account_id,
        number,
        now,
        source,
        comment,
        detail,
    )
    if added is not None:
        return added, False
    if source == "reply":
        known: int | None = await connection.fetchval(
            """update opt_out set source = 'reply', comment = $3, detail = $4
               where account_id = $1 and number = $2 returning id""",
            account_id,
            number,
            comment,
            detail,
        )
    else:
        known = await connection.fetchval(
            "select id from opt_out where account_id = $1 and number = $2", account_id, number
        )
    # None: somebody took it off in the same instant; then it is put there once more.
    if known is not None:
        return known, True
    return await add(connection, account_id, number, now, source, comment, detail)


async def add_many(
    connection: Connection, account_id: int, rows: Sequence[tuple[str, datetime, str]], source: str
) -> int:
    """Puts many numbers on a list: (number, at, comment); gives how many were not there before."""
    added = await connection.fetch(
        """insert into opt_out (account_id, number, at, source, comment)
           select $1, number, at, $2, comment from unnest($3::text[], $4::timestamptz[], $5::text[])
                  as r(number, at, comment)
           on conflict do nothing returning 1""",
        account_id,
        source,
        [number for number, _, _ in rows],
        [at for _, at, _ in rows],
        [comment for _, _, comment in rows],
    )
    return len(added)


async def may_confirm(connection: Connection, account_id: int, number: str, day: date) -> bool:
    """Whether a confirmation may go to this number today; from now on none may, of any account."""
    return bool(
        await connection.fetchval(
            """insert into stop_confirmation (number, day, account_id) values ($1, $2, $3)
               on conflict do nothing returning true""",
            number,
            day,
            account_id,
        )
    )


async def confirmed(connection: Connection, number: str, day: date, message_id: int) -> None:
    """Says which message confirmed."""
    await connection.execute(
        "update stop_confirmation set message_id = $3 where number = $1 and day = $2", number, day, message_id
    )


async def forget_confirmations(database: Database, today: date, limit: int) -> bool:
    """Confirmations of days that are over hinder no others: the numbers of the next ones are forgotten; True when there
    may be more of them."""
    gone = await database.fetch(
        """delete from stop_confirmation where ctid = any (array(
               select ctid from stop_confirmation where day < $1 limit $2)) returning true""",
        today,
        limit,
    )
    return len(gone) == limit


OWN_SOURCES = ("api", "import")
"""Where entries come from that are the customer's own doing: reply is the subscriber's, command the operator's."""

_REMOVE = """with gone as (delete from opt_out where {} returning *)
    insert into opt_out_removed (account_id, number, added_at, source, comment, detail, removed_at, removed_by)
    select account_id, number, at, source, comment, detail, $3, $4 from gone returning true"""


async def remove(connection: Connection, account_id: int, number: str, now: datetime, by: str) -> bool:
    """Takes a number off a list, and keeps that it was there and who took it off; False when it was not there."""
    return bool(
        await connection.fetchval(_REMOVE.format("account_id = $1 and number = $2"), account_id, number, now, by)
    )


async def remove_by_id(
    connection: Connection, account_id: int, entry_id: int, now: datetime, by: str, *, own_only: bool = False
) -> bool | None:
    """Takes an entry off a list, as remove(); False when this account has no such entry. own_only: None, and the entry
    stays, when it is not the customer's own doing."""
    source = await connection.fetchval(
        "select source from opt_out where account_id = $1 and id = $2 for update", account_id, entry_id
    )
    if source is None:
        return False
    if own_only and source not in OWN_SOURCES:
        return None
    await connection.fetchval(_REMOVE.format("account_id = $1 and id = $2"), account_id, entry_id, now, by)
    return True


async def removed(database: Database, account_id: int, limit: int) -> list[OptOutRemoved]:
    """What was taken off an account's list, the newest first."""
    rows = await database.fetch(
        """select number, added_at, source, comment, removed_at, removed_by from opt_out_removed
           where account_id = $1 order by id desc limit $2""",
        account_id,
        limit,
    )
    return [OptOutRemoved(**dict(row)) for row in rows]


async def listed(database: Database, account_id: int) -> list[OptOut]:
    """An account's list, oldest first."""
    rows = await database.fetch(
        "select id, number, at, comment from opt_out where account_id = $1 order by at, id", account_id
    )
    return await converted(rows, OptOut)


async def are_more_than(connection: Connection, account_id: int, count: int) -> bool:
    """Whether an account's list has more entries than so many; it is not counted further."""
    return bool(
        await connection.fetchval(
            "select true from opt_out where account_id = $1 order by number offset $2 limit 1", account_id, count
        )
    )


async def among(database: Database, account_id: int, numbers: Sequence[str]) -> set[str]:
    """Those of the numbers that are on an account's list."""
    rows = await database.fetch(
        """select n.number from unnest($2::text[]) as n(number)
           where (select true from opt_out o where o.account_id = $1 and o.number = n.number limit 1) is not null""",
        account_id,
        list(numbers),
    )
    return {row["number"] for row in rows}


async def sweep(connection: Connection, account_ids: Sequence[int], number: str, now: datetime, detail: str) -> int:
    """Ends what waits in the queue of these accounts for a number, with its money back, but for transactional messages
    that may pass; gives how many. Searches a bounded part of the queue: the claim stops whatever else there is."""
    rows = await connection.fetch(
        fill_in("""with found as (
               select w.lane, w.key, w.message_id
               from (select lane, key, message_id from outbox limit $3) w
               cross join lateral (select account_id, recipient, lane from message where id = w.message_id limit 1) m
               cross join lateral (select flags from submission where id = w.message_id >> 16 limit 1) s
               where m.recipient = $2 and m.account_id = any ($1::int[]) and s.flags & @stop_ignored@ = 0
           )
           delete from outbox o using found f
           where o.lane = f.lane and o.key = f.key and o.message_id = f.message_id
           returning o.message_id, o.parts_done"""),
        list(account_ids),
        number,
        SWEEP_ROWS_MAX,
    )
    met = [row["message_id"] << 5 | row["parts_done"].bit_count() for row in rows]
    if met:
        await connection.execute("select suppress($1, $2::text::smallint[], $3, $4)", now, REFUND_ARRAY, met, detail)
    return len(rows)
