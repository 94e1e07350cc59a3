"""The workers of an installation: each keeps a lease of its own name, so that they know how many share the binds."""

from __future__ import annotations

from chappe.store.database import Database

PREFIX = "worker "


async def enlist(database: Database, owner: str, lease_s: float) -> list[str]:
    """Prolongs this worker's lease, and gives the names of the others that live as far as anybody knows. Those that
    were not heard of for an hour are forgotten."""
    rows = await database.fetch(
        """with own as (
               insert into lease (name, owner, token, expires_at)
               values ($1 || $2, $2, 1, clock_timestamp() + make_interval(secs => $3))
               on conflict (name) do update set expires_at = excluded.expires_at
           ), forgotten as (
               delete from lease where name like $1 || '%' and expires_at < clock_timestamp() - interval '1 h'
           )
           select owner from lease
           where name like $1 || '%' and owner <> $2 and expires_at >= clock_timestamp() order by owner""",
        PREFIX,
        owner,
        lease_s,
    )
    return [row["owner"] for row in rows]


async def leave(database: Database, owner: str) -> None:
    """This worker ends: the others need not wait for its share."""
    await database.execute("delete from lease where name = $1", PREFIX + owner)
