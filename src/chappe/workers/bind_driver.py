"""The turns of one bind: results and receipts into the store, the next messages out of it, all in one call each.

Between turns the link works by itself. A turn writes down whatever the link has gathered and claims no more than the
link has room for; what was received is acknowledged after the commit, never before.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from chappe.actions.windows import Windows
from chappe.carriers import TAKEN, Link, LinkState, MessageIn, Outgoing, PartResult, ReceiptIn
from chappe.core.errors import FaultKind
from chappe.core.lifecycle import State
from chappe.core.routing import Router
from chappe.core.window import Verdict
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import inbound
from chappe.store.bind_turn import Claimed, Turn
from chappe.store.binds import BindKey, Taken
from chappe.store.database import CONNECTION_ERRORS, RETRY_ERRORS, Database
from chappe.store.flags import Flag
from chappe.store.lanes import LaneClass, lane
from chappe.store.message_parts import Cut, PartLate
from chappe.store.outcomes import Finish, Requeue
from chappe.workers.in_flight import (
    VALIDITY,
    Decisions,
    Flight,
    Rules,
    absorb,
    deadline,
    decide,
    held,
    may_leave_elsewhere,
    not_for_this_carrier,
    overdue,
    share,
    tell_taken,
)
from chappe.workers.left_in_flight import recover
from chappe.workers.writing import TurnWriter

log = get_logger("chappe.deliver")

ACTIVE_S = 0.1  # how long after its last work a pump looks often, since more work mostly follows
OFTEN_S = 0.004
SELDOM_S = 1.0  # without a call: calls come through Pump.wake
STOP_S = 10.0  # how long answers are waited for at the end
PACE_S_MIN = 0.004  # between turns while nothing waits in the queue
PACE_S_MAX = 0.010
PACE_ROW_S = 0.00025  # for each row that the last turn carried: few rows wait little, many are worth waiting for
PACE_BELOW = 200  # so much is not waited for
HURRY_S = 0.001  # between turns while the queue is full
HALVED_ABOVE = 60  # a window so small is claimed whole
CLOSING = timedelta(seconds=1)  # what does not leave so long before its window closes waits for the next opening
OUTCOMES = {
    TAKEN: "taken",
    FaultKind.PERMANENT: "refused",
    FaultKind.TEMPORARY: "retry",
    FaultKind.THROTTLED: "throttled",
    FaultKind.BLOCKED: "parked",
    FaultKind.UNSENT: "unsent",
    FaultKind.IN_DOUBT: "doubt",
    FaultKind.UNSENDABLE: "failed",
}
"""What came of parts, in the words of the metrics."""
CLOCKS_DIFFER = timedelta(seconds=1)
"""How far apart two instants may be that two clocks give; if it is more, one of them was set."""
LINGER_S = 5.0
"""How long what was claimed may wait in the link for its turn; then it goes back, and STOP and the window are asked
again. So this is how long after a STOP its message may still leave."""


class Pump:
    """Drives one bind while its lease is ours. told: called when webhooks may have been written."""

    def __init__(
        self,
        database: Database,
        bind: BindKey,
        taken: Taken,
        make_link: Callable[[Callable[[], None]], Link],
        rules: Rules,
        policy: int,
        name: str,
        told: Callable[[], None],
        windows: Windows | None = None,
    ) -> None:
        self._windows = windows  # None: messages leave at any time
        self.bind = bind
        self.account_id = 0
        """The only account whose messages may leave here; 0: every account's. It may change at any time."""
        self.router = Router([])
        """The routes as they were read last: where else a message that this carrier refuses may leave."""
        self._writer = TurnWriter(database, bind, taken.token, policy, name)
        self._left = taken.in_flight
        self._database = database
        self._rules = rules
        self._policy = policy
        self._name = name
        self._told = told
        self._event = asyncio.Event()
        self.link = make_link(self.wake)
        self._flights: dict[int, Flight] = {}
        self._overdue: list[Finish] = []  # claimed, and not worth sending any more
        self._shut: list[Requeue] = []  # claimed, and its sending window is closed
        self._receipts: list[ReceiptIn] = []
        self._messages: list[MessageIn] = []
        self._arrived_at = datetime.min.replace(tzinfo=UTC)  # the last of them
        self._turns = 0
        self._stopping = False
        self._worked_at = 0.0
        self._seen_work = False
        self._turned_at = 0.0
        self._pace_s = 0.0  # how long the next turn waits for more, at least
        self._is_full = False  # the queue had all that the last turn had room for

    @property
    def token(self) -> int:
        """The token of our lease."""
        return self._writer.token

    def serve_everyone(self, *, while_alone: bool) -> None:
        """while_alone: this bind leads to the demo's phones, and may claim every account's messages only while the
        database says that there is no other carrier."""
        self._writer.for_everyone = while_alone

    def wake(self) -> None:
        self._event.set()

    async def run(self) -> None:
        """Until stop(), or until the lease is lost (LeaseLost) or the store refuses our words (DatabaseError)."""
        await recover(self._database, self.bind, Taken(self.token, self._left), self._rules, self._policy, self._name)
        self._left = ()
        await self.link.start()
        try:
            while not self._stopping:
                await self._wait()
                await self._turn(claim=not self._stopping)
        finally:
            if self._stopping:
                await self._end()
            else:
                await self.link.stop(0)

    async def _end(self) -> None:
        """In good order: what the link hears while it ends is stored and answered, and nothing new is claimed."""
        ending = asyncio.get_running_loop().create_task(self.link.stop(STOP_S))
        ending.add_done_callback(lambda _: self._event.set())
        try:
            while not ending.done():
                await self._event.wait()
                self._event.clear()
                await self._turn(claim=False)
        finally:
            if not ending.done():  # the lease is lost or nobody waits any longer
                ending.cancel()
                await asyncio.wait([ending])
                await self.link.stop(0)
        await self._turn(claim=False)

    async def stop(self) -> None:
        """Asks run() to end in good order: what is written is waited for, the rest goes back to the queue.

        A database that is away is waited for STOP_S: it may be gone for good, together with who would end us.
        """
        self._stopping = True
        self._writer.give_up_at = asyncio.get_running_loop().time() + STOP_S
        self._event.set()

    # -- when

    async def _wait(self) -> None:
        """Until there is something to do; soon after work there mostly is more.

        A turn costs the same whatever it carries, so it is worth some milliseconds of waiting that the next carries
        more. While the queue has more than the window takes, only as long as most of the window is unanswered: free
        places that wait slow the carrier down. See docs/decisions/0020.
        """
        loop = asyncio.get_running_loop()
        until = self._turned_at + self._pace_s
        called = False
        while (rest := until - loop.time()) > 0 and not self._is_worth_a_turn():
            if not self._is_full:
                await asyncio.sleep(rest)  # a pace: whatever comes meanwhile can wait so long
                break
            try:
                async with asyncio.timeout(rest):
                    await self._event.wait()
            except TimeoutError:
                break
            self._event.clear()
            called = True
        if called or self._event.is_set():
            self._event.clear()
            return
        active = self._seen_work or loop.time() - self._worked_at < ACTIVE_S
        timeout = OFTEN_S if active and self.link.state is LinkState.BOUND else SELDOM_S
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()

    def _is_worth_a_turn(self) -> bool:
        pending = self.link.pending()
        if self._stopping or pending >= PACE_BELOW:
            return True
        return self._is_full and pending * 2 >= len(self._flights)

    def _room(self) -> int:
        """How many messages to claim: never more than the link has room for. Of a large window with a full queue, half
        at a time: while one half is claimed and stored, the other is at the carrier."""
        free = self.link.free()
        window = len(self._flights) + free
        return min(free, (window + 1) // 2) if self._is_full and window > HALVED_ABOVE else free

    # -- what

    async def _turn(self, *, claim: bool) -> None:
        now = datetime.now(UTC)
        began_s = asyncio.get_running_loop().time()
        news = Turn()
        decisions = Decisions(finish=self._overdue, requeue=self._shut)
        self._overdue = []
        self._shut = []
        done: list[int] = []
        self._absorb(self.link.take_results(), news, decisions, done, now)
        self._receipts += self.link.take_receipts()
        self._messages += self.link.take_messages()
        receipts, self._receipts = _first_of_each(self._receipts)
        news.c_ref = [receipt.carrier_ref for receipt in receipts]
        news.c_source = [receipt.source for receipt in receipts]
        news.c_state = [receipt.state for receipt in receipts]
        news.c_word = [receipt.word for receipt in receipts]
        news.c_error = [receipt.error for receipt in receipts]
        news.c_raw = [receipt.raw for receipt in receipts]
        news.c_other = [receipt.other for receipt in receipts]
        news.c_reason = [receipt.reason for receipt in receipts]
        news.c_oddity = [",".join(receipt.oddities) for receipt in receipts]
        messages, self._messages = self._messages, []
        want = self._room() if claim else 0
        still = list(self._flights)
        if want <= 0 and news.empty and decisions.empty and not messages and not done:
            self._seen_work = False
            return
        arrivals = [self._arrival(now - timedelta(seconds=began_s - message.arrived_s)) for message in messages]
        claimed = await self._writer.write(now, news, decisions, messages, arrivals, still, self._lanes(), want)
        self._count(news, len(messages), asyncio.get_running_loop().time() - began_s)
        self._writer.held = still + [row.message_id for row in claimed]
        tokens = [receipt.token for receipt in receipts] + [message.token for message in messages]
        if tokens:
            written = set(self.link.acknowledge(tokens))
            if messages:
                answered = zip(messages, self._writer.inbound_ids, strict=True)
                await self._note_answers([inbound_id for one, inbound_id in answered if one.token in written])
        if claimed:
            self._give(claimed)
        self._turns += 1
        self._turned_at = asyncio.get_running_loop().time()
        if want > 0:
            self._is_full = len(claimed) >= want
        carried = len(claimed) + len(news.r_message) + len(news.c_ref)
        self._pace_s = HURRY_S if self._is_full else min(max(PACE_S_MIN, carried * PACE_ROW_S), PACE_S_MAX)
        self._seen_work = bool(claimed)
        if claimed or not news.empty or not decisions.empty:
            self._worked_at = asyncio.get_running_loop().time()
        if news.c_ref or news.w_message or decisions.finish:
            self._told()
        if self._receipts or (claimed and len(claimed) >= want > 0):
            self._event.set()

    def _give(self, claimed: list[Claimed]) -> None:
        """Hands to the link what was claimed; what is too old, or whose window is closed, goes back with the next
        turn."""
        now = datetime.now(UTC)  # the database may have taken its time, and windows close
        linger_until = now.timestamp() + LINGER_S
        perhaps_overdue = now - VALIDITY  # of what is due later nobody needs to know more exactly
        outgoing: list[Outgoing] = []
        for row in claimed:
            if self.account_id and row.account_id != self.account_id:
                self._shut.append(not_for_this_carrier(row))
                continue
            if row.due_at <= perhaps_overdue:
                end = overdue(row, now, self._deadline(row))
                if end is not None:
                    self._overdue.append(end)
                    continue
            verdict = self._verdict(row, now)
            if verdict is not None and not verdict.allowed:
                self._shut.append(held(row, verdict, now, self._rules))
                continue
            self._flights[row.message_id] = Flight(row)
            outgoing.append(_outgoing(row, verdict, linger_until))
        if self._overdue or self._shut:
            self._event.set()
        self.link.send(outgoing)

    def _count(self, news: Turn, messages: int, seconds: float) -> None:
        counts = metrics()
        counts.measure("chappe_commit_rows", len(news.r_message) + len(news.c_ref), action="turn")
        counts.measure("chappe_commit_seconds", seconds, action="turn")
        for state, number in Counter(news.c_state).items():
            word = State(state).word if state is not None else "other"
            counts.count("chappe_receipts_total", number, carrier=self._name, state=word)
        if any(news.c_oddity):
            for oddity in ",".join(filter(None, news.c_oddity)).split(","):
                counts.count("chappe_receipt_oddities_total", carrier=self._name, oddity=oddity)
        if messages:
            counts.count("chappe_inbound_total", messages, carrier=self._name)

    def _verdict(self, row: Claimed, now: datetime) -> Verdict | None:
        """What the sending window says; None where there is none to ask."""
        if self._windows is None:
            return None
        verdict = self._windows.check(row.account_id, row.flags, row.recipient, row.sender, now)
        if verdict is not None and verdict.closes_at is not None and verdict.closes_at - now < CLOSING:
            # No validity period is so short: it leaves when the window opens the next time.
            return self._windows.check(row.account_id, row.flags, row.recipient, row.sender, verdict.closes_at)
        return verdict

    def _deadline(self, row: Claimed) -> datetime:
        """Until when a message is tried; closed windows do not count against it."""
        verdict = None
        if self._windows is not None and row.attempts:
            verdict = self._windows.check(row.account_id, row.flags, row.recipient, row.sender, row.due_at)
        return deadline(row, None if verdict is None else verdict.next_at)

    def _absorb(
        self, results: list[PartResult], news: Turn, decisions: Decisions, done: list[int], now: datetime
    ) -> None:
        self._count_results(results)
        flights = self._flights
        for result in results:
            flight = flights.get(result.message_id)
            if flight is None or result.late:
                self._absorb_late(result, news, decisions)
                continue
            if result.parts != flight.claimed.parts and result.parts > 1 and not flight.parts:
                decisions.cuts.append(Cut(result.message_id, result.parts))
            if absorb(flight, result, news):
                del flights[result.message_id]
                done.append(result.message_id)
                if flight.trouble is None:
                    tell_taken(flight.claimed, news)
                else:
                    until = self._deadline(flight.claimed)
                    elsewhere = self._is_routed_elsewhere(flight)
                    decide(flight, until, now, random.random(), self._rules, decisions, elsewhere=elsewhere)
            elif result.fault in (FaultKind.PERMANENT, FaultKind.UNSENDABLE):
                self.link.drop(result.message_id)  # the rest would be of no use to anybody

    def _is_routed_elsewhere(self, flight: Flight) -> bool:
        """Whether another carrier may take what this one has just refused."""
        claimed, trouble = flight.claimed, flight.trouble
        if trouble is None or not may_leave_elsewhere(claimed, trouble):
            return False
        range_ = 2 if claimed.flags & Flag.LOWCOST else 1
        ours = str(self.bind.carrier_id)
        return any(one != ours for one in self.router.carriers(claimed.recipient, range_, claimed.account_id))

    def _count_results(self, results: list[PartResult]) -> None:
        """By outcome; that nearly all are taken spares looking at each twice."""
        others = Counter([OUTCOMES[result.fault] for result in results if result.fault is not TAKEN])
        taken = len(results) - others.total()
        if taken:
            others[OUTCOMES[TAKEN]] = taken
        for outcome, number in others.items():
            metrics().count("chappe_submitted_total", number, carrier=self._name, outcome=outcome)

    def _absorb_late(self, result: PartResult, news: Turn, decisions: Decisions) -> None:
        """An answer to a part that had been given as in doubt."""
        if result.fault is TAKEN:
            news.r_message.append(result.message_id)
            news.r_part.append(result.part)
            news.r_ref.append(result.carrier_ref or f"none-{result.message_id}-{result.part}")
            if result.parts == 1:
                decisions.resolved.append(result.message_id)
            else:
                share(result.message_id, result.part, result.carrier_ref, news)
                decisions.parts_late.append(PartLate(result.message_id, result.part, result.parts))
        else:
            decisions.late_refused.append((result.message_id, result.detail))

    def _arrival(self, at: datetime) -> datetime:
        """The same, or a little later: what came later over this session was not received earlier. The loop's clock
        counts milliseconds."""
        if timedelta(0) < self._arrived_at - at < CLOCKS_DIFFER:
            at = self._arrived_at
        self._arrived_at = at
        return at

    async def _note_answers(self, inbound_ids: list[int]) -> None:
        """Subscribers' messages that the carrier need not send again; what is not noted counts as sent again when an
        equal one comes soon."""
        try:
            await inbound.note_answers(self._database, datetime.now(UTC), inbound_ids)
        except (*CONNECTION_ERRORS, *RETRY_ERRORS) as error:
            log.warning("answers_not_noted", carrier=self._name, error=type(error).__name__)

    def _lanes(self) -> list[int]:
        """The lanes in the order of this turn: the important first, but nobody is starved."""
        carrier_id = self.bind.carrier_id
        order = (LaneClass.TRANSACTIONAL, LaneClass.COMMERCIAL, LaneClass.BULK)
        if self._turns % 16 == 15:
            order = (LaneClass.BULK, LaneClass.TRANSACTIONAL, LaneClass.COMMERCIAL)
        elif self._turns % 8 == 7:
            order = (LaneClass.COMMERCIAL, LaneClass.TRANSACTIONAL, LaneClass.BULK)
        return [lane(carrier_id, lane_class) for lane_class in order]


def _first_of_each(receipts: list[ReceiptIn]) -> tuple[list[ReceiptIn], list[ReceiptIn]]:
    """The first receipt of each carrier id, and the others, which wait for the next turn: one turn moves a message
    once."""
    if len({receipt.carrier_ref for receipt in receipts}) == len(receipts):
        return receipts, []
    seen: set[str] = set()
    first: list[ReceiptIn] = []
    rest: list[ReceiptIn] = []
    for receipt in receipts:
        (rest if receipt.carrier_ref in seen else first).append(receipt)
        seen.add(receipt.carrier_ref)
    return first, rest


def _outgoing(row: Claimed, verdict: Verdict | None, linger_until: float) -> Outgoing:
    """What the link is given. Where a window closes, neither it nor the network may try beyond."""
    flags = row.flags
    closes_at = verdict.closes_at.timestamp() if verdict is not None and verdict.closes_at is not None else 0.0
    return Outgoing(
        row.message_id,
        row.recipient,
        row.sender,
        row.text,
        flags & Flag.UNICODE != 0,
        flags & Flag.FLASH != 0,
        row.parts_done,
        closes_at,  # valid_until
        min(linger_until, closes_at) if closes_at else linger_until,  # not_after
    )
