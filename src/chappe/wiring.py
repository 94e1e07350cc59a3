"""Builds the parts from the configuration: the only file that knows every room.

`chappe serve` is one supervisor with its children: the embedded database, the API processes, the worker, the handset.
A child is this module run with its part's name; what it needs comes as one document on its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
import uvloop

from chappe import observe
from chappe.config import Config
from chappe.store.database import Address, Bell, Database, Listener, ready

if TYPE_CHECKING:
    from chappe.dialects import Request, Response
    from chappe.web.listener import Listener as HttpListener
    from chappe.web.listener import Reply

log = structlog.get_logger("chappe")

SHUTDOWN_S = 10.0


class Orders(msgspec.Struct, frozen=True):
    """What a child process is told."""

    address: Address
    log_format: str
    log_level: str
    host: str = ""
    port: int = 0
    descriptor: int = -1
    body_bytes_max: int = 0
    sender_default: str = ""
    stop_mention: str = ""
    handset_descriptor: int = -1
    handset_http_descriptor: int = -1
    handset_http_port: int = 0
    webhook_timeout_s: float = 10.0
    webhook_allow_private: bool | tuple[str, ...] = False
    webhook_ports: tuple[int, ...] = ()
    journal: str = ""
    metrics: bool = True
    windows: dict[str, Any] = {}


@contextlib.asynccontextmanager
async def open_database(address: Address, name: str) -> AsyncIterator[Database]:
    database = Database(address, name)
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


# -- the parts


async def run_api(orders: Orders) -> None:
    """One process of the customers' APIs."""
    from chappe.actions.windows import Windows
    from chappe.core.window_profiles import read_profiles
    from chappe.store import accounts
    from chappe.store.channels import CONFIGURATION_CHANNEL, OUTBOX_CHANNEL
    from chappe.web.listener import Limits
    from chappe.web.listener import Listener as HttpListener
    from chappe.web.pages import Pages
    from chappe.web.server import Api

    stop = signalled()
    loop = asyncio.get_running_loop()
    async with open_database(orders.address, "chappe api") as database:
        await until_ready(database, stop)
        if stop.is_set():
            return
        bell = Bell(orders.address, OUTBOX_CHANNEL)
        pages = Pages(database, orders.handset_http_port, metrics=orders.metrics)
        api = Api(
            database,
            bell,
            await accounts.installation_secret(database),
            loop.time,
            sender_default=orders.sender_default,
            stop_mention=orders.stop_mention,
            windows=Windows(read_profiles(orders.windows)),
            pages=pages.table(),
        )
        changed = asyncio.Event()
        listener = Listener(orders.address, [CONFIGURATION_CHANNEL], lambda _channel: changed.set())
        listener.start()
        refreshing = loop.create_task(refresh(api.refresh, changed))
        http = HttpListener(api.ask, Limits(body_bytes_max=orders.body_bytes_max), api.ask_limit)
        await http.start(sockets=(socket.socket(fileno=orders.descriptor),))
        await stop.wait()
        await http.stop(SHUTDOWN_S)
        await api.idle()
        refreshing.cancel()
        await listener.close()
        await bell.close()


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


async def run_work(orders: Orders) -> None:
    """One worker process: delivers, notifies, keeps up."""
    from ipaddress import ip_network

    from chappe.net import Door
    from chappe.store import accounts
    from chappe.store.channels import CONFIGURATION_CHANNEL, OUTBOX_CHANNEL, WEBHOOK_CHANNEL
    from chappe.workers.deliver import Deliver
    from chappe.workers.notify import CALLS_MAX, CALLS_PER_HOST, Notify
    from chappe.workers.owner import own_name
    from chappe.workers.upkeep import Upkeep

    stop = signalled()
    loop = asyncio.get_running_loop()
    async with open_database(orders.address, "chappe work") as database:
        await until_ready(database, stop)
        if stop.is_set():
            return
        private = orders.webhook_allow_private
        door = Door(
            private if isinstance(private, bool) else tuple(ip_network(network) for network in private),
            orders.webhook_ports,
            connections_max=CALLS_MAX,
            connections_per_host_max=CALLS_PER_HOST,
        )
        owner = own_name()
        secret = await accounts.installation_secret(database)
        notify = Notify(database, door, secret, owner, orders.webhook_timeout_s)
        bell = Bell(orders.address, WEBHOOK_CHANNEL)

        def told() -> None:
            if notify.ours:
                notify.ring()
            else:
                bell.ring()

        deliver = Deliver(database, owner, told)
        moved = asyncio.Event()
        upkeep = Upkeep(database, owner, moved)

        def heard(channel: str) -> None:
            if channel == CONFIGURATION_CHANNEL:
                deliver.changed()
            elif channel == WEBHOOK_CHANNEL:
                notify.ring()
            else:
                deliver.ring()

        async def pass_on() -> None:
            while True:
                await moved.wait()
                moved.clear()
                deliver.ring()

        listener = Listener(orders.address, [OUTBOX_CHANNEL, WEBHOOK_CHANNEL, CONFIGURATION_CHANNEL], heard)
        listener.start()
        tasks = {
            loop.create_task(deliver.run(), name="deliver"),
            loop.create_task(notify.run(), name="notify"),
            loop.create_task(upkeep.run(), name="upkeep"),
        }
        passing = loop.create_task(pass_on())
        stopping = loop.create_task(stop.wait())
        done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await deliver.stop()
        await notify.stop()
        await upkeep.stop()
        await asyncio.wait(tasks)
        passing.cancel()
        await listener.close()
        await bell.close()
        await door.close()
        for task in done - {stopping}:
            task.result()  # one of the loops failed: its error ends this process, and the supervisor starts another


async def until_ready(database: Database, stop: asyncio.Event) -> None:
    """Waits until the database answers, or until we are to stop."""
    while not stop.is_set() and not await ready(database):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await stop.wait()


async def run_handset(orders: Orders) -> None:
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

    return HttpListener(ask)


PARTS: dict[str, Callable[[Orders], Coroutine[Any, Any, None]]] = {
    "api": run_api,
    "work": run_work,
    "handset": run_handset,
}


def main() -> int:
    """A child process: `python -m chappe.wiring PART PARENT`, orders on standard input."""
    from chappe.workers.supervisor import die_with_parent

    part, parent = sys.argv[1], int(sys.argv[2])
    die_with_parent(parent)
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    observe.configure(orders.log_format, orders.log_level)  # type: ignore[arg-type]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(PARTS[part.partition("-")[0]](orders))
    return 0


# -- the handset alone


def smsc(
    host: str,
    port: int,
    http_host: str,
    http_port: int,
    system_id: str,
    password: str,
    journal: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> int:
    """`chappe smsc`: the handset SMSC for any gateway, until a signal; gives the exit status. Raises OSError."""
    observe.configure("console", "info")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_smsc(host, port, http_host, http_port, system_id, password, journal, tls_cert, tls_key))


async def _smsc(
    host: str,
    port: int,
    http_host: str,
    http_port: int,
    system_id: str,
    password: str,
    journal: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> int:
    from chappe.handset.settings import Settings
    from chappe.handset.smsc import Smsc

    context: ssl.SSLContext | None = None
    if tls_cert is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(tls_cert, tls_key)
    stop = signalled()
    handset = Smsc(Settings(system_id=system_id, password=password, journal=journal))
    smpp_port = await handset.start(host, port, context)
    http = page_listener(handset.page)
    await http.start(http_host, http_port)
    sys.stdout.write(f"The handset SMSC listens on {host}:{smpp_port}; its phones are at ")
    sys.stdout.write(f"http://{http_host}:{http.port}/handset\n")
    sys.stdout.flush()
    await stop.wait()
    await http.stop(SHUTDOWN_S)
    await handset.stop()
    return 0


# -- the whole


def serve(config: Config) -> int:
    """`chappe serve`: runs until a signal; gives the exit status."""
    from chappe.core.window_profiles import read_profiles

    observe.configure(config.log_format, config.log_level)
    read_profiles(config.windows)  # a mistake is told before anything starts
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config))


async def _serve(config: Config) -> int:
    from chappe.store.embedded import EmbeddedServer
    from chappe.workers.supervisor import Part, Supervisor

    stop = signalled()
    listening = listen(config.host, config.port) if "api" in config.roles else None
    server: EmbeddedServer | None = None
    watching: asyncio.Task[None] | None = None
    if config.database_url is None:
        server = EmbeddedServer(config.data, config.postgres_bin_dir, config.postgres_user)
        await server.start()
        address = Address(**server.connection.arguments())
        watching = asyncio.get_running_loop().create_task(server.supervise())
    else:
        address = Address(url=config.database_url)
    supervisor = Supervisor("chappe.wiring")
    try:
        await bring_up(address)
        orders = _orders(config, address)
        key = ""
        if config.handset and config.listens_on_loopback:
            phone = _listen_somewhere(config.handset_port)
            pages = listen("127.0.0.1", 0)
            orders = msgspec.structs.replace(
                orders,
                handset_descriptor=phone.fileno(),
                handset_http_descriptor=pages.fileno(),
                handset_http_port=pages.getsockname()[1],
                journal=str(config.data / "handset.journal") if config.data.is_dir() else "",
            )
            descriptors = (phone.fileno(), pages.fileno())
            supervisor.start(Part("handset", msgspec.json.encode(orders), descriptors))
            key = await _demo(config, address, phone.getsockname()[1])
        if "work" in config.roles:
            supervisor.start(Part("work", msgspec.json.encode(orders)))
        if listening is not None:
            api = msgspec.structs.replace(orders, descriptor=listening.fileno())
            for number in range(config.api_processes):
                supervisor.start(Part(f"api-{number}", msgspec.json.encode(api), (listening.fileno(),)))
            await _greet(config, listening, key, stop)
        waiting = [asyncio.ensure_future(stop.wait()), *([watching] if watching else [])]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if watching is not None and watching.done():
            watching.result()  # the embedded server could not be kept running: its error ends the program
    finally:
        await supervisor.stop()
        if watching is not None and server is not None:
            watching.cancel()
            await server.stop()
    return 0


async def bring_up(address: Address) -> None:
    """The schema as this version needs it."""
    from chappe.store import migrate
    from chappe.store.database import connect

    connection = await connect(address, name="chappe migrate")
    try:
        await migrate.migrate(connection)
    finally:
        await connection.close()


async def _demo(config: Config, address: Address, smsc_port: int) -> str:
    """The demo account's key: of the demo just made, or as it was kept; empty where there is none."""
    from chappe.actions import demo

    note = config.data / "demo-key"
    async with open_database(address, "chappe demo") as database:
        key = await demo.create(database, smsc_port)
        if key is None:
            await demo.follow(database, smsc_port)
            return note.read_text().strip() if config.database_url is None and note.exists() else ""
    if config.data.is_dir():
        note.touch(mode=0o600)
        note.write_text(key + "\n")
    return key


async def _greet(config: Config, listening: socket.socket, key: str, stop: asyncio.Event) -> None:
    """Says where, once it answers; with a demo account, how to try it."""
    from chappe.dialects import Request
    from chappe.web.forward import forward

    host, port = listening.getsockname()[:2]
    where = f"http://{'[' + host + ']' if ':' in host else host}:{port}"
    if config.listens_on_loopback and ":" not in host:
        while (await forward(Request("GET", "/readyz"), port)).status != 200:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):  # the pace of asking a process that is starting
                    await stop.wait()
            if stop.is_set():
                return
    lines = [f"Chappe {version('chappe')} answers at {where}"]
    if key:
        body = f'{{"apiKey":"{key}","phoneNumbers":"+33600000001","message":"Hello from Chappe"}}'
        lines += [
            f"  phone    {where}/handset",
            f"  account  demo, with the key {key}",
            "",
            "Send an SMS with",
            f"  curl -H 'Content-Type: application/json' -d '{body}' {where}/v1/send",
        ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def listen(host: str, port: int) -> socket.socket:
    """The listening socket, made before anything else and kept by the supervisor: it survives the API processes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(4096)
    os.set_inheritable(made.fileno(), True)
    return made


def _listen_somewhere(port: int) -> socket.socket:
    """A loopback socket on this port, or on one that the system chooses when it is taken."""
    try:
        return listen("127.0.0.1", port)
    except OSError:
        return listen("127.0.0.1", 0)


def _orders(config: Config, address: Address) -> Orders:
    private = config.webhook_private_allowed
    return Orders(
        address=address,
        log_format=config.log_format,
        log_level=config.log_level,
        host=config.host,
        port=config.port,
        body_bytes_max=config.body_bytes_max,
        sender_default=config.sender_default,
        stop_mention=config.stop_mention,
        webhook_timeout_s=config.webhook_timeout_s,
        webhook_allow_private=private if isinstance(private, bool) else tuple(str(network) for network in private),
        webhook_ports=config.webhook_ports,
        metrics=config.metrics,
        windows=config.windows,
    )


if __name__ == "__main__":
    sys.exit(main())
