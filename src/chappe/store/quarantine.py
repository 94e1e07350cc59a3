"""What carriers gave us and the database refuses: kept as it came, so that nothing is lost and nobody waits for it."""

from __future__ import annotations

from datetime import datetime

from chappe.store.database import Database


async def keep(
    database: Database, now: datetime, carrier_id: int, kind: str, message_ids: list[int], error: str, raw: bytes
) -> None:
    """Stores one thing that was refused; the timelines of the messages that it is about say so."""
    async with database.transaction() as tx:
        await tx.execute(
            "insert into quarantine (at, carrier_id, kind, error, raw) values ($1, $2, $3, $4, $5)",
            now,
            carrier_id,
            kind,
            error,
            raw,
        )
        await tx.execute(
            """insert into event (message_id, at, what, detail)
               select m, $2, 'quarantined', $3 from unnest($1::bigint[]) as m""",
            message_ids,
            now,
            f"{kind}: {error}",
        )


async def counts(database: Database) -> dict[int, int]:
    """How much is kept, by carrier."""
    rows = await database.fetch("select carrier_id, count(*) as number from quarantine group by carrier_id")
    return {row["carrier_id"]: row["number"] for row in rows}


async def forget(database: Database, before: datetime, limit: int) -> bool:
    """Forgets the next that were kept before then; True when there may be more of them."""
    gone = await database.fetch(
        """delete from quarantine where ctid = any (array(select ctid from quarantine where at < $1 limit $2))
           returning true""",
        before,
        limit,
    )
    return len(gone) == limit
