"""Carriers that refused a message which another one may take, and how it ends when none is left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chappe.store.database import Connection, Database
from chappe.store.messages import numbers
from chappe.store.outcomes import Finish


class Refusal(msgspec.Struct, frozen=True):
    """A carrier's no to a message. state, reason, what, detail: as in Finish."""

    message_id: int
    carrier_id: int
    state: int
    reason: str
    what: str
    detail: str


async def note(connection: Connection, now: datetime, rows: Sequence[Refusal]) -> None:
    """Stores refusals, in the transaction that puts the messages back into the queue."""
    await connection.execute(
        """insert into refusal (message_id, carrier_id, at, state, reason, what, detail)
           select m, c, $1, s, r, w, d
           from unnest($2::text::bigint[], $3::text::int[], $4::text::smallint[], $5::text[], $6::text[], $7::text[])
                as n(m, c, s, r, w, d)
           on conflict do nothing""",
        now,
        numbers([row.message_id for row in rows]),
        numbers([row.carrier_id for row in rows]),
        numbers([row.state for row in rows]),
        [row.reason for row in rows],
        [row.what for row in rows],
        [row.detail for row in rows],
    )


async def ends(connection: Connection, message_ids: Sequence[int]) -> list[Finish]:
    """How these messages end when nobody else is left to ask: by the last refusal of each."""
    rows = await connection.fetch(
        """select distinct on (message_id) message_id, state, reason, what, detail from refusal
           where message_id = any ($1::text::bigint[]) order by message_id, at desc, carrier_id desc""",
        numbers(message_ids),
    )
    return [Finish(row["message_id"], row["state"], 0, row["reason"], row["what"], row["detail"]) for row in rows]


async def forget(database: Database, before: datetime, limit: int) -> bool:
    """Removes refusals of messages that are no longer tried; True when there may be more of them."""
    gone = await database.fetch(
        """delete from refusal where ctid = any (array(
               select ctid from refusal where at < $1 limit $2)) returning true""",
        before,
        limit,
    )
    return len(gone) == limit
