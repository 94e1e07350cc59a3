"""Accounts whose balance somebody else has locked are refused for a while, so that others do not wait with them.

A batch is one transaction over many accounts: one that waits for a lock would make all of them wait, in this batch and
in the next ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chappe.actions.accept import accept
from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Moment
from chappe.observability.logs import get_logger
from chappe.store import balances
from chappe.store.database import Database, LockHeld
from chappe.store.messages import Placed

log = get_logger("chappe.accept")

BARRED_S = 5.0
ROUNDS_MAX = 3


class Locked:
    """The accounts that are known to be locked by others; one for each process. now: a monotonic clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._until: dict[int, float] = {}

    async def accept(self, database: Database, batch: Sequence[Placed], moment: Moment) -> list[Accepted | Refusal]:
        """As accept.accept, but those of locked accounts are refused, queue_failed: nothing of theirs is stored."""
        outcomes: dict[int, Accepted | Refusal] = {}
        waiting = list(range(len(batch)))
        for _ in range(ROUNDS_MAX):
            if self._until:
                self._forget()
                outcomes |= {p: Refusal("queue_failed") for p in waiting if batch[p].send.account.id in self._until}
                waiting = [place for place in waiting if place not in outcomes]
            if not waiting:
                break
            try:
                told = await accept(database, [batch[place] for place in waiting], moment)
            except LockHeld:
                await self._look(database, {batch[place].send.account.id for place in waiting})
                continue
            outcomes.update(zip(waiting, told, strict=True))
            break
        return [outcomes.get(place) or Refusal("queue_failed") for place in range(len(batch))]

    def _forget(self) -> None:
        now = self._now()
        self._until = {account_id: until for account_id, until in self._until.items() if until > now}

    async def _look(self, database: Database, accounts: set[int]) -> None:
        found = await balances.locked(database, sorted(accounts))
        if found:
            log.error("accounts_locked", accounts=len(found), barred_s=BARRED_S)
        self._until |= dict.fromkeys(found, self._now() + BARRED_S)
