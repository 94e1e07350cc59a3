"""Whether a node can work with its database: every reason why not has its sentence."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest
from shop import address_of

from chappe.embedded.server import ConnectionParameters
from chappe.store.database import Address, Database
from chappe.store.readiness import trouble

pytestmark = pytest.mark.asyncio


async def said(address: Address) -> str:
    database = Database(address, "chappe test")
    await database.open()
    try:
        return await trouble(database)
    finally:
        await database.close()


async def test_a_database_with_our_tables_is_no_trouble(database: ConnectionParameters) -> None:
    assert await said(address_of(database)) == ""


async def test_tables_of_a_newer_version_are_none_either(database: ConnectionParameters) -> None:
    connection = await asyncpg.connect(**database.arguments())
    await connection.execute("insert into schema_migration (number, name, sha256) values (9999, '9999_later', '')")
    await connection.close()
    assert await said(address_of(database)) == ""


async def test_tables_of_an_older_version_are(database: ConnectionParameters) -> None:
    connection = await asyncpg.connect(**database.arguments())
    await connection.execute("delete from schema_migration where number > 1")
    await connection.close()
    assert "lacks tables" in await said(address_of(database))


async def test_so_is_a_database_without_any(empty_database: ConnectionParameters) -> None:
    assert "no tables" in await said(address_of(empty_database))


async def test_and_one_that_is_not_there(database: ConnectionParameters) -> None:
    gone = replace(database, host=f"{database.host}-gone")
    assert "does not answer" in await said(address_of(gone))
