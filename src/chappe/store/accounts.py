"""Accounts: who they are, by key or login; their settings, balances and the operator's credits."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any, Final

import asyncpg
import msgspec

from chappe.core.model import Account, AccountSettings, AccountState
from chappe.store import waiting
from chappe.store.database import Connection, Database

# What an account has of its own over what the operator has set for all; of prices each prefix for itself.
COLUMNS = """a.id, a.login, a.state, a.api_enabled, coalesce(b.balance_micros, 0) as balance_micros,
    i.account_defaults || a.settings || jsonb_build_object('prices', i.prices ||
        coalesce(i.account_defaults -> 'prices', '{}') || coalesce(a.settings -> 'prices', '{}')) as settings
    from account a cross join lateral (
        select coalesce(account_defaults, '{}') as account_defaults, prices from installation) i
    left join balance b on b.account_id = a.id"""
_BUILT_IN: Final = msgspec.to_builtins(AccountSettings())
Own = Mapping[str, Any]
"""Settings that an account has of its own, by field, as JSON has them; what is not in it is the installation's."""


class LoginTaken(Exception):
    """An account of this login, or with this key, exists already."""


def fingerprint(key: str) -> bytes:
    """What is stored of an API key: keys are long and random, so a plain hash suffices."""
    return hashlib.sha256(key.encode()).digest()


def account_of(row: Any) -> Account:
    """An account of COLUMNS."""
    return Account(
        id=row["id"],
        login=row["login"],
        state=AccountState(row["state"]),
        api_enabled=row["api_enabled"],
        balance_micros=row["balance_micros"],
        settings=msgspec.json.decode(row["settings"], type=AccountSettings),
    )


async def by_key(database: Database, key: str) -> Account | None:
    rows = await database.fetch(f"select {COLUMNS} where a.key_sha256 = $1", fingerprint(key))
    return account_of(rows[0]) if rows else None


async def by_login(database: Database, login: str) -> Account | None:
    rows = await database.fetch(f"select {COLUMNS} where lower(a.login) = lower($1)", login)
    return account_of(rows[0]) if rows else None


async def by_ids(connection: Connection, account_ids: Collection[int]) -> dict[int, Account]:
    """Accounts by their ids; those that are no more are not in it."""
    rows = await connection.fetch(f"select {COLUMNS} where a.id = any ($1::int[])", list(account_ids))
    return {row["id"]: account_of(row) for row in rows}


async def all_accounts(database: Database) -> list[Account]:
    return [account_of(row) for row in await database.fetch(f"select {COLUMNS} order by a.login")]


def own_of(settings: AccountSettings) -> dict[str, Any]:
    """What of these settings is not as the built-in defaults have it."""
    return {name: value for name, value in msgspec.to_builtins(settings).items() if value != _BUILT_IN[name]}


async def create(
    connection: Connection, login: str, key: str, settings: AccountSettings | Own, balance_micros: int = 0
) -> int:
    """Makes an account and gives its id; raises LoginTaken. Of AccountSettings only what differs from the built-in
    defaults becomes the account's own."""
    own = own_of(settings) if isinstance(settings, AccountSettings) else settings
    try:
        account_id: int = await connection.fetchval(
            "insert into account (login, key_sha256, settings) values ($1, $2, $3::text::jsonb) returning id",
            login,
            fingerprint(key),
            msgspec.json.encode(own).decode(),
        )
    except asyncpg.UniqueViolationError as error:
        raise LoginTaken(login) from error
    await connection.execute("insert into balance (account_id) values ($1)", account_id)
    if balance_micros:
        await credit(connection, account_id, balance_micros, "opening balance")
    return account_id


async def credit(connection: Connection, account_id: int, amount_micros: int, note: str = "") -> int | None:
    """Adds to the balance, or takes from it, with its ledger entry; gives the new balance, or None when it would fall
    below zero. Inside the caller's transaction."""
    balance: int | None = await connection.fetchval(
        """update balance set balance_micros = balance_micros + $2
           where account_id = $1 and balance_micros + $2 >= 0 returning balance_micros""",
        account_id,
        amount_micros,
    )
    if balance is not None:
        await connection.execute(
            """insert into ledger_entry (kind, reason, account_id, amount_micros, at, note)
               values (3, nextval('credit_number'), $1, $2, now(), $3)""",
            account_id,
            amount_micros,
            note,
        )
    return balance


async def save_settings(database: Database, account_id: int, settings: AccountSettings) -> None:
    await database.execute(
        "update account set settings = $2::text::jsonb where id = $1",
        account_id,
        msgspec.json.encode(own_of(settings)).decode(),
    )


async def save_state(database: Database, account_id: int, state: AccountState, *, api_enabled: bool) -> None:
    await database.execute(
        "update account set state = $2, api_enabled = $3 where id = $1", account_id, state, api_enabled
    )


async def balance(database: Database, account_id: int) -> tuple[int, int]:
    """The balance in micro-euros, and how many parts of the account wait to leave."""
    return await balance_micros(database, account_id), await waiting.parts(database, account_id)


async def balance_micros(database: Database, account_id: int) -> int:
    """The balance alone, which costs nothing however much waits."""
    return await database.value("select balance_micros from balance where account_id = $1", account_id) or 0


async def defaults(database: Database) -> AccountSettings:
    """What an account has that has nothing of its own."""
    written = await database.value("select coalesce(account_defaults, '{}') from installation")
    return msgspec.json.decode(written, type=AccountSettings)


async def set_defaults(connection: Connection, own: Own, copied: Own) -> bool:
    """Sets what accounts have that have nothing of their own; True when that is another than before.

    copied: values that earlier versions wrote into each account when it was made. The first time they are taken out of
    the accounts that still have them, so that these follow the installation like all others.
    """
    before: str | None = await connection.fetchval("select account_defaults from installation for update")
    written = msgspec.json.encode(own)
    if before is not None and msgspec.json.decode(before) == msgspec.json.decode(written):
        return False
    if before is None and copied:
        await connection.execute(
            """update account a set settings = (
                   select coalesce(jsonb_object_agg(s.key, s.value), '{}') from jsonb_each(a.settings) s
                   where s.value is distinct from $1::text::jsonb -> s.key)""",
            msgspec.json.encode(copied).decode(),
        )
    await connection.execute("update installation set account_defaults = $1::text::jsonb", written.decode())
    return True


async def installation_secret(database: Database) -> bytes:
    """The key of public ids; the same for every node of one database."""
    secret: bytes = await database.value("select secret from installation")
    return secret


async def windows(database: Database) -> list[tuple[int, str]]:
    """The accounts that name a sending window: (id, its name)."""
    rows = await database.fetch("select id, settings ->> 'window' as name from account where settings ? 'window'")
    return [(row["id"], row["name"]) for row in rows]
