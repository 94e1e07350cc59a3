"""What takes long to compute for one account: in a thread beside the loop, one piece at a time, accounts in turn.

Python runs one thread at a time, and hands over every SWITCH_S: the loop goes on meanwhile, a little slower. So that it
does not stay slower, nobody gets more than a share of the processor: after each piece its owner waits, and all others
for as long as it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from time import thread_time
from typing import Final, TypeVar

from chappe.core.errors import Refusal
from chappe.web.rates import UnderWay
from chappe.web.shares import Shares

T = TypeVar("T")

LARGE_BYTES: Final = 1_500
"""A request of more octets is read beside the loop: one message has fewer, and a hundred foreign numbers take 10 ms."""

LARGE_OPEN_BYTES: Final = 32_000
"""To find the key in a body of more octets takes milliseconds, too."""

LARGE_ROWS: Final = 1_000
"""Answers of more rows than this are written beside the loop: some 5 us a row."""

MEASURED_BYTES: Final = 400
"""A request of more octets is measured when it is read within the loop: of less than thirty numbers it has fewer."""

SLOW_S: Final = 0.002
"""What takes longer than this counts towards its account's share."""

WAITING_BYTES_MAX: Final = 8_000_000  # of one owner; more are refused
OWNERS_MAX: Final = 10_000
SWITCH_S: Final = 0.0002


class Reader:
    """share: of the processor's time, what one owner may have for long; now: a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float], share: float = 0.25) -> None:
        self._now = now
        self._rest = 1 / share - 1  # for how much longer than it worked an owner waits
        self._shares = Shares(1, 1)
        self._waiting = UnderWay(WAITING_BYTES_MAX)
        self._resting: dict[Hashable, float] = {}  # of those that were slow within the loop: until when

    @property
    def is_idle(self) -> bool:
        """Whether no owner is read beside the loop for what was slow: then a request of at most MEASURED_BYTES needs
        neither is_due_beside() nor within()."""
        return not self._resting

    def is_due_beside(self, owner: Hashable, octets: int) -> bool:
        """Whether a request of so many octets is to be read beside the loop."""
        if octets > LARGE_BYTES:
            return True
        until = self._resting.get(owner)
        if until is None:
            return False
        if until > self._now():
            return True
        del self._resting[owner]
        return False

    def within(self, owner: Hashable, octets: int, work: Callable[[], T]) -> T:
        """What `work` gives, done at once; where it takes longer than SLOW_S, the owner's requests are read beside the
        loop for a while."""
        if octets <= MEASURED_BYTES:
            return work()
        began = thread_time()
        try:
            return work()
        finally:
            if (took := thread_time() - began) > SLOW_S:
                self._count(owner, took)

    def _count(self, owner: Hashable, seconds: float) -> None:
        now = self._now()
        if len(self._resting) >= OWNERS_MAX:
            self._resting = {one: until for one, until in self._resting.items() if until > now}
        self._resting[owner] = max(now, self._resting.get(owner, 0.0)) + seconds * self._rest

    async def beside(self, owner: Hashable, octets: int, work: Callable[[], T]) -> T:
        """What `work` gives, which runs in a thread when it is the owner's turn; raises what it raises, and Refusal
        too_many_requests where too much of the owner's waits already."""
        if not self._waiting.begin(owner, octets):
            raise Refusal("too_many_requests")
        try:
            turn = await self._shares.turn(owner)
            seconds = 0.0
            try:
                outcome, seconds = await asyncio.to_thread(_timed, work)
            finally:
                loop = asyncio.get_running_loop()
                loop.call_later(seconds, turn.leave)
                loop.call_later(seconds * max(1.0, self._rest), turn.end)
        finally:
            self._waiting.end(owner, octets)
        if isinstance(outcome, BaseException):
            try:
                raise outcome
            finally:
                del outcome  # its traceback holds this frame: a circle that would keep all that was read
        return outcome


def _timed(work: Callable[[], T]) -> tuple[T | Exception, float]:
    """What `work` gives or raises, and the processor's time that it took."""
    began = thread_time()
    try:
        outcome: T | Exception = work()
    except Refusal as refusal:
        outcome = refusal.with_traceback(None)  # the frames hold all that was read
    except Exception as error:  # noqa: BLE001 - raised again where it is waited for; the time counts all the same
        outcome = error
    return outcome, thread_time() - began
