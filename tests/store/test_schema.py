"""The schema: an old database upgrades to the one that a new database gets, and keeps its rows."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from chappe.carriers.smpp import replies
from chappe.core.lifecycle import FINAL, TRANSITIONS, Event, State
from chappe.embedded.server import ConnectionParameters
from chappe.store import migrate, sql
from chappe.store.migrate import DatabaseTooOld, Function, MigrationFailed

OLD = Path(__file__).with_name("schema_0011")
SQL = Path(sql.__file__).parent

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# The structure as PostgreSQL describes it: a line for each column, constraint, index, option, trigger and function.
STRUCTURE = """
select format('column %s.%s %s %s %s %s', c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod),
              a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) as line
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'S')
union all select format('constraint %s %s', conname, pg_get_constraintdef(oid)) from pg_constraint
where connamespace = 'public'::regnamespace
union all select format('index %s', indexdef) from pg_indexes where schemaname = 'public'
union all select format('options %s %s', relname, (select array_agg(o order by o) from unnest(reloptions) o))
from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
union all select format('trigger %s', pg_get_triggerdef(t.oid)) from pg_trigger t where not t.tgisinternal
union all select format('function %s', pg_get_functiondef(oid)) from pg_proc where pronamespace = 'public'::regnamespace
"""

# A value for each type that our tables use.
VALUES = {
    "bigint": "7",
    "integer": "7",
    "smallint": "1",
    "boolean": "true",
    "text": "'x'",
    "bytea": "'\\x01'",
    "jsonb": "'{}'",
    "date": "'2026-01-02'",
    "timestamp with time zone": "'2026-01-02 03:04:05+00'",
    "bigint[]": "'{1,2}'",
    "smallint[]": "'{1,2}'",
    "text[]": "'{a}'",
}


async def structure(connection: Connection) -> set[str]:
    return {row["line"] for row in await connection.fetch(STRUCTURE)}


async def old_database(connection: Connection) -> None:
    """Make the tables as migrations 0001 to 0011 made them, with their records."""
    await connection.execute(
        "create table schema_migration (number integer primary key, name text not null, sha256 text not null,"
        " applied_at timestamptz not null default clock_timestamp())"
    )
    for number, file in enumerate(sorted(OLD.glob("*.sql")), start=1):
        text = file.read_text()
        await connection.execute(text)
        checksum = hashlib.sha256(text.encode()).hexdigest()
        await connection.execute("insert into schema_migration values ($1, $2, $3)", number, file.stem, checksum)


async def fill_every_table(connection: Connection) -> set[str]:
    """Put a row with a value in every column into each table that has none; give the names of all tables."""
    rows = await connection.fetch(
        """select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attidentity <> '' as identity
           from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by c.relname = 'route', a.attnum"""
    )
    columns: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        value = "default" if row["identity"] else VALUES[row["type"]]
        if (row["relname"], row["attname"]) == ("route", "carrier_id"):
            value = "(select max(id) from carrier)"
        columns.setdefault(row["relname"], []).append((row["attname"], value))
    for table, values in columns.items():
        if not await connection.fetchval(f"select exists (select from {table})"):
            names, wanted = (", ".join(part) for part in zip(*values, strict=True))
            await connection.execute(f"insert into {table} ({names}) values ({wanted})")
    return set(columns)


async def contents(connection: Connection, tables: set[str]) -> dict[str, list[str]]:
    return {
        table: [row["line"] for row in await connection.fetch(f"select t::text as line from {table} t order by 1")]
        for table in sorted(tables)
    }


@pytest.mark.every_postgres
@pytest.mark.asyncio
async def test_a_database_of_0011_becomes_what_a_new_one_is_and_loses_nothing(
    empty_database: ConnectionParameters, another_empty_database: ConnectionParameters
) -> None:
    old = await asyncpg.connect(**empty_database.arguments())
    new = await asyncpg.connect(**another_empty_database.arguments())
    await old_database(old)
    tables = await fill_every_table(old)
    before = await contents(old, tables - {"schema_migration"})
    assert all(before.values()), "a table without a row proves nothing"

    await migrate.migrate(old)
    await migrate.migrate(new)

    assert await structure(old) == await structure(new)
    after = await contents(old, set(before))
    hosts = (
        await old.fetchval("select format(',%s,', 7::bigint << 32 | 7)"),
        ",7,",
    )  # with the account's id since 0020
    after["submission"] = [line.replace(*hosts) for line in after["submission"]]
    after["inbound"] = [
        line.replace(',"\\\\x01",0,', ',"\\\\x01",1,') for line in after["inbound"]
    ]  # what waits is new since 0025
    for table, lines in before.items():  # a column that came later stands behind those that were there
        kept = [line.removesuffix(")") for line in lines]
        assert [line[: len(start)] for line, start in zip(after[table], kept, strict=True)] == kept, table
    await old.close()
    await new.close()


@pytest.mark.asyncio
async def test_webhooks_that_wait_keep_their_hosts_apart_and_get_their_accounts(
    empty_database: ConnectionParameters,
) -> None:
    """0020: two accounts that report to one host, a host below zero, and a reply."""
    old = await asyncpg.connect(**empty_database.arguments())
    await old_database(old)
    await fill_every_table(old)
    for account, host in ((1, 5), (2, 5), (2, -5)):
        submission = await old.fetchval(
            """insert into submission
               select nextval('submission_number') + 100, $1, created_at, cost_micros, recipients, parts, flags, $2,
                      scheduled_at, dialect, sender, text, tag, campaign, client_reference, report_url, ''
               from submission where id = 7 returning id""",
            account, host,
        )  # fmt: skip
        await old.execute(
            "insert into webhook select $1, n, nextval('webhook_number') + 100, ($2::bigint << 16) + n, now(), 6 "
            "from generate_series(1, 3) n",
            host, submission,
        )  # fmt: skip
    await old.execute("insert into webhook values (5, 1, 99, -7, now(), 0)")

    await migrate.migrate(old)

    rows = await old.fetch("select host, count(*) from webhook where id >= 99 group by 1 order by 1")
    minus_five = (1 << 32) - 5
    assert [tuple(row) for row in rows] == [
        (1 << 32 | 5, 3), (2 << 32 | 5, 3), (2 << 32 | minus_five, 3), (7 << 32 | 5, 1)
    ]  # fmt: skip
    assert await old.fetchval("select count(*) from submission where report_host >> 32 <> account_id") == 0
    await old.close()


@pytest.mark.asyncio
async def test_replies_that_wait_for_their_parts_are_looked_at_anew(empty_database: ConnectionParameters) -> None:
    """0025: what was sorted is known by its key when it is repeated; what waits counts as new."""
    old = await asyncpg.connect(**empty_database.arguments())
    await old_database(old)
    frame = bytes(range(40))
    await old.executemany(
        "insert into inbound (carrier_id, received_at, source, destination, esm_class, data_coding, raw, state)"
        " values (1, now() - $1 * interval '1 hour', '33600000001', '36111', 0, 0, $2, $3)",
        [(0, frame, 2), (0, frame, 1), (0, frame, 0), (0, b"", 3), (9, frame, 2)],
    )

    await migrate.migrate(old)

    rows = [tuple(row) for row in await old.fetch("select state, key, message from inbound order by id")]
    known = replies.key(frame)
    assert rows == [(2, known, None), (0, None, None), (0, known, None), (3, None, None), (2, None, None)]
    await old.close()


@pytest.mark.asyncio
async def test_a_database_older_than_the_baseline_is_refused(empty_database: ConnectionParameters) -> None:
    connection = await asyncpg.connect(**empty_database.arguments())
    await old_database(connection)
    await connection.execute("delete from schema_migration where number = 11")
    with pytest.raises(DatabaseTooOld, match="its last migration is 0010, and this program begins after 0011_baseline"):
        await migrate.migrate(connection)
    await connection.close()


@pytest.mark.asyncio
async def test_each_function_stands_once_in_the_database(empty_database: ConnectionParameters) -> None:
    connection = await asyncpg.connect(**empty_database.arguments())
    await migrate.migrate(connection)
    rows = await connection.fetch("select proname from pg_proc where pronamespace = 'public'::regnamespace order by 1")
    assert [row["proname"] for row in rows] == [function.name for function in migrate.load_functions()]
    await connection.close()


TABLES = (migrate.Migration(1, "0001_first", "create table a (x int)"),)
MORE = (*TABLES, migrate.Migration(2, "0002_second", "select"))


def one(value: int) -> Function:
    text = f"create or replace function one() returns int language sql as $$ select {value} $$;\n"
    return Function("one", f"-- One.\n{text}")


@pytest.mark.asyncio
async def test_a_function_is_applied_when_it_changed_and_never_by_an_older_program(
    empty_database: ConnectionParameters,
) -> None:
    connection = await asyncpg.connect(**empty_database.arguments())
    assert await migrate.migrate(connection, TABLES, (one(1),)) == (*TABLES, one(1))
    assert await migrate.migrate(connection, TABLES, (one(1),)) == ()
    assert await migrate.migrate(connection, TABLES, (one(2),)) == (one(2),)
    assert (await migrate.status(connection, MORE, (one(3),))).functions == (one(3),)
    assert await migrate.migrate(connection, MORE, (one(3),)) == (MORE[1], one(3))
    with pytest.raises(migrate.DatabaseNewer):
        await migrate.migrate(connection, TABLES, (one(2),))
    await connection.execute("delete from schema_migration where number = 2")  # as if an older program still ran
    assert (await migrate.status(connection, TABLES, (one(2),))).functions == ()
    assert await connection.fetchval("select one()") == 3
    await connection.close()


@pytest.mark.asyncio
async def test_functions_change_together_or_not_at_all(empty_database: ConnectionParameters) -> None:
    connection = await asyncpg.connect(**empty_database.arguments())
    broken = Function("two", "-- Two.\ncreate or replace function two() returns nothing_known language sql as $$ $$;\n")
    with pytest.raises(
        MigrationFailed, match='The migration two failed: type "nothing_known" does not exist; nothing of it was kept'
    ):
        await migrate.migrate(connection, TABLES, (one(1), broken))
    assert await connection.fetchval("select to_regproc('one')") is None
    await connection.close()


def test_names_in_sql_follow_the_life_cycle_table() -> None:
    def states(name: str) -> set[State]:
        return {State(int(number)) for number in sql.VALUES[name].split(", ")}

    assert states("ended") == FINAL
    assert states("settled") == {
        state
        for state in FINAL
        if all((state, event) not in TRANSITIONS for event in Event if event is not Event.DELIVER)
    }
    assert states("overruled_by_delivered") == {State.UNDELIVERED, State.EXPIRED}
    assert sql.fill_in("state in (@delivered@, @held@) and flags & @stop_ignored@ = 0") == (
        "state in (6, 2) and flags & 256 = 0"
    )
    with pytest.raises(KeyError):
        sql.fill_in("@nobody@")


def test_no_statement_names_a_state_or_a_flag_by_its_number() -> None:
    number = re.compile(r"(m|n|one)\.state\s*(=|<>|(not )?in \()\s*\d|flags & \d|& 7\s*(=|<>)\s*\d")
    files = [*(SQL / "functions").iterdir(), *SQL.parent.glob("*.py")]
    places = [
        f"{file.name}:{line}: {text.strip()}"
        for file in sorted(files)
        for line, text in enumerate(file.read_text().splitlines(), start=1)
        if number.search(text)
    ]
    assert places == []
