"""The stages of delivering and of receipts: the turn's call and its columns, PostgreSQL's part, the link."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from instruments import Smsc
from processes import BenchError
from stage_echoes import Echo, EchoLink, EchoTurns, claimed_row
from stage_meter import POSTGRESQL, PYTHON, Behind, Meter, Stage, taken
from stage_store import SENDER, WINDOW, WORDS, Store, pid_of

from chappe.actions.windows import Windows
from chappe.carriers import TAKEN, Link, LinkState, Outgoing, ReceiptIn
from chappe.carriers.registry import kind_of, policy_of, rules_of
from chappe.carriers.smpp.parts import Parts
from chappe.carriers.smpp.profiles import profile_of
from chappe.core.lifecycle import State
from chappe.observability.metrics import metrics
from chappe.store import bind_turn, binds
from chappe.store.bind_turn import Claimed, Turn
from chappe.store.binds import BindKey
from chappe.store.database import Connection
from chappe.store.lanes import LaneClass, lane
from chappe.store.queue_head import Looks
from chappe.workers.bind_driver import LINGER_S, Pump
from chappe.workers.in_flight import Rules

GROUP: Final = "deliver"
RECEIPTS: Final = "receipts"
SIZES: Final = (10, 50, 100)
SETTLED: Final = {10: 40, 50: 40}  # calls by size
CALLS: Final = {10: 60, 50: 30, 100: 15}
SENT: Final = 3000
WHOLE: Final = 3000
RECEIPT_DELAY_MS: Final = 700  # so long all are on their way before the first receipt comes
RECEIVED: Final = 800
TIMEOUT_S: Final = 60.0
BOUND_TIMEOUT_S: Final = 5.0


class Bind:
    """One bind's turns without a network: each tells that the carrier took what the one before claimed."""

    def __init__(self, store: Store, key: BindKey, token: int) -> None:
        self._key, self._token = key, token
        self.lanes = [
            lane(store.sent.id, kind) for kind in (LaneClass.TRANSACTIONAL, LaneClass.COMMERCIAL, LaneClass.BULK)
        ]
        self._looks = Looks()
        self.claimed: list[Claimed] = []
        self.references: list[tuple[str, str]] = []  # of all: the carrier's id, and the recipient

    def results(self) -> Turn:
        """What the carrier answered to what was claimed last."""
        news = Turn()
        for row in self.claimed:
            reference = f"{row.message_id * 0x9E3779B97F4A7C15 % (1 << 64):016x}"
            news.r_message.append(row.message_id)
            news.r_part.append(0)
            news.r_ref.append(reference)
            self.references.append((reference, row.recipient))
        return news

    async def turn(self, connection: Connection, news: Turn, want: int) -> None:
        now = datetime.now(UTC)
        asked = (self._key, self._token, now, 0, news, (), self.lanes, want, self._looks)
        self.claimed = await bind_turn.turn(connection, *asked)
        if len(self.claimed) != want:
            raise BenchError(f"a turn claimed {len(self.claimed)} of {want} messages")

    async def end(self, connection: Connection) -> None:
        await self.turn(connection, self.results(), 0)


async def measure(store: Store, smsc: Smsc, repetitions: int, effort: float) -> list[Stage]:
    """All stages of delivering, and those of receipts but for webhooks. effort: how much is done in each repetition."""
    found: list[Stage] = []
    for size in SIZES:
        found += await _turns(store, repetitions, size, max(1, round(CALLS[size] * effort)))
    found += await _links(store, repetitions, max(WINDOW, round(SENT * effort)))
    found += await _whole(store, repetitions, max(WINDOW, round(WHOLE * effort)))
    return [*found, await _receipts_in(store, smsc, repetitions, max(WINDOW, round(RECEIVED * effort)))]


async def _turns(store: Store, repetitions: int, size: int, calls: int) -> list[Stage]:
    await store.queue(size * (calls + 1) * (repetitions + 1))
    bind = Bind(store, *_lease(await store.bind()))
    async with store.database.connection(hot=True) as connection:
        pid = await pid_of(connection)

        async def work(meter: Meter) -> int:
            await bind.turn(connection, bind.results(), 0)
            await bind.turn(connection, Turn(), size)
            with meter.theirs():
                for _ in range(calls):
                    news = bind.results()
                    with meter.own():
                        await bind.turn(connection, news, size)
            return size * calls

        took = await taken(work, repetitions, [pid])
        await bind.end(connection)
    return [
        Stage(GROUP, "the turn's call", PYTHON, str(size), took.own),
        await _columns(bind, repetitions, size, calls),
        Stage(GROUP, "bind_turn and its commit", POSTGRESQL, str(size), took.theirs),
    ]


async def _columns(bind: Bind, repetitions: int, size: int, calls: int) -> Stage:
    """Of a turn's call what is not the driver's."""
    now = datetime.now(UTC)
    rows = [claimed_row(place, bind.lanes[0], now) for place in range(1, size + 1)]
    echo: Any = Echo(rows)
    bind.claimed = [Claimed(*row) for row in rows]

    async def work(meter: Meter) -> int:
        for _ in range(calls):
            news = bind.results()
            with meter.own():
                await bind.turn(echo, news, size)
        return size * calls

    took = await taken(work, repetitions)
    return Stage(GROUP, "of it columns in and out", PYTHON, str(size), took.own, "part")


def _lease(given: tuple[BindKey, binds.Taken]) -> tuple[BindKey, int]:
    key, lease = given
    return key, lease.token


@asynccontextmanager
async def _bound(store: Store) -> AsyncIterator[tuple[Link, asyncio.Event]]:
    """A link of the carrier that is bound, and what it rings."""
    news = asyncio.Event()
    link = kind_of(store.sent).link(store.sent, news.set)
    await link.start()
    try:
        async with asyncio.timeout(BOUND_TIMEOUT_S):
            while link.state is not LinkState.BOUND:
                await news.wait()
                news.clear()
                await asyncio.sleep(0)
        yield link, news
    finally:
        await link.stop()


def outgoing(store: Store, count: int) -> list[Outgoing]:
    """Messages as a pump gives them to its link, no two of them alike."""
    not_after = time.time() + LINGER_S + TIMEOUT_S
    first = store.made
    store.made += count
    return [
        Outgoing(number << 16, f"+3361{number % 10_000_000:07d}", SENDER, f"{number:012d} {WORDS}", not_after=not_after)
        for number in range(first, first + count)
    ]


async def _send(link: Link, news: asyncio.Event, messages: Sequence[Outgoing]) -> None:
    """Sends, and waits until the carrier has all of them."""
    link.send(messages)
    answered = 0
    async with asyncio.timeout(TIMEOUT_S):
        while answered < len(messages):
            await news.wait()
            news.clear()
            results = link.take_results()
            if any(result.fault is not TAKEN for result in results):
                raise BenchError("the SMSC did not take a message")
            answered += len(results)


async def _links(store: Store, repetitions: int, count: int) -> list[Stage]:
    found = []
    async with _bound(store) as (link, news):
        for size in SIZES:

            async def work(meter: Meter, size: int = size) -> int:
                messages = outgoing(store, count)
                with meter.own():
                    for begin in range(0, count, size):
                        await _send(link, news, messages[begin : begin + size])
                return count

            took = await taken(work, repetitions)
            found.append(Stage(GROUP, "the link: written, answered", PYTHON, str(size), took.own))

    parts = Parts(profile_of(store.sent))

    async def encode(meter: Meter) -> int:
        messages = outgoing(store, count)
        wall_s = time.time()
        with meter.own():
            for message in messages:
                parts.of(message, wall_s)
        return count

    took = await taken(encode, repetitions)
    return [*found, Stage(GROUP, "of it encoding", PYTHON, "1", took.own, "part")]


async def _whole(store: Store, repetitions: int, count: int) -> list[Stage]:
    """One bind's pump with its link, as a worker process has it, while its queue is full."""
    pids = await store.backends()
    writers = Behind(pids[0])
    rows = metrics().cell("chappe_commit_rows", action="turn")
    behind: list[float] = []
    sizes: list[float] = []

    async def work(meter: Meter) -> int:
        await store.queue(count)
        pids[:] = await store.backends()
        turns = sum(rows[:-1])
        writers.since_ns()
        key, lease = await store.bind()
        made: list[Link] = []

        def make(wake: Callable[[], None]) -> Link:
            made.append(kind_of(store.sent).link(store.sent, wake))
            return made[0]

        rules = Rules(store.sent.id, *rules_of(store.sent))
        policy = policy_of(store.sent).receipts
        pump = Pump(store.database, key, lease, make, rules, policy, "sent", lambda: None, Windows({}))
        with meter.theirs(), meter.own():
            task = asyncio.create_task(pump.run())
            async with asyncio.timeout(TIMEOUT_S):
                while not task.done() and made[0].figures()["taken"] < count:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.005)
            await pump.stop()
            await task
        behind.append(writers.since_ns() / 1000 / count)
        sizes.append(count / (sum(rows[:-1]) - turns))
        return count

    took = await taken(work, repetitions, pids)
    at = f"{sorted(sizes)[len(sizes) // 2]:.0f}"
    return [
        Stage(GROUP, "the whole pump with its link", PYTHON, at, took.own, "whole"),
        await _pump(repetitions, count),
        Stage(GROUP, "its backends", POSTGRESQL, at, took.theirs, "whole"),
        Stage(GROUP, "those that write behind it", POSTGRESQL, at, tuple(behind[1:]), "whole"),
    ]


async def _pump(repetitions: int, count: int) -> Stage:
    """The pump with a carrier and a database that answer at once."""

    async def work(meter: Meter) -> int:
        echo = EchoTurns(count)
        database: Any = echo
        lease = binds.Taken(1, ())
        pump = Pump(database, BindKey(1, 0), lease, EchoLink, Rules(1), 0, "echo", lambda: None, Windows({}))
        with meter.own():
            task = asyncio.create_task(pump.run())
            async with asyncio.timeout(TIMEOUT_S):
                while not task.done() and echo.recorded < count:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.005)
            await pump.stop()
            await task
        return count

    took = await taken(work, repetitions)
    return Stage(GROUP, "of it without driver and link", PYTHON, str(WINDOW // 2), took.own, "part")


async def _receipts_in(store: Store, smsc: Smsc, repetitions: int, count: int) -> Stage:
    """Receipts from their octets to what a turn writes, and their answers; the SMSC has WINDOW of them unanswered."""
    smsc.set("receipts", 1)
    smsc.set("receipt-delay-ms", RECEIPT_DELAY_MS)
    try:
        async with _bound(store) as (link, news):

            async def work(meter: Meter) -> int:
                messages = outgoing(store, count)
                for begin in range(0, count, WINDOW):
                    await _send(link, news, messages[begin : begin + WINDOW])
                early = len(_acknowledged(link))  # of a machine that is so busy that sending took long
                with meter.own():
                    came = early
                    async with asyncio.timeout(TIMEOUT_S):
                        while came < count:
                            await news.wait()
                            news.clear()
                            came += len(_acknowledged(link))
                if early == count:
                    raise BenchError("the machine is too busy: receipts came before they could be waited for")
                return count - early

            took = await taken(work, repetitions)
    finally:
        smsc.set("receipts", 0)
    return Stage(RECEIPTS, "the link: read, parsed, answered", PYTHON, str(WINDOW), took.own)


def _acknowledged(link: Link) -> list[ReceiptIn]:
    receipts = link.take_receipts()
    if receipts:
        link.acknowledge([receipt.token for receipt in receipts])
    return receipts


async def settle(store: Store, repetitions: int, size: int, calls: int, report_url: str) -> list[Stage]:
    """Turns that write receipts and nothing else, each of which gives its customer's URL a webhook."""
    count = size * calls * (repetitions + 1)
    await store.queue(count, report_url)
    bind = Bind(store, *_lease(await store.bind()))
    async with store.database.connection(hot=True) as connection:
        for begin in range(0, count, WINDOW):
            await bind.turn(connection, bind.results(), min(WINDOW, count - begin))
        await bind.end(connection)
        waiting = iter(bind.references)
        pid = await pid_of(connection)

        async def work(meter: Meter) -> int:
            turns = [_receipts(bind, [next(waiting) for _ in range(size)]) for _ in range(calls)]
            with meter.both():
                for news in turns:
                    await bind.turn(connection, news, 0)
            return size * calls

        took = await taken(work, repetitions, [pid])
    return [
        Stage(RECEIPTS, "the turn's call", PYTHON, str(size), took.own),
        Stage(RECEIPTS, "settling, with webhooks, and its commit", POSTGRESQL, str(size), took.theirs),
    ]


def _receipts(bind: Bind, of: Sequence[tuple[str, str]]) -> Turn:
    """As the link reads them: delivered, with the octets in which each came."""
    news = Turn()
    for reference, recipient in of:
        news.c_ref.append(reference)
        news.c_source.append(recipient.removeprefix("+"))
        news.c_state.append(int(State.DELIVERED))
        news.c_word.append("DELIVRD")
        news.c_error.append("000")
        news.c_raw.append(RAW % (recipient.encode(), reference.encode(), reference.encode()))
    return news


# A deliver_sm of the benchmark's SMSC, in its length and of its kind; its addresses and ids are put in.
RAW: Final = (
    b"\0\0\0\xcb\0\0\0\5\0\0\0\0\0\0\0\1\0\1\1%b\0\0\0SHOP\0\4\0\0\0\0\0\0\0\0\x70id:%b sub:001 dlvrd:001 "
    b"submit date:2611220800 done date:2611220800 stat:DELIVRD err:000 text:\0\x1e\0\x11%b\0\4\x27\0\1\2"
)
