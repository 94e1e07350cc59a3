"""A database that is away: who needs a connection waits a little for it, and an outage is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from chappe.observability.logs import get_logger

log = get_logger("chappe.store")

T = TypeVar("T")

# No connection could be made now; one may be a moment later.
ABSENCES = (
    OSError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
ASK_S = 0.05


class DatabaseAway(ConnectionError):
    """There is no connection to the database: nothing was done."""


class Patience:
    """Waits for connections, `patience_s` from the beginning of an outage on: who comes later is refused at once.

    A restart of PostgreSQL is so over before anybody hears of it, and a long outage holds nobody up.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since: float | None = None
        self._refused = 0

    @property
    def is_tried(self) -> bool:
        """Whether there is an outage, as far as anybody has noticed."""
        return self._since is not None

    async def connection(self, acquire: Callable[[], Awaitable[T]]) -> T:
        """What `acquire` gives; raises DatabaseAway."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                acquired = await acquire()
            except ABSENCES as error:
                if self._since is None:
                    self._since = loop.time()
                    log.error("database_away", error=type(error).__name__)
                if loop.time() - self._since >= self._patience_s:
                    self._refused += 1
                    raise DatabaseAway(type(error).__name__) from error
                await asyncio.sleep(ASK_S)  # the pace of asking for a database that is away
            except asyncpg.InterfaceError as error:  # we are ending, and have closed our own door
                raise DatabaseAway(type(error).__name__) from error
            else:
                if self._since is not None:
                    log.warning("database_back", after_s=round(loop.time() - self._since, 2), refused=self._refused)
                    self._since = None
                    self._refused = 0
                return acquired
