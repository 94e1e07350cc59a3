"""A road between two programs on loopback: a TCP proxy that can be closed, blocked, cut, soiled, or made very slow.

It lives in a thread and an event loop of its own, so that scenarios can be written without any. All that it does wrong
is done on purpose and by the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from program import until
from translation import OWN_SEQUENCE, Retell, Translation

from chappe.smpp.pdu import Pdu

T = TypeVar("T")

CHUNK = 65_536
CALL_S = 30.0


class _Lane:
    """One connection: the caller's side, our side, and what is to go wrong with the next octets."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter, translation: Translation | None) -> None:
        self.near, self.far = near, far
        self.translation = translation

    def reset(self) -> None:
        """Ends it as a crashed host does: RST both ways."""
        for writer in (self.near, self.far):
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Road:
    """Listens on `port` of loopback and leads to `target`.

    octet_s: when above 0, each octet travels alone, so many seconds after the one before. passed: connections so far.
    retell: when set before a connection is made, what becomes of each PDU that the target sends over it. answered: what
    say() was answered.
    """

    def __init__(self, target: int, chance: random.Random) -> None:
        self.target = target
        self.chance = chance
        self.port = 0
        self.octet_s = 0.0
        self.passed = 0
        self.faults = 0
        self.retell: Retell | None = None
        self.answered: dict[int, int] = {}
        self._said = OWN_SEQUENCE
        self._server: asyncio.Server | None = None
        self._lanes: list[_Lane] = []  # the oldest first
        self._cut_in_answer = 0
        self._garbage: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._free = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Road:
        self._thread.start()
        self._free.set()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- what goes wrong

    def open(self) -> None:
        """Callers may come, on the port of the first time."""
        self._do(self._open())

    def close(self) -> None:
        """Nobody listens any more, and every connection is reset."""
        self._do(self._close())

    def block(self) -> None:
        """Callers are taken, and nothing moves any more in either direction."""
        self._loop.call_soon_threadsafe(self._free.clear)

    def unblock(self) -> None:
        self._loop.call_soon_threadsafe(self._free.set)

    def reset(self) -> None:
        """Every connection is reset; new ones may be made."""
        self.faults += 1
        self._do(self._reset())

    def cut_in_answer(self, times: int = 1) -> None:
        """The next answers end in the middle, and with them their connections."""
        self._cut_in_answer += times

    def soil(self, octets: bytes) -> None:
        """These octets come before the next answer."""
        self._garbage.append(octets)

    def say(self, *pdus: Pdu) -> None:
        """These requests come from the target over the newest connection, which has to have a translation; returns
        when all of them have been answered."""
        wanted = range(self._said, self._said + len(pdus))
        self._said += len(pdus)
        octets = b"".join(replace(pdu, sequence=sequence).encode() for pdu, sequence in zip(pdus, wanted, strict=True))
        self._do(self._say(octets))
        until(lambda: all(sequence in self.answered for sequence in wanted), "answers to what was said on the road")

    # -- inside

    async def _say(self, octets: bytes) -> None:
        lane = self._lanes[-1]
        assert lane.translation is not None
        lane.near.write(octets)
        await lane.near.drain()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._drive, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _reset(self) -> None:
        for lane in list(self._lanes):
            lane.reset()

    async def _end(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.passed += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        lane = _Lane(writer, far_writer, Translation(self.retell, self.answered) if self.retell is not None else None)
        for one in (writer, far_writer):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lanes.append(lane)
        there = asyncio.ensure_future(self._carry(reader, far_writer, lambda octets: self._question(lane, octets)))
        back = asyncio.ensure_future(self._carry(far_reader, writer, lambda octets: self._answer(lane, octets)))
        try:
            await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            self._lanes.remove(lane)
            for one in (writer, far_writer):
                with contextlib.suppress(OSError, RuntimeError):
                    one.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Callable[[bytes], Awaitable[bytes]]
    ) -> None:
        with contextlib.suppress(OSError):
            while octets := await reader.read(CHUNK):
                await self._free.wait()
                octets = await change(octets)
                if not self.octet_s:
                    writer.write(octets)
                    await writer.drain()
                    continue
                for place in range(len(octets)):
                    writer.write(octets[place : place + 1])
                    await writer.drain()
                    await asyncio.sleep(self.octet_s)  # the pace of the road

    async def _question(self, lane: _Lane, octets: bytes) -> bytes:
        return octets if lane.translation is None else lane.translation.there(octets)

    async def _answer(self, lane: _Lane, octets: bytes) -> bytes:
        if lane.translation is not None:
            octets = lane.translation.back(octets)
        if self._garbage:
            self.faults += 1
            return self._garbage.pop() + octets
        if self._cut_in_answer and len(octets) > 1:
            self._cut_in_answer -= 1
            self.faults += 1
            # A clean end after some octets: what arrived is part of a PDU (or of several and a part).
            lane.near.write(octets[: self.chance.randrange(1, len(octets))])
            await lane.near.drain()
            lane.far.transport.abort()
            raise ConnectionAbortedError
        return octets
