"""The group commit: turns the commands of many requests into few transactions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from chappe.observability.logs import get_logger
from chappe.store.database.errors import CONNECTION_ERRORS, RETRY_ERRORS, SHORTAGE_ERRORS, DatabaseError
from chappe.store.database.outage import DatabaseAway

log = get_logger("chappe.store")

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741
Done = Callable[[Any], None]
_Item: TypeAlias = tuple[C, int, Done, int]  # a command, its weight, and how often its batch was lost
LOSSES_MAX = 3
GATHERED_WEIGHT = 16  # of a batch that begins without another look
QUIET_TURNS = 3  # of the loop: from octets to a command it takes two
_LATER = object()  # in place of an outcome: `done` is called by somebody else


class GroupCommit(Generic[C, O]):
    """Takes commands one by one, runs them in batches: while one is in flight, the next gathers. No artificial delay: a
    batch begins when nothing more is there to be read.

    run: one transaction over a batch, outcomes in the order of the commands; it may raise. weigh: how large a command
    is, against batch_weight_max. owner: whose it is: owners take turns, each one's commands in their order, so that
    nobody waits for all that another one has given. done is called with the outcome, or with the exception that the
    whole batch met, after the commit. With full() the caller must not add.

    find: after a connection was lost in the middle of a batch, finds out what of it was stored: outcomes, None for what
    was not and never will be, which joins a later batch. It is called at once, and may take its time: meanwhile others
    are served."""

    def __init__(
        self,
        run: Callable[[list[C]], Awaitable[Sequence[O]]],
        weigh: Callable[[C], int],
        *,
        batch_weight_max: int = 5000,
        waiting_weight_max: int = 200_000,
        find: Callable[[list[C]], Awaitable[Sequence[O | None]]] | None = None,
        owner: Callable[[C], Hashable] = lambda _: None,
    ) -> None:
        self._run = run
        self._owner = owner
        self._find = find
        self._finding: set[asyncio.Task[None]] = set()
        self._weigh = weigh
        self._batch_weight_max = batch_weight_max
        self._waiting_weight_max = waiting_weight_max
        self._waiting: OrderedDict[Hashable, deque[_Item[C]]] = OrderedDict()  # by owner, whose turn is next first
        self._weight = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        return self._weight >= self._waiting_weight_max

    def add(self, command: C, done: Done, losses: int = 0) -> None:
        """The command joins the next batch; `done` gets its outcome, or an exception, once that batch is over."""
        weight = self._weigh(command)
        owner = self._owner(command)
        mine = self._waiting.get(owner)
        if mine is None:
            mine = self._waiting[owner] = deque()
        mine.append((command, weight, done, losses))
        self._weight += weight
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def idle(self) -> None:
        """Returns when nothing waits and nothing is in flight."""
        while self._task is not None or self._finding:
            await asyncio.wait([*([self._task] if self._task is not None else []), *self._finding])

    def _take(self) -> list[_Item[C]]:
        batch: list[_Item[C]] = []
        room = self._batch_weight_max
        while self._waiting:
            owner, mine = next(iter(self._waiting.items()))
            for _ in range(len(mine) if len(self._waiting) == 1 else 1):  # alone, an owner has every turn
                weight = mine[0][1]
                if batch and weight > room:
                    return batch
                batch.append(mine.popleft())
                room -= weight
                self._weight -= weight
            if mine:
                self._waiting.move_to_end(owner)
            else:
                del self._waiting[owner]
        return batch

    async def _gather(self) -> None:
        """Lets the loop read what has arrived already, as long as there is more and the batch is small: of ten requests
        that come together the first must not have a transaction for itself. Nothing is waited for."""
        quiet = 0
        while quiet < QUIET_TURNS and self._weight < GATHERED_WEIGHT:
            before = self._weight
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._weight == before else 0

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch = self._take()
                try:
                    outcomes = await self._outcomes(batch)
                except Exception as error:  # a mistake of ours: everybody is answered all the same
                    log.exception("batch_failed", size=len(batch))
                    outcomes = [error] * len(batch)
                for (_, _, done, _), outcome in zip(batch, outcomes, strict=True):
                    if outcome is not _LATER:
                        _answer(done, outcome)
        finally:
            self._task = None

    async def _outcomes(self, batch: list[_Item[C]]) -> Sequence[Any]:
        """The batch's outcomes. A batch that the database refuses is taken apart, so that one bad command fails alone;
        with a lost connection all of it is in doubt, since it may have been committed."""
        commands = [command for command, _, _, _ in batch]
        for attempt in range(3):
            try:
                return await self._run(commands)
            except RETRY_ERRORS as error:
                if attempt == 2:
                    return [error] * len(batch)
            except DatabaseAway as error:  # has been told, once for all
                return [error] * len(batch)
            except CONNECTION_ERRORS as error:
                if self._find is None:
                    log.error("batch_lost", size=len(batch), error=type(error).__name__)
                    return [error] * len(batch)
                task = asyncio.get_running_loop().create_task(self._settle(batch, self._find(commands), error))
                self._finding.add(task)
                task.add_done_callback(self._finding.discard)
                return [_LATER] * len(batch)
            except SHORTAGE_ERRORS as error:  # one by one they would fare no better
                log.error("batch_has_no_room", size=len(batch), error=type(error).__name__)
                return [error] * len(batch)
            except (DatabaseError, ValueError, OverflowError) as error:
                log.error("batch_refused", size=len(batch), error=type(error).__name__)
                if len(batch) == 1:
                    return [error]
                return [outcome for item in batch for outcome in await self._outcomes([item])]
        raise AssertionError("unreachable")

    async def _settle(self, batch: list[_Item[C]], finding: Awaitable[Sequence[O | None]], error: Exception) -> None:
        """Answers what was stored though its connection was lost; the rest is as if it had just come."""
        log.warning("batch_in_doubt", size=len(batch), error=type(error).__name__)
        found: Sequence[Any]
        try:
            found = await finding
        except (*CONNECTION_ERRORS, DatabaseError) as trouble:
            log.error("batch_lost", size=len(batch), error=type(trouble).__name__)
            found = [error] * len(batch)
        except Exception:  # a mistake of ours: everybody is answered all the same
            log.exception("batch_failed", size=len(batch))
            found = [error] * len(batch)
        for (command, _, done, losses), outcome in zip(batch, found, strict=True):
            if outcome is None and losses < LOSSES_MAX:
                self.add(command, done, losses + 1)
            else:
                _answer(done, error if outcome is None else outcome)


def _answer(done: Done, outcome: object) -> None:
    try:
        done(outcome)
    except Exception:
        log.exception("answer_failed")
