"""A process's connections to the database, ordinary and hot ones, and their transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from chappe.store.database.address import COMMAND_S, HOT_COMMAND_S, HOT_SETTINGS, SETTINGS, Address, way
from chappe.store.database.connections import CLOSE_S, Connections
from chappe.store.database.errors import CONNECTION_ERRORS, DatabaseError
from chappe.store.database.outage import Patience


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
        beside = type(self)(self.address, self.name, ordinary=ordinary, hot=hot)
        beside._patience, beside._lost, beside._hot_settings = self._patience, self._lost, self._hot_settings
        beside._open()
        return beside

    async def open(self) -> None:
        """Nothing is connected yet: connections come when they are first needed."""
        self._open()

    def _open(self) -> None:
        ordinary, hot = self._sizes
        self._ordinary = self._connections(ordinary, SETTINGS, COMMAND_S)
        self._hot = self._connections(hot, HOT_SETTINGS | self._hot_settings, HOT_COMMAND_S)

    def _connections(self, most: int, settings: dict[str, str], command_s: float) -> Connections:
        told = settings | {"application_name": self.name}
        return Connections(lambda: way(self.address).connect(command_timeout=command_s, server_settings=told), most)

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
