"""Forgetting: sandbox messages vanish, texts and numbers of long ago are blanked; amounts and states stay.

Each task goes through its table once by a cursor, a bounded batch at a time, so that nothing is searched for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from chappe.store.database import Connection, Database
from chappe.store.sql import fill_in
from chappe.store.webhook_hosts import hosts_of

SANDBOX_KEPT = timedelta(days=1)
KEPT_MIN = timedelta(days=4)
"""Whatever the operator sets: by then a message has come to an end, unless it left late."""
SUBMISSIONS = 2_000
MESSAGES = 5_000
ROWS = 5_000
ROUNDS_MAX = 3
"""Of each task at a time: other upkeep must not wait."""


async def forget(database: Database, now: datetime, retention_days: int, more: Callable[[], bool]) -> None:
    """Goes on with each task, as far as it comes in a bounded number of batches; more: whether another may begin."""
    before = now - max(timedelta(days=retention_days), KEPT_MIN)
    if not await _anything(database, now - SANDBOX_KEPT, before):
        return
    tasks: tuple[tuple[Callable[[Database, datetime], Awaitable[bool]], datetime], ...] = (
        (vanish, now - SANDBOX_KEPT),
        (blank, before),
        (blank_receipts, before),
        (blank_received, before),
        (forget_conversations, before),
        (blank_removed, before),
    )
    for task, until in tasks:
        for _ in range(ROUNDS_MAX):
            if not more():
                return
            if not await task(database, until):
                break


# The oldest row behind each cursor; and where anything has been blanked, conversations are looked through all the time.
_ANYTHING = """with at as (select coalesce(max(position) filter (where name = 'vanish'), 0) as vanish,
                           coalesce(max(position) filter (where name = 'blank'), 0) as blank,
                           coalesce(max(position) filter (where name = 'blank_receipts'), 0) as receipts,
                           coalesce(max(position) filter (where name = 'blank_received'), 0) as received from upkeep)
    select blank > 0
        or exists (select from retention_late where due_at < $2)
        or coalesce((select created_at < $1 from submission where id > at.vanish order by id limit 1), false)
        or coalesce((select created_at < $2 from submission where id > at.blank order by id limit 1), false)
        or coalesce((select received_at < $2 from receipt where id > at.receipts order by id limit 1), false)
        or exists (select from (select received_at from inbound where id > at.received order by id limit $3) i
                   where received_at < $2)
    from at"""


async def _anything(database: Database, sandbox_before: datetime, before: datetime) -> bool:
    """Whether a task has something to do: without a lock, and mostly false."""
    async with database.connection(hot=True) as connection:
        return bool(await connection.fetchval(_ANYTHING, sandbox_before, before, ROWS))


async def _position(connection: Connection, name: str) -> int:
    position: int = await connection.fetchval(
        """insert into upkeep (name, position) values ($1, 0)
           on conflict (name) do update set at = now() returning position""",
        name,
    )
    return position


async def _move(connection: Connection, name: str, position: int) -> None:
    await connection.execute("update upkeep set position = $2, at = now() where name = $1", name, position)


# The submissions that come next and are old enough, with not too many messages.
_BLOCK = """select max(id) from (
    select id, created_at, sum(recipients) over (order by id) as messages, row_number() over (order by id) as place,
           min(case when created_at >= $2 then id end) over () as young
    from (select id, created_at, recipients from submission where id > $1 order by id limit $3) s
) b where (young is null or id < young) and (messages <= $4 or place = 1)"""


# By each account's part of the key: the table may hold millions of others.
VANISHED_WEBHOOKS = """delete from webhook w using unnest($2::bigint[], $3::bigint[]) as a(low, high)
    where w.host >= a.low and w.host < a.high and w.message_id > 0 and w.message_id >> 16 = any ($1::bigint[])"""


async def vanish(database: Database, before: datetime) -> bool:
    """Deletes the next sandbox submissions with all that belongs to them; False when no more are old enough."""
    async with database.transaction(hot=True) as tx:
        position = await _position(tx, "vanish")
        last: int | None = await tx.fetchval(_BLOCK, position, before, SUBMISSIONS, MESSAGES)
        if last is None:
            return False
        rows = await tx.fetch(
            fill_in(
                "delete from submission where id > $1 and id <= $2 and flags & @sandbox@ <> 0 returning id, account_id"
            ),
            position,
            last,
        )
        for row in rows:
            first = row["id"] << 16
            await tx.execute("delete from message where id between $1 and $2", first, first | 0xFFFF)
        if rows:
            ranges = [hosts_of(account_id) for account_id in sorted({row["account_id"] for row in rows})]
            await tx.execute(
                VANISHED_WEBHOOKS,
                [row["id"] for row in rows],
                [low for low, _ in ranges],
                [high for _, high in ranges],
            )
        await _move(tx, "vanish", last)
    return True


async def blank(database: Database, before: datetime) -> bool:
    """Blanks the next submissions of before then; those that were scheduled for later, and those of which something
    waits in the queue, are remembered until it is their time. False when there is nothing more."""
    async with database.transaction(hot=True) as tx:
        late = await tx.fetch(_LATE, before, MESSAGES, SUBMISSIONS)
        position = await _position(tx, "blank")
        last: int | None = await tx.fetchval(_BLOCK, position, before, SUBMISSIONS, MESSAGES)
        if last is not None:
            await _blank_range(tx, position + 1, last, before)
            await _move(tx, "blank", last)
        for row in late:
            await _blank_range(tx, row["id"], row["id"], before)
    return last is not None or bool(late)


# The next of those that were remembered, with not too many messages.
_LATE = """delete from retention_late where submission_id in (
    select id from (
        select l.submission_id as id, sum(s.recipients) over (order by l.due_at, l.submission_id) as messages,
               row_number() over (order by l.due_at, l.submission_id) as place
        from (select * from retention_late where due_at < $1 order by due_at, submission_id limit $3) l
        join submission s on s.id = l.submission_id
    ) b where messages <= $2 or place = 1) returning submission_id as id"""

LEAVES_WITHIN = timedelta(days=6)
"""How long after its turn in the queue a message may still leave (workers/in_flight.py: deadline)."""

# Submissions that are to leave later, and when that is: by their schedule, or by where they stand in the queue.
_LATER = """insert into retention_late (submission_id, due_at)
    select s.id, greatest(s.scheduled_at, w.due_at)
    from submission s cross join lateral (
        select to_timestamp(max(o.key) / 1000000.0) + $4 as due_at from message m
        join outbox o on o.lane = m.lane and o.key = m.key and o.message_id = m.id
        where m.id >= s.id << 16 and m.id < (s.id + 1) << 16) w
    where s.id between $1 and $2 and greatest(s.scheduled_at, w.due_at) >= $3
    on conflict do nothing"""


_MASKED = """case when length({0}) < 8 then repeat('*', length({0}))
                  else left({0}, 3) || repeat('*', length({0}) - 5) || right({0}, 2) end"""


async def _blank_range(connection: Connection, first: int, last: int, before: datetime) -> None:
    """Blanks these submissions, but for those that are to leave later: these are remembered."""
    bounds = (first, last)
    await connection.execute(_LATER, *bounds, before, LEAVES_WITHIN)
    ended = "not exists (select from retention_late l where l.submission_id = s.id)"
    await connection.execute(
        f"""update message m set recipient = {_MASKED.format("m.recipient")}, text = null
            from submission s
            where s.id between $1 and $2 and {ended} and m.id >= s.id << 16 and m.id < (s.id + 1) << 16""",
        *bounds,
    )
    await connection.execute(
        f"""update submission s set text = '', report_url = '', reply_url = '', client_reference = ''
            where s.id between $1 and $2 and {ended}""",
        *bounds,
    )


async def blank_receipts(database: Database, before: datetime) -> bool:
    """Blanks the next receipts of before then: their words and states stay."""
    async with database.transaction(hot=True) as tx:
        position = await _position(tx, "blank_receipts")
        last: int | None = await tx.fetchval(
            """select max(id) from (select id, received_at from receipt where id > $1 order by id limit $3) r
               where received_at < $2""",
            position,
            before,
            ROWS,
        )
        if last is None:
            return False
        await tx.execute(
            f"""update receipt set raw = '', source = {_MASKED.format("source")}
                where id > $1 and id <= $2 and received_at < $3""",
            position,
            last,
            before,
        )
        await _move(tx, "blank_receipts", last)
    return True


async def blank_received(database: Database, before: datetime) -> bool:
    """Blanks the next messages of subscribers, and the replies that were made of them, of before then."""
    async with database.transaction(hot=True) as tx:
        position = await _position(tx, "blank_received")
        rows = await tx.fetch(
            """select id, reply_id
               from (select id, reply_id, received_at from inbound where id > $1 order by id limit $3) i
               where received_at < $2 order by id""",
            position,
            before,
            ROWS,
        )
        if not rows:
            return False
        await tx.execute(
            f"""update inbound set raw = '', key = null, message = null, source = {_MASKED.format("source")},
                       destination = {_MASKED.format("destination")} where id = any ($1::bigint[])""",
            [row["id"] for row in rows],
        )
        await tx.execute(
            f"""update reply set text = '', parts = '{{}}', number = {_MASKED.format("number")}
                where id <= (select max(r) from unnest($1::bigint[]) as r) and at < $2 and text <> ''""",
            [row["reply_id"] for row in rows if row["reply_id"] is not None],
            before,
        )
        await _move(tx, "blank_received", rows[-1]["id"])
    return True


async def forget_conversations(database: Database, before: datetime) -> bool:
    """Forgets conversations whose message has been blanked; goes round and round through the numbers."""
    async with database.transaction(hot=True) as tx:
        oldest: int = await tx.fetchval("select coalesce((select position from upkeep where name = 'blank'), 0)")
        if not oldest:
            return False
        position = await _position(tx, "conversations")
        last: int | None = await tx.fetchval(
            "select max(number) from (select number from conversation where number > $1 order by number limit $2) n",
            position,
            ROWS,
        )
        await tx.execute(
            "delete from conversation where number > $1 and number <= $2 and message_id < ($3::bigint + 1) << 16",
            position,
            last or position,
            oldest,
        )
        await _move(tx, "conversations", last or 0)
    return last is not None


async def blank_removed(database: Database, before: datetime) -> bool:
    """Blanks the numbers of the next opt-outs that were taken off before then; False when there is nothing more."""
    async with database.transaction(hot=True) as tx:
        position = await _position(tx, "blank_removed")
        last: int | None = await tx.fetchval(
            """select max(id) from (select id, removed_at from opt_out_removed where id > $1 order by id limit $3) r
               where removed_at < $2""",
            position,
            before,
            ROWS,
        )
        if last is None:
            return False
        await tx.execute(
            f"""update opt_out_removed set number = {_MASKED.format("number")}
                where id > $1 and id <= $2 and removed_at < $3""",
            position,
            last,
            before,
        )
        await _move(tx, "blank_removed", last)
    return True
