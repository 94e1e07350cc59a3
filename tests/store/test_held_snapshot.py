"""While somebody holds a snapshot: what is done often reads few of the rows that are gone, and all is found at last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from shop import NOW, SECRET, Shop, eventually, later, opened

from chappe.actions import upkeep
from chappe.actions.upkeep import Book
from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import (
    bind_turn,
    messages,
    queue,
    queue_head,
    webhooks,
)
from chappe.store.bind_turn import Turn
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of
from chappe.store.queue_head import Looks
from chappe.store.webhooks import Pending, Told

pytestmark = pytest.mark.asyncio

DEAD = 20_000
FEW_PAGES = 60
"""A claim of one reads a handful in each of its tables; 20,000 rows that are gone are on hundreds."""


@asynccontextmanager
async def held(shop: Shop) -> AsyncIterator[None]:
    """Somebody's transaction, which keeps all rows that are deleted meanwhile."""
    async with shop.database.connection() as holder:
        snapshot = holder.transaction(isolation="repeatable_read")
        await snapshot.start()
        await holder.fetchval("select count(*) from outbox")
        yield
        await snapshot.rollback()


class Watched:
    """A connection that says how many pages its statements read; what they gave it keeps to itself."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.pages = 0

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        told = await self._connection.fetchval(f"explain (analyze, buffers, format json) {statement}", *values)
        (plan,) = msgspec.json.decode(told)
        self.pages += plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        return []

    async def execute(self, statement: str, *values: Any) -> None:
        await self.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: Any) -> Any:
        await self.fetch(statement, *values)
        return {"ids": [None], "befores": [0], "opted": None}  # as where the credit did not suffice


async def _pages(shop: Shop, look: Any) -> int:
    """How many pages a look reads when another one has been there; both are undone."""
    watched = Watched(None)
    for _ in range(2):
        async with shop.database.connection(hot=True) as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                watched = Watched(connection)
                await look(watched)
            finally:
                await transaction.rollback()
    return watched.pages


def _slow() -> Looks:
    """As after two slow looks that found nothing, and for long."""
    one = Looks()
    for _ in range(2):
        one.looked({}, whole=True, now_key=0, ended_s=0, took_s=1e9)
    return one


@pytest.fixture
def always_slow(monkeypatch: pytest.MonkeyPatch) -> float:
    """Every whole look counts as slow; the next one comes after so many seconds."""
    monkeypatch.setattr(queue_head, "SLOW_S", 0.0)
    monkeypatch.setattr(queue_head, "AGAIN_S", 0.4)
    return queue_head.AGAIN_S


class Teller:
    """Claims webhooks as the notifier does."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.looks = Looks()
        self.in_hand: list[int] = []

    async def claim(
        self, *, full: tuple[int, ...] = (), per_host: int = 200, limit: int = 20_000, now: Any = NOW
    ) -> list[Pending]:
        async with self.shop.database.connection(hot=True) as connection:
            found = await webhooks.claim(connection, key_of(now), self.in_hand, per_host, full, limit, self.looks)
        self.in_hand += [one.id for one in found]
        return found

    async def end(self, rows: list[Pending], again_key: int = 0) -> None:
        async with self.shop.database.connection(hot=True) as connection:
            await webhooks.end(connection, [Told(one, NOW, 200, 1, "told", again_key) for one in rows])
        gone = {one.id for one in rows}
        self.in_hand = [one for one in self.in_hand if one not in gone]


async def _add(shop: Shop, host: int, key: int, message_id: int, count: int = 1) -> None:
    await shop.database.execute(
        """insert into webhook (host, key, id, message_id, at, state)
           select $1, $2::bigint + i, nextval('webhook_number'), $3, $4, 6 from generate_series(0, $5::int - 1) i""",
        host, key, message_id, NOW, count,
    )  # fmt: skip


@pytest.mark.every_postgres
async def test_a_claim_of_webhooks_does_not_walk_over_what_a_snapshot_keeps(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        (message,) = await shop.messages(await shop.account())
        old = key_of(later(seconds=-60))
        async with held(shop):
            await _add(shop, 7, old, message, DEAD)
            await shop.database.execute("delete from webhook")
            await _add(shop, 7, old + DEAD, message)
            bounded = _slow()
            bounded.looked({7: old + DEAD - 1}, whole=False, now_key=key_of(NOW), ended_s=0, took_s=0)
            whole, some = [
                await _pages(shop, lambda c, one=one: webhooks.claim(c, key_of(NOW), [], 200, [], 200, one))
                for one in (None, bounded)
            ]
            assert some <= FEW_PAGES < 2 * FEW_PAGES < whole


@pytest.mark.every_postgres
async def test_webhooks_end_by_their_keys_whatever_statistics_say(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        (message,) = await shop.messages(await shop.account())
        key = key_of(later(seconds=-60))
        async with held(shop):
            await _add(shop, 7, key, message, DEAD)
            await shop.database.execute("delete from webhook")
            await shop.database.execute("vacuum (analyze) webhook")
            await _add(shop, 7, key + DEAD, message, 3)
            one = Teller(shop)
            told = [
                Told(row, NOW, 200, 1, "told", again) for row, again in zip(await one.claim(), (0, 9, 0), strict=True)
            ]
            assert await _pages(shop, lambda c: webhooks.end(c, told)) <= FEW_PAGES
            async with shop.database.connection(hot=True) as connection:
                await webhooks.end(connection, told)
        left = await shop.database.fetch("select key, attempts, message_id from webhook")
        assert [tuple(row) for row in left] == [(9, 1, message)]


@pytest.mark.every_postgres
async def test_a_release_of_what_is_due_does_not_walk_over_what_a_snapshot_keeps(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        red = await shop.carrier()
        (message,) = await shop.messages(await shop.account())
        waiting, old = lane(red, LaneClass.WAITING), key_of(later(seconds=-60))
        add = """insert into outbox (lane, key, message_id)
                 select $1, $2::bigint + i, $3 from generate_series(0, $4::int - 1) i"""
        async with held(shop):
            await shop.database.execute(add, waiting, old, message, DEAD)
            await shop.database.execute("delete from outbox")
            await shop.database.execute(add, waiting, old + DEAD, message, 1)
            bounded = _slow()
            bounded.looked({waiting: old + DEAD - 1}, whole=False, now_key=key_of(NOW), ended_s=0, took_s=0)
            whole, some = [
                await _pages(shop, lambda c, one=one: queue.take_due(c, NOW, [7, waiting], 100, one))
                for one in (None, bounded)
            ]
            assert some <= FEW_PAGES < 2 * FEW_PAGES < whole


@pytest.mark.every_postgres
async def test_a_turn_with_bounds_does_not_walk_over_receipts_that_came_early_and_are_matched(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        sent = await shop.messages(await shop.account(), 2)
        waits = "insert into receipt_unmatched select $1, 'early ' || i, i, $2 from generate_series(1, $3::int) i"
        async with held(shop):
            await shop.database.execute(waits, bind.key.carrier_id, NOW, DEAD)
            await shop.database.execute("delete from receipt_unmatched")

            def turn(one: Looks | None, want: int) -> Any:
                news = Turn(r_message=[sent[0]], r_part=[0], r_ref=["early 7"])
                return lambda c: bind_turn.turn(c, bind.key, bind.token, NOW, 0, news, sent, bind.lanes, want, one)

            assert await _pages(shop, turn(None, 1)) > 2 * FEW_PAGES
            assert await _pages(shop, turn(_slow(), 1)) <= FEW_PAGES
            idle = _slow()
            idle._whole_at_s = float("-inf")  # a whole look is due, and this turn is none: it claims nothing
            assert await _pages(shop, turn(idle, 0)) <= FEW_PAGES


async def test_a_receipt_that_came_early_is_matched_also_by_turns_with_bounds(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        (sent,) = await shop.messages(await shop.account())
        await bind.turn(5)
        await bind.turn(still=[sent], receipts=[("early", "", State.DELIVERED)])
        assert await shop.database.value("select count(*) from receipt_unmatched") == 1
        async with shop.database.connection(hot=True) as connection:
            news = Turn(r_message=[sent], r_part=[0], r_ref=["early"])
            await bind_turn.turn(connection, bind.key, bind.token, NOW, 0, news, [], bind.lanes, 5, looks=_slow())
        assert await shop.state(sent) is State.DELIVERED
        assert await shop.database.value("select count(*) from receipt_unmatched") == 0


@pytest.mark.every_postgres
async def test_accepting_does_not_walk_over_all_that_a_balance_has_been(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        placed = await shop.placed(shop.send(account))

        def accept(connection: Any) -> Any:
            return messages.accept_by(connection, [placed], NOW, SECRET)

        before = await _pages(shop, accept)
        async with held(shop), shop.database.connection() as connection:
            await connection.execute("set synchronous_commit = off")
            # by its place, so that this does not take as long as what is tested would
            await connection.execute(
                f"""do $$ declare place tid := (select ctid from balance where account_id = {account.id});
                begin
                    for step in 1..{DEAD} loop
                        update balance set turn = turn + 1 where ctid = place returning ctid into place;
                        commit;
                    end loop;
                end $$"""
            )
            await connection.execute("reset synchronous_commit")
            assert await _pages(shop, accept) <= before + FEW_PAGES, "its versions are on more than a hundred"


async def test_webhooks_above_a_bound_are_claimed_by_the_next_look(
    database: ConnectionParameters, always_slow: float
) -> None:
    async with opened(database) as shop:
        (message,) = await shop.messages(await shop.account())
        one, key = Teller(shop), key_of(later(seconds=-60))
        await _add(shop, 7, key, message, 5)
        first = await one.claim(per_host=2)
        assert [row.key for row in first] == [key, key + 1]
        assert [row.key for row in await one.claim(per_host=2)] == [key + 2, key + 3], "and none that is in hand"
        await one.end(first, key_of(later(seconds=60)))  # put off
        await _add(shop, 7, key + 4, message)
        assert [row.key for row in await one.claim()] == [key + 4] * 2
        assert [row.attempts for row in await one.claim(now=later(seconds=61))] == [1, 1]


async def test_webhooks_below_a_bound_and_of_other_hosts_are_found_by_the_next_whole_look(
    database: ConnectionParameters, always_slow: float
) -> None:
    async with opened(database) as shop:
        (message,) = await shop.messages(await shop.account())
        one, key = Teller(shop), key_of(later(seconds=-60))
        await _add(shop, 7, key, message)
        assert len(await one.claim()) == 1
        await _add(shop, 7, key - 1, message)  # a node whose clock is late
        await _add(shop, 9 << 32, key + 1, message)  # a host of which nobody has heard
        assert await one.claim() == []
        found = await eventually(one.claim)
        assert sorted((row.host, row.key) for row in found) == [(7, key - 1), (9 << 32, key + 1)]


async def test_a_host_that_was_full_whenever_all_were_looked_at_is_looked_at_from_its_beginning(
    database: ConnectionParameters, always_slow: float
) -> None:
    async with opened(database) as shop:
        (message,) = await shop.messages(await shop.account())
        one, key = Teller(shop), key_of(later(seconds=-60))
        await _add(shop, 7, key, message)
        assert len(await one.claim()) == 1
        await _add(shop, 7, key - 1, message)
        await _add(shop, 8, key, message)
        assert await eventually(lambda: one.claim(full=(7,)))  # a whole look, which has passed it over
        assert [row.key for row in await one.claim()] == [key - 1]


async def test_a_claim_that_may_take_nothing_says_nothing_about_how_slow_looks_are(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        one = Teller(shop)
        one.looks = _slow()
        one.looks._whole_at_s = float("-inf")  # a whole one is due
        assert await one.claim(limit=0) == []
        assert one.looks.slow


async def test_what_comes_due_below_a_bound_is_released_by_the_next_whole_look(
    database: ConnectionParameters, always_slow: float
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        book = Book()
        await upkeep.look(shop.database, NOW, book)
        (first,) = await shop.messages(account, scheduled_at=later(seconds=30))
        assert await upkeep.release(shop.database, later(minutes=5), book)
        (same,) = await shop.messages(account, scheduled_at=later(seconds=30))
        (before,) = await shop.messages(account, scheduled_at=later(seconds=29))

        async def ready() -> set[int]:
            return {row["message_id"] for row in await shop.outbox() if row["lane"] & 7 != LaneClass.WAITING}

        await upkeep.release(shop.database, later(minutes=5), book)
        assert await ready() == {first, same}, "a bound leaves out what stands below it, and nothing else"
        await eventually(lambda: upkeep.release(shop.database, later(minutes=5), book))
        assert await ready() == {first, same, before}


async def test_many_that_are_due_are_released_in_one_go_from_where_the_last_batch_ended(
    database: ConnectionParameters, always_slow: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 10)
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        book = Book()
        await upkeep.look(shop.database, NOW, book)
        for place in range(5):
            await shop.messages(account, 9, scheduled_at=NOW + timedelta(seconds=30 - place))
        await upkeep.release(shop.database, later(minutes=5), book)
        assert all(row["lane"] & 7 != LaneClass.WAITING for row in await shop.outbox())
