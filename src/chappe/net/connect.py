"""From addresses to a connection: the guard's last word on each, the race between several, and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from chappe.core.errors import Fault, FaultKind
from chappe.net.connection import Connection
from chappe.net.guard import Networks, is_own, may_reach
from chappe.net.resolver import Place
from chappe.net.url import Origin

PLACES_MAX: Final = 8  # of one name; whoever chose it also chose how many addresses it has
NEXT_PLACE_S: Final = 0.25  # until the next address is tried beside one that says nothing (RFC 8305, 5)


class Refused(OSError):
    """The guard refuses an address."""


@cache
def system_tls() -> ssl.SSLContext:
    """TLS that trusts whom the system trusts, and checks the host's name."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def reach(
    origin: Origin,
    places: Sequence[Place],
    allow_private: bool | Networks,
    denied: Networks,
    tls: ssl.SSLContext | None,
    make: Callable[[], Connection],
) -> Connection:
    """A connection to an origin at one of its places. Raises Fault refused_address, connect, tls."""
    loop = asyncio.get_running_loop()
    one = await _first(places[:PLACES_MAX], allow_private, denied)
    server_name = origin.host.rstrip(".")  # names in certificates have no dot at the end
    try:
        if origin.tls:
            _, connection = await loop.create_connection(
                make, sock=one, ssl=tls or system_tls(), server_hostname=server_name
            )
        else:
            _, connection = await loop.create_connection(make, sock=one)
    except OSError as error:  # an ssl.SSLError is one
        one.close()
        reason = "tls" if origin.tls else "connect"
        raise Fault(FaultKind.TEMPORARY, reason, type(error).__name__) from error
    except BaseException:
        one.close()
        raise
    return connection


async def _first(places: Sequence[Place], allow_private: bool | Networks, denied: Networks) -> socket.socket:
    """A socket connected to the first place that lets us; raises Fault refused_address, connect."""
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[BaseException] = []
    waiting = list(reversed(places))
    loop = asyncio.get_running_loop()
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_connect(waiting.pop(), allow_private, denied)))
            done, running = await asyncio.wait(
                running, timeout=NEXT_PLACE_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            connected = []
            for task in done:
                error = task.exception()
                if error is None:
                    connected.append(task.result())
                else:
                    errors.append(error)
            for other in connected[1:]:
                other.close()
            if connected:
                return connected[0]
    finally:
        for task in running:
            task.add_done_callback(_drop)
            task.cancel()
    tried = [error for error in errors if not isinstance(error, Refused)]
    if not tried:
        raise Fault(FaultKind.PERMANENT, "refused_address", "the address is not public")
    if not isinstance(tried[0], OSError):
        raise tried[0]
    raise Fault(FaultKind.TEMPORARY, "connect", type(tried[0]).__name__) from tried[0]


def _drop(task: asyncio.Task[socket.socket]) -> None:
    """Ends what connected although another was faster."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect(place: Place, allow_private: bool | Networks, denied: Networks) -> socket.socket:
    """A socket connected to a place: the guard looks at the very address that is connected to."""
    family, address = place
    host = str(address[0])
    if not may_reach(host, allow_private, denied) or is_own(host, allow_private):
        raise Refused("the address is not public")
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setblocking(False)
        await asyncio.get_running_loop().sock_connect(one, address)
    except BaseException:
        one.close()
        raise
    return one
