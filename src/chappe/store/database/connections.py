"""A few connections of one kind, kept open between their uses: taking one and giving it back costs no task.

asyncpg's own pool makes a task of every release and a proxy of every connection, which costs small batches as much as
their statements do. It remains for what is not hot.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg

IDLE_S: Final = 300.0
"""A connection that nobody has used for so long is closed."""


CLOSE_S: Final = 5.0
"""How long the good-bye to the server may take."""


class Connections:
    """At most `most` connections, made by `connect` when they are first needed; who finds none free waits his turn.

    idle_s: one that nobody has used for so long is closed; math.inf: never.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], most: int, idle_s: float = IDLE_S) -> None:
        self._connect = connect
        self._most = most
        self._idle_s = idle_s
        self._idle: list[tuple[Any, float]] = []  # with the time since when; the newest last
        self._pids: dict[Any, int] = {}  # of all that are open, their server processes: a lost one cannot be asked
        self._making = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def take(self) -> Any | None:
        """A connection of one's own until release(), where one is free at once."""
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
            del self._pids[connection]
        return None

    async def acquire(self) -> Any:
        """As take(), when one is free. Raises what `connect` raises; InterfaceError after close()."""
        while True:
            if self._closed:
                raise asyncpg.InterfaceError("the connections are closed")
            connection = self.take()
            if connection is not None:
                return connection
            if len(self._pids) + self._making < self._most:
                return await self._make()
            await self._turn()

    def pid(self, connection: Any) -> int:
        """The server's process of a connection in use, which may be lost."""
        return self._pids[connection]

    def release(self, connection: Any, *, sound: bool) -> None:
        """Gives a connection back. sound: whether it may be used again; else it ends."""
        if sound and not self._closed and not connection.is_closed() and not connection.is_in_transaction():
            loop = asyncio.get_running_loop()
            self._idle.append((connection, loop.time()))
            if self._timer is None and self._idle_s < math.inf:
                self._timer = loop.call_later(self._idle_s, self._forget)
        else:
            del self._pids[connection]
            task = asyncio.get_running_loop().create_task(_end(connection))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self._wake()

    async def close(self) -> None:
        """Ends all in good order, when those in use have come back; nothing can be acquired any more."""
        self._shut()
        while self._idle:
            connection, _ = self._idle.pop()
            del self._pids[connection]
            await _end(connection)
        while self._pids:
            await self._turn()
        if self._ending:
            await asyncio.wait(self._ending)

    def terminate(self) -> None:
        """Ends all at once."""
        self._shut()
        self._idle.clear()
        for connection in self._pids:
            connection.terminate()

    async def _make(self) -> Any:
        self._making += 1
        try:
            connection = await self._connect()
        finally:
            self._making -= 1
            self._wake()
        if self._closed:
            await _end(connection)
            raise asyncpg.InterfaceError("the connections are closed")
        self._pids[connection] = connection.get_server_pid()
        return connection

    async def _turn(self) -> None:
        """Returns when something may have become free."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake()  # what was meant for us is another's
            raise

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _shut(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._wake()

    def _forget(self) -> None:
        """Closes what has been idle for long: the newest is taken first, so that the others become old."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._idle and loop.time() - self._idle[0][1] >= self._idle_s:
            connection, _ = self._idle.pop(0)
            self.release(connection, sound=False)
        if self._idle:
            self._timer = loop.call_at(self._idle[0][1] + self._idle_s, self._forget)


async def _end(connection: Any) -> None:
    """Says good-bye, as far as the server listens; a statement under way is called off first."""
    try:
        await connection.close(timeout=CLOSE_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        connection.terminate()
