"""Addresses of host names: asked once for all who ask at the same time, believed for a while, and not waited for when
they were known before."""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from time import monotonic
from typing import Final

from chappe.net.resolver import NoSuchName, Place, Resolver

Resolve = Callable[[str, int], Awaitable[Sequence[Place]]]

STALE_S: Final = 3_600.0  # from when on addresses that nobody confirms are not believed any more
_NAMES_MAX: Final = 10_000

_Name = tuple[str, int]


def literal(host: str, port: int) -> list[Place]:
    """The one place of a host that is written as an address; nothing for a name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return []
    return [(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))]


class _Known:
    """What was answered for a name: where it is, or that nobody says."""

    __slots__ = ("asked_at", "fresh_until", "places")

    def __init__(self, places: list[Place], at: float, kept_s: float) -> None:
        self.places = places
        self.asked_at = at  # when it was answered for the last time
        self.fresh_until = at + kept_s


class _Remembered(OrderedDict[_Name, _Known]):
    """The names that were used last."""

    def keep(self, name: _Name, known: _Known) -> None:
        self[name] = known
        self.move_to_end(name)
        if len(self) > _NAMES_MAX:
            self.popitem(last=False)

    def used(self, name: _Name) -> _Known | None:
        known = self.get(name)
        if known is not None:
            self.move_to_end(name)
        return known


class Names:
    """Resolves host names. resolve: who is asked, None for the DNS; kept_s: how long its answers are believed, also
    that a name has no address; 0 for not at all.

    Whoever asks for a name whose addresses are older gets them at once, while they are asked for anew; for an hour
    when nobody answers. Names that failed are remembered apart: one customer's dead names push out no good ones.
    """

    def __init__(self, resolve: Resolve | None, kept_s: float) -> None:
        self._own = Resolver()
        self._resolve: Resolve = resolve or self._own
        self._kept_s = kept_s
        self._good = _Remembered()
        self._failed = _Remembered()
        self._asking: dict[_Name, asyncio.Task[list[Place]]] = {}

    async def places(self, host: str, port: int) -> list[Place]:
        """Where a host is reached, in the order in which to try; raises OSError when there is no such place."""
        found = literal(host, port)
        if found:
            return found
        name = (host, port)
        now = monotonic()
        good = self._good.used(name)
        if good is not None and now < good.asked_at + STALE_S:
            if now >= good.fresh_until:
                self._ask(name)
            return good.places
        failed = self._failed.used(name)
        if failed is not None and now < failed.fresh_until:
            raise OSError("the name had no address a moment ago")
        return await asyncio.shield(self._ask(name))  # others wait for it too, and the next call will be glad of it

    def _ask(self, name: _Name) -> asyncio.Task[list[Place]]:
        task = self._asking.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._answer(name))
            task.add_done_callback(_heard)
            self._asking[name] = task
        return task

    async def _answer(self, name: _Name) -> list[Place]:
        try:
            found = alternating(await self._resolve(*name))
            if not found:
                raise NoSuchName("the name has no address")
        except (OSError, UnicodeError) as error:  # the latter for a name that no name can be
            self._note_failure(name, sure=isinstance(error, NoSuchName))
            raise OSError("the name has no address") from error
        finally:
            del self._asking[name]
        if self._kept_s > 0:
            self._good.keep(name, _Known(found, monotonic(), self._kept_s))
            self._failed.pop(name, None)
        return found

    def _note_failure(self, name: _Name, *, sure: bool) -> None:
        if self._kept_s <= 0:
            return
        good = self._good.get(name)
        if good is not None and not sure:
            good.fresh_until = monotonic() + self._kept_s  # believed on, and asked for again after that
            return
        self._good.pop(name, None)
        self._failed.keep(name, _Known([], monotonic(), self._kept_s))

    async def close(self) -> None:
        """Waits for nobody's answer any more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._own.close()


def _heard(task: asyncio.Task[list[Place]]) -> None:
    """Takes note of a failure that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


def alternating(places: Sequence[Place]) -> list[Place]:
    """The same places, the families by turns: a network without IPv6 costs one attempt (RFC 8305, 4)."""
    first = [place for place in places if place[0] == places[0][0]]
    others = [place for place in places if place[0] != places[0][0]]
    return [place for place in chain(*zip_longest(first, others)) if place is not None]
