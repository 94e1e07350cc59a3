"""What the peer answers and asks, and what a session makes of it."""

from __future__ import annotations

from chappe.smpp.commands import RESPONSE_BIT, CommandId, Status, command_name
from chappe.smpp.events import (
    Answered,
    AnsweredLate,
    BindRefused,
    BindRequested,
    Bound,
    Congestion,
    EnquiryAnswered,
    Event,
    Nacked,
    Oddity,
    Reason,
    Received,
    Unbound,
)
from chappe.smpp.header import HEADER
from chappe.smpp.pdu import (
    DECODERS,
    PDUS,
    RESPONSES,
    BindRequest,
    BindResponse,
    DecodeError,
    GenericNack,
    Pdu,
    Response,
)
from chappe.smpp.session_core import BIND_PDUS, TLVS_SINCE, UNANSWERED_COMMANDS, Core, Ending
from chappe.smpp.states import BINDS, TRANSITIONS, Role, State, refusal
from chappe.smpp.tlv import Tag

_ENQUIRE_LINK = int(CommandId.ENQUIRE_LINK)
_GENERIC_NACK = int(CommandId.GENERIC_NACK)
_SUBMIT_SM_RESP = int(CommandId.SUBMIT_SM) | RESPONSE_BIT
_PLAIN_OCTETS_MAX = HEADER.size + 65  # message_id with its NUL (SMPP 3.4, 4.4.2)
_WITH_MESSAGE_ID = frozenset(
    pdu.command_id for pdu in PDUS if issubclass(pdu, Response) and "message_id" in pdu.__dataclass_fields__
)


class Incoming:
    """Takes the peer's PDUs, one at a time, acts on the core, and appends what they mean to a list of events."""

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- what the peer answers

    def answer_received(
        self, context: object, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]
    ) -> None:
        self._core.timeouts = 0
        if (
            command_id == _SUBMIT_SM_RESP
            and not status
            and len(frame) <= _PLAIN_OCTETS_MAX
            and frame.find(0, HEADER.size) == len(frame) - 1
        ):
            # An id and nothing else, as nearly all answers are: there is nothing to decode, nothing to notice.
            events.append(Answered(context, 0, sequence, frame[HEADER.size : -1], frame))
            return
        response = DECODERS[command_id](frame, status, sequence)
        message_id = response.message_id if command_id in _WITH_MESSAGE_ID else b""  # type: ignore[attr-defined]
        events.append(Answered(context, status, sequence, message_id, frame))
        if response.tlvs or response.flags:
            self._notice(response, events)

    def other_response(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        core = self._core
        window = core.window
        if command_id == _GENERIC_NACK:
            self._nacked(status, sequence, events)
        elif core.bind_sent is not None and sequence == core.bind_sent[0]:
            self._bind_answered(command_id, status, sequence, frame, events)
        elif core.unbind_sent and sequence == core.unbind_sent and command_id == CommandId.UNBIND | RESPONSE_BIT:
            self._unbound(events)
        elif command_id == _ENQUIRE_LINK | RESPONSE_BIT and core.window.release(sequence):
            # Heard already, as any PDU; a status other than 0 is a sign of life as well.
            if sequence == core.enquiry:
                events.append(EnquiryAnswered(core.now - core.asked_at))
        else:
            late = window.late.get(sequence)
            if late is None or command_id != late[1]:
                core.odd(events, Oddity.UNEXPECTED_RESPONSE, command_name(command_id))
                return
            del window.late[sequence]
            core.timeouts = 0  # slow, not dead: a new session would only double what is on its way
            response = DECODERS[command_id](frame, status, sequence)
            message_id = getattr(response, "message_id", b"")
            events.append(AnsweredLate(late[0], status, sequence, message_id, frame))
            self._notice(response, events)

    def _nacked(self, status: int, sequence: int, events: list[Event]) -> None:
        core = self._core
        sent = core.window.sent.pop(sequence, None)
        late = core.window.late.pop(sequence, None) if sent is None else None
        if sent is not None or late is not None:
            core.timeouts = 0
            # It says that the request could not be read: whatever its status, that is no success.
            context = sent[0] if sent is not None else late[0]  # type: ignore[index]
            events.append(Nacked(context, status or Status.RUNKNOWNERR, sequence, late is not None))
            if not status:
                core.odd(events, Oddity.NACK_WITHOUT_STATUS)
        elif core.bind_sent is not None and sequence == core.bind_sent[0]:
            self._refused_bind(status or Status.RBINDFAIL, events)
        elif core.unbind_sent and sequence == core.unbind_sent:
            self._unbound(events)
        elif not core.window.release(sequence):
            # Of a request that we cannot tell: one of ours may be lost. Its own timer finds it, but a peer that
            # cannot read us again and again is better left.
            events.append(Nacked(None, status or Status.RUNKNOWNERR, sequence))
            core.odd(events, Oddity.NACK_WITHOUT_REQUEST, f"0x{status:08x}")
            core.nacks += 1
            if core.nacks >= core.settings.nacks_max:
                core.close(Reason.NACKS)

    def _bind_answered(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        core = self._core
        assert core.bind_sent is not None
        mode = core.bind_sent[1]
        if command_id != BIND_PDUS[mode].command_id | RESPONSE_BIT:
            core.odd(events, Oddity.UNEXPECTED_RESPONSE, command_name(command_id))
            return
        response = DECODERS[command_id](frame, status, sequence)
        assert isinstance(response, BindResponse)
        if status:
            self._refused_bind(status, events)
        elif not core.closing:
            core.window.release(sequence)
            core.bind_sent = None
            # Many 3.4 peers leave the TLV out: then what we asked for holds.
            core.peer_version = response.tlv_int(Tag.SC_INTERFACE_VERSION)
            ours = core.settings.interface_version
            core.tlvs_allowed = min(ours if core.peer_version is None else core.peer_version, ours) >= TLVS_SINCE
            core.bind_to(mode)
            events.append(Bound(mode, response.system_id, core.peer_version))
        self._notice(response, events)

    def _refused_bind(self, status: int, events: list[Event]) -> None:
        core = self._core
        assert core.bind_sent is not None
        core.window.release(core.bind_sent[0])
        core.bind_sent = None
        events.append(BindRefused(status))
        core.close(Reason.BIND_REFUSED)

    def _notice(self, response: Pdu, events: list[Event]) -> None:
        core = self._core
        if response.flags:
            core.odd(events, Oddity.FLAGGED, f"{response.name} {' '.join(response.flags)}")
        congestion = response.tlv(Tag.CONGESTION_STATE)
        if congestion is not None and len(congestion) == 1:
            events.append(Congestion(min(congestion[0], 100)))

    # -- what the peer asks

    def request_received(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        core = self._core
        unanswered = core.unanswered
        waiting = unanswered.commands
        if (
            core.ending is not Ending.NO
            or not sequence
            or sequence in waiting
            or len(waiting) + unanswered.repeated >= core.settings.unanswered_max
        ):
            refused = self._admit(command_id, sequence, events)
            if refused:
                self._refuse(command_id, sequence, refused)
                return
        try:
            pdu = DECODERS[command_id](frame, status, sequence)
        except DecodeError as error:
            self._unreadable(error, frame, events)
            return
        core.undecodable = 0
        if pdu.flags:
            core.odd(events, Oddity.FLAGGED, f"{pdu.name} {' '.join(pdu.flags)}")
        if command_id not in UNANSWERED_COMMANDS:
            if sequence in waiting:
                unanswered.repeat(sequence, command_id)
            else:
                waiting[sequence] = command_id
        elif command_id == CommandId.OUTBIND:
            core.enter(State.OUTBOUND)
        events.append(Received(pdu, frame))  # type: ignore[arg-type]  # the state table has requests only

    def other_request(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        core = self._core
        if command_id == _ENQUIRE_LINK:
            if core.answers_enquire_link:
                core.output.put(HEADER.pack(HEADER.size, _ENQUIRE_LINK | RESPONSE_BIT, 0, sequence))
        elif command_id not in RESPONSES and command_id not in UNANSWERED_COMMANDS:
            core.odd(events, Oddity.UNKNOWN_COMMAND, command_name(command_id))
            core.output.put(GenericNack(sequence=sequence, status=Status.RINVCMDID).encode())
        elif (core.state, core.peer_role, command_id) not in TRANSITIONS or core.bind_asked is not None:
            core.odd(events, Oddity.NOT_ALLOWED, f"{command_name(command_id)} in {core.state.value}")
            is_second = core.bind_asked is not None and command_id in BINDS
            self._refuse(command_id, sequence, Status.RALYBND if is_second else refusal(core.state, command_id))
        elif command_id == CommandId.UNBIND:
            self._unbind_received(sequence, events)
        else:
            assert command_id in BINDS
            self._bind_received(command_id, status, sequence, frame, events)

    def _bind_received(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        core = self._core
        try:
            pdu = DECODERS[command_id](frame, status, sequence)
        except DecodeError as error:
            self._unreadable(error, frame, events)
            return
        assert isinstance(pdu, BindRequest)
        if pdu.flags:
            core.odd(events, Oddity.FLAGGED, f"{pdu.name} {' '.join(pdu.flags)}")
        core.bind_asked = (sequence, pdu)
        events.append(BindRequested(pdu, BINDS[command_id], sequence))

    def _admit(self, command_id: int, sequence: int, events: list[Event]) -> int:
        """The command_status with which an allowed request must be refused now, or 0."""
        core = self._core
        is_smsc = core.settings.role is Role.SMSC
        if core.ending is Ending.UNBINDING or core.ending is Ending.UNBOUND_BY_PEER:
            # After an unbind in either direction our answer might not reach the peer any more, and then what we took
            # would come twice.
            core.odd(events, Oddity.ENDING, command_name(command_id))
            return Status.RINVBNDSTS if is_smsc else Status.RX_T_APPN
        if len(core.unanswered) >= core.settings.unanswered_max:
            # Both statuses say `later`: the peer keeps the message.
            core.odd(events, Oddity.OVERLOAD, command_name(command_id))
            return Status.RTHROTTLED if is_smsc else Status.RX_T_APPN
        if sequence in core.unanswered.commands:
            # Some carriers give all their requests the number 0, or the same one. Answers go out in order of arrival.
            core.odd(events, Oddity.SEQUENCE_REPEATED, command_name(command_id))
        if not sequence:
            core.odd(events, Oddity.SEQUENCE_ZERO, command_name(command_id))
        return 0

    def _unreadable(self, error: DecodeError, frame: bytes, events: list[Event]) -> None:
        core = self._core
        core.odd(events, Oddity.UNDECODABLE, f"{command_name(error.command_id)}: {error}", frame)
        self._refuse(error.command_id, error.sequence, error.status)
        core.undecodable += 1
        if core.undecodable >= core.settings.undecodable_max:
            core.close(Reason.UNDECODABLE)

    def _refuse(self, command_id: int, sequence: int, status: int) -> None:
        core = self._core
        response_type = RESPONSES.get(command_id)
        if response_type is not None:
            core.output.put(response_type(sequence=sequence, status=status).encode())

    def lose_framing(self) -> None:
        core = self._core
        if core.reason == Reason.FRAMING_LOST:
            return
        header = core.framer.lost_header
        # A header that names a command we know is believed as far as its number goes; anything else is noise.
        sequence = header[3] if header and header[1] in RESPONSES else 0
        if not core.closing:
            core.output.put(GenericNack(sequence=sequence, status=Status.RINVCMDLEN).encode())
        core.close(Reason.FRAMING_LOST)

    def _unbind_received(self, sequence: int, events: list[Event]) -> None:
        core = self._core
        if core.ending is Ending.UNBINDING or core.ending is Ending.UNBOUND_BY_PEER:
            # Both asked at once, or the peer asks again: there is nothing more to wait for.
            core.output.put(HEADER.pack(HEADER.size, CommandId.UNBIND | RESPONSE_BIT, 0, sequence))
            return
        core.unbind_asked = sequence
        core.begin_ending(Ending.UNBOUND_BY_PEER, core.settings.timers.unbind_peer_s)
        events.append(Unbound(by_peer=True))

    def _unbound(self, events: list[Event]) -> None:
        core = self._core
        core.unbind_sent = 0
        core.enter(State.UNBOUND)
        events.append(Unbound(by_peer=False))
        core.close(Reason.UNBOUND)
