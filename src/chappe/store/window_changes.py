"""Which sending window accounts have had since when, and what they hold: read and placed anew when one has changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from chappe.core.lifecycle import State
from chappe.store.database import Connection, Database
from chappe.store.messages import numbers
from chappe.store.sql import fill_in

KEY_MAX = (1 << 63) - 1


class Change(msgspec.Struct, frozen=True):
    """An account has another window than before, or its window has other rules."""

    id: int
    account_id: int
    at: datetime


class Held(msgspec.Struct, frozen=True):
    """A message that is held, and its place in the queue. scheduled_at: when its customer wants it to leave."""

    lane: int
    key: int
    message_id: int
    attempts: int
    parts_done: int
    account_id: int
    recipient: str
    reason: str | None
    flags: int
    sender: str
    scheduled_at: datetime | None


class Moved(msgspec.Struct, frozen=True):
    """What became of one: when it is due now, its state (held or scheduled), and why. detail: for its timeline."""

    held: Held
    key: int
    state: State
    reason: str | None
    detail: str


async def pending(database: Database) -> list[Change]:
    """The changes after which nothing has been placed anew yet."""
    rows = await database.fetch("select id, account_id, at from window_change where not placed order by id")
    return [Change(*row) for row in rows]


async def done(database: Database, ids: Sequence[int]) -> None:
    await database.execute("update window_change set placed = true where id = any ($1::bigint[])", list(ids))


async def follow_profiles(database: Database, fingerprints: Mapping[str, str], default: str) -> None:
    """Notes a change for each account whose profile has other rules than when this was asked last.

    A name that is no profile any more is the default. At the first time there is nothing to compare with.
    """
    async with database.transaction() as tx:
        rows = await tx.fetch("select name, fingerprint from window_profile for update")
        before = {row["name"]: row["fingerprint"] for row in rows}
        if before == dict(fingerprints):
            return
        names = {*before, *fingerprints}

        def rules(known: Mapping[str, str], name: str) -> str:
            return known.get(name) or known[default]

        changed = [name for name in names if before and rules(before, name) != rules(fingerprints, name)]
        await tx.execute("delete from window_profile where name <> all ($1::text[])", list(fingerprints))
        await tx.execute(
            """insert into window_profile (name, fingerprint) select n, f from unnest($1::text[], $2::text[]) as p(n, f)
               on conflict (name) do update set fingerprint = excluded.fingerprint""",
            list(fingerprints),
            list(fingerprints.values()),
        )
        await tx.execute(
            """insert into window_change (account_id, name)
               select id, coalesce(settings ->> 'window', '') from account
               where coalesce(settings ->> 'window', $2) = any ($1::text[])""",
            changed,
            default,
        )


async def lanes(database: Database) -> list[int]:
    """The waiting lanes that hold something, found by skipping through the primary key."""
    rows = await database.fetch(
        fill_in("""with recursive found as (
               (select lane from outbox order by lane limit 1)
               union all
               select (select o.lane from outbox o where o.lane > f.lane order by o.lane limit 1)
               from found f where f.lane is not null)
           select lane from found where lane & 7 = @waiting_class@""")
    )
    return [row["lane"] for row in rows]


async def edge(
    connection: Connection, lane: int, after: tuple[int, int], limit: int, until_key: int = KEY_MAX
) -> tuple[int, int] | None:
    """The place (key, message id) of the last of the next rows of a lane, at most `limit`; None when there is none."""
    row = await connection.fetchrow(
        """select key, message_id from (
               select key, message_id from outbox where lane = $1 and (key, message_id) > ($2, $3) and key <= $5
               order by lane, key, message_id limit $4) q
           order by key desc, message_id desc limit 1""",
        lane,
        *after,
        limit,
        until_key,
    )
    return None if row is None else (row["key"], row["message_id"])


async def held(
    connection: Connection, lane: int, after: tuple[int, int], edge: tuple[int, int], account_ids: Collection[int]
) -> list[Held]:
    """What these accounts hold between two places of a waiting lane."""
    rows = await connection.fetch(
        fill_in("""select o.lane, o.key, o.message_id, o.attempts, o.parts_done, m.account_id, m.recipient, m.reason,
                  s.flags, s.sender, s.scheduled_at
           from (select * from outbox where lane = $1 and (key, message_id) > ($2, $3)
                 and (key, message_id) <= ($4, $5) order by lane, key, message_id) o
           cross join lateral (select account_id, recipient, reason, state from message
                               where id = o.message_id limit 1) m
           cross join lateral (select flags, sender, scheduled_at from submission
                               where id = o.message_id >> 16 limit 1) s
           where m.state = @held@ and m.account_id = any ($6::int[])"""),
        lane,
        *after,
        *edge,
        list(account_ids),
    )
    return [Held(*row) for row in rows]


async def move(connection: Connection, now: datetime, rows: Sequence[Moved]) -> int:
    """Gives messages their new place, unless they have left or ended meanwhile; gives how many."""
    moved = await connection.fetch(
        """with given as (
               select * from unnest($1::text::int[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[],
                                    $5::text::smallint[], $6::text[], $7::text[])
                      as g(lane, key, message_id, due, state, reason, detail)
           ), gone as (
               delete from outbox o using given g
               where o.lane = g.lane and o.key = g.key and o.message_id = g.message_id
               returning o.lane, o.message_id, o.attempts, o.parts_done, g.due, g.state, g.reason, g.detail
           ), stored as (
               insert into outbox (lane, key, message_id, attempts, parts_done)
               select lane, due, message_id, attempts, parts_done from gone
           ), told as (
               insert into event (message_id, at, what, detail)
               select message_id, $8, 'window_changed', detail from gone
           )
           update message m set key = g.due, state = g.state, reason = g.reason, updated_at = $8
           from gone g where m.id = g.message_id returning m.id""",
        numbers([row.held.lane for row in rows]),
        numbers([row.held.key for row in rows]),
        numbers([row.held.message_id for row in rows]),
        numbers([row.key for row in rows]),
        numbers([int(row.state) for row in rows]),
        [row.reason for row in rows],
        [row.detail for row in rows],
        now,
    )
    return len(moved)


async def wake_routeless(connection: Connection, now_key: int, after: tuple[int, int], edge: tuple[int, int]) -> None:
    """Makes due now what waits for a route (lane 7) between two places, and for nothing else."""
    await connection.execute(
        fill_in("""with gone as (
               delete from outbox o using (
                   select w.lane, w.key, w.message_id
                   from (select lane, key, message_id from outbox where lane = 7 and (key, message_id) > ($2, $3)
                         and (key, message_id) <= ($4, $5) order by lane, key, message_id) w
                   cross join lateral (select state from message where id = w.message_id limit 1) m
                   where m.state = @queued@) f
               where o.lane = f.lane and o.key = f.key and o.message_id = f.message_id
               returning o.message_id, o.attempts, o.parts_done
           ), stored as (
               insert into outbox (lane, key, message_id, attempts, parts_done)
               select 7, $1, message_id, attempts, parts_done from gone
           )
           update message m set key = $1 from gone g where m.id = g.message_id"""),
        now_key,
        *after,
        *edge,
    )
