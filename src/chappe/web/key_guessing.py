"""How many wrong keys one address may try: a count that is paid off with time, and never asked of who is known here.

Counted by process, like the rates. An address over its limit is not locked out: keys that were right from it stay
welcome, and everything else is as soon as its debt is paid.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from chappe.web.client_address import place_of

FREE: Final = 120  # wrong keys in a row that nobody minds: a program with yesterday's key tries again and again
PER_S: Final = 2.0  # what is forgiven a second: 40 random hexadecimal digits outlast that by far
DEBT_MAX: Final = 120  # of requests that were under way together; a minute pays it off
KEPT_MAX: Final = 10_000


class Guesses:
    """What each address owes for wrong keys; only those that owe something are kept, the longest unchanged go first.

    now: a monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._owed: OrderedDict[str, tuple[float, float]] = OrderedDict()  # by place: how much, at what time

    def too_many(self, remote: str) -> bool:
        """Whether an address has tried too much to try a key that it has not used well before."""
        return bool(self._owed) and self._owes(place_of(remote)) >= FREE

    def count(self, remote: str, weight: float = 1.0) -> None:
        """One more that was wrong."""
        place = place_of(remote)
        self._owed[place] = (min(self._owes(place) + weight, float(FREE + DEBT_MAX)), self._now())
        self._owed.move_to_end(place)
        if len(self._owed) > KEPT_MAX:
            self._owed.popitem(last=False)

    def _owes(self, place: str) -> float:
        owed = self._owed.get(place)
        if owed is None:
            return 0.0
        left = owed[0] - max(0.0, self._now() - owed[1]) * PER_S
        if left > 0:
            return left
        del self._owed[place]
        return 0.0
