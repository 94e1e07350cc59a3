"""Accounts: who they are, by key or login; their settings, balances and the operator's credits."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

import asyncpg
import msgspec

from chappe.core.model import Account, AccountSettings, AccountState
from chappe.store import waiting
from chappe.store.database import Connection, Database

COLUMNS = """a.id, a.login, a.state, a.api_enabled, a.settings, coalesce(b.balance_micros, 0) as balance_micros
    from account a left join balance b on b.account_id = a.id"""


class LoginTaken(Exception):
    """An account of this login, or with this key, exists already."""


def fingerprint(key: str) -> bytes:
    """What is stored of an API key: keys are long and random, so a plain hash suffices."""
    return hashlib.sha256(key.encode()).digest()


def _account(row: Any) -> Account:
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
    return _account(rows[0]) if rows else None


async def by_login(database: Database, login: str) -> Account | None:
    rows = await database.fetch(f"select {COLUMNS} where lower(a.login) = lower($1)", login)
    return _account(rows[0]) if rows else None


async def by_ids(connection: Connection, account_ids: Collection[int]) -> dict[int, Account]:
    """Accounts by their ids; those that are no more are not in it."""
    rows = await connection.fetch(f"select {COLUMNS} where a.id = any ($1::int[])", list(account_ids))
    return {row["id"]: _account(row) for row in rows}


async def all_accounts(database: Database) -> list[Account]:
    return [_account(row) for row in await database.fetch(f"select {COLUMNS} order by a.login")]


async def create(
    connection: Connection, login: str, key: str, settings: AccountSettings, balance_micros: int = 0
) -> int:
    """Makes an account and gives its id; raises LoginTaken."""
    try:
        account_id: int = await connection.fetchval(
            "insert into account (login, key_sha256, settings) values ($1, $2, $3::text::jsonb) returning id",
            login,
            fingerprint(key),
            msgspec.json.encode(msgspec.to_builtins(settings)).decode(),
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
        msgspec.json.encode(msgspec.to_builtins(settings)).decode(),
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


async def installation_secret(database: Database) -> bytes:
    """The key of public ids; the same for every node of one database."""
    secret: bytes = await database.value("select secret from installation")
    return secret


async def windows(database: Database) -> list[tuple[int, str]]:
    """The accounts that name a sending window: (id, its name)."""
    rows = await database.fetch("select id, settings ->> 'window' as name from account where settings ? 'window'")
    return [(row["id"], row["name"]) for row in rows]
