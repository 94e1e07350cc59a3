"""Upkeep: what is due leaves the waiting lanes, stray receipts find their messages, silence becomes an end.

One process of an installation does it at a time, by lease.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from chappe.actions import upkeep
from chappe.observe import get_logger
from chappe.store import webhooks
from chappe.store.database import CONNECTION_ERRORS, Database, DatabaseError
from chappe.store.looks import Pace
from chappe.store.outage import DatabaseAway
from chappe.workers.owner import is_dead

log = get_logger("chappe.upkeep")

LEASE = "upkeep"
LEASE_S = 10.0
RENEW_S = 3.0
TICK_S = 0.5
GATHER_S = 0.05
SIGNS_S_MAX = 10.0  # the longest pause between two questions what there is to do


class Upkeep:
    """Runs the tasks of actions/upkeep.py, each at its own pace, until stop(). moved: called when lanes were filled."""

    def __init__(self, database: Database, owner: str, moved: asyncio.Event) -> None:
        self._database = database
        self._owner = owner
        self._moved = moved
        self._stopping = False
        self._event = asyncio.Event()
        self._next: dict[str, float] = {}
        self._ours = False
        self._renewed_at = float("-inf")
        self._pace = Pace()  # of asking what there is to do: it takes long while somebody keeps the rows that are gone
        self._signs_at = float("-inf")  # when it is asked next
        self.book = upkeep.Book()

    async def stop(self) -> None:
        self._stopping = True
        self._event.set()

    def changed(self) -> None:
        """The configuration changed: look at once, and move what may move now."""
        for name in upkeep.BY_CONFIGURATION:
            self._next.pop(name, None)
        self._signs_at = float("-inf")
        self._event.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping:
            self._event.clear()
            try:
                if loop.time() - self._renewed_at > RENEW_S:
                    self._ours = await self._lease()
                    self._renewed_at = loop.time()
                if self._ours and loop.time() >= self._signs_at:
                    await self._tasks(loop.time())
            except (*CONNECTION_ERRORS, DatabaseError) as error:
                if not isinstance(error, DatabaseAway):  # that has been told
                    log.warning("upkeep_waits_for_database", error=type(error).__name__)
            try:
                async with asyncio.timeout(TICK_S):
                    await self._event.wait()
                    await asyncio.sleep(GATHER_S)  # changes come in flocks
            except TimeoutError:
                pass
        try:
            await webhooks.drop_lease(self._database, LEASE, self._owner)
        except CONNECTION_ERRORS:
            log.warning("upkeep_ends_without_database")

    async def _lease(self) -> bool:
        """Takes or renews the lease, from a dead neighbour at once."""
        if await webhooks.take_lease(self._database, LEASE, self._owner, LEASE_S):
            return True
        holder = await webhooks.holder(self._database, LEASE)
        if holder and not is_dead(holder):
            return False
        await webhooks.drop_lease(self._database, LEASE, holder)
        return await webhooks.take_lease(self._database, LEASE, self._owner, LEASE_S)

    async def _tasks(self, now_s: float) -> None:
        loop = asyncio.get_running_loop()
        began_s = self._signs_at = loop.time()
        signs = await upkeep.signs(self._database, datetime.now(UTC), self.book)
        ended_s = loop.time()
        self._pace.took(ended_s - began_s)
        if self._signs_at == began_s:  # else the configuration changed meanwhile
            # half a tick of grace: where it is quick, every tick asks
            self._signs_at = ended_s + min(self._pace.rest_s, SIGNS_S_MAX) - TICK_S / 2
        for task in upkeep.TASKS:
            due_s = self._next.get(task.name)
            # For the first time, or since the configuration changed: whatever the signs say.
            if due_s is not None and (now_s < due_s or not task.wanted(signs, self.book)):
                continue
            self._next[task.name] = now_s + task.every_s
            try:
                moved = await task.run(self._database, datetime.now(UTC), self.book)
            except BaseException:
                if task is upkeep.TASKS[0]:  # the others go by what it reads: until it has, it is the first again
                    self._next.pop(task.name, None)
                raise
            if moved:
                self._moved.set()
