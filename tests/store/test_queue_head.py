"""Bounded looks: cheap while somebody holds a snapshot, and nothing is ever left behind by them."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from shop import NOW, Shop, eventually, later, opened

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import bind_turn, outcomes, queue_head
from chappe.store.bind_turn import TURN, Turn
from chappe.store.messages import REFUND_ARRAY, key_of, numbers
from chappe.store.outcomes import Requeue
from chappe.store.queue_head import AGAIN_S, KEY_MIN, LANES_MAX, NEW_MICROS, ROW_S, SHARE, SLOW_S, Looks


def test_quick_looks_have_no_bounds() -> None:
    one = Looks()
    for second in range(5):
        assert one.bounds([8, 9], second) is None
        one.looked({8: 100 + second}, whole=True, now_key=10**9, ended_s=second, took_s=SLOW_S / 2)


def _slow(one: Looks, took_s: float = 1.0) -> Looks:
    """The same after a slow look that found nothing."""
    one.looked({}, whole=True, now_key=10**9, ended_s=0, took_s=took_s)
    return one


def test_slow_looks_bound_the_next_ones_for_twenty_times_as_long() -> None:
    one = _slow(Looks(), 0.5)
    one.looked({8: 7}, whole=True, now_key=10**9, ended_s=100, took_s=0.4 + 2 * ROW_S, found=2)
    assert one.bounds([8, 9], 100.1) == [7, KEY_MIN]
    one.looked({8: 9, 9: 3}, whole=False, now_key=10**9, ended_s=101, took_s=0.001)
    assert one.bounds([9, 8], 100 + SHARE * 0.4 - 0.1) == [3, 9]
    assert one.bounds([8, 9], 100 + SHARE * 0.4) is None
    one.looked({}, whole=True, now_key=10**9, ended_s=109, took_s=0.001)
    assert one.bounds([8, 9], 109) is None, "the snapshot is gone"


def test_a_single_slow_look_says_nothing() -> None:
    one = _slow(Looks(), 30)
    assert (one.slow, one.bounds([8], 0)) == (False, None)


def test_looks_that_find_much_may_take_their_time() -> None:
    one = Looks()
    for _ in range(2):
        one.looked({8: 9}, whole=True, now_key=10**9, ended_s=1, took_s=20_000 * ROW_S, found=20_000)
    assert (one.slow, one.bounds([8], 1)) == (False, None)


def test_what_was_found_while_looks_were_quick_bounds_the_slow_ones() -> None:
    one = Looks()
    one.looked({8: 5}, whole=True, now_key=10**9, ended_s=0, took_s=0)
    _slow(_slow(one))
    assert (one.known, one.bounds([8], 0.1)) == ([8], [5])


def test_a_lane_in_which_nothing_was_found_has_a_bound_too() -> None:
    one = _slow(_slow(Looks()))
    one.looked({8: 5}, whole=True, now_key=10**9, ended_s=1, took_s=1, found=1, empty=[8, 9])
    assert one.bounds([8, 9, 10], 1.1) == [5, 10**9 - NEW_MICROS, KEY_MIN]


def test_a_lane_that_a_whole_look_passed_over_is_looked_at_from_its_beginning_the_next_time() -> None:
    one = _slow(Looks())
    one.looked({8: 5, 9: 6}, whole=True, now_key=10**9, ended_s=1, took_s=1)
    one.looked({9: 7}, whole=True, now_key=10**9, ended_s=3, took_s=1, passed_over=[8])
    assert one.bounds([8, 9], 3.1) == [KEY_MIN, 7]
    one.looked({8: 6}, whole=False, now_key=10**9, ended_s=3.2, took_s=1)
    assert one.bounds([8, 9], 3.3) == [6, 7]


def test_the_lanes_that_are_remembered_are_limited_and_the_longest_not_found_goes_first() -> None:
    one = _slow(Looks())
    one.looked(dict.fromkeys(range(LANES_MAX), 5), whole=True, now_key=10**9, ended_s=1, took_s=1)
    one.looked({0: 6, -1: 6}, whole=False, now_key=10**9, ended_s=1, took_s=0)
    assert len(one.known) == LANES_MAX
    assert (one.known[0], one.known[-2:]) == (2, [0, -1])


def test_what_has_just_been_accepted_is_found_by_every_look() -> None:
    one = _slow(Looks())
    now = 10**15
    one.looked({8: now + 5_000_000}, whole=True, now_key=now, ended_s=1, took_s=1)  # a campaign, ahead of its time
    assert one.bounds([8], 1.1) == [now - NEW_MICROS]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_keys_everything_is_claimed_in_bounded_time(seed: int) -> None:
    """Rows come anywhere, by any clock, from several nodes; when they stop coming, all are found."""
    chance = random.Random(seed)
    one, lanes, want, whole_s = Looks(), [8, 9, 10], 5, chance.choice([0.01, 0.06, 0.3])
    waiting: list[tuple[int, int]] = []
    at_s, ended_s = 0.0, 20.0
    while at_s < ended_s or waiting:
        now_key = int(at_s * 1e6)
        if at_s < ended_s and chance.random() < 0.5:
            waiting += [
                (chance.choice(lanes), now_key + chance.randrange(-15_000_000, 5_000_000))
                for _ in range(chance.randrange(4))
            ]
        order = chance.sample(lanes, 3)
        bounds = one.bounds(order, at_s)
        seen = [
            row
            for place, lane in enumerate(order)
            for row in sorted(waiting)
            if row[0] == lane and (bounds is None or row[1] >= bounds[place])
        ][:want]
        for row in seen:
            waiting.remove(row)
        took_s = 0.001 if bounds is not None else whole_s
        at_s += took_s + 0.02
        one.looked(dict(seen), whole=bounds is None, now_key=now_key, ended_s=at_s, took_s=took_s)
        again_s = max(AGAIN_S, SHARE * whole_s) + whole_s + 0.1
        assert at_s < ended_s + again_s * (2 + len(waiting) / want) + 60, (seed, len(waiting))


async def _pages(connection: Any, shop: Shop, bind: Any, bounds: list[int] | None) -> int:
    """How many pages a turn reads that claims one message, and then is taken back."""
    values = [bind.key.carrier_id, bind.key.slot, bind.token, NOW, 0, REFUND_ARRAY, *Turn().written(), "{}"]
    transaction = connection.transaction()
    await transaction.start()
    try:
        told = await connection.fetchval(
            f"explain (analyze, buffers, format json) {TURN}",
            *values,
            numbers(bind.lanes),
            1,
            None if bounds is None else numbers(bounds),
        )
    finally:
        await transaction.rollback()
    (plan,) = msgspec.json.decode(told)
    assert plan["Plan"]["Actual Rows"] == 1
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])


@pytest.mark.asyncio
@pytest.mark.every_postgres
async def test_with_a_bound_a_claim_does_not_walk_over_what_a_snapshot_keeps(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=10**12)
        bind = await shop.bind(await shop.carrier())
        async with shop.database.connection() as holder:
            snapshot = holder.transaction(isolation="repeatable_read")
            await snapshot.start()
            await holder.fetchval("select count(*) from outbox")
            for _ in range(20):
                await shop.messages(account, 1000, transactional=True)
            rows = []
            while some := await bind.turn(5000):
                rows += some
            assert len(rows) == 20_000
            (last,) = await shop.messages(account, transactional=True)
            bounds = [rows[-1].key if one == rows[-1].lane else KEY_MIN for one in bind.lanes]
            async with shop.database.connection(hot=True) as connection:
                await _pages(connection, shop, bind, None)
                whole = await _pages(connection, shop, bind, None)
                bounded = await _pages(connection, shop, bind, bounds)
            assert bounded + 100 < whole, "20,000 rows are on more than a hundred pages"
            await snapshot.rollback()
        assert [row.message_id for row in await bind.turn(5)] == [last]


@pytest.mark.asyncio
async def test_what_goes_back_to_an_old_place_is_found_by_the_next_whole_look(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_head, "SLOW_S", 0.0)
    monkeypatch.setattr(queue_head, "AGAIN_S", 0.3)
    one = Looks()
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        sent = await shop.messages(account, 3, transactional=True)
        now = later(seconds=60)

        async def claimed() -> list[int]:
            async with shop.database.connection(hot=True) as connection:
                rows = await bind_turn.turn(
                    connection, bind.key, bind.token, now, 0, bind_turn.Turn(), [], bind.lanes, 10, looks=one
                )
            return [row.message_id for row in rows]

        one.looked({}, whole=True, now_key=key_of(now), ended_s=0, took_s=0)
        assert await eventually(claimed) == sent
        place = await shop.message(sent[0])
        async with shop.database.transaction() as tx:
            await outcomes.requeue(tx, now, [Requeue(sent[0], place["lane"], place["key"] - 1, 1, 0, State.QUEUED)])
        assert await claimed() == [], "below the bound"
        assert await eventually(claimed) == [sent[0]]
