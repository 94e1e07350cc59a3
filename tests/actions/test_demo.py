"""The demo: whose messages its phones take, when it is out of use, and what it never touches."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from scripted_smsc import listening
from shop import Shop, eventually, opened

from chappe.actions import carriers as carrier_actions
from chappe.actions import demo, upkeep
from chappe.actions.carrier_errors import CarrierMisuse
from chappe.core.model import AccountState
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts, carriers
from chappe.store import demo as stored
from chappe.store.lanes import LaneClass, lane
from chappe.workers.bind_leases import Deliver
from chappe.workers.upkeep import Upkeep

pytestmark = pytest.mark.asyncio

PORT = 2775
QUICK = {"reconnect_delay_s_min": "0.01", "reconnect_delay_s_max": "0.05", "unbind_timeout_s": "0.2"}


async def lanes(shop: Shop, message_ids: list[int]) -> list[int]:
    rows = await shop.database.fetch("select lane from outbox where message_id = any ($1) order by 1", message_ids)
    return [row["lane"] for row in rows]


async def handset_id(shop: Shop) -> int:
    found = await stored.read(shop.database)
    assert found is not None
    return found.carrier_id


async def end(shop: Shop) -> bool:
    async with shop.database.connection() as connection:
        return await stored.end(connection)


async def demo_account(shop: Shop) -> accounts.Account:
    found = await accounts.by_login(shop.database, demo.LOGIN)
    assert found is not None
    return found


async def test_in_a_playground_the_phones_take_every_account_s_messages(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        begun = await demo.begin(shop.database, PORT, "")
        assert (begun.everyone, begun.others) == (True, ())
        phones = lane(await handset_id(shop), LaneClass.TRANSACTIONAL)
        for account in (await demo_account(shop), await shop.account("shop", transactional=True)):
            ids = await shop.messages(account, transactional=True)
            assert await lanes(shop, ids) == [phones]


async def test_another_carrier_leaves_the_phones_to_the_demo_account(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await demo.begin(shop.database, PORT, "")
        customer = await shop.account("shop")
        acme = await shop.carrier("acme", prefix=None)  # no route yet
        waits = await shop.messages(customer, transactional=True)
        assert await lanes(shop, waits) == [lane(0, LaneClass.WAITING)], "it waits, and no phone gets it"
        await carriers.add_route(shop.database, "acme", "33", None, 0)
        goes = await shop.messages(customer, transactional=True)
        assert await lanes(shop, goes) == [lane(acme, LaneClass.TRANSACTIONAL)]
        plays = await shop.messages(await demo_account(shop), transactional=True)
        assert await lanes(shop, plays) == [lane(await handset_id(shop), LaneClass.TRANSACTIONAL)]

        await carriers.remove(shop.database, "acme")
        waits = await shop.messages(customer, transactional=True)
        assert await lanes(shop, waits) == [lane(0, LaneClass.WAITING)], "nor when the carrier is gone again"


@pytest.mark.parametrize("down", ["down", "disabled"])
async def test_the_phones_are_never_a_way_out(database: ConnectionParameters, down: str) -> None:
    """Neither when the only carrier of a customer is down, nor for a destination that has no carrier."""
    async with opened(database) as shop:
        await demo.begin(shop.database, PORT, "")
        customer = await shop.account("shop")
        acme = await shop.carrier("acme", prefix="33")
        ids = await shop.messages(customer, 3, transactional=True)
        ids += await shop.messages(customer, numbers=["+4915112345678"], transactional=True)
        if down == "disabled":
            await shop.database.execute("update carrier set enabled = false where id = $1", acme)
        await shop.database.execute("update bind set state = 'down', state_at = now() - interval '1 hour'")
        book = upkeep.Book()
        now = datetime.now(UTC) + timedelta(hours=1)
        for task in (upkeep.look, upkeep.fail_over, upkeep.release):
            await task(shop.database, now, book)
        assert await handset_id(shop) not in {number // 8 for number in await lanes(shop, ids)}


async def test_what_stood_in_the_phones_lane_goes_to_the_carrier_that_is_added(database: ConnectionParameters) -> None:
    """Accepted while there was nothing but the phones, and not delivered yet."""
    async with opened(database) as shop, listening() as handset, listening() as acme:
        await demo.begin(shop.database, handset.port, "")
        customer = await shop.account("shop")
        ids = await shop.messages(customer, 3, now=datetime.now(UTC), transactional=True)
        plays = await shop.messages(await demo_account(shop), 2, now=datetime.now(UTC), transactional=True)
        await shop.carrier("acme", prefix="33", port=acme.port, settings=QUICK)
        moved = asyncio.Event()
        deliver, keeper = Deliver(shop.database, "me", lambda: None), Upkeep(shop.database, "me", moved)
        tasks = [asyncio.create_task(one.run()) for one in (deliver, keeper)]
        try:

            async def all_sent() -> bool:
                deliver.ring()
                return len(acme.submits) >= len(ids) and len(handset.submits) >= len(plays)

            await eventually(all_sent, 20.0)
        finally:
            for one in (deliver, keeper):
                await one.stop()
            await asyncio.gather(*tasks)
        assert {pdu.destination_addr for pdu in handset.submits}.isdisjoint(
            pdu.destination_addr for pdu in acme.submits
        )
        assert (len(acme.submits), len(handset.submits)) == (3, 2)


async def test_without_the_demo_its_account_and_its_carrier_are_out_of_use(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await demo.begin(shop.database, PORT, "")
        customer, player = await shop.account("shop"), await demo_account(shop)
        ids = await shop.messages(customer, transactional=True) + await shop.messages(player, transactional=True)
        assert await end(shop) is True
        assert await end(shop) is False, "it is said once"
        assert (await demo_account(shop)).state is AccountState.DISABLED
        (carrier,) = await carriers.all_carriers(shop.database)
        assert not carrier.enabled
        assert await carriers.all_routes(shop.database) == []
        for account in (customer, player):
            late = await shop.messages(account, transactional=True)
            assert await lanes(shop, late) == [lane(0, LaneClass.WAITING)]

        # Now there is a real carrier: the customer's messages leave, and what was played with never does.
        acme = await shop.carrier("acme", prefix="")
        book = upkeep.Book()
        now = datetime.now(UTC) + timedelta(hours=1)
        for task in (upkeep.look, upkeep.fail_over, upkeep.release):
            await task(shop.database, now, book)
        assert await lanes(shop, ids) == [lane(0, LaneClass.WAITING), lane(acme, LaneClass.TRANSACTIONAL)]


async def test_the_demo_comes_back_with_the_same_key_and_without_a_second_account(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        first = await demo.begin(shop.database, PORT, "")
        await end(shop)
        second = await demo.begin(shop.database, PORT + 1, first.key)
        assert second == first
        account = await accounts.by_key(shop.database, second.key)
        assert account is not None
        assert account.state is AccountState.ACTIVE
        (carrier,) = await carriers.all_carriers(shop.database)
        assert (carrier.enabled, carrier.settings.port) == (True, PORT + 1)
        (route,) = await carriers.all_routes(shop.database)
        assert (route.carrier, route.prefix) == ("handset", "")


@pytest.mark.parametrize("kept", ["", "of another installation"])
async def test_a_lost_key_is_replaced(database: ConnectionParameters, kept: str) -> None:
    async with opened(database) as shop:
        lost = (await demo.begin(shop.database, PORT, "")).key
        found = (await demo.begin(shop.database, PORT, kept)).key
        assert found != lost
        assert await accounts.by_key(shop.database, lost) is None
        assert (await accounts.by_key(shop.database, found)) == await demo_account(shop)


async def test_removed_phones_come_back_when_the_demo_is_begun_again(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await demo.begin(shop.database, PORT, "")
        await carriers.remove(shop.database, demo.CARRIER)
        player = await demo_account(shop)
        await shop.carrier("acme", prefix="")
        waits = await shop.messages(player, transactional=True)
        assert await lanes(shop, waits) == [lane(0, LaneClass.WAITING)], "the demo account has no other carrier"
        begun = await demo.begin(shop.database, PORT, "")
        assert (begun.everyone, begun.others) == (False, ("acme",))


@pytest.mark.parametrize("taken", ["account", "carrier"])
async def test_an_account_or_a_carrier_of_the_operator_is_not_taken_for_the_demo_s(
    database: ConnectionParameters, taken: str
) -> None:
    async with opened(database) as shop:
        if taken == "account":
            await shop.account(demo.LOGIN)
        else:
            await shop.carrier(demo.CARRIER, port=PORT)
        with pytest.raises(demo.DemoError, match="not the demo's"):
            await demo.begin(shop.database, PORT, "")
        assert await end(shop) is False
        assert [carrier.enabled for carrier in await carriers.all_carriers(shop.database)] in ([], [True])


@pytest.mark.parametrize("word", ["host=smpp.example.net", "port=2776"])
async def test_the_demo_s_carrier_leads_nowhere_else(database: ConnectionParameters, word: str) -> None:
    async with opened(database) as shop:
        await demo.begin(shop.database, PORT, "")
        with pytest.raises(CarrierMisuse, match="phones of the demo"):
            await carrier_actions.change(shop.database, demo.CARRIER, [word])
        await carrier_actions.change(shop.database, demo.CARRIER, ["window=7", "rate=3"])


async def test_what_an_older_version_made_is_known_as_the_demo_s(empty_database: ConnectionParameters) -> None:
    """Its account has the address that only a demo had, its carrier the password that only a handset took."""
    from importlib.resources import files

    import asyncpg

    connection = await asyncpg.connect(**empty_database.arguments())
    try:
        for file in sorted(files("chappe.store").joinpath("sql", "migrations").iterdir(), key=str):
            if file.name.endswith("_demo.sql"):
                await connection.execute(
                    """insert into account (login, key_sha256, settings)
                       values ('demo', '\\x00', '{"email": "demo@localhost"}');
                       insert into carrier (name, kind, settings) values ('handset', 'smpp', '{"host": "127.0.0.1",
                           "port": 2775, "system_id": "handset", "password": "handset"}')"""
                )
            await connection.execute(file.read_text())
            if file.name.endswith("_demo.sql"):
                break
        assert await connection.fetchval("select account_id is not null and carrier_id is not null from demo")
        assert await stored.end(connection) is True
    finally:
        await connection.close()
