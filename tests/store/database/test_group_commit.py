"""Group commit: many commands in one transaction; one bad command fails alone, a lost batch is looked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from shop import NOW, opened

from chappe.actions import accept as accept_action
from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Moment, Send
from chappe.embedded.server import ConnectionParameters
from chappe.store.database import GroupCommit
from chappe.store.database.group_commit import GATHERED_WEIGHT, LOSSES_MAX, QUIET_TURNS
from chappe.store.messages import Placed

pytestmark = pytest.mark.asyncio


class Runner:
    """Runs batches as it is told, one command at a time if it is held."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.trouble: list[BaseException] = []
        self.go = asyncio.Event()
        self.go.set()

    async def run(self, batch: list[int]) -> Sequence[int]:
        self.batches.append(list(batch))
        await self.go.wait()
        if self.trouble:
            raise self.trouble.pop(0)
        if 666 in batch:
            raise asyncpg.CharacterNotInRepertoireError("invalid byte sequence")
        return [-command for command in batch]


async def turns(count: int) -> None:
    """Lets the loop turn, as it does when something is read."""
    for _ in range(count):
        await asyncio.sleep(0)


async def begun(runner: Runner, batches: int = 1) -> None:
    async with asyncio.timeout(5):
        while len(runner.batches) < batches:  # noqa: ASYNC110 - it happens in the loop's own turns
            await asyncio.sleep(0)


async def test_what_is_there_to_be_read_joins_the_batch_and_nothing_is_waited_for() -> None:
    runner = Runner()
    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1)
    for command in range(5):
        commit.add(command, lambda _: None)
        await turns(QUIET_TURNS)
    await commit.idle()
    assert runner.batches == [[0, 1, 2, 3, 4]]
    commit.add(5, lambda _: None)
    await turns(QUIET_TURNS + 1)
    assert runner.batches[1:] == [[5]], "nothing came any more"
    for command in range(GATHERED_WEIGHT):
        commit.add(command, lambda _: None)
    await turns(1)
    assert len(runner.batches) == 3, "enough have come"
    await commit.idle()


async def test_commands_gather_while_a_batch_is_in_flight() -> None:
    runner = Runner()
    runner.go.clear()
    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1)
    heard: list[Any] = []
    commit.add(1, heard.append)
    await begun(runner)
    for command in (2, 3, 4):
        commit.add(command, heard.append)
    await turns(10)
    assert runner.batches == [[1]]
    runner.go.set()
    await commit.idle()
    assert runner.batches == [[1], [2, 3, 4]]
    assert heard == [-1, -2, -3, -4]


async def test_a_batch_has_a_weight_limit_but_always_takes_one() -> None:
    runner = Runner()
    commit: GroupCommit[int, int] = GroupCommit(
        runner.run, lambda command: command, batch_weight_max=10, waiting_weight_max=30
    )
    heard: list[Any] = []
    for command in (50, 6, 4, 1):
        commit.add(command, heard.append)
    assert commit.full
    await commit.idle()
    assert runner.batches == [[50], [6, 4], [1]]
    assert not commit.full


async def test_owners_take_turns_in_batches_and_each_ones_commands_keep_their_order() -> None:
    runner = Runner()
    runner.go.clear()
    commit: GroupCommit[int, int] = GroupCommit(
        runner.run, lambda _: 1, batch_weight_max=4, owner=lambda command: command // 100
    )
    commit.add(1, lambda _: None)
    await begun(runner)
    for command in (101, 102, 103, 104, 105, 201, 202, 301):
        commit.add(command, lambda _: None)
    runner.go.set()
    await commit.idle()
    assert runner.batches == [[1], [101, 201, 301, 102], [202, 103, 104, 105]]


async def test_one_bad_command_fails_alone() -> None:
    runner = Runner()
    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1)
    heard: dict[int, Any] = {}
    for command in (1, 666, 3):
        commit.add(command, lambda outcome, command=command: heard.__setitem__(command, outcome))
    await commit.idle()
    assert (heard[1], heard[3]) == (-1, -3)
    assert isinstance(heard[666], asyncpg.CharacterNotInRepertoireError)


async def test_a_batch_for_which_there_is_no_room_is_not_tried_one_by_one() -> None:
    runner = Runner()
    runner.trouble = [asyncpg.DiskFullError("no space left on device")]
    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1)
    heard: list[Any] = []
    for command in (1, 2, 3):
        commit.add(command, heard.append)
    await commit.idle()
    assert runner.batches == [[1, 2, 3]]
    assert [type(outcome) for outcome in heard] == [asyncpg.DiskFullError] * 3


async def test_what_may_have_been_committed_is_not_tried_again() -> None:
    runner = Runner()
    runner.trouble = [asyncpg.ConnectionDoesNotExistError("gone")]
    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1)
    heard: list[Any] = []
    for command in (1, 2):
        commit.add(command, heard.append)
    await commit.idle()
    assert runner.batches == [[1, 2]]
    assert all(isinstance(outcome, asyncpg.ConnectionDoesNotExistError) for outcome in heard)
    commit.add(3, heard.append)
    await commit.idle()
    assert heard[-1] == -3, "the next batch is none the worse"


async def test_of_a_lost_batch_what_was_stored_is_answered_and_the_rest_tried_again() -> None:
    runner = Runner()
    runner.trouble = [asyncpg.ConnectionDoesNotExistError("gone")]
    asked: list[list[int]] = []
    go = asyncio.Event()

    async def find(batch: list[int]) -> Sequence[int | None]:
        asked.append(batch)
        await go.wait()
        return [-command if command % 2 else None for command in batch]

    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1, find=find)
    heard: list[Any] = []
    for command in (1, 2, 3):
        commit.add(command, heard.append)
    while not asked:  # noqa: ASYNC110 - one turn of the loop
        await asyncio.sleep(0)
    commit.add(4, heard.append)
    while len(heard) < 1:  # noqa: ASYNC110 - one turn of the loop
        await asyncio.sleep(0)
    assert heard == [-4], "others need not wait until it is known"
    go.set()
    await commit.idle()
    assert (asked, runner.batches) == ([[1, 2, 3]], [[1, 2, 3], [4], [2]])
    assert heard == [-4, -1, -3, -2]


async def test_what_is_lost_again_and_again_is_refused_in_the_end() -> None:
    runner = Runner()
    runner.trouble = [asyncpg.ConnectionDoesNotExistError("gone") for _ in range(10)]

    async def find(batch: list[int]) -> Sequence[int | None]:
        return [None] * len(batch)

    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1, find=find)
    heard: list[Any] = []
    commit.add(1, heard.append)
    await commit.idle()
    assert isinstance(heard[0], asyncpg.ConnectionDoesNotExistError)
    assert len(runner.batches) == 1 + LOSSES_MAX


@pytest.mark.parametrize("trouble", [ConnectionRefusedError("still away"), KeyError("a bug")])
async def test_who_cannot_be_told_what_was_stored_hears_that_it_failed(trouble: Exception) -> None:
    runner = Runner()
    runner.trouble = [asyncpg.ConnectionDoesNotExistError("gone")]

    async def find(batch: list[int]) -> Sequence[int | None]:
        raise trouble

    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1, find=find)
    heard: list[Any] = []
    commit.add(1, heard.append)
    await commit.idle()
    assert isinstance(heard[0], asyncpg.ConnectionDoesNotExistError)


async def test_what_was_rolled_back_for_others_is_tried_again_but_not_for_ever() -> None:
    runner = Runner()
    runner.trouble = [asyncpg.DeadlockDetectedError("1"), asyncpg.SerializationError("2")]
    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1)
    heard: list[Any] = []
    commit.add(1, heard.append)
    await commit.idle()
    assert heard == [-1]
    runner.trouble = [asyncpg.DeadlockDetectedError(str(time)) for time in range(3)]
    commit.add(2, heard.append)
    await commit.idle()
    assert isinstance(heard[1], asyncpg.DeadlockDetectedError)
    assert runner.trouble == []


async def test_a_mistake_of_ours_still_answers_everybody() -> None:
    runner = Runner()
    runner.trouble = [KeyError("a bug")]
    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1, batch_weight_max=1)
    heard: list[Any] = []
    for command in (1, 2):
        commit.add(command, heard.append)
    await commit.idle()
    assert isinstance(heard[0], KeyError)
    assert heard[1:] == [-2]


async def test_an_answer_that_fails_takes_no_other_with_it() -> None:
    runner = Runner()
    commit: GroupCommit[int, int] = GroupCommit(runner.run, lambda command: 1)
    heard: list[Any] = []

    def broken(outcome: Any) -> None:
        raise RuntimeError("a bug in an answer")

    commit.add(1, broken)
    commit.add(2, heard.append)
    await commit.idle()
    commit.add(3, heard.append)
    await commit.idle()
    assert heard == [-2, -3]


@pytest.mark.every_postgres
@pytest.mark.parametrize("bad", ["nul \x00 octet", "lone \ud800 surrogate"], ids=["nul", "surrogate"])
async def test_a_text_that_cannot_be_stored_fails_alone(database: ConnectionParameters, bad: str) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()

        async def run(batch: list[Placed]) -> Sequence[Accepted | Refusal]:
            return await accept_action.accept(shop.database, batch, Moment(NOW))

        commit: GroupCommit[Placed, Accepted | Refusal] = GroupCommit(run, lambda placed: 1)
        outcomes: list[Any] = []
        sends: list[Send] = [shop.send(account), shop.send(account, text=bad), shop.send(account)]
        for send in sends:
            commit.add(await shop.placed(send), outcomes.append)
        await commit.idle()
        assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True, False, True]
        assert len(await shop.queued()) == 2
        await shop.books_balance()
