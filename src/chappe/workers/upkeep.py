"""Upkeep: what is due leaves the waiting lanes, stray receipts find their messages, silence becomes an end.

One process of an installation does it at a time, by lease. What somebody waits for runs in one loop, housekeeping
beside it in another; each task has a share of time, and whatever fails in one is told and keeps no other from its turn.

The lease is renewed on its own. A task asks before each batch whether it is still ours by our own clock; a batch that
was begun before, in a process that stood still, does no harm: rows are claimed with locks, and cursors move in the
same transaction as what they passed.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from chappe.actions import inbound, upkeep
from chappe.actions.budget import Budget
from chappe.actions.upkeep import Task
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import troubles, webhooks
from chappe.store.database import CONNECTION_ERRORS, RETRY_ERRORS, Database, DatabaseError
from chappe.store.database.outage import DatabaseAway
from chappe.store.queue_head import Pace
from chappe.store.upkeep_due import Signs
from chappe.workers.process_identity import is_dead

log = get_logger("chappe.upkeep")

LEASE = "upkeep"
LEASE_S = 10.0
RENEW_S = 3.0
TICK_S = 0.5
GATHER_S = 0.05
FAILED_S_MAX = 60.0  # the longest pause before a task that fails is tried again
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
        self._spent: set[str] = set()  # tasks that have more to do than their share of time allowed
        self._ours_until = float("-inf")  # by our clock
        self._pace = Pace()  # of asking what there is to do: it takes long while somebody keeps the rows that are gone
        self._signs_at = float("-inf")  # when it is asked next
        self._signs: Signs | None = None  # as they were asked last
        self._housekeeping: asyncio.Task[None] | None = None
        self._failures: dict[str, int] = {}  # of tasks, one after the other
        self._troubled: set[str] | None = None  # tasks that failed when they were last tried; None: not read yet
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
        keeping = loop.create_task(self._keep_lease())
        while not self._stopping:
            self._event.clear()
            if self._is_ours() and (self._spent or loop.time() >= self._signs_at):
                await self._round(loop.time())
            if self._is_ours() and self._spent:
                await asyncio.sleep(0)  # others in this process have their turn
                continue
            try:
                async with asyncio.timeout(TICK_S):
                    await self._event.wait()
                    await asyncio.sleep(GATHER_S)  # changes come in flocks
            except TimeoutError:
                pass
        if self._housekeeping is not None:
            await asyncio.wait([self._housekeeping])
        keeping.cancel()
        await asyncio.wait([keeping])
        try:
            await webhooks.drop_lease(self._database, LEASE, self._owner)
        except CONNECTION_ERRORS:
            log.warning("upkeep_ends_without_database")

    # -- the lease

    async def _keep_lease(self) -> None:
        """Takes and renews it, however long tasks last, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            was_ours = self._is_ours()
            try:
                if await self._lease():
                    self._ours_until = asked_at + LEASE_S
                else:
                    self._ours_until = float("-inf")
            except (*CONNECTION_ERRORS, DatabaseError) as error:
                self._tell_away(error)
            if self._is_ours() and not was_ours:
                self._event.set()
            await asyncio.sleep(RENEW_S)  # the pace of renewing

    def _is_ours(self) -> bool:
        return asyncio.get_running_loop().time() < self._ours_until

    async def _lease(self) -> bool:
        """Takes or renews the lease, from a dead neighbour at once."""
        if await webhooks.take_lease(self._database, LEASE, self._owner, LEASE_S):
            return True
        holder = await webhooks.holder(self._database, LEASE)
        if holder and not is_dead(holder):
            return False
        await webhooks.drop_lease(self._database, LEASE, holder)
        return await webhooks.take_lease(self._database, LEASE, self._owner, LEASE_S)

    # -- the tasks

    async def _round(self, now_s: float) -> None:
        """What is due and has signs, and what did not come to its end. Housekeeping goes on beside it."""
        fresh = now_s >= self._signs_at
        first, *others = upkeep.TASKS
        try:
            if self._troubled is None:
                await inbound.try_again(self._database)  # this may be another version than the one that put them aside
                self._troubled = {one.task for one in await troubles.read(self._database)}
            if fresh:
                await self._ask()
            if self._is_due(first, now_s, fresh=fresh):
                await self._perform(first)
            if self.book.routes is None:  # the others go by what it reads
                return
            for task in others:
                if not task.housekeeping and self._is_due(task, now_s, fresh=fresh):
                    self._spent.discard(task.name)
                    if await self._perform(task):
                        self._spent.add(task.name)
        except (*CONNECTION_ERRORS, DatabaseError) as error:
            self._tell_away(error)
            self._spent.clear()  # with the pace of ticks, not at once
            return
        if self._housekeeping is None or self._housekeeping.done():
            due = [task for task in others if task.housekeeping and self._is_due(task, now_s, fresh=fresh)]
            if due:
                self._housekeeping = asyncio.get_running_loop().create_task(self._keep_house(due))

    async def _ask(self) -> None:
        """Asks what there is to do, so that it takes a small share of the time at most."""
        loop = asyncio.get_running_loop()
        began_s = self._signs_at = loop.time()
        self._signs = await upkeep.signs(self._database, datetime.now(UTC), self.book)
        ended_s = loop.time()
        self._pace.took(ended_s - began_s)
        if self._signs_at == began_s:  # else the configuration changed meanwhile
            # half a tick of grace: where it is quick, every tick asks
            self._signs_at = ended_s + min(self._pace.rest_s, SIGNS_S_MAX) - TICK_S / 2

    def _is_due(self, task: Task, now_s: float, *, fresh: bool) -> bool:
        """fresh: the signs were asked in this round."""
        due_s = self._next.get(task.name)
        # For the first time, or since the configuration changed: whatever the signs say.
        if due_s is None or task.name in self._spent:
            return True
        return fresh and self._signs is not None and now_s >= due_s and task.wanted(self._signs, self.book)

    async def _keep_house(self, due: list[Task]) -> None:
        """What is due of housekeeping; a task that has more to do is the next again, behind the others."""
        try:
            while due and not self._stopping:
                due = [task for task in due if await self._perform(task)]
        except (*CONNECTION_ERRORS, DatabaseError) as error:
            self._tell_away(error)

    async def _perform(self, task: Task) -> bool:
        """Runs a task for its share of time; whether it has more to do. Raises one of CONNECTION_ERRORS; of any other
        error it tells and goes on: the next try is later each time, a minute at most."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self._next[task.name] = began_s + task.every_s
        ends_s = began_s + task.budget_s
        budget = Budget(lambda: loop.time() < ends_s and self._is_ours() and not self._stopping)
        try:
            moved = await task.run(self._database, datetime.now(UTC), self.book, budget)
        except BaseException as error:
            if task is upkeep.TASKS[0]:
                self._next.pop(task.name, None)
            if isinstance(error, CONNECTION_ERRORS) or not isinstance(error, Exception):
                raise
            await self._failed(task, error)
            return False
        if moved:
            self._moved.set()
        self._failures.pop(task.name, None)
        if self._troubled and task.name in self._troubled:
            await troubles.end(self._database, task.name)
            self._troubled.discard(task.name)
        return budget.spent and self._is_ours() and not self._stopping

    async def _failed(self, task: Task, error: Exception) -> None:
        if isinstance(error, RETRY_ERRORS):  # a deadlock, a lock held for too long: the next try is the cure
            log.warning("upkeep_rolled_back", task=task.name, error=type(error).__name__)
            return
        times = self._failures[task.name] = self._failures.get(task.name, 0) + 1
        again_s = max(task.every_s, min(2.0**times, FAILED_S_MAX))
        self._next[task.name] = asyncio.get_running_loop().time() + again_s
        log.error("upkeep_failed", task=task.name, times=times, again_in_s=again_s, exc_info=error)
        metrics().count("chappe_failures_total", task=task.name)
        if self._troubled is not None:
            self._troubled.add(task.name)
        await troubles.note(self._database, task.name, type(error).__name__)

    def _tell_away(self, error: Exception) -> None:
        if not isinstance(error, DatabaseAway):  # that has been told
            log.warning("upkeep_waits_for_database", error=type(error).__name__)
