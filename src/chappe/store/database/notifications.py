"""NOTIFY and LISTEN: one process tells the others that there is something to do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from chappe.observability.logs import get_logger
from chappe.store.database.address import Address, Connection, connect
from chappe.store.database.errors import CONNECTION_ERRORS

log = get_logger("chappe.store")

RECONNECT_S = 1.0


class Bell:
    """Tells other processes, in a channel, that there is something to do: each time at once while that is seldom, so
    that a single message does not wait; 20 times a second while it is often, since the listeners are awake then.

    On a connection of its own: NOTIFY takes a lock of the whole database at its commit, which has no place in a
    transaction that carries messages. The commit carries no data, so it does not wait for the disk. Listeners poll as
    well: a lost call costs a moment, never a message.
    """

    INTERVAL_S = 0.05
    SELDOM = 10
    """Up to so many calls within INTERVAL_S, each call is made at once."""

    def __init__(self, address: Address, channel: str) -> None:
        self._address = address
        self._channel = channel
        self._connection: Connection | None = None
        self._wanted = False
        self._rings: deque[float] = deque(maxlen=self.SELDOM)  # when the last ones were wanted
        self._task: asyncio.Task[None] | None = None

    def ring(self) -> None:
        self._wanted = True
        self._rings.append(asyncio.get_running_loop().time())
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
                        await self._connection.execute("set synchronous_commit = off")
                    await self._connection.execute(f"notify {self._channel}")
                except CONNECTION_ERRORS as error:
                    log.warning("bell_silent", error=type(error).__name__)
                if self._is_busy():
                    await asyncio.sleep(self.INTERVAL_S)  # the pace of the bell, not a wait for anything
        finally:
            self._task = None

    def _is_busy(self) -> bool:
        """Whether all of the last SELDOM calls were wanted within INTERVAL_S."""
        rings = self._rings
        return len(rings) == self.SELDOM and rings[-1] - rings[0] < self.INTERVAL_S


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
