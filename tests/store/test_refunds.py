"""Money back while somebody holds a lock on the account's balance: it waits, and nobody waits for it."""

from __future__ import annotations

import asyncio

import pytest
from shop import NOW, PRICE, later, opened

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import refunds

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def test_a_turn_does_not_wait_for_a_locked_account(database: ConnectionParameters) -> None:
    async with opened(database) as shop, opened(database) as somebody:
        locked = await shop.account("locked", balance_micros=10 * PRICE)
        free = await shop.account("free", balance_micros=10 * PRICE)
        bind = await shop.bind(await shop.carrier())
        (one,) = await shop.messages(locked, report_url="https://h/")
        (other,) = await shop.messages(free)
        await bind.turn(2)
        await bind.turn(0, taken=[(one, 0, "a"), (other, 0, "b")])
        async with somebody.database.transaction() as tx:
            await tx.execute("select from balance where account_id = $1 for update", locked.id)
            began = asyncio.get_running_loop().time()
            await bind.turn(0, receipts=[("a", "", State.REJECTED), ("b", "", State.REJECTED)])
            assert asyncio.get_running_loop().time() - began < 3
            assert await shop.states([one, other]) == [State.REJECTED] * 2
            assert await shop.webhooks() == [(one, State.REJECTED)], "customers hear at once"
            assert await refunds.give_back_later(shop.database, NOW) == 1
            assert await shop.balance(free) == 10 * PRICE, "others have their money"
            assert await shop.balance(locked) == 9 * PRICE
            await shop.books_balance()
        for _ in range(2):
            assert await refunds.give_back_later(shop.database, later(minutes=1)) == 0
            assert await shop.balance(locked) == 10 * PRICE
        await shop.books_balance()


async def test_what_waits_is_given_back_a_bounded_number_at_a_time(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refunds, "LATER_MAX", 2)
    async with opened(database) as shop:
        account = await shop.account(balance_micros=10 * PRICE)
        sent = await shop.messages(account, 3)
        for message_id in sent:
            await shop.database.execute(
                "insert into refund_later (message_id, account_id, kept, since) values ($1, $2, 0, $3)",
                message_id,
                account.id,
                NOW,
            )
        await refunds.give_back_later(shop.database, NOW)
        assert await shop.balance(account) == 9 * PRICE
        await refunds.give_back_later(shop.database, NOW)
        assert await shop.balance(account) == 10 * PRICE
        await shop.books_balance()
