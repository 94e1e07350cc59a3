"""One SMPP bind as a state machine without I/O, for both roles: octets and `now` in; octets, events and a deadline out.

How an owner drives it, once per turn of its loop:

    events = session.receive(data, now)      # or session.expire(now) when now >= session.deadline
    ...                                      # act on the events: answer, submit, ...
    transport.write(session.take())          # everything at once
    if session.closing: transport.close()    # after what was taken is written
    events = session.lost(now, unsent)       # once, when the transport is gone for whatever reason

`now` is monotonic seconds, any origin, never decreasing. No call raises for anything the peer does; `SessionError` and
`EncodeError` are the owner's own mistakes, and leave the session as it was.

SessionError
+-- StateError       this request is not allowed now (not bound, wrong role, unbinding, closed, unknown sequence)
+-- WindowFull       no free place in the window; see Session.free
+-- TlvsRefused      the peer takes no TLVs (interface_version below 0x34) and these change what the message means
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chappe.smpp.events import Event
from chappe.smpp.pdu import DeliverSm, Pdu, Request, Response, SubmitSm, Tlvs
from chappe.smpp.states import Mode, Role, State


class SessionError(Exception):
    """The session cannot do what its owner asks now."""


class StateError(SessionError):
    """This is not allowed in the present state of the session."""


class WindowFull(SessionError):
    """The window has no free place: wait for an answer."""


class TlvsRefused(SessionError):
    """The peer takes no TLVs, and without them this PDU would mean something else."""


@dataclass(frozen=True, slots=True)
class Timers:
    """The timers of a session in seconds; 0 disables one."""

    bind_s: float = 30.0  # ESME: from bind to its answer
    session_init_s: float = 10.0  # from the transport's start to a bind request (SMSC), or to our bind() (ESME)
    response_s: float = 60.0  # from a request to its answer
    enquire_link_s: float = 30.0  # silence of the peer before we ask; two unanswered: the link is dead
    inactivity_s: float = 300.0  # silence of the peer before we close; matters when enquire_link_s is 0
    partial_pdu_s: float = 10.0  # from the first octet of a PDU to its last
    unbind_s: float = 10.0  # drain before our unbind, and again from unbind to its answer
    unbind_peer_s: float = 2.0  # how long our answer to the peer's unbind waits for answers that are still due


@dataclass(frozen=True, slots=True)
class Settings:
    """What is agreed for one session. Every count is a limit on memory."""

    role: Role
    window: int = 10  # our unanswered requests: submits of an ESME, deliveries of an SMSC
    timers: Timers = field(default_factory=Timers)
    interface_version: int = 0x34  # what we tell the peer
    pdu_length_max: int = 65536
    accept_deliver_on_tx: bool = True  # ESME: take receipts on a transmitter bind
    system_id: bytes = b""  # SMSC: what bind answers carry unless answer_bind says otherwise
    # The peer's unanswered requests. Past it an SMSC answers RTHROTTLED and an ESME RX_T_APPN, both temporary; the owner
    # should stop reading well before. One read of 64 KiB can hold about a thousand requests.
    unanswered_max: int = 2000
    late_max: int = 1000  # timed-out requests that can still be answered late
    timeouts_max: int = 5  # response time-outs in a row before the session closes
    nacks_max: int = 3  # generic_nacks without a usable sequence before the session closes
    undecodable_max: int = 100  # unreadable PDUs in a row before the session closes
    pending_max: int = 4 * 1024 * 1024  # octets waiting for take() before the session closes: the peer does not read


class Session:
    """One session from the transport's start to its end."""

    def __init__(self, settings: Settings, now: float) -> None:
        self.settings = settings
        self.state: State = State.OPEN
        self.mode: Mode | None = None
        self.peer_version: int | None = None  # interface_version of the peer once bound; None: not told
        self.reason: str = ""  # why the session is closing; one of REASONS

    # -- octets and time

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Event]:
        """What these octets mean, in any chunking. Answers to our requests come before the peer's requests, so that an id
        is known before a receipt that came in the same segment."""
        raise NotImplementedError

    def take(self) -> bytes:
        """Everything to write now, joined; b"" when there is nothing."""
        raise NotImplementedError

    def expire(self, now: float) -> list[Event]:
        """Acts on the timers that are due; call when now >= deadline, harmless at any other time."""
        raise NotImplementedError

    def lost(self, now: float, unsent: int = 0) -> list[Event]:
        """The transport is gone: one Closed event, the first time. `unsent`: how many octets, at the end of all that was
        taken, the transport never gave to the kernel (its write buffer)."""
        raise NotImplementedError

    @property
    def deadline(self) -> float | None:
        """When expire() must be called at the latest; None when no timer runs."""
        raise NotImplementedError

    @property
    def closing(self) -> bool:
        """Whether the transport is to be closed, after what take() gives is written."""
        raise NotImplementedError

    @property
    def bound(self) -> bool:
        """Whether the session is bound and not ending: requests are allowed."""
        raise NotImplementedError

    @property
    def free(self) -> int:
        """How many requests the window takes now; 0 when not bound or ending."""
        raise NotImplementedError

    @property
    def outstanding(self) -> int:
        """How many of our requests wait for their answer."""
        raise NotImplementedError

    @property
    def unanswered(self) -> int:
        """How many requests of the peer wait for our answer; the measure for back-pressure."""
        raise NotImplementedError

    @property
    def pending(self) -> int:
        """How many octets wait for take()."""
        raise NotImplementedError

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
        raise NotImplementedError

    def outbind(self, system_id: bytes, password: bytes, now: float) -> int:
        """SMSC: asks the ESME to bind as receiver. BindRequested may follow within session_init_s."""
        raise NotImplementedError

    def submit(self, pdu: SubmitSm, context: object, now: float) -> int:
        """ESME: sends a submit_sm; `context` comes back in Answered, Nacked, TimedOut or Closed. Sets pdu.sequence."""
        raise NotImplementedError

    def deliver(self, pdu: DeliverSm, context: object, now: float) -> int:
        """SMSC: sends a deliver_sm; as submit."""
        raise NotImplementedError

    def request(self, pdu: Request, context: object, now: float) -> int:
        """Sends any other request of the state table (data_sm, query_sm, cancel_sm, submit_multi, ...); as submit.
        alert_notification has no answer and takes no place in the window. Binding and unbinding have their own calls."""
        raise NotImplementedError

    def unbind(self, now: float) -> None:
        """Ends in good order: no new requests; what is outstanding or unanswered gets unbind_s to settle, then unbind goes
        out, and the session closes on its answer or after another unbind_s. Before a bind it just closes."""
        raise NotImplementedError

    def close(self, reason: str = "closed by us") -> None:
        """Ends at once: closing is true from now on."""
        raise NotImplementedError

    # -- answers to the peer's requests. All return False, writing nothing, when the session has ended meanwhile; and raise
    # StateError when no such request waits.

    def answer_bind(self, sequence: int, status: int = 0, system_id: bytes | None = None) -> bool:
        """SMSC: accepts (0) or refuses a BindRequested. A refused peer may try again until session_init_s is over."""
        raise NotImplementedError

    def answer_submit(self, sequence: int, status: int = 0, message_id: bytes = b"", tlvs: Tlvs = ()) -> bool:
        """Answers a submit_sm (or submit_multi, data_sm, broadcast_sm) with an id, or with an error status without one."""
        raise NotImplementedError

    def answer(self, sequence: int, status: int = 0, response: Response | None = None) -> bool:
        """Answers any request. `response` gives the body where it has fields; its sequence and status are set here."""
        raise NotImplementedError

    def forget(self, sequence: int) -> None:
        """Drops a received request without ever answering it; for an SMSC that has to misbehave in tests."""
        raise NotImplementedError

    def inject(self, octets: bytes) -> None:
        """Writes octets as they are; for an SMSC that has to misbehave in tests."""
        raise NotImplementedError


__all__ = ["Mode", "Pdu", "Role", "Session", "SessionError", "Settings", "State", "StateError", "Timers", "WindowFull"]
