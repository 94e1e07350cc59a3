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
has stages of its own beside the state, since a session stays bound while it drains: see `link.Ending`.

SessionError
+-- StateError       this request is not allowed now (not bound, wrong role, ending, closed, unknown sequence)
+-- WindowFull       no free place in the window; see Session.free
+-- TlvsRefused      the peer takes no TLVs (interface_version below 0x34) and these change what the message means
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chappe.smpp.commands import RESPONSE_BIT, CommandId, command_name
from chappe.smpp.events import (
    BindRefused,
    Closed,
    Event,
    Reason,
    TimedOut,
)
from chappe.smpp.header import HEADER
from chappe.smpp.link import (
    BIND_PDUS,
    TLVS_SINCE,
    UNANSWERED_COMMANDS,
    Ending,
    SessionError,
    StateError,
    TlvsRefused,
    WindowFull,
)
from chappe.smpp.pdu import (
    RESPONSES,
    BindRequest,
    BindResponse,
    BroadcastSmResp,
    DataSmResp,
    DeliverSm,
    EnquireLink,
    GenericNack,
    Outbind,
    Request,
    Response,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Tlvs,
)
from chappe.smpp.peer import Peer
from chappe.smpp.settings import Settings, Timers
from chappe.smpp.states import BINDS, TRANSITIONS, Mode, Role, State
from chappe.smpp.tlv import Tag
from chappe.smpp.window import NEVER

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

_ENQUIRIES_MAX = 2  # unanswered enquire_links after which the link is dead
_SUBMIT_SM = int(CommandId.SUBMIT_SM)
_SUBMIT_SM_RESP = _SUBMIT_SM | RESPONSE_BIT
_DELIVER_SM = int(CommandId.DELIVER_SM)
_HEADER_SIZE = HEADER.size
_pack_header = HEADER.pack
_MESSAGE_ID_MAX = 64
_ID_RESPONSES: dict[int, type[SubmitSmResp] | type[SubmitMultiResp] | type[DataSmResp] | type[BroadcastSmResp]] = {
    CommandId.SUBMIT_SM: SubmitSmResp,
    CommandId.SUBMIT_MULTI: SubmitMultiResp,
    CommandId.DATA_SM: DataSmResp,
    CommandId.BROADCAST_SM: BroadcastSmResp,
}


class Session(Peer):
    """One session from the transport's start to its end."""

    __slots__ = ()

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
                if sequence in outstanding and command_id == outstanding[sequence][1]:
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
        if self._ending is not Ending.NO:
            self._settle()
        if self._written - self._taken > self.settings.pending_max:
            self._out.clear()
            self._written = self._taken
            self.close(Reason.OVERFLOW)
        answers += requests
        return answers

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
        elif self._ending is not Ending.NO:
            self._expire_ending(now)
        elif self._bind_sent is not None:
            if now >= self._bind_sent[2]:
                self._bind_sent = None  # an answer that comes after all changes nothing
                events.append(BindRefused(None))
                self.close(Reason.BIND_TIMEOUT)
        elif self.mode is None:
            if self._bind_asked is None and _due(now, self._started_at, timers.session_init_s):
                self.close(Reason.SESSION_INIT_TIMEOUT)
        else:
            self._expire_silence(now)
        return events

    def set_timers(self, timers: Timers) -> None:
        """Other timers from now on. Requests that are outstanding keep their time-outs."""
        self.settings = replace(self.settings, timers=timers)
        self._response_s = timers.response_s or NEVER

    def lost(self, now: float, unsent: int = 0) -> list[Event]:
        """The transport is gone: one Closed event, the first time.

        `unsent`: how many octets, at the end of all that was taken, the transport never gave to the kernel (what was
        still in its write buffer). Requests in there, or not even taken, are told as `unsent`, the rest is in doubt.
        Where that cannot be known in octets of ours, as with TLS, leave it 0: then all that was taken is in doubt.
        """
        if self.state is State.CLOSED:
            return []
        self._now = now
        self.close(Reason.TRANSPORT_LOST)
        self._enter(State.CLOSED)
        left = self._taken - unsent
        in_doubt: list[object] = []
        not_sent: list[object] = []
        for context, _, _, end in self._window.sent.values():
            # Less than a whole PDU cannot have been acted upon.
            (in_doubt if end <= left else not_sent).append(context)
        self._window.sent.clear()
        self._window.late.clear()
        self._unanswered.clear()
        self._repeats.clear()
        self._repeated = 0
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
        if self._ending is not Ending.NO:
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
        pdu = BIND_PDUS[mode](
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
        answered = command_id not in UNANSWERED_COMMANDS
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
            window.sent[sequence] = (context, command_id | RESPONSE_BIT, now + self._response_s, self._written)
        return sequence

    def submit_written(self, bodies: Sequence[bytes], contexts: Sequence[object], now: float) -> None:
        """ESME: sends submit_sm PDUs whose bodies are written already, all or none; as submit.

        bodies: what SubmitSm.encode() writes behind the header, without TLVs; see submitting.py.
        """
        if _SUBMIT_SM not in self._sendable:
            raise StateError(f"submit_sm in state {self.state.value}")
        window = self._window
        outstanding = window.sent
        if len(outstanding) + len(bodies) > window.size:
            raise WindowFull(f"{len(outstanding)} outstanding")
        deadline = now + self._response_s
        written = self._written
        out = self._out
        for body, context in zip(bodies, contexts, strict=True):
            sequence = window.next_sequence()
            size = _HEADER_SIZE + len(body)
            written += size
            out.append(_pack_header(size, _SUBMIT_SM, 0, sequence))
            out.append(body)
            outstanding[sequence] = (context, _SUBMIT_SM_RESP, deadline, written)
        self._written = written

    def unbind(self, now: float) -> None:
        """Ends in good order: no new requests; what is outstanding or unanswered gets unbind_s to settle, then unbind
        goes out, and the session closes on its answer or after another unbind_s. Before a bind it just closes."""
        self._now = now
        if self._closing or self._ending is not Ending.NO:
            return
        if self.mode is None:
            self.close(Reason.UNBOUND)
            return
        self._begin_ending(Ending.DRAINING, self.settings.timers.unbind_s)
        self._settle()

    # -- answers to the peer's requests. All return False, writing nothing, when the session has ended meanwhile; and
    # raise StateError when no such request waits.

    def answer_bind(
        self, sequence: int, status: int = 0, system_id: bytes | None = None, version: int | None = None
    ) -> bool:
        """SMSC: accepts (0) or refuses a BindRequested. A refused peer may try again until session_init_s is over.

        version: what sc_interface_version says; without one, Settings.interface_version where both sides know TLVs.
        """
        if self._closing:
            return False
        if self._bind_asked is None or self._bind_asked[0] != sequence:
            raise StateError(f"no bind waits with sequence {sequence}")
        request = self._bind_asked[1]
        self._respond(self._bind_response(request, sequence, status, system_id, version))
        self._bind_asked = None
        if not status:
            self.peer_version = request.interface_version
            self._tlvs_allowed = min(request.interface_version, self.settings.interface_version) >= TLVS_SINCE
            self._bind_to(BINDS[request.command_id])
        return True

    def answer_submit(self, sequence: int, status: int = 0, message_id: bytes = b"", tlvs: Tlvs = ()) -> bool:
        """Answers a submit_sm, submit_multi, data_sm or broadcast_sm with an id; with an error status, without one."""
        if self._closing:
            return False
        if (
            not status
            and not tlvs
            and self._unanswered.get(sequence) == _SUBMIT_SM
            and len(message_id) <= _MESSAGE_ID_MAX
            and 0 not in message_id
        ):
            # The ordinary answer is written out here: it is half of all that an SMSC writes.
            size = HEADER.size + len(message_id) + 1
            self._out.append(HEADER.pack(size, _SUBMIT_SM | RESPONSE_BIT, 0, sequence) + message_id + b"\0")
            self._written += size
            self._answered(sequence)
            return True
        command_id = self._waiting(sequence)
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
        command_id = self._waiting(sequence, response.command_id if response is not None else 0)
        if command_id == _DELIVER_SM and not status and response is None:
            # The ordinary answer is written out here: an ESME writes one for each receipt. Its message_id is empty.
            self._put(_pack_header(_HEADER_SIZE + 1, _DELIVER_SM | RESPONSE_BIT, 0, sequence) + b"\0")
            self._answered(sequence)
            return True
        response_type = RESPONSES[command_id]
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
        if self._unanswered.pop(sequence, None) is not None and self._repeated:
            self._next_repeat(sequence)

    def inject(self, octets: bytes) -> None:
        """Writes octets as they are; for an SMSC that has to misbehave in tests."""
        self._out.append(octets)
        self._written += len(octets)

    def _bind_response(
        self, request: BindRequest, sequence: int, status: int, system_id: bytes | None, version: int | None
    ) -> Response:
        response_type = RESPONSES[request.command_id]
        if status:
            return response_type(sequence=sequence, status=status)
        assert issubclass(response_type, BindResponse)
        if version is None and request.interface_version >= TLVS_SINCE <= self.settings.interface_version:
            version = self.settings.interface_version
        tlvs: Tlvs = () if version is None else ((Tag.SC_INTERFACE_VERSION, bytes((version,))),)
        name = self.settings.system_id if system_id is None else system_id
        return response_type(name, sequence=sequence, tlvs=tlvs)

    # -- timers that are due

    def _expire_requests(self, now: float, events: list[Event]) -> None:
        if self._window.deadline > now:
            return
        for sequence, (context, _, _, _) in self._window.expire(now):
            events.append(TimedOut(context, sequence))
            self._timeouts += 1
        if self._timeouts >= self.settings.timeouts_max:
            self.close(Reason.RESPONSE_TIMEOUTS)

    def _expire_ending(self, now: float) -> None:
        if now < self._ending_at:
            self._settle()
        elif self._ending is Ending.UNBINDING:
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
                self._enquiry = self._send_outside(EnquireLink(), now)
                self._asked_at = now
                self._enquiries += 1


def _due(now: float, since: float, timer_s: float) -> bool:
    return timer_s > 0 and now >= since + timer_s
