"""The asyncio edge of an SMPP session, for both roles: octets in, events out, one write a loop turn, timers, pressure.

The read path never waits: it hands events to its owner and returns. All that the session wants to write in one turn of
the loop leaves in one write at the end of that turn.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from chappe.smpp.events import Event
from chappe.smpp.session import Session

HIGH_WATER_OCTETS = 256 * 1024


class Wire(asyncio.Protocol):
    """Drives one session over one transport.

    events: called with what happened, in the loop, never re-entrantly from flush(); ended: called once, last, after the
    Closed event. make: the session, given the monotonic time when the transport is there.
    """

    def __init__(
        self,
        make: Callable[[float], Session],
        events: Callable[[Wire, list[Event]], None],
        *,
        write_timeout_s: float = 30.0,
        connected: Callable[[Wire], None] | None = None,
    ) -> None:
        self._make = make
        self._events = events
        self._connected = connected
        self._write_timeout_s = write_timeout_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._flushing = False
        self._write_deadline: asyncio.TimerHandle | None = None
        self._last: asyncio.TimerHandle | None = None
        self._held = False
        self._encrypted = False
        self.session: Session
        self.peer = ""
        self.writable = True
        self.gone = asyncio.Event()

    def now(self) -> float:
        return self._loop.time()

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._encrypted = transport.get_extra_info("sslcontext") is not None
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # middleboxes forget idle flows
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if name else ""
        self._transport.set_write_buffer_limits(high=HIGH_WATER_OCTETS)  # type: ignore[union-attr]
        self.session = self._make(self.now())
        if self._connected is not None:
            self._connected(self)
        self.flush()

    def data_received(self, data: bytes) -> None:
        events = self.session.receive(data, self._loop.time())
        if events:
            self._events(self, events)
        self.flush()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.writable = False
        self._write_deadline = self._loop.call_later(self._write_timeout_s, self._write_stalled)

    def resume_writing(self) -> None:
        self.writable = True
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
        self._events(self, [])

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._timer, self._write_deadline, self._last):
            if timer is not None:
                timer.cancel()
        # Behind TLS the buffer holds octets that are not the session's, and a closed transport has no buffer to ask.
        unsent = 0 if self._encrypted or self._transport is None else self._transport.get_write_buffer_size()
        self._transport = None
        self._events(self, self.session.lost(self._loop.time(), unsent))
        self.gone.set()

    # -- what the owner calls

    def flush(self) -> None:
        """Whatever the session wants to write leaves at the end of this turn of the loop."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def hold(self, on: bool) -> None:
        """Stops reading, or goes on: the peer waits while we cannot store what it sends."""
        if on is self._held or self._transport is None or self._transport.is_closing():
            return
        self._held = on
        if on:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def cut(self) -> None:
        """Ends the connection at once, as a lost network does."""
        if self._transport is not None:
            self._transport.abort()

    # -- inside

    def _flush(self) -> None:
        self._flushing = False
        transport = self._transport
        if transport is None:
            return
        octets = self.session.take()
        if octets:
            transport.write(octets)
        if self.session.closing:
            if not transport.is_closing():  # a second close() tears a TLS transport apart
                transport.close()
                # A peer that reads no more would keep us closing for ever.
                self._last = self._loop.call_later(self._write_timeout_s, self.cut)
            return
        deadline = self.session.deadline
        if deadline is not None and (self._timer is None or deadline < self._timer_at):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        """Deadlines mostly move away before they are due: then this only sets the next one."""
        self._timer = None
        events = self.session.expire(self._loop.time())
        if events:
            self._events(self, events)
        self.flush()

    def _write_stalled(self) -> None:
        self.session.close("the peer does not read")
        self.cut()
