"""Writes the turns of one bind: in one transaction each, until the database is there; if refused, in pieces."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime

from chappe.carriers import MessageIn
from chappe.core.lifecycle import State
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import bind_turn, binds, demo, inbound, message_parts, outcomes, quarantine, refusals
from chappe.store.bind_turn import Claimed, Turn
from chappe.store.binds import BindKey, LeaseLost
from chappe.store.database import (
    BROKEN_ERRORS,
    CONNECTION_ERRORS,
    POISON_ERRORS,
    RETRY_ERRORS,
    SHORTAGE_ERRORS,
    Connection,
    Database,
)
from chappe.store.outcomes import Requeue
from chappe.store.queue_head import Looks
from chappe.workers.apart import Piece, apart, together
from chappe.workers.in_flight import Decisions

log = get_logger("chappe.deliver")

RETRY_S = 0.5
ROOM_S = 1.0
RAW_MAX = 65_536  # octets of what goes into quarantine


class TurnWriter:
    """Writes the turns of one bind while its lease is ours.

    token: of the lease, another one after a connection was lost; held: what our row of the bind says to be in flight;
    give_up_at: until when a database that is away is waited for, by the loop's clock.
    """

    def __init__(self, database: Database, bind: BindKey, token: int, policy: int, name: str) -> None:
        self._database = database
        self._bind = bind
        self.token = token
        self._policy = policy
        self._name = name
        self._looks = Looks()
        self.held: list[int] = []
        self.inbound_ids: list[int] = []  # of the messages of subscribers that the last turn stored
        self.give_up_at = math.inf
        self.for_everyone = False
        """This is the bind of the demo's phones, and they take every account's messages: as long as that is so."""

    async def write(
        self,
        now: datetime,
        news: Turn,
        decisions: Decisions,
        messages: list[MessageIn],
        arrivals: list[datetime],
        still: list[int],
        lanes: list[int],
        want: int,
    ) -> list[Claimed]:
        """One durable transaction, what is claimed at its end included; tried until the database is there.

        still: the messages that stay in flight. Raises LeaseLost; DatabaseError when the store refuses the words of the
        turn, and not what is in it; one of CONNECTION_ERRORS or SHORTAGE_ERRORS only after give_up_at. Afterwards
        `inbound_ids` has a place for each of `messages`.
        """
        while True:
            asked = (self._bind, self.token, now, self._policy, news, still, lanes, want, self._looks)
            try:
                asks = self.for_everyone and want > 0
                if decisions.empty and not messages and not news.s_message and not asks:
                    async with self._database.connection(hot=True) as connection:
                        return await bind_turn.turn(connection, *asked)
                async with self._database.transaction(hot=True) as tx:
                    if asks and not await demo.is_for_everyone(tx):
                        # There is a carrier by now, and we have not heard of it yet: nothing is claimed until then.
                        want = 0
                        asked = (*asked[:-2], want, self._looks)
                    await self._write_unusual(tx, now, decisions, messages, arrivals)
                    claimed = await bind_turn.turn(tx, *asked)
                    if news.s_message:
                        await message_parts.share(tx, now, self._bind.carrier_id, self._policy, news)
                    return claimed
            except RETRY_ERRORS as error:  # rolled back: a deadlock with another bind, a lock held for too long
                log.warning("turn_rolled_back", carrier=self._name, error=type(error).__name__)
            except SHORTAGE_ERRORS as error:
                if asyncio.get_running_loop().time() > self.give_up_at:
                    raise  # what is in flight stays so in the bind's row: in doubt for the next owner
                log.error("turn_has_no_room", carrier=self._name, error=type(error).__name__)
                await asyncio.sleep(ROOM_S)  # the pace of asking for room
            except CONNECTION_ERRORS as error:
                log.warning("turn_not_written", carrier=self._name, error=type(error).__name__)
                if await self._was_written(still):
                    return []
                want = 0
            except POISON_ERRORS as error:
                pieces = apart(news, decisions, messages, arrivals)
                if not pieces:
                    raise  # it is in what was asked for
                log.error("turn_taken_apart", carrier=self._name, pieces=len(pieces), error=type(error).__name__)
                await self._write_apart(now, pieces, still)
                news, decisions, messages, arrivals = Turn(), Decisions(), [], []

    async def _write_apart(self, now: datetime, pieces: list[Piece], still: list[int]) -> None:
        """Writes the pieces of a turn that was refused, in halves and halves of halves; what is refused alone goes into
        quarantine. What is not written yet stays in flight: a crash meanwhile brings it into doubt, never loses it."""
        inbound_ids: list[int] = []
        refused: list[tuple[Piece, Exception]] = []
        count = len(pieces)
        waiting = [pieces]
        while waiting:
            part = waiting.pop(0)
            left = {one for piece in pieces for one in piece.message_ids}.intersection(self.held).difference(still)
            whole = together(part)
            try:
                async with self._database.transaction(hot=True) as tx:
                    await self._write_unusual(tx, now, whole.decisions, whole.messages, whole.arrivals)
                    held = [*still, *sorted(left.difference(whole.message_ids))]
                    await bind_turn.turn(tx, self._bind, self.token, now, self._policy, whole.news, held, [], 0)
                    if whole.news.s_message:
                        await message_parts.share(tx, now, self._bind.carrier_id, self._policy, whole.news)
            except RETRY_ERRORS:
                waiting.insert(0, part)
                continue
            except POISON_ERRORS as error:
                if len(part) > 1:
                    middle = len(part) // 2
                    waiting[:0] = [part[:middle], part[middle:]]
                    continue
                refused.append((part[0], error))
                if part[0].messages:
                    inbound_ids.append(0)
                continue
            if whole.messages:
                inbound_ids += self.inbound_ids
            pieces = [piece for piece in pieces if not any(piece is done for done in part)]
        if len(refused) == count and isinstance(refused[0][1], BROKEN_ERRORS):
            raise refused[0][1]  # not one piece of it is sound: the fault is not in what it says
        for piece, why in refused:
            await self._quarantine(now, piece, why)
        self.inbound_ids = inbound_ids

    async def _quarantine(self, now: datetime, piece: Piece, error: Exception) -> None:
        """Keeps what the database refuses, and tells. A message whose result it is counts as submitted: it is not sent
        again, and ends when nothing is heard of it."""
        log.error("quarantined", carrier=self._name, kind=piece.kind, error=type(error).__name__)
        metrics().count("chappe_quarantined_total", carrier=self._name, kind=piece.kind)
        why = type(error).__name__
        await quarantine.keep(
            self._database, now, self._bind.carrier_id, piece.kind, piece.message_ids, why, piece.raw[:RAW_MAX]
        )

    async def _write_unusual(
        self,
        tx: Connection,
        now: datetime,
        decisions: Decisions,
        messages: list[MessageIn],
        arrivals: list[datetime],
    ) -> None:
        if decisions.requeue:
            await outcomes.requeue(tx, now, decisions.requeue)
        if decisions.refusals:
            await refusals.note(tx, now, decisions.refusals)
        if decisions.finish:
            await outcomes.finish(tx, now, decisions.finish)
        if decisions.doubt:
            await outcomes.doubt(tx, now, self._bind.carrier_id, decisions.doubt)
        if decisions.resolved:
            await outcomes.resolve_doubt(tx, now, decisions.resolved)
        if decisions.cuts:
            await message_parts.note_cuts(tx, decisions.cuts)
        if decisions.parts_late:
            await message_parts.note_parts(tx, now, self._bind.carrier_id, decisions.parts_late)
        if decisions.late_refused:
            await outcomes.note(tx, now, "refused_late", decisions.late_refused)
        if messages:
            self.inbound_ids = await inbound.store_inbound(tx, self._bind.carrier_id, messages, arrivals)

    async def _was_written(self, still: list[int]) -> bool:
        """After a connection was lost in the middle of a turn: whether that turn was committed. Waits for the database;
        raises one of CONNECTION_ERRORS when it stays away while we are to end.

        The turn may still be on its way, so a new token shuts it out first. Then the bind's row tells: what the turn
        released is gone from it. What it claimed, we were never told; those messages go back to the queue, they never
        reached the link.
        """
        while True:
            await asyncio.sleep(RETRY_S)  # the pace of asking for a database that is away
            try:
                fenced = await binds.fence(self._database, self._bind, self.token)
                if fenced is None:
                    raise LeaseLost
                self.token = fenced.token
                held = set(fenced.in_flight)
                unknown = held.difference(self.held)
                released = set(self.held).difference(still)
                if unknown:
                    async with self._database.transaction() as tx:
                        found = await outcomes.places(tx, self._bind.carrier_id, sorted(unknown))
                        back = [
                            Requeue(p.message_id, p.lane, p.key, p.attempts, p.parts_done, State.QUEUED) for p in found
                        ]
                        await outcomes.requeue(tx, datetime.now(UTC), back)
                        await bind_turn.turn(tx, self._bind, self.token, datetime.now(UTC), 0, Turn(), still, [], 0)
                return bool(unknown) or bool(released and not released & held)
            except CONNECTION_ERRORS:
                if asyncio.get_running_loop().time() > self.give_up_at:
                    raise  # what is in flight stays so in the bind's row: in doubt for the next owner
