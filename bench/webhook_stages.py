"""The stages of calling back: claims and ends in the store, the dialect's words, the call."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from instruments import Sink
from processes import BenchError
from stage_echoes import EchoDoor, EchoWebhooks
from stage_meter import POSTGRESQL, PYTHON, Behind, Meter, Stage, taken
from stage_store import DIALECT, SECRET, Store, pid_of

from chappe.core.lifecycle import State
from chappe.core.model import Report, submission_of
from chappe.dialects import WebhookCall
from chappe.net.client import Door
from chappe.store import webhooks
from chappe.store.messages import key_of
from chappe.store.webhooks import Pending, Told
from chappe.workers.notify import Notify
from chappe.workers.webhook_shares import CALLS_MAX, CALLS_PER_HOST, HAND_MAX, HAND_PER_HOST

GROUP: Final = "webhooks"
ENDED: Final = 50
CLAIMS: Final = 2  # of HAND_PER_HOST in each repetition
CALLS: Final = 1500
TIMEOUT_S: Final = 60.0


async def measure(store: Store, sink: Sink, repetitions: int, effort: float) -> list[Stage]:
    """All stages of calling back, of webhooks that wait in the store already; those that are left at the end are told
    by a whole notifier."""
    claims = max(1, round(CLAIMS * effort))
    claimed = await _claims_and_ends(store, repetitions, claims)
    calls = [_worded(pending) for pending in claimed.pending]
    return [
        *claimed.stages,
        await _words(claimed.pending, repetitions),
        await _calls(calls, repetitions, max(CALLS_PER_HOST, round(CALLS * effort))),
        *await _whole(store, sink, repetitions),
    ]


class _Claimed:
    """The stages of the store, and webhooks for those that need some."""

    def __init__(self, stages: list[Stage], pending: list[Pending]) -> None:
        self.stages = stages
        self.pending = pending


async def _claims_and_ends(store: Store, repetitions: int, claims: int) -> _Claimed:
    everything: list[Pending] = []
    claiming: list[tuple[float, float]] = []
    async with store.database.connection(hot=True) as connection:
        pid = await pid_of(connection)

        async def work(meter: Meter) -> int:
            """Ends count here, claims in a meter of their own."""
            own = Meter([pid])
            for _ in range(claims):
                with own.both():
                    pending = await webhooks.claim(
                        connection, key_of(datetime.now(UTC)), (), HAND_PER_HOST, (), HAND_MAX
                    )
                if len(pending) != HAND_PER_HOST:
                    raise BenchError(f"{len(pending)} webhooks wait, {HAND_PER_HOST} are needed")
                everything.extend(pending)
                at = datetime.now(UTC)
                told = [Told(one, at, 200, 1, "told") for one in pending]
                with meter.both():
                    for begin in range(0, HAND_PER_HOST, ENDED):
                        await webhooks.end(connection, told[begin : begin + ENDED])
            count = claims * HAND_PER_HOST
            claiming.append((own.own_ns / 1000 / count, own.theirs_ns / 1000 / count))
            return count

        ended = await taken(work, repetitions, [pid])
    python, postgresql = zip(*claiming[1:], strict=True)
    stages = [
        Stage(GROUP, "claiming: the call", PYTHON, str(HAND_PER_HOST), python),
        Stage(GROUP, "claiming", POSTGRESQL, str(HAND_PER_HOST), postgresql),
        Stage(GROUP, "ending: columns and the call", PYTHON, str(ENDED), ended.own),
        Stage(GROUP, "ending, and its commit", POSTGRESQL, str(ENDED), ended.theirs),
    ]
    return _Claimed(stages, everything)


def _report(pending: Pending) -> Report:
    return Report(
        dialect=pending.dialect,
        submission_id=submission_of(pending.message_id),
        message_id=pending.message_id,
        public_id="",
        recipient=pending.recipient,
        state=State(pending.state).word,
        at=pending.at,
        cost_micros=pending.price_micros,
        target=pending.target,
    )


def _worded(pending: Pending) -> WebhookCall:
    return DIALECT.tell(_report(pending))


async def _words(pending: list[Pending], repetitions: int) -> Stage:
    async def work(meter: Meter) -> int:
        with meter.own():
            for one in pending:
                _worded(one)
        return len(pending)

    return Stage(GROUP, "the dialect's words", PYTHON, "1", (await taken(work, repetitions)).own)


def _door() -> Door:
    return Door(True, connections_max=CALLS_MAX, connections_per_host_max=CALLS_PER_HOST)


async def _calls(calls: list[WebhookCall], repetitions: int, count: int) -> Stage:
    """As many calls at once as one host gets; each follows the one before it at once."""
    door = _door()

    async def work(meter: Meter) -> int:
        waiting = iter([calls[number % len(calls)] for number in range(count)])

        async def one_after_the_other() -> None:
            for call in waiting:
                answer = await door.request(call.method, call.url, call.content_type, call.body)
                if answer.status != 200:
                    raise BenchError(f"the receiver answered {answer.status}")

        with meter.own():
            await asyncio.gather(*(one_after_the_other() for _ in range(CALLS_PER_HOST)))
        return count

    try:
        took = await taken(work, repetitions)
    finally:
        await door.close()
    return Stage(GROUP, f"the call, {CALLS_PER_HOST} at once", PYTHON, "1", took.own)


async def _whole(store: Store, sink: Sink, repetitions: int) -> list[Stage]:
    """A notifier as a worker process has it, while webhooks wait; the last repetition leaves none."""
    left = int(await store.database.value("select count(*) from webhook"))
    share = left // (repetitions + 1)
    if not share:
        raise BenchError("no webhooks are left for the notifier")
    await store.database.execute("update webhook set key = key + 1000000000000")  # due in days
    pids = await store.backends()
    writers = Behind(pids[0])
    door = _door()
    behind: list[float] = []

    async def work(meter: Meter) -> int:
        await store.database.execute(DUE, share)
        pids[:] = await store.backends()
        before = sink.calls
        writers.since_ns()
        notify = Notify(store.database, door, SECRET, "stages", TIMEOUT_S)
        with meter.both():
            task = asyncio.create_task(notify.run())
            async with asyncio.timeout(TIMEOUT_S):
                while not task.done() and sink.calls < before + share:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.02)
            await notify.stop()
            await task
        if await store.database.value("select count(*) from webhook where key <= $1", key_of(datetime.now(UTC))):
            raise BenchError("the notifier left webhooks behind")
        behind.append(writers.since_ns() / 1000 / share)
        return share

    try:
        took = await taken(work, repetitions, pids)
    finally:
        await door.close()
    at = str(HAND_PER_HOST)
    return [
        Stage(GROUP, "the whole notifier", PYTHON, at, took.own, "whole"),
        await _notifier(repetitions, share),
        Stage(GROUP, "its backends", POSTGRESQL, at, took.theirs, "whole"),
        Stage(GROUP, "those that write behind it", POSTGRESQL, at, tuple(behind[1:]), "whole"),
    ]


async def _notifier(repetitions: int, count: int) -> Stage:
    """The notifier with a receiver and a database that answer at once."""

    async def work(meter: Meter) -> int:
        echo = EchoWebhooks(count)
        database: Any = echo
        door: Any = EchoDoor()
        notify = Notify(database, door, SECRET, "stages", TIMEOUT_S)
        with meter.own():
            task = asyncio.create_task(notify.run())
            async with asyncio.timeout(TIMEOUT_S):
                while not task.done() and echo.recorded < count:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.005)
            await notify.stop()
            await task
        return count

    took = await taken(work, repetitions)
    return Stage(GROUP, "of it without driver and calls", PYTHON, str(HAND_PER_HOST), took.own, "part")


# So many of those that were put off become due.
DUE: Final = """
update webhook w set key = w.key - 1000000000000
from (select host, key, id from webhook where key > (extract(epoch from now()) * 1000000)::bigint + 500000000000
      order by key, id limit $1) d
where w.host = d.host and w.key = d.key and w.id = d.id
"""
