"""The demo as it is stored: which account and which carrier are its own, and whether they are in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chappe.core.model import AccountState
from chappe.core.routing import NO_DEMO, Demo

if TYPE_CHECKING:
    from chappe.store.database import Connection, Database


class Stored(msgspec.Struct, frozen=True):
    """The demo's row. account_id, carrier_id: 0 where there is none, or not any more; carrier: the carrier's name.

    running: the carrier is enabled. everyone: the phones take every account's messages. others: how many other carriers
    there are.
    """

    account_id: int
    carrier_id: int
    carrier: str
    running: bool
    everyone: bool
    others: int


async def read(database: Database) -> Stored | None:
    """The demo of this installation; None where there has never been one."""
    rows = await database.fetch(
        """select coalesce(d.account_id, 0) as account_id, coalesce(d.carrier_id, 0) as carrier_id,
                  coalesce(c.name, '') as carrier, coalesce(c.enabled, false) as running, d.everyone,
                  (select count(*)::int from carrier o where o.id is distinct from d.carrier_id) as others
           from demo d left join carrier c on c.id = d.carrier_id"""
    )
    return Stored(**dict(rows[0])) if rows else None


async def rule(database: Database) -> Demo:
    """What routing must know of the demo."""
    found = await read(database)
    if found is None:
        return NO_DEMO
    return Demo(found.account_id, str(found.carrier_id) if found.running else "", found.running and found.everyone)


async def save(connection: Connection, account_id: int, carrier_id: int) -> bool:
    """Stores which account and carrier are the demo's, and puts both in use; whether the phones are for everyone.

    They are while there is no other carrier. Inside the caller's transaction.
    """
    await connection.execute("update carrier set enabled = true where id = $1", carrier_id)
    await connection.execute("update account set state = $2 where id = $1", account_id, AccountState.ACTIVE)
    everyone: bool = await connection.fetchval(
        """insert into demo (account_id, carrier_id, everyone)
           select $1, $2, not exists (select from carrier where id <> $2)
           on conflict (one) do update set account_id = excluded.account_id, carrier_id = excluded.carrier_id,
               everyone = excluded.everyone
           returning everyone""",
        account_id,
        carrier_id,
    )
    return everyone


async def owns(connection: Connection, carrier_id: int) -> bool:
    """Whether a carrier is the demo's."""
    return await connection.fetchval("select true from demo where carrier_id = $1", carrier_id) is True


async def end(connection: Connection) -> bool:
    """Takes the demo's account and carrier out of use, in one statement; True when one of them was in use."""
    ended = await connection.fetch(
        """with accounts as (update account a set state = $1 from demo d
                             where a.id = d.account_id and a.state <> $1 returning a.id),
                carriers as (update carrier c set enabled = false from demo d
                             where c.id = d.carrier_id and c.enabled returning c.id)
           select id from accounts union all select id from carriers""",
        AccountState.DISABLED,
    )
    return bool(ended)


async def for_its_account_only(connection: Connection, carrier_id: int) -> None:
    """Another carrier was added: from now on the phones take the demo account's messages only. Inside the caller's
    transaction."""
    await connection.execute(
        "update demo set everyone = false where everyone and carrier_id is distinct from $1", carrier_id
    )


async def is_for_everyone(connection: Connection) -> bool:
    """Whether the phones take every account's messages. Inside the caller's transaction, and until its end: whoever
    adds a carrier waits so long."""
    return bool(await connection.fetchval("select everyone from demo for share"))
