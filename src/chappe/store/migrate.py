"""Brings the schema up: numbered SQL files for the tables, forward only and checksummed; then the functions.

The files are in `sql/`. The migrations are numbered without gaps. The first one may be a *baseline*, which stands for
all numbers up to its own: it begins with a line `-- Baseline. A database that has NAME SHA256 has these tables
already.` A database that was brought to NAME by the migrations before goes on from there.

Each migration runs in one transaction, together with its row in `schema_migration`, under an advisory lock: nodes
that start at the same moment wait for each other, and each file is applied by exactly one of them. The lock belongs
to the transaction and not to the session, so that a pooler in transaction mode in front of PostgreSQL cannot leave it
behind.

A function is applied again when its text differs from the one in the database, all that differ in one transaction.
The row in `schema_function` says with which migration as the last one this was: a program that knows fewer migrations
leaves it alone. So a release that changes functions has a migration as well, if need be one that says `select;`.

MigrationError
├── ServerTooOld        PostgreSQL before 15
├── MigrationsInvalid   the files themselves are wrong: a name, a gap, a double, a COMMIT inside
├── MigrationChanged    a file differs from what was applied under its number
├── DatabaseTooOld      the database is older than the baseline
├── DatabaseNewer       the database knows migrations that this program does not
├── MigrationBusy       another node held the lock, or a table, for too long
└── MigrationFailed     PostgreSQL refused a statement
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from chappe.store.sql import fill_in

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from asyncpg import Connection, Record

LOGGER = logging.getLogger("chappe.migrate")

SERVER_VERSION_MIN = 15
WAIT_TIMEOUT_S = 300
TABLE_LOCK_TIMEOUT_S = 30
# A large table may take hours; the connection's own limit for a statement is meant for other work.
_STATEMENTS_TIMEOUT_S = 24 * 3600

_SQL = Path(__file__).with_name("sql")

# Any number that nobody else uses: the octets of "chappe" and 1.
_LOCK_KEY = int.from_bytes(b"chappe\x00\x01", "big")

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_BASELINE = re.compile(r"-- Baseline\. A database that has (\w+) ([0-9a-f]{64}) has these tables already\.\n")
# At the start of a line and ended by a semicolon: the BEGIN and END of PL/pgSQL have none or stand deeper.
_TRANSACTION_CONTROL = re.compile(
    r"^(?:begin|commit|rollback|start\s+transaction|end)(?:\s+(?:transaction|work))?\s*;", re.IGNORECASE | re.MULTILINE
)

_CREATE_TABLES = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS schema_function (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    last_migration integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


class MigrationError(Exception):
    """The schema could not be brought up."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        super().__init__((type(self).__doc__ or type(self).__name__).format(**fields))


class ServerTooOld(MigrationError):
    """PostgreSQL {found} is too old: Chappe needs 15 or newer."""


class MigrationsInvalid(MigrationError):
    """The migration {name} cannot be used: {reason}."""


class MigrationChanged(MigrationError):
    """The migration {name} was changed after it had been applied to this database: put the original file back, and make a new migration for the change."""  # noqa: E501


class DatabaseTooOld(MigrationError):
    """The database is too old for this program: its last migration is {last}, and this program begins after {baseline}; upgrade it with an older Chappe first."""  # noqa: E501


class DatabaseNewer(MigrationError):
    """The database is newer than this program: it has migration {number}, and this program ends at {last}; install the newer Chappe."""  # noqa: E501


class MigrationBusy(MigrationError):
    """The migration {name} had to wait too long for a lock that another session holds ({reason}): try again."""


class MigrationFailed(MigrationError):
    """The migration {name} failed{where}: {reason}; nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name with the number and without `.sql`, its text with Unix line ends."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def stands_for(self) -> tuple[str, str] | None:
        """Of a baseline, the name and the checksum of the last migration that it stands for; of others None."""
        match = _BASELINE.match(self.sql)
        return (match[1], match[2]) if match is not None else None


@dataclass(frozen=True, slots=True)
class Function:
    """One file of a function: its name, and its text with the numbers filled in."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of schema_migration."""

    number: int
    name: str
    sha256: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """The migrations in the database, and what is still to come, all in order."""

    applied: tuple[Applied, ...]
    pending: tuple[Migration, ...]
    functions: tuple[Function, ...] = ()


def load(directory: Traversable | None = None) -> tuple[Migration, ...]:
    """The migrations in `directory` (None: ours), in order; raises MigrationsInvalid."""
    directory = directory if directory is not None else _SQL / "migrations"
    found: dict[int, Migration] = {}
    if not directory.is_dir():
        return ()
    for file in sorted(directory.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationsInvalid(name=file.name, reason="its name is not NNNN_lower_case_words.sql")
        sql = _read(file)
        number = int(match[1])
        if number in found:
            raise MigrationsInvalid(name=file.name, reason=f"{found[number].name} has the same number")
        expected = max(found, default=0) + 1
        if number != expected and (found or _BASELINE.match(sql) is None):
            raise MigrationsInvalid(name=file.name, reason=f"number {expected:04} is missing before it")
        control = _TRANSACTION_CONTROL.search(sql)
        if control is not None:
            raise MigrationsInvalid(name=file.name, reason=f"it says {control[0]!r}, but runs inside a transaction")
        found[number] = Migration(number, file.name.removesuffix(".sql"), sql)
    return tuple(found.values())


def load_functions(directory: Traversable | None = None) -> tuple[Function, ...]:
    """The functions in `directory` (None: ours) in the order of their names; raises MigrationsInvalid."""
    directory = directory if directory is not None else _SQL / "functions"
    found = []
    for file in sorted(directory.iterdir(), key=lambda file: file.name):
        name = file.name.removesuffix(".sql")
        sql = _read(file)
        try:
            sql = fill_in(sql)
        except KeyError as unknown:
            raise MigrationsInvalid(name=file.name, reason=f"there is no state or flag {unknown}") from unknown
        if f"\ncreate or replace function {name}(" not in sql:
            raise MigrationsInvalid(name=file.name, reason=f"it does not create or replace the function {name}")
        found.append(Function(name, sql))
    return tuple(found)


def _read(file: Traversable) -> str:
    try:
        return file.read_bytes().decode("utf-8").replace("\r\n", "\n")  # a checkout may turn line ends
    except UnicodeDecodeError:
        raise MigrationsInvalid(name=file.name, reason="it is not UTF-8") from None


async def status(
    connection: Connection[Record],
    migrations: Sequence[Migration] | None = None,
    functions: Sequence[Function] | None = None,
) -> Status:
    """What is applied and what is pending, without changing anything; raises as migrate() does."""
    migrations, functions = _ours(migrations, functions)
    check_server(connection)
    return await _status(connection, migrations, functions)


def _ours(
    migrations: Sequence[Migration] | None, functions: Sequence[Function] | None
) -> tuple[Sequence[Migration], Sequence[Function]]:
    """Ours, unless migrations are given: those have no functions but the ones that are given with them."""
    if migrations is None:
        return load(), load_functions() if functions is None else functions
    return migrations, functions or ()


async def migrate(
    connection: Connection[Record],
    migrations: Sequence[Migration] | None = None,
    functions: Sequence[Function] | None = None,
    *,
    wait_timeout_s: float = WAIT_TIMEOUT_S,
    table_lock_timeout_s: float = TABLE_LOCK_TIMEOUT_S,
) -> tuple[Migration | Function, ...]:
    """Applies what is pending (of ours, if None is given) and returns what this call itself has applied.

    wait_timeout_s: for another node's migration to end. table_lock_timeout_s: for one table lock inside a file, since
    everybody else queues behind a lock that is waited for. The connection must have no transaction open. After an
    error the files before the failing one stay applied. Raises MigrationError.
    """
    migrations, functions = _ours(migrations, functions)
    check_server(connection)
    assert not connection.is_in_transaction(), "migrate() makes its own transactions"
    waits = (wait_timeout_s, table_lock_timeout_s)
    done: list[Migration | Function] = []
    # Each round takes the lock anew, so look again at what is there: another node may have come in between.
    while True:
        before = await _status(connection, migrations, functions)
        if before.pending:
            applied: Sequence[Migration | Function] = await _apply_next(connection, migrations, waits)
        elif before.functions:
            applied = await _apply_functions(connection, migrations, functions, waits)
        else:
            return tuple(done)
        if len(applied) == 1:
            LOGGER.info("applied %s %s", type(applied[0]).__name__.lower(), applied[0].name)
        elif applied:
            LOGGER.info("applied %d %ss", len(applied), type(applied[0]).__name__.lower())
        done += applied


def check_server(connection: Connection[Record]) -> None:
    """Raises ServerTooOld for a PostgreSQL that Chappe does not support."""
    version = connection.get_server_version()
    if version.major < SERVER_VERSION_MIN:
        raise ServerTooOld(found=f"{version.major}.{version.minor}")


async def _apply_next(
    connection: Connection[Record], migrations: Sequence[Migration], waits: tuple[float, float]
) -> Sequence[Migration]:
    """Applies the first pending file in one transaction; gives nothing if another node was faster with the last one."""
    async with _locked(connection, waits) as at:
        pending = (await _status(connection, migrations)).pending
        if not pending:
            return ()
        migration = pending[0]
        at.file = migration
        await connection.execute(migration.sql, timeout=_STATEMENTS_TIMEOUT_S)
        name_and_sum = (migration.number, migration.name, migration.sha256)
        await connection.execute(
            "INSERT INTO schema_migration (number, name, sha256) VALUES ($1, $2, $3)", *name_and_sum
        )
        return (migration,)


async def _apply_functions(
    connection: Connection[Record],
    migrations: Sequence[Migration],
    functions: Sequence[Function],
    waits: tuple[float, float],
) -> Sequence[Function]:
    """Applies the functions that differ from those in the database, all in one transaction."""
    async with _locked(connection, waits) as at:
        stale = (await _status(connection, migrations, functions)).functions
        # they call each other: none needs to be there before another
        await connection.execute("SELECT set_config('check_function_bodies', 'off', true)")
        for function in stale:
            at.file = function
            await connection.execute(function.sql, timeout=_STATEMENTS_TIMEOUT_S)
            await connection.execute(
                "INSERT INTO schema_function (name, sha256, last_migration) VALUES ($1, $2, $3)"
                " ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256,"
                " last_migration = excluded.last_migration, applied_at = clock_timestamp()",
                function.name,
                function.sha256,
                migrations[-1].number,
            )
        return stale


@dataclass(slots=True)
class _At:
    """Which file is being applied, for the words of an error."""

    file: Migration | Function | None = None


@asynccontextmanager
async def _locked(connection: Connection[Record], waits: tuple[float, float]) -> AsyncIterator[_At]:
    """A transaction under the advisory lock, with its own limits; raises MigrationBusy and MigrationFailed."""
    wait_timeout_s, table_lock_timeout_s = waits
    at = _At()
    try:
        async with connection.transaction(isolation="read_committed"):
            await connection.execute(
                "SELECT set_config('statement_timeout', '0', true),"
                " set_config('idle_in_transaction_session_timeout', '0', true),"
                " set_config('client_min_messages', 'warning', true)"
            )
            await _limit_lock_wait(connection, wait_timeout_s)
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK_KEY, timeout=wait_timeout_s + 10)
            await _limit_lock_wait(connection, table_lock_timeout_s)
            await connection.execute(_CREATE_TABLES)
            yield at
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as trouble:
        raise MigrationBusy(name=_name(at), reason=str(trouble)) from trouble
    except asyncpg.PostgresError as trouble:
        raise _failed(at, trouble) from trouble


async def _status(
    connection: Connection[Record], migrations: Sequence[Migration], functions: Sequence[Function] = ()
) -> Status:
    applied: tuple[Applied, ...] = ()
    if await connection.fetchval("SELECT to_regclass('schema_migration') IS NOT NULL"):
        rows = await connection.fetch("SELECT number, name, sha256, applied_at FROM schema_migration ORDER BY number")
        applied = tuple(Applied(row["number"], row["name"], row["sha256"], row["applied_at"]) for row in rows)
    last = max((row.number for row in applied), default=0)
    first = migrations[0].number if migrations else 1
    if 0 < last < first:
        raise DatabaseTooOld(last=f"{last:04}", baseline=migrations[0].name)
    ours = {migration.number: migration for migration in migrations}
    for row in applied:
        migration = ours.get(row.number)
        if migration is None:
            if row.number < first:
                continue  # the baseline stands for it
            raise DatabaseNewer(number=f"{row.number:04}", last=f"{max(ours, default=0):04}")
        if migration.sha256 != row.sha256 and (row.name, row.sha256) != migration.stands_for:
            raise MigrationChanged(name=migration.name)
    present = {row.number for row in applied}
    pending = tuple(migration for migration in migrations if migration.number not in present)
    return Status(applied, pending, await _stale(connection, migrations, functions))


async def _stale(
    connection: Connection[Record], migrations: Sequence[Migration], functions: Sequence[Function]
) -> tuple[Function, ...]:
    """The functions that are to be applied: those that differ, unless a newer program has put its own there."""
    if not functions or not await connection.fetchval("SELECT to_regclass('schema_function') IS NOT NULL"):
        return tuple(functions)
    rows = await connection.fetch("SELECT name, sha256, last_migration FROM schema_function")
    there = {row["name"]: (row["sha256"], row["last_migration"]) for row in rows}
    last = migrations[-1].number
    return tuple(
        function
        for function in functions
        if function.name not in there
        or (there[function.name][0] != function.sha256 and there[function.name][1] <= last)
    )


async def _limit_lock_wait(connection: Connection[Record], timeout_s: float) -> None:
    # 0 would mean no limit
    await connection.execute("SELECT set_config('lock_timeout', $1, true)", f"{max(1, round(timeout_s * 1000))}ms")


def _name(at: _At) -> str:
    return "schema_migration" if at.file is None else at.file.name


def _failed(at: _At, trouble: asyncpg.PostgresError) -> MigrationFailed:
    """The error with the line of the file, if PostgreSQL says where it was."""
    sql = "" if at.file is None else at.file.sql
    position = getattr(trouble, "position", None)
    where = f" at line {sql.count(chr(10), 0, int(position) - 1) + 1}" if position and sql else ""
    return MigrationFailed(name=_name(at), where=where, reason=str(trouble))
