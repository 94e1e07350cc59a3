"""Money back: for which states, where the operator has changed them (end_messages reads it), and what
had to wait for a locked account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chappe.store.database import Connection, Database


async def states(database: Database) -> list[int] | None:
    """The states that give money back; None: the usual ones."""
    found: list[int] | None = await database.value("select refund_states from installation")
    return found


async def for_update(connection: Connection) -> list[int] | None:
    """The same, with nobody else changing it before the caller's transaction ends."""
    found: list[int] | None = await connection.fetchval("select refund_states from installation for update")
    return found


async def save(connection: Connection, chosen: Sequence[int] | None) -> None:
    """Sets them; None: the usual ones."""
    await connection.execute(
        "update installation set refund_states = $1::smallint[]", None if chosen is None else list(chosen)
    )


LATER_MAX = 1000


async def give_back_later(database: Database, now: datetime) -> int:
    """Gives back what waits for accounts that are not locked any more, of each a bounded number; how many accounts
    still are."""
    async with database.transaction() as tx:
        return int(await tx.fetchval("select give_back_later($1, $2)", now, LATER_MAX))
