"""A network in virtual time: streams that are slow, cut octets anywhere, break in the middle and go silent.

A transport has the two buffers of the real thing: what the kernel took may still arrive after its process was killed,
what it did not take never does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from virtual import PROCESS, Process, VirtualLoop

Factory = Callable[[], asyncio.Protocol]
NOBODY = Context()  # what the kernel has goes its way whatever becomes of the processes


@dataclass
class Weather:
    """What the network does just now. chunk: the most octets that arrive at once, 0 for all that there are."""

    latency_s: float = 0.002
    jitter_s: float = 0.001
    chunk: int = 0
    kernel_octets: int = 64 * 1024
    refuses: bool = False  # connections are refused, as where nobody listens
    swallows: bool = False  # connections never come about, as behind a firewall


class Network:
    """The connections there are, and their weather. written: called with all that an end writes."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, written: Callable[[End, bytes], None]) -> None:
        self.loop = loop
        self.chance = chance
        self.written = written
        self.weather = Weather()
        self.listeners: dict[int, tuple[Process, Factory]] = {}
        self.ends: list[End] = []
        loop.create_connection = self._connect  # type: ignore[assignment,method-assign]

    def delay_s(self) -> float:
        return self.weather.latency_s + self.chance.random() * self.weather.jitter_s

    async def _connect(self, factory: Factory, host: str, port: int, **_: Any) -> tuple[End, asyncio.Protocol]:
        await asyncio.sleep(self.delay_s())
        if self.weather.swallows:
            await asyncio.get_running_loop().create_future()
        listener = self.listeners.get(port)
        if listener is None or not listener[0].alive or self.weather.refuses:
            raise ConnectionRefusedError
        client = PROCESS.get()
        assert client is not None
        near, far = End(self, client), End(self, listener[0])
        near.other, far.other = far, near
        self.ends = [end for end in self.ends if not (end.gone and end.other.gone)] + [near, far]
        near.connected(factory)
        self.loop.call_later(self.delay_s(), far.connected, listener[1], context=listener[0].context)
        assert near.protocol is not None
        return near, near.protocol

    def of(self, process: Process) -> list[End]:
        """The ends of a process that are open."""
        return [end for end in self.ends if end.process is process and not end.gone]

    def killed(self, process: Process) -> None:
        """The kernel ends the connections of a process: what it had taken is on its way, then comes the end."""
        for end in self.of(process):
            end.flying = end.flying[: end.taken]
            end.gone = True
            end.close()

    def cut(self, end: End) -> None:
        """Both ends hear of a break, each at its own time; of what is on its way some arrives, up to any octet."""
        for one in (end, end.other):
            del one.flying[self.chance.randint(0, one.taken) :]
            one.closing = True
            one.told = True
            self.loop.call_later(self.delay_s() * 3, one.lost, ConnectionResetError("cut"), context=one.process.context)


class End(asyncio.Transport):
    """One end of a connection. flying: what it wrote and the other end has not got."""

    def __init__(self, network: Network, process: Process) -> None:
        super().__init__()
        self.network = network
        self.process = process
        self.other: End = self
        self.protocol: asyncio.Protocol | None = None
        self.flying = bytearray()
        self.silent = False  # nothing of what it writes arrives, and nobody says so
        self.closing = False
        self.told = False  # the other end knows, or will never be told, that this one has closed
        self.gone = False  # connection_lost was called, or its process is dead
        self._moving = False
        self._reading = True
        self._full = False

    @property
    def taken(self) -> int:
        """How much of what is on its way the kernel has taken."""
        return min(len(self.flying), self.network.weather.kernel_octets)

    # -- what its owner calls

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("simulated", 0) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Full is when the kernel takes no more."""

    def get_write_buffer_size(self) -> int:
        return len(self.flying) - self.taken

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self.other._move()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closing:
            return
        self.network.written(self, bytes(data))
        self.flying += data
        if self.get_write_buffer_size() and not self._full:
            self._full = True
            assert self.protocol is not None
            self.protocol.pause_writing()
        self._move()

    def close(self) -> None:
        if not self.closing or not self.told:
            self.closing = True
            self._move()

    def abort(self) -> None:
        del self.flying[self.taken :]
        self.closing = True
        self._move()
        self.network.loop.call_soon(self.lost, None, context=self.process.context)

    # -- what happens to it

    def connected(self, factory: Factory) -> None:
        if self.gone:
            return
        self.protocol = factory()
        self.protocol.connection_made(self)
        self.other._move()

    def heal(self) -> None:
        """It is heard again; the kernel sends anew what was lost."""
        self.silent = False
        self._move()

    def lost(self, error: Exception | None) -> None:
        if not self.gone:
            self.gone = True
            self.closing = True
            if self.protocol is not None:
                self.protocol.connection_lost(error)

    def _move(self) -> None:
        if not self._moving and not self.silent and (self.flying or (self.closing and not self.told)):
            self._moving = True
            self.network.loop.call_later(self.network.delay_s(), self._arrive, context=NOBODY)

    def _arrive(self) -> None:
        self._moving = False
        other = self.other
        if self.silent:
            return
        if other.gone:
            self.flying.clear()
        elif other.protocol is None or (self.flying and not other._reading):
            return  # it is told to move again when that changes
        if self.flying:
            count = len(self.flying)
            if self.network.weather.chunk:
                count = min(count, self.network.chance.randint(1, self.network.weather.chunk))
            data = bytes(self.flying[:count])
            del self.flying[:count]
            self.network.loop.call_soon(other._receive, data, context=other.process.context)
            if self._full and not self.get_write_buffer_size():
                self._full = False
                self.network.loop.call_soon(self._writable, context=self.process.context)
        elif self.closing and not self.told:
            self.told = True
            self.network.loop.call_soon(self.lost, None, context=self.process.context)
            self.network.loop.call_soon(other._ended, context=other.process.context)
        self._move()

    def _receive(self, data: bytes) -> None:
        if not self.closing and self.protocol is not None:
            self.protocol.data_received(data)

    def _writable(self) -> None:
        if not self.gone and self.protocol is not None:
            self.protocol.resume_writing()

    def _ended(self) -> None:
        """The other end has closed."""
        if not self.gone and self.protocol is not None:
            self.protocol.eof_received()
            self.close()
