"""Builds the whole from the configuration: `chappe serve` and `chappe smsc`; with parts.py, what knows every room.

`chappe serve` is one supervisor with its children: the embedded database, the API processes, the worker, the handset.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chappe.config import Config
from chappe.node.event_loop import run
from chappe.node.privileges import user_for
from chappe.node.processes import SHUTDOWN_S, Orders, open_database, page_listener, signalled
from chappe.observability import logs
from chappe.store.database import Address, Database

if TYPE_CHECKING:
    from chappe.actions.demo import Demo
    from chappe.node.supervisor import Part, Supervisor

log = logs.get_logger("chappe")

KEY_NOTE = "demo-key"
ORPHANS_S = 4.0  # the children of a supervisor that was killed notice it sooner

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
    logs.configure("console", "info")
    return run(_smsc(host, port, http_host, http_port, system_id, password, journal, tls_cert, tls_key))


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
    from chappe.handset import Settings, Smsc, tls_context

    context = tls_context(tls_cert, tls_key) if tls_cert is not None and tls_key is not None else None
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
    from chappe.core.stop_replies import Words, check_words
    from chappe.core.window_profiles import read_profiles
    from chappe.dialects.registry import read_hosts

    logs.configure(config.log_format, config.log_level)
    if config.log_level != "debug":  # the database's own chatter at each start
        logging.getLogger("chappe.postgres").setLevel(logging.WARNING)
    read_profiles(config.windows)  # a mistake is told before anything starts
    read_hosts(config.dialect_hosts)
    check_words(Words(config.stop_words, config.start_words))
    account_defaults(config)
    return run(_serve(config))


async def _serve(config: Config) -> int:
    from chappe.embedded.server import EmbeddedServer
    from chappe.node.supervisor import Supervisor

    stop = signalled()
    doors = _doors(config)
    server: EmbeddedServer | None = None
    watching: asyncio.Task[None] | None = None
    supervisor = Supervisor("chappe.node.processes")
    counts = Path(tempfile.mkdtemp(prefix="chappe-"))  # nobody else may enter it
    try:
        if config.database_url is None:
            server = EmbeddedServer(config.data, config.postgres_bin_dir, config.postgres_user)
            parts = _started(config, doors, supervisor)  # they import what they need while the database comes up
            await server.start()
            address = Address(**server.connection.arguments())
            watching = asyncio.get_running_loop().create_task(server.supervise())
        else:
            address = Address(url=config.database_url)
            parts = _started(config, doors, supervisor)
        user = await user_for(config, server.identity if server is not None else None)
        if user is not None:
            os.chown(counts, user.uid, user.gid)
        found = await bring_up(config, address)
        await _set_account_defaults(config, address)
        orders = msgspec.structs.replace(_orders(config, address, found), counts=str(counts), user=user)
        await _instruct(config, doors, supervisor, parts, orders, found.accounts, stop)
        waiting = [asyncio.ensure_future(stop.wait()), *([watching] if watching else [])]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if watching is not None and watching.done():
            watching.result()  # the embedded server could not be kept running: its error ends the program
    finally:
        if doors.listening is not None:
            # Who is still served is served by the children; when these end nobody may wait at a door that none opens.
            doors.listening.close()
        await supervisor.stop(config.drain_s)
        shutil.rmtree(counts, ignore_errors=True)
        if watching is not None and server is not None:
            watching.cancel()
            await server.stop()
    return 0


@dataclass(frozen=True, slots=True)
class _Doors:
    """The sockets of a node, made before anything else: of customers or pages, and of the handset and its phones."""

    listening: socket.socket | None
    phone: socket.socket | None = None
    phone_pages: socket.socket | None = None


def _doors(config: Config) -> _Doors:
    listening = listen(config.host, config.port) if "api" in config.roles else _listen_for_pages(config)
    if config.demo:
        return _Doors(listening, _listen_somewhere(config.handset_port), listen("127.0.0.1", 0))
    return _Doors(listening)


def _started(config: Config, doors: _Doors, supervisor: Supervisor) -> list[Part]:
    """The node's processes, which wait for their orders."""
    from chappe.node.supervisor import Part

    parts = []
    if doors.phone is not None and doors.phone_pages is not None:
        parts.append(Part("handset", last=True, descriptors=(doors.phone.fileno(), doors.phone_pages.fileno())))
    listening = (doors.listening.fileno(),) if doors.listening is not None else ()
    if "work" in config.roles:
        parts.append(Part("work", descriptors=() if "api" in config.roles else listening))
    if "api" in config.roles:
        parts += [Part(f"api-{number}", descriptors=listening) for number in range(config.api_processes)]
    for part in parts:
        supervisor.start(part)
    return parts


async def _instruct(
    config: Config,
    doors: _Doors,
    supervisor: Supervisor,
    parts: list[Part],
    orders: Orders,
    accounts: int,
    stop: asyncio.Event,
) -> None:
    """Gives the processes their orders now that the database is up, and greets."""
    demo: Demo | None = None
    if doors.phone is not None and doors.phone_pages is not None:
        demo = await _begin_demo(config, orders.address, doors.phone.getsockname()[1])
        orders = msgspec.structs.replace(
            orders,
            handset_descriptor=doors.phone.fileno(),
            handset_http_descriptor=doors.phone_pages.fileno(),
            handset_http_port=doors.phone_pages.getsockname()[1],
            journal=str(config.data / "handset.journal") if config.data.is_dir() else "",
        )
    for part in parts:
        descriptor = part.descriptors[0] if part.descriptors and part.name != "handset" else -1
        supervisor.tell(part, msgspec.structs.replace(orders, descriptor=descriptor).encode())
    if doors.listening is not None and "api" in config.roles:
        await _greet(config, doors.listening, demo, accounts, stop)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is at the start: how many accounts, and whether an undeclared proxy was noticed before."""

    accounts: int
    undeclared_proxy: bool


async def bring_up(config: Config, address: Address) -> Found:
    """The schema as this version needs it; without demo mode, what is left of a demo is out of use before any process
    works."""
    from chappe.store import demo as stored
    from chappe.store import migrate, notices
    from chappe.store.database import connect

    connection = await connect(address, name="chappe migrate")
    try:
        await migrate.migrate(connection)
        if not config.demo and await stored.end(connection):
            log.warning("demo_out_of_use", why="served without --demo")
        if config.trusted_proxies:
            await notices.settle(connection, notices.UNDECLARED_PROXY)
        return Found(
            accounts=await connection.fetchval("select count(*) from account"),
            undeclared_proxy=await notices.is_there(connection, notices.UNDECLARED_PROXY),
        )
    finally:
        await connection.close()


def account_defaults(config: Config) -> dict[str, Any]:
    """What accounts have that have nothing of their own, by field. Raises SettingError."""
    from chappe.actions.account_settings import read_defaults

    return read_defaults(config.account_defaults, _prices(config))


def _prices(config: Config) -> dict[str, int]:
    names = ("price_premium_micros", "price_lowcost_micros", "price_hlr_micros")
    return {name: getattr(config, name) for name in names}


async def _set_account_defaults(config: Config, address: Address) -> None:
    """Has every node and command know what accounts have that have nothing of their own."""
    from chappe.store import accounts

    async with open_database(address, "chappe serve") as database, database.transaction() as tx:
        if await accounts.set_defaults(tx, account_defaults(config), _prices(config)):
            log.info("account_defaults_set")


async def _begin_demo(config: Config, address: Address, smsc_port: int) -> Demo:
    """Puts the demo in use; raises DemoError."""
    from chappe.actions import demo

    async with open_database(address, "chappe demo") as database:
        # Two handsets would take the carrier from each other. An embedded database has no other node; what looks like
        # one is our own worker that has not noticed its orphanhood.
        if config.database_url is not None and await _another_works(database):
            raise demo.DemoError("another node works on this database: the demo is for a node that is alone")
        note = config.data / KEY_NOTE
        begun = await demo.begin(database, smsc_port, _read_note(note))
        _write_note(note, begun.key)
        return begun


def _read_note(note: Path) -> str:
    """The key in a file; empty without one."""
    try:
        return note.read_text().strip()
    except FileNotFoundError:
        return ""


def _write_note(note: Path, key: str) -> None:
    """Keeps the key for the next start, for its owner only."""
    note.parent.mkdir(parents=True, exist_ok=True)
    from chappe.embedded.data_directory import give_to_owner

    descriptor = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        give_to_owner(note.parent, descriptor)
        file.write(key + "\n")


async def _another_works(database: Database) -> bool:
    """Whether a process holds a bind that is not about to end: orphans of a killed supervisor are gone soon."""
    from chappe.store import binds
    from chappe.workers.process_identity import is_dead

    until = time.monotonic() + ORPHANS_S
    while any(not is_dead(owner) for owner in await binds.owners(database)):
        if time.monotonic() > until:
            return True
        await asyncio.sleep(0.1)  # the pace of asking
    return False


async def _greet(
    config: Config, listening: socket.socket, demo: Demo | None, accounts: int, stop: asyncio.Event
) -> None:
    """Says where, once it answers, and what to do next."""
    from chappe.core.http import Request
    from chappe.web.handset_proxy import forward

    host, port = listening.getsockname()[:2]
    where = f"http://{'[' + host + ']' if ':' in host else host}:{port}"
    if config.listens_on_loopback and ":" not in host:
        while (await forward(Request("GET", "/readyz"), port)).status != 200:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):  # the pace of asking a process that is starting
                    await stop.wait()
            if stop.is_set():
                return
    if config.log_format == "json":  # what reads the log wants nothing else, and no key
        log.info("serving", url=where, demo=demo is not None, accounts=accounts)
        return
    every = " (at every address of this machine)" if ip_address(host).is_unspecified else ""
    lines = [f"Chappe {version('chappe')} answers at {where}{every}"]
    if demo is not None:
        lines += _demo_lines(demo, where)
    elif not accounts:
        lines += _first_steps(config)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _demo_lines(demo: Demo, where: str) -> list[str]:
    """How to try the demo, and whose messages its phones get."""
    body = f'{{"apiKey":"{demo.key}","phoneNumbers":"+33600000001","message":"Hello from Chappe"}}'
    if demo.everyone:
        whose = "all messages of all accounts come here, until there is a carrier"
    else:
        others = ", ".join(demo.others[:3]) + (", ..." if len(demo.others) > 3 else "")
        whose = f"only the demo account's messages come here, since there are other carriers: {others}"
    return [
        f"  phone    {where}/handset",
        f"           {whose}",
        f"  account  demo, with the key {demo.key}",
        "",
        "Send an SMS with",
        f"  curl -H 'Content-Type: application/json' -d '{body}' {where}/v1/send",
    ]


def _first_steps(config: Config) -> list[str]:
    """What an installation without any account needs."""
    installation = "--database-url" if config.database_url is not None else f"--data {config.data}"
    return [
        f"There is no account yet. In another terminal, each with {installation}:",
        "  chappe account create shop --balance 50.000",
        "  chappe carrier add acme --host smpp.example.net --port 2775 --system-id shop --password -",
        "  chappe route add --carrier acme",
        "To try it without a carrier: `chappe serve --demo` on this machine's own address (--host 127.0.0.1)",
        "has a demo account, and phones in the browser.",
    ]


def listen(host: str, port: int) -> socket.socket:
    """The listening socket, made before anything else and kept by the supervisor: it survives the API processes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(4096)
    os.set_inheritable(made.fileno(), True)
    return made


def _listen_for_pages(config: Config) -> socket.socket | None:
    """Where a node that answers no customers shows its pages; nowhere when another has the place, as on one machine."""
    try:
        return listen(config.host, config.port)
    except OSError as error:
        log.warning("pages_not_served", port=config.port, error=error.strerror or type(error).__name__)
        return None


def _listen_somewhere(port: int) -> socket.socket:
    """A loopback socket on this port, or on one that the system chooses when it is taken."""
    try:
        return listen("127.0.0.1", port)
    except OSError:
        return listen("127.0.0.1", 0)


def _orders(config: Config, address: Address, found: Found) -> Orders:
    private = config.webhook_private_allowed
    if config.webhook_allow_private is None and private is not False and found.undeclared_proxy:
        private = False
        log.warning("private_webhooks_end", why="requests have come through a proxy that is not declared")
    return Orders(
        config,
        address,
        webhook_private_automatic=config.webhook_allow_private is None and private is not False,
        webhook_allow_private=private if isinstance(private, bool) else tuple(str(network) for network in private),
    )
