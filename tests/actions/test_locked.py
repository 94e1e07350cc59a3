"""A lock that somebody holds on one account's balance is that account's trouble alone."""

from __future__ import annotations

import asyncio

import pytest
from shop import NOW, address_of, opened

from chappe.actions import locked as module
from chappe.actions.locked import Locked
from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Moment
from chappe.embedded.server import ConnectionParameters
from chappe.store.database import Database

pytestmark = pytest.mark.asyncio

MOMENT = Moment(NOW, secret=b"secret")


async def test_others_are_accepted_and_the_locked_one_is_refused_for_a_while(database: ConnectionParameters) -> None:
    clock = [0.0]
    locked = Locked(lambda: clock[0])
    own = Database(address_of(database), lock_s=1.0)
    await own.open()
    async with opened(database) as shop:
        one, other = await shop.account("one"), await shop.account("other")
        batch = [await shop.placed(shop.send(account, 1)) for account in (one, other, one, other)]
        async with shop.database.transaction() as tx:
            await tx.execute("select from balance where account_id = $1 for update", one.id)
            told = await locked.accept(own, batch, MOMENT)
            assert [isinstance(outcome, Accepted) for outcome in told] == [False, True, False, True]
            assert all(outcome.code == "queue_failed" for outcome in told if isinstance(outcome, Refusal))
            began = asyncio.get_running_loop().time()
            told = await locked.accept(own, batch, MOMENT)
            assert [isinstance(outcome, Accepted) for outcome in told] == [False, True, False, True]
            assert asyncio.get_running_loop().time() - began < 1.0, "the next batch does not wait for the lock again"
        clock[0] += module.BARRED_S + 1
        assert all(isinstance(outcome, Accepted) for outcome in await locked.accept(own, batch, MOMENT))
        await shop.books_balance()
    await own.close()


async def test_a_lock_that_is_soon_gone_bars_nobody(database: ConnectionParameters) -> None:
    locked = Locked(lambda: 0.0)
    own = Database(address_of(database), lock_s=0.2)
    await own.open()
    async with opened(database) as shop:
        account = await shop.account()
        placed = await shop.placed(shop.send(account, 1))
        async with shop.database.transaction() as tx:
            await tx.execute("select from balance where account_id = $1 for update", account.id)
            accepting = asyncio.ensure_future(locked.accept(own, [placed], MOMENT))
            await asyncio.wait([accepting], timeout=0.3)  # beyond the first limit, within the second
        assert isinstance((await accepting)[0], Accepted)
    await own.close()
