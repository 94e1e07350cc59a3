"""How many messages each number gets within an hour: too many numbers for a count each, now and in the hours to come.

A message counts in the hour in which it is due: what is scheduled, or held until a window opens, in that hour and not
in the one in which it was accepted. Else a hundred an hour could be saved up for weeks and fall on one telephone at
once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final

from chappe.core.model import Account
from chappe.core.velocity import HOUR_S, Kind, Sketch
from chappe.store.messages import Placed

HOT: Final = 10
"""Messages to one number within an hour from which on they are counted exactly, and together with other processes."""
HOT_NUMBERS_MAX: Final = 100_000
"""With more of them, all are counted anew."""
AHEAD_STRAY_MAX: Final = 4
"""When estimates of the hours to come are too high by more than this, they begin anew; exact counts stay."""

_HOUR_US: Final = HOUR_S * 1_000_000

Key = tuple[int, int, str]


class Count:
    """known: by all, as it was last heard; fresh: what this process has not told yet."""

    __slots__ = ("fresh", "known", "told")

    def __init__(self) -> None:
        self.known = 0
        self.fresh = 0
        self.told = False  # that a limit is reached

    @property
    def used(self) -> int:
        return self.known + self.fresh


class NumberCounts:
    """Messages to each number, by the hour. secret: what hides numbers where exact counts are kept."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret[:64]
        self._window = 0  # seconds since 1970 at which the hour under way began
        self._ends_us = 0  # microseconds since 1970, as the keys of the queue
        self._sketch: Sketch | None = None
        self._ahead: Sketch | None = None  # of all hours to come
        self._hot: dict[int, dict[Key, Count]] = {}  # by hour; apart, since strangers decide how many there are
        self._hot_count = 0
        # Hashes of those that were hot before their hour began: there the sketch begins with nothing again.
        self._known: dict[int, set[int]] = {}

    def begin(self, window: int) -> None:
        """Another hour: what was scheduled for it counts already."""
        self._window = window
        self._ends_us = (window + HOUR_S) * 1_000_000
        self._sketch = None
        for hour in [hour for hour in self._hot if hour < window]:
            self._hot_count -= len(self._hot.pop(hour))
            self._known.pop(hour, None)

    def take(self, account: Account, placed: Placed, limit: int) -> Count | None:
        """Counts a send; gives the count that would pass the limit, and then nothing is counted."""
        account_id, window = account.id, self._window
        hours = self._hours(placed)
        for place, recipient in enumerate(placed.send.recipients):
            hour = hours[place] if hours else window
            hashed = hash((account_id, recipient.number, hour))
            sketch = self._sketch_of(hour)
            met = sketch.add(hashed)
            if met == 1 and not self._known:  # nearly always
                continue
            count = self._counted(account_id, recipient.number, hour, hashed, met - sketch.stray, min(HOT, limit))
            if count is not None and count.used > limit:
                self.give_back(account, placed, limit, place + 1)
                return count
        return None

    def _counted(self, account_id: int, number: str, hour: int, hashed: int, met: int, cold: int) -> Count | None:
        """The exact count of a number, with this message; None of one that was not met more than `cold` times."""
        if met <= cold and hashed not in self._known.get(hour, ()):
            return None
        count = self._count(account_id, number, hour)
        if hour != self._window:
            self._known.setdefault(hour, set()).add(hashed)
        count.fresh += 1 if count.used else met
        return count

    def give_back(self, account: Account, placed: Placed, limit: int, taken: int | None = None) -> None:
        """Undoes take() for the first recipients, or for all."""
        cold = min(HOT, limit)
        hours = self._hours(placed)
        for place, recipient in enumerate(placed.send.recipients[:taken]):
            hour = hours[place] if hours else self._window
            hashed = hash((account.id, recipient.number, hour))
            left = self._sketch_of(hour).take_back(hashed)
            if left >= cold or hashed in self._known.get(hour, ()):
                found = self._hot.get(hour, {}).get(self._key(account.id, recipient.number))
                if found is not None:  # else it was never counted exactly
                    found.fresh -= 1

    def fresh(self) -> Iterator[tuple[int, Key, Count]]:
        """What other processes have not heard of: hour, key, count."""
        for hour, counts in self._hot.items():
            for key, count in counts.items():
                if count.fresh:
                    yield hour, key, count

    def _hours(self, placed: Placed) -> Sequence[int] | None:
        """The hour of each message; None where all are due in the one under way, as nearly always."""
        keys = placed.keys
        if max(keys, default=0) < self._ends_us:
            return None
        return [self._window if key < self._ends_us else key // _HOUR_US * HOUR_S for key in keys]

    def _sketch_of(self, hour: int) -> Sketch:
        if hour == self._window:
            if self._sketch is None:
                self._sketch = Sketch()
            return self._sketch
        if self._ahead is None or self._ahead.stray > AHEAD_STRAY_MAX:
            self._ahead = Sketch()
        return self._ahead

    def _key(self, account_id: int, number: str) -> Key:
        # Kept until its hour is over, and under a hash that nobody without the installation's key can look up.
        digest = blake2b(number.encode(), digest_size=8, key=self._secret).hexdigest()
        return account_id, int(Kind.TO_NUMBER), digest

    def _count(self, account_id: int, number: str, hour: int) -> Count:
        counts, key = self._hot.setdefault(hour, {}), self._key(account_id, number)
        found = counts.get(key)
        if found is None:
            if self._hot_count >= HOT_NUMBERS_MAX:
                self._hot.clear()
                self._known.clear()
                self._hot_count = 0
                counts = self._hot.setdefault(hour, {})
            found = counts[key] = Count()
            self._hot_count += 1
        return found
