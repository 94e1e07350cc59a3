"""The timeline tells what the law and the subscriber had to say."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from shop import NOW, Shop, later, opened

from chappe.actions import reports, upkeep
from chappe.core.lifecycle import State
from chappe.core.model import submission_of
from chappe.store import messages, replies
from chappe.store.embedded import ConnectionParameters
from chappe.store.messages import LaneClass, key_of, lane
from chappe.store.replies import NewReply

pytestmark = pytest.mark.asyncio


async def told(shop: Shop, message: int) -> list[tuple[str, str]]:
    found = await reports.find(shop.database, f"{submission_of(message)}/1")
    assert found is not None
    return [(entry.what, entry.detail) for entry in found.messages[0].entries]


async def test_a_reply_stands_in_the_timeline_with_what_follows(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        (sent,) = await shop.messages(account)
        async with shop.database.transaction() as tx:
            await replies.add(
                tx,
                NewReply(
                    account.id, red, later(minutes=5), "stop", "+33600000001", "36111", "Stop", ("Stop",), 0, False,
                    sent, "smspartner", "", "2 accounts wrote to this number lately",
                ),
                NOW,
            )  # fmt: skip
        assert ("reply", "stop: 'Stop', 2 accounts wrote to this number lately, nobody is told") in await told(
            shop, sent
        )


async def test_a_held_message_says_why_and_until_when_also_afterwards(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        send = shop.send(account)
        placed = await shop.placed(send)
        held = replace(
            placed,
            states=(int(State.HELD),),
            lanes=(lane(red, LaneClass.WAITING),),
            keys=(key_of(later(hours=1)),),
            reasons=("hold.night",),
        )
        (stored,) = await messages.accept(shop.database, [held], NOW)
        assert stored.submission_id is not None
        sent = stored.submission_id << 16
        assert ("held", "hold.night, until 2026-03-02 11:00:00 UTC") in await told(shop, sent)
        book = upkeep.Book()
        await upkeep.look(shop.database, later(hours=1), book)
        await upkeep.release(shop.database, later(hours=2), book)
        assert ("released", "held: hold.night") in await told(shop, sent)
