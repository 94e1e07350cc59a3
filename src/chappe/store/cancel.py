"""Taking back: what of a submission has not left yet, in one statement that decides against claims by row locks."""

from __future__ import annotations

from datetime import datetime

import msgspec

from chappe.core.lifecycle import State
from chappe.store import outcomes
from chappe.store.database import Connection
from chappe.store.messages import key_of
from chappe.store.outcomes import Finish
from chappe.store.sql import fill_in


class Standing(msgspec.Struct, frozen=True):
    """How many messages of a submission still wait in the queue, were cancelled before, or have left."""

    waiting: int
    cancelled: int
    left: int


async def owned(connection: Connection, account_id: int, submission_id: int) -> bool:
    """Whether this account has such a submission."""
    return bool(
        await connection.fetchval(
            "select true from submission where id = $1 and account_id = $2", submission_id, account_id
        )
    )


async def take_back(connection: Connection, submission_id: int, now: datetime, leaves_at: datetime) -> list[int]:
    """Takes out of the queue, and ends, what waits for leaves_at or later and of which nothing has been sent; with
    leaves_at of now everything that still waits. Money goes back, customers are told. Gives the messages' ids."""
    rows = await connection.fetch(
        fill_in("""with found as (
               select m.lane, m.key, m.id from message m
               where m.id >= $1::bigint << 16 and m.id < ($1::bigint + 1) << 16 and m.lane <> 0
                 and m.state in (@cancellable@)
                 and m.doubts = 0  -- else one copy may have arrived
                 and ($3 or (m.lane & 7 = @waiting_class@ and m.key >= $2))
           )
           delete from outbox o using found f
           where o.lane = f.lane and o.key = f.key and o.message_id = f.id and o.parts_done = 0
           returning o.message_id"""),
        submission_id,
        key_of(leaves_at),
        leaves_at <= now,
    )
    ids = sorted(row["message_id"] for row in rows)
    if ids:
        ended = [Finish(message_id, State.CANCELLED, 0, "cancelled", "cancelled") for message_id in ids]
        await outcomes.finish(connection, now, ended)
    return ids


async def standing(connection: Connection, submission_id: int) -> Standing:
    """What there is to say when nothing could be taken back."""
    row = await connection.fetchrow(
        fill_in("""select count(o.message_id) as waiting, count(*) filter (where m.state = @cancelled@) as cancelled,
                  count(*) filter (where o.message_id is null
                                   and m.state not in (@suppressed@, @cancelled@, @failed@)) as left
           from message m left join outbox o on o.lane = m.lane and o.key = m.key and o.message_id = m.id
           where m.id >= $1::bigint << 16 and m.id < ($1::bigint + 1) << 16"""),
        submission_id,
    )
    assert row is not None
    return Standing(row["waiting"], row["cancelled"], row["left"])


async def refunded(connection: Connection, message_ids: list[int]) -> int:
    """What came back for these messages, in micro-euros."""
    total: int = await connection.fetchval(
        """select coalesce(sum(amount_micros), 0)::bigint from ledger_entry
           where kind = 2 and reason = any ($1::bigint[])""",
        message_ids,
    )
    return total
