"""Forgetting: what must vanish does, what must stay stays, and amounts always do."""

from __future__ import annotations

import pytest
from shop import NOW, Shop, later, opened

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import conversations, replies, retention
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of
from chappe.store.replies import NewReply
from chappe.store.webhook_hosts import hosts_of

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

PHONE = "+33600000001"


async def texts(shop: Shop) -> list[tuple[str, str, str]]:
    rows = await shop.database.fetch(
        """select s.text, m.recipient, s.report_url
           from message m join submission s on s.id = m.id >> 16 order by m.id"""
    )
    return [tuple(row.values()) for row in rows]


async def test_sandbox_messages_vanish_after_a_day(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        (played,) = await shop.messages(account, numbers=[PHONE], sandbox=True, report_url="https://h/")
        (real,) = await shop.messages(account, numbers=[PHONE])
        (young,) = await shop.messages(account, numbers=[PHONE], sandbox=True, now=later(hours=2))
        await retention.forget(shop.database, later(hours=23), 400, lambda: True)
        assert len(await texts(shop)) == 3
        await retention.forget(shop.database, later(hours=25), 400, lambda: True)
        rows = await shop.database.fetch("select id from message order by id")
        assert [row["id"] for row in rows] == [real, young]
        assert await shop.webhooks() == []
        await retention.forget(shop.database, later(hours=27), 400, lambda: True)
        rows = await shop.database.fetch("select id from message order by id")
        assert [row["id"] for row in rows] == [real]
        assert played < real
        await shop.books_balance()


async def test_of_the_waiting_webhooks_only_those_of_vanished_messages_go_and_others_are_not_read(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        (played,) = await shop.messages(account, sandbox=True)
        (real,) = await shop.messages(account)
        (theirs,) = await shop.messages(other)
        await shop.database.execute("delete from webhook")
        for one, message in ((account, played), (account, real), (other, theirs)):
            await shop.database.execute(
                "insert into webhook (host, key, id, message_id, at, state) values ($1, 1, $2, $2, now(), 4)",
                hosts_of(one.id)[0] + 5,
                message,
            )
        await shop.database.execute(
            """insert into webhook (host, key, id, message_id, at, state)
               select $1, n, n, (1::bigint << 50) + n, now(), 4 from generate_series(1, 5000) n""",
            hosts_of(other.id)[0] + 6,
        )
        await shop.database.execute("analyze webhook")
        async with shop.database.transaction() as tx:
            plan = await tx.fetch(
                f"explain {retention.VANISHED_WEBHOOKS}", [played >> 16], *([end] for end in hosts_of(account.id))
            )
        assert not any("Seq Scan on webhook" in row[0] for row in plan), plan
        await retention.forget(shop.database, later(hours=25), 400, lambda: True)
        left = await shop.database.fetch("select message_id from webhook where key = 1 order by 1")
        assert {real, theirs} <= {row["message_id"] for row in left}
        assert played not in {row["message_id"] for row in left}


async def test_texts_and_numbers_are_blanked_after_their_time_and_amounts_stay(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (old,) = await shop.messages(account, numbers=[PHONE], report_url="https://h/?secret=1", text="private")
        await bind.turn(1)
        await bind.turn(0, taken=[(old, 0, "a")])
        await bind.turn(0, receipts=[("a", PHONE[1:], State.DELIVERED), ("stray", PHONE[1:], None)])
        await shop.messages(account, numbers=[PHONE], text="planned", scheduled_at=later(days=20))
        await shop.messages(account, numbers=[PHONE], text="young", now=later(days=9))
        async with shop.database.transaction() as tx:
            reply_id = await replies.add(
                tx,
                NewReply(
                    account.id, red, NOW, "response", PHONE, "36111", "yes", ("yes",), 0, False, old, "allmysms", ""
                ),
                NOW,
            )
            await tx.execute(
                """insert into inbound (carrier_id, received_at, source, destination, esm_class, data_coding, raw,
                                        state, reply_id)
                   values ($1, $2, '33600000001', '36111', 0, 0, 'x', 2, $3)""",
                red, NOW, reply_id,
            )  # fmt: skip
        await conversations.follow(shop.database, later(days=10))
        balance = await shop.balance(account)
        await retention.forget(shop.database, later(days=10), 5, lambda: True)
        assert await texts(shop) == [
            ("", "+33*******01", ""), ("planned", PHONE, ""), ("young", PHONE, ""),
        ]  # fmt: skip
        for source, raw in await shop.database.fetch("select source, raw from receipt"):
            assert (source, raw) == ("336******01", b"")
        (row,) = await shop.database.fetch("select number, text, parts from reply")
        assert tuple(row.values()) == ("+33*******01", "", [])
        (row,) = await shop.database.fetch("select source, destination, raw from inbound")
        assert tuple(row.values()) == ("336******01", "*****", b"")
        assert (await shop.message(old))["price_micros"] > 0
        assert await shop.balance(account) == balance
        await retention.forget(shop.database, later(days=32), 5, lambda: True)
        assert [text for text, _, _ in await texts(shop)] == ["", "", ""], "what was planned has had its day too"
        assert await shop.database.value("select count(*) from conversation") == 0
        await shop.books_balance()


async def test_a_short_retention_never_blanks_what_is_still_to_leave(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        await shop.messages(account, numbers=[PHONE], text="waits")
        await retention.forget(shop.database, later(days=3), 1, lambda: True)
        assert await texts(shop) == [("waits", PHONE, "")]


async def test_what_is_held_or_waits_for_longer_keeps_its_number_until_some_time_after_it_has_left(
    database: ConnectionParameters,
) -> None:
    """A window that opens seldom, or a carrier that is away for a week: what leaves then needs its text and number, and
    its receipts are matched by the number."""
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        held, waits = [(await shop.messages(account, numbers=[PHONE], text=text))[0] for text in ("held", "waits")]
        opens_at = later(days=6)
        for table, name in (("outbox", "message_id"), ("message", "id")):
            await shop.database.execute(
                f"update {table} set lane = $2, key = $3 where {name} = $1",
                held, lane(red, LaneClass.WAITING), key_of(opens_at),
            )  # fmt: skip
        await retention.forget(shop.database, later(days=5), 1, lambda: True)
        assert await texts(shop) == [("held", PHONE, ""), ("waits", PHONE, "")]
        (row,) = await (await shop.bind(red)).turn(1)
        assert (row.message_id, row.text, row.recipient) == (waits, "waits", PHONE)
        await shop.database.execute("delete from outbox where message_id = $1", held)
        await retention.forget(shop.database, later(days=11), 1, lambda: True)
        assert await texts(shop) == [("held", PHONE, ""), ("", "+33*******01", "")]
        await retention.forget(shop.database, later(days=17), 1, lambda: True)
        assert await texts(shop) == [("", "+33*******01", "")] * 2
