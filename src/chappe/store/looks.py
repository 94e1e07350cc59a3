"""From which keys on a bind looks for its next messages: rows that are gone but not cleared away yet must cost little.

A claim deletes rows; while somebody holds a snapshot (a dump, a forgotten transaction) they stay in the table and its
index, and each look from the beginning of a lane walks over all of them: 100,000 take 60 ms. So when a whole look was
slow, the next ones begin where the last one ended. Nothing is left behind: what comes below such a bound, since it goes
back to its old place or was accepted by a clock that is late, is found by the next whole look; there is one after
AGAIN_S, or after SHARE times as long as the last one took. What was accepted within NEW_MICROS is found by every look,
so that accounts have their fair turns. Where whole looks are quick, every look is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

KEY_MIN = -(1 << 63)
SLOW_S = 0.05
AGAIN_S = 1.0
SHARE = 10
NEW_MICROS = 1_000_000


class Looks:
    """The bounds of one bind's lanes. Clocks are the caller's: seconds of one that never goes back, and keys of now."""

    def __init__(self) -> None:
        self._bounds: dict[int, int] = {}  # by lane: what stood below was taken when something was last taken there
        self._took_s = 0.0  # the last whole look
        self._whole_at_s = 0.0

    def bounds(self, lanes: Sequence[int], at_s: float) -> list[int] | None:
        """Of each lane the key from which on it is looked at; None: everywhere."""
        if self._took_s < SLOW_S or at_s - self._whole_at_s >= max(AGAIN_S, SHARE * self._took_s):
            return None
        return [self._bounds.get(lane, KEY_MIN) for lane in lanes]

    def looked(
        self, claimed: Iterable[tuple[int, int]], *, whole: bool, now_key: int, ended_s: float, took_s: float
    ) -> None:
        """A look has ended. claimed: (lane, key) of what it found, in each lane's order; whole: it had no bounds.

        Where it found nothing, bounds stay: what had ended or opted out was taken away without being told of.
        """
        if whole:
            self._took_s = took_s
            self._whole_at_s = ended_s
        if self._took_s < SLOW_S:
            self._bounds.clear()
            return
        for lane, key in dict(claimed).items():  # the last of each lane
            self._bounds[lane] = min(key, now_key - NEW_MICROS)
