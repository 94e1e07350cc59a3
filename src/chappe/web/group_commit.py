"""The group commit of messages in one API process: batches one after the other, with what is known of the one under
way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter

from chappe.actions.locked import Locked
from chappe.actions.lost_commits import settle
from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Moment
from chappe.observability.metrics import metrics
from chappe.store.database import Database, GroupCommit
from chappe.store.messages import Placed


class Commits:
    """Accepts what is added to `commit`, accounts in turn. ring: called after each batch; now: a monotonic clock."""

    def __init__(
        self, database: Database, locked: Locked, ring: Callable[[], None], secret: bytes, now: Callable[[], float]
    ) -> None:
        self._database = database
        self._locked = locked
        self._ring = ring
        self._secret = secret
        self._now = now
        self.commit: GroupCommit[Placed, Accepted | Refusal] = GroupCommit(
            self._accept,
            lambda placed: len(placed.states),
            find=self._find,
            owner=attrgetter("send.account.id"),
        )
        self._moment = Moment(datetime.now(UTC), secret=secret)  # of the batch under way
        self._since = 0.0  # when the batch under way began; 0: none is

    @property
    def commit_s(self) -> float:
        """For how long the batch under way has been waiting for the database."""
        return self._now() - self._since if self._since else 0.0

    async def _accept(self, batch: list[Placed]) -> Sequence[Accepted | Refusal]:
        self._moment = Moment(datetime.now(UTC), secret=self._secret)
        self._since = began = self._now()
        try:
            outcomes = await self._locked.accept(self._database, batch, self._moment)
        finally:
            self._since = 0.0
        _count(batch, outcomes, self._now() - began)
        self._ring()
        return outcomes

    def _find(self, batch: list[Placed]) -> Awaitable[Sequence[Accepted | None]]:
        """What was stored of the batch whose connection has just been lost."""
        return settle(self._database, batch, self._moment)


def _count(batch: Sequence[Placed], outcomes: Sequence[Accepted | Refusal], seconds: float) -> None:
    counts = metrics()
    counts.measure("chappe_commit_rows", len(batch), action="accept")
    counts.measure("chappe_commit_seconds", seconds, action="accept")
    accepted = [placed for placed, outcome in zip(batch, outcomes, strict=True) if type(outcome) is Accepted]
    for dialect in {placed.send.dialect for placed in accepted}:
        messages = sum([len(placed.states) for placed in accepted if placed.send.dialect == dialect])
        counts.count("chappe_accepted_total", messages, dialect=dialect)
