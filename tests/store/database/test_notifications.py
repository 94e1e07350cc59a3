"""Bell and listener: a lost call is not a lost message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from shop import address_of, eventually, opened

from chappe.embedded.server import ConnectionParameters
from chappe.store.database import Address, Bell, Listener
from chappe.store.database import notifications as module

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def hearing(
    database: ConnectionParameters, *channels: str
) -> AsyncIterator[tuple[list[str], asyncio.Event, Bell]]:
    """Gives the list of calls that a listener hears, an event that each call sets, and a bell of the last channel."""
    heard: list[str] = []
    news = asyncio.Event()

    def hear(channel: str) -> None:
        heard.append(channel)
        news.set()

    listener = Listener(address_of(database), channels, hear)
    listener.start()
    bell = Bell(address_of(database), channels[-1])
    try:
        await _until(news, lambda: len(heard) >= len(channels))
        yield heard, news, bell
    finally:
        await bell.close()
        await listener.close()


async def test_a_bell_is_heard_by_every_listener_and_calls_gather(database: ConnectionParameters) -> None:
    async with hearing(database, "chappe_a", "chappe_b") as (heard, news, bell):
        assert heard == ["chappe_a", "chappe_b"], "once for each after connecting: calls may have been missed"
        for _ in range(50):
            bell.ring()
        await _until(news, lambda: len(heard) >= 3)
        assert heard[2:] == ["chappe_b"], "fifty rings are one call"
        bell.ring()
        await _until(news, lambda: len(heard) >= 4)


async def test_single_calls_follow_each_other_at_once_and_many_gather(database: ConnectionParameters) -> None:
    async with hearing(database, "chappe_a") as (heard, news, bell):
        bell.INTERVAL_S = 3_600.0  # an interval that would end the test
        for calls in range(1, Bell.SELDOM):
            bell.ring()
            await _until(news, lambda: len(heard) > calls)  # noqa: B023 - awaited at once
        for _ in range(50):
            bell.ring()
        await _until(news, lambda: len(heard) > Bell.SELDOM)
        for _ in range(50):
            bell.ring()
            await asyncio.sleep(0)
        assert len(heard) == Bell.SELDOM + 1, "the interval has not passed"


async def test_bell_and_listener_survive_their_connections(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECONNECT_S", 0.01)
    async with opened(database) as shop, hearing(database, "chappe_a") as (heard, news, bell):
        bell.ring()
        await _until(news, lambda: len(heard) >= 2)
        await shop.database.fetch(
            """select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and application_name in ('chappe bell', 'chappe listener')"""
        )
        await _until(news, lambda: len(heard) >= 3)
        heard.clear()

        async def rung() -> bool:
            bell.ring()  # the first ring may be the one that finds the connection gone
            return bool(heard)

        await eventually(rung)


async def test_a_listener_waits_for_a_database_that_is_not_there() -> None:
    listener = Listener(Address(host="127.0.0.1", port=1, user="nobody", database="none"), ["a"], lambda _: None)
    bell = Bell(Address(host="127.0.0.1", port=1, user="nobody", database="none"), "a")
    listener.start()
    bell.ring()
    await asyncio.sleep(0)
    await asyncio.wait_for(listener.close(), 5)
    await asyncio.wait_for(bell.close(), 5)


async def _until(news: asyncio.Event, is_so: Any) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            news.clear()
            await news.wait()
