"""How often one account may ask, and how much at once: its own limit for all requests, the providers' for dear ones.

Counted by process: with several API processes an account may ask a little more often.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from chappe.core.model import Account
from chappe.dialects import Dialect

KEPT_MAX: Final = 20_000
_ROUNDING: Final = 1e-6

_Key = tuple[int, str, str]


class Rates:
    """Token buckets of accounts; the longest unused are forgotten, and then full again."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # The limit that it was made for, the tokens left, and when. Lists: every request takes one.
        self._buckets: OrderedDict[_Key, list[float]] = OrderedDict()

    def allow(self, account: Account, dialect: Dialect, verb: str) -> bool:
        """Whether the account may ask this now; a yes counts."""
        own = account.settings.requests_per_minute
        if own and not self._take((account.id, "", ""), own):
            return False
        limit = dialect.CALLS_PER_MINUTE.get(verb)
        return limit is None or self._take((account.id, dialect.NAME, verb), limit)

    def allow_question(self, account: Account) -> bool:
        """Whether the account may ask what sends nothing; a yes counts."""
        own = account.settings.questions_per_minute
        return not own or self._take((account.id, "", "?"), own)

    def _take(self, key: _Key, per_minute: int) -> bool:
        now_s = self._now()
        bucket = self._buckets.get(key)
        if bucket is None or bucket[0] != per_minute:
            while len(self._buckets) >= KEPT_MAX:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = [per_minute, float(per_minute), now_s]
        _, tokens, at_s = bucket
        if now_s > at_s:  # a clock that steps back gives nothing and takes nothing
            tokens = min(float(per_minute), tokens + (now_s - at_s) * per_minute / 60)
            bucket[2] = now_s
        self._buckets.move_to_end(key)
        if tokens < 1 - _ROUNDING:
            bucket[1] = tokens
            return False
        bucket[1] = tokens - 1
        return True


class UnderWay:
    """What each account has under way at once: whoever has `most` begins nothing more until something of his ends."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[Hashable, int] = {}

    def of(self, account_id: Hashable) -> int:
        """How much of this account is under way."""
        return self._of.get(account_id, 0)

    def begin(self, account_id: Hashable, weight: int = 1) -> bool:
        """Whether the account may begin this; a yes counts until end()."""
        before = self._of.get(account_id, 0)
        if before >= self._most:
            return False
        self._of[account_id] = before + weight
        return True

    def end(self, account_id: Hashable, weight: int = 1) -> None:
        left = self._of[account_id] - weight
        if left:
            self._of[account_id] = left
        else:
            del self._of[account_id]
