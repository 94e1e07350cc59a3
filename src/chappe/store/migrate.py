"""Brings the schema up: numbered SQL files, forward only, checksummed, safe from many nodes at once.

The files are `migrations/NNNN_name.sql`, numbered from 1 without gaps. Each runs in one transaction, together with its
row in `schema_migration`, under an advisory lock: nodes that start at the same moment wait for each other, and each
file is applied by exactly one of them. The lock belongs to the transaction and not to the session, so that a pooler in
transaction mode in front of PostgreSQL cannot leave it behind.

MigrationError
├── ServerTooOld        PostgreSQL before 15
├── MigrationsInvalid   the files themselves are wrong: a name, a gap, a double, a COMMIT inside
├── MigrationChanged    a file differs from what was applied under its number
├── DatabaseNewer       the database knows migrations that this program does not
├── MigrationBusy       another node held the lock, or a table, for too long
└── MigrationFailed     PostgreSQL refused a statement
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from asyncpg import Connection, Record

LOGGER = logging.getLogger("chappe.migrate")

SERVER_VERSION_MIN = 15
WAIT_TIMEOUT_S = 300
TABLE_LOCK_TIMEOUT_S = 30
# A large table may take hours; the connection's own limit for a statement is meant for other work.
_STATEMENTS_TIMEOUT_S = 24 * 3600

# Any number that nobody else uses: the octets of "chappe" and 1.
_LOCK_KEY = int.from_bytes(b"chappe\x00\x01", "big")

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
# At the start of a line and ended by a semicolon: the BEGIN and END of PL/pgSQL have none or stand deeper.
_TRANSACTION_CONTROL = re.compile(
    r"^(?:begin|commit|rollback|start\s+transaction|end)(?:\s+(?:transaction|work))?\s*;", re.IGNORECASE | re.MULTILINE
)

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
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


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of schema_migration."""

    number: int
    name: str
    sha256: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """What is in the database and what is still to come, both in order."""

    applied: tuple[Applied, ...]
    pending: tuple[Migration, ...]


def load(directory: Traversable | None = None) -> tuple[Migration, ...]:
    """The migrations in `directory` (None: ours), in order; raises MigrationsInvalid."""
    directory = directory if directory is not None else Path(__file__).with_name("migrations")
    found: dict[int, Migration] = {}
    if not directory.is_dir():
        return ()
    for file in sorted(directory.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationsInvalid(name=file.name, reason="its name is not NNNN_lower_case_words.sql")
        try:
            sql = file.read_bytes().decode("utf-8").replace("\r\n", "\n")  # a checkout may turn line ends
        except UnicodeDecodeError:
            raise MigrationsInvalid(name=file.name, reason="it is not UTF-8") from None
        number = int(match[1])
        if number in found:
            raise MigrationsInvalid(name=file.name, reason=f"{found[number].name} has the same number")
        if number != len(found) + 1:
            raise MigrationsInvalid(name=file.name, reason=f"number {len(found) + 1:04} is missing before it")
        control = _TRANSACTION_CONTROL.search(sql)
        if control is not None:
            raise MigrationsInvalid(name=file.name, reason=f"it says {control[0]!r}, but runs inside a transaction")
        found[number] = Migration(number, file.name.removesuffix(".sql"), sql)
    return tuple(found.values())


async def status(connection: Connection[Record], migrations: Sequence[Migration] | None = None) -> Status:
    """What is applied and what is pending, without changing anything; raises as migrate() does."""
    migrations = load() if migrations is None else migrations
    check_server(connection)
    return await _status(connection, migrations)


async def migrate(
    connection: Connection[Record],
    migrations: Sequence[Migration] | None = None,
    *,
    wait_timeout_s: float = WAIT_TIMEOUT_S,
    table_lock_timeout_s: float = TABLE_LOCK_TIMEOUT_S,
) -> tuple[Migration, ...]:
    """Applies what is pending (of ours, if None is given) and returns what this call itself has applied.

    wait_timeout_s: for another node's migration to end. table_lock_timeout_s: for one table lock inside a file, since
    everybody else queues behind a lock that is waited for. The connection must have no transaction open. After an
    error the files before the failing one stay applied. Raises MigrationError.
    """
    migrations = load() if migrations is None else migrations
    check_server(connection)
    assert not connection.is_in_transaction(), "migrate() makes its own transactions"
    done: list[Migration] = []
    # Each round takes the lock anew, so look again at what is there: another node may have come in between.
    while (await _status(connection, migrations)).pending:
        migration = await _apply_next(connection, migrations, wait_timeout_s, table_lock_timeout_s)
        if migration is not None:
            LOGGER.info("applied migration %s", migration.name)
            done.append(migration)
    return tuple(done)


def check_server(connection: Connection[Record]) -> None:
    """Raises ServerTooOld for a PostgreSQL that Chappe does not support."""
    version = connection.get_server_version()
    if version.major < SERVER_VERSION_MIN:
        raise ServerTooOld(found=f"{version.major}.{version.minor}")


async def _apply_next(
    connection: Connection[Record], migrations: Sequence[Migration], wait_timeout_s: float, table_lock_timeout_s: float
) -> Migration | None:
    """Applies the first pending file in one transaction; None if another node was faster with the last one."""
    name = "schema_migration"
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
            await connection.execute(_CREATE_TABLE)
            pending = (await _status(connection, migrations)).pending
            if not pending:
                return None
            migration = pending[0]
            name = migration.name
            await connection.execute(migration.sql, timeout=_STATEMENTS_TIMEOUT_S)
            name_and_sum = (migration.number, migration.name, migration.sha256)
            await connection.execute(
                "INSERT INTO schema_migration (number, name, sha256) VALUES ($1, $2, $3)", *name_and_sum
            )
            return migration
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as trouble:
        raise MigrationBusy(name=name, reason=str(trouble)) from trouble
    except asyncpg.PostgresError as trouble:
        raise _failed(name, migrations, trouble) from trouble


async def _status(connection: Connection[Record], migrations: Sequence[Migration]) -> Status:
    applied: tuple[Applied, ...] = ()
    if await connection.fetchval("SELECT to_regclass('schema_migration') IS NOT NULL"):
        rows = await connection.fetch("SELECT number, name, sha256, applied_at FROM schema_migration ORDER BY number")
        applied = tuple(Applied(row["number"], row["name"], row["sha256"], row["applied_at"]) for row in rows)
    ours = {migration.number: migration for migration in migrations}
    for row in applied:
        migration = ours.get(row.number)
        if migration is None:
            raise DatabaseNewer(number=f"{row.number:04}", last=f"{max(ours, default=0):04}")
        if migration.sha256 != row.sha256:
            raise MigrationChanged(name=migration.name)
    present = {row.number for row in applied}
    return Status(applied, tuple(migration for migration in migrations if migration.number not in present))


async def _limit_lock_wait(connection: Connection[Record], timeout_s: float) -> None:
    # 0 would mean no limit
    await connection.execute("SELECT set_config('lock_timeout', $1, true)", f"{max(1, round(timeout_s * 1000))}ms")


def _failed(name: str, migrations: Sequence[Migration], trouble: asyncpg.PostgresError) -> MigrationFailed:
    """The error with the line of the file, if PostgreSQL says where it was."""
    sql = next((migration.sql for migration in migrations if migration.name == name), "")
    position = getattr(trouble, "position", None)
    where = f" at line {sql.count(chr(10), 0, int(position) - 1) + 1}" if position and sql else ""
    return MigrationFailed(name=name, where=where, reason=str(trouble))
