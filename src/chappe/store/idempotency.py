"""Identifiers by which customers make sure that a request which they repeat is not sent again; kept for a day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from chappe.store.database import Connection, Database

KEPT = timedelta(hours=24)

Identifier = tuple[int, str]
"""Account and what it wrote."""


async def take(connection: Connection, wanted: Iterable[Identifier], now: datetime) -> set[Identifier]:
    """Takes those of these identifiers that are free, and gives them. Who asks for one that another transaction is
    taking waits for its end."""
    pairs = sorted(set(wanted))  # in one order everywhere, so that nobody waits crosswise
    rows = await connection.fetch(
        """insert into unique_identifier as u (account_id, identifier, at)
           select account_id, identifier, $3 from unnest($1::int[], $2::text[]) as w(account_id, identifier)
           on conflict (account_id, identifier) do update set at = excluded.at where u.at <= $4
           returning account_id, identifier""",
        [account_id for account_id, _ in pairs],
        [identifier for _, identifier in pairs],
        now,
        now - KEPT,
    )
    return {(row["account_id"], row["identifier"]) for row in rows}


async def taken_at(database: Database, wanted: Iterable[Identifier], at: datetime) -> set[Identifier]:
    """Those of these identifiers that were taken at exactly this instant and not given back."""
    pairs = sorted(set(wanted))
    rows = await database.fetch(
        """select u.account_id, u.identifier from unnest($1::int[], $2::text[]) as w(account_id, identifier)
           join unique_identifier u using (account_id, identifier) where u.at = $3""",
        [account_id for account_id, _ in pairs],
        [identifier for _, identifier in pairs],
        at,
    )
    return {(row["account_id"], row["identifier"]) for row in rows}


async def give_back(connection: Connection, unused: Iterable[Identifier]) -> None:
    """Frees identifiers of requests that were refused after all."""
    pairs = list(unused)
    if pairs:
        await connection.execute(
            """delete from unique_identifier u using unnest($1::int[], $2::text[]) as w(account_id, identifier)
               where u.account_id = w.account_id and u.identifier = w.identifier""",
            [account_id for account_id, _ in pairs],
            [identifier for _, identifier in pairs],
        )


async def forget(database: Database, now: datetime, limit: int) -> bool:
    """Removes the next that are free again; True when there may be more of them."""
    gone = await database.fetch(
        """delete from unique_identifier where ctid = any (array(
               select ctid from unique_identifier where at <= $1 limit $2)) returning true""",
        now - KEPT,
        limit,
    )
    return len(gone) == limit
