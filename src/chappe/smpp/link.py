"""The ground a session stands on: its state, what it writes, how it ends. `peer.py` and `session.py` build on it."""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import TypeVar

from chappe.smpp.commands import RESPONSE_BIT, CommandId
from chappe.smpp.events import (
    Event,
    Odd,
    Oddity,
    Reason,
)
from chappe.smpp.framer import Framer
from chappe.smpp.header import HEADER
from chappe.smpp.pdu import (
    BindReceiver,
    BindRequest,
    BindTransceiver,
    BindTransmitter,
    Pdu,
    Request,
    Response,
    Unbind,
)
from chappe.smpp.settings import Settings
from chappe.smpp.states import BINDS, BOUND, DELIVER_ON_TX, TRANSITIONS, Mode, Role, State
from chappe.smpp.tlv import INFORMATIVE, tag_name
from chappe.smpp.window import NEVER, Window

TLVS_SINCE = 0x34  # the first interface_version with optional parameters
BIND_PDUS: dict[Mode, type[BindRequest]] = {Mode.TX: BindTransmitter, Mode.RX: BindReceiver, Mode.TRX: BindTransceiver}
UNANSWERED_COMMANDS = frozenset({int(CommandId.OUTBIND), int(CommandId.ALERT_NOTIFICATION)})
# Those that the session asks and answers by itself, or through calls of their own.
_SESSION_COMMANDS = frozenset({*map(int, BINDS), int(CommandId.UNBIND), int(CommandId.ENQUIRE_LINK)})
AnyPdu = TypeVar("AnyPdu", bound=Pdu)


class SessionError(Exception):
    """The session cannot do what its owner asks now."""


class StateError(SessionError):
    """This is not allowed in the present state of the session."""


class WindowFull(SessionError):
    """The window has no free place: wait for an answer."""


class TlvsRefused(SessionError):
    """The peer takes no TLVs, and without them this PDU would mean something else."""


class Ending(enum.Enum):
    """How far the end in good order has come."""

    NO = enum.auto()
    DRAINING = enum.auto()  # unbind was asked for; answers are still due in either direction
    UNBINDING = enum.auto()  # our unbind is out, its answer is due
    UNBOUND_BY_PEER = enum.auto()  # the peer's unbind came; we answer it when what is due has come


class Link:
    """One end of a session, without what either side asks for."""

    __slots__ = (
        "_acceptable",
        "_asked_at",
        "_bind_asked",
        "_bind_sent",
        "_closing",
        "_ending",
        "_ending_at",
        "_enquiries",
        "_enquiry",
        "_framer",
        "_heard_at",
        "_nacks",
        "_noticed",
        "_now",
        "_out",
        "_partial_at",
        "_repeated",
        "_repeats",
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
        "answers_enquire_link",
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
        self.answers_enquire_link = True  # False: for an SMSC that has to misbehave in tests
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
        self._repeats: dict[int, list[int]] = {}  # command_ids of further ones under such a sequence, oldest first
        self._repeated = 0  # how many these are
        self._enquiries = 0  # our unanswered enquire_links since the peer was last heard
        self._enquiry = 0  # sequence of the last of them, sent at _asked_at
        self._bind_sent: tuple[int, Mode, float] | None = None  # ESME: sequence, mode, deadline
        self._bind_asked: tuple[int, BindRequest] | None = None  # SMSC: the bind that the owner has to answer
        self._unbind_sent = 0  # sequence of our unbind
        self._unbind_asked = 0  # sequence of the peer's unbind
        self._ending = Ending.NO
        self._ending_at = NEVER
        self._closing = False
        self._timeouts = 0  # in a row
        self._nacks = 0  # without a usable sequence
        self._undecodable = 0  # in a row
        self._tlvs_allowed = settings.interface_version >= TLVS_SINCE
        self._sendable: frozenset[int] = frozenset()  # command ids that we may ask for in this state
        self._acceptable: frozenset[int] = frozenset()  # command ids that the peer may ask for, and the owner answers
        self._noticed: list[Event] = []  # told with the next events
        self._enter(State.OPEN)

    # -- octets out

    def take(self) -> bytes:
        """Everything to write now, joined; b"" when there is nothing."""
        if not self._out:
            return b""
        octets = b"".join(self._out)
        self._out.clear()
        self._taken += len(octets)
        return octets

    @property
    def closing(self) -> bool:
        """Whether the transport is to be closed, after what take() gives is written."""
        return self._closing

    @property
    def bound(self) -> bool:
        """Whether the session is bound and not ending: requests are allowed."""
        return self.mode is not None and self._ending is Ending.NO and not self._closing

    @property
    def tlvs_allowed(self) -> bool:
        """Whether the peer takes optional parameters: both sides speak 3.4 or later, as far as it is told."""
        return self._tlvs_allowed

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
        return len(self._unanswered) + self._repeated

    @property
    def pending(self) -> int:
        """How many octets wait for take()."""
        return self._written - self._taken

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

    def _waiting(self, sequence: int, response_id: int = 0) -> int:
        """The command_id of the oldest request that waits under a number; of several kinds, that which the response
        answers."""
        command_id = self._unanswered.get(sequence)
        if command_id is None:
            raise StateError(f"no request waits with sequence {sequence}")
        if response_id and sequence in self._repeats:
            wanted = response_id & ~RESPONSE_BIT
            waiting = self._repeats[sequence]
            if command_id != wanted and wanted in waiting:
                waiting.remove(wanted)
                waiting.insert(0, command_id)
                self._unanswered[sequence] = command_id = wanted
        return command_id

    def _answered(self, sequence: int) -> None:
        del self._unanswered[sequence]
        if self._repeated:
            self._next_repeat(sequence)
        if self._ending is not Ending.NO:
            self._settle()

    def _next_repeat(self, sequence: int) -> None:
        """The next request under the same number waits now, if there is one."""
        waiting = self._repeats.get(sequence)
        if waiting:
            self._unanswered[sequence] = waiting.pop(0)
            self._repeated -= 1
            if not waiting:
                del self._repeats[sequence]

    def _respond(self, response: Response) -> None:
        if response.tlvs and not self._tlvs_allowed:
            response = self._without_tlvs(response)
        self._put(response.encode())

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

    # -- ending

    def close(self, reason: str = "closed by us") -> None:
        """Ends at once: closing is true from now on. The first reason stays."""
        if self._closing:
            return
        self._closing = True
        self.reason = reason
        self._sendable = frozenset()

    def _begin_ending(self, ending: Ending, timer_s: float) -> None:
        self._ending = ending
        self._ending_at = self._now + timer_s if timer_s else NEVER
        self._sendable = frozenset()

    def _settle(self) -> None:
        """Takes the next step to the end when no answer is due any more, in either direction."""
        if not self._closing and not self._window.sent and not self._unanswered:
            self._advance_ending()

    def _advance_ending(self) -> None:
        if self._ending is Ending.DRAINING:
            self._begin_ending(Ending.UNBINDING, self.settings.timers.unbind_s)
            self._unbind_sent = self._send_outside(Unbind(), self._now)
        elif self._ending is Ending.UNBOUND_BY_PEER:
            self._put(HEADER.pack(HEADER.size, CommandId.UNBIND | RESPONSE_BIT, 0, self._unbind_asked))
            self._enter(State.UNBOUND)
            self.close(Reason.UNBOUND_BY_PEER)

    def _odd(self, events: list[Event], reason: Oddity, detail: str = "", frame: bytes = b"") -> None:
        events.append(Odd(reason, detail, frame))
