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
has stages of its own beside the state, since a session stays bound while it drains: see `link.Ending`. A session is put
together of a `link.Core`, which both directions share, `peer.Incoming` and `session_timers`.

SessionError
+-- StateError       this request is not allowed now (not bound, wrong role, ending, closed, unknown sequence)
+-- WindowFull       no free place in the window; see Session.free
+-- TlvsRefused      the peer takes no TLVs (interface_version below 0x34) and these change what the message means
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chappe.smpp import session_timers
from chappe.smpp.commands import RESPONSE_BIT, CommandId, command_name
from chappe.smpp.events import (
    Closed,
    Event,
    Reason,
)
from chappe.smpp.header import HEADER
from chappe.smpp.outstanding_requests import NEVER
from chappe.smpp.pdu import (
    RESPONSES,
    BindRequest,
    BindResponse,
    BroadcastSmResp,
    DataSmResp,
    DeliverSm,
    GenericNack,
    Outbind,
    Request,
    Response,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Tlvs,
)
from chappe.smpp.session_core import (
    BIND_PDUS,
    TLVS_SINCE,
    UNANSWERED_COMMANDS,
    Core,
    Ending,
    SessionError,
    StateError,
    TlvsRefused,
    WindowFull,
)
from chappe.smpp.session_incoming import Incoming
from chappe.smpp.settings import Settings, Timers
from chappe.smpp.states import BINDS, TRANSITIONS, Mode, Role, State
from chappe.smpp.tlv import Tag

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


class Session:
    """One session from the transport's start to its end."""

    __slots__ = ("_core", "_incoming", "_response_s")

    def __init__(self, settings: Settings, now: float) -> None:
        self._core = core = Core(settings, now)
        self._incoming = Incoming(core)
        self._response_s = settings.timers.response_s or NEVER

    # -- what it is now

    @property
    def settings(self) -> Settings:
        """What was agreed, with the timers as they are now."""
        return self._core.settings

    @property
    def state(self) -> State:
        """Where in the table of `states.py` the session is."""
        return self._core.state

    @property
    def mode(self) -> Mode | None:
        """How it is bound; None before that."""
        return self._core.mode

    @property
    def peer_version(self) -> int | None:
        """interface_version of the peer once bound; None: not told."""
        return self._core.peer_version

    @property
    def reason(self) -> str:
        """Why the session is closing: a Reason, or what close() was given; empty before that."""
        return self._core.reason

    @property
    def closing(self) -> bool:
        """Whether the transport is to be closed, after what take() gives is written."""
        return self._core.closing

    @property
    def bound(self) -> bool:
        """Whether the session is bound and not ending: requests are allowed."""
        return self._core.bound

    @property
    def tlvs_allowed(self) -> bool:
        """Whether the peer takes optional parameters: both sides speak 3.4 or later, as far as it is told."""
        return self._core.tlvs_allowed

    @property
    def free(self) -> int:
        """How many requests the window takes now; 0 when not bound or ending."""
        core = self._core
        return max(0, core.window.size - len(core.window.sent)) if core.sendable else 0

    @property
    def outstanding(self) -> int:
        """How many of our requests wait for their answer."""
        return len(self._core.window.sent)

    @property
    def unanswered(self) -> int:
        """How many requests of the peer wait for our answer; the measure for back-pressure."""
        return len(self._core.unanswered)

    @property
    def pending(self) -> int:
        """How many octets wait for take()."""
        return self._core.output.written - self._core.output.taken

    @property
    def answers_enquire_link(self) -> bool:
        """False makes an SMSC of tests leave enquire_link unanswered."""
        return self._core.answers_enquire_link

    @answers_enquire_link.setter
    def answers_enquire_link(self, on: bool) -> None:
        self._core.answers_enquire_link = on

    def take(self) -> bytes:
        """Everything to write now, joined; b"" when there is nothing."""
        return self._core.output.take()

    def close(self, reason: str = "closed by us") -> None:
        """Ends at once: closing is true from now on. The first reason stays."""
        self._core.close(reason)

    # -- octets and time

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Event]:
        """What these octets mean, in any chunking. Answers to our requests come before the peer's requests, so that an
        id is known before a receipt that came in the same segment."""
        core = self._core
        core.now = now
        if core.state is State.CLOSED:
            return []
        was_partial = core.framer.partial
        frames = core.framer.feed(data)
        if core.framer.partial and (frames or not was_partial):
            core.partial_at = now
        answers = core.noticed
        requests: list[Event] = []
        core.noticed = []
        if frames:
            core.heard_at = now
            core.enquiries = 0
        incoming = self._incoming
        outstanding = core.window.sent
        for command_id, status, sequence, frame in frames:
            if command_id & RESPONSE_BIT:
                sent = outstanding.get(sequence)
                if sent is not None and command_id == sent[1]:
                    del outstanding[sequence]
                    incoming.answer_received(sent[0], command_id, status, sequence, frame, answers)
                else:
                    incoming.other_response(command_id, status, sequence, frame, answers)
            elif not core.closing:
                if command_id in core.acceptable:
                    incoming.request_received(command_id, status, sequence, frame, requests)
                else:
                    incoming.other_request(command_id, status, sequence, frame, requests)
        if core.framer.lost:
            incoming.lose_framing()
        if core.ending is not Ending.NO:
            core.settle()
        if core.output.written - core.output.taken > core.settings.pending_max:
            core.output.drop()
            core.close(Reason.OVERFLOW)
        answers += requests
        return answers

    def expire(self, now: float) -> list[Event]:
        """Acts on the timers that are due; call when now >= deadline, harmless at any other time."""
        core = self._core
        core.now = now
        events, core.noticed = core.noticed, []
        if core.closing or core.state is State.CLOSED:
            return events
        session_timers.expire(core, now, events)
        return events

    def set_timers(self, timers: Timers) -> None:
        """Other timers from now on. Requests that are outstanding keep their time-outs."""
        core = self._core
        core.settings = replace(core.settings, timers=timers)
        self._response_s = timers.response_s or NEVER

    def lost(self, now: float, unsent: int = 0) -> list[Event]:
        """The transport is gone: one Closed event, the first time.

        `unsent`: how many octets, at the end of all that was taken, the transport never gave to the kernel (what was
        still in its write buffer). Requests in there, or not even taken, are told as `unsent`, the rest is in doubt.
        Where that cannot be known in octets of ours, as with TLS, leave it 0: then all that was taken is in doubt.
        """
        core = self._core
        if core.state is State.CLOSED:
            return []
        core.now = now
        core.close(Reason.TRANSPORT_LOST)
        core.enter(State.CLOSED)
        left = core.output.taken - unsent
        in_doubt: list[object] = []
        not_sent: list[object] = []
        for context, _, _, end in core.window.sent.values():
            # Less than a whole PDU cannot have been acted upon.
            (in_doubt if end <= left else not_sent).append(context)
        core.window.sent.clear()
        core.window.late.clear()
        core.unanswered.clear()
        core.output.pieces.clear()
        events, core.noticed = core.noticed, []
        events.append(Closed(core.reason, in_doubt, not_sent))
        return events

    @property
    def deadline(self) -> float | None:
        """When expire() must be called at the latest; None when no timer runs."""
        return session_timers.deadline(self._core)

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
        core = self._core
        pdu = BIND_PDUS[mode](
            system_id, password, system_type, core.settings.interface_version, addr_ton, addr_npi, address_range
        )
        if (core.state, core.settings.role, pdu.command_id) not in TRANSITIONS or core.bind_sent or core.closing:
            raise StateError(f"{pdu.name} in state {core.state.value}")
        sequence = core.send_outside(pdu, now)
        bind_s = core.settings.timers.bind_s
        core.bind_sent = (sequence, mode, now + bind_s if bind_s else NEVER)
        return sequence

    def outbind(self, system_id: bytes, password: bytes, now: float) -> int:
        """SMSC: asks the ESME to bind as receiver. BindRequested may follow within session_init_s."""
        core = self._core
        pdu = Outbind(system_id, password)
        if (core.state, core.settings.role, pdu.command_id) not in TRANSITIONS or core.bind_asked or core.closing:
            raise StateError(f"outbind in state {core.state.value}")
        sequence = core.send_outside(pdu, now)
        core.window.release(sequence)
        core.enter(State.OUTBOUND)
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
        core = self._core
        command_id = pdu.command_id
        if command_id not in core.sendable:
            ending = " while ending" if core.mode is not None and not core.bound else ""
            raise StateError(f"{pdu.name} in state {core.state.value}{ending}")
        window = core.window
        answered = command_id not in UNANSWERED_COMMANDS
        if answered and len(window.sent) >= window.size:
            raise WindowFull(f"{window.size} outstanding")
        if pdu.tlvs and not core.tlvs_allowed:
            pdu = core.without_tlvs(pdu)
        before = pdu.sequence
        pdu.sequence = sequence = window.next_sequence()
        try:
            octets = pdu.encode()
        except ValueError:
            pdu.sequence = before
            raise
        output = core.output
        output.pieces.append(octets)
        output.written = written = output.written + len(octets)
        if answered:
            window.sent[sequence] = (context, command_id | RESPONSE_BIT, now + self._response_s, written)
        return sequence

    def submit_written(self, bodies: Sequence[bytes], contexts: Sequence[object], now: float) -> None:
        """ESME: sends submit_sm PDUs whose bodies are written already, all or none; as submit.

        bodies: what SubmitSm.encode() writes behind the header, without TLVs; see submitting.py.
        """
        core = self._core
        if _SUBMIT_SM not in core.sendable:
            raise StateError(f"submit_sm in state {core.state.value}")
        window = core.window
        outstanding = window.sent
        if len(outstanding) + len(bodies) > window.size:
            raise WindowFull(f"{len(outstanding)} outstanding")
        deadline = now + self._response_s
        written = core.output.written
        out = core.output.pieces
        for body, context in zip(bodies, contexts, strict=True):
            sequence = window.next_sequence()
            size = _HEADER_SIZE + len(body)
            written += size
            out.append(_pack_header(size, _SUBMIT_SM, 0, sequence))
            out.append(body)
            outstanding[sequence] = (context, _SUBMIT_SM_RESP, deadline, written)
        core.output.written = written

    def unbind(self, now: float) -> None:
        """Ends in good order: no new requests; what is outstanding or unanswered gets unbind_s to settle, then unbind
        goes out, and the session closes on its answer or after another unbind_s. Before a bind it just closes."""
        core = self._core
        core.now = now
        if core.closing or core.ending is not Ending.NO:
            return
        if core.mode is None:
            core.close(Reason.UNBOUND)
            return
        core.begin_ending(Ending.DRAINING, core.settings.timers.unbind_s)
        core.settle()

    # -- answers to the peer's requests. All return False, writing nothing, when the session has ended meanwhile; and
    # raise StateError when no such request waits.

    def answer_bind(
        self, sequence: int, status: int = 0, system_id: bytes | None = None, version: int | None = None
    ) -> bool:
        """SMSC: accepts (0) or refuses a BindRequested. A refused peer may try again until session_init_s is over.

        version: what sc_interface_version says; without one, Settings.interface_version where both sides know TLVs.
        """
        core = self._core
        if core.closing:
            return False
        if core.bind_asked is None or core.bind_asked[0] != sequence:
            raise StateError(f"no bind waits with sequence {sequence}")
        request = core.bind_asked[1]
        core.respond(self._bind_response(request, sequence, status, system_id, version))
        core.bind_asked = None
        if not status:
            core.peer_version = request.interface_version
            core.tlvs_allowed = min(request.interface_version, core.settings.interface_version) >= TLVS_SINCE
            core.bind_to(BINDS[request.command_id])
        return True

    def answer_submit(self, sequence: int, status: int = 0, message_id: bytes = b"", tlvs: Tlvs = ()) -> bool:
        """Answers a submit_sm, submit_multi, data_sm or broadcast_sm with an id; with an error status, without one."""
        core = self._core
        if core.closing:
            return False
        if (
            not status
            and not tlvs
            and core.unanswered.commands.get(sequence) == _SUBMIT_SM
            and len(message_id) <= _MESSAGE_ID_MAX
            and 0 not in message_id
        ):
            # The ordinary answer is written out here: it is half of all that an SMSC writes.
            size = HEADER.size + len(message_id) + 1
            output = core.output
            output.pieces.append(_pack_header(size, _SUBMIT_SM_RESP, 0, sequence) + message_id + b"\0")
            output.written += size
            core.answered(sequence)
            return True
        command_id = core.unanswered.command(sequence)
        response_type = _ID_RESPONSES.get(command_id)
        if response_type is None:
            raise StateError(f"{command_name(command_id)} is not answered with an id")
        core.respond(response_type(message_id, sequence=sequence, status=status, tlvs=tlvs))
        core.answered(sequence)
        return True

    def answer(self, sequence: int, status: int = 0, response: Response | None = None) -> bool:
        """Answers any request. `response` gives the body where it has fields; its sequence and status are set here."""
        core = self._core
        if core.closing:
            return False
        command_id = core.unanswered.command(sequence, response.command_id if response is not None else 0)
        if command_id == _DELIVER_SM and not status and response is None:
            # The ordinary answer is written out here: an ESME writes one for each receipt. Its message_id is empty.
            core.output.put(_pack_header(_HEADER_SIZE + 1, _DELIVER_SM | RESPONSE_BIT, 0, sequence) + b"\0")
            core.answered(sequence)
            return True
        response_type = RESPONSES[command_id]
        if response is None:
            response = response_type()
        elif type(response) is not response_type:
            raise StateError(f"{response.name} does not answer this request")
        response.sequence, response.status = sequence, status
        core.respond(response)
        core.answered(sequence)
        return True

    def nack(self, sequence: int, status: int) -> bool:
        """Answers a received request with generic_nack instead of its own response."""
        core = self._core
        if core.closing:
            return False
        core.unanswered.command(sequence)
        core.respond(GenericNack(sequence=sequence, status=status))
        core.answered(sequence)
        return True

    def forget(self, sequence: int) -> None:
        """Drops a received request without ever answering it; for an SMSC that has to misbehave in tests."""
        self._core.unanswered.settle(sequence)

    def inject(self, octets: bytes) -> None:
        """Writes octets as they are; for an SMSC that has to misbehave in tests."""
        self._core.output.put(octets)

    def _bind_response(
        self, request: BindRequest, sequence: int, status: int, system_id: bytes | None, version: int | None
    ) -> Response:
        core = self._core
        response_type = RESPONSES[request.command_id]
        if status:
            return response_type(sequence=sequence, status=status)
        assert issubclass(response_type, BindResponse)
        if version is None and request.interface_version >= TLVS_SINCE <= core.settings.interface_version:
            version = core.settings.interface_version
        tlvs: Tlvs = () if version is None else ((Tag.SC_INTERFACE_VERSION, bytes((version,))),)
        name = core.settings.system_id if system_id is None else system_id
        return response_type(name, sequence=sequence, tlvs=tlvs)
