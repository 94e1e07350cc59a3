"""Signs: each is there when its task has something to do, and gone when that is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from shop import NOW, PRICE, Shop, later, opened

from chappe.actions import upkeep
from chappe.actions.upkeep import Book
from chappe.carriers import MessageIn
from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import inbound, waiting
from chappe.store.upkeep_due import Signs

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

NONE = Signs(
    window_changed=False,
    due=False,
    stray=False,
    written=False,
    unfollowed=False,
    counted=False,
    refund=False,
    silent=(),
)


async def _book(shop: Shop) -> Book:
    await shop.database.execute(
        "update bind set state = 'bound', expires_at = now() + interval '1 hour', state_at = now() - interval '1 day'"
    )
    book = Book()
    await upkeep.look(shop.database, NOW, book)
    return book


async def _signs(shop: Shop, book: Book, now: datetime = NOW) -> set[str]:
    """The names of the signs that are there; which carriers are silent is another test's."""
    found = await upkeep.signs(shop.database, now, book)
    return {name for name in Signs.__struct_fields__ if name != "silent" and getattr(found, name)}


async def test_nothing_to_do_shows_no_sign(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        assert await upkeep.signs(shop.database, NOW, Book()) == NONE
        await shop.carrier()
        assert await upkeep.signs(shop.database, NOW, await _book(shop)) == NONE


async def test_what_is_due_shows_until_it_is_released_also_without_a_route(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.messages(account, 1)  # no carrier: it waits in the lane of none
        book = await _book(shop)
        assert "due" in await _signs(shop, book, later(seconds=1))
        await upkeep.release(shop.database, later(seconds=1), book)
        assert "due" not in await _signs(shop, book, later(seconds=1))
        await shop.carrier()
        book = await _book(shop)
        await shop.messages(account, 1, scheduled_at=later(minutes=5))
        assert "due" not in await _signs(shop, book, later(minutes=4))
        assert "due" in await _signs(shop, book, later(minutes=6))
        await upkeep.release(shop.database, later(minutes=6), book)
        assert "due" not in await _signs(shop, book, later(minutes=6))


async def test_what_changes_the_counts_of_what_waits_shows_until_it_is_counted(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        book = await _book(shop)
        assert "counted" not in await _signs(shop, book)
        await shop.messages(account, 1, scheduled_at=later(minutes=5))
        assert "counted" in await _signs(shop, book)
        await upkeep.count(shop.database, NOW, book)
        assert "counted" not in await _signs(shop, book)
        await shop.database.execute("update ready_count set asked_at = now()")
        assert "counted" in await _signs(shop, book), "somebody wants to know"
        await shop.database.execute(
            "update ready_count set asked_at = now() - make_interval(secs => $1)", waiting.ASKED_S + 1.0
        )
        assert "counted" not in await _signs(shop, book)


async def test_a_receipt_of_nobodys_shows(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        book = await _book(shop)
        (sent,) = await shop.messages(account)
        await bind.turn(1)
        await bind.turn(0, receipts=[("ref", "", 6)])
        assert "stray" in await _signs(shop, book)
        await bind.turn(0, taken=[(sent, 0, "ref")])
        assert await shop.state(sent) is State.DELIVERED
        assert "stray" not in await _signs(shop, book)


async def test_what_a_subscriber_wrote_shows_until_it_is_sorted(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        carrier_id = await shop.carrier()
        book = await _book(shop)
        async with shop.database.transaction() as tx:
            await inbound.store_inbound(
                tx, carrier_id, [MessageIn(0, "33600000001", "36111", b"not a PDU", b"k")], [NOW]
            )
        assert "written" in await _signs(shop, book)
        await upkeep.sort_replies(shop.database, NOW, book)
        assert "written" not in await _signs(shop, book)


async def test_a_part_that_waits_shows_when_it_has_waited_long_enough(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        carrier_id = await shop.carrier()
        book = await _book(shop)
        async with shop.database.transaction() as tx:
            await inbound.store_inbound(tx, carrier_id, [MessageIn(0, "33600000001", "36111", b"part", b"k")], [NOW])
            await tx.execute("update inbound set state = 1")
        assert "written" not in await _signs(shop, book, later(minutes=29))
        assert "written" in await _signs(shop, book, later(minutes=31))


async def test_submissions_show_when_they_are_old_enough_and_until_they_are_followed(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        book = await _book(shop)
        await shop.messages(account, 3)
        assert "unfollowed" not in await _signs(shop, book, later(seconds=59))
        assert "unfollowed" in await _signs(shop, book, later(seconds=61))
        await upkeep.follow(shop.database, later(seconds=61), book)
        assert "unfollowed" not in await _signs(shop, book, later(days=61))


async def test_a_changed_window_and_money_that_had_to_wait_show(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=PRICE)
        (sent,) = await shop.messages(account)
        book = await _book(shop)
        await shop.database.execute("insert into window_change (account_id, name) values ($1, '')", account.id)
        assert "window_changed" in await _signs(shop, book, NOW - timedelta(seconds=1))
        await shop.database.execute("update window_change set placed = true")
        await shop.database.execute(
            "insert into refund_later (message_id, account_id, kept, since) values ($1, $2, 0, $3)",
            sent,
            account.id,
            NOW,
        )
        assert "refund" in await _signs(shop, book)
        await upkeep.give_back(shop.database, NOW, book)
        assert await shop.balance(account) == PRICE
        assert not await _signs(shop, book, NOW - timedelta(seconds=1)) & {"refund", "window_changed"}


async def test_a_carrier_is_silent_when_no_bind_of_it_was_bound_for_long(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        red, blue = await shop.carrier("red"), await shop.carrier("blue")
        book = await _book(shop)
        assert (await upkeep.signs(shop.database, datetime.now(UTC), book)).silent == ()
        await shop.database.execute(
            "update bind set state = 'down', state_at = now() - interval '29 s' where carrier_id = $1", blue
        )
        await upkeep.signs(shop.database, NOW, book)
        assert book.down == frozenset()
        await shop.database.execute("update bind set state_at = now() - interval '31 s' where carrier_id = $1", blue)
        await upkeep.signs(shop.database, NOW, book)
        assert book.down == {blue}
        died = """update bind set expires_at = now() - $2::interval, state_at = now() - interval '31 s'
                  where carrier_id = $1"""
        await shop.database.execute(died, red, timedelta(seconds=29))
        await upkeep.signs(shop.database, NOW, book)
        assert book.down == {blue}, "its owner has died, and another has as long to take it over"
        await shop.database.execute(died, red, timedelta(seconds=31))
        await upkeep.signs(shop.database, NOW, book)
        assert book.down == {red, blue}, "nobody has taken it over"
