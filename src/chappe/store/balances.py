"""Balances that somebody else has locked."""

from __future__ import annotations

from collections.abc import Sequence

from chappe.store.database import Database, LockHeld


async def locked(database: Database, accounts: Sequence[int]) -> list[int]:
    """Those of the accounts whose balance stays locked by another transaction for longer than any of ours takes."""
    found = []
    for account_id in accounts:
        try:
            async with database.transaction() as tx:
                await tx.execute("set local lock_timeout = '200ms'")
                await tx.execute("select from balance where account_id = $1 for update", account_id)
        except LockHeld:
            found.append(account_id)
    return found
