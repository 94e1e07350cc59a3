"""Prices by destination: the lists of the installation and of accounts, and changes that hold from a day on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chappe.store.database import Connection, Database

Prices = dict[str, int | None]
_PRICES = msgspec.json.Decoder(dict[str, int | None])


class PriceChange(msgspec.Struct, frozen=True):
    """A price of one prefix from an instant on. price_micros: None where nothing is sent there; forgotten: the prefix
    has no price of its own from then on."""

    prefix: str
    price_micros: int | None
    valid_from: datetime
    forgotten: bool = False


async def current(database: Database | Connection, account_id: int | None) -> Prices:
    """The present prices of an account, or of the installation where account_id is None."""
    if account_id is None:
        rows = await database.fetch("select prices as list from installation")
    else:
        rows = await database.fetch(
            "select coalesce(settings -> 'prices', '{}') as list from account where id = $1", account_id
        )
    return _PRICES.decode(rows[0]["list"])


async def coming(database: Database, account_id: int | None) -> list[PriceChange]:
    """The changes that do not hold yet, in their order."""
    rows = await database.fetch(
        """select prefix, price_micros, valid_from, forgotten from price_change
           where applied_at is null and account_id is not distinct from $1::int order by valid_from, id""",
        account_id,
    )
    return [PriceChange(**dict(row)) for row in rows]


async def schedule(connection: Connection, account_id: int | None, changes: Sequence[PriceChange]) -> None:
    """Stores changes; those of the same prefix and instant that have not been applied give way."""
    await connection.execute(
        """delete from price_change c using unnest($2::text[], $3::timestamptz[]) as n(prefix, valid_from)
           where c.applied_at is null and c.account_id is not distinct from $1::int
           and c.prefix = n.prefix and c.valid_from = n.valid_from""",
        account_id,
        [one.prefix for one in changes],
        [one.valid_from for one in changes],
    )
    await connection.execute(
        """insert into price_change (account_id, prefix, price_micros, valid_from, forgotten)
           select $1, * from unnest($2::text[], $3::bigint[], $4::timestamptz[], $5::boolean[])""",
        account_id,
        [one.prefix for one in changes],
        [one.price_micros for one in changes],
        [one.valid_from for one in changes],
        [one.forgotten for one in changes],
    )


async def due(connection: Connection, now: datetime, limit: int) -> list[Any]:
    """The next changes that hold by now, in their order, held until the transaction ends: id, account_id, and the
    fields of PriceChange."""
    rows: list[Any] = await connection.fetch(
        """select id, account_id, prefix, price_micros, valid_from, forgotten from price_change
           where applied_at is null and valid_from <= $1 order by valid_from, id limit $2 for update""",
        now,
        limit,
    )
    return rows


async def apply(connection: Connection, account_id: int | None, prices: Mapping[str, int | None]) -> None:
    """Makes this the list of an account or of the installation."""
    written = msgspec.json.encode(dict(prices)).decode()
    if account_id is None:
        await connection.execute("update installation set prices = $1::text::jsonb", written)
        await connection.execute("select pg_notify('chappe_configuration', 'installation')")  # others by their trigger
    else:
        await connection.execute(
            "update account set settings = jsonb_set(settings, '{prices}', $2::text::jsonb) where id = $1",
            account_id,
            written,
        )


async def applied(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    await connection.execute("update price_change set applied_at = $2 where id = any ($1::bigint[])", list(ids), now)


async def hold(connection: Connection, account_id: int | None) -> None:
    """Nobody else changes the list before the transaction ends."""
    if account_id is None:
        await connection.execute("select from installation for update")
    else:
        await connection.execute("select from account where id = $1 for update", account_id)


async def drop_coming(connection: Connection, account_id: int | None) -> None:
    """Changes that do not hold yet never will."""
    await connection.execute(
        "delete from price_change where applied_at is null and account_id is not distinct from $1::int", account_id
    )
