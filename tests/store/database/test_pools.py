"""A process's connections: what each is told, transactions, readiness, addresses without passwords."""

from __future__ import annotations

import asyncpg
import pytest
from shop import address_of, opened

from chappe.embedded.server import ConnectionParameters
from chappe.store.database import Address, Database, connect, ready

pytestmark = pytest.mark.asyncio


@pytest.mark.every_postgres
async def test_connections_have_time_outs_and_hot_ones_safe_plans(database: ConnectionParameters) -> None:
    async with (
        opened(database) as shop,
        shop.database.connection(hot=True) as hot,
        shop.database.connection() as ordinary,
    ):
        for connection in (hot, ordinary):
            assert await connection.fetchval("show statement_timeout") == "30s"
            assert await connection.fetchval("show lock_timeout") == "10s"
            assert await connection.fetchval("show timezone") == "UTC"
        assert await hot.fetchval("show enable_seqscan") == "off"
        assert await ordinary.fetchval("show enable_seqscan") == "on"


async def test_a_transaction_that_fails_leaves_nothing(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=5)
        with pytest.raises(asyncpg.CheckViolationError):
            await _twice(shop.database)
        assert await shop.balance(account) == 5


async def _twice(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("update balance set balance_micros = 7")
        await tx.execute("update balance set balance_micros = -7")


async def test_readiness_is_an_answer_of_the_database(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        assert await ready(shop.database)
    nowhere = Database(replace_port(address_of(database)))
    await nowhere.open()
    assert not await ready(nowhere)
    await nowhere.close()


def replace_port(address: Address) -> Address:
    return Address(host="127.0.0.1", port=1, user=address.user, database=address.database)


async def test_an_address_shows_no_password(database: ConnectionParameters) -> None:
    secret = Address(host="db", user="u", password="hunter2", database="d")
    assert "hunter2" not in repr(secret)
    assert "hunter2" not in repr(Address(url="postgresql://u:hunter2@db/d"))
    connection = await connect(address_of(database), name="chappe named")
    assert await connection.fetchval("show application_name") == "chappe named"
    await connection.close()
