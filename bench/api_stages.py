"""The stages of accepting: HTTP, the dialect's words, placing, the batch, its call, and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from instruments import NUMBERS_PER_RUN, Ask, Load, load
from processes import HOST, BenchError
from stage_echoes import Echo, EchoAccepting, accepted_row
from stage_meter import POSTGRESQL, PYTHON, Behind, Meter, Stage, taken
from stage_store import (
    DIALECT,
    KEY,
    SECRET,
    SENDER,
    WORDS,
    Store,
    octets_of,
    opened,
    pid_of,
    router_to,
)

from chappe.actions.accept import place
from chappe.actions.locked import Locked
from chappe.core.http import Request, Response
from chappe.core.model import Accepted, Account, Moment
from chappe.observability.metrics import metrics
from chappe.store.channels import OUTBOX_CHANNEL
from chappe.store.database import Bell, GroupCommit
from chappe.store.messages import Placed
from chappe.web.accounts import AccountBook
from chappe.web.connection import Connection
from chappe.web.listener import Limits, Listener, Reply, one_by_one
from chappe.web.rates import Rates, UnderWay
from chappe.web.server import Api

GROUP: Final = "accept"
CLIENTS: Final = 50
BATCHES: Final = (1, 5, 25, 500)
CALLS: Final = {1: 200, 5: 150, 25: 80, 500: 8}
REQUESTS: Final = 3000
WHOLE_TIMEOUT_S: Final = 60.0
ANSWER: Final = Response(
    200,
    "application/json",
    b'{"success":true,"code":200,"message_id":12345678,"nb_sms":1,"cost":0.038,"currency":"EUR"}',
)


class _Client(asyncio.Transport):
    """A client beside the listener, without a socket: hears its answer and asks again."""

    def __init__(self, clients: Clients, listener: Listener, number: int) -> None:
        super().__init__({"peername": (HOST, 40_000 + number)})
        self._clients = clients
        self.connection = Connection(listener)
        self.connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._clients.answered(self, data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return None

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self._clients.broken()

    def abort(self) -> None:
        self._clients.broken()


class Clients:
    """Clients that each ask again when they have their answer, until there is nothing left to ask."""

    def __init__(self, listener: Listener) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: Iterator[bytes] = iter(())
        self._left = 0
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._all = [_Client(self, listener, number) for number in range(CLIENTS)]

    async def ask(self, requests: list[bytes]) -> None:
        """Returns when all are answered well; raises BenchError otherwise."""
        self._waiting, self._left, self._over = iter(requests), len(requests), self._loop.create_future()
        for client in self._all:
            self._next(client)
        async with asyncio.timeout(WHOLE_TIMEOUT_S):
            await self._over

    def answered(self, client: _Client, data: bytes | bytearray | memoryview) -> None:
        if b'"success":true' not in bytes(data):
            self.broken()
            return
        self._left -= 1
        if self._left:
            self._next(client)
        elif not self._over.done():
            self._over.set_result(None)

    def broken(self) -> None:
        if not self._over.done():
            self._over.set_exception(BenchError("a request was not answered well"))

    def _next(self, client: _Client) -> None:
        octets = next(self._waiting, None)
        if octets is not None:
            self._loop.call_soon(client.connection.data_received, octets)

    def leave(self) -> None:
        for client in self._all:
            client.connection.connection_lost(None)


class Loader:
    """The benchmark's load tool as the clients of a process: each asks again when it has its answer."""

    def __init__(self, tools: Path, folder: Path) -> None:
        self._tools, self._folder = tools, folder
        self._runs = 0
        fields = {"apiKey": KEY, "phoneNumbers": "+@to@", "message": f"@id@ {WORDS}"}
        self._template = f"POST /v1/send HTTP/1.1\nHost: {HOST}\nContent-Type: application/json\n\n{json.dumps(fields)}"

    async def ask(self, port: int, count: int) -> None:
        """Raises BenchError when a request is not answered well."""
        self._runs += 1
        ask = Ask(port, self._template, expect='"success":true')
        said, _ = await asyncio.to_thread(
            load, self._tools, self._folder, ask, Load(CLIENTS, count), self._runs * NUMBERS_PER_RUN
        )
        if said["accepted"] != count:
            raise BenchError(f"a request was not answered well: {said['first_refusal']}")


@asynccontextmanager
async def _listening(listener: Listener) -> AsyncIterator[Listener]:
    await listener.start(HOST, 0)
    try:
        yield listener
    finally:
        await listener.stop(0)


def _at_once(_request: Request, reply: Reply) -> None:
    reply.send(ANSWER)


async def measure(store: Store, tools: Path, folder: Path, repetitions: int, effort: float) -> list[Stage]:
    """All stages of accepting. effort: how much is done in each repetition, 1 for all of it."""
    count = max(CLIENTS, round(REQUESTS * effort))
    loader = Loader(tools, folder)
    found = [
        await _http_with_sockets(loader, repetitions, count),
        await _http(store, repetitions, count),
        *await _words(store, repetitions, count),
        await _between(store, repetitions, count),
        await _placing(store, repetitions, count),
    ]
    for size in BATCHES:
        calls = max(1, round(CALLS[size] * effort))
        found.append(await _columns(store, repetitions, size, calls))
        found += await _call(store, repetitions, size, calls)
    return found + await _whole(store, loader, repetitions, count)


async def _http(store: Store, repetitions: int, count: int) -> Stage:
    async with _listening(Listener(one_by_one(_at_once), Limits())) as listener:
        clients = Clients(listener)

        async def work(meter: Meter) -> int:
            requests = [octets_of(request) for request in store.requests(count)]
            with meter.own():
                await clients.ask(requests)
            return count

        took = await taken(work, repetitions)
        clients.leave()
    return Stage(GROUP, "of it without the sockets", PYTHON, "1", took.own, "part")


async def _http_with_sockets(loader: Loader, repetitions: int, count: int) -> Stage:
    async with _listening(Listener(one_by_one(_at_once), Limits())) as listener:

        async def work(meter: Meter) -> int:
            with meter.own():
                await loader.ask(listener.port, count)
            return count

        took = await taken(work, repetitions)
    return Stage(GROUP, f"HTTP in and out, {CLIENTS} clients", PYTHON, "1", took.own)


async def _words(store: Store, repetitions: int, count: int) -> list[Stage]:
    """The dialect: what opens a request, reads the command in it, and words the answer."""
    took: dict[str, tuple[float, ...]] = {}
    account = store.account

    async def opening(meter: Meter) -> int:
        requests = store.requests(count)
        with meter.own():
            for request in requests:
                DIALECT.open(request)
        return count

    async def reading(meter: Meter) -> int:
        calls = [opened(request) for request in store.requests(count)]
        with meter.own():
            for call in calls:
                DIALECT.read(call, account, Moment(datetime.now(UTC), 0.5, SECRET))
        return count

    async def writing(meter: Meter) -> int:
        calls = [opened(request) for request in store.requests(count)]
        now = datetime.now(UTC)
        outcomes = [Accepted(n, store.send(call, now), 10**9 - n) for n, call in enumerate(calls, 1_000_000)]
        with meter.own():
            for call, accepted in zip(calls, outcomes, strict=True):
                DIALECT.write(accepted, call, account)
        return count

    for name, work in (("open", opening), ("read", reading), ("write", writing)):
        took[name] = (await taken(work, repetitions)).own
    return [Stage(GROUP, f"dialect: {name}", PYTHON, "1", samples) for name, samples in took.items()]


async def _between(store: Store, repetitions: int, count: int) -> Stage:
    """What the application does between the dialect and the batch: whose request it is, whether it may, its place."""
    clock = asyncio.get_running_loop().time
    book, rates, sending = AccountBook(store.database, clock, ""), Rates(clock), UnderWay(count)
    known = asyncio.Event()
    book.find(opened(store.requests(1)[0]).credentials, HOST, lambda _: known.set())
    await known.wait()

    async def accepted(batch: list[Placed]) -> list[Placed]:
        return batch

    async def work(meter: Meter) -> int:
        calls = [opened(request) for request in store.requests(count)]
        commit: GroupCommit[Placed, Placed] = GroupCommit(accepted, lambda placed: len(placed.states))
        batch = store.placed(count, store.accepted)
        account_id = store.account.id
        with meter.own():
            for call, placed in zip(calls, batch, strict=True):
                account = book.known(call.credentials, HOST)
                if isinstance(account, Account) and rates.allow(account, DIALECT, call.verb):
                    sending.begin(account_id, 1)
                    commit.add(placed, lambda _: sending.end(account_id, 1))
            await commit.idle()
        return count

    return Stage(GROUP, "account, limits, place in the batch", PYTHON, "1", (await taken(work, repetitions)).own)


async def _placing(store: Store, repetitions: int, count: int) -> Stage:
    router = router_to(store.accepted)

    async def work(meter: Meter) -> int:
        sends = store.sends(count)
        now = datetime.now(UTC)
        with meter.own():
            for send in sends:
                place(send, now, router)
        return count

    return Stage(GROUP, "placing", PYTHON, "1", (await taken(work, repetitions)).own)


async def _columns(store: Store, repetitions: int, size: int, calls: int) -> Stage:
    """The batch into columns and its outcomes out of the row that comes back, and the action around it."""
    locked = Locked(time.monotonic)

    async def work(meter: Meter) -> int:
        batches = [store.placed(size, store.accepted) for _ in range(calls)]
        echo: Any = Echo([accepted_row(size)])
        moment = Moment(datetime.now(UTC), secret=SECRET)
        with meter.own():
            for batch in batches:
                await locked.accept(echo, batch, moment)
        return size * calls

    return Stage(GROUP, "the batch: action and columns", PYTHON, str(size), (await taken(work, repetitions)).own)


async def _call(store: Store, repetitions: int, size: int, calls: int) -> list[Stage]:
    """accept_batch: what the driver takes of our process, and what it takes of the database."""
    async with store.database.connection(hot=True) as connection:
        pid = await pid_of(connection)
        locked = Locked(time.monotonic)

        async def work(meter: Meter) -> int:
            asked = []
            for _ in range(calls):
                echo: Any = Echo([accepted_row(size)])
                moment = Moment(datetime.now(UTC), secret=SECRET)
                await locked.accept(echo, store.placed(size, store.accepted), moment)
                asked.append(echo.asked)
            with meter.both():
                for statement, *values in asked:
                    await connection.fetchrow(statement, *values)
            return size * calls

        took = await taken(work, repetitions, [pid])
    return [
        Stage(GROUP, "the driver's call", PYTHON, str(size), took.own),
        Stage(GROUP, "accept_batch and its commit", POSTGRESQL, str(size), took.theirs),
    ]


@asynccontextmanager
async def _serving(store: Store, database: Any) -> AsyncIterator[tuple[Api, Listener]]:
    """An API process as it is, with its sockets; its database's connections are there."""
    bell = Bell(store.database.address, OUTBOX_CHANNEL)
    clock = asyncio.get_running_loop().time
    api = Api(database, bell, SECRET, clock, sender_default=SENDER, stop_mention=f" STOP {SENDER}")
    try:
        await api.refresh()
        async with _listening(Listener(api.ask, Limits(), api.ask_limit)) as listener:
            yield api, listener
    finally:
        await api.close()
        await bell.close()


async def _whole(store: Store, loader: Loader, repetitions: int, count: int) -> list[Stage]:
    behind: list[float] = []
    batches = _Batches()
    pids = await store.backends()
    writers = Behind(pids[0])
    async with _serving(store, store.database) as (api, listener):

        async def work(meter: Meter) -> int:
            pids[:] = await store.backends()
            writers.since_ns()
            with meter.both():
                await loader.ask(listener.port, count)
                await api.idle()
            batches.note(count)
            behind.append(writers.since_ns() / 1000 / count)
            return count

        took = await taken(work, repetitions, pids)
    at = batches.mean
    return [
        Stage(GROUP, f"the whole process, {CLIENTS} clients", PYTHON, at, took.own, "whole"),
        await _application(store, loader, repetitions, count),
        Stage(GROUP, "its backends", POSTGRESQL, at, took.theirs, "whole"),
        Stage(GROUP, "those that write behind it", POSTGRESQL, at, tuple(behind[1:]), "whole"),
    ]


async def _application(store: Store, loader: Loader, repetitions: int, count: int) -> Stage:
    batches = _Batches()
    async with _serving(store, EchoAccepting(store.database)) as (api, listener):

        async def work(meter: Meter) -> int:
            with meter.own():
                await loader.ask(listener.port, count)
                await api.idle()
            batches.note(count)
            return count

        took = await taken(work, repetitions)
    return Stage(GROUP, "of it all but the driver", PYTHON, batches.mean, took.own, "part")


class _Batches:
    """How many messages the batches of this process have had."""

    def __init__(self) -> None:
        self._cell = metrics().cell("chappe_commit_rows", action="accept")
        self._before = sum(self._cell[:-1])
        self._messages = 0

    def note(self, messages: int) -> None:
        self._messages += messages

    @property
    def mean(self) -> str:
        return f"{self._messages / max(1, sum(self._cell[:-1]) - self._before):.0f}"
