"""Upkeep as a loop: what it has to do is done soon, and with nothing to do it asks for nearly nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shop import Shop, address_of, eventually, opened

from chappe.actions import upkeep as tasks
from chappe.store import webhooks
from chappe.store.database import Database
from chappe.store.embedded import ConnectionParameters
from chappe.store.looks import SHARE
from chappe.store.messages import LaneClass
from chappe.workers import upkeep as module
from chappe.workers.owner import is_dead, own_name
from chappe.workers.upkeep import Upkeep

pytestmark = pytest.mark.asyncio


class _Counted(Database):
    """A database that knows how often it was asked."""

    times = 0

    @asynccontextmanager
    async def connection(self, *, hot: bool = False) -> AsyncIterator[Any]:
        self.times += 1
        async with super().connection(hot=hot) as connection:
            yield connection


@asynccontextmanager
async def keeping(database: Database, owner: str = "me") -> AsyncIterator[Upkeep]:
    upkeep = Upkeep(database, owner, asyncio.Event())
    task = asyncio.create_task(upkeep.run())
    try:
        yield upkeep
    finally:
        await upkeep.stop()
        await asyncio.wait_for(task, 10)


@asynccontextmanager
async def counted(parameters: ConnectionParameters) -> AsyncIterator[_Counted]:
    database = _Counted(address_of(parameters), "chappe test")
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def released(shop: Shop, number: int) -> None:
    await eventually(
        lambda: shop.database.value(
            "select count(*) = 1 from outbox where message_id = $1 and lane & 7 <> $2", number, LaneClass.WAITING.value
        )
    )


async def test_at_rest_it_looks_once_a_tick_and_asks_for_nothing_else(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    signs = tasks.signs

    async def counting(*given: Any) -> tasks.Signs:
        nonlocal looked
        looked += 1
        return await signs(*given)

    monkeypatch.setattr(module, "TICK_S", 0.01)
    monkeypatch.setattr(tasks, "signs", counting)
    for task in tasks.TASKS:  # as long as they last: none is due twice in this test for the time that passed
        assert task.every_s >= 0.5
    async with opened(database) as shop, counted(database) as asked:
        await shop.carrier()
        async with keeping(asked):
            await eventually(lambda: _is(looked >= 2))
            before, first = asked.times, looked
            await eventually(lambda: _is(looked >= first + 20))
            # the tasks that have no sign are due every ten seconds, the lease every three
            assert asked.times - before <= looked - first + 4


async def _is(fact: bool) -> bool:
    return fact


async def test_what_comes_due_leaves_although_nothing_was_due_at_first(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        async with keeping(shop.database):
            await eventually(lambda: webhooks.holder(shop.database, module.LEASE))
            now = datetime.now(UTC)
            (soon,) = await shop.messages(account, 1, now=now, scheduled_at=now + timedelta(seconds=0.3))
            await released(shop, soon)


async def test_nothing_is_moved_by_routes_that_could_not_be_read(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_routes = tasks.carriers.all_routes
    away = 3

    async def sometimes(database_: Database) -> Any:
        nonlocal away
        away -= 1
        if away >= 0:
            raise ConnectionResetError
        return await all_routes(database_)

    monkeypatch.setattr(module, "TICK_S", 0.02)
    async with opened(database) as shop:
        account = await shop.account()
        (nowhere,) = await shop.messages(account, 1, now=datetime.now(UTC))
        await shop.carrier()
        monkeypatch.setattr(tasks.carriers, "all_routes", sometimes)
        async with keeping(shop.database):
            await released(shop, nowhere)
        assert away < 0


async def test_a_lease_is_waited_for_while_its_owner_may_live_and_taken_from_a_dead_neighbour(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.02)
    monkeypatch.setattr(module, "TICK_S", 0.01)
    dead = own_name().rpartition(":")[0] + ":0"  # a process of this number that began at another time
    assert is_dead(dead)
    async with opened(database, ordinary=6) as shop:
        assert await webhooks.take_lease(shop.database, module.LEASE, "another host:1:1", 0.4)
        async with keeping(shop.database):
            assert await webhooks.holder(shop.database, module.LEASE) == "another host:1:1"
            await eventually(lambda: _held_by(shop, "me"))
        assert await webhooks.holder(shop.database, module.LEASE) == "", "given back at the end"
        assert await webhooks.take_lease(shop.database, module.LEASE, dead, 3600)
        async with keeping(shop.database):
            await eventually(lambda: _held_by(shop, "me"))


async def _held_by(shop: Shop, owner: str) -> bool:
    return await webhooks.holder(shop.database, module.LEASE) == owner


async def test_what_there_is_to_do_is_asked_less_often_where_asking_takes_long(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    signs = tasks.signs
    slow_s = 0.03

    async def slowly(*given: Any) -> tasks.Signs:
        asked.append(asyncio.get_running_loop().time())
        await shop.database.value("select pg_sleep($1)", slow_s)
        return await signs(*given)

    monkeypatch.setattr(module, "TICK_S", 0.01)
    monkeypatch.setattr(tasks, "signs", slowly)
    async with opened(database) as shop, keeping(shop.database) as upkeep:
        await eventually(lambda: _is(len(asked) >= 5))
        pauses = [after - before for before, after in itertools.pairwise(asked)]
        assert min(pauses[1:]) >= SHARE * slow_s, "the first was no more than slow once"
        began = asyncio.get_running_loop().time()
        count = len(asked)
        upkeep.changed()
        await eventually(lambda: _is(len(asked) > count))
        assert asked[-1] - began < SHARE * slow_s, "what the operator changed is not waited for"
