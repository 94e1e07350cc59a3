"""Connections to PostgreSQL, transactions, and the group commit that turns many requests into one.

asyncpg is imported here and in the modules of this room only. Every connection has time-outs, so that nobody holds a
snapshot or a lock for ever; hot ones also plan for tables that grow: a plan made while a table was empty must not be
kept for a table that is full.
"""

from __future__ import annotations

import asyncio
import functools
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, TypeAlias, TypeVar

import asyncpg
import msgspec

from chappe.observability.logs import get_logger
from chappe.store.connections import CLOSE_S, Connections
from chappe.store.outage import DatabaseAway, Patience
from chappe.store.primary import LIVENESS, Way

log = get_logger("chappe.store")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
DatabaseError = asyncpg.PostgresError
# What a connection that is gone, or a server that is not there, looks like.
CONNECTION_ERRORS = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg, when a connection ends in the very moment in which it is used
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    TimeoutError,
)
# Rolled back by the server for reasons that are not ours: the same again may work.
RETRY_ERRORS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
# Rolled back since the server has no room for it, on its disk or in memory: later there may be.
SHORTAGE_ERRORS = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)
# A rule of the schema is broken: by one row, or, when all are refused, the rule itself is at fault.
BROKEN_ERRORS = (asyncpg.IntegrityConstraintViolationError,)
# Refused for what is in a row, now and always: the other rows of the same transaction are sound.
POISON_ERRORS = (
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
    *BROKEN_ERRORS,
    asyncpg.RaiseError,
    ValueError,
    OverflowError,
)
LockHeld = asyncpg.LockNotAvailableError
LEASE_LOST = "CHP01"
RECONNECT_S = 1.0

SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",  # a process that is frozen in the middle must not hold its locks
    "jit": "off",
    **LIVENESS,
}
COMMAND_S = 60
HOT_COMMAND_S = 20  # customers wait for these, also while commits wait for a standby that is away
# Look-ups by key are the only good plan for the hot path's statements, whatever the statistics say today.
HOT_SETTINGS = SETTINGS | {
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashagg": "off",
    "enable_material": "off",
}


class Address(msgspec.Struct, frozen=True):
    """Where the database is: a URL, or the parameters of our embedded server. The password is never shown."""

    url: str = ""
    host: str = ""
    port: int = 5432
    user: str = ""
    password: str = ""
    database: str = ""

    def __repr__(self) -> str:
        return f"Address({'a URL' if self.url else self.host})"

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of asyncpg.connect."""
        if self.url:
            return {"dsn": self.url}
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "database": self.database,
        }


@functools.cache
def _way(address: Address) -> Way:
    """The way of this process to a database: it remembers which of several hosts was good."""
    return Way(address.arguments())


async def connect(address: Address, *, hot: bool = False, name: str = "chappe") -> Connection:
    """One connection outside any pool; raises one of CONNECTION_ERRORS."""
    return await _way(address).connect(
        command_timeout=COMMAND_S,
        server_settings=(HOT_SETTINGS if hot else SETTINGS) | {"application_name": name},
    )


class _Lent:
    """One connection while it is in use. lost: takes its server process when it does not come back whole."""

    __slots__ = ("_connection", "_connections", "_lost", "_patience")

    def __init__(self, connections: Connections, patience: Patience, lost: set[int]) -> None:
        self._connections = connections
        self._patience = patience
        self._lost = lost
        self._connection: Any = None

    async def __aenter__(self) -> Any:
        connection = None if self._patience.is_tried else self._connections.take()
        if connection is None:
            connection = await self._patience.connection(self._connections.acquire)
        self._connection = connection
        return connection

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        sound = error is None or (isinstance(error, Exception) and not isinstance(error, CONNECTION_ERRORS))
        if not sound:
            self._lost.add(self._connections.pid(self._connection))
        self._connections.release(self._connection, sound=sound)


class Database:
    """Ordinary connections, and hot ones, to the same place.

    patience_s: how long a connection is waited for when an outage begins; lock_s: how long hot connections wait for a
    lock, None for as long as the others.
    """

    def __init__(
        self,
        address: Address,
        name: str = "chappe",
        *,
        ordinary: int = 4,
        hot: int = 4,
        patience_s: float = 0.0,
        lock_s: float | None = None,
    ) -> None:
        self.address = address
        self.name = name
        self._sizes = (ordinary, hot)
        self._ordinary: Connections | None = None
        self._hot: Connections | None = None
        self._patience = Patience(patience_s)
        self._hot_settings = {} if lock_s is None else {"lock_timeout": f"{round(lock_s * 1000)}ms"}
        self._lost: set[int] = set()  # processes of the server whose connection ended in the middle of something

    def beside(self, *, ordinary: int, hot: int) -> Database:
        """Further connections to the same place, for work that must not take those of other work away; they share what
        is known of an outage and of lost connections. Open as this one is, and to be closed like it."""
        beside = Database(self.address, self.name, ordinary=ordinary, hot=hot)
        beside._patience, beside._lost, beside._hot_settings = self._patience, self._lost, self._hot_settings
        beside._open()
        return beside

    async def open(self) -> None:
        """Nothing is connected yet: connections come when they are first needed."""
        self._open()

    def _open(self) -> None:

        def connections(most: int, settings: dict[str, str], command_s: float) -> Connections:
            return Connections(
                lambda: _way(self.address).connect(
                    command_timeout=command_s, server_settings=settings | {"application_name": self.name}
                ),
                most,
            )

        self._ordinary = connections(self._sizes[0], SETTINGS, COMMAND_S)
        self._hot = connections(self._sizes[1], HOT_SETTINGS | self._hot_settings, HOT_COMMAND_S)

    async def close(self) -> None:
        for connections in (self._ordinary, self._hot):
            if connections is not None:
                try:
                    await asyncio.wait_for(connections.close(), CLOSE_S)
                except (TimeoutError, *CONNECTION_ERRORS):
                    connections.terminate()

    def connection(self, *, hot: bool = False) -> AbstractAsyncContextManager[Any]:
        """A connection for statements that are each their own transaction. Raises DatabaseAway."""
        connections = self._hot if hot else self._ordinary
        assert connections is not None, "open() first"
        return _Lent(connections, self._patience, self._lost)

    @asynccontextmanager
    async def transaction(self, *, hot: bool = False) -> AsyncIterator[Any]:
        """A connection inside a transaction, committed at the end; nothing but the connection may be awaited within."""
        async with self.connection(hot=hot) as connection, connection.transaction():
            yield connection

    async def fence(self) -> None:
        """Ends what lost connections of ours may still be doing in the server: what they have not done when this
        returns, they never will. Raises one of CONNECTION_ERRORS.

        Should the number of such a process have gone to another one, then to one of our own, which is lost in its turn.
        """
        pids = sorted(self._lost)
        if not pids:
            return
        ended = await self.value(
            """select bool_and(pg_terminate_backend(pid, 5000)) from pg_stat_activity
               where pid = any ($1::int[]) and usename = current_user and application_name = $2
                 and pid <> pg_backend_pid()""",
            pids,
            self.name,
        )
        if ended is False:
            raise TimeoutError("a lost connection's process does not end")
        self._lost.difference_update(pids)

    async def fetch(self, statement: str, *values: object) -> list[Any]:
        async with self.connection() as connection:
            return await connection.fetch(statement, *values)  # type: ignore[no-any-return]

    async def value(self, statement: str, *values: object) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(statement, *values)

    async def execute(self, statement: str, *values: object) -> str:
        async with self.connection() as connection:
            return await connection.execute(statement, *values)  # type: ignore[no-any-return]


async def ready(database: Database) -> bool:
    """Whether the database answers."""
    try:
        return bool(await database.value("select true"))
    except (*CONNECTION_ERRORS, DatabaseError):
        return False


C = TypeVar("C")
O = TypeVar("O")  # noqa: E741
Done = Callable[[Any], None]
_Item: TypeAlias = tuple[C, int, Done, int]  # a command, its weight, and how often its batch was lost
LOSSES_MAX = 3
GATHERED_WEIGHT = 16  # of a batch that begins without another look
QUIET_TURNS = 3  # of the loop: from octets to a command it takes two
_LATER = object()  # in place of an outcome: `done` is called by somebody else


class GroupCommit(Generic[C, O]):
    """Takes commands one by one, runs them in batches: while one is in flight, the next gathers. No artificial delay: a
    batch begins when nothing more is there to be read.

    run: one transaction over a batch, outcomes in the order of the commands; it may raise. weigh: how large a command
    is, against batch_weight_max. owner: whose it is: owners take turns, each one's commands in their order, so that
    nobody waits for all that another one has given. done is called with the outcome, or with the exception that the
    whole batch met, after the commit. With full() the caller must not add.

    find: after a connection was lost in the middle of a batch, finds out what of it was stored: outcomes, None for what
    was not and never will be, which joins a later batch. It is called at once, and may take its time: meanwhile others
    are served."""

    def __init__(
        self,
        run: Callable[[list[C]], Awaitable[Sequence[O]]],
        weigh: Callable[[C], int],
        *,
        batch_weight_max: int = 5000,
        waiting_weight_max: int = 200_000,
        find: Callable[[list[C]], Awaitable[Sequence[O | None]]] | None = None,
        owner: Callable[[C], Hashable] = lambda _: None,
    ) -> None:
        self._run = run
        self._owner = owner
        self._find = find
        self._finding: set[asyncio.Task[None]] = set()
        self._weigh = weigh
        self._batch_weight_max = batch_weight_max
        self._waiting_weight_max = waiting_weight_max
        self._waiting: OrderedDict[Hashable, deque[_Item[C]]] = OrderedDict()  # by owner, whose turn is next first
        self._weight = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        return self._weight >= self._waiting_weight_max

    def add(self, command: C, done: Done, losses: int = 0) -> None:
        """The command joins the next batch; `done` gets its outcome, or an exception, once that batch is over."""
        weight = self._weigh(command)
        owner = self._owner(command)
        mine = self._waiting.get(owner)
        if mine is None:
            mine = self._waiting[owner] = deque()
        mine.append((command, weight, done, losses))
        self._weight += weight
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def idle(self) -> None:
        """Returns when nothing waits and nothing is in flight."""
        while self._task is not None or self._finding:
            await asyncio.wait([*([self._task] if self._task is not None else []), *self._finding])

    def _take(self) -> list[_Item[C]]:
        batch: list[_Item[C]] = []
        total = 0
        while self._waiting:
            owner, mine = next(iter(self._waiting.items()))
            if batch and total + mine[0][1] > self._batch_weight_max:
                break
            item = mine.popleft()
            total += item[1]
            batch.append(item)
            if not mine:
                del self._waiting[owner]
            elif len(self._waiting) > 1:
                self._waiting.move_to_end(owner)
        self._weight -= total
        return batch

    async def _gather(self) -> None:
        """Lets the loop read what has arrived already, as long as there is more and the batch is small: of ten requests
        that come together the first must not have a transaction for itself. Nothing is waited for."""
        quiet = 0
        while quiet < QUIET_TURNS and self._weight < GATHERED_WEIGHT:
            before = self._weight
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._weight == before else 0

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch = self._take()
                try:
                    outcomes = await self._outcomes(batch)
                except Exception as error:  # a mistake of ours: everybody is answered all the same
                    log.exception("batch_failed", size=len(batch))
                    outcomes = [error] * len(batch)
                for (_, _, done, _), outcome in zip(batch, outcomes, strict=True):
                    if outcome is not _LATER:
                        _answer(done, outcome)
        finally:
            self._task = None

    async def _outcomes(self, batch: list[_Item[C]]) -> Sequence[Any]:
        """The batch's outcomes. A batch that the database refuses is taken apart, so that one bad command fails alone;
        with a lost connection all of it is in doubt, since it may have been committed."""
        commands = [command for command, _, _, _ in batch]
        for attempt in range(3):
            try:
                return await self._run(commands)
            except RETRY_ERRORS as error:
                if attempt == 2:
                    return [error] * len(batch)
            except DatabaseAway as error:  # has been told, once for all
                return [error] * len(batch)
            except CONNECTION_ERRORS as error:
                if self._find is None:
                    log.error("batch_lost", size=len(batch), error=type(error).__name__)
                    return [error] * len(batch)
                task = asyncio.get_running_loop().create_task(self._settle(batch, self._find(commands), error))
                self._finding.add(task)
                task.add_done_callback(self._finding.discard)
                return [_LATER] * len(batch)
            except SHORTAGE_ERRORS as error:  # one by one they would fare no better
                log.error("batch_has_no_room", size=len(batch), error=type(error).__name__)
                return [error] * len(batch)
            except (DatabaseError, ValueError, OverflowError) as error:
                log.error("batch_refused", size=len(batch), error=type(error).__name__)
                if len(batch) == 1:
                    return [error]
                return [outcome for item in batch for outcome in await self._outcomes([item])]
        raise AssertionError("unreachable")

    async def _settle(self, batch: list[_Item[C]], finding: Awaitable[Sequence[O | None]], error: Exception) -> None:
        """Answers what was stored though its connection was lost; the rest is as if it had just come."""
        log.warning("batch_in_doubt", size=len(batch), error=type(error).__name__)
        found: Sequence[Any]
        try:
            found = await finding
        except (*CONNECTION_ERRORS, DatabaseError) as trouble:
            log.error("batch_lost", size=len(batch), error=type(trouble).__name__)
            found = [error] * len(batch)
        except Exception:  # a mistake of ours: everybody is answered all the same
            log.exception("batch_failed", size=len(batch))
            found = [error] * len(batch)
        for (command, _, done, losses), outcome in zip(batch, found, strict=True):
            if outcome is None and losses < LOSSES_MAX:
                self.add(command, done, losses + 1)
            else:
                _answer(done, error if outcome is None else outcome)


def _answer(done: Done, outcome: object) -> None:
    try:
        done(outcome)
    except Exception:
        log.exception("answer_failed")


class Bell:
    """Tells other processes, in a channel, that there is something to do: at once, then at most 20 times a second.

    On a connection of its own: NOTIFY takes a lock of the whole database at its commit, which has no place in a
    transaction that carries messages. Listeners poll as well: a lost call costs a moment, never a message.
    """

    INTERVAL_S = 0.05

    def __init__(self, address: Address, channel: str) -> None:
        self._address = address
        self._channel = channel
        self._connection: Connection | None = None
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def ring(self) -> None:
        self._wanted = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._ring())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._connection is not None:
            self._connection.terminate()

    async def _ring(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                try:
                    if self._connection is None or self._connection.is_closed():
                        self._connection = await connect(self._address, name="chappe bell")
                    await self._connection.execute(f"notify {self._channel}")
                except CONNECTION_ERRORS as error:
                    log.warning("bell_silent", error=type(error).__name__)
                await asyncio.sleep(self.INTERVAL_S)  # the pace of the bell, not a wait for anything
        finally:
            self._task = None


class Listener:
    """Calls `heard(channel)` when one of the channels rings, and once after each new connection, since calls may have
    been missed; reconnects by itself until close()."""

    def __init__(self, address: Address, channels: Sequence[str], heard: Callable[[str], None]) -> None:
        self._address = address
        self._channels = channels
        self._heard = heard
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _listen(self) -> None:
        while True:
            gone = asyncio.Event()
            connection = None
            try:
                connection = await connect(self._address, name="chappe listener")
                connection.add_termination_listener(lambda _, gone=gone: gone.set())
                for channel in self._channels:
                    await connection.add_listener(channel, lambda _c, _p, channel, _v: self._heard(str(channel)))
                for channel in self._channels:
                    self._heard(channel)
                await gone.wait()
            except CONNECTION_ERRORS:
                pass  # the database is away: those who work with it say so; polling goes on
            finally:
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(RECONNECT_S)  # the pace of reconnecting


__all__ = [
    "BROKEN_ERRORS",
    "CONNECTION_ERRORS",
    "LEASE_LOST",
    "POISON_ERRORS",
    "RETRY_ERRORS",
    "SHORTAGE_ERRORS",
    "Address",
    "Bell",
    "Database",
    "DatabaseError",
    "GroupCommit",
    "Listener",
    "LockHeld",
    "connect",
    "ready",
]
