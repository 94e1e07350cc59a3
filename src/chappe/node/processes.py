"""The parts that run as processes of their own: an API process, a worker, the handset.

`python -m chappe.node.processes PART PARENT` is such a process. Its orders come as one line on its standard input,
so that no secret stands in its arguments or its environment. PARENT tells a reader of the process list which node the
process belongs to.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from functools import partial
from importlib import import_module
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from chappe.config import Config
from chappe.node.event_loop import run
from chappe.node.privileges import User, become
from chappe.observability import logs
from chappe.store.database import Address, Bell, Database, Listener, ready

if TYPE_CHECKING:
    from chappe.actions.windows import Windows
    from chappe.core.http import Request, Response
    from chappe.net.client import Door
    from chappe.web.carrier_calls import CarrierCalls
    from chappe.web.listener import Listener as HttpListener
    from chappe.web.listener import Reply
    from chappe.web.node_endpoints import Pages
    from chappe.web.server import Api
    from chappe.workers.upkeep import Upkeep

log = logs.get_logger("chappe")

SHUTDOWN_S = 10.0
LOCK_S = 1.0  # how long a batch of many customers waits for a lock that somebody holds
PATIENCE_S = 5.0  # how long customers' requests wait when the database goes away, before they are refused

CONNECTIONS_MAX = 4_096
DESCRIPTORS_OWN = 100  # what a process opens beside its customers' connections
DESCRIPTORS_MAX = 65_536


class Loop(Protocol):
    """A loop of workers/: run() until stop()."""

    async def run(self) -> None: ...
    async def stop(self) -> None: ...


class Orders(msgspec.Struct, frozen=True):
    """The orders of a child process: the configuration as it is, and everything that the node has found or opened."""

    config: Config
    address: Address
    descriptor: int = -1
    handset_descriptor: int = -1
    handset_http_descriptor: int = -1
    handset_http_port: int = 0
    webhook_allow_private: bool | tuple[str, ...] = False
    webhook_private_automatic: bool = False  # it ends when the node turns out not to be alone
    journal: str = ""
    counts: str = ""  # the folder where the node's processes tell their counts
    user: User | None = None  # whom the process becomes; None: it stays who it is

    def encode(self) -> bytes:
        """The orders as one line of JSON."""
        return msgspec.json.encode(self, enc_hook=str)

    @staticmethod
    def decode(line: bytes) -> Orders:
        """The orders in a line. Raises msgspec.DecodeError."""
        return msgspec.json.decode(line, type=Orders, dec_hook=lambda kind, value: kind(value))


def interrupt_nobody() -> None:
    """Asks for SCHED_BATCH (sched(7)) where there is one: woken, this process waits for a free core or its turn. Who
    waits for an answer to a request is served first, and what is behind it is done in larger portions."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):  # it is for speed only, and a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


@contextlib.asynccontextmanager
async def open_database(
    address: Address, name: str, patience_s: float = 0.0, lock_s: float | None = None
) -> AsyncIterator[Database]:
    database = Database(address, name, patience_s=patience_s, lock_s=lock_s)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def signalled() -> asyncio.Event:
    """Set by SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def descriptors() -> int:
    """How many descriptors this process may have open, after asking for as many as the system lets it: many systems
    give 1,024 at first, which strangers' connections could use up before our own to the database."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return DESCRIPTORS_MAX if soft == resource.RLIM_INFINITY else soft


def settle_memory() -> None:
    """What was built at the start lives as long as the process: the collector need not look at it again and again, nor
    so often at what passes through. Nearly nothing here makes cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def node_pages(database: Database, orders: Orders, commit_s: Callable[[], float] = lambda: 0.0) -> Pages:
    """The pages of this node, as this process shows them."""
    from chappe.store.readiness import trouble
    from chappe.web.node_endpoints import Pages

    return Pages(
        database,
        orders.handset_http_port,
        metrics=orders.config.metrics,
        trouble=lambda: trouble(database),
        commit_s=commit_s,
        counts=Path(orders.counts) if orders.counts else None,
    )


@contextlib.asynccontextmanager
async def telling(orders: Orders, part: str) -> AsyncIterator[None]:
    """Tells this process's counts to the others of its node meanwhile."""
    from chappe.observability.node_metrics import Teller

    if not orders.counts:
        yield
        return
    teller = Teller(Path(orders.counts), part)
    await teller.start()
    try:
        yield
    finally:
        await teller.close()


async def drained(stop: asyncio.Event, seconds: float) -> None:
    """Goes on for a while, or until it is asked once more."""
    stop.clear()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def run_api(orders: Orders, part: str) -> None:
    """One process of the customers' APIs."""
    from chappe.store.channels import CONFIGURATION_CHANNEL, OUTBOX_CHANNEL, WEBHOOK_CHANNEL
    from chappe.web.carrier_calls import CarrierCalls
    from chappe.web.key_guessing import Guesses
    from chappe.web.reading import SWITCH_S

    stop = signalled()
    loop = asyncio.get_running_loop()
    async with open_database(orders.address, "chappe api", PATIENCE_S, LOCK_S) as database:
        await until_ready(database, stop)
        if stop.is_set():
            return
        bell = Bell(orders.address, OUTBOX_CHANNEL)
        told = Bell(orders.address, WEBHOOK_CHANNEL)
        calls = CarrierCalls(database, Guesses(loop.time), told.ring)
        pages = node_pages(database, orders, lambda: api.commit_s)
        api = await _api(orders, database, bell, pages, calls)
        sys.setswitchinterval(SWITCH_S)
        changed = asyncio.Event()

        async def read() -> None:
            await calls.refresh()
            await api.refresh()

        listener = Listener(orders.address, [CONFIGURATION_CHANNEL], lambda _channel: changed.set())
        listener.start()
        beside = (loop.create_task(refresh(read, changed)), loop.create_task(api.velocity.run(database)))
        http = _customers_listener(orders, api, database)
        settle_memory()
        async with telling(orders, part):
            await http.start(sockets=(socket.socket(fileno=orders.descriptor),))
            await stop.wait()
            pages.draining = True
            await drained(stop, orders.config.drain_s)
            await http.stop(SHUTDOWN_S)
        await api.idle()
        await api.close()
        for task in beside:
            task.cancel()
        await listener.close()
        await bell.close()
        await told.close()


async def _api(orders: Orders, database: Database, bell: Bell, pages: Pages, calls: CarrierCalls) -> Api:
    """The application behind the listener, within what the installation sets."""
    from chappe.actions.windows import Windows
    from chappe.core.window_profiles import read_profiles
    from chappe.dialects.registry import Directory, read_hosts
    from chappe.store import accounts
    from chappe.web.server import Api

    return Api(
        database,
        bell,
        await accounts.installation_secret(database),
        asyncio.get_running_loop().time,
        sender_default=orders.config.sender_default,
        stop_mention=orders.config.stop_mention,
        senders_denied=orders.config.senders_denied,
        numbers_own_only=orders.config.strange_numbers_refused,
        playground=orders.config.demo,
        numbers_automatic=orders.config.numbers_own_only is None,
        windows=Windows(read_profiles(orders.config.windows)),
        processor_share=orders.config.processor_share,
        questions_at_once=orders.config.questions_at_once,
        long_questions_at_once=orders.config.long_questions_at_once,
        pages=pages.table() | calls.table(),
        directory=Directory(read_hosts(orders.config.dialect_hosts)),
        guesses=calls.guesses,
    )


def _customers_listener(orders: Orders, api: Api, database: Database) -> HttpListener:
    """The listener for customers, within the limits that are set."""
    from chappe.web.listener import Limits
    from chappe.web.listener import Listener as HttpListener
    from chappe.web.undeclared import Undeclared

    limits = Limits(
        body_bytes_max=orders.config.body_bytes_max,
        connections_per_address_max=orders.config.connections_per_address_max,
        first_request_timeout_s=orders.config.first_request_timeout_s,
        connections_max=max(1, min(CONNECTIONS_MAX, descriptors() - DESCRIPTORS_OWN)),
        trusted_proxies=tuple(ip_network(network) for network in orders.config.trusted_proxies),
    )
    undeclared = Undeclared(database, Path(orders.counts) if orders.counts else None)
    return HttpListener(api.ask, limits, api.ask_limit, on_undeclared=undeclared.notice)


async def refresh(read: Callable[[], Awaitable[None]], changed: asyncio.Event) -> None:
    """Reads the configuration whenever it changed; again after a moment when the database was away."""
    from chappe.store.database import CONNECTION_ERRORS

    while True:
        changed.clear()
        try:
            await read()
        except CONNECTION_ERRORS as error:
            log.warning("configuration_not_read", error=type(error).__name__)
            changed.set()
            await asyncio.sleep(1.0)  # the pace of asking for a database that is away
        await changed.wait()


async def run_work(orders: Orders, part: str) -> None:
    """One worker process: delivers, notifies, keeps up."""
    from chappe.actions.windows import Windows
    from chappe.core.window_profiles import read_profiles
    from chappe.store import accounts
    from chappe.store.channels import CONFIGURATION_CHANNEL, OUTBOX_CHANNEL, WEBHOOK_CHANNEL
    from chappe.workers.bind_leases import Deliver
    from chappe.workers.notify import Notify
    from chappe.workers.process_identity import own_name

    stop = signalled()
    async with open_database(orders.address, "chappe work") as database:
        await until_ready(database, stop)
        if stop.is_set():
            return
        changed = asyncio.Event()
        door, look, following = await _door(orders, database, changed)
        owner = own_name()
        secret = await accounts.installation_secret(database)
        notify = Notify(
            database, door, secret, owner, orders.config.webhook_timeout_s, orders.config.webhooks_waiting_max, look
        )
        bell = Bell(orders.address, WEBHOOK_CHANNEL)
        windows = Windows(read_profiles(orders.config.windows))
        deliver = Deliver(database, owner, lambda: notify.ring() if notify.ours else bell.ring(), windows)
        moved = asyncio.Event()
        upkeep = _upkeep(orders, database, owner, moved, windows)

        def heard(channel: str) -> None:
            if channel == CONFIGURATION_CHANNEL:
                deliver.changed()
                upkeep.changed()
                changed.set()
            elif channel == WEBHOOK_CHANNEL:
                notify.ring()
            else:
                deliver.ring()

        listener = Listener(orders.address, [OUTBOX_CHANNEL, WEBHOOK_CHANNEL, CONFIGURATION_CHANNEL], heard)
        listener.start()
        passing = asyncio.get_running_loop().create_task(_pass_on(moved, deliver.ring))
        settle_memory()
        interrupt_nobody()
        http = page_listener(node_pages(database, orders).show) if orders.descriptor >= 0 else None
        try:
            async with telling(orders, part):
                if http is not None:
                    await http.start(sockets=(socket.socket(fileno=orders.descriptor),))
                await _run_all((deliver, notify, upkeep), stop)
        finally:
            if http is not None:
                await http.stop(SHUTDOWN_S)
            for task in (passing, *following):
                task.cancel()
            await listener.close()
            await bell.close()
            await door.close()


def _upkeep(orders: Orders, database: Database, owner: str, moved: asyncio.Event, windows: Windows) -> Upkeep:
    from chappe.core.stop_replies import Words
    from chappe.workers.upkeep import Upkeep

    upkeep = Upkeep(database, owner, moved)
    upkeep.book.retention_days = orders.config.retention_days
    upkeep.book.windows = windows
    upkeep.book.words = Words(orders.config.stop_words, orders.config.start_words)
    return upkeep


async def _door(
    orders: Orders, database: Database, changed: asyncio.Event
) -> tuple[Door, Callable[[], None], tuple[asyncio.Task[None], ...]]:
    """The way out for webhooks, what looks for traces of a proxy after each claim of them, and what follows the
    configuration: which private addresses may be reached by themselves depends on the carriers."""
    from chappe.net.client import Door
    from chappe.web.undeclared import MARK
    from chappe.workers.private import Automatic
    from chappe.workers.webhook_shares import CALLS_MAX, CALLS_PER_HOST

    given = orders.webhook_allow_private
    allowed = given if isinstance(given, bool) else tuple(ip_network(network) for network in given)
    make = partial(
        Door,
        ports=orders.config.webhook_ports,
        denied=tuple(ip_network(network) for network in orders.config.webhook_denied),
        connections_max=CALLS_MAX,
        connections_per_host_max=CALLS_PER_HOST,
    )
    if not orders.webhook_private_automatic:
        return make(allowed), lambda: None, ()
    automatic = Automatic(allowed, Path(orders.counts) / MARK, playground=orders.config.demo)
    await automatic.refresh(database)
    following = asyncio.get_running_loop().create_task(refresh(partial(automatic.refresh, database), changed))
    return make(automatic), automatic.look, (following,)


async def _pass_on(moved: asyncio.Event, ring: Callable[[], None]) -> None:
    """Rings whenever something was moved."""
    while True:
        await moved.wait()
        moved.clear()
        ring()


async def _run_all(loops: Sequence[Loop], stop: asyncio.Event) -> None:
    """Runs all until `stop`, or until one fails; then ends all in good order and raises what failed, so that the
    supervisor starts another process."""
    running = asyncio.get_running_loop()
    tasks = {running.create_task(one.run(), name=type(one).__name__) for one in loops}
    stopping = running.create_task(stop.wait())
    done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for one in loops:
        await one.stop()
    await asyncio.wait(tasks)
    for task in done - {stopping}:
        task.result()


async def until_ready(database: Database, stop: asyncio.Event) -> None:
    """Waits until the database answers, or until we are to stop."""
    while not stop.is_set() and not await ready(database):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await stop.wait()


async def run_handset(orders: Orders, _part: str) -> None:
    """The built-in SMSC with its phones, and its pages."""
    from chappe.handset.settings import Settings
    from chappe.handset.smsc import Smsc

    stop = signalled()
    smsc = Smsc(Settings(journal=Path(orders.journal) if orders.journal else None))
    await smsc.start(sock=socket.socket(fileno=orders.handset_descriptor))
    http = page_listener(smsc.page)
    await http.start(sockets=(socket.socket(fileno=orders.handset_http_descriptor),))
    await stop.wait()
    await http.stop(SHUTDOWN_S)
    await smsc.stop()


def page_listener(page: Callable[[Request], Coroutine[Any, Any, Response]]) -> HttpListener:
    """A listener whose only application is one page."""
    from chappe.web.listener import Listener as HttpListener
    from chappe.web.listener import one_by_one

    tasks: set[asyncio.Task[None]] = set()

    def ask(request: Request, reply: Reply) -> None:
        async def show() -> None:
            try:
                reply.send(await page(request))
            except Exception as error:  # noqa: BLE001 - logged and answered
                reply.fail(error)

        task = asyncio.get_running_loop().create_task(show())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return HttpListener(one_by_one(ask))


# What a part imports while its orders are not yet known, since the database is being made or is starting.
NEEDED: dict[str, tuple[str, ...]] = {
    "api": (
        "chappe.web.server",
        "chappe.web.listener",
        "chappe.web.node_endpoints",
        "chappe.observability.node_metrics",
        "chappe.store.readiness",
    ),
    "work": (
        "chappe.carriers.smpp.link",
        "chappe.workers.bind_leases",
        "chappe.workers.notify",
        "chappe.workers.upkeep",
        "chappe.net.client",
        "chappe.observability.node_metrics",
    ),
    "handset": ("chappe.handset.smsc", "chappe.web.listener"),
}
PARTS: dict[str, Callable[[Orders, str], Coroutine[Any, Any, None]]] = {
    "api": run_api,
    "work": run_work,
    "handset": run_handset,
}


def main() -> int:
    """A child process: `python -m chappe.node.processes PART PARENT`, orders in the first line of standard input."""
    from chappe.node.supervisor import die_with_parent

    part = sys.argv[1]
    kind = part.partition("-")[0]
    for module in NEEDED[kind]:
        import_module(module)
    line = sys.stdin.buffer.readline()
    if not line:  # the parent ended before it had orders for us
        return 1
    orders = Orders.decode(line)
    if orders.user is not None and kind != "handset":  # that is reached by people at this machine only
        become(orders.user)
    die_with_parent(sys.stdin.fileno())
    logs.configure(orders.config.log_format, orders.config.log_level)
    run(PARTS[kind](orders, part))
    return 0


if __name__ == "__main__":
    sys.exit(main())
