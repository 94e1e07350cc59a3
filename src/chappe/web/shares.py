"""Turns at what accounts share: so many at once, so many of them of one account, and accounts one after the other."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable


class Turn:
    """A turn that has begun. leave(): others may have the place; end(): its owner may begin another one, too.

    waited: whether it did not begin at once.
    """

    __slots__ = ("_is_ended", "_is_here", "_owner", "_shares", "waited")

    def __init__(self, shares: Shares, owner: Hashable, *, waited: bool) -> None:
        self.waited = waited
        self._shares = shares
        self._owner = owner
        self._is_here = True
        self._is_ended = False

    def leave(self) -> None:
        if self._is_here:
            self._is_here = False
            self._shares._left()

    def end(self) -> None:
        self.leave()
        if not self._is_ended:
            self._is_ended = True
            self._shares._ended(self._owner)


class Shares:
    """At most at_once turns at a time, of each owner at most each_max that have not ended; the others wait.

    Of those that wait the owners take turns, so that one question of an owner waits for at most one of every other one,
    however many they have.
    """

    def __init__(self, at_once: int, each_max: int) -> None:
        self._free = at_once
        self._each_max = each_max
        self._begun: dict[Hashable, int] = {}
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[Turn]]] = OrderedDict()

    async def turn(self, owner: Hashable) -> Turn:
        """A turn of this owner, when it is its turn; whoever gets one has to end it."""
        if self._free and owner not in self._waiting and self._begun.get(owner, 0) < self._each_max:
            return self._begin(owner, waited=False)
        waits: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(waits)
        try:
            return await waits
        except asyncio.CancelledError:
            if waits.done() and not waits.cancelled():
                waits.result().end()
            raise

    def _begin(self, owner: Hashable, *, waited: bool) -> Turn:
        self._free -= 1
        self._begun[owner] = self._begun.get(owner, 0) + 1
        return Turn(self, owner, waited=waited)

    def _left(self) -> None:
        self._free += 1
        self._wake()

    def _ended(self, owner: Hashable) -> None:
        left = self._begun[owner] - 1
        if left:
            self._begun[owner] = left
        else:
            del self._begun[owner]
        self._wake()

    def _wake(self) -> None:
        """Gives what is free to those who wait, one each, and puts whoever got one behind the others."""
        while self._free:
            owner = next((one for one in self._waiting if self._begun.get(one, 0) < self._each_max), None)
            if owner is None:
                return
            mine = self._waiting[owner]
            waits = mine.popleft()
            if mine:
                self._waiting.move_to_end(owner)
            else:
                del self._waiting[owner]
            if not waits.done():  # else whoever waited has given up
                waits.set_result(self._begin(owner, waited=True))
