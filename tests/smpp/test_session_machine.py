"""An ESME and an SMSC session against each other, in random order: loss, any chunking, timers, endings.

What must hold: each request is settled exactly once (answered, nacked, timed out or told at the end), the windows are
never exceeded, nothing raises, and when both sides are left alone in peace everything comes to an end.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chappe.smpp import events as ev
from chappe.smpp import pdu as p
from chappe.smpp.session import Mode, Role, Session, Settings, State, Timers

TIMERS = Timers(response_s=20, enquire_link_s=7, inactivity_s=60, partial_pdu_s=15, unbind_s=5, unbind_peer_s=2)


class End:
    """One side with its owner: what it sent, how that ended, what it has to answer."""

    def __init__(self, role: Role, window: int) -> None:
        self.session = Session(Settings(role, window=window, unanswered_max=8, timers=TIMERS), 0.0)
        self.role = role
        self.window = window
        self.wire = b""  # on the way to the other side
        self.number = 0
        self.pending: set[int] = set()  # contexts that are not settled
        self.in_doubt: set[int] = set()  # timed out, may be answered late
        self.settled: dict[int, str] = {}
        self.to_answer: list[int] = []
        self.closed = False

    def act(self, events: list[ev.Event]) -> None:
        for event in events:
            assert not self.closed, "nothing comes after Closed"
            match event:
                case ev.Answered():
                    self.settle(event.context, "answered")
                case ev.Nacked() if event.context is not None:
                    if event.context in self.in_doubt:
                        self.in_doubt.remove(int(str(event.context)))
                    else:
                        self.settle(event.context, "nacked")
                case ev.TimedOut():
                    self.settle(event.context, "timed out")
                    self.in_doubt.add(int(str(event.context)))
                case ev.AnsweredLate():
                    self.in_doubt.remove(int(str(event.context)))
                case ev.Received():
                    self.to_answer.append(event.pdu.sequence)
                case ev.BindRequested():
                    assert self.session.answer_bind(event.sequence)
                case ev.Closed():
                    self.closed = True
                    for context in (*event.outstanding, *event.unsent):
                        self.settle(context, "closed")
                    assert not self.pending

    def settle(self, context: Any, how: str) -> None:
        assert context in self.pending, f"settled twice: {self.settled.get(context)}, {how}"
        self.pending.remove(context)
        self.settled[context] = how

    def flush(self) -> None:
        octets = self.session.take()
        if not self.closed:
            self.wire += octets


class SessionMachine(RuleBasedStateMachine):
    """Two ends, a wire each way, one clock."""

    @initialize(esme_window=st.integers(1, 6), smsc_window=st.integers(1, 6), mode=st.sampled_from(list(Mode)))
    def start(self, esme_window: int, smsc_window: int, mode: Mode) -> None:
        self.now = 0.0
        self.esme = End(Role.ESME, esme_window)
        self.smsc = End(Role.SMSC, smsc_window)
        self.esme.session.bind(mode, b"us", b"pw", self.now)
        self.esme.flush()

    def ends(self) -> tuple[tuple[End, End], ...]:
        return ((self.esme, self.smsc), (self.smsc, self.esme))

    @rule(from_esme=st.booleans(), size=st.integers(1, 300))
    def carry(self, from_esme: bool, size: int) -> None:
        source, target = self.ends()[0 if from_esme else 1]
        octets, source.wire = source.wire[:size], source.wire[size:]
        if octets and not target.closed:
            target.act(target.session.receive(octets, self.now))
        target.flush()

    @rule(by_esme=st.booleans())
    def send(self, by_esme: bool) -> None:
        end = self.esme if by_esme else self.smsc
        if end.session.free:
            end.number += 1
            request: p.Request = p.SubmitSm() if by_esme else p.DeliverSm()
            if end.session.state in (State.BOUND_RX, State.BOUND_TX) and (
                by_esme == (end.session.state is State.BOUND_RX)
            ):
                return  # not in this mode
            end.pending.add(end.number)
            end.session.request(request, end.number, self.now)
            end.flush()

    @rule(by_esme=st.booleans(), status=st.sampled_from([0, 0, 0, 8, 0x58]), last=st.booleans())
    def answer(self, by_esme: bool, status: int, last: bool) -> None:
        end = self.esme if by_esme else self.smsc
        if end.to_answer:
            sequence = end.to_answer.pop(-1 if last else 0)
            if by_esme:
                end.session.answer(sequence, status)
            else:
                end.session.answer_submit(sequence, status, b"" if status else b"77")
            end.flush()

    @rule(by_esme=st.booleans())
    def nack(self, by_esme: bool) -> None:
        end = self.esme if by_esme else self.smsc
        if end.to_answer:
            end.session.nack(end.to_answer.pop(), 8)
            end.flush()

    @rule(by_esme=st.booleans())
    def swallow(self, by_esme: bool) -> None:
        end = self.esme if by_esme else self.smsc
        if end.to_answer:
            end.session.forget(end.to_answer.pop())

    @rule(seconds=st.floats(0.0, 8.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for end, _ in self.ends():
            if not end.closed:
                deadline = end.session.deadline
                events = end.session.expire(self.now)
                if deadline is None or deadline > self.now:
                    assert not [event for event in events if not isinstance(event, ev.Odd)], "a timer before its time"
                end.act(events)
                following = end.session.deadline
                assert following is None or following > self.now, "expire left something due: an owner would spin"
                end.flush()

    @rule(by_esme=st.booleans())
    @precondition(lambda self: self.now > 10)
    def unbind(self, by_esme: bool) -> None:
        end = self.esme if by_esme else self.smsc
        if not end.closed:
            end.session.unbind(self.now)
            end.flush()

    @rule(unsent=st.integers(0, 400), from_esme=st.booleans())
    @precondition(lambda self: self.now > 30)
    def lose(self, unsent: int, from_esme: bool) -> None:
        for end, _ in self.ends():
            if not end.closed:
                end.act(
                    end.session.lost(self.now, min(unsent, len(end.wire)) if (end is self.esme) == from_esme else 0)
                )
            end.wire = b""

    @invariant()
    def windows_and_tables_hold(self) -> None:
        if not hasattr(self, "esme"):
            return
        for end, _ in self.ends():
            session = end.session
            assert session.outstanding == len(end.pending) <= end.window
            assert session.unanswered <= 8
            assert 0 <= session.free <= end.window
            assert session.closing or session.deadline is not None, "a session that lives has a timer"

    def teardown(self) -> None:
        """First nothing wrong happened; now everything must finish."""
        if not hasattr(self, "esme"):
            return
        for end, _ in self.ends():
            if not end.closed:
                end.session.unbind(self.now)
                end.flush()
        for _ in range(200):
            self.now += 1.0
            for source, target in self.ends():
                octets, source.wire = source.wire, b""
                if not target.closed:
                    target.act(target.session.receive(octets, self.now))
                    while target.to_answer:
                        target.session.answer(target.to_answer.pop())
                    target.act(target.session.expire(self.now))
                    target.flush()
            for end, other in self.ends():
                if end.session.closing and not end.closed and not end.wire:
                    end.act(end.session.lost(self.now))
                    if not other.closed and not other.wire:
                        other.act(other.session.lost(self.now))
        assert self.esme.closed
        assert self.smsc.closed
        assert not self.esme.pending
        assert not self.smsc.pending


SessionMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestSessions = SessionMachine.TestCase
