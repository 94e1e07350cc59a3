"""What becomes of a claimed message otherwise than by a receipt: back to the queue, ended, or in doubt.

Each function writes many messages at once, in the transaction that the caller has begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chappe.store.database import Connection
from chappe.store.messages import REFUND_ARRAY, numbers
from chappe.store.timeline import BY_ANY_WAY, BY_RANGE


class Requeue(msgspec.Struct, frozen=True):
    """A message that goes back to the queue. what: the event's name, empty for none."""

    message_id: int
    lane: int
    key: int
    attempts: int
    parts_done: int
    state: int
    what: str = ""
    detail: str = ""


class Finish(msgspec.Struct, frozen=True):
    """A message that ends otherwise than by a receipt. kept: parts that the carrier has and that stay charged."""

    message_id: int
    state: int
    kept: int
    reason: str
    what: str
    detail: str = ""


class Doubt(msgspec.Struct, frozen=True):
    """A message of which nobody knows whether the carrier has it. key 0: held; else when it is sent once more."""

    message_id: int
    key: int
    parts_done: int
    detail: str


async def requeue(connection: Connection, now: datetime, rows: Sequence[Requeue]) -> None:
    await connection.execute(
        """select requeue($1, $2::text::bigint[], $3::text::int[], $4::text::bigint[], $5::text::smallint[],
           $6::text::int[], $7::text::smallint[], $8, $9)""",
        now,
        numbers([r.message_id for r in rows]),
        numbers([r.lane for r in rows]),
        numbers([r.key for r in rows]),
        numbers([r.attempts for r in rows]),
        numbers([r.parts_done for r in rows]),
        numbers([r.state for r in rows]),
        [r.what for r in rows],
        [r.detail for r in rows],
    )


async def finish(connection: Connection, now: datetime, rows: Sequence[Finish]) -> None:
    await connection.execute(
        """select finish($1, $2::text::smallint[], $3::text::bigint[], $4::text::smallint[], $5::text::smallint[],
           $6, $7, $8)""",
        now,
        REFUND_ARRAY,
        numbers([r.message_id for r in rows]),
        numbers([r.state for r in rows]),
        numbers([r.kept for r in rows]),
        [r.reason for r in rows],
        [r.what for r in rows],
        [r.detail for r in rows],
    )


async def doubt(connection: Connection, now: datetime, carrier_id: int, rows: Sequence[Doubt]) -> None:
    await connection.execute(
        "select doubt($1, $2, $3::text::bigint[], $4::text::bigint[], $5::text::int[], $6)",
        now,
        carrier_id,
        numbers([r.message_id for r in rows]),
        numbers([r.key for r in rows]),
        numbers([r.parts_done for r in rows]),
        [r.detail for r in rows],
    )


class Left(msgspec.Struct, frozen=True):
    """A message that a dead owner left in flight."""

    message_id: int
    parts: int
    doubts: int
    flags: int
    parts_done: int


async def left_in_flight(connection: Connection, carrier_id: int, message_ids: Sequence[int]) -> list[Left]:
    """What a dead owner held, with the parts that the carrier is known to have (bit n: part n)."""
    known = await _parts_known(connection, carrier_id, message_ids)
    rows = await connection.fetch(
        """select m.id as message_id, m.parts, m.doubts, s.flags
           from message m join submission s on s.id = m.id >> 16
           where m.id = any ($1::text::bigint[]) order by m.id""",
        numbers(message_ids),
    )
    return [Left(**dict(row), parts_done=known.get(row["message_id"], 0)) for row in rows]


NEAR_IDS = 1000 << 16


async def _parts_known(connection: Connection, carrier_id: int, message_ids: Sequence[int]) -> dict[int, int]:
    """Of each message of which a carrier has given ids, the parts that it gave them for (bit n: part n).

    In a transaction. Each look through the index of a large table takes milliseconds: ids near each other share one.
    """
    ranges: list[list[int]] = []
    for one in sorted(message_ids):
        if ranges and one - ranges[-1][1] <= NEAR_IDS:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    await connection.execute(BY_RANGE)
    rows = await connection.fetch(
        """select r.message_id, bit_or(1 << r.part) as parts
           from unnest($2::text::bigint[], $3::text::bigint[]) as w(first, last)
           cross join lateral (select message_id, part from reference
                               where carrier_id = $1 and message_id between w.first and w.last offset 0) r
           where r.message_id = any ($4::text::bigint[]) group by r.message_id""",
        carrier_id,
        numbers([first for first, _ in ranges]),
        numbers([last for _, last in ranges]),
        numbers(message_ids),
    )
    await connection.execute(BY_ANY_WAY)
    return {row["message_id"]: row["parts"] for row in rows}


async def resolve_doubt(connection: Connection, now: datetime, message_ids: Sequence[int]) -> None:
    """The carrier has these messages after all."""
    await connection.execute("select resolve_doubt($1, $2::text::bigint[])", now, numbers(message_ids))


async def note(connection: Connection, now: datetime, what: str, notes: Sequence[tuple[int, str]]) -> None:
    """Events of messages: (message id, detail)."""
    await connection.execute(
        """insert into event (message_id, at, what, detail)
           select m, $1, $2, d from unnest($3::bigint[], $4::text[]) as n(m, d)""",
        now,
        what,
        [message_id for message_id, _ in notes],
        [detail for _, detail in notes],
    )


class Place(msgspec.Struct, frozen=True):
    """Where a message had its place in the queue, how often it was put off, and the parts that a carrier is known to
    have (bit n: part n)."""

    message_id: int
    lane: int
    key: int
    attempts: int
    parts_done: int


async def places(connection: Connection, carrier_id: int, message_ids: Sequence[int]) -> list[Place]:
    """Where messages had their place in the queue, in its order."""
    known = await _parts_known(connection, carrier_id, message_ids)
    rows = await connection.fetch(
        """select m.id as message_id, m.lane, m.key, coalesce(e.attempts, 0)::integer as attempts
           from message m
           left join (select message_id, count(*) as attempts from event
                      where message_id = any ($1::text::bigint[]) and what = 'retry' group by message_id) e
                     on e.message_id = m.id
           where m.id = any ($1::text::bigint[]) order by m.key, m.id""",
        numbers(message_ids),
    )
    # part 0 is the whole of a message of one part, and no bit
    return [Place(**dict(row), parts_done=known.get(row["message_id"], 0) & ~1) for row in rows]
