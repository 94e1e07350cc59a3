"""The turn of a bind: nothing claimed twice, nothing recorded under a stale lease, nothing ended is sent again."""

from __future__ import annotations

import asyncio
import random

import pytest
from shop import NOW, Shop, later, opened

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import outcomes
from chappe.store.binds import LeaseLost
from chappe.store.outcomes import Requeue

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def back(shop: Shop, *rows: Requeue) -> None:
    async with shop.database.transaction(hot=True) as tx:
        await outcomes.requeue(tx, later(seconds=1), rows)


async def test_a_turn_claims_in_order_no_more_than_asked_and_writes_it_down(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        sent = await shop.messages(account, 5, text="a text", transactional=True, report_url="https://h/")
        first = await bind.turn(2)
        assert [row.message_id for row in first] == sent[:2]
        assert (first[0].text, first[0].sender, first[0].parts, first[0].attempts, first[0].parts_done) == (
            "a text",
            "SHOP",
            1,
            0,
            0,
        )
        assert (first[0].account_id, first[0].due_at, first[0].dialect) == (account.id, NOW, "smspartner")
        assert await shop.in_flight() == sent[:2]
        assert await shop.queued() == sent[2:]
        second = await bind.turn(10, taken=[(sent[0], 0, "a")], still=[sent[1]])
        assert [row.message_id for row in second] == sent[2:]
        assert await shop.in_flight() == sent[1:]
        await bind.turn(0, still=[])
        assert await shop.in_flight() == []
        assert await shop.state(sent[0]) is State.QUEUED, "the row is not touched until its end: the reference says it"
        assert await shop.database.value("select carrier_ref from reference where message_id = $1", sent[0]) == "a"


async def test_an_idle_turn_writes_nothing_but_notices_a_lost_lease(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        before = await shop.database.value("select xmin::text from bind")
        assert await bind.turn(5) == []
        assert await shop.database.value("select xmin::text from bind") == before
        await shop.bind(bind.key.carrier_id, owner="me")
        with pytest.raises(LeaseLost):
            await bind.turn(5)


async def test_a_stale_token_records_and_takes_nothing(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        old = await shop.bind(red)
        sent = await shop.messages(account, 3, report_url="https://h/")
        await old.turn(1)
        new = await shop.bind(red)
        assert new.left == (sent[0],)
        with pytest.raises(LeaseLost):
            await old.turn(
                5, taken=[(sent[0], 0, "a")], waiting=[(sent[0], 7)], receipts=[("a", "", State.DELIVERED)], still=[]
            )
        assert await shop.database.value("select count(*) from reference") == 0
        assert await shop.database.value("select count(*) from receipt") == 0
        assert await shop.webhooks() == []
        assert await shop.in_flight() == [sent[0]]
        assert await shop.queued() == sent[1:]


async def test_two_claimers_never_get_the_same_message(database: ConnectionParameters) -> None:
    async with opened(database, hot=4) as shop:
        account = await shop.account()
        red = await shop.carrier(binds=4)
        sent = await shop.messages(account, 300)
        claimers = [await shop.bind(red, slot=slot) for slot in range(4)]
        chance = random.Random(1)

        async def drain(bind_place: int) -> list[int]:
            mine: list[int] = []
            empty = 0
            while empty < 2:  # a neighbour's rows are skipped while it holds them
                got = [row.message_id for row in await claimers[bind_place].turn(chance.randint(1, 20), still=mine)]
                mine += got
                empty = 0 if got else empty + 1
            return mine

        shares = await asyncio.gather(*(drain(place) for place in range(4)))
        together = sorted(number for share in shares for number in share)
        assert together == sent
        assert await shop.in_flight() == sent
        await shop.books_balance()


async def test_lanes_come_in_the_order_asked(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        bulk = await shop.messages(account, 50)
        few = await shop.messages(account, 2)
        codes = await shop.messages(account, 2, transactional=True)
        assert [row.message_id for row in await bind.turn(5)] == [*codes, *few, bulk[0]]
        held = [*codes, *few, bulk[0]]
        turned = [row.message_id for row in await bind.turn(1, lanes=list(reversed(bind.lanes)), still=held)]
        assert turned == [bulk[1]]


async def test_what_ended_in_the_queue_is_not_handed_out(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        long, single = await shop.messages(account, 2, parts=2)
        rows = await bind.turn(1)
        await bind.turn(0, taken=[(long, 1, "p1")], still=[long])
        await back(shop, Requeue(long, rows[0].lane, rows[0].key, 1, 0b10, State.QUEUED, "retry"))
        await bind.turn(0, receipts=[("p1", "", State.EXPIRED)])
        assert long in await shop.queued()
        assert [row.message_id for row in await bind.turn(5)] == [single]
        assert await shop.in_flight() == [single]
        assert await shop.queued() == []
