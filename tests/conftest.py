"""What every test may use: a real PostgreSQL, and a fresh migrated database of one's own.

- `database`: ConnectionParameters of a fresh migrated database, on the newest PostgreSQL of this machine.
- `empty_database`: the same without any table.
- `made`: a data directory with a database in it and no server, for tests that start one of their own.
- `@pytest.mark.every_postgres` on a test that uses one of them (or `postgres_server`): run it on the oldest and the
  newest version, here 15 of the system and 18 of the wheel.

One server per version and test process (so one per xdist worker too), started when first needed. fsync stays on.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import shutil
import subprocess
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import hypothesis
import pytest

from chappe.embedded.binaries import Binaries, installed
from chappe.embedded.server import ROLE, ConnectionParameters, EmbeddedServer
from chappe.store import migrate

T = TypeVar("T")

_numbers = itertools.count(1)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end in a loop of its own, without touching the current one (which pytest-asyncio keeps)."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


# Both cores may be busy with something else: how long one example takes says nothing about what is tested.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """What a test, or a command that it called, made of the logs does not outlive it."""
    root = logging.getLogger()
    levels, own = _levels(root), _own_handlers(root)
    yield
    for logger in _levels(root):
        logger.setLevel(levels.get(logger, logging.NOTSET))
    for handler in _own_handlers(root):
        if handler not in own:
            root.removeHandler(handler)


def _levels(root: logging.Logger) -> dict[logging.Logger, int]:
    made = [logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    return {logger: logger.level for logger in (root, *made)}


def _own_handlers(root: logging.Logger) -> list[logging.Handler]:
    """Chappe's; those of pytest come and go by themselves."""
    return [handler for handler in root.handlers if type(handler).__module__ == "chappe.observability.logs"]


def _by_major() -> dict[int, Binaries]:
    found: dict[int, Binaries] = {}
    for candidate in installed():
        found.setdefault(candidate.major, candidate)
    return dict(sorted(found.items(), reverse=True))


POSTGRES = _by_major()
# The oldest and the newest of this machine: what works on both works between them.
EVERY_POSTGRES = sorted({min(POSTGRES), max(POSTGRES)}) if POSTGRES else []


class PostgresServer:
    """A running server with a migrated template, from which a database is copied for each test."""

    def __init__(self, server: EmbeddedServer, major: int) -> None:
        self.server = server
        self.major = major
        self._template: str | None = None

    @property
    def superuser(self) -> ConnectionParameters:
        return self.server.superuser

    def create(self, *, migrated: bool) -> ConnectionParameters:
        """Parameters of a fresh database, which belongs to the role that the program uses."""
        name = f"test_{next(_numbers)}"
        template = self._migrated_template() if migrated else "template0"
        run(self._execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {ROLE}"))
        return replace(self.server.connection, database=name)

    def drop(self, parameters: ConnectionParameters) -> None:
        run(self._execute(f"DROP DATABASE IF EXISTS {parameters.database} WITH (FORCE)"))

    def _migrated_template(self) -> str:
        if self._template is None:
            run(self._migrate(self.create(migrated=False)))
        assert self._template is not None
        return self._template

    async def _migrate(self, parameters: ConnectionParameters) -> None:
        connection = await asyncpg.connect(**parameters.arguments())
        try:
            await migrate.migrate(connection)
        finally:
            await connection.close()
        self._template = parameters.database

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(**self.superuser.arguments())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "every_postgres: run on the oldest and the newest PostgreSQL, not only the newest"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres_major" in metafunc.fixturenames:
        every = metafunc.definition.get_closest_marker("every_postgres") is not None
        majors = EVERY_POSTGRES if every else EVERY_POSTGRES[-1:]
        metafunc.parametrize("postgres_major", majors, indirect=True, scope="session", ids=[f"pg{n}" for n in majors])


@pytest.fixture(scope="session")
def postgres_major(request: pytest.FixtureRequest) -> int:
    """Which PostgreSQL this test runs on."""
    return int(request.param)


@pytest.fixture(scope="session")
def postgres_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, PostgresServer]]:
    """The servers of this session by version; all of them stop at its end."""
    servers: dict[int, PostgresServer] = {}
    yield servers
    for major, server in servers.items():
        run(server.server.stop())
        shutil.rmtree(tmp_path_factory.getbasetemp() / f"postgres-{major}", ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(
    postgres_major: int, postgres_servers: dict[int, PostgresServer], tmp_path_factory: pytest.TempPathFactory
) -> PostgresServer:
    """The running server of this version."""
    if postgres_major not in postgres_servers:
        data = tmp_path_factory.getbasetemp() / f"postgres-{postgres_major}"
        server = EmbeddedServer(data, POSTGRES[postgres_major].bin_dir)
        run(server.start())
        postgres_servers[postgres_major] = PostgresServer(server, postgres_major)
    return postgres_servers[postgres_major]


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[ConnectionParameters]:
    """A fresh database with our schema, for this test alone: `asyncpg.connect(**database.arguments())`."""
    parameters = postgres_server.create(migrated=True)
    yield parameters
    postgres_server.drop(parameters)


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[ConnectionParameters]:
    """A fresh database without our schema, for this test alone."""
    parameters = postgres_server.create(migrated=False)
    yield parameters
    postgres_server.drop(parameters)


@pytest.fixture
def another_empty_database(postgres_server: PostgresServer) -> Iterator[ConnectionParameters]:
    """A second one, for tests that compare two."""
    parameters = postgres_server.create(migrated=False)
    yield parameters
    postgres_server.drop(parameters)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a server that was started once and stopped: copying it is quicker than making it."""
    data = tmp_path_factory.mktemp("made") / "var"
    server = EmbeddedServer(data)
    run(server.start())
    run(server.stop())
    return data


@pytest.fixture
def made(made_once: Path, tmp_path: Path) -> Iterator[Path]:
    """A data directory of one's own with a database in it."""
    subprocess.run(["cp", "-a", made_once, tmp_path / "var"], check=True)
    yield tmp_path / "var"
    shutil.rmtree(tmp_path / "var", ignore_errors=True)  # pytest would keep the 40 MB of each
