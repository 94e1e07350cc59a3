"""Who wrote last to whom: what a reply answers. Kept in batches behind the hot path, with the sums of costs.

A message costs nothing here when it is accepted. `follow` comes after it by its id, a while later, since ids are given
before commits; what is younger than that is searched by its recipient.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import msgspec

from chappe.store.database import Connection, Database
from chappe.store.messages import numbers
from chappe.store.sql import fill_in

FOLLOW_AFTER = timedelta(seconds=60)
"""How old a submission must be, so that none of a lower id can still be committed (statements end within 30 s)."""
FOLLOW_SUBMISSIONS = 10_000
FOLLOW_MESSAGES = 20_000
YOUNG_MESSAGES_MAX = 200_000
"""How many of the newest messages are searched by recipient."""


class Talk(msgspec.Struct, frozen=True):
    """The last message of one account to a number; at: since when it may have left."""

    account_id: int
    message_id: int
    at: datetime
    sender: str
    dialect: str
    reply_url: str


_NUMBER = "substr(m.recipient, 2)::bigint"
_TELEPHONE = r"^\+[0-9]{6,15}$"
# Not what never was a message (skipped recipients, sandbox ones: flag 16), what ended before it left, and what is
# scheduled or held: nobody has read that. It counts from its release on. A long one that failed is one all the same
# when parts of it had left, as its money tells: not all of it came back.
_FAILED_WHOLE = fill_in("""m.state = @failed@ and (m.parts = 1 or m.price_micros <= coalesce(
    (select l.amount_micros from ledger_entry l where l.kind = 2 and l.reason = m.id), 0))""")
_REAL = fill_in(f"""m.state not in (@scheduled@, @held@, @suppressed@, @cancelled@) and not ({_FAILED_WHOLE})
    and s.flags & @sandbox@ = 0 and m.recipient ~ '{_TELEPHONE}'""")

_BLOCK = """select max(id) as last from (
    select id, created_at, sum(recipients) over (order by id) as messages, row_number() over (order by id) as place,
           min(case when created_at >= $2 then id end) over () as young
    from (select id, created_at, recipients from submission where id > $1 order by id limit $3) s
) b where (young is null or id < young) and (messages <= $4 or place = 1)"""


async def follow(database: Database, now: datetime) -> bool:
    """Takes the next submissions into conversations and sums of costs; True when there may be more."""
    async with database.transaction(hot=True) as tx:
        position: int = await tx.fetchval(
            """insert into upkeep (name, position) values ('follow', 0)
               on conflict (name) do update set at = now() returning position"""
        )
        last: int | None = await tx.fetchval(_BLOCK, position, now - FOLLOW_AFTER, FOLLOW_SUBMISSIONS, FOLLOW_MESSAGES)
        if last is None:
            return False
        await tx.execute(
            f"""insert into conversation as c (number, account_id, message_id)
                select {_NUMBER} as number, m.account_id, max(m.id)
                from message m join submission s on s.id = m.id >> 16
                where m.id >= ($1::bigint + 1) << 16 and m.id < ($2::bigint + 1) << 16 and {_REAL}
                group by 1, 2 order by 1, 2
                on conflict (number, account_id) do update set message_id = excluded.message_id
                where c.message_id < excluded.message_id""",
            position,
            last,
        )
        await tx.execute(
            fill_in("""insert into daily_cost as d (account_id, day, charged_micros, messages)
               select account_id, (created_at at time zone 'Europe/Paris')::date, sum(cost_micros), sum(recipients)
               from submission where id > $1 and id <= $2 and flags & @sandbox@ = 0 group by 1, 2 order by 1, 2
               on conflict (account_id, day) do update set charged_micros = d.charged_micros + excluded.charged_micros,
                                                           messages = d.messages + excluded.messages"""),
            position,
            last,
        )
        await tx.execute("update upkeep set position = $1, at = now() where name = 'follow'", last)
    return True


async def release(connection: Connection, message_ids: Sequence[int]) -> None:
    """These messages leave now, however long ago they were accepted: a reply answers them."""
    if not message_ids:
        return
    await connection.execute(
        f"""insert into conversation as c (number, account_id, message_id)
            select {_NUMBER} as number, m.account_id, max(m.id)
            from unnest($1::text::bigint[]) as w(id)
            cross join lateral (select * from message where id = w.id limit 1) m
            where m.recipient ~ '{_TELEPHONE}'
            group by 1, 2 order by 1, 2
            on conflict (number, account_id) do update set message_id = excluded.message_id""",
        numbers(message_ids),
    )


async def of_numbers(connection: Connection, wanted: Collection[str]) -> dict[str, list[Talk]]:
    """The last message of each account to each of these numbers (E.164), the newest first.

    On a hot connection: whatever statistics say, only what has not been followed is searched, once for all of them.
    """
    if not wanted:
        return {}
    rows = await connection.fetch(
        f"""with young as (
                select m.recipient as number, m.account_id, m.id from (
                    select id, account_id, recipient, state, parts, price_micros from message
                    where id >= (coalesce((select position from upkeep where name = 'follow'), 0) + 1) << 16
                    order by id desc limit $2) m
                cross join lateral (select flags from submission where id = m.id >> 16 limit 1) s
                where m.recipient = any ($1::text[]) and {_REAL}
            ), newest as (
                select distinct on (e.number, e.account_id)
                       e.number, e.account_id, e.id, s.at, s.sender, s.dialect, s.reply_url
                from (select * from young union all
                      select w.number, c.account_id, c.message_id from unnest($1::text[]) as w(number)
                      cross join lateral (select * from conversation k where k.number = substr(w.number, 2)::bigint) c
                     ) e
                cross join lateral (select greatest(created_at, scheduled_at) as at, sender, dialect, reply_url
                                    from submission where id = e.id >> 16 limit 1) s
                order by e.number, e.account_id, s.at desc, e.id desc
            )
            select number, account_id, id as message_id, at, sender, dialect, reply_url
            from newest order by at desc, id desc""",
        list(wanted),
        YOUNG_MESSAGES_MAX,
    )
    found: dict[str, list[Talk]] = {}
    for number, *talk in rows:
        found.setdefault(number, []).append(Talk(*talk))
    return found
