"""Which of the binds a worker should drive when there are several workers. Pure.

Whoever has more than its share leaves free binds to the others for a moment, gives one back when somebody has come, and
gives up one that it cannot connect while another perhaps can.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

YIELD_S = 4.0  # how long a bind beyond the share is left to others: two rounds of theirs
SURPLUS_S = 15.0  # how long there must be too many before one is given back: workers that restart come back sooner
UNREACHED_S_MIN = 3.0  # how long a connection may be down before another worker is let at it; doubled each time
UNREACHED_S_MAX = 300.0
LEFT_S = 20.0  # how long a bind that was given up is left to the others

B = TypeVar("B", bound=Hashable)


@dataclass(slots=True)
class Share(Generic[B]):
    """The share of one worker: told in each round how things are, it says what to take and what to give back."""

    size: int = 0
    alone: bool = True
    _free_since: dict[B, float] = field(default_factory=dict)
    _left_until: dict[B, float] = field(default_factory=dict)
    _surplus_since: float | None = None
    _down_since: dict[B, float] = field(default_factory=dict)
    _patience_s: dict[B, float] = field(default_factory=dict)

    def hear(self, binds: int, others: int) -> None:
        """How many binds there are, and how many workers beside this one."""
        self.alone = others == 0
        self.size = -(-binds // (others + 1))

    def wants(self, bind: B, driven: int, now: float) -> bool:
        """Whether to take a free bind, with `driven` in hand."""
        since = self._free_since.setdefault(bind, now)
        if self.alone:
            return True
        if now < self._left_until.get(bind, 0.0):
            return False
        return driven < self.size or now - since >= YIELD_S

    def still_free(self, binds: Iterable[B]) -> None:
        """Forgets since when binds have been free that are not any more."""
        free = set(binds)
        self._free_since = {bind: since for bind, since in self._free_since.items() if bind in free}

    def gives_up(self, bind: B, *, connected: bool, now: float) -> bool:
        """Whether a bind of ours should be left to the others, since it does not connect from here."""
        if connected or self.alone:
            self._down_since.pop(bind, None)
            if connected:
                self._patience_s.pop(bind, None)
            return False
        patience_s = self._patience_s.get(bind, UNREACHED_S_MIN)
        if now - self._down_since.setdefault(bind, now) < patience_s:
            return False
        del self._down_since[bind]
        self._patience_s[bind] = min(patience_s * 2, UNREACHED_S_MAX)
        self._left_until[bind] = now + LEFT_S
        return True

    def is_surplus(self, driven: int, now: float) -> bool:
        """Whether one bind should be given back, for a worker that has less than its share."""
        if self.alone or driven <= self.size:
            self._surplus_since = None
            return False
        if self._surplus_since is None:
            self._surplus_since = now
        if now - self._surplus_since < SURPLUS_S:
            return False
        self._surplus_since = now
        return True

    def give_back(self, bind: B, now: float) -> None:
        """The bind is left to the others for a while."""
        self._left_until[bind] = now + LEFT_S
