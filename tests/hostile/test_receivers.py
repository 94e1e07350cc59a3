"""A customer whose webhooks lead to many hosts that never answer: those of others are told all the same."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from shop import SECRET, Shop, eventually, opened

from chappe.core.lifecycle import State
from chappe.core.model import Account
from chappe.embedded.server import ConnectionParameters
from chappe.net.client import Door
from chappe.net.connection import Answer
from chappe.observability.logs import configure
from chappe.store.messages import key_of
from chappe.store.webhook_hosts import host_of
from chappe.workers import webhook_shares as shares
from chappe.workers.notify import Notify

pytestmark = pytest.mark.asyncio


class Ear:
    """A server that answers at once, or never."""

    def __init__(self, *, silent: bool = False) -> None:
        self.heard = 0
        self.silent = silent
        self.url = ""
        self._ended: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ended.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
                await reader.readexactly(length)
                self.heard += 1
                if self.silent:
                    await reader.read()
                    break
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def over(self) -> None:
        await asyncio.wait(self._ended, timeout=10)


@asynccontextmanager
async def listening(*ears: Ear) -> AsyncIterator[None]:
    servers = []
    for ear in ears:
        servers.append(await asyncio.start_server(ear.serve, "127.0.0.1", 0))
        ear.url = f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}/report"
    try:
        yield
    finally:
        for server, ear in zip(servers, ears, strict=True):
            server.close()
            if ear.heard:
                await ear.over()


async def news(shop: Shop, ear: Ear, account: Account, count: int = 1) -> None:
    now = datetime.now(UTC)
    for number in await shop.messages(account, count, report_url=ear.url):
        await shop.database.execute(
            "insert into webhook values ($1, $2, nextval('webhook_number'), $3, $4, $5)",
            host_of(account.id, ear.url, SECRET), key_of(now), number, now, State.DELIVERED,
        )  # fmt: skip
        await shop.database.execute("update message set state = $2 where id = $1", number, State.DELIVERED)


async def test_hosts_of_which_nothing_is_known_leave_room_for_those_that_answer(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "CALLS_MAX", 20)
    monkeypatch.setattr(shares, "CALLS_DOUBTFUL_MAX", 10)
    dead = [Ear(silent=True) for _ in range(60)]
    ear = Ear()
    async with opened(database) as shop, listening(*dead, ear):
        attacker, customer = await shop.account("attacker"), await shop.account("customer")
        door = Door(True, connections_max=shares.CALLS_MAX)
        notify = Notify(shop.database, door, SECRET, "me", 3.0)
        task = asyncio.create_task(notify.run())
        try:
            await news(shop, ear, customer)

            async def known() -> bool:
                return ear.heard == 1

            await eventually(known)
            for one in dead:
                await news(shop, one, attacker)

            async def busy() -> bool:
                return sum(one.heard for one in dead) >= 10

            await eventually(busy)
            await news(shop, ear, customer, 50)
            notify.ring()  # as who has stored news does

            async def heard() -> bool:
                return ear.heard == 51

            await eventually(heard, 2.0)
            assert sum(one.heard for one in dead) <= 20, "so many calls to hosts that say nothing hang at once"
        finally:
            await notify.stop()
            await asyncio.wait_for(task, 15)
            await door.close()


async def test_a_host_heard_of_for_the_first_time_waits_for_its_turn_only(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two calls at once to hosts of which nothing is known, a dozen that never answer with many news each, and one
    behind them that would: it gets its turn before the first are called again."""
    monkeypatch.setattr(shares, "CALLS_DOUBTFUL_MAX", 2)
    monkeypatch.setattr(shares, "CALLS_AT_FIRST", 1)
    dead = [Ear(silent=True) for _ in range(6)]
    ear = Ear()
    async with opened(database) as shop, listening(*dead, ear):
        attacker, customer = await shop.account("attacker"), await shop.account("customer")
        door = Door(True, connections_max=shares.CALLS_MAX)
        notify = Notify(shop.database, door, SECRET, "me", 0.4)
        for one in dead:
            await news(shop, one, attacker, 10)
        await news(shop, ear, customer, 30)
        task = asyncio.create_task(notify.run())
        try:

            async def heard() -> bool:
                return ear.heard == 30

            await eventually(heard)
            assert max(one.heard for one in dead) <= 3
        finally:
            await notify.stop()
            await asyncio.wait_for(task, 15)
            await door.close()


class Broken(Door):
    """A door that meets what nobody thought of, whenever it is to reach one host."""

    bad = ""

    async def request(self, method: str, url: str, *given: Any, **named: Any) -> Answer:
        if url == self.bad:
            raise RuntimeError("+33612345678")
        return await super().request(method, url, *given, **named)


async def test_what_nobody_thought_of_is_an_attempt_that_failed(
    database: ConnectionParameters,
) -> None:
    log = io.StringIO()
    configure("json", "debug", log)
    poisoned, ear = Ear(), Ear()
    async with opened(database) as shop, listening(poisoned, ear):
        account = await shop.account()
        door = Broken(True)
        door.bad = poisoned.url
        notify = Notify(shop.database, door, SECRET, "me", 3.0)
        await news(shop, poisoned, account, 30)
        await news(shop, ear, account, 30)
        task = asyncio.create_task(notify.run())
        try:

            async def all_tried() -> bool:
                tried = await shop.database.value(
                    "select count(*) from webhook_attempt where outcome = 'retry: failed: RuntimeError'"
                )
                return ear.heard == 30 and tried == 30

            await eventually(all_tried)
        finally:
            await notify.stop()
            await asyncio.wait_for(task, 15)
            await door.close()
        assert (notify._hosts.calls, notify._hosts.doubtful) == (0, 0)
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    failed = [line for line in told if line["event"] == "webhook_failed"]
    assert len(failed) == 30
    assert all('raise RuntimeError("+336******78")' in line["exception"] for line in failed)
    assert "612345678" not in log.getvalue()


async def test_what_is_known_of_hosts_is_bounded_and_forgotten_when_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "TRUSTED_MAX", 5)
    trusted = shares.Trusted()
    for number in range(20):
        trusted.answered(number, well=True)
    assert [number in trusted for number in (14, 15, 19)] == [False, True, True]
    trusted.answered(15, well=True)
    trusted.answered(20, well=True)
    assert [number in trusted for number in (15, 16, 20)] == [True, False, True]
    trusted.answered(15, well=False)
    trusted.answered(99, well=False)
    assert 15 not in trusted
