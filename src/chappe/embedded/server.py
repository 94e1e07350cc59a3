"""Runs a private PostgreSQL as our child: makes its data on first use, starts it, watches over it, stops it.

Three ways in:

- `EmbeddedServer` for `serve`: start(), supervise() as a task, stop(); a second one on the same data is refused.
- `attach()` for commands: uses the server that lives, or runs one for as long as the command lasts.
- `ConnectionParameters` for everybody who connects, in this process or another.

The server belongs to one process and dies with it (parent-death signal, launch.py). What it said yes to is on disk, so
that a kill -9 of either loses nothing. It listens on a Unix socket only, with a generated password (scram); the role
`chappe`, which the program uses, owns the database `chappe` and is no superuser.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import secrets
import shutil
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from chappe.embedded import binaries, data_directory, postgres_conf
from chappe.embedded.disk_space import waited_for_room
from chappe.embedded.errors import (
    DataInUse,
    DataUnreachable,
    DiskFull,
    EmbeddedError,
    InitialisationFailed,
    ServerFailed,
)
from chappe.embedded.exec_postgres import UNREACHABLE_STATUS
from chappe.embedded.os_user import Identity, choose_identity
from chappe.embedded.process import Child

LOGGER = logging.getLogger("chappe.embedded")

ROLE = "chappe"
DATABASE = "chappe"
SUPERUSER = "postgres"

# Recovery replays at most max_wal_size of log, which a slow disk may take minutes for.
START_TIMEOUT_S = 300.0
# A predecessor writes its last checkpoint; backends without postmaster notice within moments.
PREDECESSOR_TIMEOUT_S = 60.0
# Backends of a dead postmaster notice when they next wait; a long calculation does not wait.
ORPHANS_TIMEOUT_S = 1.0
FAST_STOP_TIMEOUT_S = 60.0
IMMEDIATE_STOP_TIMEOUT_S = 5.0
LOCK_TIMEOUT_S = 15.0
SERVE_LOCK_TIMEOUT_S = 0.5
_POLL_S = 0.01
_CONNECT_TIMEOUT_S = 10.0
_DEATHS_MAX = 10
_DEATHS_WINDOW_S = 60.0

_LEFTOVERS = ("pre-existing shared memory block", 'lock file "postmaster.pid"', "Is another postmaster")


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """How to reach the database: `host` is the directory of the Unix socket; the password is not shown by repr."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for asyncpg.connect and asyncpg.create_pool."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "database": self.database,
        }

    def dsn(self) -> str:
        """The same as a URL, password included: for another process of ours, never for a log."""
        user, password = quote(self.user, safe=""), quote(self.password, safe="")
        name, host = quote(self.database, safe=""), quote(self.host, safe="")
        return f"postgresql://{user}:{password}@/{name}?host={host}&port={self.port}"


class EmbeddedServer:
    """A PostgreSQL of our own on the data directory `data`.

    bin_dir: where its programs are; None: the system's, else the wheel's. user: who runs it if we are root; None:
    `postgres`, else `nobody`. purpose: written into the lock file, for the message to whoever comes second.
    start() and supervise() must run in the main thread (child.Child says why).
    """

    def __init__(
        self, data: Path, bin_dir: Path | None = None, user: str | None = None, *, purpose: str = "serve"
    ) -> None:
        self.data = data.absolute()
        self.cluster = self.data / data_directory.CLUSTER_NAME
        self.binaries: binaries.Binaries | None = None
        self._bin_dir = bin_dir
        self._user = user
        self._purpose = purpose
        self._lock = data_directory.FileLock(self.data / data_directory.LOCK_NAME)
        self._identity: Identity | None = None
        self._socket_directory: Path | None = None
        self._passwords: dict[str, str] = {}
        self._child: Child | None = None
        self._stopping = asyncio.Event()

    @property
    def connection(self) -> ConnectionParameters:
        """Parameters of the database `chappe` with its owner; the same after a restart by supervise()."""
        return self._parameters(ROLE, DATABASE)

    @property
    def identity(self) -> Identity | None:
        """Who runs the server; None before start()."""
        return self._identity

    @property
    def superuser(self) -> ConnectionParameters:
        """Parameters for the operator's tools and the tests; the program itself never uses them."""
        return self._parameters(SUPERUSER, "postgres")

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster; None while there is none."""
        return self._child.pid if self._child is not None and self._child.alive else None

    def try_lock(self) -> bool:
        """Takes the data directory at once or not at all; start() does it otherwise, stop() undoes it."""
        return self._lock.acquire(note=f"{os.getpid()} {self._purpose}\n")

    async def start(self) -> None:
        """Takes the data directory, makes the database on first use, and returns when it takes connections.

        Raises EmbeddedError, in which case nothing is left running or locked.
        """
        data_directory.claim(self.data)
        if not self._lock.held:
            await self._take_lock()
        try:
            await self._start_locked()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the server in good order (fast shutdown: open transactions are rolled back) and frees the data."""
        self._stopping.set()
        child, self._child = self._child, None
        try:
            if child is not None:
                await _end(child)
        finally:
            directory, self._socket_directory = self._socket_directory, None
            if directory is not None:
                # A killed server leaves its socket inside; what cannot be removed does no harm.
                shutil.rmtree(directory, ignore_errors=True)
            self._lock.release()

    async def supervise(
        self, on_death: Callable[[], None] | None = None, on_restart: Callable[[], None] | None = None
    ) -> None:
        """Restarts the server whenever it dies, until stop(); the callbacks run in the event loop.

        Raises ServerFailed if it dies 10 times in a minute, and whatever start() raises if it cannot be restarted. On a
        full disk it is started again when there is room.
        """
        deaths: deque[float] = deque(maxlen=_DEATHS_MAX)
        while not self._stopping.is_set():
            assert self._child is not None, "start() comes first"
            status = await self._exit_of(self._child)
            if status is None:
                return
            LOGGER.error("PostgreSQL died (status %d), restarting it", status)
            died_at = time.monotonic()
            deaths.append(died_at)
            if on_death is not None:
                on_death()
            if await waited_for_room(self.cluster, self._stopping):
                deaths.clear()
            if len(deaths) == _DEATHS_MAX and deaths[-1] - deaths[0] < _DEATHS_WINDOW_S:
                raise ServerFailed(data=self.data, reason=f"it died {_DEATHS_MAX} times within a minute")
            if not await self._launch():
                return
            LOGGER.info("PostgreSQL is back after %.2f s", time.monotonic() - died_at)
            if on_restart is not None:
                on_restart()

    # Steps of start()

    async def _take_lock(self) -> None:
        """A command's server ends by itself soon: that is waited for. Another `serve` is refused, after the moment that
        a killed process needs until it is really gone."""
        began = time.monotonic()
        while not self.try_lock():
            pid, _, purpose = self._lock.note().partition(" ")
            if time.monotonic() - began > (SERVE_LOCK_TIMEOUT_S if purpose == "serve" else LOCK_TIMEOUT_S):
                raise DataInUse(data=self.data, holder=f"process {pid} (chappe {purpose})" if pid else "a process")
            await asyncio.sleep(_POLL_S)

    async def _start_locked(self) -> None:
        self._stopping.clear()
        major = data_directory.cluster_major(self.cluster)
        owner_uid = self.cluster.stat().st_uid if major is not None else None
        self._identity = choose_identity(self._user, owner_uid)
        self.binaries = binaries.choose(self._bin_dir, major, self.data)
        if major is not None:
            await self._outlive_predecessor()
        # Not earlier: until here the directory may be in use by that predecessor, and stop() removes it.
        self._socket_directory = data_directory.make_socket_directory(self.cluster, self._identity)
        if major is None:
            await self._initialise()
        self._passwords = data_directory.read_passwords(self.cluster)
        if not await self._launch():
            raise ServerFailed(data=self.data, reason="it was stopped while it started")
        await self._make_database()

    async def _initialise(self) -> None:
        """Makes the cluster beside its place and moves it there when it is whole: a half-made one is never used."""
        assert self.binaries is not None
        assert self._identity is not None
        assert self._socket_directory is not None
        LOGGER.info("making a new database with %s", self.binaries)
        new = self.cluster.with_name(f"{data_directory.CLUSTER_NAME}.new")
        passwords = {role: secrets.token_urlsafe(24) for role in (ROLE, SUPERUSER)}
        password_file = self._socket_directory / "initdb.password"
        try:
            data_directory.make_private(new, self._identity)
            data_directory.write_for_server(password_file, passwords[SUPERUSER] + "\n", self._identity)
            try:
                await self._run_initdb(new, password_file)
            finally:
                password_file.unlink()
            text = json.dumps(passwords) + "\n"
            data_directory.write_for_server(new / data_directory.PASSWORDS_NAME, text, self._identity)
            configuration = new / "postgresql.conf"
            text = configuration.read_text(encoding="utf-8") + f"\n{postgres_conf.INCLUDE_LINE}\n"
            data_directory.write_for_server(configuration, text, self._identity)
            if self.cluster.is_dir():
                self.cluster.rmdir()  # claim() found it empty
            data_directory.sync(new)
            os.rename(new, self.cluster)
            # Else a power cut could undo the renaming, and with it everything committed since.
            data_directory.sync(self.data)
        except OSError as trouble:
            if trouble.errno == errno.ENOSPC:
                raise DiskFull(data=self.data) from trouble
            raise InitialisationFailed(data=self.data, reason=trouble.strerror) from trouble

    async def _run_initdb(self, cluster: Path, password_file: Path) -> None:
        assert self.binaries is not None
        words: list[str] = []
        for locale in _locales(self.binaries.major):
            arguments = ["-D", str(cluster), "-U", SUPERUSER, f"--pwfile={password_file}", *locale]
            arguments += ["--encoding=UTF8", "--auth=scram-sha-256", "--data-checksums", "--no-instructions"]
            child = self._spawn([str(self.binaries.initdb), *arguments], cluster, is_server=False)
            try:
                status = await asyncio.wrap_future(child.exited)
            except asyncio.CancelledError:
                await _end(child)
                raise
            words = child.words()
            if status == 0:
                return
            if status == UNREACHABLE_STATUS:
                raise self._unreachable(words)
            if any("No space left on device" in line for line in words):
                raise DiskFull(data=self.data)
            if not any("invalid locale" in line for line in words):
                break
        raise InitialisationFailed(data=self.data, reason=_reason(words))

    async def _outlive_predecessor(self) -> None:
        """Waits for a server whose owner was killed: it is on its way down, and may be writing its last checkpoint."""
        deadline = time.monotonic() + PREDECESSOR_TIMEOUT_S
        while (postmaster := data_directory.read_postmaster(self.cluster)) and postmaster.lives_on(self.cluster):
            if time.monotonic() > deadline:
                holder = f"process {postmaster.pid} (a PostgreSQL that Chappe did not start)"
                raise DataInUse(data=self.data, holder=holder)
            await asyncio.sleep(_POLL_S)

    async def _launch(self) -> bool:
        """Starts the server and returns when it takes connections; tries again while a dead one's remains are there.

        False: stop() came meanwhile.
        """
        assert self.binaries is not None
        began = time.monotonic()
        while not self._stopping.is_set():
            self._write_settings()
            argv = [str(self.binaries.postgres), "-D", str(self.cluster)]
            child = self._child = self._spawn(argv, self.cluster, is_server=True)
            if await self._becomes_ready(child):
                return True
            if self._stopping.is_set():
                break
            words = child.words()
            if child.exited.result() == UNREACHABLE_STATUS:
                raise self._unreachable(words)
            leftovers = any(mark in line for line in words for mark in _LEFTOVERS)
            # By somebody else (who is short of memory, mostly), in the middle of its recovery: no fault of its own.
            killed = child.exited.result() == -signal.SIGKILL
            waited_s = time.monotonic() - began
            if not (leftovers or killed) or waited_s > PREDECESSOR_TIMEOUT_S:
                raise ServerFailed(data=self.data, reason=_reason(words))
            if waited_s > ORPHANS_TIMEOUT_S:
                self._end_orphans()
            await asyncio.sleep(_POLL_S * 5)
        return False

    def _write_settings(self) -> None:
        assert self.binaries is not None
        assert self._identity is not None
        assert self._socket_directory is not None
        text = postgres_conf.render(self.binaries.major, self._socket_directory)
        try:
            data_directory.write_for_server(self.cluster / postgres_conf.FILE_NAME, text, self._identity)
        except OSError as trouble:
            reason = f"{postgres_conf.FILE_NAME} cannot be written ({trouble.strerror})"
            raise ServerFailed(data=self.data, reason=reason) from trouble

    def _end_orphans(self) -> None:
        """Kills backends whose postmaster is dead: their transactions are lost already, but they bar the restart."""
        assert self.binaries is not None
        postmaster = data_directory.read_postmaster(self.cluster)
        if postmaster is not None and postmaster.lives_on(self.cluster):
            return
        for pid in data_directory.servers_in(self.cluster, self.binaries.postgres):
            LOGGER.warning("ending process %d, which a dead PostgreSQL left behind", pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _becomes_ready(self, child: Child) -> bool:
        """True when the server takes connections, False when it has ended; raises ServerFailed after the deadline."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while child.alive:
            try:
                connection = await asyncpg.connect(**self.superuser.arguments(), timeout=_CONNECT_TIMEOUT_S)
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
                if time.monotonic() > deadline:
                    raise ServerFailed(data=self.data, reason=f"not ready after {START_TIMEOUT_S:.0f} s") from None
                await asyncio.sleep(_POLL_S)
            except asyncpg.PostgresError as trouble:
                raise ServerFailed(data=self.data, reason=str(trouble)) from trouble
            else:
                await connection.close()
                return True
        return False

    async def _make_database(self) -> None:
        """Role and database, whichever is missing: idempotent, since we may be killed between the two."""
        connection = await asyncpg.connect(**self.superuser.arguments(), timeout=_CONNECT_TIMEOUT_S)
        try:
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", ROLE):
                password = self._passwords[ROLE].replace("'", "''")
                # One implicit transaction; pg_monitor is for the guard metrics.
                await connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'; GRANT pg_monitor TO {ROLE}")
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        finally:
            await connection.close()

    # Smaller things

    def _spawn(self, argv: list[str], cluster: Path, *, is_server: bool) -> Child:
        assert self.binaries is not None
        assert self._identity is not None
        assert self._socket_directory is not None
        must_reach = [
            (self.binaries.bin_dir, os.R_OK | os.X_OK),
            (Path(argv[0]), os.X_OK),
            (cluster, os.R_OK | os.W_OK | os.X_OK),
            (self._socket_directory, os.W_OK | os.X_OK),
        ]
        return Child(argv, self._identity, must_reach, is_server=is_server)

    async def _exit_of(self, child: Child) -> int | None:
        """The exit status of `child`; None when stop() came first."""
        exited = asyncio.ensure_future(asyncio.wrap_future(child.exited))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((exited, stopping), return_when=asyncio.FIRST_COMPLETED)
            return None if self._stopping.is_set() else exited.result()
        finally:
            stopping.cancel()
            exited.cancel()  # only this loop's view of it

    def _parameters(self, role: str, database: str) -> ConnectionParameters:
        assert self._socket_directory is not None, "start() comes first"
        return ConnectionParameters(
            str(self._socket_directory), postgres_conf.PORT, role, self._passwords[role], database=database
        )

    def _unreachable(self, words: list[str]) -> EmbeddedError:
        assert self._identity is not None
        path = next((line.partition("unreachable ")[2] for line in words if "unreachable " in line), self.data)
        return DataUnreachable(user=self._identity.name, path=path)


@contextlib.asynccontextmanager
async def attach(
    data: Path, bin_dir: Path | None = None, user: str | None = None, *, purpose: str = "command"
) -> AsyncIterator[ConnectionParameters]:
    """The database of `data` for the time of a command: of the server that lives, else of one started for it.

    Commands that run at once share one server; the one that started it stops it after the last of them. Raises
    EmbeddedError.
    """
    server = EmbeddedServer(data, bin_dir, user, purpose=purpose)
    data_directory.claim(server.data)
    clients = data_directory.FileLock(server.data / data_directory.CLIENTS_NAME)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.try_lock():
        if clients.acquire(shared=True):
            try:
                found = await _living(server.cluster)
                if found is not None:
                    yield found
                    return
            finally:
                clients.release()
        if time.monotonic() > deadline:
            raise DataInUse(data=server.data, holder="a process whose server does not answer")
        await asyncio.sleep(_POLL_S)
    await server.start()
    try:
        yield server.connection
    finally:
        # Nobody new comes in from here on; who is in, finishes.
        while not clients.acquire():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        try:
            await server.stop()
        finally:
            clients.release()


async def _living(cluster: Path) -> ConnectionParameters | None:
    """Parameters of the server that runs on `cluster` and answers; None if there is none at this moment."""
    postmaster = data_directory.read_postmaster(cluster)
    if postmaster is None or postmaster.socket_directory is None or not postmaster.ready:
        return None
    password = data_directory.read_passwords(cluster)[ROLE]
    found = ConnectionParameters(
        str(postmaster.socket_directory), postgres_conf.PORT, ROLE, password, database=DATABASE
    )
    try:
        connection = await asyncpg.connect(**found.arguments(), timeout=_CONNECT_TIMEOUT_S)
    except (OSError, asyncpg.PostgresError):
        return None  # it is starting or stopping; the caller comes back until its deadline
    await connection.close()
    return found


async def _end(child: Child) -> None:
    """Fast shutdown; the immediate one if that takes too long (recovery repairs it); at last the kill."""
    for number, timeout_s in (
        (signal.SIGINT, FAST_STOP_TIMEOUT_S),
        (signal.SIGQUIT, IMMEDIATE_STOP_TIMEOUT_S),
        (signal.SIGKILL, None),
    ):
        child.signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(child.exited)), timeout_s)
            return


def _locales(major: int) -> list[list[str]]:
    """Options of initdb for one behaviour everywhere: order by code point, case mapping of Unicode.

    From 17 on this is built in; before, the system must have C.UTF-8, and without it only ASCII knows upper and lower.
    """
    if major >= 17:
        return [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    return [["--locale=C.UTF-8"], ["--locale=C"]]


def _reason(words: list[str]) -> str:
    """The line that says most about why a program ended, without what our log_line_prefix puts before it."""
    marks = ("FATAL", "PANIC", "error:", "chappe-launch:", "could not")
    telling = [line for line in words if any(mark in line for mark in marks)]
    line = telling[0] if telling else words[-1] if words else "it ended without a word"
    return line.rpartition("|")[2].removeprefix("chappe-launch:").removeprefix("FATAL:").removeprefix("PANIC:").strip()
