"""The asyncio edge of a session: one write a turn, timers, pressure, and an end that always comes."""

from __future__ import annotations

import asyncio
import socket

import pytest

from chappe.carriers.smpp import transport as module
from chappe.carriers.smpp.transport import Wire
from chappe.smpp.events import Answered, BindRequested, Closed, Event, Received, TimedOut
from chappe.smpp.pdu import SubmitSm
from chappe.smpp.session import Session
from chappe.smpp.settings import Settings, Timers
from chappe.smpp.states import Mode, Role

pytestmark = pytest.mark.asyncio


PATIENCE_S = 60.0  # of waits that end much sooner, unless something is wrong


class Side:
    """One end: what happened to it, and a way to wait for it."""

    def __init__(self, role: Role, **settings: object) -> None:
        self.settings = Settings(role=role, **settings)  # type: ignore[arg-type]
        self.events: list[Event] = []
        self.wire: Wire | None = None
        self.news = asyncio.Event()

    def make(self, write_timeout_s: float = 30.0) -> Wire:
        self.wire = Wire(lambda now: Session(self.settings, now), self.happened, write_timeout_s=write_timeout_s)
        return self.wire

    def happened(self, wire: Wire, events: list[Event]) -> None:
        self.events += events
        for event in events:
            if isinstance(event, BindRequested):
                wire.session.answer_bind(event.sequence)
            elif isinstance(event, Received) and isinstance(event.pdu, SubmitSm):
                wire.session.answer_submit(event.pdu.sequence, 0, b"id")
        self.news.set()

    async def until(self, kind: type[Event], count: int = 1) -> list[Event]:
        async with asyncio.timeout(PATIENCE_S):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
                self.news.clear()
                await self.news.wait()
        return found


async def _pair(ours: Side, theirs: Side, write_timeout_s: float = 30.0) -> tuple[Wire, Wire, asyncio.Server]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(theirs.make, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, wire = await loop.create_connection(lambda: ours.make(write_timeout_s), "127.0.0.1", port)
    wire.session.bind(Mode.TRX, b"me", b"pw", wire.now())
    wire.flush()
    async with asyncio.timeout(PATIENCE_S):
        while not wire.session.bound:
            ours.news.clear()
            await ours.news.wait()
    assert theirs.wire is not None
    return wire, theirs.wire, server


async def _closed(server: asyncio.Server, *wires: Wire) -> None:
    for wire in wires:
        wire.cut()
        await asyncio.wait_for(wire.gone.wait(), PATIENCE_S)
    server.close()


async def test_what_is_asked_in_one_turn_leaves_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Side(Role.ESME, window=50), Side(Role.SMSC)
    wire, other, server = await _pair(ours, theirs)
    writes: list[int] = []
    transport = wire._transport
    assert transport is not None
    write = transport.write
    monkeypatch.setattr(transport, "write", lambda octets: (writes.append(len(octets)), write(octets))[1])
    for number in range(50):
        wire.session.submit(SubmitSm(destination_addr=b"33600000001", short_message=b"x"), number, wire.now())
        wire.flush()
    answered = await ours.until(Answered, 50)
    assert len(writes) == 1
    assert [event.context for event in answered] == list(range(50))  # type: ignore[attr-defined]
    await _closed(server, wire, other)


async def test_timers_run_without_any_traffic() -> None:
    ours = Side(Role.ESME, timers=Timers(enquire_link_s=0.02, inactivity_s=0.0, response_s=0.05))
    theirs = Side(Role.SMSC, timers=Timers(enquire_link_s=0, inactivity_s=0))
    wire, other, server = await _pair(ours, theirs)
    other.hold(True)  # it reads no more: neither answers nor enquire_link_resp
    wire.session.submit(SubmitSm(destination_addr=b"1"), "lost", wire.now())
    wire.flush()
    assert (await ours.until(TimedOut))[0].context == "lost"  # type: ignore[attr-defined]
    await ours.until(Closed)
    assert wire.gone.is_set()
    other.hold(False)
    await _closed(server, other)


async def test_a_peer_that_stops_reading_is_left_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than the high-water mark in our buffer, the kernel's full: closing waits for octets that nobody takes."""
    monkeypatch.setattr(module, "HIGH_WATER_OCTETS", 1 << 30)
    ours = Side(Role.ESME, window=10_000, timers=Timers(enquire_link_s=0, inactivity_s=0, unbind_s=0.05))
    theirs = Side(Role.SMSC)
    wire, other, server = await _pair(ours, theirs, write_timeout_s=0.2)
    transport = wire._transport
    assert transport is not None
    _narrow(wire, other)
    other.hold(True)
    pdu = SubmitSm(destination_addr=b"1", short_message=b"x" * 254)
    while transport.get_write_buffer_size() < 300_000:
        for _ in range(200):
            wire.session.submit(pdu, None, wire.now())
        wire.flush()
        await asyncio.sleep(0)
    wire.session.close("enough")
    wire.flush()
    await asyncio.wait_for(wire.gone.wait(), PATIENCE_S)
    await _closed(server, other)


async def test_a_stalled_write_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HIGH_WATER_OCTETS", 20_000)
    ours = Side(Role.ESME, window=20_000, timers=Timers(enquire_link_s=0, inactivity_s=0))
    theirs = Side(Role.SMSC)
    wire, other, server = await _pair(ours, theirs, write_timeout_s=0.1)
    _narrow(wire, other)
    other.hold(True)
    pdu = SubmitSm(destination_addr=b"1", short_message=b"x" * 254)
    async with asyncio.timeout(PATIENCE_S):
        while not wire.gone.is_set():
            ours.news.clear()
            if wire.writable:  # the kernels take more than once before they are full
                for _ in range(200):
                    wire.session.submit(pdu, None, wire.now())
                wire.flush()
                await asyncio.sleep(0)
            else:
                await ours.news.wait()
    (closed,) = await ours.until(Closed)
    assert closed.reason == "the peer does not read"  # type: ignore[attr-defined]
    await _closed(server, other)


def _narrow(*wires: Wire) -> None:
    """Kernels that hold little, so that a peer that does not read is felt soon."""
    for wire in wires:
        transport = wire._transport
        assert transport is not None
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 4096)


async def test_a_cut_is_the_last_event_and_comes_once() -> None:
    ours, theirs = Side(Role.ESME), Side(Role.SMSC)
    wire, other, server = await _pair(ours, theirs)
    other.cut()
    await asyncio.wait_for(wire.gone.wait(), PATIENCE_S)
    assert isinstance(ours.events[-1], Closed)
    assert sum(isinstance(event, Closed) for event in ours.events) == 1
    wire.cut()
    wire.hold(True)
    wire.flush()  # after the end nothing happens any more
    await asyncio.sleep(0)
    assert isinstance(ours.events[-1], Closed)
    await _closed(server, other)
