"""What of PostgreSQL's words reaches our log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import asyncpg
import pytest

from chappe.embedded.server import ConnectionParameters

DEADLINE_S = 20.0


async def ask(parameters: ConnectionParameters, query: str) -> object:
    connection = await asyncpg.connect(**parameters.arguments(), timeout=10)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_no_value_of_a_statement_reaches_the_log(
    postgres_server: object, database: ConnectionParameters, caplog: pytest.LogCaptureFixture
) -> None:
    superuser: ConnectionParameters = postgres_server.superuser  # type: ignore[attr-defined]
    connection = await asyncpg.connect(**database.arguments())
    with caplog.at_level(logging.DEBUG, logger="chappe.postgres"):
        await connection.execute("CREATE TABLE t (number text PRIMARY KEY, CHECK (number <> '33600000000'))")
        await connection.execute("INSERT INTO t VALUES ('33611111111')")
        for statement in (
            "SELECT 'secret-text'::bigint",
            "INSERT INTO t VALUES ('33611111111')",
            "INSERT INTO t VALUES ('33600000000')",
            "DO $$ BEGIN RAISE WARNING 'secret-text 33611111111'; END $$",
            "DO $$ BEGIN RAISE EXCEPTION E'line\\n\\tsecret-text 33611111111'; END $$",
            "SELECT 'secret-text' FROM nowhere",
        ):
            with contextlib.suppress(asyncpg.PostgresError):
                await connection.execute(statement)
        with pytest.raises(asyncpg.PostgresError):
            await connection.fetchval("SELECT $1::text::bigint", "secret-text")
        await connection.close()
        await ask(superuser, "SELECT pg_reload_conf()")
        await until(lambda: "reloading configuration files" in caplog.text)
    assert "secret" not in caplog.text
    assert "336" not in caplog.text
    states = {getattr(record, "sqlstate", None) for record in caplog.records}
    assert {"22P02", "23505", "23514", "42P01", "P0001"} <= states
