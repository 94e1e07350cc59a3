"""The runner of migrations, on files of its own; and ours, on every version."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chappe.embedded.server import ConnectionParameters
from chappe.store import migrate
from chappe.store.migrate import (
    DatabaseNewer,
    Migration,
    MigrationBusy,
    MigrationChanged,
    MigrationFailed,
    MigrationsInvalid,
    ServerTooOld,
)

FIRST = Migration(1, "0001_first", "CREATE TABLE a (x int);\nCREATE TABLE b (x int);\n")
SECOND = Migration(2, "0002_second", "INSERT INTO a VALUES (1);\n")
FUNCTION = """CREATE FUNCTION one() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RETURN 1;
END
$$;
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files {name: text or bytes} into a directory of migrations."""

    def write(files: dict[str, str | bytes]) -> Path:
        for name, text in files.items():
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


async def connect(parameters: ConnectionParameters) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(**parameters.arguments())


async def tables(connection: asyncpg.Connection[asyncpg.Record]) -> set[str]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    return {row["relname"] for row in rows}


async def until_positive(connection: asyncpg.Connection[asyncpg.Record], query: str) -> None:
    deadline = time.monotonic() + 20
    while await connection.fetchval(query) == 0:
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.01)


def test_files_are_read_in_order_and_others_left_alone(write: Write) -> None:
    directory = write({"0002_b.sql": "SELECT 2;", "0001_a.sql": "SELECT 1;", "README.md": "", "__init__.py": ""})
    assert migrate.load(directory) == (Migration(1, "0001_a", "SELECT 1;"), Migration(2, "0002_b", "SELECT 2;"))


def test_a_missing_directory_means_no_migrations(tmp_path: Path) -> None:
    assert migrate.load(tmp_path / "none") == ()


def test_line_ends_of_a_checkout_do_not_change_the_checksum(write: Write) -> None:
    (migration,) = migrate.load(write({"0001_a.sql": b"SELECT 1;\r\nSELECT 2;\r\n"}))
    assert migration.sha256 == hashlib.sha256(b"SELECT 1;\nSELECT 2;\n").hexdigest()


def test_a_function_body_is_no_transaction_control(write: Write) -> None:
    assert len(migrate.load(write({"0001_a.sql": FUNCTION}))) == 1


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"0002_b.sql": ""}, r"0002_b\.sql cannot be used: number 0001 is missing before it"),
        ({"0001_a.sql": "", "0003_c.sql": ""}, r"0003_c\.sql .*number 0002 is missing"),
        ({"0001_a.sql": "", "0001_b.sql": ""}, r"0001_b\.sql .*0001_a has the same number"),
        ({"1_a.sql": ""}, r"1_a\.sql .*its name is not"),
        ({"0001-a.sql": ""}, r"0001-a\.sql .*its name is not"),
        ({"0001_a.sql": b"\xff"}, "it is not UTF-8"),
        ({"0001_a.sql": "BEGIN;\nSELECT 1;\nCOMMIT;"}, "it says 'BEGIN;', but runs inside a transaction"),
        ({"0001_a.sql": "SELECT 1;\ncommit work ;"}, "it says 'commit work ;'"),
        ({"0001_a.sql": "start transaction;"}, "it says 'start transaction;'"),
    ],
)
def test_wrong_files_are_refused_by_name(write: Write, files: dict[str, str | bytes], sentence: str) -> None:
    with pytest.raises(MigrationsInvalid, match=sentence):
        migrate.load(write(files))


@pytest.mark.every_postgres
@pytest.mark.asyncio
async def test_pending_ones_are_applied_once_and_in_order(empty_database: ConnectionParameters) -> None:
    connection = await connect(empty_database)
    before = await migrate.status(connection, (FIRST, SECOND))
    assert (before.applied, before.pending) == ((), (FIRST, SECOND))
    assert await tables(connection) == set()
    assert await migrate.migrate(connection, (FIRST,)) == (FIRST,)
    assert await migrate.migrate(connection, (FIRST, SECOND)) == (SECOND,)
    assert await migrate.migrate(connection, (FIRST, SECOND)) == ()
    after = await migrate.status(connection, (FIRST, SECOND))
    assert [(row.number, row.name, row.sha256) for row in after.applied] == [
        (1, "0001_first", FIRST.sha256),
        (2, "0002_second", SECOND.sha256),
    ]
    assert after.pending == ()
    assert all(row.applied_at.utcoffset() is not None for row in after.applied)
    assert await tables(connection) == {"a", "b", "schema_migration", "schema_function"}
    await connection.close()


@pytest.mark.asyncio
async def test_many_nodes_at_once_apply_each_file_exactly_once(empty_database: ConnectionParameters) -> None:
    slow = Migration(1, "0001_slow", "CREATE TABLE a (x int); SELECT pg_sleep(0.05);")
    files = (slow, SECOND, Migration(3, "0003_third", "INSERT INTO a VALUES (2);"))
    connections = await asyncio.gather(*(connect(empty_database) for _ in range(6)))
    done = await asyncio.gather(*(migrate.migrate(connection, files) for connection in connections))
    assert sorted(migration.number for one in done for migration in one) == [1, 2, 3]
    assert await connections[0].fetchval("SELECT array_agg(x ORDER BY x) FROM a") == [1, 2]
    await asyncio.gather(*(connection.close() for connection in connections))


@pytest.mark.every_postgres
@pytest.mark.asyncio
async def test_a_failing_file_leaves_nothing_and_tells_the_line(empty_database: ConnectionParameters) -> None:
    connection = await connect(empty_database)
    broken = Migration(2, "0002_broken", "CREATE TABLE c (x int);\n\nSELECT nothing FROM a;\n")
    with pytest.raises(
        MigrationFailed, match='0002_broken failed at line 3: column "nothing" does not exist; nothing of'
    ):
        await migrate.migrate(connection, (FIRST, broken))
    assert await tables(connection) == {"a", "b", "schema_migration", "schema_function"}
    assert (await migrate.status(connection, (FIRST, broken))).pending == (broken,)
    assert await migrate.migrate(connection, (FIRST, SECOND)) == (SECOND,)
    await connection.close()


@pytest.mark.asyncio
async def test_a_changed_file_is_refused_by_name(empty_database: ConnectionParameters) -> None:
    connection = await connect(empty_database)
    await migrate.migrate(connection, (FIRST,))
    changed = replace(FIRST, sql=FIRST.sql + "-- a comment too")
    for call in (migrate.migrate, migrate.status):
        with pytest.raises(MigrationChanged, match="0001_first was changed after it had been applied"):
            await call(connection, (changed, SECOND))
    assert await connection.fetchval("SELECT count(*) FROM a") == 0
    await connection.close()


@pytest.mark.asyncio
async def test_a_database_newer_than_the_program_is_refused(empty_database: ConnectionParameters) -> None:
    connection = await connect(empty_database)
    await migrate.migrate(connection, (FIRST, SECOND))
    with pytest.raises(DatabaseNewer, match="it has migration 0002, and this program ends at 0001"):
        await migrate.migrate(connection, (FIRST,))
    await connection.close()


@pytest.mark.asyncio
async def test_waiting_has_an_end_and_names_what_was_waited_for(empty_database: ConnectionParameters) -> None:
    holder, connection = await connect(empty_database), await connect(empty_database)
    await migrate.migrate(connection, (FIRST,))
    async with holder.transaction():
        await holder.execute("LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(MigrationBusy, match="0002_second had to wait too long"):
            await migrate.migrate(connection, (FIRST, SECOND), table_lock_timeout_s=0.05)
        # While this one waits for the table, it holds the lock of all nodes.
        waiting = asyncio.create_task(migrate.migrate(connection, (FIRST, SECOND)))
        third = await connect(empty_database)
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        await until_positive(third, held)
        with pytest.raises(MigrationBusy, match="schema_migration had to wait too long"):
            await migrate.migrate(third, (FIRST, SECOND), wait_timeout_s=0.05)
    assert await waiting == (SECOND,)
    assert await migrate.migrate(third, (FIRST, SECOND)) == ()
    for one in (holder, connection, third):
        await one.close()


@pytest.mark.asyncio
async def test_limits_of_the_connection_do_not_end_a_long_migration(empty_database: ConnectionParameters) -> None:
    limits = {"statement_timeout": "50ms", "idle_in_transaction_session_timeout": "50ms"}
    connection = await asyncpg.connect(**empty_database.arguments(), server_settings=limits, command_timeout=0.05)
    slow = Migration(1, "0001_slow", "SELECT pg_sleep(0.15);")
    assert await migrate.migrate(connection, (slow,)) == (slow,)
    assert await connection.fetchval("SHOW statement_timeout") == "50ms"
    await connection.close()


def test_an_old_server_is_refused() -> None:
    class Old:
        def get_server_version(self) -> Any:
            return asyncpg.types.ServerVersion(14, 9, 0, "final", 0)

    with pytest.raises(ServerTooOld, match=r"PostgreSQL 14\.9 is too old: Chappe needs 15"):
        migrate.check_server(Old())  # type: ignore[arg-type]


@pytest.mark.every_postgres
@pytest.mark.asyncio
async def test_our_own_migrations_bring_an_empty_database_up(empty_database: ConnectionParameters) -> None:
    connection = await connect(empty_database)
    ours = migrate.load()
    assert await migrate.migrate(connection) == ours + migrate.load_functions()
    status = await migrate.status(connection)
    assert status.pending == ()
    assert [row.name for row in status.applied] == [migration.name for migration in ours]
    await connection.close()
