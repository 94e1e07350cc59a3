"""Cancelling: once, with the money back, and never what has left."""

from __future__ import annotations

import asyncio
import random

import pytest
from shop import NOW, PRICE, Shop, later, opened

from chappe.actions.queries import answer
from chappe.core.errors import Refusal
from chappe.core.lifecycle import State
from chappe.core.model import Account, AddOptOut, Cancel, Cancelled, Moment, submission_of
from chappe.embedded.server import ConnectionParameters
from chappe.store import outcomes, queue
from chappe.store.lanes import LaneClass, lane
from chappe.store.outcomes import Requeue

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

BALANCE = 100_000_000


async def cancel(shop: Shop, account: Account, message: int, lead_s: float = 300.0, **moment: float) -> Cancelled:
    outcome = await answer(
        shop.database, Cancel(account, submission_of(message), lead_s), Moment(later(**moment) if moment else NOW)
    )
    assert isinstance(outcome, Cancelled)
    return outcome


async def test_a_scheduled_submission_is_taken_back_whole_and_once(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        sent = await shop.messages(account, 3, scheduled_at=later(hours=1), report_url="https://h/")
        done = await cancel(shop, account, sent[0])
        assert done == Cancelled(submission_of(sent[0]), "cancelled", 3, 3 * PRICE)
        assert await shop.states(sent) == [State.CANCELLED] * 3
        assert await shop.queued() == []
        assert sorted(await shop.webhooks()) == [(message, State.CANCELLED) for message in sent]
        assert await shop.events(sent[0]) == ["cancelled"]
        assert await shop.balance(account) == BALANCE
        assert (await cancel(shop, account, sent[0])).result == "already"
        assert await shop.balance(account) == BALANCE
        assert len(await shop.webhooks()) == 3
        await shop.books_balance()


@pytest.mark.parametrize(("seconds", "result"), [(0, "cancelled"), (1, "too_late"), (3600, "too_late")])
async def test_five_minutes_must_remain(database: ConnectionParameters, seconds: int, result: str) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        (sent,) = await shop.messages(account, scheduled_at=later(minutes=10))
        assert (await cancel(shop, account, sent, minutes=5, seconds=seconds)).result == result


async def test_what_has_left_is_not_taken_back(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        (waits,) = await shop.messages(account)
        assert (await cancel(shop, account, waits)).result == "too_late", "it leaves now"
        assert (await cancel(shop, account, waits, 0)).result == "cancelled"
        (sent,) = await shop.messages(account)
        await bind.turn(1)
        assert (await cancel(shop, account, sent, 0)).result == "sent"
        await bind.turn(0, taken=[(sent, 0, "a")])
        assert (await cancel(shop, account, sent, 0)).result == "sent"
        assert await shop.balance(account) == BALANCE - PRICE


async def test_what_ended_before_it_left_is_not_called_sent(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        first, second = await shop.messages(account, 2, scheduled_at=later(hours=1))
        numbers = [(await shop.message(sent))["recipient"] for sent in (first, second)]
        for number in numbers:
            await answer(shop.database, AddOptOut(account, number), Moment(NOW))
        assert await shop.states([first, second]) == [State.SUPPRESSED] * 2
        assert (await cancel(shop, account, first)).result == "already"
        (sent,) = await shop.messages(account, numbers=["+33600000009"], skipped=[(numbers[0], "opted_out")])
        await bind.turn(1)
        assert (await cancel(shop, account, sent)).result == "sent"
        await shop.books_balance()


async def test_a_message_of_which_a_part_has_left_stays(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (sent,) = await shop.messages(account, parts=2)
        (row,) = await bind.turn(1)
        async with shop.database.transaction() as tx:
            again = Requeue(sent, lane(red, LaneClass.WAITING), row.key + 10**10, 1, 0b10, State.QUEUED)
            await outcomes.requeue(tx, NOW, [again])
        assert (await cancel(shop, account, sent)).result == "too_late"
        assert await shop.queued() == [sent]


async def test_only_the_owner_finds_a_submission(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        await shop.carrier()
        (sent,) = await shop.messages(account, scheduled_at=later(hours=1))
        for who, submission in ((other, submission_of(sent)), (account, 10**9), (account, 0), (account, 1 << 80)):
            with pytest.raises(Refusal) as refusal:
                await answer(shop.database, Cancel(who, submission), Moment(NOW))
            assert refusal.value.code == "not_found"
        assert await shop.queued() == [sent]


async def test_of_a_claim_and_a_cancel_at_once_one_wins(database: ConnectionParameters) -> None:
    chance = random.Random(7)
    async with opened(database, ordinary=4, hot=4) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        for _ in range(12):
            sent = await shop.messages(account, 20, scheduled_at=later(hours=1))

            async def release() -> None:
                async with shop.database.transaction(hot=True) as tx:
                    due = await queue.take_due(tx, later(hours=2), [lane(red, LaneClass.WAITING)], 20)
                    rows = [
                        Requeue(row.message_id, lane(red, LaneClass.COMMERCIAL), row.key, 0, 0, State.QUEUED)
                        for row in due
                    ]
                    await outcomes.requeue(tx, NOW, rows)

            first = [release(), cancel(shop, account, sent[0])]
            chance.shuffle(first)
            await asyncio.gather(*first)
            claimed, _ = await asyncio.gather(bind.turn(10), cancel(shop, account, sent[0], 0))
            more = await bind.turn(20, still=[row.message_id for row in claimed])
            left = {row.message_id for row in (*claimed, *more)}
            states = dict(zip(sent, await shop.states(sent), strict=True))
            for message, state in states.items():
                assert (message in left) != (state is State.CANCELLED)
            await bind.turn(0, taken=[(message, 0, f"r{message}") for message in left])
            assert await shop.queued() == []
            await shop.books_balance()
