"""The waiting lanes, stray receipts and silent messages: what upkeep moves, in batches."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, takewhile
from types import MappingProxyType
from typing import Any

import msgspec

from chappe.core.lifecycle import State
from chappe.store.database import Connection, Database
from chappe.store.message_parts import PartLate, note_parts
from chappe.store.messages import REFUND_ARRAY, key_of, numbers, texts
from chappe.store.outcomes import Finish, finish, resolve_doubt
from chappe.store.queue_head import KEY_MIN, Looks
from chappe.store.sql import fill_in

NO_OTHERS: Mapping[int, timedelta] = MappingProxyType({})


class Due(msgspec.Struct, frozen=True):
    """A row taken out of a lane, to be placed again in the same transaction."""

    lane: int
    key: int
    message_id: int
    attempts: int
    parts_done: int
    recipient: str
    state: int
    flags: int
    recipients: int
    reason: str | None = None
    account_id: int = 0
    refused: Sequence[int] | None = None  # carriers that do not want it


async def take_due(
    connection: Connection, now: datetime, lanes: Sequence[int], limit: int, looks: Looks | None = None
) -> list[Due]:
    """Takes what is due out of waiting lanes, lane by lane, the oldest first. looks: kept from call to call; None: each
    looks everywhere."""
    began_s = time.monotonic()
    bounds = looks.bounds(lanes, began_s) if looks is not None else None
    due = await _taken(
        connection,
        """select q.ctid from unnest($1::text::int[], $4::text::bigint[]) as l(lane, from_key)
           cross join lateral (select ctid from outbox w
                               where w.lane = l.lane and w.key >= l.from_key and w.key <= $2
                               order by w.lane, w.key, w.message_id limit $3 for update skip locked) q
           limit $3""",
        numbers(lanes),
        key_of(now),
        limit,
        numbers(bounds or [KEY_MIN] * len(lanes)),
    )
    if looks is not None:
        ended_s = time.monotonic()
        looks.looked(
            {row.lane: row.key for row in due},
            whole=bounds is None,
            now_key=key_of(now),
            ended_s=ended_s,
            took_s=ended_s - began_s,
            found=len(due),
            empty=lanes if len(due) < limit else (),
        )
    return due


async def ready(database: Database, lane: int, after: tuple[int, int], limit: int) -> list[Due]:
    """What stands in a lane behind a place (key, message id), in its order. Nothing is taken."""
    async with database.connection(hot=True) as connection:
        rows = await connection.fetch(
            f"""with found as (
                    select * from outbox q where q.lane = $1 and (q.key, q.message_id) > ($2, $3)
                    order by q.lane, q.key, q.message_id limit $4)
                {_DUE.format(rows="found")}""",
            lane,
            *after,
            limit,
        )
    return [Due(*row) for row in rows]


async def take(connection: Connection, rows: Sequence[Due]) -> list[Due]:
    """Takes these out of their lane; those that somebody else has taken, or is taking, are left out."""
    return await _taken(
        connection,
        """select o.ctid
           from unnest($1::text::int[], $2::text::bigint[], $3::text::bigint[]) as w(lane, key, message_id)
           cross join lateral (select ctid from outbox o where o.lane = w.lane and o.key = w.key
                               and o.message_id = w.message_id limit 1 for update skip locked) o""",
        numbers([row.lane for row in rows]),
        numbers([row.key for row in rows]),
        numbers([row.message_id for row in rows]),
    )


# Rows of the outbox with what decides where they go.
_DUE = """select g.lane, g.key, g.message_id, g.attempts, g.parts_done, m.recipient, m.state, s.flags, s.recipients,
       m.reason, s.account_id,
       case when (select true from refusal limit 1)
            then (select array_agg(r.carrier_id) from refusal r where r.message_id = g.message_id) end as refused
    from {rows} g
    cross join lateral (select recipient, state, reason from message where id = g.message_id limit 1) m
    cross join lateral (select flags, recipients, account_id from submission where id = g.message_id >> 16 limit 1) s
    order by g.key, g.message_id"""


async def _taken(connection: Connection, which: str, *values: object) -> list[Due]:
    rows = await connection.fetch(
        f"""with gone as (delete from outbox o where o.ctid = any (array({which})) returning *)
            {_DUE.format(rows="gone")}""",
        *values,
    )
    return [Due(*row) for row in rows]


async def lanes(database: Database) -> list[int]:
    """The lanes that hold something, found by skipping through the primary key."""
    rows = await database.fetch(
        """with recursive found as (
               (select lane from outbox order by lane limit 1)
               union all
               select (select o.lane from outbox o where o.lane > f.lane order by o.lane limit 1)
               from found f where f.lane is not null)
           select lane from found where lane is not null"""
    )
    return [row["lane"] for row in rows]


async def clear_doubt(connection: Connection, message_ids: Sequence[int]) -> None:
    """These are sent once more: they are in the queue again, and no longer in doubt."""
    await connection.execute("delete from uncertain where message_id = any ($1::text::bigint[])", numbers(message_ids))


SILENT = """select c.id from carrier c where c.enabled and not exists (
    select from bind b where b.carrier_id = c.id
    and ((b.state = 'bound' and b.expires_at >= clock_timestamp() - make_interval(secs => {seconds}))
         or b.state_at > now() - make_interval(secs => {seconds})))"""


async def silent_carriers(database: Database, for_s: float) -> list[int]:
    """Carriers none of whose binds has been bound for so long; a worker that was started anew has that time as well."""
    rows = await database.fetch(SILENT.format(seconds="$1"), for_s)
    return [row["id"] for row in rows]


class Stray(msgspec.Struct, frozen=True):
    """A receipt without a message: its id as the carrier wrote it, and the number it is about."""

    carrier_id: int
    carrier_ref: str
    receipt_id: int
    source: str
    raw: bytes


class Candidate(msgspec.Struct, frozen=True):
    """A part whose id is one of the forms of a stray receipt's; place: of which stray."""

    place: int
    carrier_ref: str
    message_id: int
    part: int
    recipient: str


class Adopted(msgspec.Struct, frozen=True):
    """A stray receipt, the message that it is given to, and why. parts: of a message in doubt, how many it has."""

    stray: Stray
    message_id: int
    part: int
    detail: str
    parts: int = 0


async def matchable(database: Database, since: datetime, limit: int) -> dict[int, list[str]]:
    """Ids, by carrier, of stray receipts whose part is known by now."""
    rows = await database.fetch(
        """select distinct u.carrier_id, u.carrier_ref from receipt_unmatched u
           where u.received_at > $1 and (
               select true from reference r where r.carrier_id = u.carrier_id and r.carrier_ref = u.carrier_ref limit 1)
           limit $2""",
        since,
        limit,
    )
    found: dict[int, list[str]] = {}
    for row in rows:
        found.setdefault(row["carrier_id"], []).append(row["carrier_ref"])
    return found


async def match(connection: Connection, now: datetime, carrier_id: int, policy: int, refs: Sequence[str]) -> int:
    """Gives stray receipts to the parts of the same id."""
    count: int = await connection.fetchval(
        "select match_receipts($1, $2, $3, $4::text::smallint[], $5)", carrier_id, now, policy, REFUND_ARRAY, list(refs)
    )
    return count


async def strays(
    database: Database, carrier_id: int, before: datetime, since: datetime, *, after: int, limit: int
) -> list[Stray]:
    """Receipts of a carrier that nothing has matched for a while, in the order of their ids, behind `after`."""
    rows = await database.fetch(
        """select u.carrier_id, u.carrier_ref, u.receipt_id, r.source, r.raw
           from receipt_unmatched u
           cross join lateral (select source, raw from receipt where id = u.receipt_id limit 1) r
           where u.carrier_id = $1 and u.received_at < $2 and u.received_at > $3 and u.receipt_id > $4
           order by u.receipt_id limit $5""",
        carrier_id,
        before,
        since,
        after,
        limit,
    )
    return [Stray(**dict(row)) for row in rows]


async def candidates(
    connection: Connection, carrier_id: int, places: Sequence[int], forms: Sequence[str]
) -> list[Candidate]:
    """Parts whose id is one of these forms, each of the stray at its place; of one form the newest few."""
    rows = await connection.fetch(
        """select a.place, r.carrier_ref, r.message_id, r.part, m.recipient
           from unnest($2::text::int[], $3::text::text[]) as a(place, form)
           cross join lateral (select carrier_ref, message_id, part from reference
                               where carrier_id = $1 and carrier_ref = a.form order by message_id desc, part limit 3) r
           cross join lateral (select recipient from message where id = r.message_id limit 1) m""",
        carrier_id,
        numbers(places),
        texts(forms),
    )
    return [Candidate(*row) for row in rows]


class InDoubt(msgspec.Struct, frozen=True):
    """A message in doubt. parts: of how many; parts_done: bit n is set if the carrier has part n of a long message."""

    message_id: int
    parts: int
    parts_done: int

    @property
    def missing(self) -> int | None:
        """The only part of which nobody knows whether the carrier has it, 0 for a message of one part; None if there
        are several."""
        if self.parts == 1:
            return 0
        missing = [part for part in range(1, self.parts + 1) if not self.parts_done >> part & 1]
        return missing[0] if len(missing) == 1 else None


async def doubtful_of(connection: Connection, carrier_id: int, sources: Sequence[str]) -> dict[str, list[InDoubt]]:
    """Messages in doubt at this carrier to these numbers, by the last eight digits."""
    rows = await connection.fetch(
        """select right(u.recipient, 8) as ending, u.message_id, coalesce(m.parts_sent, m.parts) as parts, u.parts_done
           from uncertain u
           cross join lateral (select parts, parts_sent from message where id = u.message_id limit 1) m
           where u.carrier_id = $1 and right(u.recipient, 8) = any ($2::text[])""",
        carrier_id,
        sorted({source[-8:] for source in sources}),
    )
    found: dict[str, list[InDoubt]] = {}
    for row in rows:
        found.setdefault(row["ending"], []).append(InDoubt(row["message_id"], row["parts"], row["parts_done"]))
    return found


async def adopt(
    connection: Connection, now: datetime, carrier_id: int, policy: int, adopted: Sequence[Adopted]
) -> None:
    """Gives stray receipts to messages by other means than their ids, and says so in the timelines."""
    message_ids = [one.message_id for one in adopted]
    await connection.execute(
        """insert into reference (carrier_id, carrier_ref, message_id, part, submitted_at)
           select $1, r, m, p, $2 from unnest($3::text[], $4::bigint[], $5::smallint[]) as n(r, m, p)
           on conflict do nothing""",
        carrier_id,
        now,
        [one.stray.carrier_ref for one in adopted],
        message_ids,
        [one.part for one in adopted],
    )
    await connection.execute(
        """insert into event (message_id, at, what, detail)
           select m, $1, 'receipt_inferred', d from unnest($2::bigint[], $3::text[]) as n(m, d)""",
        now,
        message_ids,
        [one.detail for one in adopted],
    )
    await match(connection, now, carrier_id, policy, sorted({one.stray.carrier_ref for one in adopted}))
    late = [PartLate(one.message_id, one.part, one.parts) for one in adopted if one.part and one.parts]
    if late:
        await note_parts(connection, now, carrier_id, late)
    doubtful = await connection.fetch(
        f"select id from message where id = any ($1::bigint[]) and state = {int(State.UNCERTAIN)} and parts = 1",
        message_ids,
    )
    if doubtful:
        # News that ends nothing still tells that the carrier has it: it must not be sent once more.
        await resolve_doubt(connection, now, [row["id"] for row in doubtful])


class Walk(msgspec.Struct, frozen=True):
    """One step of silence(): how many messages ended, and whether there is more to walk through now."""

    ended: int
    more: bool


MESSAGES_MAX = 5_000
"""Of one step, unless a single submission has more."""


async def silence(
    database: Database,
    now: datetime,
    older_than: timedelta,
    limit: int,
    by_carrier: Mapping[int, timedelta] = NO_OTHERS,
) -> Walk:
    """Ends messages that were submitted and never heard of again. Walks the submissions once, by a cursor; one step is
    one transaction over at most `limit` submissions and MESSAGES_MAX messages.

    A submission that still has something to send when the cursor comes by, since it is for a later date or is tried
    again, is noted for silence_later(), so that it holds nobody else up. So is one of whose carriers one is waited for
    longer (by_carrier: its id, 0 without a carrier, and for how long) than older_than.
    """
    young = _young(now, by_carrier)
    horizon = now - older_than
    async with database.transaction(hot=True) as tx:
        position: int = await tx.fetchval(
            """insert into upkeep (name, position) values ('silence', 0)
               on conflict (name) do update set at = now() returning position"""
        )
        rows = await tx.fetch(
            """select id, recipients, created_at < $3 as old, coalesce(scheduled_at >= $3, false) as later
               from (select * from submission where id > $1 order by id limit $2) s order by id""",
            position,
            limit,
            horizon,
        )
        # not beyond the first that is too young: ids are nearly, but not quite, in the order of time
        passed = _few(list(takewhile(lambda row: row["old"], rows)))
        walked = [row["id"] for row in passed if not row["later"]]
        ids = await _silent(tx, walked, young)
        if ids:
            await _end_silent(tx, now, ids)
        if passed:
            await tx.execute("update upkeep set position = $1, at = now() where name = 'silence'", passed[-1]["id"])
        await tx.execute(
            """insert into silence_later select s from unnest($1::bigint[]) s on conflict do nothing""",
            [row["id"] for row in passed if row["later"]] + await _busy(tx, walked, young),
        )
    cut = len(passed) < len(rows) and rows[len(passed)]["old"]
    return Walk(len(ids), cut or len(passed) == limit)


async def silence_later(
    database: Database,
    now: datetime,
    older_than: timedelta,
    after: int,
    limit: int,
    by_carrier: Mapping[int, timedelta] = NO_OTHERS,
) -> int:
    """Looks again at the next noted submissions whose ids are above `after`, and ends what is silent by now. Gives the
    last id, 0 at the end; one step is as bounded as one of silence()."""
    young = _young(now, by_carrier)
    async with database.transaction(hot=True) as tx:
        rows = await tx.fetch(
            """select s.id, s.recipients from silence_later l join submission s on s.id = l.submission_id
               where l.submission_id > $1 and (s.scheduled_at is null or s.scheduled_at < $2)
               order by l.submission_id limit $3""",
            after,
            now - older_than,
            limit,
        )
        noted = [row["id"] for row in _few(rows)]
        ids = await _silent(tx, noted, young)
        if ids:
            await _end_silent(tx, now, ids)
        still = set(await _busy(tx, noted, young))
        await tx.execute(
            "delete from silence_later where submission_id = any ($1::bigint[])",
            [one for one in noted if one not in still],
        )
    return noted[-1] if len(noted) < len(rows) or len(rows) == limit else 0


def _few(rows: Sequence[Any]) -> list[Any]:
    """The first submissions that have no more than MESSAGES_MAX messages together, and always one."""
    sums = accumulate(row["recipients"] for row in rows)
    return [
        row
        for place, (row, messages) in enumerate(zip(rows, sums, strict=True))
        if not place or messages <= MESSAGES_MAX
    ]


# What a bind holds counts only while somebody drives it: the row of a removed one says nothing any more.
_BUSY = """((select true from outbox o where o.lane = m.lane and o.key = m.key and o.message_id = m.id limit 1) is true
            or exists (select from bind b where m.id = any (b.in_flight) and b.expires_at >= clock_timestamp()))"""
# By keys, in this order and no other: the limit sees to it. Begun at the messages, each step would read all there are.
_OF = """unnest($1::bigint[]) as w(id) cross join lateral (
    select id, lane, key, state from message where id >= w.id << 16 and id < (w.id + 1) << 16
    order by id limit 65536) m"""


_YOUNG = """exists (select from unnest($2::int[], $3::timestamptz[]) as l(carrier, horizon)
    where l.carrier = m.lane / 8
      and (select coalesce(s.scheduled_at, s.created_at) from submission s where s.id = w.id limit 1) >= l.horizon)"""


def _young(now: datetime, by_carrier: Mapping[int, timedelta]) -> tuple[list[int], list[datetime]]:
    return list(by_carrier), [now - wait for wait in by_carrier.values()]


async def _silent(tx: Connection, submissions: Sequence[int], young: tuple[list[int], list[datetime]]) -> list[int]:
    rows = await tx.fetch(
        fill_in(
            f"select m.id from {_OF} where m.state in (@may_have_left@) and not {_BUSY} and not {_YOUNG} order by m.id"
        ),
        list(submissions),
        *young,
    )
    return [row["id"] for row in rows]


async def _busy(tx: Connection, submissions: Sequence[int], young: tuple[list[int], list[datetime]]) -> list[int]:
    rows = await tx.fetch(
        fill_in(f"select distinct w.id from {_OF} where m.state in (@not_ended@) and ({_BUSY} or {_YOUNG})"),
        list(submissions),
        *young,
    )
    return [row["id"] for row in rows]


async def _end_silent(tx: Connection, now: datetime, ids: Sequence[int]) -> None:
    await finish(tx, now, [Finish(one, State.NO_RECEIPT, 0, "no_receipt", "no_receipt") for one in ids])


async def forget_strays(database: Database, before: datetime, limit: int) -> bool:
    """Stray receipts of long ago are no longer looked at; they stay in the table of receipts. True when there may be
    more of them."""
    gone = await database.fetch(
        """delete from receipt_unmatched where ctid = any (array(
               select ctid from receipt_unmatched where received_at < $1 limit $2)) returning true""",
        before,
        limit,
    )
    return len(gone) == limit
