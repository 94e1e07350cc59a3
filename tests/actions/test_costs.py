"""Costs: the sums of months are those of the ledger, whatever has been summed up already."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from shop import PRICE, Shop, opened

from chappe.actions.queries import answer
from chappe.core.lifecycle import State
from chappe.core.model import Account, Costs, Moment, ReadCosts
from chappe.embedded.server import ConnectionParameters
from chappe.store import conversations, outcomes
from chappe.store.outcomes import Finish

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
NEARLY_MARCH = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)  # in Paris it is the first of March
FEBRUARY, MARCH = datetime(2026, 1, 31, 23, tzinfo=UTC), datetime(2026, 2, 28, 23, tzinfo=UTC)


async def months(
    shop: Shop, account: Account, since: datetime = START, until: datetime = END
) -> list[tuple[datetime, int, int]]:
    outcome = await answer(shop.database, ReadCosts(account, since, until), Moment(END))
    assert isinstance(outcome, Costs)
    return [(month.month, month.cost_micros, month.messages) for month in outcome.months]


async def test_months_are_those_of_paris_and_refunds_come_off(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        bind = await shop.bind(await shop.carrier())
        assert await months(shop, account) == []
        sent = await shop.messages(account, 3, now=datetime(2026, 2, 10, tzinfo=UTC))
        await shop.messages(account, 2, now=NEARLY_MARCH)
        await shop.messages(account, 7, now=NEARLY_MARCH, sandbox=True)
        await shop.messages(other, 5, now=NEARLY_MARCH)
        wanted = [(FEBRUARY, 3 * PRICE, 3), (MARCH, 2 * PRICE, 2)]
        assert await months(shop, account) == wanted
        while await conversations.follow(shop.database, END):
            assert await months(shop, account) == wanted
        assert await shop.database.value("select count(*) from daily_cost") == 3
        await bind.turn(1)
        await bind.turn(0, taken=[(sent[0], 0, "a")])
        await bind.turn(0, receipts=[("a", "", State.REJECTED)], now=NEARLY_MARCH)
        # What costs nothing any more counts as sent no more: programs divide the one by the other.
        assert await months(shop, account) == [(FEBRUARY, 3 * PRICE, 3), (MARCH, PRICE, 1)]
        assert await months(shop, account, NEARLY_MARCH, END) == [(MARCH, PRICE, 1)]
        assert await months(shop, account, END, START) == []
        await shop.messages(account, 1, now=datetime(2026, 3, 5, tzinfo=UTC))
        assert (await months(shop, account))[-1] == (MARCH, 2 * PRICE, 2)
        await shop.books_balance()


async def test_following_stops_before_what_is_young_and_comes_back_for_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        await shop.messages(account, 2, now=datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC))
        await shop.messages(account, 2, now=datetime(2026, 3, 1, 12, 0, 50, tzinfo=UTC))
        assert await conversations.follow(shop.database, datetime(2026, 3, 1, 12, 1, 30, tzinfo=UTC))
        assert not await conversations.follow(shop.database, datetime(2026, 3, 1, 12, 1, 30, tzinfo=UTC))
        assert await shop.database.value("select messages from daily_cost") == 2
        assert await conversations.follow(shop.database, datetime(2026, 3, 1, 12, 2, 0, tzinfo=UTC))
        assert await shop.database.value("select messages from daily_cost") == 4


async def test_a_long_message_of_which_a_part_stays_charged_was_sent(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        whole, part = await shop.messages(account, 2, parts=3, now=NEARLY_MARCH)
        assert len(await bind.turn(2)) == 2
        rows = [Finish(one, State.FAILED, kept, "refused", "failed") for one, kept in ((whole, 0), (part, 1))]
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.finish(tx, NEARLY_MARCH, rows)
        assert await months(shop, account) == [(MARCH, PRICE, 1)]
        await shop.books_balance()
