"""Virtual time: an event loop whose clock jumps from one deadline to the next, and processes that can be killed on it.

Everything runs in one thread, so the same seed makes the same run. A process is whatever was started in its context:
when it is killed, none of its code runs any more, not even a `finally`, as after kill -9; while it is stopped, what
would have run waits, as after SIGSTOP.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from typing import Any

PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class Stalled(Exception):
    """Nothing is left that could happen, and the run is not over."""


class _Clock(selectors.BaseSelector):
    """Where a loop waits for files ours moves its clock."""

    def __init__(self) -> None:
        self.loop: VirtualLoop | None = None
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert self.loop is not None
        if timeout is None:
            raise Stalled
        if timeout > 0:
            self.loop.advance(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """now_s: monotonic seconds since the beginning. skew: what the wall clock is wrong by; moved: told the wall clock
    whenever it changes."""

    def __init__(self, began_at: datetime, moved: Callable[[datetime], object]) -> None:
        clock = _Clock()
        self.now_s = 0.0
        self.began_at = began_at
        self.skew = timedelta()
        self._moved = moved
        super().__init__(clock)
        clock.loop = self
        self._clock_resolution = 1e-7
        self.set_task_factory(_made)  # type: ignore[arg-type]

    def time(self) -> float:
        return self.now_s

    @property
    def wall(self) -> datetime:
        return self.began_at + timedelta(seconds=self.now_s) + self.skew

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        self._moved(self.wall)

    def jump(self, by: timedelta) -> None:
        """Somebody sets the wall clock; monotonic time goes on as before."""
        self.skew += by
        self._moved(self.wall)

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        context = context if context is not None else copy_context()
        process = context.get(PROCESS)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        step = _Step(process, callback, args, context)
        step.handle = super().call_soon(step, context=context)
        return step.handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = context if context is not None else copy_context()
        process = context.get(PROCESS)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        step = _Step(process, callback, args, context)
        step.handle = handle = super().call_at(when, step, context=context)
        return handle


class _Step:
    """One callback of a process, which is the process's to run."""

    __slots__ = ("args", "callback", "context", "handle", "process")

    def __init__(
        self, process: Process, callback: Callable[..., object], args: tuple[Any, ...], context: Context
    ) -> None:
        self.process = process
        self.callback = callback
        self.args = args
        self.context = context
        self.handle: asyncio.Handle | None = None

    def __call__(self) -> None:
        process = self.process
        if not process.alive:
            return
        if process.stopped or process.waiting:
            process.waiting.append(self)
            return
        self.callback(*self.args)


class Process:
    """What runs in one context, and dies as one."""

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self.name = name
        self.alive = True
        self.stopped = False
        self.tasks: list[asyncio.Task[Any]] = []
        self._loop = loop
        self.waiting: deque[_Step] = deque()  # what would have run while it was stopped
        self.context = copy_context()
        self.context.run(PROCESS.set, self)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self._loop.create_task(work, context=self.context.copy())

    def soon(self, call: Callable[..., object], *args: Any) -> None:
        self._loop.call_soon(call, *args, context=self.context)

    def kill(self) -> None:
        """kill -9. What it had given to the kernel is the network's business."""
        self.alive = False
        self.waiting.clear()

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True

    def resume(self) -> None:
        """SIGCONT: what would have run runs now, in its order."""
        self.stopped = False
        self._loop.call_soon(self._catch_up, context=Context())

    def _catch_up(self) -> None:
        while self.waiting and not self.stopped:
            step = self.waiting[0]
            if step.handle is None or not step.handle.cancelled():
                step.context.run(step.callback, *step.args)
            if self.waiting:
                self.waiting.popleft()

    async def bury(self) -> None:
        """After the run: ends what a kill had left hanging, so that nothing is ever destroyed half done."""
        self.alive = True
        self.stopped = False
        for _ in range(100):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=30)
        raise Stalled(f"{self.name} does not end: {left}")


def _made(loop: VirtualLoop, work: Coroutine[Any, Any, Any], **given: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(work, loop=loop, **given)
    context = given.get("context")
    process = context.get(PROCESS) if context is not None else PROCESS.get()
    if process is not None:
        process.tasks.append(task)
    return task


def aware(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
