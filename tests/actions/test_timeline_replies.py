"""The timeline tells what the law and the subscriber had to say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shop import NOW, SECRET, Shop, later, opened

from chappe.actions import (
    accounts,
    reschedule_held,
    timeline,
    upkeep,
)
from chappe.actions.accept import place
from chappe.actions.windows import Windows
from chappe.core.model import Account, submission_of
from chappe.core.window_profiles import PROFILES
from chappe.embedded.server import ConnectionParameters
from chappe.store import messages, outcomes, replies, webhooks
from chappe.store.messages import key_of
from chappe.store.replies import NewReply
from chappe.workers import in_flight
from chappe.workers.in_flight import Rules

pytestmark = pytest.mark.asyncio

PHONE = "+33600000001"


async def told(shop: Shop, message: int) -> list[tuple[str, str]]:
    found = await timeline.find(shop.database, f"{submission_of(message)}/1")
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


SUNDAY = datetime(2026, 3, 8, 10, 0, tzinfo=UTC)
MONDAY_8 = datetime(2026, 3, 9, 7, 0, tzinfo=UTC)
HELD = ("held", "hold.sunday by fr-seed, until 2026-03-09 07:00:00 UTC")


async def held_on_sunday(shop: Shop, account: Account, **given: Any) -> int:
    placed = place(shop.send(account, **given), SUNDAY, await shop.router(), PROFILES["fr-seed"])
    (stored,) = await messages.accept(shop.database, [placed], SUNDAY, SECRET)
    assert stored.submission_id is not None
    return stored.submission_id << 16


def law(told: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of a timeline what the window had to say."""
    return [entry for entry in told if entry[0] in ("held", "window_changed", "released")]


async def test_a_held_message_says_why_by_which_profile_and_until_when_also_afterwards(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        sent = await held_on_sunday(shop, account)
        assert law(await told(shop, sent)) == [HELD]
        book = upkeep.Book()
        await upkeep.look(shop.database, MONDAY_8, book)
        await upkeep.release(shop.database, MONDAY_8, book)
        released = ("released", "held: hold.sunday, until 2026-03-09 07:00:00 UTC")
        assert law(await told(shop, sent)) == [HELD, released]
        bind = await shop.bind(red)
        await bind.turn(1, now=MONDAY_8)
        await bind.turn(0, taken=[(sent, 0, "r1")], now=MONDAY_8)
        await bind.turn(0, receipts=[("r1", "", 6)], now=MONDAY_8)
        assert law(await told(shop, sent)) == [HELD, released], "whatever became of it"


async def test_a_window_that_was_changed_stands_between(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        sent = await held_on_sunday(shop, account)
        await accounts.change(shop.database, account.login, ["window=fr-10-20"])
        windows = Windows({})
        walk = await reschedule_held.begin(shop.database, SUNDAY, windows)
        assert walk is not None
        await reschedule_held.step(shop.database, SUNDAY, windows, walk)
        before = "held before: hold.sunday, until 2026-03-09 07:00:00 UTC"
        changed = ("window_changed", f"hold.sunday by fr-10-20, until 2026-03-09 09:00:00 UTC; {before}")
        assert law(await told(shop, sent)) == [HELD, changed]


async def test_a_message_that_was_held_when_its_turn_came_says_so_at_that_time(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (sent,) = await shop.messages(account, now=SUNDAY)
        (row,) = await bind.turn(1, now=SUNDAY)
        verdict = Windows({}).check(account.id, row.flags, row.recipient, row.sender, SUNDAY)
        assert verdict is not None
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.requeue(
                tx, SUNDAY + timedelta(seconds=1), [in_flight.held(row, verdict, SUNDAY, Rules(red))]
            )
        await bind.turn(0)
        assert law(await told(shop, sent)) == [HELD]


async def test_whether_the_customer_was_told_of_a_reply_stands_there_too(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        first, second = await shop.messages(account, 2)
        for message, text in ((first, "oui"), (second, "non")):
            async with shop.database.transaction() as tx:
                reply = NewReply(
                    account.id, red, NOW, "response", PHONE, "36111", text, (text,), 0, False, message, "smspartner",
                    "https://h/",
                )  # fmt: skip
                await replies.add(tx, reply, NOW)
        assert ("reply_webhook_due", "") in await told(shop, first)
        async with shop.database.connection(hot=True) as connection:
            pending = await webhooks.claim(connection, key_of(later(hours=1)), [], 9, [], 9)
            await webhooks.end(
                connection, [webhooks.Told(one, later(seconds=1), 204, 7, "told") for one in pending[:1]]
            )
        assert ("reply_webhook", "HTTP 204 in 7 ms, told") in await told(shop, first)
        assert "reply_webhook_due" not in [what for what, _ in await told(shop, first)]
        found = await timeline.find(shop.database, str(second))
        assert found is not None
        assert [entry.what for entry in found.messages[0].entries][-1] == "reply_webhook_due"
