"""What keeps one bind from sending: its pace, pauses, the breaker, and the trial after a useless connection. Pure.

Times are seconds of a monotonic clock, given by the caller. Nothing here waits: each answer says when to ask again.
"""

from __future__ import annotations

import math

from chappe.core import token_bucket


class Pace:
    """The token bucket of one bind, and the pauses of all that it sends. rate_per_s 0: no limit but the pauses."""

    __slots__ = ("_bucket", "paused_until")

    def __init__(self, rate_per_s: float, burst: float) -> None:
        # A burst beyond one second's share would show on the carrier's side as more than the rate.
        self._bucket = token_bucket.full(rate_per_s, max(1.0, min(rate_per_s, burst)), 0.0) if rate_per_s > 0 else None
        self.paused_until = -math.inf

    @property
    def rate_per_s(self) -> float:
        """The rate at present, lower than agreed after complaints; 0 without a limit."""
        return self._bucket.rate_per_s if self._bucket is not None else 0

    def is_paused(self, now: float) -> bool:
        return now < self.paused_until

    def room(self, wanted: int, waiting: int, now: float) -> tuple[int, float]:
        """How many of `wanted` more parts may be given to a queue in which so many wait, and the seconds until more
        could, 0 when some may. Takes nothing."""
        if self._bucket is None or wanted <= 0:
            return wanted, 0.0
        self._bucket, tokens, _ = token_bucket.take(self._bucket, wanted, now)
        self._bucket = token_bucket.give_back(self._bucket, tokens)
        room = min(wanted, max(tokens - waiting, 0))
        return room, 0.0 if room > 0 else 1.0 / self._bucket.rate_per_s

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        """How many of `wanted` parts leave now, and the seconds until the next may; 0 when all do."""
        if self._bucket is None or wanted <= 0:
            return wanted, 0.0
        self._bucket, allowed, wait_s = token_bucket.take(self._bucket, wanted, now)
        return allowed, wait_s

    def slow_down(self, pause_s: float, now: float) -> None:
        """The carrier complains: half the rate, and a pause."""
        if self._bucket is not None:
            self._bucket = token_bucket.throttled(self._bucket, now)
        self.pause(pause_s, now)

    def pause(self, seconds: float, now: float) -> None:
        """Nothing leaves for so long; a pause that lasts longer stays."""
        self.paused_until = max(self.paused_until, now + seconds)


class Breaker:
    """Counts answers that say that every message would fail: trips after `failures_max` in a row, and starts anew."""

    __slots__ = ("_failures", "_failures_max")

    def __init__(self, failures_max: int) -> None:
        self._failures = 0
        self._failures_max = failures_max

    def failed(self) -> bool:
        """One more such answer; whether it trips now."""
        self._failures += 1
        if self._failures < self._failures_max:
            return False
        self._failures = 0
        return True

    def worked(self) -> None:
        """Any other answer: the setting is not what is wrong."""
        self._failures = 0


class Trial:
    """A peer that takes messages and ends before it answers would bring a whole window into doubt with each connection:
    after such a connection there is one part under way until one is answered."""

    __slots__ = ("_answers", "_doubts", "is_on")

    def __init__(self) -> None:
        self.is_on = False
        self._answers = 0
        self._doubts = 0

    def answered(self, number: int = 1) -> None:
        """So many parts got an answer, whatever it says."""
        self._answers += number
        self.is_on = False

    def doubted(self) -> None:
        """A part will get none, as far as we know."""
        self._doubts += 1

    def begin(self) -> None:
        """A connection begins."""
        self._answers = self._doubts = 0

    def end(self) -> None:
        """It has ended: if nothing but doubts came of it, the next one is a trial."""
        self.is_on |= not self._answers and self._doubts > 0
