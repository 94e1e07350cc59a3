"""What waits is counted where it comes and goes: always what the outbox holds, and at no cost while it waits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shop import NOW, Shop, later, opened

from chappe.actions import upkeep
from chappe.actions.upkeep import Book
from chappe.core.model import Account
from chappe.embedded.server import ConnectionParameters
from chappe.store import cancel, carriers, optouts, outcomes, waiting
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of
from chappe.store.outcomes import Doubt, Requeue

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

PHONE = "+33600000001"


async def counted(shop: Shop, *accounts: Account) -> list[int]:
    """What is told, which must be what is there."""
    told = [await waiting.parts(shop.database, account.id) for account in accounts]
    for account, parts in zip(accounts, told, strict=True):
        there = await shop.database.value(
            """select coalesce(sum(m.parts), 0) from outbox o join message m on m.id = o.message_id
               where m.account_id = $1""",
            account.id,
        )
        assert parts == there
    return told


async def test_every_way_into_and_out_of_a_waiting_lane_is_counted(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        one, other = await shop.account("one"), await shop.account("other")
        red = await shop.carrier()
        bind = await shop.bind(red)
        assert await counted(shop, one, other) == [0, 0]
        planned = await shop.messages(one, 5, parts=3, scheduled_at=later(hours=1))
        await shop.messages(other, 2, scheduled_at=later(hours=2))
        await shop.messages(one, 1)
        assert await counted(shop, one, other) == [16, 2]
        await waiting.fold(shop.database)
        assert await shop.database.value("select count(*) from waiting_parts_change") == 0
        assert await counted(shop, one, other) == [16, 2]

        async with shop.database.transaction(hot=True) as tx:  # cancelled
            await cancel.take_back(tx, planned[0] >> 16, NOW, NOW)
        assert await counted(shop, one, other) == [1, 2]
        await shop.messages(other, numbers=[PHONE], scheduled_at=later(hours=2))
        async with shop.database.transaction() as tx:  # opted out
            await optouts.add(tx, other.id, PHONE, NOW, "api", "stop")
            assert await optouts.sweep(tx, [other.id], PHONE, NOW, "") == 1
        assert await counted(shop, one, other) == [1, 2]

        (row,) = await bind.turn(1)  # to be tried again, then in doubt, then heard of
        async with shop.database.transaction(hot=True) as tx:
            again = Requeue(row.message_id, lane(red, LaneClass.WAITING), key_of(later(minutes=1)), 1, 0, 3)
            await outcomes.requeue(tx, NOW, [again])
        await bind.turn(0)
        assert await counted(shop, one, other) == [1, 2]
        book = Book()
        await upkeep.look(shop.database, NOW, book)
        assert await upkeep.release(shop.database, later(minutes=2), book)
        (row,) = await bind.turn(1)
        assert await counted(shop, one, other) == [0, 2]
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.doubt(tx, NOW, red, [Doubt(row.message_id, key_of(later(minutes=9)), 0, "cut")])
        await bind.turn(0)
        assert await counted(shop, one, other) == [1, 2]
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.resolve_doubt(tx, NOW, [row.message_id])
        assert await counted(shop, one, other) == [0, 2]

        await carriers.remove(shop.database, "red")  # to the waiting lane of no carrier
        assert await counted(shop, one, other) == [0, 2]
        await waiting.fold(shop.database)
        rows = await shop.database.fetch("select account_id, parts from waiting_parts order by account_id")
        assert [tuple(row) for row in rows] == [(one.id, 0), (other.id, 2)]


async def test_what_was_rolled_back_never_waited(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=0)
        await shop.carrier()
        await shop.messages(await shop.account("rich"), 1, scheduled_at=later(hours=1))
        (stored,) = await shop.accept(shop.send(account, 3, scheduled_at=later(hours=1)))
        assert stored.submission_id is None
        assert await counted(shop, account) == [0]


async def test_where_much_is_ready_the_count_is_a_while_old(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "READY_COUNTED_MAX", 10)
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        await shop.carrier()
        await shop.messages(account, 10, parts=2)
        await waiting.count_ready(shop.database)
        assert await shop.database.value("select parts is null from ready_count"), "nobody has asked"
        assert await counted(shop, account, other) == [20, 0]
        await shop.messages(account, 1)
        await shop.messages(account, 4, scheduled_at=later(hours=1))
        assert await counted(shop, account, other) == [25, 0], "there was none: it is made"
        await shop.messages(account, 1)
        assert await waiting.parts(shop.database, account.id) == 25
        await waiting.count_ready(shop.database)
        assert await waiting.parts(shop.database, account.id) == 25, "the last one is young enough"
        await shop.database.execute("update ready_count set counted_at = now() - interval '6 s'")
        assert await waiting.parts(shop.database, account.id) == 25
        await waiting.count_ready(shop.database)
        assert await counted(shop, account, other) == [26, 0]
        await shop.messages(account, 1)
        await shop.database.execute(
            "update ready_count set counted_at = now() - interval '16 s', asked_at = now() - interval '11 min'"
        )
        await waiting.count_ready(shop.database)
        assert await shop.database.value("select counted_at < now() - interval '15 s' from ready_count"), "nobody asks"
        assert await counted(shop, account, other) == [27, 0], "too old: made anew by who asks"


FILL = """with s as (
        insert into submission (id, account_id, created_at, scheduled_at, cost_micros, recipients, parts, flags,
                                dialect, sender, text, tag, campaign, client_reference, report_url, reply_url)
        select nextval('submission_number'), $1, $2, $3, 0, 500, 500, 0, '', '', 'hello', '', '', '', '', ''
        from generate_series(1, $4) returning id),
    m as (
        insert into message (id, account_id, price_micros, key, lane, parts, state, recipient)
        select s.id << 16 | p, $1, 0, (extract(epoch from $3::timestamptz) * 1000000)::bigint, $5, 1, 1,
               '+3360000' || lpad(p::text, 4, '0')
        from s, generate_series(0, 499) p returning id, lane, key)
    insert into outbox (lane, key, message_id) select lane, key, id from m"""


def _blocks(plan: Any) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_thousands_that_wait_are_read_by_nobody(database: ConnectionParameters) -> None:
    """Neither who releases nor who claims nor who is asked for a balance reads what is not due."""
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        await shop.database.execute(FILL, account.id, NOW, later(days=30), 100, lane(red, LaneClass.WAITING))
        async with shop.database.connection(hot=True) as connection:

            async def blocks(statement: str, *values: object) -> int:
                text = await connection.fetchval(f"explain (analyze, buffers, format json) {statement}", *values)
                return _blocks(json.loads(text)[0]["Plan"])

            lanes = f"{{7,{lane(red, LaneClass.WAITING)}}}"
            due = """select q.ctid from unnest($1::text::int[]) as l(lane) cross join lateral (
                         select ctid from outbox w where w.lane = l.lane and w.key <= $2
                         order by w.lane, w.key, w.message_id limit 1000 for update skip locked) q limit 1000"""
            assert await blocks(due, lanes, key_of(NOW)) < 20
            assert await blocks(waiting._FEW, account.id, waiting.READY_COUNTED_MAX + 1) < 30
            ready = f"{{{lane(red, 0)},{lane(red, 1)},{lane(red, 2)}}}"
            claim = """select q.ctid from unnest($1::text::int[]) as l(lane) cross join lateral (
                           select ctid from outbox w where w.lane = l.lane
                           order by w.lane, w.key, w.message_id limit 100 for update skip locked) q limit 100"""
            assert await blocks(claim, ready) < 20
        assert await waiting.parts(shop.database, account.id) == 50_000
