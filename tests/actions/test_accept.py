"""Accepting by action: a request that repeats another is refused, and fails nobody else."""

from __future__ import annotations

import asyncio

import pytest
from shop import NOW, PRICE, Shop, later, opened

from chappe.actions import accept as action
from chappe.core.errors import Refusal
from chappe.core.model import Account, Moment, Send
from chappe.store import optouts, retention
from chappe.store.embedded import ConnectionParameters

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def codes(shop: Shop, *sends: Send, **after: float) -> list[str]:
    moment = Moment(later(**after) if after else NOW)
    outcomes = await action.accept(shop.database, [await shop.placed(send, moment.now) for send in sends], moment)
    return [outcome.code if isinstance(outcome, Refusal) else "accepted" for outcome in outcomes]


def named(shop: Shop, account: Account, identifier: str, **given: object) -> Send:
    return shop.send(account, unique_identifier=identifier, **given)


async def test_a_repeated_request_is_refused_for_a_day(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        await shop.carrier()
        assert await codes(
            shop,
            named(shop, account, "a"),
            shop.send(account),
            named(shop, account, "a"),
            named(shop, other, "a"),
            named(shop, account, "b"),
        ) == ["accepted", "accepted", "repeated", "accepted", "accepted"]
        assert await codes(shop, named(shop, account, "a"), hours=23) == ["repeated"]
        assert await codes(shop, named(shop, account, "a"), hours=24) == ["accepted"]
        assert await codes(shop, named(shop, account, "a"), hours=25) == ["repeated"]
        assert await shop.balance(account) == 100_000_000 - 4 * PRICE
        await retention.forget(shop.database, later(hours=49), 400)
        assert await shop.database.value("select count(*) from unique_identifier") == 0
        await shop.books_balance()


async def test_what_is_refused_does_not_use_its_identifier_up(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=PRICE)
        await shop.carrier()
        assert await codes(shop, named(shop, account, "a", count=2)) == ["credit_short"]
        async with shop.database.transaction() as tx:
            await optouts.add(tx, account.id, "+33600000009", NOW, "api", "manual")
        assert await codes(shop, named(shop, account, "a", numbers=["+33600000009"])) == ["recipients_unusable"]
        assert await codes(shop, named(shop, account, "a")) == ["accepted"]


async def test_of_the_same_request_at_once_on_many_connections_one_is_accepted(database: ConnectionParameters) -> None:
    async with opened(database, hot=4) as shop:
        account = await shop.account()
        await shop.carrier()
        found = await asyncio.gather(
            *(codes(shop, named(shop, account, "x"), named(shop, account, "y")) for _ in range(4))
        )
        assert sorted(found) == [["accepted", "accepted"]] + [["repeated", "repeated"]] * 3
        assert await shop.balance(account) == 100_000_000 - 2 * PRICE
