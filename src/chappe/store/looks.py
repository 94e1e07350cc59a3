"""From which keys on the head of a queue is looked for: rows that are gone but not cleared away yet must cost little.

A claim deletes rows; while somebody holds a snapshot (a dump, a forgotten transaction) they stay in the table and its
index, and each look from the beginning of a lane walks over all of them: 100,000 take 30 to 60 ms. So when a whole look
was slow, the next ones begin where the last one ended. Nothing is left behind: what comes below such a bound, since it
goes back to its old place or was stored by a clock that is late, is found by the next whole look; there is one after
AGAIN_S, or after SHARE times as long as whole looks take. What was stored within NEW_MICROS is found by every look, so
that accounts have their fair turns. Where whole looks are quick, every look is one.

Lanes are those of binds, those that wait for a time, and the hosts of webhooks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

KEY_MIN = -(1 << 63)
SLOW_S = 0.05
ROW_S = 0.0001  # so much a row that was found is no sign of rows that are gone
AGAIN_S = 1.0
SHARE = 10
NEW_MICROS = 1_000_000
LANES_MAX = 300  # each costs a look of its own; what was found longest ago waits for whole ones


class Pace:
    """How long a look is not repeated, so that looks take a share of the time at most.

    A single one may be slow for other reasons than rows that are gone: of the last two the quicker counts.
    """

    def __init__(self) -> None:
        self.took_s = 0.0  # the last one
        self._before_s = 0.0

    def took(self, seconds: float) -> None:
        """One has ended."""
        self._before_s, self.took_s = self.took_s, seconds

    @property
    def rest_s(self) -> float:
        """From the end of one to the next."""
        return SHARE * min(self.took_s, self._before_s)


class Looks:
    """The bounds of somebody's lanes. Clocks are the caller's: seconds of one that never goes back, and keys of now."""

    def __init__(self) -> None:
        # By lane: what stood below was taken when something was last taken there. The last that was found stands last.
        self._bounds: dict[int, int] = {}
        self._pace = Pace()  # of whole looks
        self._whole_at_s = 0.0

    @property
    def slow(self) -> bool:
        """Whether the last whole look was."""
        return self._pace.took_s >= SLOW_S

    @property
    def known(self) -> list[int]:
        """The lanes from which something was taken since whole looks are slow, those first that have waited longest."""
        return list(self._bounds)

    def bounds(self, lanes: Sequence[int], at_s: float) -> list[int] | None:
        """Of each lane the key from which on it is looked at; None: everywhere."""
        if not self.slow or at_s - self._whole_at_s >= max(AGAIN_S, self._pace.rest_s):
            return None
        return [self._bounds.get(lane, KEY_MIN) for lane in lanes]

    def looked(
        self,
        claimed: Iterable[tuple[int, int]],
        *,
        whole: bool,
        now_key: int,
        ended_s: float,
        took_s: float,
        passed_over: Iterable[int] = (),
    ) -> None:
        """A look has ended. claimed: (lane, key) of what it found, in each lane's order; whole: it had no bounds.
        passed_over: lanes that even a whole one left out: each is looked at from its beginning the next time.

        Where it found nothing, bounds stay: what had ended or opted out was taken away without being told of.
        """
        found = list(claimed)
        if whole:
            self._pace.took(max(0.0, took_s - ROW_S * len(found)))
            self._whole_at_s = ended_s
        if not self.slow:
            self._bounds.clear()
            return
        for lane, key in dict(found).items():  # the last of each lane
            self._set(lane, min(key, now_key - NEW_MICROS))
        if whole:
            for lane in passed_over:
                self._set(lane, KEY_MIN)

    def _set(self, lane: int, bound: int) -> None:
        self._bounds.pop(lane, None)
        self._bounds[lane] = bound
        if len(self._bounds) > LANES_MAX:
            del self._bounds[next(iter(self._bounds))]
