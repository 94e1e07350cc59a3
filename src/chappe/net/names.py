"""Addresses of host names: asked of the system, once for all who ask at the same time, and believed for a while."""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from time import monotonic
from typing import Any, Final

Place = tuple[int, tuple[Any, ...]]  # an address family, and an address as socket.connect takes it
Resolve = Callable[[str, int], Awaitable[Sequence[Place]]]

_NAMES_MAX: Final = 10_000


async def ask_system(host: str, port: int) -> list[Place]:
    """What getaddrinfo gives; raises OSError when the name has no address."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [(family, address) for family, _, _, _, address in found]


def literal(host: str, port: int) -> list[Place]:
    """The one place of a host that is written as an address; nothing for a name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return []
    return [(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))]


class Names:
    """Resolves host names. resolve: who is asked; kept_s: how long its answers are believed, 0 for not at all."""

    def __init__(self, resolve: Resolve | None, kept_s: float) -> None:
        self._resolve = resolve or ask_system
        self._kept_s = kept_s
        self._known: OrderedDict[tuple[str, int], tuple[float, list[Place]]] = OrderedDict()
        self._asking: dict[tuple[str, int], asyncio.Task[list[Place]]] = {}

    async def places(self, host: str, port: int) -> list[Place]:
        """Where a host is reached, in the order in which to try; raises OSError when there is no such place."""
        found = literal(host, port)
        if found:
            return found
        name = (host, port)
        until, found = self._known.get(name, (0.0, found))
        if monotonic() < until:
            return found
        task = self._asking.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(name))
            task.add_done_callback(_heard)
            self._asking[name] = task
        return await asyncio.shield(task)  # others wait for it too, and the next call will be glad of it

    async def _ask(self, name: tuple[str, int]) -> list[Place]:
        try:
            found = alternating(await self._resolve(*name))
        except UnicodeError as error:  # the system's word for a name that no name can be
            raise OSError("the name is none") from error
        finally:
            del self._asking[name]
        if not found:
            raise OSError("the name has no address")
        if self._kept_s > 0:
            self._known[name] = (monotonic() + self._kept_s, found)
            self._known.move_to_end(name)
            if len(self._known) > _NAMES_MAX:
                self._known.popitem(last=False)
        return found

    async def close(self) -> None:
        """Waits for nobody's answer any more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _heard(task: asyncio.Task[list[Place]]) -> None:
    """Takes note of a failure that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


def alternating(places: Sequence[Place]) -> list[Place]:
    """The same places, the families by turns: a network without IPv6 costs one attempt (RFC 8305, 4)."""
    first = [place for place in places if place[0] == places[0][0]]
    others = [place for place in places if place[0] != places[0][0]]
    return [place for place in chain(*zip_longest(first, others)) if place is not None]
