"""What the peer answers and asks, and what a session makes of it: the half of `session.Session` that reacts to PDUs."""

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
from chappe.smpp.link import BIND_PDUS, TLVS_SINCE, UNANSWERED_COMMANDS, Ending, Link
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
from chappe.smpp.states import BINDS, TRANSITIONS, Role, State, refusal
from chappe.smpp.tlv import Tag

_ENQUIRE_LINK = int(CommandId.ENQUIRE_LINK)
_GENERIC_NACK = int(CommandId.GENERIC_NACK)
_SUBMIT_SM_RESP = int(CommandId.SUBMIT_SM) | RESPONSE_BIT
_PLAIN_OCTETS_MAX = HEADER.size + 65  # message_id with its NUL (SMPP 3.4, 4.4.2)
_WITH_MESSAGE_ID = frozenset(
    pdu.command_id for pdu in PDUS if issubclass(pdu, Response) and "message_id" in pdu.__dataclass_fields__
)


class Peer(Link):
    """A link that takes the peer's PDUs, one at a time, and appends what they mean to a list of events."""

    __slots__ = ()

    # -- what the peer answers

    def _answer_received(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        context = self._window.sent.pop(sequence)[0]
        self._timeouts = 0
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

    def _other_response(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        window = self._window
        if command_id == _GENERIC_NACK:
            self._nacked(status, sequence, events)
        elif self._bind_sent is not None and sequence == self._bind_sent[0]:
            self._bind_answered(command_id, status, sequence, frame, events)
        elif self._unbind_sent and sequence == self._unbind_sent and command_id == CommandId.UNBIND | RESPONSE_BIT:
            self._unbound(events)
        elif command_id == _ENQUIRE_LINK | RESPONSE_BIT and self._window.release(sequence):
            # Heard already, as any PDU; a status other than 0 is a sign of life as well.
            if sequence == self._enquiry:
                events.append(EnquiryAnswered(self._now - self._asked_at))
        else:
            late = window.late.get(sequence)
            if late is None or command_id != late[1]:
                self._odd(events, Oddity.UNEXPECTED_RESPONSE, command_name(command_id))
                return
            del window.late[sequence]
            self._timeouts = 0  # slow, not dead: a new session would only double what is on its way
            response = DECODERS[command_id](frame, status, sequence)
            message_id = getattr(response, "message_id", b"")
            events.append(AnsweredLate(late[0], status, sequence, message_id, frame))
            self._notice(response, events)

    def _nacked(self, status: int, sequence: int, events: list[Event]) -> None:
        sent = self._window.sent.pop(sequence, None)
        late = self._window.late.pop(sequence, None) if sent is None else None
        if sent is not None or late is not None:
            self._timeouts = 0
            # It says that the request could not be read: whatever its status, that is no success.
            context = sent[0] if sent is not None else late[0]  # type: ignore[index]
            events.append(Nacked(context, status or Status.RUNKNOWNERR, sequence, late is not None))
            if not status:
                self._odd(events, Oddity.NACK_WITHOUT_STATUS)
        elif self._bind_sent is not None and sequence == self._bind_sent[0]:
            self._refused_bind(status or Status.RBINDFAIL, events)
        elif self._unbind_sent and sequence == self._unbind_sent:
            self._unbound(events)
        elif not self._window.release(sequence):
            # Of a request that we cannot tell: one of ours may be lost. Its own timer finds it, but a peer that
            # cannot read us again and again is better left.
            events.append(Nacked(None, status or Status.RUNKNOWNERR, sequence))
            self._odd(events, Oddity.NACK_WITHOUT_REQUEST, f"0x{status:08x}")
            self._nacks += 1
            if self._nacks >= self.settings.nacks_max:
                self.close(Reason.NACKS)

    def _bind_answered(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        assert self._bind_sent is not None
        mode = self._bind_sent[1]
        if command_id != BIND_PDUS[mode].command_id | RESPONSE_BIT:
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
            self._tlvs_allowed = min(ours if self.peer_version is None else self.peer_version, ours) >= TLVS_SINCE
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
            self._ending is not Ending.NO
            or not sequence
            or sequence in unanswered
            or len(unanswered) + self._repeated >= self.settings.unanswered_max
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
        self._undecodable = 0
        if pdu.flags:
            self._odd(events, Oddity.FLAGGED, f"{pdu.name} {' '.join(pdu.flags)}")
        if command_id not in UNANSWERED_COMMANDS:
            if sequence in unanswered:
                self._repeats.setdefault(sequence, []).append(command_id)
                self._repeated += 1
            else:
                unanswered[sequence] = command_id
        elif command_id == CommandId.OUTBIND:
            self._enter(State.OUTBOUND)
        events.append(Received(pdu, frame))  # type: ignore[arg-type]  # the state table has requests only

    def _other_request(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        if command_id == _ENQUIRE_LINK:
            if self.answers_enquire_link:
                self._put(HEADER.pack(HEADER.size, _ENQUIRE_LINK | RESPONSE_BIT, 0, sequence))
        elif command_id not in RESPONSES and command_id not in UNANSWERED_COMMANDS:
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
            self._bind_received(command_id, status, sequence, frame, events)

    def _bind_received(self, command_id: int, status: int, sequence: int, frame: bytes, events: list[Event]) -> None:
        try:
            pdu = DECODERS[command_id](frame, status, sequence)
        except DecodeError as error:
            self._unreadable(error, frame, events)
            return
        assert isinstance(pdu, BindRequest)
        if pdu.flags:
            self._odd(events, Oddity.FLAGGED, f"{pdu.name} {' '.join(pdu.flags)}")
        self._bind_asked = (sequence, pdu)
        events.append(BindRequested(pdu, BINDS[command_id], sequence))

    def _admit(self, command_id: int, sequence: int, events: list[Event]) -> int:
        """The command_status with which an allowed request must be refused now, or 0."""
        is_smsc = self.settings.role is Role.SMSC
        if self._ending is Ending.UNBINDING or self._ending is Ending.UNBOUND_BY_PEER:
            # After an unbind in either direction our answer might not reach the peer any more, and then what we took
            # would come twice.
            self._odd(events, Oddity.ENDING, command_name(command_id))
            return Status.RINVBNDSTS if is_smsc else Status.RX_T_APPN
        if len(self._unanswered) + self._repeated >= self.settings.unanswered_max:
            # Both statuses say `later`: the peer keeps the message.
            self._odd(events, Oddity.OVERLOAD, command_name(command_id))
            return Status.RTHROTTLED if is_smsc else Status.RX_T_APPN
        if sequence in self._unanswered:
            # Some carriers give all their requests the number 0, or the same one. Answers go out in order of arrival.
            self._odd(events, Oddity.SEQUENCE_REPEATED, command_name(command_id))
        if not sequence:
            self._odd(events, Oddity.SEQUENCE_ZERO, command_name(command_id))
        return 0

    def _unreadable(self, error: DecodeError, frame: bytes, events: list[Event]) -> None:
        self._odd(events, Oddity.UNDECODABLE, f"{command_name(error.command_id)}: {error}", frame)
        self._refuse(error.command_id, error.sequence, error.status)
        self._undecodable += 1
        if self._undecodable >= self.settings.undecodable_max:
            self.close(Reason.UNDECODABLE)

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

    def _unbind_received(self, sequence: int, events: list[Event]) -> None:
        if self._ending is Ending.UNBINDING or self._ending is Ending.UNBOUND_BY_PEER:
            # Both asked at once, or the peer asks again: there is nothing more to wait for.
            self._put(HEADER.pack(HEADER.size, CommandId.UNBIND | RESPONSE_BIT, 0, sequence))
            return
        self._unbind_asked = sequence
        self._begin_ending(Ending.UNBOUND_BY_PEER, self.settings.timers.unbind_peer_s)
        events.append(Unbound(by_peer=True))

    def _unbound(self, events: list[Event]) -> None:
        self._unbind_sent = 0
        self._enter(State.UNBOUND)
        events.append(Unbound(by_peer=False))
        self.close(Reason.UNBOUND)
