"""What accounts did in the hours and days that are under way, summed up over all processes.

Each process counts by itself and adds here every few seconds what is new: rarely, and nothing that a message waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chappe.store.database import Connection, Database
from chappe.store.messages import numbers, texts


class Used(msgspec.Struct, frozen=True):
    """How much of one kind. key: the country or the number's hash, empty for kinds that have none. window: seconds
    since 1970 at which its hour or day began."""

    account_id: int
    kind: int
    key: str
    window: int
    amount: int


async def add(connection: Connection, rows: Sequence[Used]) -> list[int]:
    """Adds to the sums; gives the new sums, in the order of the rows, of which no two are of the same place."""
    ordered = sorted(rows, key=_place)  # two processes never wait for each other crosswise
    found = await connection.fetch(
        """insert into usage as u (account_id, kind, key, window_at, amount)
           select * from unnest($1::text::int[], $2::text::smallint[], $3::text::text[], $4::text::bigint[],
                                $5::text::bigint[])
           on conflict (account_id, kind, key, window_at) do update set amount = u.amount + excluded.amount
           returning account_id, kind, key, window_at, amount""",
        numbers([row.account_id for row in ordered]),
        numbers([row.kind for row in ordered]),
        texts([row.key for row in ordered]),
        numbers([row.window for row in ordered]),
        numbers([row.amount for row in ordered]),
    )
    sums = {(row["account_id"], row["kind"], row["key"], row["window_at"]): row["amount"] for row in found}
    return [sums[_place(row)] for row in rows]


def _place(row: Used) -> tuple[int, int, str, int]:
    return row.account_id, row.kind, row.key, row.window


async def forget(database: Database, before: datetime) -> None:
    """Forgets windows that began before then."""
    await database.execute("delete from usage where window_at < $1", int(before.timestamp()))
