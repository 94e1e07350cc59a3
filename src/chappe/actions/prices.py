"""Prices by destination as the operator imports, lists and plans them, for the installation or for one account."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from chappe.actions import accounts, price_file
from chappe.actions.budget import UNLIMITED, Budget
from chappe.actions.price_file import PriceError
from chappe.store import prices
from chappe.store.database import Connection, Database
from chappe.store.prices import PriceChange, Prices

LIST_MAX: Final = 5_000  # prices of one list: every account that is looked up is read with them
BATCH: Final = 5_000


class PriceListShown(msgspec.Struct, frozen=True):
    """A list: what holds now, by prefix, and what will."""

    prices: Prices
    coming: tuple[PriceChange, ...]


class PricesImported(msgspec.Struct, frozen=True):
    """applied: prices that hold now; coming: those that hold from a later day on."""

    applied: int
    coming: int


async def show(database: Database, login: str | None) -> PriceListShown:
    """The list of the installation, or of an account by its login; raises AccountError."""
    account_id = await _account_id(database, login)
    current = await prices.current(database, account_id)
    return PriceListShown(current, tuple(await prices.coming(database, account_id)))


async def import_csv(
    database: Database, login: str | None, octets: bytes, now: datetime, *, replace: bool = False
) -> PricesImported:
    """Takes over a file, in one transaction. replace: prefixes that are not in it have no price of their own any more,
    from now on, and changes that were planned are dropped. Raises AccountError, PriceError; then nothing is changed."""
    changes = price_file.read(octets, now)
    account_id = await _account_id(database, login)
    async with database.transaction() as tx:
        await prices.hold(tx, account_id)
        if replace:
            named = {one.prefix for one in changes}
            gone = [prefix for prefix in await prices.current(tx, account_id) if prefix not in named]
            await prices.drop_coming(tx, account_id)
            changes = [*(PriceChange(prefix, None, now, forgotten=True) for prefix in gone), *changes]
        await prices.schedule(tx, account_id, changes)
        await _apply(tx, now, account_id)
    later = sum(one.valid_from > now for one in changes)
    return PricesImported(len(changes) - later, later)


async def apply_due(database: Database, now: datetime, book: object, budget: Budget = UNLIMITED) -> bool:
    """A task of upkeep: puts changes whose day has come into the lists that they are of."""
    while budget.more():
        async with database.transaction() as tx:
            if await _apply(tx, now) < BATCH:
                return False
    return False


async def _apply(tx: Connection, now: datetime, account_id: int | None = None) -> int:
    """Applies the next changes that are due; how many. Raises PriceError where the list of account_id becomes too long:
    that of others was judged when it was imported."""
    rows = await prices.due(tx, now, BATCH)
    by_account: dict[int | None, Prices] = {}
    for row in rows:
        owner = row["account_id"]
        if owner not in by_account:
            await prices.hold(tx, owner)
            by_account[owner] = await prices.current(tx, owner)
        if row["forgotten"]:
            by_account[owner].pop(row["prefix"], None)
        else:
            by_account[owner][row["prefix"]] = row["price_micros"]
    for owner, changed in by_account.items():
        if owner == account_id and len(changed) > LIST_MAX:
            raise PriceError(f"a list has at most {LIST_MAX} prices")
        await prices.apply(tx, owner, changed)
    if rows:
        await prices.applied(tx, [row["id"] for row in rows], now)
    return len(rows)


async def _account_id(database: Database, login: str | None) -> int | None:
    return None if login is None else (await accounts.get(database, login)).id
