"""How many parts of an account wait to leave: counted as they come and go, or on demand.

A million scheduled messages are one row here. What is ready mostly leaves at once and is few: it is counted when
somebody asks. Where it is many, since a carrier is slow, upkeep counts now and then what all accounts have there, while
anybody asks at all; the answer is then as old as that.
"""

from __future__ import annotations

from chappe.store.database import Database
from chappe.store.sql import fill_in

READY_COUNTED_MAX = 2_000
"""How many rows of ready lanes are counted for one answer."""
ASKED_S = 600
"""How long after the last question upkeep goes on counting."""
COUNT_EVERY_S = 5
COUNT_SHARE = 50
"""A count that took long is made again after so many times as long."""

# On a hot connection, whatever statistics say: lanes are found by skipping, and no lane is read further than needed.
_FEW = fill_in("""with recursive found as (
        (select lane from outbox order by lane limit 1)
        union all
        select (select o.lane from outbox o where o.lane > f.lane order by o.lane limit 1)
        from found f where f.lane is not null),
    nearest as (
        select r.message_id from found f cross join lateral (
            select message_id from outbox o where o.lane = f.lane order by o.lane, o.key, o.message_id limit $2) r
        where f.lane is not null and f.lane & 7 <> @waiting_class@ limit $2)
    select count(*) as rows, coalesce(sum(m.parts) filter (where m.account_id = $1), 0)::bigint as ready,
           (coalesce((select parts from waiting_parts where account_id = $1), 0)
            + coalesce((select sum(parts) from waiting_parts_change where account_id = $1), 0))::bigint as waiting
    from nearest n cross join lateral (select account_id, parts from message where id = n.message_id limit 1) m""")

_COUNT = fill_in("""with every as (
        select m.account_id, sum(m.parts) as parts from outbox o join message m on m.id = o.message_id
        where o.lane & 7 <> @waiting_class@ group by 1)
    update ready_count set counted_at = now(), parts = coalesce(
               (select jsonb_object_agg(account_id::text, parts) from every), '{}')""")

_FRESH = "counted_at > clock_timestamp() - make_interval(secs => greatest($1, took_ms / 1000.0 * $2))"


async def parts(database: Database, account_id: int) -> int:
    """How many parts of the account have not left yet."""
    async with database.connection(hot=True) as connection:
        row = await connection.fetchrow(_FEW, account_id, READY_COUNTED_MAX + 1)
    ready = row["ready"] if row["rows"] <= READY_COUNTED_MAX else await _many(database, account_id)
    return int(row["waiting"] + ready)


async def _many(database: Database, account_id: int) -> int:
    """Of ready lanes that hold much: from the last count, or from one made now where that is too old."""
    rows = await database.fetch(
        f"""select {_FRESH} as fresh, coalesce((parts ->> $3)::bigint, 0) as parts,
                   asked_at < now() - interval '60 s' as tell from ready_count""",
        float(3 * COUNT_EVERY_S),
        float(3 * COUNT_SHARE),
        str(account_id),
    )
    if rows[0]["tell"]:
        await database.execute("update ready_count set asked_at = now()")
    if rows[0]["fresh"]:
        return int(rows[0]["parts"])
    await _count(database)
    return await database.value("select coalesce((parts ->> $1)::bigint, 0) from ready_count", str(account_id)) or 0


async def _count(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(_COUNT)
        await tx.execute("update ready_count set took_ms = extract(epoch from clock_timestamp() - now()) * 1000")


async def count_ready(database: Database) -> None:
    """Counts what ready lanes hold, if anybody has asked lately and the last count is old enough."""
    due = await database.value(
        f"""select asked_at > now() - make_interval(secs => $3) and not {_FRESH} from ready_count""",
        float(COUNT_EVERY_S),
        float(COUNT_SHARE),
        float(ASKED_S),
    )
    if due:
        await _count(database)


async def fold(database: Database) -> None:
    """Adds up what statements have noted since the last time."""
    if not await database.value("select exists (select from waiting_parts_change)"):
        return
    await database.execute(
        """with gone as (delete from waiting_parts_change returning account_id, parts),
                sums as (select account_id, sum(parts) as parts from gone group by 1)
           insert into waiting_parts as w (account_id, parts) select account_id, parts from sums order by account_id
           on conflict (account_id) do update set parts = w.parts + excluded.parts"""
    )
