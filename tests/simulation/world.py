"""One run of the simulation: a seed, a world that breaks for so many steps, and then a calm in which all must finish.

Real are the store and its statements, the workers (leases, pumps, upkeep), the links and their sessions on both sides;
virtual are time, the network, and the processes. One generator, made from the seed, decides everything.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import time_machine
from durable import Server, Store
from law import Asked, Counts, Law
from network import Network, Weather
from smsc import Smsc, Watch
from virtual import Process, VirtualLoop, aware

from chappe.actions import accept, upkeep
from chappe.actions.windows import Windows
from chappe.carriers import Outgoing
from chappe.carriers.smpp import connecting, link
from chappe.carriers.smpp.link import SmppLink
from chappe.core import segments
from chappe.core.carrier_config import CarrierSettings
from chappe.core.errors import Refusal
from chappe.core.model import Account, AccountSettings, Moment, Recipient, Send
from chappe.core.window_profiles import PROFILES
from chappe.smpp.commands import SEQUENCE_MAX
from chappe.smpp.settings import Settings
from chappe.store import accounts, carriers
from chappe.store.database import CONNECTION_ERRORS
from chappe.workers.bind_leases import Deliver
from chappe.workers.upkeep import Upkeep

# A run begins up to half a minute before one of these. None is near a holiday. Times are UTC; Paris is an hour ahead,
# from 29 March on two.
MOMENTS = (
    aware(2026, 3, 3, 10, 0),
    aware(2026, 3, 4, 21, 0),  # closes
    aware(2026, 3, 5, 7, 0),  # opens
    aware(2026, 3, 7, 21, 0),  # Saturday: closes until Monday
    aware(2026, 3, 8, 12, 0),  # Sunday
    aware(2026, 3, 28, 21, 0),  # the night in which the clocks change
    aware(2026, 3, 30, 6, 0),
)
OPENING_MICROS = 100_000_000
PRICE_MICROS = 38_000
PROCESSES = ("api", "work-a", "work-b")
CALM_ROUNDS_MAX = 40
CALM_S = 60  # a breaker's pause, and a reconnection
QUIET_S = 2
# What ends by itself soon. Upkeep sorts the messages of subscribers, and after a death its lease needs ten seconds.
MOVING = """select exists (select from outbox where lane % 8 <> 7) or exists (select from bind where in_flight <> '{}')
    or exists (select from inbound where state = 0)"""
SETTINGS = {
    "response_timeout_s": "5",
    "enquire_link_interval_s": "10",
    "partial_pdu_timeout_s": "5",
    "write_timeout_s": "10",
    "bind_timeout_s": "5",
    "connect_timeout_s": "5",
    "unbind_timeout_s": "2",
    "reconnect_delay_s_min": "0.5",
    "reconnect_delay_s_max": "4",
    "already_bound_delay_s": "3",
    "uncertain_grace_s": "8",
    "breaker_failures": "4",
}
# What the program says only when something is wrong with itself.
ALARMS = {"pump_failed", "batch_failed", "answer_failed", "inbound_refused", "carrier_settings_unusable"}


@dataclass
class Report:
    seed: int
    steps: int
    began_at: datetime
    counts: Counts
    broken: list[str]
    virtual_s: float
    digest: str  # of all that was logged and when: the same seed gives the same


class Worker:
    """A work process: what drives binds, and upkeep."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.generation = 0
        self.start()

    def start(self) -> None:
        self.generation += 1
        self.process = Process(self.world.loop, f"{self.name}.{self.generation}")
        self.world.processes.append(self.process)
        self.store = self.world.store()
        self.process.context.run(self._begin)

    def _begin(self) -> None:
        moved = asyncio.Event()
        self.deliver = Deliver(self.store, self.process.name, lambda: None, self.world.windows())
        self.process.start(self.deliver.run())
        self.process.start(Upkeep(self.store, self.process.name, moved).run())
        self.process.start(self._pass_on(moved))

    async def _pass_on(self, moved: asyncio.Event) -> None:
        while True:
            await moved.wait()
            moved.clear()
            self.deliver.ring()

    def crash(self) -> None:
        self.process.kill()
        self.world.network.killed(self.process)


class World:
    """See run()."""

    def __init__(self, server: Server, seed: int, loop: VirtualLoop) -> None:
        self.server = server
        self.loop = loop
        self.first_sequence = SEQUENCE_MAX - 20 if seed % 2 else 1  # half of the runs meet the wrap of the numbers
        self.chance = random.Random(seed)
        self.law = Law(server, loop)
        self.network = Network(loop, self.chance, self.law.wrote)
        self.processes: list[Process] = []
        self.smscs: list[Smsc] = []
        self.workers: list[Worker] = []
        self.accounts: list[Account] = []
        self.numbers: list[str] = []
        self.api_store = self.store()
        self._tokens = 0
        self._digest = hashlib.sha256()
        loop.set_exception_handler(self._failed)

    def store(self) -> Store:
        return Store(self.server, self.loop, self.chance)

    def windows(self) -> Windows:
        return Windows({})

    def heard(self, event: str, told: object) -> None:
        """The program logs something."""
        self._digest.update(f"{self.loop.now_s:.6f} {event} {told}\n".encode())
        if event in ALARMS:
            self.law.breaks(f"the program says {event}: {told}")

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback failed, or a task whose end nobody has looked at: how the killed end is nobody's business."""
        task = context.get("future") or context.get("task")
        if not any(task in process.tasks for process in self.processes if not process.alive):
            error = context.get("exception")
            where = traceback.format_tb(error.__traceback__)[-3:] if error is not None else []
            self.law.breaks(f"{context['message']}: {error!r} {' '.join(where)}")

    # -- the beginning

    async def open(self) -> None:
        watch = Watch(self.law.arrived, self.law.took, self.law.acknowledged)
        for login in ("shop", "bank"):
            async with self.api_store.transaction() as tx:
                await accounts.create(tx, login, f"key of {login}", AccountSettings(), OPENING_MICROS)
            account = await accounts.by_login(self.api_store, login)
            assert account is not None
            self.accounts.append(account)
        for place in range(self.chance.choice((1, 1, 2))):
            port = 2775 + place
            window = self.chance.choice((1, 3, 10))
            settings = CarrierSettings(
                "carrier",
                port,
                "me",
                "secret",
                window=window,
                binds=self.chance.choice((1, 1, 2)),
                rate=self.chance.choice((0, 0, 0, 5, 50)),
                settings=SETTINGS | {"mode": self.chance.choice(("trx", "trx", "tx+rx"))},
            )
            await carriers.add(self.api_store, f"carrier-{place}", settings)
            await carriers.add_route(self.api_store, f"carrier-{place}", "", None, place)
            self.law.windows[port] = window
            self.smscs.append(Smsc(self.loop, self.network, self.chance, port, watch))
        self.router = await carriers.router(self.api_store)
        self.api = Process(self.loop, "api")
        self.processes.append(self.api)
        self.workers = [Worker(self, name) for name in PROCESSES[1:]]

    # -- what customers and subscribers do

    def ask(self) -> None:
        """A customer sends something; it is accepted in the API's own time."""
        self._tokens += 1
        chance = self.chance
        text = f"<{self._tokens}>"
        unicode = chance.random() < 0.1
        if chance.random() < 0.2:
            text = (text + ("Ж" if unicode else " ")) * chance.choice((20, 40, 60))
        parts = segments.count(text, unicode=unicode)[1]
        count = chance.choice((1, 1, 1, 2, 4))
        numbers: dict[str, None] = {}
        while len(numbers) < count:
            numbers[self._number()] = None
        account = chance.choice(self.accounts)
        later_s = chance.randint(3, 60) if chance.random() < 0.1 else 0
        send = Send(
            account=account,
            dialect="smspartner",
            text=text,
            recipients=tuple(Recipient(number, parts, PRICE_MICROS * parts) for number in numbers),
            sender="SHOP",
            transactional=chance.random() < 0.5,
            unicode=unicode,
            scheduled_at=self.loop.wall + timedelta(seconds=later_s) if later_s else None,
            report_url="https://customer.example/reports" if chance.random() < 0.3 else "",
        )
        asked = Asked(self._tokens, tuple(numbers), send.transactional, account.id)
        self.law.asked[asked.token] = asked
        self.law.counts.asked += 1
        self.api.start(self._accept(asked, send))

    def _number(self) -> str:
        if self.numbers and self.chance.random() < 0.2:
            return self.chance.choice(self.numbers)
        prefix = self.chance.choices(("+336", "+596696", "+262692"), (18, 1, 1))[0]
        number = prefix + str(self.chance.randrange(10**9)).zfill(9)[: 12 - len(prefix)]
        self.numbers.append(number)
        return number

    async def _accept(self, asked: Asked, send: Send) -> None:
        now = self.loop.wall
        placed = accept.place(send, now, self.router, PROFILES["fr-seed"])
        try:
            (outcome,) = await accept.accept(self.api_store, [placed], Moment(now))
        except CONNECTION_ERRORS:
            self.law.counts.unanswered += 1
            return
        if isinstance(outcome, Refusal):
            self.law.counts.refused += 1
            return
        asked.accepted = True
        self.law.counts.accepted += 1
        if self.chance.random() < 0.7:  # a call can be lost
            for worker in self.workers:
                worker.process.soon(worker.deliver.ring)

    def reply(self) -> None:
        """A subscriber answers."""
        if self.numbers:
            text = self.chance.choices(("STOP", "Stop svp", "merci", "START"), (4, 1, 3, 1))[0]
            self.chance.choice(self.smscs).write(self.chance.choice(self.numbers)[1:], "SHOP", text)

    # -- the two phases

    async def live(self, steps: int, faults: Callable[[World], Iterator[None]]) -> None:
        """Phase 1: things break; phase 2: they do not, and everything finishes."""
        await self.open()
        breaking = faults(self)
        for _ in range(steps):
            await asyncio.sleep(self.chance.expovariate(4.0))
            next(breaking)
            self.law.check()
            if self.law.broken:
                return
        self.calm()
        await self.finish()

    def calm(self) -> None:
        """Nothing breaks any more; what is down comes up."""
        self.network.weather = Weather()
        for end in self.network.ends:
            end.heal()
        for process in (*self.processes, *(smsc.process for smsc in self.smscs)):
            if process.stopped:
                process.resume()
        for worker in self.workers:
            worker.store.trouble.__init__()  # type: ignore[misc]
            if not worker.process.alive:
                worker.start()
        self.api_store.trouble.__init__()  # type: ignore[misc]
        for smsc in self.smscs:
            smsc.mood.__init__()  # type: ignore[misc]
            if not smsc.process.alive:
                smsc.start()

    async def finish(self) -> None:
        """Waits, from deadline to deadline, until every message has its end."""
        for _ in range(CALM_ROUNDS_MAX):
            await self._quiet()
            if self.law.broken or not self.law.unsettled():
                break
            self._leap()
            await self._silence()
        self.law.settled({account.id: OPENING_MICROS for account in self.accounts})

    async def _quiet(self) -> None:
        """Until nothing moves by itself any more, and for at most CALM_S."""
        quiet_s = 0
        for _ in range(CALM_S):
            await asyncio.sleep(1.0)
            self.law.check()
            if self.law.broken:
                return
            ((moving,),) = self.server.rows(MOVING)
            quiet_s = 0 if moving or any(smsc.owed for smsc in self.smscs) else quiet_s + 1
            if quiet_s >= QUIET_S:
                return

    def _leap(self) -> None:
        """To when the next message is due; where none waits, to when silence counts as an answer."""
        ((key,),) = self.server.rows("select min(key) from outbox where lane % 8 = 7")
        target = upkeep.SILENCE + timedelta(minutes=1)
        if key is not None:
            target = datetime.fromtimestamp(key / 1_000_000, self.loop.wall.tzinfo) - self.loop.wall
        elif self.server.rows("select true from outbox limit 1"):
            return
        if target > timedelta(seconds=1):
            self.loop.jump(target)

    async def _silence(self) -> None:
        """Upkeep does this every five minutes; nobody waits for them here."""
        if not self.server.rows("select true from outbox limit 1"):
            await upkeep.silence(self.api_store, self.loop.wall, upkeep.Book())

    async def close(self) -> None:
        for end in self.network.ends:
            end.abort()
        for process in (*self.processes, *(smsc.process for smsc in self.smscs)):
            await process.bury()

    def report(self, seed: int, steps: int, began_at: datetime) -> Report:
        return Report(
            seed, steps, began_at, self.law.counts, self.law.broken, self.loop.now_s, self._digest.hexdigest()[:16]
        )


def run(
    server: Server,
    seed: int,
    steps: int,
    faults: Callable[[World], Iterator[None]],
    kind: type[World] = World,
) -> Report:
    """One run, from the seed to its report."""
    chance = random.Random(seed)
    began_at = chance.choice(MOMENTS) - timedelta(seconds=chance.randint(0, 30))
    server.wall = began_at
    server.empty()
    random.seed(seed)  # jitter
    with time_machine.travel(began_at.timestamp(), tick=False) as traveller:

        def moved(wall: datetime) -> None:
            server.wall = wall
            traveller.move_to(wall.timestamp())

        loop = VirtualLoop(began_at, moved)
        world = kind(server, seed, loop)
        with _observed(world), _linked(world):
            try:
                loop.run_until_complete(world.live(steps, faults))
                loop.run_until_complete(world.close())
            finally:
                loop.close()
    return world.report(seed, steps, began_at)


@contextmanager
def _observed(world: World) -> Iterator[None]:
    """All that the program logs goes to the world, and nowhere else."""

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if hasattr(record, "fields"):  # ours; what libraries say is not part of the story
                world.heard(record.getMessage(), sorted((key, str(value)) for key, value in record.fields.items()))

    root = logging.getLogger()
    before, level = root.handlers, root.level
    root.handlers = [Ear()]
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.handlers = before
        root.setLevel(level)


@contextmanager
def _linked(world: World) -> Iterator[None]:
    """Links tell the law what they are given, and number their requests from where the world wants it."""

    class Watched(SmppLink):
        def send(self, messages: Sequence[Outgoing]) -> None:
            for message in messages:
                world.law.gives(message)
            super().send(messages)

    def numbered(**given: Any) -> Settings:
        return Settings(**given, first_sequence=world.first_sequence)

    before = link.SmppLink
    link.SmppLink = Watched  # type: ignore[misc]
    connecting.Settings = numbered  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        link.SmppLink = before  # type: ignore[misc]
        connecting.Settings = Settings  # type: ignore[misc]


__all__ = ["Report", "World", "run"]
