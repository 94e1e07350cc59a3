"""The store of the simulation: the real one, on a real PostgreSQL whose clock is the virtual one, and its troubles.

A statement or transaction takes no virtual time in itself, and nothing else happens during it. Before it and after it
time passes, and there the database can be away: before, nothing was written; after, all was, and nobody was told.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from network import NOBODY
from virtual import VirtualLoop

from chappe.store.database import HOT_SETTINGS, SETTINGS, Address, Database, DatabaseError

T = TypeVar("T")
CLOCK = (Path(__file__).parent / "clock.sql").read_text()
RECORDS = [f"simulation.{name}" for name in ("move", "ended", "claim", "opted", "known")]
STUCK_S = 30.0  # no statement here takes a second: what takes so long would take for ever
PATH = {"search_path": "simulation, pg_catalog, public", "synchronous_commit": "off"}


@lru_cache(maxsize=1000)
def _asks_the_clock(statement: str) -> bool:
    return re.search(r"\bnow\(\)|clock_timestamp\(\)", statement) is not None


class Stuck(AssertionError):
    """A statement does not end. The message says which one, and what each connection is doing."""


class Server:
    """A real database, driven from a loop of its own, one call at a time: the virtual one stands still meanwhile."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._loop = asyncio.new_event_loop()
        self.wall: datetime | None = None
        self._originals: list[str] = []
        self._told: dict[bool, datetime | None] = {}
        self.calls: Counter[str] = Counter()
        self._connections = {hot: self.run(self._connect(hot)) for hot in (False, True)}
        self.run(self.ordinary.execute(CLOCK))
        rows = self.run(self.ordinary.fetch("select tablename from pg_tables where schemaname = 'public'"))
        # What the migrations wrote stays.
        self._tables = [row[0] for row in rows if not self.run(self.ordinary.fetch(f"select from {row[0]} limit 1"))]
        rows = self.run(self.ordinary.fetch("select sequencename from pg_sequences where schemaname = 'public'"))
        self._sequences = [row[0] for row in rows]

    async def _connect(self, hot: bool) -> Any:
        settings = (HOT_SETTINGS if hot else SETTINGS) | PATH
        return await asyncpg.connect(**self._address.arguments(), server_settings=settings)

    @property
    def ordinary(self) -> Any:
        return self._connections[False]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Within a step of the virtual loop: a thread for the other one would cost two changes of thread a call."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            return self._loop.run_until_complete(work)
        finally:
            asyncio._set_running_loop(outer)

    def ask(self, hot: bool, method: str, statement: str, *values: object) -> Any:
        """One statement, now, at the time that the wall clock shows."""
        self.calls[statement[:60]] += 1
        return self.run(self._ask(hot, method, statement, values))

    async def _ask(self, hot: bool, method: str, statement: str, values: tuple[object, ...]) -> Any:
        connection = self._connections[hot]
        if self._told.get(hot) != self.wall and _asks_the_clock(statement):
            assert self.wall is not None
            self._told[hot] = self.wall
            await connection.execute(f"set simulation.now = '{self.wall.timestamp():.6f}'")
        try:
            async with asyncio.timeout(STUCK_S):
                return await getattr(connection, method)(statement, *values)
        except TimeoutError as error:
            raise Stuck(f"{statement[:300]}\n{await self._activity()}") from error

    async def _activity(self) -> str:
        """What the connections to this database wait for, and whom."""
        looker = await self._connect(hot=False)
        rows = await looker.fetch(
            """select pid, backend_type, state, wait_event_type, wait_event, pg_blocking_pids(pid) as blocked_by,
                      left(query, 200) as query
               from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"""
        )
        await looker.close()
        return "\n".join(str(dict(row)) for row in rows)

    def rows(self, statement: str, *values: object) -> list[Any]:
        """For those who look on."""
        return self.ask(False, "fetch", statement, *values)  # type: ignore[no-any-return]

    def begin(self, hot: bool) -> Any:
        transaction = self._connections[hot].transaction()
        self.run(transaction.start())
        return transaction

    def empty(self) -> None:
        """As after the migrations: no account, no message, numbers from the beginning."""
        statements = [f"truncate {', '.join(self._tables + RECORDS)} restart identity cascade"]
        statements += [f"select setval('{name}', 1, false)" for name in self._sequences]
        self.run(self.ordinary.execute("; ".join(statements)))

    def rewrite(self, function: str, words: str, others: str) -> None:
        """Breaks a function on purpose, until restore(): of several of its name today's, which asks most."""
        newest = "select oid from pg_proc where proname = $1 order by pronargs desc limit 1"
        text = self.run(self.ordinary.fetchval(f"select pg_get_functiondef(({newest}))", function))
        assert words in text
        self._originals.append(text)
        self.run(self.ordinary.execute(text.replace(words, others)))

    def restore(self) -> None:
        while self._originals:
            self.run(self.ordinary.execute(self._originals.pop()))

    def close(self) -> None:
        for connection in self._connections.values():
            self.run(connection.close())
        self._loop.close()


@dataclass
class Trouble:
    """What is wrong between one process and the database. late: of statements whose caller has lost its connection,
    how many are carried out after all."""

    slow_s: float = 0.001
    away: bool = False
    late: float = 0.0


class Store(Database):
    """The database as one process sees it: the real statements, with trouble before and after."""

    def __init__(self, server: Server, loop: VirtualLoop, chance: random.Random) -> None:
        super().__init__(Address())
        self._server = server
        self._virtual = loop
        self._chance = chance
        self.trouble = Trouble()

    async def before(self) -> None:
        await asyncio.sleep(self.trouble.slow_s * self._chance.random())
        if self.trouble.away:
            raise ConnectionResetError("the database is away")

    after = before

    @asynccontextmanager
    async def connection(self, *, hot: bool = False) -> AsyncIterator[Any]:
        yield _Alone(self, hot)

    @asynccontextmanager
    async def transaction(self, *, hot: bool = False) -> AsyncIterator[Any]:
        await self.before()
        transaction = self._server.begin(hot)
        try:
            yield _Within(self._server, hot)
        except BaseException:
            self._server.run(transaction.rollback())
            raise
        self._server.run(transaction.commit())
        await self.after()

    async def alone(self, hot: bool, method: str, statement: str, values: tuple[object, ...]) -> Any:
        """One statement that is its own transaction."""
        try:
            await self.before()
        except (ConnectionResetError, asyncio.CancelledError):
            if self._chance.random() < self.trouble.late:
                # It was on its way: the server carries it out although nobody waits for it any more.
                self._virtual.call_later(
                    self._chance.random() * 2, self._too_late, hot, method, statement, values, context=NOBODY
                )
            raise
        answer = self._server.ask(hot, method, statement, *values)
        await self.after()
        return answer

    def _too_late(self, hot: bool, method: str, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._server.ask(hot, method, statement, *values)
        except DatabaseError:
            return  # a lease that is another's by now: refused, as it should be


class _Statements:
    """The calls of a connection that the program uses."""

    async def _ask(self, method: str, statement: str, values: tuple[object, ...]) -> Any:
        raise NotImplementedError

    async def fetch(self, statement: str, *values: object) -> Any:
        return await self._ask("fetch", statement, values)

    async def fetchrow(self, statement: str, *values: object) -> Any:
        return await self._ask("fetchrow", statement, values)

    async def fetchval(self, statement: str, *values: object) -> Any:
        return await self._ask("fetchval", statement, values)

    async def execute(self, statement: str, *values: object) -> Any:
        return await self._ask("execute", statement, values)


class _Alone(_Statements):
    def __init__(self, store: Store, hot: bool) -> None:
        self._store = store
        self._hot = hot

    async def _ask(self, method: str, statement: str, values: tuple[object, ...]) -> Any:
        return await self._store.alone(self._hot, method, statement, values)


class _Within(_Statements):
    def __init__(self, server: Server, hot: bool) -> None:
        self._server = server
        self._hot = hot

    async def _ask(self, method: str, statement: str, values: tuple[object, ...]) -> Any:
        return self._server.ask(self._hot, method, statement, *values)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        savepoint = self._server.begin(self._hot)
        try:
            yield
        except BaseException:
            self._server.run(savepoint.rollback())
            raise
        self._server.run(savepoint.commit())
