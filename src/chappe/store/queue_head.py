"""From which keys on the head of a queue is looked for: rows that are gone but not cleared away yet must cost little.

A claim deletes rows; while somebody holds a snapshot (a dump, a forgotten transaction) they stay in the table and its
index, and each look from the beginning of a lane walks over all of them: 100,000 take 15 to 35 ms. So when whole looks
are slow, the next ones begin where the last one ended. Nothing is left behind: what comes below such a bound, since it
goes back to its old place or was stored by a clock that is late, is found by the next whole look; there is one after
SHARE times as long as they take. What was stored within NEW_MICROS is found by every look, so that accounts have their
fair turns. Where whole looks are quick, every look is one.

Lanes are those of binds, those that wait for a time, and the hosts of webhooks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

KEY_MIN = -(1 << 63)
SLOW_S = 0.01
ROW_S = 0.0001  # so much a row that was found is no sign of rows that are gone
SHARE = 20  # no more than a twentieth of the time is spent on whole looks that are slow
AGAIN_S = SHARE * SLOW_S  # the shortest pause between such looks
NEW_MICROS = 1_000_000
LANES_MAX = 300  # each costs a look of its own; what was found longest ago waits for whole ones


class Pace:
    """How long a look is not repeated, so that looks take a share of the time at most.

    A single one may be slow for other reasons than rows that are gone: of the last two the quicker counts.
    """

    def __init__(self) -> None:
        self._last_two = (0.0, 0.0)

    def took(self, seconds: float) -> None:
        """One has ended."""
        self._last_two = (self._last_two[1], seconds)

    @property
    def look_s(self) -> float:
        """How long one takes."""
        return min(self._last_two)

    @property
    def rest_s(self) -> float:
        """From the end of one to the next."""
        return SHARE * self.look_s


class Looks:
    """The bounds of somebody's lanes. Clocks are the caller's: seconds of one that never goes back, and keys of now."""

    def __init__(self) -> None:
        # By lane: what stood below was taken when something was last taken there. The last that was found stands last.
        self._bounds: dict[int, int] = {}
        self._pace = Pace()  # of whole looks
        self._whole_at_s = 0.0

    @property
    def slow(self) -> bool:
        """Whether whole looks are."""
        return self._pace.look_s >= SLOW_S

    @property
    def known(self) -> list[int]:
        """The lanes in which something was found lately, those first where that is longest ago."""
        return list(self._bounds)

    def bounds(self, lanes: Sequence[int], at_s: float) -> list[int] | None:
        """Of each lane the key from which on it is looked at; None: everywhere."""
        if not self.slow or at_s - self._whole_at_s >= max(AGAIN_S, self._pace.rest_s):
            return None
        return [self._bounds.get(lane, KEY_MIN) for lane in lanes]

    def looked(
        self,
        last: Mapping[int, int],
        *,
        whole: bool,
        now_key: int,
        ended_s: float,
        took_s: float,
        found: int = 0,
        empty: Iterable[int] = (),
        passed_over: Iterable[int] = (),
    ) -> None:
        """A look has ended that found so many rows. last: the last one's key, of each lane in which there were any;
        whole: it had no bounds. empty: lanes in which it would have found more. passed_over: lanes that even a whole
        one left out: each is looked at from its beginning the next time.

        Where it found nothing, bounds stay: what had ended or opted out was taken away without being told of.
        """
        if whole:
            self._pace.took(max(0.0, took_s - ROW_S * found))
            self._whole_at_s = ended_s
        for lane, key in last.items():  # also while looks are quick: for the time when they are not
            self._set(lane, min(key, now_key - NEW_MICROS))
        for lane in empty:
            if lane not in self._bounds:
                self._set(lane, now_key - NEW_MICROS)
        if whole and self.slow:
            for lane in passed_over:
                self._set(lane, KEY_MIN)

    def _set(self, lane: int, bound: int) -> None:
        self._bounds.pop(lane, None)
        self._bounds[lane] = bound
        if len(self._bounds) > LANES_MAX:
            del self._bounds[next(iter(self._bounds))]
