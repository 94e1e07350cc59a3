"""Delivering: takes the leases of binds that nobody drives, runs a pump for each, follows the operator's changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec

from chappe.actions.windows import Windows
from chappe.carriers import Link, LinkState
from chappe.carriers.registry import kind_of, policy_of, rest_of, rules_of
from chappe.core.carrier_config import Carrier
from chappe.core.routing import Router
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import binds, carriers, workers
from chappe.store.binds import BindKey, Lease, LeaseLost
from chappe.store.database import CONNECTION_ERRORS, Database, DatabaseError
from chappe.store.database.outage import DatabaseAway
from chappe.workers.bind_driver import Pump
from chappe.workers.bind_share import Share
from chappe.workers.in_flight import Rules
from chappe.workers.left_in_flight import recover
from chappe.workers.process_identity import is_dead

log = get_logger("chappe.deliver")

LEASE_S = 6.0
ROUND_S = 1.5  # how often leases are renewed and free ones looked for
RENEWED_AT_ONCE = 2  # of those whose row was locked: others need connections as well
LOCKED_S = 0.5  # how long one of them is waited for; then it has its turn in the next round
AWAY_TOLD_S = 300.0  # how often it is said that a carrier is not reached
READ_ROUNDS = 10  # after so many the carriers are read again, although nobody said that they have changed
AGAIN_S_MIN = 1.0  # before a bind whose pump failed is driven again; doubled each time
AGAIN_S_MAX = 60.0
STEADY_S = 120.0  # a pump that lived so long begins again with the shortest delay


@dataclass(slots=True)
class _Running:
    pump: Pump
    task: asyncio.Task[None]
    carrier: Carrier
    began_at: float


class Deliver:
    """Drives binds until stop(). told: called when webhooks may have been written."""

    def __init__(
        self, database: Database, owner: str, told: Callable[[], None], windows: Windows | None = None
    ) -> None:
        self._windows = windows
        self._windows_stale = True
        self._router = Router([])
        self._carriers: dict[int, Carrier] = {}  # those that are enabled, as they were read last
        self._rounds_left = 0  # until they are read again
        self._database = database
        self._owner = owner
        self._told = told
        self._running: dict[BindKey, _Running] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._not_before: dict[BindKey, float] = {}  # when a bind whose pump failed is driven again
        self._delay_s: dict[BindKey, float] = {}
        self._away: dict[str, tuple[float, float]] = {}  # carriers that are not reached: since when, and when told last
        self._event = asyncio.Event()
        self._share: Share[BindKey] = Share()
        self._stopping = False

    def changed(self) -> None:
        """The configuration changed: look at once."""
        self._windows_stale = True
        self._rounds_left = 0
        self._event.set()

    def ring(self) -> None:
        """There is something in the outbox."""
        for running in self._running.values():
            running.pump.wake()

    async def run(self) -> None:
        renewing = asyncio.get_running_loop().create_task(self._keep_leases())
        while not self._stopping:
            await self._guarded("deliver", self._round)
            try:
                async with asyncio.timeout(ROUND_S):
                    await self._event.wait()
            except TimeoutError:
                pass
            self._event.clear()
        await self._end_all()
        renewing.cancel()
        await asyncio.wait([renewing])
        try:
            await workers.leave(self._database, self._owner)
        except (*CONNECTION_ERRORS, DatabaseError):
            log.warning("worker_ends_without_database")

    async def _guarded(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """One step of ours. What fails in it is told and tried again in the next: every carrier's connection would end
        with this process."""
        try:
            await step()
        except (*CONNECTION_ERRORS, DatabaseError) as error:
            if not isinstance(error, DatabaseAway):  # that has been told
                log.warning(f"{name}_waits_for_database", error=type(error).__name__)
        except Exception as error:
            log.error(f"{name}_failed", exc_info=error)
            metrics().count("chappe_failures_total", task=name)

    async def stop(self) -> None:
        self._stopping = True
        self._event.set()

    async def _round(self) -> None:
        if self._windows is not None and self._windows_stale:
            self._windows_stale = False  # before it is read: what changes meanwhile is read once more
            try:
                await self._windows.refresh(self._database)
            except BaseException:
                self._windows_stale = True  # nothing leaves by profiles that were not read
                raise
        known = await self._known()
        others = [one for one in await workers.enlist(self._database, self._owner, LEASE_S) if not is_dead(one)]
        self._share.hear(sum(carrier.settings.binds for carrier in known.values()), len(others))
        for bind, running in list(self._running.items()):  # nothing is awaited in here: tasks that end change the table
            if running.task.done():
                self._buried(bind, running)
                continue
            found = known.get(bind.carrier_id)
            if found is not None and found == msgspec.structs.replace(running.carrier, learnt=found.learnt):
                if found.learnt != running.carrier.learnt:
                    running.pump.link.follow(found)
                running.carrier = found
            if found != running.carrier or bind.slot >= running.carrier.settings.binds:
                self._end(bind, running)
            else:
                self._leave_to_others(bind, running)
        self._tell_of_carriers()
        for owner in await binds.owners(self._database):
            if owner != self._owner and is_dead(owner):
                await binds.expire(self._database, owner)
        free = await binds.free(self._database, self._owner)
        self._share.still_free(free)
        await self._recover_surplus(known)
        for bind in free:
            found = known.get(bind.carrier_id)
            if found is None or bind in self._running or bind.slot >= found.settings.binds or self._is_ending(bind):
                continue
            now = asyncio.get_running_loop().time()
            if self._not_before.get(bind, 0.0) > now or not self._share.wants(bind, len(self._running), now):
                continue
            try:
                rules, policy = Rules(found.id, *rules_of(found)), policy_of(found).receipts
            except ValueError as error:
                # One carrier that cannot be understood (settings of another version) must not stop the others.
                log.error("carrier_settings_unusable", carrier=found.name, error=str(error))
                continue
            asked_at = asyncio.get_running_loop().time()
            taken = await binds.take(self._database, bind, self._owner, LEASE_S)
            if taken is not None:
                self._begin(bind, taken, found, rules, policy)
                self._direct(bind, self._running[bind].pump)
                self._running[bind].pump.link.allow(asked_at + LEASE_S)

    async def _known(self) -> dict[int, Carrier]:
        """The enabled carriers, each with as many rows of binds as it should have. Whoever changes one calls."""
        await binds.shorten(self._database)
        if self._rounds_left:
            self._rounds_left -= 1
            return self._carriers
        self._rounds_left = READ_ROUNDS  # before they are read: what changes meanwhile is read once more
        try:
            found = await carriers.all_carriers(self._database)
            self._carriers = {carrier.id: carrier for carrier in found if carrier.enabled}
            self._router = await carriers.router(self._database)
            for bind, running in self._running.items():
                self._direct(bind, running.pump)
            await binds.resize_all(
                self._database, {carrier.id: carrier.settings.binds for carrier in self._carriers.values()}
            )
        except BaseException:
            self._rounds_left = 0
            raise
        return self._carriers

    async def _recover_surplus(self, known: Mapping[int, Carrier]) -> None:
        """Decides about what is in flight on binds that nobody will drive: those above their carrier's number, and
        those of carriers that are out of use or gone. Of a carrier that is gone nothing is sent once more."""
        for bind in await binds.left(self._database):
            found = known.get(bind.carrier_id)
            if (found is not None and bind.slot < found.settings.binds) or bind in self._running:
                continue
            if found is None:
                every = await carriers.all_carriers(self._database)
                found = next((carrier for carrier in every if carrier.id == bind.carrier_id), None)
            rules, policy, name = Rules(bind.carrier_id, "hold"), 0, ""
            if found is not None:
                try:
                    rules, policy, name = Rules(found.id, *rules_of(found)), policy_of(found).receipts, found.name
                except (ValueError, KeyError):  # told where the carrier's other binds are looked at
                    continue
            taken = await binds.take(self._database, bind, self._owner, LEASE_S)
            if taken is not None:
                await recover(self._database, bind, taken, rules, policy, name)
                await binds.release(self._database, bind, taken.token)

    def _only_account(self, carrier_id: int) -> int:
        """The only account whose messages may leave through a carrier; 0: every account's."""
        demo = self._router.demo
        ours = demo.carrier == str(carrier_id) and not demo.everyone
        return demo.account_id if ours else 0

    def _direct(self, bind: BindKey, pump: Pump) -> None:
        """Tells a pump where messages may leave."""
        pump.account_id = self._only_account(bind.carrier_id)
        pump.serve_everyone(while_alone=self._router.demo.carrier == str(bind.carrier_id) and not pump.account_id)
        pump.router = self._router

    def _tell_of_carriers(self) -> None:
        """Says of a carrier that none of our binds reaches why, at once and again every few minutes, and that it is
        reached again."""
        now = asyncio.get_running_loop().time()
        links: dict[str, list[Link]] = {}
        for running in self._running.values():
            links.setdefault(running.carrier.name, []).append(running.pump.link)
        for name in [name for name in self._away if name not in links]:
            del self._away[name]
        for name, of_carrier in links.items():
            if any(link.state in (LinkState.BOUND, LinkState.PAUSED) for link in of_carrier):
                if self._away.pop(name, None) is not None:
                    log.info("carrier_reached", carrier=name)
                continue
            why = next((link.detail for link in of_carrier if link.detail), "")
            since_s, told_s = self._away.get(name, (now, float("-inf")))
            if why and now - told_s >= AWAY_TOLD_S:
                log.warning(
                    "carrier_unreachable", carrier=name, why=why, binds=len(of_carrier), for_s=round(now - since_s)
                )
                told_s = now
            if told_s > float("-inf"):
                self._away[name] = since_s, told_s

    def _leave_to_others(self, bind: BindKey, running: _Running) -> None:
        """Ends a bind of ours, in good order, that another worker should drive."""
        now = asyncio.get_running_loop().time()
        state = running.pump.link.state
        connected = state not in (LinkState.DOWN, LinkState.CONNECTING)
        if self._share.gives_up(bind, connected=connected, now=now):
            log.warning("bind_left_to_others", carrier=running.carrier.name, slot=bind.slot, why="no connection")
            self._end(bind, running)
        elif connected and not self._ending and self._share.is_surplus(len(self._running), now):
            log.info("bind_left_to_others", carrier=running.carrier.name, slot=bind.slot, why="more than our share")
            self._share.give_back(bind, now)
            self._end(bind, running)

    async def _keep_leases(self) -> None:
        """Renews what we hold, whatever a round waits for, until cancelled; also while pumps end in good order."""
        while True:
            if self._running:
                await self._guarded("leases", self._renew_all)
            await asyncio.sleep(ROUND_S)  # the pace of renewing

    async def _renew_all(self) -> None:
        """Renews the leases of all our binds in one statement; of those whose row was locked, as by a turn, each by
        itself, some at a time."""
        asked_at = asyncio.get_running_loop().time()
        held = {bind: running for bind, running in self._running.items() if not running.task.done()}
        leases = [_lease(bind, running) for bind, running in held.items()]
        outcome = await binds.renew_all(self._database, leases, LEASE_S)
        for lease in outcome.renewed:
            self._hold(held[lease.bind], asked_at)
        for lease in outcome.lost:
            self._lost(held[lease.bind], lease)
        waiting = asyncio.Semaphore(RENEWED_AT_ONCE)

        async def renew(lease: Lease) -> None:
            async with waiting:
                running = held[lease.bind]
                lease = _lease(lease.bind, running)  # its token may be another by now
                began_at = asyncio.get_running_loop().time()
                ours = await binds.renew_waiting(self._database, lease, LEASE_S, LOCKED_S)
                if ours:
                    self._hold(running, began_at)
                elif ours is False:
                    self._lost(running, lease)

        await asyncio.gather(*(renew(lease) for lease in outcome.busy))

    def _hold(self, running: _Running, asked_at: float) -> None:
        running.pump.link.allow(asked_at + LEASE_S)

    def _lost(self, running: _Running, lease: Lease) -> None:
        if lease.token == running.pump.token:  # else the pump has just taken a new token itself
            log.error("lease_lost", carrier=running.carrier.name, slot=lease.bind.slot)
            running.task.cancel()

    def _begin(self, bind: BindKey, taken: binds.Taken, carrier: Carrier, rules: Rules, policy: int) -> None:
        def make(wake: Callable[[], None]) -> Link:
            return kind_of(carrier).link(carrier, wake)

        pump = Pump(self._database, bind, taken, make, rules, policy, carrier.name, self._told, self._windows)
        task = asyncio.get_running_loop().create_task(pump.run())
        task.add_done_callback(lambda _: self._event.set())
        self._running[bind] = _Running(pump, task, carrier, asyncio.get_running_loop().time())
        log.info("bind_taken", carrier=carrier.name, slot=bind.slot)

    def _buried(self, bind: BindKey, running: _Running) -> None:
        """A pump has ended by itself: why is said, and its bind is taken anew in a later round, after a failure not at
        once: carriers bar those who bind again and again."""
        if self._running.get(bind) is not running:
            return
        del self._running[bind]
        if running.task.cancelled():
            return
        error = running.task.exception()
        if error is not None:
            now = asyncio.get_running_loop().time()
            steady = now - running.began_at > STEADY_S
            delay_s = AGAIN_S_MIN if steady else self._delay_s.get(bind, AGAIN_S_MIN)
            self._not_before[bind] = now + max(delay_s, rest_of(running.carrier))
            self._delay_s[bind] = min(delay_s * 2, AGAIN_S_MAX)
        if isinstance(error, LeaseLost):
            log.error("lease_lost", carrier=running.carrier.name, slot=bind.slot)
        elif isinstance(error, (*CONNECTION_ERRORS, DatabaseError)):
            log.error("pump_ended", carrier=running.carrier.name, slot=bind.slot, error=type(error).__name__)
        elif error is not None:
            log.error("pump_failed", carrier=running.carrier.name, slot=bind.slot, exc_info=error)

    def _end(self, bind: BindKey, running: _Running) -> None:
        """The carrier is gone, or is another: end in good order; a later round takes the bind anew if it should be."""

        async def end() -> None:
            await running.pump.stop()
            await asyncio.wait([running.task])
            try:
                # The lease rests with nobody for as long as the carrier wants between two sessions.
                await binds.release(self._database, bind, running.pump.token, rest_of(running.carrier))
            except (*CONNECTION_ERRORS, DatabaseError):
                log.warning("lease_not_released", carrier=running.carrier.name, slot=bind.slot)
            self._buried(bind, running)
            self._event.set()

        if self._is_ending(bind):
            return
        task = asyncio.get_running_loop().create_task(end(), name=str(bind))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _is_ending(self, bind: BindKey) -> bool:
        """Whether we still hold its lease, and are about to give it back."""
        return any(task.get_name() == str(bind) for task in self._ending)

    async def _end_all(self) -> None:
        for bind, running in list(self._running.items()):
            self._end(bind, running)
        while self._ending:
            await asyncio.wait(self._ending)


def _lease(bind: BindKey, running: _Running) -> Lease:
    link = running.pump.link
    return Lease(bind, running.pump.token, link.state.value, link.detail, link.figures())
