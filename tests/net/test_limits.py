"""Who may use which connection: limits in all and for each host, turns in order, and what makes room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest

from chappe.core.errors import Fault
from chappe.net.client import Door

pytestmark = pytest.mark.asyncio

LOOPBACK = (ip_network("127.0.0.0/8"),)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Slow:
    """Answers when it is told to, or at once; each host is an address of the loopback network."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.now = self.most = self.connections = 0
        self.go = asyncio.Event()
        self.changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                async with self.changed:
                    self.asked.append(head.split()[1].decode())
                    self.changed.notify_all()
                await self.go.wait()
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.now -= 1
            writer.close()

    async def until_asked(self, count: int) -> None:
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: len(self.asked) >= count)

    def url(self, host: int, path: object = "") -> str:
        return f"http://127.0.0.{host}:{self.port}/{path}"


@asynccontextmanager
async def slow() -> AsyncIterator[Slow]:
    one = Slow()
    server = await asyncio.start_server(one.serve, "0.0.0.0", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        one.go.set()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def door(in_all: int, per_host: int) -> AsyncIterator[Door]:
    one = Door(LOOPBACK, connections_max=in_all, connections_per_host_max=per_host)
    try:
        yield one
    finally:
        await one.close()


async def test_a_host_has_so_many_connections_and_its_calls_take_turns_in_order() -> None:
    async with slow() as server, door(10, 3) as one:
        calls = []
        for number in range(12):
            calls.append(asyncio.create_task(one.request("GET", server.url(1, number))))
            if number < 3:
                await server.until_asked(number + 1)
        await asyncio.sleep(0)
        assert len(server.asked) == 3
        server.go.set()
        answers = await asyncio.gather(*calls)
        assert {answer.status for answer in answers} == {200}
        assert (server.most, server.connections) == (3, 3)
        assert sorted(map(int, (path[1:] for path in server.asked))) == list(range(12))
        # three at a time: nobody is overtaken by more than those who are served beside him
        assert all(abs(int(path[1:]) - place) <= 2 for place, path in enumerate(server.asked))


async def test_the_limit_in_all_holds_and_an_idle_connection_makes_room() -> None:
    async with slow() as server, door(3, 2) as one:
        server.go.set()
        for host in (1, 2, 3):
            await one.request("GET", server.url(host))
        assert one._open == 3
        await asyncio.gather(*[one.request("GET", server.url(host)) for host in range(4, 24)])
        assert one._open <= 3
        assert server.most <= 4, "one may be closed here and not yet there"


async def test_a_host_whose_calls_hang_holds_up_no_other() -> None:
    async with slow() as server, slow() as quick, door(4, 2) as one:
        quick.go.set()
        hanging = [asyncio.create_task(one.request("GET", server.url(1))) for _ in range(6)]
        await server.until_asked(2)
        async with asyncio.timeout(60):
            for _ in range(10):
                assert (await one.request("GET", quick.url(2))).status == 200
        server.go.set()
        await asyncio.gather(*hanging)


async def test_waiting_for_a_turn_is_part_of_the_time() -> None:
    async with slow() as server, door(1, 1) as one:
        first = asyncio.create_task(one.request("GET", server.url(1), timeout_s=5))
        await server.until_asked(1)
        with pytest.raises(Fault) as caught:
            await one.request("GET", server.url(1), timeout_s=0.1)
        assert caught.value.reason == "timeout"
        server.go.set()
        assert (await first).status == 200
        assert (await one.request("GET", server.url(1))).status == 200
        assert (one._open, len(one._turns)) == (1, 0)


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    async with slow() as server, door(2, 1) as one:
        first = asyncio.create_task(one.request("GET", server.url(1)))
        await server.until_asked(1)
        waiting = [asyncio.create_task(one.request("GET", server.url(1))) for _ in range(4)]
        await asyncio.sleep(0)
        server.go.set()
        await first
        for call in waiting[:3]:  # the first of them has been given the connection in this very moment
            call.cancel()
        await asyncio.gather(*waiting[:3], return_exceptions=True)
        assert (await waiting[3]).status == 200
        assert one._open == len(one._idle) == 1


async def test_when_the_door_closes_nobody_waits_for_ever() -> None:
    async with slow() as server:
        one = Door(LOOPBACK, connections_max=1, connections_per_host_max=1)
        calls = [asyncio.create_task(one.request("GET", server.url(1))) for _ in range(3)]
        await server.until_asked(1)
        await one.close()
        async with asyncio.timeout(60):
            ends = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(end, Fault) for end in ends)
        assert (one._open, one._sockets) == (0, set())
