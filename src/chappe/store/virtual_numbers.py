"""Long (virtual) numbers: which there are, and whose."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chappe.store.database import Connection, Database


class VirtualNumber(msgspec.Struct, frozen=True):
    number: str
    account_id: int
    login: str
    created_at: datetime


async def add(connection: Connection, number: str, account_id: int) -> int:
    """Gives a number (E.164) to an account, unless somebody has it; gives whose it is now."""
    await connection.execute(
        "insert into virtual_number (number, account_id) values ($1, $2) on conflict do nothing", number, account_id
    )
    owner: int = await connection.fetchval("select account_id from virtual_number where number = $1", number)
    return owner


async def remove(database: Database, number: str) -> bool:
    """Forgets a number; False when there is no such one."""
    return bool(await database.value("delete from virtual_number where number = $1 returning true", number))


async def every(database: Database) -> list[VirtualNumber]:
    rows = await database.fetch(
        """select v.number, v.account_id, coalesce(a.login, '') as login, v.created_at
           from virtual_number v left join account a on a.id = v.account_id order by v.number"""
    )
    return [VirtualNumber(**dict(row)) for row in rows]


async def owner(connection: Connection, number: str) -> int | None:
    """The account that has this number (E.164)."""
    found: int | None = await connection.fetchval("select account_id from virtual_number where number = $1", number)
    return found


async def of_accounts(database: Database, account_ids: Sequence[int], senders: Sequence[str]) -> dict[str, int]:
    """The numbers of these accounts, and these numbers whoever has them: number -> account."""
    async with database.connection(hot=True) as connection:  # a batch of sends waits for this
        rows = await connection.fetch(
            """select number, account_id from virtual_number
               where account_id = any ($1::int[]) or number = any ($2::text[])""",
            list(account_ids),
            list(senders),
        )
    return {row["number"]: row["account_id"] for row in rows}
