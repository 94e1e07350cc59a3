"""What one carrier refuses for itself is offered to the next route's carrier, once each, between two scripted SMSCs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from scripted_smsc import Smsc, listening
from shop import PRICE, Shop, eventually, opened
from stage import Stage

from chappe.actions import upkeep
from chappe.actions.upkeep import Book
from chappe.carriers.smpp.transport import Wire
from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.smpp.pdu import SubmitSm
from chappe.store import carriers, refusals
from chappe.store.lanes import LaneClass, lane

pytestmark = pytest.mark.asyncio

SENDER, NUMBER, SYSTEM = 0x0A, 0x0B, 0x08
Settings = dict[str, str]


@dataclass
class Two:
    """Two carriers with a route each; red's comes first."""

    shop: Shop
    red: Smsc
    blue: Smsc
    red_id: int
    blue_id: int
    book: Book

    async def upkeep(self) -> None:
        now = datetime.now(UTC)
        await upkeep.look(self.shop.database, now, self.book)
        await upkeep.release(self.shop.database, now, self.book)
        await upkeep.fail_over(self.shop.database, now, self.book)

    async def until(self, number: int, state: State) -> None:
        """Upkeep runs until a message is in this state."""

        async def is_so() -> bool:
            await self.upkeep()
            return await self.shop.state(number) is state

        await eventually(is_so)

    async def told(self, number: int) -> list[tuple[str, str]]:
        rows = await self.shop.database.fetch(
            "select what, detail from event where message_id = $1 order by at, ctid", number
        )
        return [(row["what"], row["detail"]) for row in rows]


def refuse(smsc: Smsc, status: int) -> Callable[[Wire, SubmitSm], None]:
    return lambda wire, pdu: smsc.answer(wire, pdu, status)


@asynccontextmanager
async def two(database: ConnectionParameters, red: Settings, blue: Settings) -> AsyncIterator[Two]:
    async with opened(database, hot=6) as shop, listening() as first, listening() as second:
        stages = Stage(shop, first), Stage(shop, second)
        ids = [await stages[0].carrier("red", **red), await stages[1].carrier("blue", **blue)]
        await carriers.add_route(shop.database, "blue", "", None, 5)
        try:
            for stage, carrier_id in zip(stages, ids, strict=True):
                pump = await stage.start(carrier_id)
                pump.router = await shop.router()
            yield Two(shop, first, second, ids[0], ids[1], Book())
        finally:
            for stage in stages:
                await stage.close()
            await shop.books_balance()


# what red answers, its settings, whether blue is asked, the state when nobody else takes it
CASES = {
    "the sender": (SENDER, {}, {}, True, State.REJECTED),
    "the sender, by its own table": (
        0x401,
        {"statuses": "0x401:sender:not_registered"},
        {},
        True,
        State.REJECTED,
    ),
    "a destination that it does not serve": (NUMBER, {"statuses": "0x0b:unserved"}, {}, True, State.REJECTED),
    "more parts than it can carry": (0, {"parts_max": "1"}, {"text": "x" * 400, "parts": 3}, True, State.FAILED),
    "the number for good": (NUMBER, {}, {}, False, State.REJECTED),
    "the content": (0x01, {}, {}, False, State.REJECTED),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_one_carrier_refuses_for_itself_leaves_through_the_next(
    database: ConnectionParameters, case: str
) -> None:
    status, settings, given, asked, state = CASES[case]
    async with two(database, settings, {}) as both:
        both.red.on_submit = refuse(both.red, status)
        account = await both.shop.account()
        before = await both.shop.balance(account)
        cost = PRICE * int(given.get("parts", 1))
        (sent,) = await both.shop.messages(account, 1, now=datetime.now(UTC), **given)
        if not asked:
            await both.until(sent, state)
            assert not both.blue.submits
            assert await both.shop.balance(account) == before
            return
        await eventually(lambda: submitted_by(both, sent, both.blue_id))
        assert await both.shop.balance(account) == before - cost
        assert [what for what, _ in await both.told(sent)] == ["refused_here", "rerouted"]
        assert (await both.told(sent))[1][1] == "to blue"
        both.blue.receipt("id1", await recipient(both, sent))
        if not given:
            await both.until(sent, State.DELIVERED)
        assert len(both.red.submits) == (0 if given else 1)


async def submitted_by(both: Two, number: int, carrier_id: int) -> Any:
    await both.upkeep()
    return await both.shop.database.value(
        "select true from reference where message_id = $1 and carrier_id = $2 limit 1", number, carrier_id
    )


async def recipient(both: Two, number: int) -> str:
    return str((await both.shop.message(number))["recipient"]).removeprefix("+")


@pytest.mark.parametrize(("status", "settings"), [(SENDER, {}), (0x0B, {"statuses": "0x0b:unserved"})])
async def test_when_all_refuse_it_ends_with_the_money_back_and_each_was_asked_once(
    database: ConnectionParameters, status: int, settings: Settings
) -> None:
    async with two(database, settings, settings) as both:
        both.red.on_submit = refuse(both.red, status)
        both.blue.on_submit = refuse(both.blue, status)
        account = await both.shop.account()
        before = await both.shop.balance(account)
        sent = await both.shop.messages(account, 3, now=datetime.now(UTC))
        for one in sent:
            await both.until(one, State.REJECTED)
        assert (len(both.red.submits), len(both.blue.submits)) == (3, 3)
        assert await both.shop.balance(account) == before
        assert [what for what, _ in await both.told(sent[0])] == ["refused_here", "rerouted", "refused_here", "refused"]
        assert (await both.shop.message(sent[0]))["reason"] in ("rinvsrcadr", "rinvdstadr")


async def test_the_refuser_is_not_asked_again_while_the_next_tries_again_or_is_down(
    database: ConnectionParameters,
) -> None:
    async with two(database, {}, {}) as both:
        both.red.on_submit = refuse(both.red, SENDER)
        both.blue.on_submit = refuse(both.blue, SYSTEM)
        account = await both.shop.account()
        (sent,) = await both.shop.messages(account, 1, now=datetime.now(UTC))

        async def tried() -> bool:
            await both.upkeep()
            return bool(both.blue.submits)

        await eventually(tried)
        waiting = lane(both.blue_id, LaneClass.WAITING)
        await eventually(lambda: both.shop.database.value("select true from outbox where lane = $1", waiting))
        await both.blue.stop()
        await both.shop.database.execute(
            "update bind set state = 'down', state_at = now() - interval '1 hour' where carrier_id = $1", both.blue_id
        )
        later = datetime.now(UTC) + timedelta(minutes=5)
        book = Book()
        await upkeep.look(both.shop.database, later, book)
        book.down = frozenset({both.blue_id})
        await upkeep.release(both.shop.database, later, book)
        await upkeep.fail_over(both.shop.database, later, book)
        assert {row["lane"] // 8 for row in await both.shop.outbox()} == {both.blue_id}
        assert len(both.red.submits) == 1
        await carriers.remove(both.shop.database, "blue")
        await both.until(sent, State.REJECTED)  # there is nobody else left
        assert len(both.red.submits) == 1


async def test_one_in_doubt_or_half_sent_stays_with_its_carrier(database: ConnectionParameters) -> None:
    async with two(database, {}, {}) as both:
        answered = 0

        def first_only(wire: Wire, pdu: SubmitSm) -> None:
            nonlocal answered
            answered += 1
            both.red.answer(wire, pdu, 0 if answered == 1 else SENDER, b"one" if answered == 1 else b"")

        both.red.on_submit = first_only
        account = await both.shop.account()
        (sent,) = await both.shop.messages(account, 1, now=datetime.now(UTC), text="x" * 400, parts=3)
        await both.until(sent, State.REJECTED)
        assert not both.blue.submits


async def test_refusals_are_forgotten_when_the_message_is_no_longer_tried(database: ConnectionParameters) -> None:
    async with two(database, {}, {}) as both:
        both.red.on_submit = refuse(both.red, SENDER)
        account = await both.shop.account()
        (sent,) = await both.shop.messages(account, 1, now=datetime.now(UTC))
        await eventually(lambda: submitted_by(both, sent, both.blue_id))
        assert await both.shop.database.value("select count(*) from refusal") == 1
        now = datetime.now(UTC)
        await upkeep.clear(both.shop.database, now, both.book)
        assert await both.shop.database.value("select count(*) from refusal") == 1
        await upkeep.clear(both.shop.database, now + upkeep.REFUSALS_KEPT + timedelta(seconds=1), both.book)
        assert await both.shop.database.value("select count(*) from refusal") == 0
        assert not await refusals.forget(both.shop.database, now, 10)
