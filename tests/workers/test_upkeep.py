"""Upkeep as a loop: what it has to do is done soon, and with nothing to do it asks for nearly nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shop import Shop, address_of, eventually, opened

from chappe.actions import upkeep as tasks
from chappe.embedded.server import ConnectionParameters
from chappe.store import troubles, webhooks
from chappe.store.database import Database
from chappe.store.lanes import LaneClass
from chappe.store.queue_head import SHARE
from chappe.workers import upkeep as module
from chappe.workers.process_identity import is_dead, own_name
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
    monkeypatch.setattr(module, "RENEW_S", 1e9)
    for task in tasks.TASKS:  # none is due twice, however slow the machine is
        _with(monkeypatch, task.name, task.run, every_s=1e9)
    async with opened(database) as shop, counted(database) as asked:
        await shop.carrier()
        async with keeping(asked) as upkeep:
            await eventually(lambda: _is(looked >= 2 and upkeep._housekeeping is not None))
            assert upkeep._housekeeping is not None
            await asyncio.wait([upkeep._housekeeping])
            before, first = asked.times, looked
            await eventually(lambda: _is(looked >= first + 20))
            assert asked.times - before <= looked - first + 1


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


def _with(monkeypatch: pytest.MonkeyPatch, name: str, run: Any, **given: Any) -> None:
    """One task of upkeep is another."""
    others = (replace(task, run=run, **given) if task.name == name else task for task in tasks.TASKS)
    monkeypatch.setattr(tasks, "TASKS", tuple(others))


async def test_who_waits_for_something_does_not_wait_for_housekeeping(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is renewed meanwhile, too."""
    monkeypatch.setattr(module, "RENEW_S", 0.05)
    monkeypatch.setattr(module, "TICK_S", 0.02)
    began, go_on = asyncio.Event(), asyncio.Event()

    async def long(*_: Any) -> bool:
        began.set()
        await go_on.wait()
        return False

    _with(monkeypatch, "infer", long)
    async with opened(database, ordinary=6) as shop:
        account = await shop.account()
        await shop.carrier()
        async with keeping(shop.database) as upkeep:
            await began.wait()
            lease = await shop.database.fetch("select token, expires_at from lease where name = $1", module.LEASE)
            for _ in range(3):
                now = datetime.now(UTC)
                (soon,) = await shop.messages(account, 1, now=now, scheduled_at=now + timedelta(seconds=0.2))
                await released(shop, soon)
            renewed = "select true from lease where name = $1 and token = $2 and expires_at > $3"
            await eventually(lambda: shop.database.value(renewed, module.LEASE, *lease[0]))
            assert upkeep._housekeeping is not None
            assert not upkeep._housekeeping.done()
            go_on.set()


async def test_what_has_more_to_do_gives_way_and_goes_on_at_once(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "PROMPT_S", 0.0)
    monkeypatch.setattr(tasks, "HOUSEKEEPING_S", 0.0)
    monkeypatch.setattr(tasks, "BATCH", 1)
    order: list[str] = []

    def counted_as(name: str, run: Any) -> Any:
        async def counting(*given: Any) -> bool:
            order.append(name)
            return bool(await run(*given))

        return counting

    for task in tasks.TASKS:
        if task.name in ("release", "replies"):
            _with(monkeypatch, task.name, counted_as(task.name, task.run), wanted=lambda *_: True)
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        now = datetime.now(UTC)
        due = await shop.messages(account, 5, now=now, scheduled_at=now + timedelta(seconds=0.1))
        async with keeping(shop.database):
            await eventually(
                lambda: shop.database.value(
                    "select count(*) = $1 from outbox where lane & 7 <> $2", len(due), LaneClass.WAITING.value
                )
            )
    assert order.count("release") >= 5, "one at a time"


@pytest.mark.parametrize("name", ["place_held", "release", "match", "fail_over", "infer", "silence", "count", "clear"])
async def test_a_task_that_fails_keeps_no_other_from_its_turn(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.02)
    monkeypatch.setattr(module, "FAILED_S_MAX", 0.05)
    original = next(task.run for task in tasks.TASKS if task.name == name)
    healed = False

    async def poisonous(*given: Any) -> bool:
        if healed:
            return bool(await original(*given))
        raise KeyError("what nobody thought of")

    ran: set[str] = set()

    def noted(task: tasks.Task) -> Any:
        async def run(*given: Any) -> bool:
            ran.add(task.name)
            return bool(await task.run(*given))

        return run

    for task in tasks.TASKS:
        run = poisonous if task.name == name else noted(task)
        _with(monkeypatch, task.name, run, wanted=lambda *_: True, every_s=0.05)
    others = {task.name for task in tasks.TASKS} - {name}
    async with opened(database, ordinary=6) as shop:
        await shop.carrier()
        async with keeping(shop.database):
            await eventually(lambda: _is(ran == others))
            (trouble,) = await eventually(lambda: troubles.read(shop.database))
            assert (trouble.task, trouble.error) == (name, "KeyError")
            await eventually(lambda: shop.database.value("select times >= 2 from trouble"))
            healed = True
            await eventually(lambda: shop.database.value("select count(*) = 0 from trouble"))
    failed = [record for record in caplog.records if record.message == "upkeep_failed"]
    assert len(failed) >= 2
    assert all(record.exc_info is not None for record in failed)


async def test_a_database_that_refuses_one_task_keeps_no_other_from_its_turn(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.02)

    async def refused(database_: Database, *_: Any) -> bool:
        await database_.execute("select 1 / 0")
        return False

    _with(monkeypatch, "place_held", refused, wanted=lambda *_: True)
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        async with keeping(shop.database):
            now = datetime.now(UTC)
            (soon,) = await shop.messages(account, 1, now=now, scheduled_at=now + timedelta(seconds=0.2))
            await released(shop, soon)
            (trouble,) = await eventually(lambda: troubles.read(shop.database))
            assert (trouble.task, trouble.error) == ("place_held", "DivisionByZeroError")
