"""Money back by the operator's own table: from then on, and never twice."""

from __future__ import annotations

import pytest
from shop import PRICE, opened

from chappe.actions import refunds
from chappe.core.lifecycle import State
from chappe.store.embedded import ConnectionParameters

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


@pytest.mark.parametrize(
    ("rule", "state", "back"),
    [
        ({}, State.UNDELIVERED, 0),
        ({State.UNDELIVERED: True}, State.UNDELIVERED, PRICE),
        ({}, State.REJECTED, PRICE),
        ({State.REJECTED: False}, State.REJECTED, 0),
        (dict.fromkeys((State.REJECTED, State.SUPPRESSED, State.CANCELLED, State.FAILED), False), State.REJECTED, 0),
    ],
)
async def test_the_table_decides(
    database: ConnectionParameters, rule: dict[State, bool], state: State, back: int
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        await refunds.change(shop.database, rule)
        (sent,) = await shop.messages(account)
        await bind.turn(1)
        await bind.turn(0, taken=[(sent, 0, "a")])
        for _ in range(2):
            await bind.turn(0, receipts=[("a", "", state)])
        assert await shop.balance(account) == 100_000_000 - PRICE + back
        await shop.books_balance()
