"""Accepting: where each message goes and when, and what a batch answers to each of its submissions."""

from __future__ import annotations

import pytest
from shop import NOW, PRICE, later, opened

from chappe.actions.accept import accept
from chappe.core.errors import Refusal
from chappe.core.lifecycle import State
from chappe.core.model import Accepted, Moment, message_id
from chappe.core.publicid import public_id
from chappe.store.embedded import ConnectionParameters
from chappe.store.messages import BULK_RECIPIENTS, LaneClass, key_of, lane

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def test_a_submission_goes_to_the_lane_of_its_kind(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier("red", prefix="33")
        for given, lane_class in (
            ({"transactional": True}, LaneClass.TRANSACTIONAL),
            ({}, LaneClass.COMMERCIAL),
            ({"count": BULK_RECIPIENTS - 1}, LaneClass.COMMERCIAL),
            ({"count": BULK_RECIPIENTS}, LaneClass.BULK),
            ({"count": BULK_RECIPIENTS, "transactional": True}, LaneClass.TRANSACTIONAL),
        ):
            placed = await shop.placed(shop.send(account, **given))  # type: ignore[arg-type]
            assert (set(placed.lanes), set(placed.keys)) == ({lane(red, lane_class)}, {0}), given
        planned = await shop.placed(shop.send(account, scheduled_at=later(minutes=1), transactional=True))
        assert (planned.lanes, planned.keys, planned.states) == (
            (lane(red, LaneClass.WAITING),),
            (key_of(later(minutes=1)),),
            (State.SCHEDULED,),
        )
        nobody = await shop.placed(shop.send(account, numbers=["+352621000001"]))
        assert (nobody.lanes, nobody.keys) == ((lane(0, LaneClass.WAITING),), (key_of(NOW),))


async def test_each_of_a_batch_gets_its_own_answer(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account("short", 2 * PRICE)
        broke = await shop.account("broke", 0)
        await shop.carrier()
        sends = [
            shop.send(account, public_ids=True, transactional=True),
            shop.send(account, 2, transactional=True),
            shop.send(broke, transactional=True),
            shop.send(broke, sandbox=True),
        ]
        placed = [await shop.placed(send) for send in sends]
        first, short, none, sandbox = await accept(shop.database, placed, Moment(NOW, secret=b"secret"))
        assert isinstance(first, Accepted)
        assert first.public_ids == (public_id(b"secret", message_id(first.submission_id, 0)),)
        assert first.balance_micros == PRICE
        assert isinstance(short, Refusal)
        assert (short.code, short.values) == ("credit_short", {"needed_micros": 2 * PRICE, "balance_micros": PRICE})
        assert isinstance(none, Refusal)
        assert none.code == "credit_none"
        assert isinstance(sandbox, Accepted)
        await shop.books_balance()
