"""Turns: nobody has more than his share, and nobody waits for all that another one wants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from chappe.web.shares import Shares, Turn

pytestmark = pytest.mark.asyncio


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def begun(shares: Shares, owner: str) -> asyncio.Task[Turn]:
    task = asyncio.ensure_future(shares.turn(owner))
    await settle()
    return task


async def in_order(waiting: dict[str, Awaitable[Turn]]) -> list[str]:
    """In which order turns come, each ended before the next one."""
    order = []
    left = {asyncio.ensure_future(turn): name for name, turn in waiting.items()}
    while left:
        done, _ = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        assert len(done) == 1
        for task in done:
            order.append(left.pop(task))
            task.result().end()
    return order


async def test_an_owner_has_his_share_and_no_more() -> None:
    shares = Shares(3, 2)
    first, second, third = [await begun(shares, "a") for _ in range(3)]
    assert [task.done() for task in (first, second, third)] == [True, True, False]
    other = await begun(shares, "b")
    assert other.done(), "what an owner may not have is free for others"
    first.result().end()
    await settle()
    assert third.done()
    for task in (second, third, other):
        task.result().end()


async def test_owners_take_turns_however_many_one_of_them_wants() -> None:
    shares = Shares(1, 1)
    holding = await shares.turn("z")
    waiting = {f"a{n}": await begun(shares, "a") for n in range(4)}
    waiting |= {"b0": await begun(shares, "b"), "c0": await begun(shares, "c"), "b1": await begun(shares, "b")}
    holding.end()
    assert await in_order(waiting) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


async def test_whoever_has_left_makes_place_for_others_and_none_for_himself() -> None:
    shares = Shares(1, 1)
    turn = await shares.turn("a")
    again, other = await begun(shares, "a"), await begun(shares, "b")
    turn.leave()
    await settle()
    assert (again.done(), other.done()) == (False, True)
    other.result().end()
    await settle()
    assert not again.done()
    turn.end()
    turn.end()  # once more does nothing
    await settle()
    assert again.done()
    again.result().end()
    assert shares._free == 1
    assert not shares._begun
    assert not shares._waiting


async def test_a_turn_that_is_no_longer_waited_for_is_the_next_ones() -> None:
    shares = Shares(1, 1)
    turn = await shares.turn("a")
    gone, next_ = await begun(shares, "b"), await begun(shares, "b")
    gone.cancel()
    await settle()
    turn.end()
    await settle()
    assert next_.done()
    late = await begun(shares, "c")
    next_.result().end()  # the turn is given to the one who is cancelled in the same moment
    late.cancel()
    await settle()
    (await asyncio.wait_for(shares.turn("d"), 60)).end()
    assert shares._free == 1
