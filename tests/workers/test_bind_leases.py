"""Delivering: binds find drivers, follow the operator's changes, survive their drivers, and are shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

import pytest
from scripted_smsc import Smsc, listening
from shop import Shop, eventually, opened

from chappe.actions.windows import Windows
from chappe.carriers.smpp import connecting
from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import binds, carriers
from chappe.store.database import Database
from chappe.workers import bind_driver, bind_share
from chappe.workers import bind_leases as module
from chappe.workers.bind_leases import Deliver
from chappe.workers.process_identity import own_name

pytestmark = pytest.mark.asyncio

cut_off: ContextVar[str] = ContextVar("cut_off", default="")  # which worker a task belongs to

QUICK = {"reconnect_delay_s_min": "0.01", "reconnect_delay_s_max": "0.05", "unbind_timeout_s": "0.2"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUND_S", 0.05)
    monkeypatch.setattr(module, "AGAIN_S_MIN", 0.05)
    monkeypatch.setattr(bind_driver, "SELDOM_S", 0.02)
    monkeypatch.setattr(bind_driver, "STOP_S", 0.5)


@asynccontextmanager
async def delivering(shop: Shop, owner: str = "me") -> AsyncIterator[Deliver]:
    deliver = Deliver(shop.database, owner, lambda: None)
    task = asyncio.create_task(deliver.run())
    try:
        yield deliver
    finally:
        await deliver.stop()
        await asyncio.wait_for(task, 10)


async def carrier(shop: Shop, smsc: Smsc, name: str = "red", **given: object) -> int:
    return await shop.carrier(name, port=smsc.port, settings=QUICK, **given)


async def sent(shop: Shop, count: int = 1) -> list[int]:
    account = await shop.account(f"user {datetime.now(UTC).timestamp()}")
    return await shop.messages(account, count, now=datetime.now(UTC))


async def referred(shop: Shop, numbers: list[int]) -> None:
    await eventually(
        lambda: shop.database.value(
            """select count(distinct message_id) = cardinality($1::bigint[])
               from reference where message_id = any ($1)""",
            numbers,
        )
    )


async def bound(shop: Shop, count: int) -> None:
    await eventually(lambda: shop.database.value("select count(*) = $1 from bind where state = 'bound'", count))


async def test_a_carrier_is_driven_from_the_moment_it_is_added(database: ConnectionParameters) -> None:
    async with opened(database, hot=6) as shop, listening() as smsc, delivering(shop) as deliver:
        await carrier(shop, smsc, binds=2)
        deliver.changed()
        await bound(shop, 2)
        await referred(shop, await sent(shop, 20))
        views = await binds.views(shop.database)
        assert [(view.owner, view.alive, view.slot) for view in views] == [("me", True, 0), ("me", True, 1)]
        await eventually(lambda: shop.database.value("select sum((figures->>'submitted')::float) = 20 from bind"))


class _Counted(Windows):
    """Windows that know how often somebody wanted to read them."""

    times = 0

    async def refresh(self, database: Database) -> None:
        self.times += 1
        await super().refresh(database)


async def test_windows_that_could_not_be_read_are_read_before_anything_leaves(database: ConnectionParameters) -> None:
    windows = _Counted({})
    async with opened(database) as shop, listening() as smsc:
        account = await shop.account(window="fr-10-20")
        await carrier(shop, smsc)
        await shop.database.execute("alter table account rename to account_away")
        deliver = Deliver(shop.database, "me", lambda: None, windows)
        task = asyncio.create_task(deliver.run())

        async def refused_twice() -> bool:
            return windows.times >= 2

        await eventually(refused_twice)
        assert smsc.binds == []
        await shop.database.execute("alter table account_away rename to account")
        await bound(shop, 1)
        assert windows.name_of(account.id) == "fr-10-20"
        await deliver.stop()
        await asyncio.wait_for(task, 10)


async def test_changes_take_effect_and_lose_nothing(database: ConnectionParameters) -> None:
    async with opened(database, hot=6) as shop, listening() as smsc, delivering(shop) as deliver:
        red = await carrier(shop, smsc, binds=3)
        await bound(shop, 3)
        await shop.database.execute(
            'update carrier set settings = settings || \'{"window": 2, "binds": 1}\'::jsonb where id = $1', red
        )
        deliver.changed()
        await eventually(lambda: shop.database.value("select count(*) = 1 and bool_and(state = 'bound') from bind"))
        await eventually(lambda: shop.database.value("select (figures->>'window')::float = 2 from bind"))
        await referred(shop, await sent(shop, 10))
        await carriers.remove(shop.database, "red")
        deliver.changed()
        await smsc.until(lambda: not smsc.bound)


async def test_a_changed_carrier_gets_the_pause_that_it_wants_between_two_sessions(
    database: ConnectionParameters,
) -> None:
    async with opened(database, hot=6) as shop, listening() as smsc, delivering(shop) as deliver:
        loop = asyncio.get_running_loop()
        red = await shop.carrier("red", port=smsc.port, settings=QUICK | {"rebind_delay_s": "0.6"})
        await bound(shop, 1)
        await shop.database.execute(
            "update carrier set settings = settings || '{\"window\": 2}'::jsonb where id = $1", red
        )
        deliver.changed()
        await smsc.until(lambda: smsc.closed)
        ended_at = loop.time()
        await smsc.until(lambda: len(smsc.binds) == 2)
        assert loop.time() - ended_at >= 0.5
        await bound(shop, 1)


async def test_what_a_dead_process_held_is_taken_over_within_a_round(database: ConnectionParameters) -> None:
    async with opened(database, hot=6) as shop, listening() as smsc:
        red = await carrier(shop, smsc)
        dead = own_name().rpartition(":")[0] + ":0"  # our process number, of another start
        bind = await shop.bind(red, owner=dead, lease_s=3600)
        left = await sent(shop, 2)
        await bind.turn(2)
        async with delivering(shop):
            await bound(shop, 1)

            async def decided() -> bool:
                return await shop.states(left) == [State.UNCERTAIN] * 2

            await eventually(decided)


SURPLUS = {
    "above its carrier's number": "update carrier set settings = settings || '{\"binds\": 1}'::jsonb where id = $1",
    "of a carrier out of use": "update carrier set enabled = false where id = $1",
    "of a carrier that is gone": "delete from carrier where id = $1",
}


@pytest.mark.parametrize("change", SURPLUS.values(), ids=SURPLUS.keys())
async def test_what_a_bind_holds_that_nobody_will_drive_is_decided(database: ConnectionParameters, change: str) -> None:
    async with opened(database, hot=6) as shop, listening() as smsc:
        red = await carrier(shop, smsc, binds=3)
        dead = own_name().rpartition(":")[0] + ":0"
        bind = await shop.bind(red, slot=2, owner=dead, lease_s=3600)
        left = await sent(shop, 2)
        await bind.turn(2)
        await shop.database.execute(change, red)
        async with delivering(shop):

            async def decided() -> bool:
                return await shop.states(left) == [State.UNCERTAIN] * 2

            await eventually(decided)
            await eventually(lambda: shop.database.value("select coalesce(bool_and(in_flight = '{}'), true) from bind"))
            if "enabled" not in change:
                await eventually(lambda: shop.database.value("select count(*) = 0 from bind where slot = 2"))


async def test_two_processes_share_the_binds_and_one_takes_all_when_the_other_ends(
    database: ConnectionParameters,
) -> None:
    async with opened(database, hot=8, ordinary=8) as shop, listening() as smsc:
        await carrier(shop, smsc, binds=2)
        async with delivering(shop, "one"):
            await bound(shop, 2)
            async with delivering(shop, "two"):
                await referred(shop, await sent(shop, 10))
                assert {view.owner for view in await binds.views(shop.database)} == {"one"}
        assert {view.owner for view in await binds.views(shop.database)} == {""}, "given back at once"
        async with delivering(shop, "two"):
            await bound(shop, 2)
            await referred(shop, await sent(shop, 10))
        assert len(smsc.submits) == 20
        await shop.books_balance()


async def test_a_worker_that_comes_gets_its_share_and_nothing_is_lost(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bind_share, "SURPLUS_S", 0.2)
    async with opened(database, hot=8, ordinary=8) as shop, listening() as smsc:
        await carrier(shop, smsc, binds=4)
        async with delivering(shop, "one"):
            await bound(shop, 4)
            numbers = await sent(shop, 20)
            async with delivering(shop, "two"):

                async def shared() -> bool:
                    owners = [view.owner for view in await binds.views(shop.database) if view.state == "bound"]
                    return sorted(owners) == ["one", "one", "two", "two"]

                await eventually(shared)
                numbers += await sent(shop, 20)
                await referred(shop, numbers)
            await bound(shop, 4)
        assert len(smsc.submits) == 40
        await shop.books_balance()


async def test_a_carrier_that_only_the_other_reaches_is_left_to_him(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bind_share, "UNREACHED_S_MIN", 0.2)
    real = connecting.connect
    unlucky: set[str] = set()

    async def connect(host: str, port: int, *given: object) -> object:
        if cut_off.get() in unlucky:
            raise OSError("no way there from here")
        return await real(host, port, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(connecting, "connect", connect)
    async with opened(database, hot=8, ordinary=8) as shop, listening() as smsc:
        await carrier(shop, smsc)
        unlucky.add("one")
        cut_off.set("one")
        async with delivering(shop, "one"):

            async def tried() -> bool:
                return [view.owner for view in await binds.views(shop.database)] == ["one"]

            await eventually(tried)
            cut_off.set("two")
            async with delivering(shop, "two"):
                await bound(shop, 1)
                assert [view.owner for view in await binds.views(shop.database)] == ["two"]
                await referred(shop, await sent(shop, 3))


async def test_a_stolen_lease_ends_the_driver_and_the_bind_is_taken_again(database: ConnectionParameters) -> None:
    async with opened(database, hot=6) as shop, listening() as smsc, delivering(shop):
        await carrier(shop, smsc)
        await bound(shop, 1)
        await shop.database.execute("update bind set token = token + 1, owner = 'thief', expires_at = 'infinity'")
        await smsc.until(lambda: not smsc.bound)
        await shop.database.execute("update bind set expires_at = '-infinity'")
        await smsc.until(lambda: smsc.bound)
        await referred(shop, await sent(shop, 3))


async def test_a_driver_that_cannot_renew_its_lease_sends_nothing_and_goes_on_when_it_can(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASE_S", 0.5)
    async with opened(database, hot=6) as shop, listening() as smsc, delivering(shop) as deliver:
        await carrier(shop, smsc)
        await bound(shop, 1)
        (running,) = deliver._running.values()
        # Somebody holds the row of the bind, as a transaction of a machine without power does: no renewal gets through.
        async with shop.database.transaction() as tx:
            await tx.execute("select from bind for update")
            await eventually(lambda: _is(running.pump.link.free() == 0))
        await eventually(lambda: _is(running.pump.link.free() > 0))
        await referred(shop, await sent(shop, 3))
        assert len(smsc.binds) == 1, "the connection to the carrier was kept"


@pytest.mark.parametrize("slots", [1, 16])
async def test_binds_that_end_while_others_are_renewed_end_nobody_else(
    database: ConnectionParameters, slots: int
) -> None:
    """A carrier's settings change: its binds end while the worker waits for the row of another one's."""
    async with opened(database, hot=slots + 4, ordinary=6) as shop, listening() as smsc, delivering(shop) as deliver:
        await carrier(shop, smsc, "blue")
        await bound(shop, 1)
        red = await carrier(shop, smsc, "red", binds=slots)
        await bound(shop, slots + 1)
        blue_wire = smsc.wires[0]
        async with opened(database) as other, other.database.transaction() as holding:
            await holding.execute("select from bind where carrier_id <> $1 for update", red)
            await eventually(lambda: shop.database.value("select true from pg_locks where not granted limit 1"))
            change = "update carrier set settings = settings || '{\"window\": 2}'::jsonb where id = $1"
            await shop.database.execute(change, red)
            deliver.changed()
            left = "select count(*) = 0 from bind where carrier_id = $1 and state = 'bound' and owner = $2"
            old = left + " and (figures->>'window')::float <> 2"
            await eventually(lambda: shop.database.value(old, red, "me"))
        await bound(shop, slots + 1)
        await referred(shop, await sent(shop, 5))
        assert not blue_wire.gone.is_set(), "the other carrier's connection was kept"


async def test_a_round_that_fails_is_told_and_the_next_goes_on(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LEASE_S", 0.5)
    async with opened(database, hot=6) as shop, listening() as smsc, delivering(shop) as deliver:
        await carrier(shop, smsc)
        await bound(shop, 1)
        real = binds.owners
        failed = 0

        async def owners(database: Database) -> list[str]:
            nonlocal failed
            failed += 1
            raise KeyError("what nobody thought of")

        monkeypatch.setattr(binds, "owners", owners)
        deliver.changed()
        await eventually(lambda: _is(failed >= 3))
        await referred(shop, await sent(shop, 3))
        assert len(smsc.binds) == 1, "the lease was renewed all the time"
        monkeypatch.setattr(binds, "owners", real)
        await carrier(shop, smsc, "blue", prefix=None)
        deliver.changed()
        await bound(shop, 2)
    told = [record for record in caplog.records if record.message == "deliver_failed"]
    assert len(told) >= 3
    assert all(record.exc_info is not None for record in told)


async def test_a_carrier_that_is_not_reached_is_told_at_once_and_again_and_that_it_is_reached(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AWAY_TOLD_S", 0.3)
    caplog.set_level("INFO", "chappe.deliver")

    def told(event: str) -> list[dict[str, object]]:
        return [vars(record)["fields"] for record in caplog.records if record.message == event]

    async with opened(database, hot=6) as shop, listening() as smsc:
        port = smsc.port
        await carrier(shop, smsc, "blue")
        await carrier(shop, smsc, "red", binds=2)
        await smsc.stop()
        async with delivering(shop):
            await eventually(lambda: _is(len(told("carrier_unreachable")) >= 4))
            first, second, *_ = told("carrier_unreachable")
            assert {first["carrier"], second["carrier"]} == {"blue", "red"}
            assert "cannot connect" in str(first["why"])
            assert {one["binds"] for one in told("carrier_unreachable") if one["carrier"] == "red"} == {2}
            await smsc.start(port)
            await eventually(lambda: _is(len(told("carrier_reached")) == 2))


async def _is(truth: bool) -> bool:
    return truth


async def test_settings_that_mean_nothing_stop_one_carrier_only(database: ConnectionParameters) -> None:
    async with opened(database, hot=6) as shop, listening() as smsc, delivering(shop):
        await shop.carrier("odd", port=smsc.port, settings={"knob_of_tomorrow": "1"})
        strange = await shop.carrier("strange", port=smsc.port)
        await shop.database.execute("update carrier set kind = 'pigeon' where id = $1", strange)
        await carrier(shop, smsc, prefix="33")
        await bound(shop, 1)
        await referred(shop, await sent(shop, 3))


async def test_a_database_that_refuses_every_turn_makes_no_storm_of_binds(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S_MIN", 0.5)
    async with opened(database, hot=6) as shop, listening() as smsc, delivering(shop):
        await carrier(shop, smsc)
        await bound(shop, 1)
        await shop.database.execute("alter table reference add constraint broken check (carrier_id < 0) not valid")
        numbers = await sent(shop, 1)
        await smsc.until(lambda: len(smsc.binds) >= 2)
        assert len(smsc.binds) == 2
        await shop.database.execute("alter table reference drop constraint broken")

        async def held() -> bool:
            return await shop.states(numbers) == [State.UNCERTAIN]

        await eventually(held)


async def test_a_lease_from_before_the_clock_was_set_back_bars_nobody_for_long(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binds, "SHORTENED_S", 0.1)
    async with opened(database) as shop, listening() as smsc:
        await binds.resize(shop.database, await carrier(shop, smsc), 1)
        await shop.database.execute(
            "update bind set owner = 'host/boot/-:1:1', expires_at = clock_timestamp() + interval '1 hour'"
        )
        await shop.database.execute(
            """insert into lease (name, owner, token, expires_at)
               values ('notify', 'host/boot/-:1:1', 1, now() + interval '1 hour')"""
        )
        async with delivering(shop):
            await bound(shop, 1)
        assert await shop.database.value("select expires_at < clock_timestamp() from lease where name = 'notify'")
