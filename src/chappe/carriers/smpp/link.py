"""One bind of an SMPP carrier: connects, binds, keeps the window full, and gives back what came of each part.

TRX on one connection, or TX and RX on two. Reconnects by itself: with growing delays, slowly after refused credentials,
and not before the carrier can have forgotten an older session. How messages become PDUs is in parts.py, what comes from
the carrier in inbox.py.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from chappe.carriers import TAKEN, LinkState, MessageIn, Outgoing, PartResult, ReceiptIn
from chappe.carriers.flow_control import Breaker, Pace, Trial
from chappe.carriers.smpp import connecting
from chappe.carriers.smpp.deliver_parser import Reader
from chappe.carriers.smpp.part_queue import PartQueue
from chappe.carriers.smpp.parts import Part, Parts, without_tlvs
from chappe.carriers.smpp.profiles import profile_of
from chappe.carriers.smpp.submission import CannotCarry
from chappe.carriers.smpp.submit_outcomes import FAULTS, OTHER_ROUTES
from chappe.carriers.smpp.transport import Wire
from chappe.carriers.smpp.unacknowledged import Inbox
from chappe.core.carrier_config import Carrier
from chappe.core.errors import FaultKind
from chappe.observability.logs import get_logger
from chappe.smpp.commands import Status
from chappe.smpp.error_codes import ErrorClass
from chappe.smpp.events import (
    Answered,
    AnsweredLate,
    BindRefused,
    Bound,
    Closed,
    Congestion,
    Event,
    Nacked,
    Odd,
    Received,
    TimedOut,
    Unbound,
)
from chappe.smpp.pdu import EncodeError
from chappe.smpp.profile import Profile, classify, verdict
from chappe.smpp.session import Session, SessionError, TlvsRefused
from chappe.smpp.states import Mode as BindMode

log = get_logger("chappe.carrier")

BREAKER_PAUSE_S = 60.0


class SmppLink:
    """See carriers.Link. wake: called whenever there is something to take, or room to send."""

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        system_id: str,
        password: str,
        window: int,
        rate: float,
        profile: Profile,
        wake: Callable[[], None],
    ) -> None:
        self.name = name
        self.state = LinkState.DOWN
        self.detail = ""
        self._host, self._port = host, port
        self._system_id, self._password = system_id, password
        self._window = window
        self._profile = profile
        self._wake = wake
        self._parts = Parts(profile)
        self._inbox = Inbox(profile)
        self._reader = Reader(profile)
        self._queue = PartQueue()
        self._results: list[PartResult] = []
        self._transmit: Wire | None = None
        self._wires: list[Wire] = []
        self._pace = Pace(rate, profile.burst)
        self._breaker = Breaker(profile.breaker_failures)
        self._trial = Trial()
        self._allowed_until = math.inf
        self._resume: asyncio.TimerHandle | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._refused: int | None = None
        self._counts = dict.fromkeys(("submitted", "taken", "refused", "throttled", "doubt", "odd", "connects"), 0)

    # -- the worker's side

    def allow(self, until: float) -> None:
        was_over = self._now() >= self._allowed_until
        self._allowed_until = until
        if was_over:
            self._pump()
            self._wake()

    def free(self) -> int:
        wire = self._transmit
        if (
            wire is None
            or not wire.writable
            or self._stopping
            or not self._pace.paused_until <= self._now() < self._allowed_until
        ):
            return 0
        waiting = len(self._queue)
        room, wait_s = self._pace.room(self._window_free(wire) - waiting, waiting, self._now())
        if wait_s:
            self._later(wait_s)
        return max(room, 0)

    def send(self, messages: Sequence[Outgoing]) -> None:
        wall_s = time.time()
        for message in messages:
            try:
                self._queue.extend(self._parts.of(message, wall_s))
            except CannotCarry as error:
                self._results.append(
                    PartResult(
                        message.message_id,
                        0,
                        1,
                        FaultKind.UNSENDABLE,
                        reason=error.reason,
                        detail=error.detail,
                        other_route=True,
                    )
                )
                self._wake()
        self._pump()

    def drop(self, message_id: int) -> None:
        self._give_back(self._queue.take_of(message_id))

    def pending(self) -> int:
        return len(self._results) + self._inbox.pending()

    def take_results(self) -> list[PartResult]:
        taken, self._results = self._results, []
        return taken

    def take_receipts(self) -> list[ReceiptIn]:
        return self._inbox.take_receipts()

    def take_messages(self) -> list[MessageIn]:
        return self._inbox.take_messages()

    def acknowledge(self, tokens: list[int], *, stored: bool = True) -> list[int]:
        return self._inbox.acknowledge(tokens, stored=stored, wires=self._wires)

    def follow(self, carrier: Carrier) -> None:
        self._reader = Reader(profile_of(carrier))
        self._inbox.read_by(self._reader)

    def figures(self) -> dict[str, float]:
        wire = self._transmit
        return {
            **self._counts,
            "receipts": self._inbox.receipts,
            "messages": self._inbox.messages,
            "window": self._window,
            "outstanding": wire.session.outstanding if wire is not None else 0,
            "queued": len(self._queue),
            "rate": self._pace.rate_per_s,
        }

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, grace_s: float = 10.0) -> None:
        self._stopping = True
        self._give_back(self._queue)
        for wire in self._wires:
            if not wire.gone.is_set():
                wire.session.unbind(self._now())
                wire.flush()
        if self._wires:
            await asyncio.wait([asyncio.ensure_future(wire.gone.wait()) for wire in self._wires], timeout=grace_s)
        for wire in self._wires:
            wire.cut()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._give_back(self._queue)  # what was throttled meanwhile
        if self._resume is not None:
            self._resume.cancel()

    # -- connecting

    async def _run(self) -> None:
        """Connects, serves until the connection is gone, waits, again."""
        delays = connecting.Delays(self._profile)
        while not self._stopping:
            self._refused = None
            bound = await self._session()
            if self._stopping:
                return
            if bound:
                delays.bound()
            delay_s = delays.after(self._refused)
            if connecting.is_about_credentials(self._refused):
                self._show(LinkState.REFUSED, "the carrier refuses our credentials")
                log.error("carrier_refuses_credentials", carrier=self.name, retry_in_s=round(delay_s))
            elif self._refused == Status.RALYBND:
                self._show(LinkState.DOWN, "the carrier still holds an older session")
            # the delay of the reconnection, with its jitter
            delay_s *= 0.75 + random.random() / 2
            if bound or self._refused is not None:
                delay_s = max(delay_s, self._profile.rebind_delay_s)
            await asyncio.sleep(delay_s)

    async def _session(self) -> bool:
        """One connection, or a pair of them, from its start to its end; whether it was bound."""
        self._show(LinkState.CONNECTING, "")
        self._wires = []
        self._trial.begin()
        connects = self._counts["connects"]
        try:
            for mode in connecting.modes(self._profile):
                async with asyncio.timeout(self._profile.connect_timeout_s):
                    wire = await connecting.connect(self._host, self._port, self._profile, self._window, self._happened)
                self._wires.append(wire)
                connecting.bind(wire, mode, self._system_id, self._password, self._profile)
            # One of a pair is of no use without the other.
            await asyncio.wait(
                [asyncio.ensure_future(wire.gone.wait()) for wire in self._wires], return_when=asyncio.FIRST_COMPLETED
            )
        except (OSError, TimeoutError, UnicodeError) as error:
            self._show(LinkState.DOWN, f"cannot connect: {connecting.explain(error)[1]}")
        except EncodeError as error:
            self._refused = int(Status.RINVSYSID)
            log.error("carrier_credentials_unwritable", carrier=self.name, error=str(error))
        finally:
            for wire in self._wires:
                if not wire.gone.is_set():
                    wire.cut()
            self._transmit = None
        for wire in self._wires:
            await wire.gone.wait()
        self._trial.end()
        self._give_back(self._queue)
        self._wake()
        return self._counts["connects"] > connects

    # -- what the session tells

    def _happened(self, wire: Wire, events: list[Event]) -> None:
        taken = 0
        for event in events:
            if type(event) is Answered:
                part = event.context
                if not event.status and type(part) is Part:
                    taken += 1
                    reference = self._reader.response_id(event.message_id)
                    self._results.append(PartResult(part.message.message_id, part.part, part.parts, TAKEN, reference))
                else:
                    self._answered(part, event.status, event.message_id, late=False)
            elif type(event) is Received:
                self._inbox.receive(wire, event)
            else:
                self._unusual(wire, event)
        if taken:
            self._count_taken(taken)
        if self._queue:
            self._pump()
        self._wake()

    def _unusual(self, wire: Wire, event: Event) -> None:
        match event:
            case Bound(mode=mode):
                self._counts["connects"] += 1
                if mode is not BindMode.RX:
                    self._transmit = wire
                    self._parts = Parts(self._profile_for(wire.session))
                self._show(LinkState.BOUND, "")
                log.info("carrier_bound", carrier=self.name, mode=mode.name)
            case BindRefused(status=status):
                self._refused = status
                self._show(LinkState.DOWN, f"bind refused: {'no answer' if status is None else hex(status)}")
                log.warning("carrier_bind_refused", carrier=self.name, status=status)
            case AnsweredLate(context=context, status=status, message_id=message_id):
                self._answered(context, status, message_id, late=True)
            case Nacked(context=context, status=status, late=late):
                self._answered(context, status, b"", late=late)
            case TimedOut(context=context):
                self._doubt(context, "no answer in time")
            case Congestion(percent=percent):
                if percent >= 90:
                    self._slow_down()
            case Unbound(by_peer=by_peer):
                if by_peer:
                    log.warning("carrier_unbinds", carrier=self.name)
                if wire is self._transmit:
                    self._transmit = None
            case Closed(reason=reason, outstanding=outstanding, unsent=unsent):
                if wire is self._transmit:
                    self._transmit = None
                for context in outstanding:
                    self._doubt(context, "the connection ended before the answer")
                self._give_back(deque(part for part in unsent if isinstance(part, Part)))
                self._inbox.forget(wire)
                if self.state in (LinkState.BOUND, LinkState.CONNECTING):
                    self._show(LinkState.DOWN, reason)
                if not self._stopping:
                    log.warning("carrier_connection_ended", carrier=self.name, reason=reason, in_doubt=len(outstanding))
            case Odd(reason=reason):
                self._counts["odd"] += 1
                log.debug("carrier_oddity", carrier=self.name, reason=reason)
            case _:
                pass

    def _answered(self, context: object, status: int, id_given: bytes, *, late: bool) -> None:
        if not isinstance(context, Part):
            return
        if status == 0:
            self._count_taken(1)
            self._add(context, TAKEN, carrier_ref=self._reader.response_id(id_given), late=late)
            return
        self._trial.answered()
        if late:
            # It was in doubt and is not at the carrier: what policy made of the doubt stands, the timeline knows why.
            self._add(context, FaultKind.IN_DOUBT, detail=hex(status), late=True)
            if classify(status, self._profile) is ErrorClass.THROTTLE:
                self._slow_down()  # the part is none of ours any more, but the complaint is about the carrier
            return
        self._judge(context, status)

    def _count_taken(self, number: int) -> None:
        self._trial.answered(number)
        self._counts["taken"] += number
        self._breaker.worked()

    def _judge(self, part: Part, status: int) -> None:
        """An error answer: what the carrier's table says it is decides."""
        found = verdict(status, self._profile)
        kind = found.error_class
        if kind is ErrorClass.THROTTLE:
            # Slow the carrier, not the message: it stays ours, first in the queue, and costs no attempt.
            self._counts["throttled"] += 1
            self._queue.put_back(part)
            self._slow_down()
            return
        if kind is not ErrorClass.CONFIG:
            self._breaker.worked()
        fault = FAULTS[kind]
        self._add(
            part,
            fault,
            reason=found.reason.lower(),
            detail=f"{hex(status)} {found.sentence}",
            attempts_max=found.attempts_max,
            other_route=kind in OTHER_ROUTES,
        )
        if fault in (FaultKind.PERMANENT, FaultKind.UNSENDABLE):
            self._counts["refused"] += 1
            self.drop(part.message.message_id)  # its other parts would be of no use to anybody
        if kind in (ErrorClass.LINK, ErrorClass.AUTH) and self._transmit is not None:
            log.error("carrier_session_unusable", carrier=self.name, status=hex(status))
            self._transmit.session.unbind(self._now())
            self._transmit.flush()
        if kind is ErrorClass.CONFIG:
            self._pause(1.0)
            if self._breaker.failed():
                self._show(LinkState.PAUSED, f"every message fails: {hex(status)} {found.sentence}")
                log.error("carrier_paused", carrier=self.name, status=hex(status), pause_s=BREAKER_PAUSE_S)
                self._give_back(self._queue)
                self._pause(BREAKER_PAUSE_S)

    # -- sending

    def _profile_for(self, session: Session) -> Profile:
        """The profile as this peer can be spoken to: its answer to the bind says whether it takes TLVs."""
        if session.tlvs_allowed or not self._profile.tlvs_sent:
            return self._profile
        adapted = without_tlvs(self._profile)
        if (adapted.long_method, adapted.flash) != (self._profile.long_method, self._profile.flash):
            log.warning(
                "carrier_takes_no_tlvs",
                carrier=self.name,
                version=f"{session.peer_version or 0:#04x}",
                long_method=adapted.long_method.value,
                flash=adapted.flash.value,
            )
        return adapted

    def _window_free(self, wire: Wire) -> int:
        return 1 - wire.session.outstanding if self._trial.is_on else wire.session.free

    def _pump(self) -> None:
        """Submits what waits, as far as window and pace allow."""
        wire = self._transmit
        now = self._now()
        if wire is None or not wire.writable or not self._pace.paused_until <= now < self._allowed_until:
            return
        if self._queue:
            self._give_back(self._queue.take_late(time.time()))  # before it costs any pace
        session = wire.session
        room = min(self._window_free(wire), len(self._queue))
        room, wait_s = self._pace.take(room, now)
        if wait_s > 0:
            self._later(wait_s)
        if room > 0:
            self._submit(session, [self._queue.popleft() for _ in range(room)], now)
        wire.flush()

    def _submit(self, session: Session, parts: list[Part], now: float) -> None:
        """Submits parts in their order; what a session does not take any more stays in the queue."""
        done = 0
        try:
            for is_written, run in groupby(parts, _is_written):
                together = list(run)
                if is_written:
                    session.submit_written([part.octets for part in together], together, now)
                    self._counts["submitted"] += len(together)
                    done += len(together)
                    continue
                for part in together:
                    self._submit_pdu(session, part, now)
                    done += 1
        except SessionError:
            self._queue.extendleft(reversed(parts[done:]))  # it has begun to end: all comes back when it is gone

    def _submit_pdu(self, session: Session, part: Part, now: float) -> None:
        try:
            session.submit(self._parts.renewed(part, time.time()), part, now)
        except EncodeError as error:
            self._add(part, FaultKind.UNSENDABLE, reason="unwritable", detail=str(error))
        except TlvsRefused:
            self._add(part, FaultKind.UNSENT)  # it was made for the session before this one, which took them
        else:
            self._counts["submitted"] += 1

    def _slow_down(self) -> None:
        self._pace.slow_down(self._profile.throttle_pause_s, self._now())
        self._later(self._profile.throttle_pause_s)

    def _pause(self, seconds: float) -> None:
        self._pace.pause(seconds, self._now())
        self._later(seconds)

    def _later(self, seconds: float) -> None:
        """Looks again after a while, or earlier where that was asked for: pace and pauses end without any event."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(seconds, 0.001)
        if self._resume is not None:
            if self._resume.when() <= at:  # who asks often must not put it off for ever
                return
            self._resume.cancel()
        self._resume = loop.call_at(at, self._again)

    def _again(self) -> None:
        self._resume = None
        if self.state is LinkState.PAUSED and self._transmit is not None and not self._pace.is_paused(self._now()):
            self._show(LinkState.BOUND, "")
        if self._pace.is_paused(self._now()):
            self._later(self._pace.paused_until - self._now())
            return
        self._pump()
        self._wake()

    def _give_back(self, queue: deque[Part]) -> None:
        while queue:
            part = queue.popleft()
            self._add(part, FaultKind.UNSENT)

    def _doubt(self, context: object, why: str) -> None:
        if isinstance(context, Part):
            self._counts["doubt"] += 1
            self._trial.doubted()
            self._add(context, FaultKind.IN_DOUBT, reason="no_answer", detail=why)

    def _add(self, part: Part, fault: FaultKind | None, **more: Any) -> None:
        """One more result for the worker."""
        self._results.append(PartResult(part.message.message_id, part.part, part.parts, fault, **more))

    def _show(self, state: LinkState, detail: str) -> None:
        self.state = state
        self.detail = detail

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _is_written(part: Part) -> bool:
    return part.pdu is None
