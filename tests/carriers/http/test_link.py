"""One bind of a carrier over HTTP against a scripted service: whatever it does, every message comes back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chappe.carriers import TAKEN, LinkState, Outgoing, PartResult
from chappe.carriers.http.link import HttpLink
from chappe.carriers.http.profiles import profile
from chappe.carriers.http.requests import Account
from chappe.core.errors import FaultKind

pytestmark = pytest.mark.asyncio

PARK, CLOSE = b"park", b""  # answers that are none
Answers = Callable[[dict[str, Any]], bytes]


def answer(status: int, body: object) -> bytes:
    octets = json.dumps(body).encode()
    return b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(octets),
        octets,
    )


def yes(fields: dict[str, Any]) -> bytes:
    return answer(200, {"success": True, "message_id": "id-" + fields["message"]})


class Service:
    """A service that answers as `answers` says: octets, PARK for none ever, CLOSE for an end without an answer."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.fields: list[dict[str, Any]] = []
        self.under_way = self.most = 0
        self.connections = 0
        self.port = 0
        self.release = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                fields = json.loads(await reader.readexactly(length))
                self.fields.append(fields)
                self.under_way += 1
                self.most = max(self.most, self.under_way)
                said = self.answers(fields)
                if said == PARK:
                    await self.release.wait()
                    said = yes(fields)
                self.under_way -= 1
                if said == CLOSE:
                    break
                writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def open(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self.release.set()
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()


@asynccontextmanager
async def service(answers: Answers = yes) -> AsyncIterator[Service]:
    one = Service(answers)
    await one.open()
    try:
        yield one
    finally:
        await one.close()


class Owner:
    """Whoever drives a link: keeps what it gave."""

    def __init__(self, port: int, window: int, rate: float, settings: dict[str, str]) -> None:
        self.woken = asyncio.Event()
        made = profile("smspartner", {"url": f"http://127.0.0.1:{port}/v1/send", **settings})
        self.link = HttpLink(Account("net", "", "KEY"), made, window, rate, self.woken.set, again_s=0.01)
        self.results: list[PartResult] = []

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while True:
                self.woken.clear()
                self.results += self.link.take_results()
                if is_so():
                    return
                try:
                    async with asyncio.timeout(0.05):  # states change without a call
                        await self.woken.wait()
                except TimeoutError:
                    continue

    def send(self, *numbers: int, **given: Any) -> None:
        self.link.send([Outgoing(number, f"+3360000{number:04d}", "SHOP", str(number), **given) for number in numbers])

    def faults(self) -> dict[int, FaultKind | None]:
        return {result.message_id: result.fault for result in self.results}


@asynccontextmanager
async def driven(port: int, *, window: int = 4, rate: float = 0, **settings: str) -> AsyncIterator[Owner]:
    owner = Owner(port, window, rate, settings)
    await owner.link.start()
    try:
        yield owner
    finally:
        await owner.link.stop(1)


def is_bound(owner: Owner) -> Callable[[], bool]:
    return lambda: owner.link.state is LinkState.BOUND and owner.link.free() > 0


async def test_messages_are_taken_under_the_services_ids():
    async with service() as peer, driven(peer.port) as owner:
        await owner.until(is_bound(owner))
        owner.send(1, 2, 3, 4, 5, 6)
        await owner.until(lambda: len(owner.results) == 6)
        assert {(r.message_id, r.part, r.parts, r.fault, r.carrier_ref) for r in owner.results} == {
            (number, 0, 1, TAKEN, f"id-{number}") for number in range(1, 7)
        }
        assert peer.most <= 4
        assert peer.connections <= 5
        assert owner.link.figures()["taken"] == 6


async def test_no_more_are_under_way_than_the_window_has_room_for():
    async with service(lambda _: PARK) as peer, driven(peer.port, window=3) as owner:
        await owner.until(is_bound(owner))
        assert owner.link.free() == 3
        owner.send(*range(1, 8))
        await owner.until(lambda: len(peer.fields) == 3)
        assert owner.link.free() == 0
        assert owner.link.figures()["queued"] == 4
        peer.release.set()
        await owner.until(lambda: len(owner.results) == 7)
        assert peer.most == 3


async def test_the_rate_is_kept():
    async with service() as peer, driven(peer.port, rate=20, burst="1") as owner:
        await owner.until(is_bound(owner))
        began = time.monotonic()
        owner.send(1, 2, 3, 4, 5)
        await owner.until(lambda: len(owner.results) == 5)
        assert time.monotonic() - began >= 0.19


FAULTS = [
    (answer(400, {"success": False, "code": 44}), FaultKind.PERMANENT, "sender"),
    (answer(500, {"success": False, "code": 500}), FaultKind.TEMPORARY, "service_unavailable"),
    (answer(503, {}), FaultKind.TEMPORARY, "service_unavailable"),
    (answer(400, {"success": False, "code": 11}), FaultKind.BLOCKED, "credit"),
    (answer(404, {}), FaultKind.BLOCKED, "address_unknown"),
    (answer(502, {}), FaultKind.IN_DOUBT, "service_failed"),
    (answer(200, {})[:-1], FaultKind.IN_DOUBT, "unreadable_answer"),
    (CLOSE, FaultKind.IN_DOUBT, "no_answer"),
    (PARK, FaultKind.IN_DOUBT, "no_answer"),
    (b"SSH-2.0-OpenSSH_9.6\r\n", FaultKind.IN_DOUBT, "no_answer"),
]


@pytest.mark.parametrize(("said", "fault", "reason"), FAULTS)
async def test_what_becomes_of_a_message(said: bytes, fault: FaultKind, reason: str):
    async with service(lambda _: said) as peer, driven(peer.port, timeout_s="1") as owner:
        await owner.until(is_bound(owner))
        owner.send(1)
        await owner.until(lambda: len(owner.results) == 1)
        assert (owner.results[0].fault, owner.results[0].reason) == (fault, reason)
        assert len(peer.fields) == 1


async def test_a_kept_connection_that_ends_does_not_send_twice():
    peers: list[bytes] = []

    def once(fields: dict[str, Any]) -> bytes:
        peers.append(b"x")
        return yes(fields) if len(peers) == 1 else CLOSE

    async with service(once) as peer, driven(peer.port, window=1) as owner:
        await owner.until(is_bound(owner))
        owner.send(1)
        await owner.until(lambda: len(owner.results) == 1)
        owner.send(2)
        await owner.until(lambda: len(owner.results) == 2)
        assert owner.faults() == {1: TAKEN, 2: FaultKind.IN_DOUBT}
        assert [fields["message"] for fields in peer.fields] == ["1", "2"]


async def test_a_throttled_message_stays_and_is_sent_after_a_pause():
    said: list[int] = []

    def throttle(fields: dict[str, Any]) -> bytes:
        said.append(1)
        return answer(429, {"code": 429}) if len(said) == 1 else yes(fields)

    async with service(throttle) as peer, driven(peer.port, throttle_pause_s="0.1") as owner:
        await owner.until(is_bound(owner))
        owner.send(1)
        await owner.until(lambda: len(owner.results) == 1)
        assert owner.faults() == {1: TAKEN}
        assert owner.link.figures()["throttled"] == 1


async def test_after_a_doubt_one_request_is_under_way_until_one_is_answered():
    def said(fields: dict[str, Any]) -> bytes:
        return CLOSE if fields["message"] == "1" else PARK

    async with service(said) as peer, driven(peer.port, window=4) as owner:
        await owner.until(is_bound(owner))
        owner.send(1)
        await owner.until(lambda: len(owner.results) == 1)
        owner.send(2, 3, 4)
        await owner.until(lambda: len(peer.fields) == 2)
        assert owner.link.free() == 0
        assert peer.under_way <= 1 or peer.most == 1
        peer.release.set()
        await owner.until(lambda: len(owner.results) == 4)
        await owner.until(lambda: owner.link.free() == 4)


async def test_the_breaker_pauses_a_carrier_that_refuses_or_ignores_everything():
    for said in (answer(401, {}), CLOSE):
        async with service(lambda _, said=said: said) as peer, driven(peer.port, breaker_failures="1") as owner:
            await owner.until(is_bound(owner))
            owner.send(1)
            await owner.until(lambda: owner.link.state is LinkState.PAUSED)
            assert owner.link.detail
            assert owner.link.free() == 0


async def test_a_service_that_cannot_be_reached_makes_the_link_go_down_and_come_back():
    async with service() as peer, driven(peer.port) as owner:
        await owner.until(is_bound(owner))
        await peer.close()
        await owner.until(lambda: owner.link.free() > 0)
        owner.send(1)
        await owner.until(lambda: len(owner.results) == 1)
        # the kept connection may have been used before its end was noticed
        assert owner.faults()[1] in (FaultKind.UNSENT, FaultKind.IN_DOUBT)
        owner.send(2)
        await owner.until(lambda: len(owner.results) == 2)
        assert owner.faults()[2] is FaultKind.UNSENT
        await owner.until(lambda: owner.link.state is LinkState.DOWN)
        assert "cannot connect" in owner.link.detail
        assert owner.link.free() == 0
        await peer.open(peer.port)
        await owner.until(is_bound(owner))
        owner.send(3)
        await owner.until(lambda: len(owner.results) == 3)
        assert owner.faults()[3] is TAKEN


async def test_a_message_is_not_written_after_its_time_or_after_the_lease():
    async with service() as peer, driven(peer.port) as owner:
        await owner.until(is_bound(owner))
        owner.send(1, not_after=time.time() - 1)
        await owner.until(lambda: len(owner.results) == 1)
        owner.link.allow(asyncio.get_running_loop().time() - 1)
        owner.send(2)
        assert owner.link.free() == 0
        owner.link.allow(asyncio.get_running_loop().time() + 60)
        await owner.until(lambda: len(owner.results) == 2)
        assert owner.faults() == {1: FaultKind.UNSENT, 2: TAKEN}
        assert [fields["message"] for fields in peer.fields] == ["2"]


async def test_what_no_request_can_hold_is_unsendable_and_told_without_its_words():
    async with service() as peer, driven(peer.port, headers='{"X-Text":"{text}"}') as owner:
        await owner.until(is_bound(owner))
        owner.link.send([Outgoing(1, "+33600000001", "SHOP", "two\nlines")])
        await owner.until(lambda: len(owner.results) == 1)
        assert owner.faults() == {1: FaultKind.UNSENDABLE}
        assert "two" not in owner.results[0].detail
        assert peer.fields == []


async def test_a_dropped_message_comes_back_unsent():
    async with service(lambda _: PARK) as peer, driven(peer.port, window=1) as owner:
        await owner.until(is_bound(owner))
        owner.send(1, 2)
        await owner.until(lambda: len(peer.fields) == 1)
        owner.link.drop(2)
        owner.link.drop(1)  # it is written: its answer is waited for
        await owner.until(lambda: len(owner.results) == 1)
        assert owner.faults() == {2: FaultKind.UNSENT}


async def test_the_end_gives_back_what_waits_and_leaves_in_doubt_what_was_written():
    async with service(lambda _: PARK) as peer, driven(peer.port, window=1) as owner:
        await owner.until(is_bound(owner))
        owner.send(1, 2)
        await owner.until(lambda: len(peer.fields) == 1)
        await owner.link.stop(0.05)
        owner.results += owner.link.take_results()
        assert owner.faults() == {1: FaultKind.IN_DOUBT, 2: FaultKind.UNSENT}
