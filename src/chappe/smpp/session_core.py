"""What both halves of a session share: its state, what it writes, what waits for an answer of ours, how it ends.

`session.Session` asks and answers, `peer.Incoming` reacts to what the other side sends; both act on one `Core`.
"""

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
from chappe.smpp.outstanding_requests import NEVER, Window
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


class Output:
    """The octets that wait for the owner's write, and how many there ever were."""

    __slots__ = ("pieces", "taken", "written")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.written = 0  # octets ever put
        self.taken = 0  # octets ever given by take()

    def put(self, octets: bytes) -> None:
        self.pieces.append(octets)
        self.written += len(octets)

    def take(self) -> bytes:
        """Everything that waits, joined; b"" when there is nothing."""
        if not self.pieces:
            return b""
        octets = b"".join(self.pieces)
        self.pieces.clear()
        self.taken += len(octets)
        return octets

    def drop(self) -> None:
        """Forgets what waits: the peer does not read."""
        self.pieces.clear()
        self.written = self.taken


class Unanswered:
    """The peer's requests that wait for our answer. The peer numbers them; several may have one number, which are
    answered in the order in which they came."""

    __slots__ = ("_repeats", "commands", "repeated")

    def __init__(self) -> None:
        self.commands: dict[int, int] = {}  # sequence -> command_id of the oldest request under it
        self._repeats: dict[int, list[int]] = {}  # command_ids of further ones, oldest first
        self.repeated = 0  # how many these are

    def __len__(self) -> int:
        return len(self.commands) + self.repeated

    def repeat(self, sequence: int, command_id: int) -> None:
        """One more request under a number that waits already; the first of a number goes into `commands`."""
        self._repeats.setdefault(sequence, []).append(command_id)
        self.repeated += 1

    def command(self, sequence: int, response_id: int = 0) -> int:
        """The command_id of the request that is answered now: the oldest under a number, or of several kinds the oldest
        that the response answers. Raises StateError when none waits."""
        command_id = self.commands.get(sequence)
        if command_id is None:
            raise StateError(f"no request waits with sequence {sequence}")
        if response_id and sequence in self._repeats:
            wanted = response_id & ~RESPONSE_BIT
            waiting = self._repeats[sequence]
            if command_id != wanted and wanted in waiting:
                waiting.remove(wanted)
                waiting.insert(0, command_id)
                self.commands[sequence] = command_id = wanted
        return command_id

    def settle(self, sequence: int) -> None:
        """The oldest request under a number waits no more; nothing when there is none."""
        if self.commands.pop(sequence, None) is not None and self.repeated:
            waiting = self._repeats.get(sequence)
            if waiting:
                self.commands[sequence] = waiting.pop(0)
                self.repeated -= 1
                if not waiting:
                    del self._repeats[sequence]

    def clear(self) -> None:
        self.commands.clear()
        self._repeats.clear()
        self.repeated = 0


class Core:
    """One end of a session, without what either side asks for."""

    __slots__ = (
        "acceptable",
        "answers_enquire_link",
        "asked_at",
        "bind_asked",
        "bind_sent",
        "closing",
        "ending",
        "ending_at",
        "enquiries",
        "enquiry",
        "framer",
        "heard_at",
        "mode",
        "nacks",
        "noticed",
        "now",
        "output",
        "partial_at",
        "peer_version",
        "reason",
        "sendable",
        "settings",
        "started_at",
        "state",
        "timeouts",
        "tlvs_allowed",
        "unanswered",
        "unbind_asked",
        "unbind_sent",
        "undecodable",
        "window",
    )

    def __init__(self, settings: Settings, now: float) -> None:
        self.settings = settings
        self.state = State.OPEN
        self.mode: Mode | None = None
        self.peer_version: int | None = None  # interface_version of the peer once bound; None: not told
        self.answers_enquire_link = True
        self.reason: str = ""  # why the session is closing: a Reason, or what close() was given
        self.now = now
        self.started_at = now
        self.heard_at = now  # the last whole PDU of the peer
        self.asked_at = now  # our last enquire_link
        self.partial_at = now  # when the PDU began that is not complete yet
        self.framer = Framer(settings.pdu_length_max)
        self.output = Output()
        self.window = Window(settings.window, settings.late_max, settings.first_sequence)
        self.unanswered = Unanswered()
        self.enquiries = 0  # our unanswered enquire_links since the peer was last heard
        self.enquiry = 0  # sequence of the last of them, sent at asked_at
        self.bind_sent: tuple[int, Mode, float] | None = None  # ESME: sequence, mode, deadline
        self.bind_asked: tuple[int, BindRequest] | None = None  # SMSC: the bind that the owner has to answer
        self.unbind_sent = 0  # sequence of our unbind
        self.unbind_asked = 0  # sequence of the peer's unbind
        self.ending = Ending.NO
        self.ending_at = NEVER
        self.closing = False
        self.timeouts = 0  # in a row
        self.nacks = 0  # without a usable sequence
        self.undecodable = 0  # in a row
        self.tlvs_allowed = settings.interface_version >= TLVS_SINCE
        self.sendable: frozenset[int] = frozenset()  # command ids that we may ask for in this state
        self.acceptable: frozenset[int] = frozenset()  # command ids that the peer may ask for, and the owner answers
        self.noticed: list[Event] = []  # told with the next events
        self.enter(State.OPEN)

    @property
    def bound(self) -> bool:
        """Whether the session is bound and not ending: requests are allowed."""
        return self.mode is not None and self.ending is Ending.NO and not self.closing

    # -- writing

    def send_outside(self, pdu: Request, now: float) -> int:
        """Sends a request that takes no place in the window."""
        self.now = now
        pdu.sequence = sequence = self.window.reserve()
        try:
            self.output.put(pdu.encode())
        except ValueError:
            self.window.release(sequence)
            raise
        return sequence

    def without_tlvs(self, pdu: AnyPdu) -> AnyPdu:
        """For a peer without optional parameters: the PDU without those that only inform. A TLV that makes the message
        what it is (a payload, a port, a segment number) is never dropped in silence. Answers can lose all of theirs."""
        if not isinstance(pdu, Response):
            for tag, _ in pdu.tlvs:
                if tag not in INFORMATIVE:
                    raise TlvsRefused(f"the peer takes no TLVs, and {tag_name(tag)} cannot be left out")
        self.odd(self.noticed, Oddity.TLVS_DROPPED, f"{pdu.name} {' '.join(tag_name(tag) for tag, _ in pdu.tlvs)}")
        return replace(pdu, tlvs=())

    def answered(self, sequence: int) -> None:
        """The oldest request of the peer under this number has its answer."""
        unanswered = self.unanswered
        if unanswered.repeated:
            unanswered.settle(sequence)
        else:
            del unanswered.commands[sequence]
        if self.ending is not Ending.NO:
            self.settle()

    def respond(self, response: Response) -> None:
        if response.tlvs and not self.tlvs_allowed:
            response = self.without_tlvs(response)
        self.output.put(response.encode())

    # -- states

    def enter(self, state: State) -> None:
        self.state = state
        role = self.settings.role
        sendable = {command for at, asker, command in TRANSITIONS if at is state and asker is role}
        acceptable = {command for at, asker, command in TRANSITIONS if at is state and asker is not role}
        if state is State.BOUND_TX:
            if role is Role.ESME and self.settings.accept_deliver_on_tx:
                acceptable |= DELIVER_ON_TX
            if role is Role.SMSC and self.settings.send_deliver_on_tx:
                sendable |= DELIVER_ON_TX
        self.sendable = frozenset(sendable - _SESSION_COMMANDS - {CommandId.OUTBIND})
        self.acceptable = frozenset(acceptable - _SESSION_COMMANDS)

    def bind_to(self, mode: Mode) -> None:
        self.mode = mode
        self.asked_at = self.now
        self.enter(BOUND[mode])

    @property
    def peer_role(self) -> Role:
        return Role.ESME if self.settings.role is Role.SMSC else Role.SMSC

    # -- ending

    def close(self, reason: str = "closed by us") -> None:
        """Ends at once: closing is true from now on. The first reason stays."""
        if self.closing:
            return
        self.closing = True
        self.reason = reason
        self.sendable = frozenset()

    def begin_ending(self, ending: Ending, timer_s: float) -> None:
        self.ending = ending
        self.ending_at = self.now + timer_s if timer_s else NEVER
        self.sendable = frozenset()

    def settle(self) -> None:
        """Takes the next step to the end when no answer is due any more, in either direction."""
        if not self.closing and not self.window.sent and not self.unanswered.commands:
            self.advance_ending()

    def advance_ending(self) -> None:
        if self.ending is Ending.DRAINING:
            self.begin_ending(Ending.UNBINDING, self.settings.timers.unbind_s)
            self.unbind_sent = self.send_outside(Unbind(), self.now)
        elif self.ending is Ending.UNBOUND_BY_PEER:
            self.output.put(HEADER.pack(HEADER.size, CommandId.UNBIND | RESPONSE_BIT, 0, self.unbind_asked))
            self.enter(State.UNBOUND)
            self.close(Reason.UNBOUND_BY_PEER)

    def odd(self, events: list[Event], reason: Oddity, detail: str = "", frame: bytes = b"") -> None:
        events.append(Odd(reason, detail, frame))
