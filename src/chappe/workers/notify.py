"""Notifying: tells customers' webhooks, in their dialect's words, at least once, and never lets one host delay another.

One process of an installation does it at a time, by lease. Each host has its own short queue and its own few calls at
once; a host that does not answer holds those, and nothing else.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from chappe.actions.replies import named
from chappe.core.errors import Fault, FaultKind
from chappe.core.lifecycle import FINAL, State
from chappe.core.model import Report, submission_of
from chappe.core.publicid import public_id
from chappe.dialects import WebhookCall
from chappe.dialects.registry import BY_NAME
from chappe.net.client import Door
from chappe.net.connection import Answer
from chappe.net.url import pointed_to
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import webhook_limits, webhooks
from chappe.store.database import CONNECTION_ERRORS, Database, DatabaseError
from chappe.store.database.outage import DatabaseAway
from chappe.store.flags import Flag
from chappe.store.messages import key_of
from chappe.store.queue_head import Looks
from chappe.store.webhook_claims import Shares
from chappe.store.webhook_hosts import account_of
from chappe.store.webhooks import Pending, Told
from chappe.workers import webhook_shares
from chappe.workers.process_identity import is_dead
from chappe.workers.webhook_shares import Host, Hosts, Seldom

log = get_logger("chappe.notify")

LEASE = "notify"
LEASE_S = 6.0
RENEW_S = 2.0
AGAIN_S = (60.0, 300.0)  # after the first attempt, after the second; three in all (both providers' contracts)
JITTER = 0.2
OUTDATED = "outdated"
MOVED_FOR_GOOD = frozenset((301, 308))  # RFC 9110, 15.4.2 and 15.4.9
POLL_S = 1.0
ROWS_PER_CLAIM = 2_000  # so that no claim takes long, whatever waits
SURPLUS_S = 60.0  # between two looks for accounts for which too much waits: each counts as far as the limit
SURPLUS_AGAIN_S = 5.0  # when one has found some
SURPLUS_ROWS = 20_000  # in one statement
UNSEEN_S = 0.1  # until the next claim when one did not look at all hosts
CLAIM_S = 1.0  # unless news rang: what the worker of another node stores does not ring here
WAITING_MAX = 1_000_000
BATCH_S = 0.02  # rounds under load follow each other no faster: news and results gather meanwhile, and calls go on
_WORDS = {int(state): state.word for state in State}
_ENDED = frozenset(int(state) for state in FINAL)


class Notify:
    """Tells webhooks until stop(). claimed: called after a claim that brought some, before the first is told."""

    def __init__(
        self,
        database: Database,
        door: Door,
        secret: bytes,
        owner: str,
        timeout_s: float,
        waiting_max: int = WAITING_MAX,
        claimed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._door = door
        self._secret = secret
        self._owner = owner
        self._timeout_s = timeout_s
        self._waiting_max = waiting_max  # of one account
        self._on_claimed = claimed
        self._surplus_at = 0.0  # when it is looked for next
        self._hosts = Hosts()
        self._shares = Shares(self._hosts.room, self._hosts.wish)
        self._turns: set[int] = (
            set()
        )  # what is under way, and what failed until that is recorded: no other of a turn begins
        self._redirected = Seldom()
        self._results: list[Told] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._event = asyncio.Event()
        self._rung = True  # there may be something to claim
        self._claimed_at = 0.0
        self._looks = Looks()
        self._stopping = False
        self.ours = False  # whether we hold the lease
        self._renewed_at = 0.0

    def ring(self) -> None:
        """There may be something to tell."""
        self._rung = True
        self._event.set()

    async def stop(self) -> None:
        self._stopping = True
        self._event.set()

    async def run(self) -> None:
        while not self._stopping:
            try:
                await self._round()
            except (*CONNECTION_ERRORS, DatabaseError) as error:
                if not isinstance(error, DatabaseAway):  # that has been told
                    log.warning("notify_waits_for_database", error=type(error).__name__)
                await asyncio.sleep(POLL_S)  # the pace of asking for a database that is away
            except Exception as error:
                # Told with its traceback, counted, and tried again: carriers' connections would end with this process.
                log.error("notify_failed", exc_info=error)
                metrics().count("chappe_failures_total", task="notify")
                self._rung = True  # what was to be claimed is claimed in the next round
                await asyncio.sleep(POLL_S)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._timeout_s)
        try:
            await self._record()
            await webhooks.drop_lease(self._database, LEASE, self._owner)
        except CONNECTION_ERRORS:
            log.warning("notify_ends_without_database")  # what was told is told again: at least once

    async def _round(self) -> None:
        """Writes down what was told, claims what is due when there may be something, and waits for more."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if began - self._renewed_at > RENEW_S:
            await self._renew()
            self._renewed_at = began
        self._event.clear()
        more = False
        await self._record()  # what was told is told, whoever tells now
        if self.ours:
            if self._rung or began - self._claimed_at >= (UNSEEN_S if self._shares.unseen else CLAIM_S):
                self._claimed_at = began
                more = await self._claim()
            self._start()
            if began >= self._surplus_at:
                await self._drop_surplus(began)
        else:
            self._drop()
        if more and self._hosts.calls < webhook_shares.CALLS_MAX:
            return
        try:
            async with asyncio.timeout(UNSEEN_S if self.ours and self._shares.unseen else POLL_S):
                await self._event.wait()
        except TimeoutError:
            return
        left_s = began + BATCH_S - loop.time()
        if left_s > 0:
            await asyncio.sleep(left_s)

    async def _renew(self) -> None:
        held = self.ours
        self.ours = await webhooks.take_lease(self._database, LEASE, self._owner, LEASE_S)
        if not self.ours:
            holder = await webhooks.holder(self._database, LEASE)
            if holder and is_dead(holder):
                await webhooks.drop_lease(self._database, LEASE, holder)
                self.ours = await webhooks.take_lease(self._database, LEASE, self._owner, LEASE_S)
        self._rung = self._rung or not held  # the news of before rang for somebody else

    def _drop(self) -> None:
        """Another process tells: what we claimed and have not begun is its business, and old when it is ours again."""
        for host in list(self._hosts.by_number.values()):
            left = [pending.id for pending in host.queue]
            host.queue.clear()
            for webhook_id in left:
                self._hosts.give_back(host, webhook_id)
        self._looks = Looks()  # which knew of what we had in hand

    async def _claim(self) -> bool:
        """Claims what is due; whether there may be more of it, beyond what one claim takes of each host."""
        in_hand: list[int] = []
        full: list[int] = []
        for number, host in self._hosts.by_number.items():
            host.passed_over = len(host.queue) >= host.hand_max // 2
            if host.passed_over:
                full.append(number)
            else:
                in_hand += host.in_hand
        limit = min(webhook_shares.HAND_MAX - self._hosts.in_hand, ROWS_PER_CLAIM)
        self._rung = False  # who rings from now on may come too late for this claim
        try:
            async with self._database.connection(hot=True) as connection:
                now_key = key_of(datetime.now(UTC))
                rows = await webhooks.claim(
                    connection, now_key, in_hand, webhook_shares.HAND_PER_HOST, full, limit, self._looks, self._shares
                )
        except (*CONNECTION_ERRORS, DatabaseError):
            self._rung = True
            raise
        if rows:
            self._on_claimed()
        claimed: Counter[int] = Counter()
        for pending in rows:
            self._hosts.take(pending)
            claimed[pending.host] += 1
        more = False
        for number, count in claimed.items():
            if count >= self._shares.asked[number]:  # there may be more of it
                host = self._hosts.by_number[number]
                host.passed_over = len(host.queue) >= host.hand_max // 2
                more = more or not host.passed_over
        self._rung = self._rung or more
        return more

    async def _drop_surplus(self, now_s: float) -> None:
        """Gives up what waits beyond the limit of an account, the oldest first: some of it, and more the next time."""
        self._surplus_at = now_s + SURPLUS_S
        async with self._database.connection(hot=True) as connection:
            for account_id in await webhook_limits.crowded(connection, self._waiting_max):
                now = datetime.now(UTC)
                dropped = await webhook_limits.drop_surplus(
                    connection, account_id, self._waiting_max, SURPLUS_ROWS, now
                )
                if dropped:
                    self._surplus_at = now_s + SURPLUS_AGAIN_S
                    metrics().count("chappe_webhooks_total", dropped, outcome="given up")
                    log.warning("webhooks_given_up", account_id=account_id, count=dropped, limit=self._waiting_max)

    def _start(self) -> None:
        """Begins calls as far as hosts, accounts and the whole allow."""
        for host in self._hosts.to_begin():
            self._fill(host)

    def _fill(self, host: Host) -> None:
        passed: list[Pending] = []
        doubtful = not host.trusted
        while host.queue and host.calls < host.calls_max and self._hosts.may_begin(host.account, doubtful=doubtful):
            pending = host.queue.popleft()
            if pending.turn in self._turns:
                passed.append(pending)
                continue
            self._turns.add(pending.turn)
            self._hosts.began(host, doubtful=doubtful)
            task = asyncio.get_running_loop().create_task(self._tell(host, pending, doubtful=doubtful))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        host.queue.extendleft(reversed(passed))
        self._ring_when_low(host)

    def _ring_when_low(self, host: Host) -> None:
        """Has more claimed of a host that had enough when others' were claimed last."""
        if host.passed_over and len(host.queue) <= host.hand_max // 4:
            host.passed_over = False
            self.ring()

    async def _tell(self, host: Host, pending: Pending, *, doubtful: bool) -> None:
        """One host's calls follow each other in this task while there are any: no new task a call."""
        while True:
            try:
                told = await self._attempt(pending)
            except Exception as error:  # it must not keep its host's place for ever
                log.error("webhook_failed", webhook_id=pending.id, exc_info=error)
                metrics().count("chappe_failures_total", task="webhook")
                told = self._after(pending, datetime.now(UTC), 0, 0, f"failed: {type(error).__name__}", final=False)
            well = told.status != 0 or told.outcome == OUTDATED
            if told.outcome == OUTDATED:
                host.answered(well=True)
            else:
                self._hosts.heard(host, well=well)
            if well and doubtful:
                self._hosts.cleared(host)
                doubtful = False
            self._results.append(told)  # not before the await: _record swaps the list meanwhile
            if not told.again_key or not pending.talk:  # news of a message may follow: the older are then outdated
                self._turns.discard(pending.turn)
            # Who says nothing makes room: others of whom nothing is known wait for their turn.
            following = None if doubtful and not well else self._next(host)
            if following is None:
                break
            pending = following
        self._hosts.ended(host, doubtful=doubtful)
        self._event.set()

    def _next(self, host: Host) -> Pending | None:
        if self._stopping or not self.ours or not self._hosts.may_go_on(host):
            return None
        passed: list[Pending] = []
        found: Pending | None = None
        while host.queue:
            pending = host.queue.popleft()
            if pending.turn not in self._turns:
                found = pending
                break
            passed.append(pending)
        host.queue.extendleft(reversed(passed))  # what has to wait keeps its place: news of one message stay in order
        if found is not None:
            self._turns.add(found.turn)
        self._ring_when_low(host)
        if host.calls < host.calls_max and host.queue:
            self._event.set()
        return found

    async def _attempt(self, pending: Pending) -> Told:
        at = datetime.now(UTC)
        ended = pending.message_id > 0 and pending.message_state in _ENDED
        if pending.attempts and ended and pending.state != pending.message_state:
            return Told(pending, at, 0, 0, OUTDATED)  # better news has been told, or will be
        calls = self._calls_of(pending)
        if not calls:
            return Told(pending, at, 0, 0, "given up: the reply is no more")
        took_s = 0.0
        status = 0
        for call in calls:  # of a long reply one a part: told again from the first when one of them fails
            try:
                answer = await self._door.request(
                    call.method, call.url, call.content_type, call.body, self._timeout_s, share=pending.host
                )
            except Fault as fault:
                took_ms = int((datetime.now(UTC) - at).total_seconds() * 1000)
                return self._after(pending, at, 0, took_ms, fault.reason, fault.kind is FaultKind.PERMANENT)
            took_s += answer.seconds
            status = answer.status
            if not 200 <= status < 300:
                why = f"status {status}"
                if 300 <= status < 400:
                    why += self._moved(pending, call.url, answer)
                return self._after(pending, at, status, int(took_s * 1000), why, status == 410)
        return Told(pending, at, status, int(took_s * 1000), "told")

    def _moved(self, pending: Pending, url: str, answer: Answer) -> str:
        """What is said of a redirect, which is not followed: the guard, the customer's key and the method would not
        survive that everywhere. The log hears it once an hour of each host."""
        place = pointed_to(url, answer.location)
        if not place:
            return ", which points nowhere"
        for_good = answer.status in MOVED_FOR_GOOD
        if self._redirected.may_tell(pending.host):
            log.warning(
                "webhook_redirected",
                account_id=account_of(pending.host),
                status=answer.status,
                permanent=for_good,
                from_origin="/".join(url.split("/", 3)[:3]),
                to_origin="/".join(place.split("/", 3)[:3]),
            )
        return f", moved {'for good' if for_good else 'for now'} to {place}, not followed"

    def _calls_of(self, pending: Pending) -> tuple[WebhookCall, ...]:
        """The news in its customer's dialect; nothing for a reply that is no more."""
        if pending.message_id > 0:
            return (BY_NAME[pending.dialect].tell(_report(pending, self._secret)),)
        if pending.reply is None:
            return ()
        return BY_NAME[pending.reply.dialect].tell_reply(named(pending.reply, self._secret))

    def _after(self, pending: Pending, at: datetime, status: int, took_ms: int, why: str, final: bool) -> Told:
        """A failed attempt: when the next is due, or the end of it."""
        if final or pending.attempts >= len(AGAIN_S):
            return Told(pending, at, status, took_ms, f"given up: {why}")
        delay = AGAIN_S[pending.attempts] * (1 + JITTER * (2 * random.random() - 1))
        return Told(pending, at, status, took_ms, f"retry: {why}", key_of(at + timedelta(seconds=delay)))

    async def _record(self) -> None:
        if not self._results:
            return
        results, self._results = self._results, []
        results += self._followers(results)
        try:
            async with self._database.connection(hot=True) as connection:
                await webhooks.end(connection, results)
        except (*CONNECTION_ERRORS, DatabaseError):
            self._results = results + self._results  # still in hand: recorded when the database is back
            raise
        outcomes: dict[str, int] = {}
        for told in results:
            host = self._hosts.by_number.get(told.pending.host)
            if host is not None:
                self._hosts.give_back(host, told.pending.id)
            if told.again_key and told.pending.talk:
                self._turns.discard(told.pending.turn)
            outcomes[told.outcome] = outcomes.get(told.outcome, 0) + 1
        for outcome, count in outcomes.items():
            metrics().count("chappe_webhooks_total", count, outcome=outcome.partition(":")[0])

    def _followers(self, results: list[Told]) -> list[Told]:
        """The replies that wait here behind one that is to be told again: put off until then, in their order. They have
        had no attempt of their own."""
        followers: list[Told] = []
        for told in results:
            host = self._hosts.by_number.get(told.pending.host)
            if not told.again_key or not told.pending.talk or host is None:
                continue
            behind = [one for one in host.queue if one.talk == told.pending.talk]
            if behind:
                host.queue = deque(one for one in host.queue if one.talk != told.pending.talk)
                followers += [Told(one, told.at, 0, 0, webhooks.PUT_OFF, told.again_key) for one in behind]
        return followers


def _report(pending: Pending, secret: bytes) -> Report:
    return Report(
        dialect=pending.dialect,
        submission_id=submission_of(pending.message_id),
        message_id=pending.message_id,
        public_id=public_id(secret, pending.message_id) if BY_NAME[pending.dialect].PUBLIC_IDS else "",
        recipient=pending.recipient,
        state=_WORDS[pending.state],
        at=pending.at,
        cost_micros=pending.price_micros,
        target=pending.target,
        tag=pending.tag,
        client_reference=pending.client_reference,
        reason=pending.reason or "",
        method="POST" if pending.flags & Flag.REPORTS_POST else "GET",
    )
