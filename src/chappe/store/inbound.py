"""Messages of subscribers as carriers gave them: what is new, what waits for its other parts, what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from chappe.store.database import Connection, Database

NEW, WAITING, SORTED, NOBODYS, REPEATED, PUT_ASIDE = 0, 1, 2, 3, 4, 5
"""inbound.state"""
SIBLINGS_MAX = 1_000
"""How many waiting parts of one source to one destination are looked at."""
EQUALS_MAX = 1_000
"""Among how many of the last messages of a source an equal one is looked for."""
_SORTERS_LOCK = 0x6368_6170_7065_02  # any number that nobody else uses: replies are sorted by one at a time

_COLUMNS = "id, carrier_id, received_at, source, destination, raw, key, message"


class Arrived(msgspec.Struct, frozen=True):
    """One message of a subscriber, or a part of one. raw, key, message: as in carriers.MessageIn; key and message are
    None for what an older version stored."""

    id: int
    carrier_id: int
    received_at: datetime
    source: str
    destination: str
    raw: bytes
    key: bytes | None
    message: str | None


class Earlier(msgspec.Struct, frozen=True):
    """An equal message that came before. answered_at: when our answer was written; None while that is not known."""

    id: int
    received_at: datetime
    answered_at: datetime | None


async def note_key(connection: Connection, row: Arrived, key: bytes, message: str) -> Arrived:
    """Stores what an older version did not know to store; gives the row with it."""
    await connection.execute("update inbound set key = $2, message = $3 where id = $1", row.id, key, message)
    return msgspec.structs.replace(row, key=key, message=message)


async def equal_before(connection: Connection, row: Arrived, since: datetime) -> Earlier | None:
    """The last message before this one that may be the same, sent before: it has the same key."""
    found = await connection.fetchrow(
        """select id, received_at, answered_at
           from (select * from inbound where source = $1 and id < $2 order by source desc, id desc limit $3) i
           where carrier_id = $4 and received_at > $5 and key = $6
           order by id desc limit 1""",
        row.source,
        row.id,
        EQUALS_MAX,
        row.carrier_id,
        since,
        row.key,
    )
    return None if found is None else Earlier(*found)


async def lock(connection: Connection) -> None:
    """Waits until nobody else sorts, to the end of the transaction: reply ids are in the order of commits."""
    await connection.execute("select pg_advisory_xact_lock($1)", _SORTERS_LOCK)


async def anything(database: Database, late_before: datetime) -> bool:
    """Whether there is something to sort: without a lock, and mostly false."""
    return bool(
        await database.value(
            """select exists (select from inbound where state = 0)
               or exists (select from inbound where state = 1 and received_at < $1)""",
            late_before,
        )
    )


async def new(connection: Connection, after_id: int, limit: int) -> list[Arrived]:
    """What nobody has looked at, after this id, oldest first."""
    rows = await connection.fetch(
        f"select {_COLUMNS} from inbound where state = 0 and id > $1 order by id limit $2", after_id, limit
    )
    return [Arrived(*row) for row in rows]


async def renew(database: Database, limit: int) -> None:
    """Makes what was put aside new again, the oldest first."""
    await database.execute(
        """update inbound set state = 0, note = null
           where id = any (array(select id from inbound where state = 5 order by id limit $1))""",
        limit,
    )


async def late(connection: Connection, before: datetime, limit: int) -> list[Arrived]:
    """Parts that have waited too long, oldest first."""
    rows = await connection.fetch(
        f"select {_COLUMNS} from inbound where state = 1 and received_at < $1 order by id limit $2", before, limit
    )
    return [Arrived(*row) for row in rows]


async def waits(connection: Connection, inbound_id: int) -> bool:
    """Whether this part still waits for others."""
    return bool(await connection.fetchval("select true from inbound where id = $1 and state = 1", inbound_id))


async def siblings(connection: Connection, row: Arrived) -> list[Arrived]:
    """The waiting parts of the same message from the same source to the same destination, oldest first; a phone that
    always uses one reference may have many."""
    rows = await connection.fetch(
        f"""select {_COLUMNS} from inbound where state = 1 and carrier_id = $1 and source = $2 and destination = $3
            and message = $4
            order by id limit $5""",
        row.carrier_id,
        row.source,
        row.destination,
        row.message,
        SIBLINGS_MAX,
    )
    return [Arrived(*found) for found in rows]


async def mark(
    connection: Connection, ids: Sequence[int], state: int, note: str = "", reply_id: int | None = None
) -> None:
    """Says what became of messages and parts."""
    await connection.execute(
        "update inbound set state = $2, note = nullif($3, ''), reply_id = $4 where id = any ($1::bigint[])",
        list(ids),
        state,
        note,
        reply_id,
    )


async def store_inbound(
    connection: Connection, carrier_id: int, rows: Sequence[Any], received_at: Sequence[datetime]
) -> list[int]:
    """Messages of subscribers, as they came; gives their ids. rows: carriers.MessageIn; received_at: of each."""
    stored = await connection.fetch(
        """insert into inbound (carrier_id, received_at, source, destination, raw, key, message)
           select $1, a, s, d, r, k, m
           from unnest($2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::timestamptz[])
                with ordinality as n(s, d, r, k, m, a, place)
           order by place returning id""",
        carrier_id,
        [row.source for row in rows],
        [row.destination for row in rows],
        [row.raw for row in rows],
        [row.key for row in rows],
        [row.message for row in rows],
        list(received_at),
    )
    return [row["id"] for row in stored]


async def note_answers(database: Database, now: datetime, inbound_ids: Sequence[int]) -> None:
    """The carrier has our answer to these messages of subscribers: an equal one that comes later is another one."""
    await database.execute("update inbound set answered_at = $2 where id = any ($1::bigint[])", list(inbound_ids), now)
