"""What is agreed for one session before it starts: role, window, timers and limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from chappe.smpp.states import Role


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
    send_deliver_on_tx: bool = False  # SMSC: allow deliver() on a transmitter bind, as NowSMS does
    first_sequence: int = 1
    # The peer's unanswered requests. Past it an SMSC answers RTHROTTLED and an ESME RX_T_APPN, both temporary; the
    # owner should stop reading well before. One read of 64 KiB can hold about a thousand requests.
    unanswered_max: int = 2000
    late_max: int = 1000  # timed-out requests that can still be answered late
    timeouts_max: int = 5  # response time-outs in a row before the session closes
    nacks_max: int = 3  # generic_nacks without a usable sequence before the session closes
    undecodable_max: int = 100  # unreadable PDUs in a row before the session closes
    pending_max: int = 4 * 1024 * 1024  # octets waiting for take() before the session closes: the peer does not read
