"""What is to happen later, in order of time: a heap of calls; whoever has the clock asks what is due."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

Call = tuple[float, int, Callable[..., object], tuple[Any, ...]]


class Agenda:
    """Calls with an instant each, monotonic seconds; those of one instant keep their order."""

    __slots__ = ("_calls", "_order")

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def next_at(self) -> float | None:
        """When run() has something to do next, or None."""
        return self._calls[0][0] if self._calls else None

    def add(self, due_at: float, call: Callable[..., object], *arguments: Any) -> None:
        """Enters a call."""
        heapq.heappush(self._calls, (due_at, next(self._order), call, arguments))

    def add_first(self, due_at: float, call: Callable[..., object], *arguments: Any) -> None:
        """Enters a call that goes before those of the same instant."""
        heapq.heappush(self._calls, (due_at, -next(self._order), call, arguments))

    def run(self, now: float) -> None:
        """Makes every call that is due, also those that these add for now."""
        calls = self._calls
        while calls and calls[0][0] <= now:
            _, _, call, arguments = heapq.heappop(calls)
            call(*arguments)

    def clear(self) -> None:
        """Forgets everything."""
        self._calls.clear()
