"""One bind of a carrier over HTTP: a request for each message, as many under way as the window has room for.

There is no session: the link counts as bound while its service can be connected to. A request that was written and got
no answer leaves its message in doubt; one that could not be written says nothing about its message. Receipts and
replies do not come here but to the listener (actions/carrier_calls.py).
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from chappe.carriers import TAKEN, LinkState, MessageIn, Outgoing, PartResult, ReceiptIn
from chappe.carriers.flow_control import Breaker, Pace, Trial
from chappe.carriers.http.answers import OF_THIS_SERVICE, Verdict, judge
from chappe.carriers.http.options import HttpProfile, Meaning
from chappe.carriers.http.requests import Account, request
from chappe.core.carrier_config import Carrier
from chappe.core.errors import Fault, FaultKind
from chappe.net.client import Door
from chappe.net.connection import Answer
from chappe.observability.logs import get_logger

log = get_logger("chappe.carrier")

BREAKER_PAUSE_S: Final = 60.0
CONFIG_PAUSE_S: Final = 1.0
CONNECT_S_MAX: Final = 10.0
AGAIN_S_MIN: Final = 1.0
AGAIN_S_MAX: Final = 60.0
CANCEL_S: Final = 1.0

_FAULTS: Final = {
    Meaning.REFUSED: FaultKind.PERMANENT,
    Meaning.RETRY: FaultKind.TEMPORARY,
    Meaning.CONFIG: FaultKind.BLOCKED,
    Meaning.DOUBT: FaultKind.IN_DOUBT,
}


class HttpLink:
    """See carriers.Link. rate: messages a second of this bind, 0 for no limit. wake: called whenever there is something
    to take, or room to send."""

    def __init__(
        self,
        account: Account,
        profile: HttpProfile,
        window: int,
        rate: float,
        wake: Callable[[], None],
        again_s: float = AGAIN_S_MIN,
    ) -> None:
        self.name = account.name
        self.state = LinkState.DOWN
        self.detail = ""
        self._account = account
        self._profile = profile
        self._window = window
        self._wake = wake
        self._again_s = again_s
        # The operator chose the URL: a phone or a server of his own has a private address.
        self._door = Door(allow_private=True, connections_max=window, connections_per_host_max=window)
        self._queue: deque[Outgoing] = deque()
        self._running: dict[asyncio.Task[None], Outgoing] = {}
        self._results: list[PartResult] = []
        self._pace = Pace(rate, profile.burst)
        self._breaker = Breaker(profile.breaker_failures)
        self._silence = Breaker(profile.breaker_failures)
        self._trial = Trial()
        self._allowed_until = math.inf
        self._resume: asyncio.TimerHandle | None = None
        self._away = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._counts = dict.fromkeys(("submitted", "taken", "refused", "throttled", "doubt", "connects"), 0)

    # -- the worker's side

    def allow(self, until: float) -> None:
        was_over = self._now() >= self._allowed_until
        self._allowed_until = until
        if was_over:
            self._pump()
            self._wake()

    def free(self) -> int:
        if not self._may_send():
            return 0
        waiting = len(self._queue)
        room, wait_s = self._pace.room(self._room() - waiting, waiting, self._now())
        if wait_s:
            self._later(wait_s)
        return max(room, 0)

    def send(self, messages: Sequence[Outgoing]) -> None:
        self._queue.extend(messages)
        self._pump()

    def drop(self, message_id: int) -> None:
        mine = [message for message in self._queue if message.message_id == message_id]
        if mine:
            self._queue = deque(message for message in self._queue if message.message_id != message_id)
            self._give_back(mine)

    def pending(self) -> int:
        return len(self._results)

    def take_results(self) -> list[PartResult]:
        taken, self._results = self._results, []
        return taken

    def take_receipts(self) -> list[ReceiptIn]:
        return []

    def take_messages(self) -> list[MessageIn]:
        return []

    def acknowledge(self, tokens: list[int], *, stored: bool = True) -> list[int]:
        return tokens

    def follow(self, carrier: Carrier) -> None:
        """Nothing is learnt of such a carrier."""

    def figures(self) -> dict[str, float]:
        return {
            **self._counts,
            "window": self._window,
            "outstanding": len(self._running),
            "queued": len(self._queue),
            "rate": self._pace.rate_per_s,
        }

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, grace_s: float = 10.0) -> None:
        self._stopping = True
        self._give_back_all()
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=grace_s)
        for task in tuple(self._running):
            task.cancel()  # the message is in doubt
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=CANCEL_S)
        self._give_back_all()  # what was throttled meanwhile
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._resume is not None:
            self._resume.cancel()
        await self._door.close()

    # -- connecting

    async def _run(self) -> None:
        """Connects, waits until the service cannot be connected to, again."""
        delay_s = self._again_s
        while not self._stopping:
            self._show(LinkState.CONNECTING, self.detail)
            try:
                await self._door.warm(self._profile.url, min(CONNECT_S_MAX, self._profile.timeout_s))
            except Fault as fault:
                self._show(LinkState.DOWN, f"cannot connect: {fault}")
                self._wake()
                await asyncio.sleep(delay_s * (0.75 + random.random() / 2))  # the delay of the reconnection
                delay_s = min(delay_s * 2, AGAIN_S_MAX)
                continue
            delay_s = self._again_s
            self._away.clear()
            self._counts["connects"] += 1
            self._show(LinkState.BOUND, "")
            log.info("carrier_bound", carrier=self.name)
            self._pump()
            self._wake()
            await self._away.wait()
            await asyncio.sleep(self._again_s)  # the delay of the reconnection

    def _lost(self, fault: Fault) -> None:
        """No connection could be made for a message."""
        if not self._away.is_set():
            self._away.set()
            self._show(LinkState.DOWN, f"cannot connect: {fault}")
            if not self._stopping:
                log.warning("carrier_connection_ended", carrier=self.name, reason=fault.reason)
        self._give_back_all()

    # -- sending

    def _may_send(self) -> bool:
        return (
            self.state is LinkState.BOUND
            and not self._stopping
            and self._pace.paused_until <= self._now() < self._allowed_until
        )

    def _room(self) -> int:
        return (1 if self._trial.is_on else self._window) - len(self._running)

    def _pump(self) -> None:
        """Sends what waits, as far as window and pace allow."""
        if not self._may_send():
            return
        self._give_back_late(time.time())
        room, wait_s = self._pace.take(min(self._room(), len(self._queue)), self._now())
        if wait_s > 0:
            self._later(wait_s)
        for _ in range(room):
            message = self._queue.popleft()
            task = asyncio.get_running_loop().create_task(self._submit(message))
            self._running[task] = message
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        message = self._running.pop(task)
        if task.cancelled():
            self._doubt(message, "no_answer", "the link ended before the answer")
        elif (error := task.exception()) is not None:
            log.error("carrier_request_failed", carrier=self.name, exc_info=error)
            self._doubt(message, "no_answer", "the request failed half-way")
        self._pump()
        self._wake()

    async def _submit(self, message: Outgoing) -> None:
        """One message, from its request to what came of it."""
        wall_s = time.time()
        by_s = self._allowed_until - self._now()
        if message.not_after:
            by_s = min(by_s, message.not_after - wall_s)
        try:
            made = request(message, self._profile, self._account, wall_s)
            answer = await self._door.request(
                made.method,
                made.url,
                made.content_type,
                made.body,
                self._profile.timeout_s,
                made.headers,
                once=True,
                write_by_s=time.monotonic() + by_s,
            )
        except ValueError as error:  # of templates and of what no head of a request can hold: nothing was written
            self._add(message, FaultKind.UNSENDABLE, reason="unwritable", detail=f"no request: {type(error).__name__}")
        except Fault as fault:
            self._failed(message, fault)
        else:
            self._counts["submitted"] += 1
            self._answered(message, answer)

    def _failed(self, message: Outgoing, fault: Fault) -> None:
        if fault.kind is FaultKind.IN_DOUBT:
            self._counts["submitted"] += 1
            self._doubt(message, "no_answer", str(fault))
            return
        self._add(message, FaultKind.UNSENT)
        if fault.reason != "late":
            self._lost(fault)

    def _answered(self, message: Outgoing, answer: Answer) -> None:
        verdict = judge(answer.status, answer.excerpt, self._profile)
        if verdict.meaning is not Meaning.DOUBT:
            self._trial.answered()
            self._silence.worked()
        if verdict.meaning is Meaning.TAKEN:
            self._counts["taken"] += 1
            self._breaker.worked()
            self._add(message, TAKEN, carrier_ref=verdict.reference)
        elif verdict.meaning is Meaning.THROTTLE:
            # Slow the carrier, not the message: it stays ours, first in the queue, and costs no attempt.
            self._counts["throttled"] += 1
            self._queue.appendleft(message)
            self._pace.slow_down(self._profile.throttle_pause_s, self._now())
            self._later(self._profile.throttle_pause_s)
        elif verdict.meaning is Meaning.DOUBT:
            self._doubt(message, verdict.reason, verdict.detail)
        else:
            self._refused(message, verdict)

    def _refused(self, message: Outgoing, verdict: Verdict) -> None:
        fault = _FAULTS[verdict.meaning]
        other_route = fault is FaultKind.PERMANENT and verdict.reason in OF_THIS_SERVICE
        self._add(message, fault, reason=verdict.reason, detail=verdict.detail, other_route=other_route)
        if fault is FaultKind.PERMANENT:
            self._counts["refused"] += 1
        if fault is not FaultKind.BLOCKED:
            self._breaker.worked()
            return
        self._pause(CONFIG_PAUSE_S)
        if self._breaker.failed():
            self._break(f"every message fails: {verdict.detail}")

    def _doubt(self, message: Outgoing, reason: str, detail: str) -> None:
        """It was written, and nobody knows. Until the next answer only one more may come to that."""
        self._counts["doubt"] += 1
        self._trial.is_on = True
        self._add(message, FaultKind.IN_DOUBT, reason=reason, detail=detail)
        if not self._stopping and self._silence.failed():
            self._break(f"no request is answered: {detail}")

    def _break(self, why: str) -> None:
        self._show(LinkState.PAUSED, why)
        log.error("carrier_paused", carrier=self.name, pause_s=BREAKER_PAUSE_S)
        self._give_back_all()
        self._pause(BREAKER_PAUSE_S)

    def _give_back_late(self, wall_s: float) -> None:
        """What may not be written any more goes back, before it costs any pace; the others keep their order."""
        late = [message for message in self._queue if 0 < message.not_after <= wall_s]
        if late:
            self._queue = deque(message for message in self._queue if not 0 < message.not_after <= wall_s)
            self._give_back(late)

    def _give_back_all(self) -> None:
        waiting, self._queue = self._queue, deque()
        self._give_back(waiting)

    def _give_back(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            self._add(message, FaultKind.UNSENT)

    def _add(self, message: Outgoing, fault: FaultKind | None, **more: Any) -> None:
        """One more result for the worker; the service cuts long texts, so there is one part."""
        self._results.append(PartResult(message.message_id, 0, 1, fault, **more))
        self._wake()

    # -- time

    def _pause(self, seconds: float) -> None:
        self._pace.pause(seconds, self._now())
        self._later(seconds)

    def _later(self, seconds: float) -> None:
        """Looks again after a while, or earlier where that was asked for: pace and pauses end without any event."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(seconds, 0.001)
        if self._resume is not None:
            if self._resume.when() <= at:
                return
            self._resume.cancel()
        self._resume = loop.call_at(at, self._again)

    def _again(self) -> None:
        self._resume = None
        if self._pace.is_paused(self._now()):
            self._later(self._pace.paused_until - self._now())
            return
        if self.state is LinkState.PAUSED:
            self._show(LinkState.BOUND, "")
        self._pump()
        self._wake()

    def _show(self, state: LinkState, detail: str) -> None:
        self.state = state
        self.detail = detail

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
