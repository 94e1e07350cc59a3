"""What becomes of claimed messages otherwise than by a receipt: put back, ended, in doubt, found after a crash."""

from __future__ import annotations

import pytest
from shop import NOW, PRICE, Shop, later, opened

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import binds, outcomes
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of
from chappe.store.outcomes import Doubt, Finish, Requeue

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def back(shop: Shop, *rows: Requeue) -> None:
    async with shop.database.transaction(hot=True) as tx:
        await outcomes.requeue(tx, later(seconds=1), rows)


async def test_put_back_keeps_its_place_and_its_count(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        sent = await shop.messages(account, 3, parts=3)
        rows = await bind.turn(3)
        waiting = lane(red, LaneClass.WAITING)
        await back(
            shop,
            Requeue(sent[0], rows[0].lane, rows[0].key, 0, 0, State.QUEUED),
            Requeue(sent[1], waiting, key_of(later(minutes=1)), 2, 0b10, State.QUEUED, "retry", "0x8"),
        )
        await bind.turn(0, still=[sent[2]])
        assert [(r["message_id"], r["lane"], r["attempts"], r["parts_done"]) for r in await shop.outbox()] == [
            (sent[0], rows[0].lane, 0, 0),
            (sent[1], waiting, 2, 0b10),
        ]
        assert (await shop.message(sent[0]))["updated_at"] is None, "its row is as it was"
        assert await shop.events(sent[1]) == ["retry"]
        assert await shop.in_flight() == [sent[2]]
        await shop.books_balance()


async def test_what_ended_in_flight_does_not_come_back(database: ConnectionParameters) -> None:
    """A resent message's first receipt, or a refused part's: the rest of the attempt must not wake the message."""
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        (sent,) = await shop.messages(account, 1, parts=2)
        (row,) = await bind.turn(1)
        await bind.turn(0, taken=[(sent, 1, "p1")], receipts=[("p1", "", State.UNDELIVERED)], still=[sent])
        assert await shop.state(sent) is State.UNDELIVERED
        await back(shop, Requeue(sent, row.lane, row.key, 1, 0b10, State.QUEUED, "retry"))
        assert await shop.state(sent) is State.UNDELIVERED
        assert await shop.queued() == []


async def test_ends_give_back_the_parts_that_no_carrier_has(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=30 * PRICE)
        bind = await shop.bind(await shop.carrier())
        whole, rest, kept, silent = await shop.messages(account, 4, parts=3, report_url="https://h/")
        await bind.turn(4)
        rows = [
            Finish(whole, State.REJECTED, 0, "number", "refused", "0xb"),
            Finish(rest, State.FAILED, 2, "attempts", "gave_up"),
            Finish(kept, State.FAILED, 3, "attempts", "gave_up"),
            Finish(silent, State.NO_RECEIPT, 0, "no_receipt", "no_receipt"),
        ]
        for _ in range(2):  # the second time is a turn that was written again
            async with shop.database.transaction(hot=True) as tx:
                await outcomes.finish(tx, later(minutes=1), rows)
        await bind.turn(0)
        assert await shop.balance(account) == (30 - 12 + 3 + 1) * PRICE
        assert await shop.states([whole, rest, kept, silent]) == [
            State.REJECTED,
            State.FAILED,
            State.FAILED,
            State.NO_RECEIPT,
        ]
        assert sorted(await shop.webhooks()) == sorted(
            [(whole, 9), (rest, 13), (kept, 13), (silent, 14)],
        )
        await shop.books_balance()


async def test_a_doubt_is_held_or_waits_for_its_time_and_a_late_answer_ends_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        held, again, released, gone = await shop.messages(account, 4)
        await bind.turn(4)
        due = key_of(later(seconds=10))
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.doubt(
                tx,
                NOW,
                red,
                [Doubt(held, 0, 0, "cut"), *(Doubt(one, due, 0, "cut") for one in (again, released, gone))],
            )
        await bind.turn(0)
        assert await shop.states([held, again]) == [State.UNCERTAIN] * 2
        assert await shop.queued() == [again, released, gone]
        assert await shop.database.value("select count(*) from uncertain") == 4
        ready = lane(red, LaneClass.COMMERCIAL)
        await shop.database.execute("delete from outbox where message_id = any ($1::bigint[])", [released, gone])
        await back(shop, *(Requeue(one, ready, due, 1, 0, State.QUEUED, "sent_again") for one in (released, gone)))
        assert [row.message_id for row in await bind.turn(1)] == [released]
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.resolve_doubt(tx, later(seconds=20), [held, again, gone, released])
        assert await shop.states([held, again, gone]) == [State.SUBMITTED] * 3
        assert await shop.state(released) is State.QUEUED, "on its way again: it stays so"
        assert await shop.queued() == []
        assert await shop.database.value("select count(*) from uncertain") == 0


async def test_an_ended_message_is_never_in_doubt(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (sent,) = await shop.messages(account, 1)
        await bind.turn(1)
        await bind.turn(0, taken=[(sent, 0, "a")], receipts=[("a", "", State.DELIVERED)])
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.doubt(tx, NOW, red, [Doubt(sent, key_of(NOW), 0, "cut")])
        assert await shop.state(sent) is State.DELIVERED
        assert await shop.queued() == []


async def test_waiting_is_told_before_the_end_that_came_with_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        (sent,) = await shop.messages(account, 1, report_url="https://h/")
        (row,) = await bind.turn(1)
        assert row.report_host is not None
        await bind.turn(0, receipts=[("early", "", State.DELIVERED)], still=[sent])
        await bind.turn(0, taken=[(sent, 0, "early")], waiting=[(sent, row.report_host)])
        assert await shop.webhooks() == [(sent, State.SUBMITTED), (sent, State.DELIVERED)]


async def test_a_dead_owners_messages_are_found_with_the_parts_that_arrived(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier(binds=2)
        blue = await shop.carrier("blue")
        bind = await shop.bind(red)
        sent = await shop.messages(account, 3, parts=3, transactional=True)
        await bind.turn(3)
        await bind.turn(0, taken=[(sent[0], 1, "a"), (sent[0], 3, "b")], still=sent)
        await shop.database.execute("insert into reference values ($1, 'c', $2, 2, now())", blue, sent[0])
        taken = await binds.take(shop.database, bind.key, "me", 60)
        assert taken is not None
        assert list(taken.in_flight) == sent
        async with shop.database.transaction() as tx:
            left = await outcomes.left_in_flight(tx, red, taken.in_flight)
        assert [(one.message_id, one.parts_done) for one in left] == [(sent[0], 0b1010), (sent[1], 0), (sent[2], 0)]


async def test_parts_of_messages_far_apart_are_found(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (old,) = await shop.messages(account, parts=2, transactional=True)
        await shop.database.execute("select setval('submission_number', 1000000)")
        (new,) = await shop.messages(account, parts=2, transactional=True)
        assert new - old > outcomes.NEAR_IDS
        await bind.turn(2)
        await bind.turn(0, taken=[(old, 1, "a"), (new, 2, "b")], still=[old, new])
        async with shop.database.transaction() as tx:
            left = await outcomes.left_in_flight(tx, red, [new, old])
            found = await outcomes.places(tx, red, [new, old])
        assert [(one.message_id, one.parts_done) for one in left] == [(old, 0b10), (new, 0b100)]
        assert {one.message_id: one.parts_done for one in found} == {old: 0b10, new: 0b100}
