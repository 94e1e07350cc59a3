"""One SMPP bind as a state machine without I/O, for both roles: octets and `now` in; octets, events and a deadline out.

How an owner drives it, once per turn of its loop:

    events = session.receive(data, now)      # or session.expire(now) when now >= session.deadline
    ...                                      # act on the events: answer, submit, ...
    transport.write(session.take())          # everything at once
    if session.closing: transport.close()    # after what was taken is written
    events = session.lost(now, unsent)       # once, when the transport is gone for whatever reason

`now` is monotonic seconds, any origin, never decreasing. No call raises for anything the peer does; `SessionError` and
`EncodeError` are the owner's own mistakes, and leave the session as it was.

The states and what may be asked in them are the table of `states.py`; the window and its timers are `window.py`. Ending
has stages of its own beside the state, since a session stays bound while it drains: see `_Ending`.

SessionError
+-- StateError       this request is not allowed now (not bound, wrong role, ending, closed, unknown sequence)
+-- WindowFull       no free place in the window; see Session.free
+-- TlvsRefused      the peer takes no TLVs (interface_version below 0x34) and these change what the message means

This file is over 500 lines because one state machine cut in two would hide who changes what.
"""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import TypeVar

from chappe.smpp.commands import RESPONSE_BIT, CommandId, Status, command_name
from chappe.smpp.events import (
    Answered,
    AnsweredLate,
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    Congestion,
    Event,
    Nacked,
    Odd,
    Oddity,
    Reason,
    Received,
    TimedOut,
    Unbound,
)
from chappe.smpp.framer import Framer
from chappe.smpp.header import HEADER
from chappe.smpp.pdu import (
    DECODERS,
    PDUS,
    RESPONSES,
    BindReceiver,
    BindRequest,
    BindResponse,
    BindTransceiver,
    BindTransmitter,
    BroadcastSmResp,
    DataSmResp,
    DecodeError,
    DeliverSm,
    EnquireLink,
    GenericNack,
    Outbind,
    Pdu,
    Request,
    Response,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Tlvs,
    Unbind,
)
from chappe.smpp.settings import Settings, Timers
from chappe.smpp.states import BINDS, BOUND, DELIVER_ON_TX, TRANSITIONS, Mode, Role, State, refusal
from chappe.smpp.tlv import INFORMATIVE, Tag, tag_name
from chappe.smpp.window import NEVER, Window

__all__ = [
    "Mode",
    "Role",
    "Session",
    "SessionError",
    "Settings",
    "State",
    "StateError",
    "Timers",
    "TlvsRefused",
    "WindowFull",
]

_TLVS_SINCE = 0x34  # the first interface_version with optional parameters
_ENQUIRIES_MAX = 2  # unanswered enquire_links after which the link is dead
_BIND_PDUS: dict[Mode, type[BindRequest]] = {Mode.TX: BindTransmitter, Mode.RX: BindReceiver, Mode.TRX: BindTransceiver}
_UNANSWERED_COMMANDS = frozenset({int(CommandId.OUTBIND), int(CommandId.ALERT_NOTIFICATION)})
# Those that the session asks and answers by itself, or through calls of their own.
_SESSION_COMMANDS = frozenset({*map(int, BINDS), int(CommandId.UNBIND), int(CommandId.ENQUIRE_LINK)})
_ENQUIRE_LINK = int(CommandId.ENQUIRE_LINK)
_SUBMIT_SM = int(CommandId.SUBMIT_SM)
_GENERIC_NACK = int(CommandId.GENERIC_NACK)
_ID_RESPONSES: dict[int, type[SubmitSmResp] | type[SubmitMultiResp] | type[DataSmResp] | type[BroadcastSmResp]] = {
    CommandId.SUBMIT_SM: SubmitSmResp,
    CommandId.SUBMIT_MULTI: SubmitMultiResp,
    CommandId.DATA_SM: DataSmResp,
    CommandId.BROADCAST_SM: BroadcastSmResp,
}
_WITH_MESSAGE_ID = frozenset(
    pdu.command_id for pdu in PDUS if issubclass(pdu, Response) and "message_id" in pdu.__dataclass_fields__
)
AnyPdu = TypeVar("AnyPdu", bound=Pdu)


class SessionError(Exception):
    """The session cannot do what its owner asks now."""


class StateError(SessionError):
    """This is not allowed in the present state of the session."""


class WindowFull(SessionError):
    """The window has no free place: wait for an answer."""


class TlvsRefused(SessionError):
    """The peer takes no TLVs, and without them this PDU would mean something else."""


class _Ending(enum.Enum):
    """How far the end in good order has come."""

    NO = enum.auto()
    DRAINING = enum.auto()  # unbind was asked for; answers are still due in either direction
    UNBINDING = enum.auto()  # our unbind is out, its answer is due
    UNBOUND_BY_PEER = enum.auto()  # the peer's unbind came; we answer it when what is due has come


class Session:
    """One session from the transport's start to its end."""

    __slots__ = (
        "_acceptable",
        "_asked_at",
        "_bind_asked",
        "_bind_sent",
        "_closing",
        "_ending",
        "_ending_at",
        "_enquiries",
        "_framer",
        "_heard_at",
        "_nacks",
        "_noticed",
        "_now",
        "_out",
        "_partial_at",
        "_response_s",
        "_sendable",
        "_started_at",
        "_taken",
        "_timeouts",
        "_tlvs_allowed",
        "_unanswered",
        "_unbind_asked",
        "_unbind_sent",
        "_undecodable",
        "_window",
        "_written",
        "mode",
        "peer_version",
        "reason",
        "settings",
        "state",
    )

    def __init__(self, settings: Settings, now: float) -> None:
        self.settings = settings
        self.state = State.OPEN
        self.mode: Mode | None = None
        self.peer_version: int | None = None  # interface_version of the peer once bound; None: not told
        self.reason: str = ""  # why the session is closing: a Reason, or what close() was given
        self._now = now
        self._started_at = now
        self._heard_at = now  # the last whole PDU of the peer
        self._asked_at = now  # our last enquire_link
        self._partial_at = now  # when the PDU began that is not complete yet
        self._framer = Framer(settings.pdu_length_max)
        self._out: list[bytes] = []
        self._written = 0  # octets ever put into _out
        self._taken = 0  # octets ever given by take()
        self._response_s = settings.timers.response_s or NEVER
        self._window = Window(settings.window, settings.late_max, settings.first_sequence)
        self._unanswered: dict[int, int] = {}  # sequence -> command_id of the peer's requests
        self._enquiries = 0  # our unanswered enquire_links since the peer was last heard
        self._bind_sent: tuple[int, Mode, float] | None = None  # ESME: sequence, mode, deadline
        self._bind_asked: tuple[int, BindRequest] | None = None  # SMSC: the bind that the owner has to answer
        self._unbind_sent = 0  # sequence of our unbind
        self._unbind_asked = 0  # sequence of the peer's unbind
        self._ending = _Ending.NO
        self._ending_at = NEVER
        self._closing = False
        self._timeouts = 0  # in a row
        self._nacks = 0  # without a usable sequence
        self._undecodable = 0  # in a row
        self._tlvs_allowed = settings.interface_version >= _TLVS_SINCE
        self._sendable: frozenset[int] = frozenset()  # command ids that we may ask for in this state
        self._acceptable: frozenset[int] = frozenset()  # command ids that the peer may ask for, and the owner answers
        self._noticed: list[Event] = []  # told with the next events
        self._enter(State.OPEN)

    # -- octets and time

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Event]:
        """What these octets mean, in any chunking. Answers to our requests come before the peer's requests, so that an
        id is known before a receipt that came in the same segment."""
        self._now = now
        if self.state is State.CLOSED:
            return []
        was_partial = self._framer.partial
        frames = self._framer.feed(data)
        if self._framer.partial and (frames or not was_partial):
            self._partial_at = now
        answers = self._noticed
        requests: list[Event] = []
        self._noticed = []
        if frames:
            self._heard_at = now
            self._enquiries = 0
        outstanding = self._window.sent
        for command_id, status, sequence, frame in frames:
            if command_id & RESPONSE_BIT:
                if sequence in outstanding and command_id == outstanding[sequence][4]:
                    self._answer_received(command_id, status, sequence, frame, answers)
                else:
                    self._other_response(command_id, status, sequence, frame, answers)
            elif not self._closing:
                if command_id in self._acceptable:
                    self._request_received(command_id, status, sequence, frame, requests)
                else:
                    self._other_request(command_id, status, sequence, frame, requests)
        if self._framer.lost:
            self._lose_framing()
        if self._ending is not _Ending.NO:
            self._settle()
        if self._written - self._taken > self.settings.pending_max:
            self._out.clear()
            self._written = self._taken
            self.close(Reason.OVERFLOW)
        answers += requests
        return answers

    def take(self) -> bytes:
        """Everything to write now, joined; b"" when there is nothing."""
        if not self._out:
            return b""
        octets = b"".join(self._out)
        self._out.clear()
        self._taken += len(octets)
        return octets

    def expire(self, now: float) -> list[Event]:
        """Acts on the timers that are due; call when now >= deadline, harmless at any other time."""
        self._now = now
        events, self._noticed = self._noticed, []
        if self._closing or self.state is State.CLOSED:
            return events
        self._expire_requests(now, events)
        timers = self.settings.timers
        if self._framer.partial and _due(now, self._partial_at, timers.partial_pdu_s):
            self.close(Reason.PARTIAL_PDU_TIMEOUT)
        elif self._ending is not _Ending.NO:
            self._expire_ending(now)
        elif self._bind_sent is not None:
            if now >= self._bind_sent[2]:
                events.append(BindRefused(None))
                self.close(Reason.BIND_TIMEOUT)
        elif self.mode is None:
            if self._bind_asked is None and _due(now, self._started_at, timers.session_init_s):
                self.close(Reason.SESSION_INIT_TIMEOUT)
        else:
            self._expire_silence(now)
        return events

    def lost(self, now: float, unsent: int = 0) -> list[Event]:
        """The transport is gone: one Closed event, the first time.

        `unsent`: how many octets, at the end of all that was taken, the transport never gave to the kernel (what was
        still in its write buffer). Requests in there, or not even taken, are told as `unsent`, the rest is in doubt.
        """
        if self.state is State.CLOSED:
            return []
        self._now = now
        self.close(Reason.TRANSPORT_LOST)
        self._enter(State.CLOSED)
        left = self._taken - unsent
        in_doubt: list[object] = []
        not_sent: list[object] = []
        for context, _, _, end, _ in self._window.sent.values():
            # Less than a whole PDU cannot have been acted upon.
            (in_doubt if end <= left else not_sent).append(context)
        self._window.sent.clear()
        self._window.late.clear()
        self._unanswered.clear()
        self._out.clear()
        events, self._noticed = self._noticed, []
        events.append(Closed(self.reason, in_doubt, not_sent))
        return events

    @property
    def deadline(self) -> float | None:
        """When expire() must be called at the latest; None when no timer runs."""
        if self._closing:
            return None
        timers = self.settings.timers
        soonest = self._window.deadline
        if self._framer.partial and timers.partial_pdu_s:
            soonest = min(soonest, self._partial_at + timers.partial_pdu_s)
        if self._ending is not _Ending.NO:
            soonest = min(soonest, self._ending_at)
        elif self._bind_sent is not None:
            soonest = min(soonest, self._bind_sent[2])
        elif self.mode is None:
            if timers.session_init_s and self._bind_asked is None:
                soonest = min(soonest, self._started_at + timers.session_init_s)
        else:
            if timers.enquire_link_s:
                soonest = min(soonest, max(self._heard_at, self._asked_at) + timers.enquire_link_s)
            if timers.inactivity_s:
                soonest = min(soonest, self._heard_at + timers.inactivity_s)
        return None if soonest == NEVER else soonest

    @property
    def closing(self) -> bool:
        """Whether the transport is to be closed, after what take() gives is written."""
        return self._closing

    @property
    def bound(self) -> bool:
        """Whether the session is bound and not ending: requests are allowed."""
        return self.mode is not None and self._ending is _Ending.NO and not self._closing

    @property
    def free(self) -> int:
        """How many requests the window takes now; 0 when not bound or ending."""
        return max(0, self._window.size - len(self._window.sent)) if self._sendable else 0

    @property
    def outstanding(self) -> int:
        """How many of our requests wait for their answer."""
        return len(self._window.sent)

    @property
    def unanswered(self) -> int:
        """How many requests of the peer wait for our answer; the measure for back-pressure."""
        return len(self._unanswered)

    @property
    def pending(self) -> int:
        """How many octets wait for take()."""
        return self._written - self._taken

    # -- requests of ours. All raise SessionError and EncodeError, and return the sequence they used.

    def bind(
        self,
        mode: Mode,
        system_id: bytes,
        password: bytes,
        now: float,
        *,
        system_type: bytes = b"",
        address_range: bytes = b"",
        addr_ton: int = 0,
        addr_npi: int = 0,
    ) -> int:
        """ESME: asks to bind. Bound or BindRefused follows."""
        pdu = _BIND_PDUS[mode](
            system_id, password, system_type, self.settings.interface_version, addr_ton, addr_npi, address_range
        )
        if (self.state, self.settings.role, pdu.command_id) not in TRANSITIONS or self._bind_sent or self._closing:
            raise StateError(f"{pdu.name} in state {self.state.value}")
        sequence = self._send_outside(pdu, now)
        bind_s = self.settings.timers.bind_s
        self._bind_sent = (sequence, mode, now + bind_s if bind_s else NEVER)
        return sequence

    def outbind(self, system_id: bytes, password: bytes, now: float) -> int:
        """SMSC: asks the ESME to bind as receiver. BindRequested may follow within session_init_s."""
        pdu = Outbind(system_id, password)
        if (self.state, self.settings.role, pdu.command_id) not in TRANSITIONS or self._bind_asked or self._closing:
            raise StateError(f"outbind in state {self.state.value}")
        sequence = self._send_outside(pdu, now)
        self._window.release(sequence)
        self._enter(State.OUTBOUND)
        return sequence

    def submit(self, pdu: SubmitSm, context: object, now: float) -> int:
        """ESME: sends a submit_sm; `context` comes back in Answered, Nacked, TimedOut or Closed. Sets pdu.sequence."""
        return self.request(pdu, context, now)

    def deliver(self, pdu: DeliverSm, context: object, now: float) -> int:
        """SMSC: sends a deliver_sm; as submit."""
        return self.request(pdu, context, now)

    def request(self, pdu: Request, context: object, now: float) -> int:
        """Sends any request of the state table (submit_sm, deliver_sm, data_sm, query_sm, ...); as submit.

        alert_notification has no answer and takes no place in the window. Binding and unbinding have their own calls.
        """
        command_id = pdu.command_id
        if command_id not in self._sendable:
            ending = " while ending" if self.mode is not None and not self.bound else ""
            raise StateError(f"{pdu.name} in state {self.state.value}{ending}")
        window = self._window
        answered = command_id not in _UNANSWERED_COMMANDS
        if answered and len(window.sent) >= window.size:
            raise WindowFull(f"{window.size} outstanding")
        if pdu.tlvs and not self._tlvs_allowed:
            pdu = self._without_tlvs(pdu)
        before = pdu.sequence
        pdu.sequence = sequence = window.next_sequence()
        try:
            octets = pdu.encode()
        except ValueError:
            pdu.sequence = before
            raise
        self._out.append(octets)
        self._written += len(octets)
        if answered:
            window.sent[sequence] = (context, pdu, now + self._response_s, self._written, command_id | RESPONSE_BIT)
        return sequence

    def unbind(self, now: float) -> None:
        """Ends in good order: no new requests; what is outstanding or unanswered gets unbind_s to settle, then unbind
        goes out, and the session closes on its answer or after another unbind_s. Before a bind it just closes."""
        self._now = now
        if self._closing or self._ending is not _Ending.NO:
            return
        if self.mode is None:
            self.close(Reason.UNBOUND)
            return
        self._begin_ending(_Ending.DRAINING, self.settings.timers.unbind_s)
        self._settle()

    def close(self, reason: str = "closed by us") -> None:
        """Ends at once: closing is true from now on. The first reason stays."""
        if self._closing:
            return
        self._closing = True
        self.reason = reason
        self._sendable = frozenset()

    # -- answers to the peer's requests. All return False, writing nothing, when the session has ended meanwhile; and
    # raise StateError when no such request waits.

    def answer_bind(self, sequence: int, status: int = 0, system_id: bytes | None = None) -> bool:
        """SMSC: accepts (0) or refuses a BindRequested. A refused peer may try again until session_init_s is over."""
        if self._closing:
            return False
        if self._bind_asked is None or self._bind_asked[0] != sequence:
            raise StateError(f"no bind waits with sequence {sequence}")
        request = self._bind_asked[1]
        self._respond(self._bind_response(request, sequence, status, system_id))
        self._bind_asked = None
        if not status:
            self.peer_version = request.interface_version
            self._tlvs_allowed = min(request.interface_version, self.settings.interface_version) >= _TLVS_SINCE
            self._bind_to(BINDS[request.command_id])
        return True

    def answer_submit(self, sequence: int, status: int = 0, message_id: bytes = b"", tlvs: Tlvs = ()) -> bool:
        """Answers a submit_sm, submit_multi, data_sm or broadcast_sm with an id; with an error status, without one."""
        if self._closing:
            return False
        command_id = self._waiting(sequence)
        if command_id == _SUBMIT_SM and not status and not tlvs and len(message_id) <= 64 and 0 not in message_id:
            # Written out, since this is half of all that an SMSC writes.
            size = HEADER.size + len(message_id) + 1
            self._out.append(HEADER.pack(size, _SUBMIT_SM | RESPONSE_BIT, 0, sequence) + message_id + b"\0")
            self._written += size
            self._answered(sequence)
            return True
        response_type = _ID_RESPONSES.get(command_id)
        if response_type is None:
            raise StateError(f"{command_name(command_id)} is not answered with an id")
        self._respond(response_type(message_id, sequence=sequence, status=status, tlvs=tlvs))
        self._answered(sequence)
        return True

    def answer(self, sequence: int, status: int = 0, response: Response | None = None) -> bool:
        """Answers any request. `response` gives the body where it has fields; its sequence and status are set here."""
        if self._closing:
            return False
        response_type = RESPONSES[self._waiting(sequence)]
        if response is None:
            response = response_type()
        elif type(response) is not response_type:
            raise StateError(f"{response.name} does not answer this request")
        response.sequence, response.status = sequence, status
        self._respond(response)
        self._answered(sequence)
        return True

    def nack(self, sequence: int, status: int) -> bool:
        """Answers a received request with generic_nack instead of its own response."""
        if self._closing:
            return False
        self._waiting(sequence)
        self._respond(GenericNack(sequence=sequence, status=status))
        self._answered(sequence)
        return True

    def forget(self, sequence: int) -> None:
        """Drops a received request without ever answering it; for an SMSC that has to misbehave in tests."""
        self._unanswered.pop(sequence, None)

    def inject(self, octets: bytes) -> None:
        """Writes octets as they are; for an SMSC that has to misbehave in tests."""
        self._out.append(octets)
        self._written += len(octets)

    # -- what the peer answers

    def _answer_received(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        context, request, _, _, _ = self._window.sent.pop(sequence)
        self._timeouts = 0
        response = DECODERS[command_id](frame, status, sequence)
        message_id = response.message_id if command_id in _WITH_MESSAGE_ID else b""  # type: ignore[attr-defined]
        events.append(Answered(context, request, status, response, sequence, message_id))  # type: ignore[arg-type]
        if response.tlvs or response.flags:
            self._notice(response, events)

    def _other_response(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        window = self._window
        if command_id == _GENERIC_NACK:
            self._nacked(status, sequence, events)
        elif self._bind_sent is not None and sequence == self._bind_sent[0]:
            self._bind_answered(command_id, status, sequence, frame, events)
        elif self._unbind_sent and sequence == self._unbind_sent and command_id == CommandId.UNBIND | RESPONSE_BIT:
            self._unbound(events)
        elif command_id == _ENQUIRE_LINK | RESPONSE_BIT and self._window.release(sequence):
            pass  # heard already, as any PDU; a status other than 0 is a sign of life as well
        else:
            late = window.late.get(sequence)
            if late is None or command_id != late[1].command_id | RESPONSE_BIT:
                self._odd(events, Oddity.UNEXPECTED_RESPONSE, command_name(command_id))
                return
            del window.late[sequence]
            response = DECODERS[command_id](frame, status, sequence)
            assert isinstance(response, Response)
            message_id = getattr(response, "message_id", b"")
            events.append(AnsweredLate(late[0], late[1], status, response, sequence, message_id))
            self._notice(response, events)

    def _nacked(self, status: int, sequence: int, events: list[Event]) -> None:
        sent = self._window.sent.pop(sequence, None)
        late = self._window.late.pop(sequence, None) if sent is None else None
        if sent is not None:
            self._timeouts = 0
            events.append(Nacked(sent[0], sent[1], status, sequence))
        elif late is not None:
            events.append(Nacked(late[0], late[1], status, sequence))
        elif self._bind_sent is not None and sequence == self._bind_sent[0]:
            self._refused_bind(status or Status.RBINDFAIL, events)
        elif self._unbind_sent and sequence == self._unbind_sent:
            self._unbound(events)
        elif not self._window.release(sequence):
            # Of a request that we cannot tell: one of ours may be lost. Its own timer finds it, but a peer that
            # cannot read us again and again is better left.
            events.append(Nacked(None, None, status, sequence))
            self._odd(events, Oddity.NACK_WITHOUT_REQUEST, f"0x{status:08x}")
            self._nacks += 1
            if self._nacks >= self.settings.nacks_max:
                self.close(Reason.NACKS)

    def _bind_answered(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        assert self._bind_sent is not None
        mode = self._bind_sent[1]
        if command_id != _BIND_PDUS[mode].command_id | RESPONSE_BIT:
            self._odd(events, Oddity.UNEXPECTED_RESPONSE, command_name(command_id))
            return
        response = DECODERS[command_id](frame, status, sequence)
        assert isinstance(response, BindResponse)
        if status:
            self._refused_bind(status, events)
        elif not self._closing:
            self._window.release(sequence)
            self._bind_sent = None
            # Many 3.4 peers leave the TLV out: then what we asked for holds.
            self.peer_version = response.tlv_int(Tag.SC_INTERFACE_VERSION)
            ours = self.settings.interface_version
            self._tlvs_allowed = min(ours if self.peer_version is None else self.peer_version, ours) >= _TLVS_SINCE
            self._bind_to(mode)
            events.append(Bound(mode, response.system_id, self.peer_version))
        self._notice(response, events)

    def _refused_bind(self, status: int, events: list[Event]) -> None:
        assert self._bind_sent is not None
        self._window.release(self._bind_sent[0])
        self._bind_sent = None
        events.append(BindRefused(status))
        self.close(Reason.BIND_REFUSED)

    def _notice(self, response: Pdu, events: list[Event]) -> None:
        if response.flags:
            self._odd(events, Oddity.FLAGGED, f"{response.name} {' '.join(response.flags)}")
        congestion = response.tlv(Tag.CONGESTION_STATE)
        if congestion is not None and len(congestion) == 1:
            events.append(Congestion(min(congestion[0], 100)))

    # -- what the peer asks

    def _request_received(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        unanswered = self._unanswered
        if (
            self._ending is not _Ending.NO
            or not sequence
            or sequence in unanswered
            or len(unanswered) >= self.settings.unanswered_max
        ):
            refused = self._admit(command_id, sequence, events)
            if refused:
                self._refuse(command_id, sequence, refused)
                return
        pdu = self._decoded(command_id, status, sequence, frame, events)
        if pdu is None:
            return
        if command_id not in _UNANSWERED_COMMANDS:
            unanswered[sequence] = command_id
        elif command_id == CommandId.OUTBIND:
            self._enter(State.OUTBOUND)
        events.append(Received(pdu, frame))

    def _other_request(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        if command_id == _ENQUIRE_LINK:
            self._put(HEADER.pack(HEADER.size, _ENQUIRE_LINK | RESPONSE_BIT, 0, sequence))
        elif command_id not in RESPONSES and command_id not in _UNANSWERED_COMMANDS:
            self._odd(events, Oddity.UNKNOWN_COMMAND, command_name(command_id))
            self._put(GenericNack(sequence=sequence, status=Status.RINVCMDID).encode())
        elif (self.state, self._peer_role, command_id) not in TRANSITIONS or self._bind_asked is not None:
            self._odd(events, Oddity.NOT_ALLOWED, f"{command_name(command_id)} in {self.state.value}")
            is_second = self._bind_asked is not None and command_id in BINDS
            self._refuse(command_id, sequence, Status.RALYBND if is_second else refusal(self.state, command_id))
        elif command_id == CommandId.UNBIND:
            self._unbind_received(sequence, events)
        else:
            assert command_id in BINDS
            pdu = self._decoded(command_id, status, sequence, frame, events)
            if isinstance(pdu, BindRequest):
                self._bind_asked = (sequence, pdu)
                events.append(BindRequested(pdu, BINDS[command_id], sequence))

    def _admit(self, command_id: int, sequence: int, events: list[Event]) -> int:
        """The command_status with which an allowed request must be refused now, or 0."""
        is_smsc = self.settings.role is Role.SMSC
        if self._ending is _Ending.UNBINDING or self._ending is _Ending.UNBOUND_BY_PEER:
            # After an unbind in either direction our answer might not reach the peer any more, and then what we took
            # would come twice.
            self._odd(events, Oddity.ENDING, command_name(command_id))
            return Status.RINVBNDSTS if is_smsc else Status.RX_T_APPN
        if sequence in self._unanswered:
            self._odd(events, Oddity.SEQUENCE_REPEATED, command_name(command_id))
            return Status.RSYSERR
        if len(self._unanswered) >= self.settings.unanswered_max:
            # Both statuses say `later`: the peer keeps the message.
            self._odd(events, Oddity.OVERLOAD, command_name(command_id))
            return Status.RTHROTTLED if is_smsc else Status.RX_T_APPN
        if not sequence:
            self._odd(events, Oddity.SEQUENCE_ZERO, command_name(command_id))
        return 0

    def _decoded(
        self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]
    ) -> Request | None:
        try:
            pdu = DECODERS[command_id](frame, status, sequence)
        except DecodeError as error:
            self._odd(events, Oddity.UNDECODABLE, f"{command_name(command_id)}: {error}", frame)
            self._refuse(command_id, sequence, error.status)
            self._undecodable += 1
            if self._undecodable >= self.settings.undecodable_max:
                self.close(Reason.UNDECODABLE)
            return None
        self._undecodable = 0
        if pdu.flags:
            self._odd(events, Oddity.FLAGGED, f"{pdu.name} {' '.join(pdu.flags)}")
        return pdu  # type: ignore[return-value]  # the caller gives request ids only

    def _refuse(self, command_id: int, sequence: int, status: int) -> None:
        response_type = RESPONSES.get(command_id)
        if response_type is not None:
            self._put(response_type(sequence=sequence, status=status).encode())

    def _lose_framing(self) -> None:
        if self.reason == Reason.FRAMING_LOST:
            return
        header = self._framer.lost_header
        # A header that names a command we know is believed as far as its number goes; anything else is noise.
        sequence = header[3] if header and header[1] in RESPONSES else 0
        if not self._closing:
            self._put(GenericNack(sequence=sequence, status=Status.RINVCMDLEN).encode())
        self.close(Reason.FRAMING_LOST)

    def _odd(self, events: list[Event], reason: Oddity, detail: str = "", frame: bytes = b"") -> None:
        events.append(Odd(reason, detail, frame))

    # -- answering

    def _waiting(self, sequence: int) -> int:
        command_id = self._unanswered.get(sequence)
        if command_id is None:
            raise StateError(f"no request waits with sequence {sequence}")
        return command_id

    def _answered(self, sequence: int) -> None:
        del self._unanswered[sequence]
        if self._ending is not _Ending.NO:
            self._settle()

    def _bind_response(self, request: BindRequest, sequence: int, status: int, system_id: bytes | None) -> Response:
        response_type = RESPONSES[request.command_id]
        if status:
            return response_type(sequence=sequence, status=status)
        assert issubclass(response_type, BindResponse)
        tlvs: Tlvs = ()
        if request.interface_version >= _TLVS_SINCE <= self.settings.interface_version:
            tlvs = ((Tag.SC_INTERFACE_VERSION, bytes((self.settings.interface_version,))),)
        name = self.settings.system_id if system_id is None else system_id
        return response_type(name, sequence=sequence, tlvs=tlvs)

    def _respond(self, response: Response) -> None:
        if response.tlvs and not self._tlvs_allowed:
            response = self._without_tlvs(response)
        self._put(response.encode())

    # -- writing

    def _put(self, octets: bytes) -> None:
        self._out.append(octets)
        self._written += len(octets)

    def _send_outside(self, pdu: Request, now: float) -> int:
        """Sends a request that takes no place in the window."""
        self._now = now
        pdu.sequence = sequence = self._window.reserve()
        try:
            self._put(pdu.encode())
        except ValueError:
            self._window.release(sequence)
            raise
        return sequence

    def _without_tlvs(self, pdu: AnyPdu) -> AnyPdu:
        """For a peer without optional parameters: the PDU without those that only inform. A TLV that makes the message
        what it is (a payload, a port, a segment number) is never dropped in silence. Answers can lose all of theirs."""
        if not isinstance(pdu, Response):
            for tag, _ in pdu.tlvs:
                if tag not in INFORMATIVE:
                    raise TlvsRefused(f"the peer takes no TLVs, and {tag_name(tag)} cannot be left out")
        self._odd(self._noticed, Oddity.TLVS_DROPPED, f"{pdu.name} {' '.join(tag_name(tag) for tag, _ in pdu.tlvs)}")
        return replace(pdu, tlvs=())

    # -- states

    def _enter(self, state: State) -> None:
        self.state = state
        role = self.settings.role
        sendable = {command for at, asker, command in TRANSITIONS if at is state and asker is role}
        acceptable = {command for at, asker, command in TRANSITIONS if at is state and asker is not role}
        if state is State.BOUND_TX:
            if role is Role.ESME and self.settings.accept_deliver_on_tx:
                acceptable |= DELIVER_ON_TX
            if role is Role.SMSC and self.settings.send_deliver_on_tx:
                sendable |= DELIVER_ON_TX
        self._sendable = frozenset(sendable - _SESSION_COMMANDS - {CommandId.OUTBIND})
        self._acceptable = frozenset(acceptable - _SESSION_COMMANDS)

    def _bind_to(self, mode: Mode) -> None:
        self.mode = mode
        self._asked_at = self._now
        self._enter(BOUND[mode])

    @property
    def _peer_role(self) -> Role:
        return Role.ESME if self.settings.role is Role.SMSC else Role.SMSC

    # -- ending in good order

    def _begin_ending(self, ending: _Ending, timer_s: float) -> None:
        self._ending = ending
        self._ending_at = self._now + timer_s if timer_s else NEVER
        self._sendable = frozenset()

    def _unbind_received(self, sequence: int, events: list[Event]) -> None:
        if self._ending is _Ending.UNBINDING or self._ending is _Ending.UNBOUND_BY_PEER:
            # Both asked at once, or the peer asks again: there is nothing more to wait for.
            self._put(HEADER.pack(HEADER.size, CommandId.UNBIND | RESPONSE_BIT, 0, sequence))
            return
        self._unbind_asked = sequence
        self._begin_ending(_Ending.UNBOUND_BY_PEER, self.settings.timers.unbind_peer_s)
        events.append(Unbound(by_peer=True))

    def _settle(self) -> None:
        """Takes the next step to the end when no answer is due any more, in either direction."""
        if not self._closing and not self._window.sent and not self._unanswered:
            self._advance_ending()

    def _advance_ending(self) -> None:
        if self._ending is _Ending.DRAINING:
            self._begin_ending(_Ending.UNBINDING, self.settings.timers.unbind_s)
            self._unbind_sent = self._send_outside(Unbind(), self._now)
        elif self._ending is _Ending.UNBOUND_BY_PEER:
            self._put(HEADER.pack(HEADER.size, CommandId.UNBIND | RESPONSE_BIT, 0, self._unbind_asked))
            self._enter(State.UNBOUND)
            self.close(Reason.UNBOUND_BY_PEER)

    def _unbound(self, events: list[Event]) -> None:
        self._enter(State.UNBOUND)
        events.append(Unbound(by_peer=False))
        self.close(Reason.UNBOUND)

    # -- timers that are due

    def _expire_requests(self, now: float, events: list[Event]) -> None:
        if self._window.deadline > now:
            return
        for sequence, (context, request, _, _, _) in self._window.expire(now):
            events.append(TimedOut(context, request, sequence))
            self._timeouts += 1
        if self._timeouts >= self.settings.timeouts_max:
            self.close(Reason.RESPONSE_TIMEOUTS)

    def _expire_ending(self, now: float) -> None:
        if now < self._ending_at:
            self._settle()
        elif self._ending is _Ending.UNBINDING:
            self.close(Reason.UNBIND_TIMEOUT)
        else:
            self._advance_ending()

    def _expire_silence(self, now: float) -> None:
        timers = self.settings.timers
        if _due(now, self._heard_at, timers.inactivity_s):
            self.close(Reason.INACTIVE)
        elif _due(now, max(self._heard_at, self._asked_at), timers.enquire_link_s):
            if self._enquiries >= _ENQUIRIES_MAX:
                self.close(Reason.LINK_DEAD)
            else:
                self._send_outside(EnquireLink(), now)
                self._asked_at = now
                self._enquiries += 1


def _due(now: float, since: float, timer_s: float) -> bool:
    return timer_s > 0 and now >= since + timer_s
