"""What is held is placed anew when a window has changed; what has no route leaves when there is one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from shop import SECRET, Shop, opened

from chappe.actions import accounts, reschedule_held, upkeep
from chappe.actions.accept import place
from chappe.actions.upkeep import Book
from chappe.actions.windows import Windows
from chappe.core.lifecycle import State
from chappe.core.model import Account, Send, message_id
from chappe.core.window_profiles import DEFAULT, PROFILES, read_profiles
from chappe.embedded.server import ConnectionParameters
from chappe.store import carriers, messages, window_changes
from chappe.store.messages import key_of

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

SATURDAY_NIGHT = datetime(2026, 3, 7, 20, 30, tzinfo=UTC)  # 21:30 in Paris
SUNDAY = datetime(2026, 3, 8, 10, 0, tzinfo=UTC)
MONDAY_8 = datetime(2026, 3, 9, 7, 0, tzinfo=UTC)


async def accepted(shop: Shop, send: Send, now: datetime, windows: Windows) -> list[int]:
    """Ids of messages that were accepted within the window of their account."""
    placed = place(send, now, await shop.router(), windows.of(send.account.settings))
    (stored,) = await messages.accept(shop.database, [placed], now, SECRET)
    assert stored.submission_id is not None
    return [message_id(stored.submission_id, at) for at in range(len(send.recipients))]


async def placed_anew(shop: Shop, now: datetime, windows: Windows) -> bool:
    """A whole walk; whether something may leave now."""
    walk = await reschedule_held.begin(shop.database, now, windows)
    earlier = False
    while walk is not None and not walk.over:
        earlier = await reschedule_held.step(shop.database, now, windows, walk) or earlier
    return earlier


async def changed(shop: Shop, account: Account, window: str) -> Account:
    return await accounts.change(shop.database, account.login, [f"window={window}"])


async def due(shop: Shop, *ids: int) -> list[Any]:
    """When each is due and its state, as far as it is in a waiting lane."""
    rows = {row["message_id"]: row for row in await shop.outbox()}
    return [
        (rows[one]["key"], await shop.state(one)) if one in rows and rows[one]["lane"] % 8 == 7 else None for one in ids
    ]


async def details(shop: Shop, number: int, what: str = "window_changed") -> list[str]:
    rows = await shop.database.fetch(
        "select detail from event where message_id = $1 and what = $2 order by at, ctid", number, what
    )
    return [row["detail"] for row in rows]


async def test_what_is_held_leaves_when_its_account_may_send(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        windows = Windows({})
        account, other = await shop.account(), await shop.account("other")
        red = await shop.carrier()
        held = await accepted(shop, shop.send(account, 3), SUNDAY, windows)
        others = await accepted(shop, shop.send(other, 1), SUNDAY, windows)
        assert await due(shop, *held) == [(key_of(MONDAY_8), State.HELD)] * 3
        assert not await placed_anew(shop, SUNDAY, windows)
        await changed(shop, account, "fr-af2m-2026")  # Sundays with a warning
        assert await placed_anew(shop, SUNDAY, windows)
        assert await due(shop, *held) == [(key_of(SUNDAY), State.HELD)] * 3
        assert await due(shop, *others) == [(key_of(MONDAY_8), State.HELD)]
        assert await details(shop, held[0]) == [
            "may leave now, by fr-af2m-2026; held before: hold.sunday, until 2026-03-09 07:00:00 UTC"
        ]
        book = Book(windows=windows)
        await upkeep.look(shop.database, SUNDAY, book)
        assert await upkeep.release(shop.database, SUNDAY, book)
        assert sorted(row.message_id for row in await (await shop.bind(red)).turn(9)) == held
        await shop.books_balance()


async def test_what_is_held_waits_longer_when_its_account_may_send_less(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        windows = Windows(read_profiles({"late": {"open": "11:00"}, "never": {"days": [], "sundays": "closed"}}))
        account = await shop.account()
        await shop.carrier()
        held = await accepted(shop, shop.send(account, 2), SUNDAY, windows)
        await changed(shop, account, "late")
        assert not await placed_anew(shop, SUNDAY, windows)
        at_11 = MONDAY_8.replace(hour=10)
        assert await due(shop, *held) == [(key_of(at_11), State.HELD)] * 2
        assert (await details(shop, held[0]))[0].startswith("hold.sunday by late, until 2026-03-09 10:00:00 UTC; held")
        assert not await placed_anew(shop, SUNDAY, windows), "it is in its place"
        assert len(await details(shop, held[0])) == 1
        await changed(shop, account, "never")
        for _ in range(2):  # asked about every day, and not moved on with each look
            await placed_anew(shop, SUNDAY, windows)
        assert await due(shop, *held) == [(key_of(at_11), State.HELD)] * 2
        await changed(shop, account, "")  # the default
        await placed_anew(shop, SUNDAY, windows)
        assert await due(shop, *held) == [(key_of(MONDAY_8), State.HELD)] * 2


async def test_a_schedule_is_not_touched_and_one_that_was_held_goes_back_to_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        windows = Windows({})
        account = await shop.account(window="none")
        await shop.carrier()
        planned = await accepted(shop, shop.send(account, scheduled_at=SUNDAY), SATURDAY_NIGHT, windows)
        account = await changed(shop, account, DEFAULT)
        later = await accepted(shop, shop.send(account, scheduled_at=SUNDAY), SATURDAY_NIGHT, windows)
        assert await due(shop, *planned, *later) == [(key_of(SUNDAY), State.SCHEDULED), (key_of(MONDAY_8), State.HELD)]
        await placed_anew(shop, SATURDAY_NIGHT, windows)
        assert (await due(shop, *planned)) == [(key_of(SUNDAY), State.SCHEDULED)]
        await changed(shop, account, "none")
        assert not await placed_anew(shop, SATURDAY_NIGHT, windows)
        assert await due(shop, *planned, *later) == [(key_of(SUNDAY), State.SCHEDULED)] * 2
        assert await shop.database.value("select reason from message where id = $1", later[0]) is None


async def test_a_young_change_is_looked_at_twice_and_an_old_one_is_done(database: ConnectionParameters) -> None:
    """An API process that had not heard of the change held by the old rules in the meantime."""
    async with opened(database) as shop:
        windows = Windows({})
        account = await shop.account()
        await shop.carrier()
        await changed(shop, account, "none")
        now = datetime.now(UTC)
        assert not await placed_anew(shop, now, windows)
        late = await accepted(shop, shop.send(account, 1), SUNDAY, windows)  # by the settings of before
        assert await shop.state(late[0]) is State.HELD
        await placed_anew(shop, SUNDAY, windows)
        assert await due(shop, *late) == [(key_of(SUNDAY), State.HELD)]
        assert len(await window_changes.pending(shop.database)) == 1
        await placed_anew(shop, now.replace(year=now.year + 1), windows)
        assert await window_changes.pending(shop.database) == []


async def test_rules_that_the_operator_changed_are_followed(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        own = read_profiles({"mine": {"base": "fr-seed"}})
        account, other = await shop.account(window="mine"), await shop.account("other")
        await shop.carrier()
        held = await accepted(shop, shop.send(account, 2), SUNDAY, Windows(own))
        others = await accepted(shop, shop.send(other, 1), SUNDAY, Windows(own))
        await reschedule_held.follow_profiles(shop.database, Windows(own).profiles)
        assert await window_changes.pending(shop.database) == []

        renamed = Windows({"mine": replace(own["mine"], source="another page", version="2")})
        await reschedule_held.follow_profiles(shop.database, renamed.profiles)
        assert await window_changes.pending(shop.database) == [], "what informs decides nothing"

        opened_ = Windows(read_profiles({"mine": {"sundays": "open"}}))
        await reschedule_held.follow_profiles(shop.database, opened_.profiles)
        await reschedule_held.follow_profiles(shop.database, opened_.profiles)
        assert [change.account_id for change in await window_changes.pending(shop.database)] == [account.id]
        assert await placed_anew(shop, SUNDAY, opened_)
        assert await due(shop, *held, *others) == [(key_of(SUNDAY), State.HELD)] * 2 + [(key_of(MONDAY_8), State.HELD)]

        gone = Windows({})  # then the account has the default
        await reschedule_held.follow_profiles(shop.database, gone.profiles)
        await placed_anew(shop, SUNDAY, gone)
        assert await due(shop, *held) == [(key_of(MONDAY_8), State.HELD)] * 2


async def test_every_rule_of_a_profile_is_in_its_fingerprint() -> None:
    prints = [reschedule_held.fingerprint(profile) for profile in PROFILES.values()]
    same = {"fr-seed": 0, "fr-af2m-2024": 0}  # the same rules by two names
    assert len(set(prints)) == len(prints) - len(same) + 1
    assert reschedule_held.fingerprint(PROFILES["fr-seed"]) == reschedule_held.fingerprint(PROFILES["fr-af2m-2024"])


async def test_many_are_placed_in_batches(database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reschedule_held, "BATCH", 7)
    monkeypatch.setattr(reschedule_held, "ROUNDS_MAX", 3)
    async with opened(database) as shop:
        windows = Windows({})
        account = await shop.account()
        await shop.carrier()
        held = await accepted(shop, shop.send(account, 40), SUNDAY, windows)
        planned = await accepted(shop, shop.send(account, 30, scheduled_at=MONDAY_8), SUNDAY, windows)
        await changed(shop, account, "none")
        book = Book(windows=windows, profiles_followed=True)
        for _ in range(4):  # 21 of 70 at a time
            await upkeep.place_held(shop.database, SUNDAY, book)
        assert book.walk is None
        assert set(await due(shop, *held)) == {(key_of(SUNDAY), State.HELD)}
        assert set(await due(shop, *planned)) == {(key_of(MONDAY_8), State.SCHEDULED)}


async def test_what_has_no_route_leaves_when_there_is_one(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reschedule_held, "BATCH", 3)
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier("red", prefix="49")
        sent = await shop.messages(account, 8)
        soon = await shop.messages(account, 1, scheduled_at=datetime(2026, 3, 2, 10, 1, tzinfo=UTC))
        now = datetime(2026, 3, 2, 10, 0, 5, tzinfo=UTC)
        book = Book()
        await upkeep.look(shop.database, now, book)
        assert not await upkeep.release(shop.database, now, book)
        assert {row["key"] for row in await shop.outbox()} == {
            key_of(now + reschedule_held.ROUTE_AGAIN),
            key_of(datetime(2026, 3, 2, 10, 1, tzinfo=UTC)),
        }
        assert not await upkeep.release(shop.database, now, book)
        await carriers.add_route(shop.database, "red", "33", None, 0)
        await upkeep.look(shop.database, now, book)
        assert await upkeep.release(shop.database, now, book)
        rows = await shop.outbox()
        assert sorted(row["message_id"] for row in rows if row["lane"] % 8 == 1) == sent
        assert [row["message_id"] for row in rows if row["lane"] % 8 == 7] == soon, "its time has not come"
