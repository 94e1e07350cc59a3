"""What there is to do for upkeep, asked in one statement: at rest nearly everything that it asks is answered by no."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chappe.store.conversations import FOLLOW_AFTER
from chappe.store.database import Database
from chappe.store.messages import key_of, numbers
from chappe.store.queue import SILENT
from chappe.store.waiting import ASKED_S


class Signs(msgspec.Struct, frozen=True):
    """Whether there is something of each kind to do; a sign may be there with nothing to do, never the other way."""

    window_changed: bool
    """A sending window is another than when what is held was placed."""
    due: bool
    """The time of something in a waiting lane has come."""
    stray: bool
    """A receipt has no message yet."""
    written: bool
    """A subscriber wrote something that nobody has sorted, or whose other parts are late."""
    unfollowed: bool
    """Submissions are old enough for conversations and sums of costs."""
    counted: bool
    """Counts of what waits have changed, or somebody wants to know them."""
    refund: bool
    """Money is to go back to an account that was locked."""
    silent: tuple[int, ...]
    """Carriers none of whose binds has been bound for so long as was asked for."""


# Each is one look at the first row of an index, or at a table that is empty but for moments.
_LOOK = f"""select
    exists (select from window_change where not placed) as window_changed,
    exists (select from unnest($1::text::int[]) as l(lane)
            cross join lateral (select from outbox w where w.lane = l.lane and w.key <= $2 limit 1) q) as due,
    exists (select from receipt_unmatched) as stray,
    exists (select from inbound where state = 0)
        or exists (select from inbound where state = 1 and received_at < $3) as written,
    coalesce((select created_at < $4 from submission
              where id > coalesce((select position from upkeep where name = 'follow'), 0)
              order by id limit 1), false) as unfollowed,
    exists (select from waiting_parts_change)
        or exists (select from ready_count where asked_at > now() - make_interval(secs => $5)) as counted,
    exists (select from refund_later) as refund,
    array({SILENT.format(seconds="$6")}) as silent"""


async def look(
    database: Database, now: datetime, lanes: Sequence[int], late_before: datetime, silent_s: float
) -> Signs:
    """The signs at this moment. lanes: where something may be due; late_before: parts of subscribers' messages that
    came before then wait for their others no longer; silent_s: for how long a carrier must be without a bind."""
    async with database.connection(hot=True) as connection:  # whatever statistics say, and planned once
        row = await connection.fetchrow(
            _LOOK, numbers(lanes), key_of(now), late_before, now - FOLLOW_AFTER, float(ASKED_S), silent_s
        )
    return Signs(**{**dict(row), "silent": tuple(row["silent"])})
