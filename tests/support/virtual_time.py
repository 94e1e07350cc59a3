"""Virtual time for tests over the real code: an event loop whose clock moves only when the test says so, the wall clock
with it, and TCP connections that stay in memory.

The database is real: its answers are waited for while no virtual time passes. `Clock.run` runs a coroutine and lets as
much virtual time pass as it needs; between two runs nothing moves.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import time_machine

T = TypeVar("T")

REAL_WAIT_S = 30.0  # for an answer of the database, before the test gives up


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own. listeners: by port, what makes the protocol of the side that is called."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.listeners: dict[int, Callable[[], asyncio.Protocol]] = {}
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = count()

    def time(self) -> float:
        return self.now_s

    def call_at(  # type: ignore[override]  # the arguments are only passed on
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def next_timer(self) -> float | None:
        """When the next timer is due that has neither been cancelled nor run."""
        while self._timers:
            when, _, handle = self._timers[0]
            if when > self.now_s and not handle.cancelled():
                return when
            heapq.heappop(self._timers)
        return None

    @property
    def has_ready(self) -> bool:
        """Whether callbacks wait for the next turn of the loop."""
        return bool(self._ready)  # type: ignore[attr-defined]

    async def create_connection(  # type: ignore[override]  # by host and port only
        self, factory: Any, host: Any = None, port: Any = None, **given: Any
    ) -> Any:
        """To one of `listeners` in memory; any other address for real."""
        if host != "127.0.0.1" or port not in self.listeners:
            if host == "127.0.0.1" and port is not None and port < 100:
                raise ConnectionRefusedError(f"nobody listens on {port}")
            return await super().create_connection(factory, host, port, **given)
        here, there = factory(), self.listeners[port]()
        near, far = Pipe(self, here), Pipe(self, there)
        near.other, far.other = far, near
        there.connection_made(far)
        here.connection_made(near)
        return near, here


class Pipe(asyncio.Transport):
    """One end of a connection in memory: octets arrive in the next turn of the loop, in order."""

    other: Pipe

    def __init__(self, loop: VirtualLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._closing = False
        self._held: list[bytes] | None = None

    def write(self, data: Any) -> None:
        if not self._closing:
            self._loop.call_soon(self.other._arrive, bytes(data))

    def _arrive(self, data: bytes) -> None:
        if self._closing:
            return
        if self._held is not None:
            self._held.append(data)
        else:
            self._protocol.data_received(data)

    def pause_reading(self) -> None:
        self._held = []

    def resume_reading(self) -> None:
        held, self._held = self._held or [], None
        for data in held:
            self._loop.call_soon(self._arrive, data)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)
            self._loop.call_soon(self.other.close)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class Clock:
    """Drives a VirtualLoop. busy: whether somebody waits for the database, whose answers come in real time.

    wall: what datetime.now says; it moves with the loop's clock, and alone when it is set (`jump`): a machine that
    slept, or whose clock was put right.
    """

    def __init__(self, loop: VirtualLoop, began_at: datetime, busy: Callable[[], int]) -> None:
        self.loop = loop
        self._busy = busy
        self._offset_s = began_at.timestamp() - loop.now_s
        self.latest = began_at  # that the wall has ever shown
        self._put_back = False
        self._travel = time_machine.travel(began_at, tick=False)
        self._traveller = self._travel.start()

    def close(self) -> None:
        self._travel.stop()

    @property
    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.loop.now_s + self._offset_s, UTC)

    @property
    def moment(self) -> tuple[float, datetime]:
        """This instant by both clocks, for age()."""
        return self.loop.now_s, self.wall

    def age(self, moment: tuple[float, datetime]) -> timedelta:
        """How long ago that was: by the wall, which knows of sleep, while nobody has put it back."""
        return timedelta(seconds=self.loop.now_s - moment[0]) if self._put_back else self.wall - moment[1]

    def jump(self, seconds: float) -> None:
        """The wall clock alone moves: forward, since the machine slept, or back, since somebody put it right."""
        self._put_back = self._put_back or seconds < 0
        self._offset_s += seconds
        self._show()

    def run(self, work: Coroutine[Any, Any, T], *, patience_s: float = 600.0) -> T:
        """The outcome of `work`, and of all that it set going; virtual time passes only while it waits for a timer."""

        async def driven() -> T:
            task = self.loop.create_task(work)
            until = self.loop.now_s + patience_s
            await self._settle()
            while not task.done():
                at = self.loop.next_timer()
                if at is None or at > until:
                    task.cancel()
                    await self._settle()
                    raise AssertionError(f"waits for what does not come within {patience_s} s")
                await self._reach(at)
            return task.result()

        return self.loop.run_until_complete(driven())

    def pass_(self, seconds: float) -> None:
        """So much time passes, for the loop and on the wall; every timer in it runs at its own instant."""

        async def passing() -> None:
            until = self.loop.now_s + seconds
            await self._settle()
            while (at := self.loop.next_timer()) is not None and at <= until:
                await self._reach(at)
            await self._reach(until)

        self.loop.run_until_complete(passing())

    def until(self, instant: datetime) -> None:
        """Lets time pass until the wall shows `instant`."""
        self.pass_(max(0.0, (instant - self.wall) / timedelta(seconds=1)))

    async def _reach(self, now_s: float) -> None:
        self.loop.now_s = now_s
        self._show()
        await self._settle()

    def _show(self) -> None:
        self.latest = max(self.latest, self.wall)
        self._traveller.move_to(self.wall)

    async def _settle(self) -> None:
        """Until nothing more happens without the passing of time."""
        while True:
            await asyncio.sleep(0)
            if self.loop.has_ready:
                continue
            if not self._busy():
                return
            await self._something()

    async def _something(self) -> None:
        """One turn of the loop with real waiting for the database; its sockets wake us."""
        woken: asyncio.Future[None] = self.loop.create_future()
        watch = self.loop._selector  # type: ignore[attr-defined]
        if not watch.select(REAL_WAIT_S):
            raise AssertionError("the database does not answer")
        self.loop.call_soon(woken.set_result, None)
        await woken
