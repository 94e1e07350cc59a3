"""Sub-accounts as they are stored: accounts whose settings name a master; and money that moves between accounts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from chappe.core.model import Account
from chappe.core.subaccounts import SubAccount, key_of, token_of
from chappe.store.accounts import COLUMNS, account_of, fingerprint
from chappe.store.database import Connection, Database

_OF_MASTER: Final = "a.settings ? 'master' and lower(a.settings ->> 'master') = lower($1)"
_LIVE: Final = f"{_OF_MASTER} and not a.settings ? 'removed'"
CHURN: Final = timedelta(days=1)
"""Sub-accounts that were removed count towards the limit for so long after they were made."""


def _sub_account(row: Any, secret: bytes) -> SubAccount:
    account = account_of(row)
    key = key_of(secret, account.id)
    known = fingerprint(key) == row["key_sha256"]
    return SubAccount(account, token_of(secret, account.id), key if known else "", row["created_at"])


async def listed(
    database: Database, master: Account, offset: int, limit: int | None, secret: bytes
) -> list[SubAccount]:
    rows = await database.fetch(
        f"select a.key_sha256, a.created_at, {COLUMNS} where {_LIVE} order by a.id offset $2 limit $3",
        master.login,
        offset,
        limit,
    )
    return [_sub_account(row, secret) for row in rows]


async def count(database: Database, master: Account) -> int:
    found: int = await database.value(f"select count(*) from account a where {_LIVE}", master.login)
    return found


async def hold(connection: Connection, master: Account, now: datetime) -> int:
    """How many sub-accounts count towards the master's limit; nobody else makes one before the transaction ends."""
    await connection.execute("select from account where id = $1 for no key update", master.id)
    found: int = await connection.fetchval(
        f"select count(*) from account a where {_OF_MASTER} and (not a.settings ? 'removed' or a.created_at > $2)",
        master.login,
        now - CHURN,
    )
    return found


async def for_update(
    connection: Connection, master: Account, account_id: int | None, login: str, secret: bytes
) -> SubAccount | None:
    """A sub-account of this master, by id or by login, which nobody else changes before the transaction ends."""
    row = await connection.fetchrow(
        f"""select a.key_sha256, a.created_at, {COLUMNS} where {_LIVE}
            and case when $2::int is null then lower(a.login) = lower($3) else a.id = $2 end for update of a""",
        master.login,
        account_id,
        login,
    )
    return None if row is None else _sub_account(row, secret)


async def close(connection: Connection, account_id: int, login: str, key_sha256: bytes) -> None:
    """Gives the account another login and another key's fingerprint, and marks it as removed and disabled."""
    await connection.execute(
        """update account set login = $2, key_sha256 = $3, state = 1, settings = settings || '{"removed": true}'
           where id = $1""",
        account_id,
        login,
        key_sha256,
    )


async def hold_balances(connection: Connection, giver: int, receiver: int) -> tuple[int, int]:
    """The balances of two accounts, which nothing else changes before the transaction ends. Locked in the order of
    accounts, as the accepting of messages locks them."""
    rows = await connection.fetch(
        "select account_id, balance_micros from balance where account_id = any ($1::int[]) order by 1 for update",
        [giver, receiver],
    )
    balances = {row["account_id"]: row["balance_micros"] for row in rows}
    return balances[giver], balances[receiver]


async def transfer(connection: Connection, giver: int, receiver: int, amount_micros: int, now: datetime) -> None:
    """Moves money between two accounts whose balances are held and suffice, with a ledger entry for each."""
    assert amount_micros > 0
    await connection.execute(
        """with moved as (
               update balance b set balance_micros = b.balance_micros + c.change
               from (values ($1::int, -$3::bigint), ($2::int, $3::bigint)) as c(account_id, change)
               where b.account_id = c.account_id),
           number as (select nextval('transfer_number') as reason)
           insert into ledger_entry (kind, reason, account_id, amount_micros, at, note)
           select e.kind, number.reason, e.account_id, e.amount, $4, e.note
           from number cross join (values
               (4::smallint, $1::int, -$3::bigint, 'to account ' || $2::int),
               (5::smallint, $2::int, $3::bigint, 'from account ' || $1::int)) as e(kind, account_id, amount, note)""",
        giver,
        receiver,
        amount_micros,
        now,
    )
