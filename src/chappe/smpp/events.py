"""What a Session tells its owner: small values, in the order in which the owner should act on them.

Event
+-- BindRequested    SMSC: the peer wants to bind; answer with Session.answer_bind
+-- Bound            ESME: the bind was accepted
+-- BindRefused      ESME: the bind was refused or not answered in time; the session closes
+-- Answer
|   +-- Answered     a request of ours has its answer
|   +-- AnsweredLate a request that had timed out has its answer after all
+-- Nacked           the peer sent generic_nack, for a request of ours or for nothing we know
+-- TimedOut         a request of ours got no answer in time; it is in doubt, and may still be answered late
+-- Received         a request of the peer; the owner answers it (outbind and alert_notification have no answer)
+-- EnquiryAnswered  our enquire_link has its answer: how long that took
+-- Congestion       SMPP 5.0: how congested the peer says it is
+-- Unbound          the session ends in good order: no new requests from now on
+-- Closed           the transport is gone; always the last event, exactly once
+-- Odd              something irregular that was survived, to be counted
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from chappe.smpp.pdu import BindRequest, Request, Response, decode
from chappe.smpp.states import Mode


class Reason(enum.StrEnum):
    """Why a session closed, when it was neither the transport nor the owner."""

    UNBOUND = "unbound"
    UNBOUND_BY_PEER = "unbound by peer"
    UNBIND_TIMEOUT = "unbind not answered"
    BIND_REFUSED = "bind refused"
    BIND_TIMEOUT = "bind not answered"
    SESSION_INIT_TIMEOUT = "no bind in time"
    PARTIAL_PDU_TIMEOUT = "PDU not completed in time"
    FRAMING_LOST = "what came is not SMPP"
    LINK_DEAD = "enquire_link not answered"
    INACTIVE = "inactive"
    RESPONSE_TIMEOUTS = "several requests not answered"
    NACKS = "several generic_nacks"
    UNDECODABLE = "many unreadable PDUs"
    OVERFLOW = "peer does not read"
    TRANSPORT_LOST = "the connection ended"


class Oddity(enum.StrEnum):
    """What Odd.reason can be."""

    FLAGGED = "flagged"  # a PDU was read with flags
    UNDECODABLE = "undecodable"  # a PDU was refused, since it cannot be read
    UNKNOWN_COMMAND = "unknown_command"
    NOT_ALLOWED = "not_allowed"  # a request outside of the state table, refused
    OVERLOAD = "overload"  # refused: too many requests of the peer are unanswered
    ENDING = "ending"  # refused: we have sent unbind
    SEQUENCE_REPEATED = "sequence_repeated"  # accepted nevertheless: a request with this number still waits
    SEQUENCE_ZERO = "sequence_zero"  # accepted nevertheless
    UNEXPECTED_RESPONSE = "unexpected_response"  # unknown sequence or wrong type, ignored
    NACK_WITHOUT_REQUEST = "nack_without_request"
    NACK_WITHOUT_STATUS = "nack_without_status"  # generic_nack with status 0: taken as RUNKNOWNERR
    TLVS_DROPPED = "tlvs_dropped"  # informative TLVs left out for a peer that takes none


@dataclass(slots=True, repr=False)
class Event:
    """The root of all events; `repr` shows only what may stand in a log."""

    def __repr__(self) -> str:
        shown = ("mode", "status", "sequence", "percent", "by_peer", "reason", "detail")
        told = "".join(f" {name}={getattr(self, name)}" for name in shown if hasattr(self, name))
        return f"<{type(self).__name__}{told}>"


@dataclass(slots=True, repr=False)
class BindRequested(Event):
    """The peer asks to bind as `mode`; `request` holds credentials and interface_version."""

    request: BindRequest
    mode: Mode
    sequence: int


@dataclass(slots=True, repr=False)
class Bound(Event):
    """Our bind was accepted; `peer_version` is None when the peer did not tell it."""

    mode: Mode
    system_id: bytes
    peer_version: int | None


@dataclass(slots=True, repr=False)
class BindRefused(Event):
    """Our bind was refused with `status`; None: no answer within the bind timer. The session is closing."""

    status: int | None


@dataclass(slots=True, repr=False)
class Answer(Event):
    """The answer to a request; `status` 0 means accepted, `message_id` is b"" where the answer has none, `frame` is the
    answer as it came."""

    context: object
    status: int
    sequence: int
    message_id: bytes
    frame: bytes

    @property
    def response(self) -> Response:
        """The whole answer, read when it is asked for: few want more than its id."""
        response = decode(self.frame)
        assert isinstance(response, Response)
        return response


@dataclass(slots=True, repr=False)
class Answered(Answer):
    """A request of ours has its answer in time."""


@dataclass(slots=True, repr=False)
class AnsweredLate(Answer):
    """The answer to a request whose TimedOut was already told."""


@dataclass(slots=True, repr=False)
class Nacked(Event):
    """generic_nack with `status`, which is never 0; `context` is None when it names no request of ours.

    `late`: the TimedOut of that request was already told.
    """

    context: object | None
    status: int
    sequence: int
    late: bool = False


@dataclass(slots=True, repr=False)
class TimedOut(Event):
    """No answer within response_s: whether the peer took the request is unknown (`in doubt`)."""

    context: object
    sequence: int


@dataclass(slots=True, repr=False)
class Received(Event):
    """A request of the peer, to be answered by `pdu.sequence`; `frame` is the PDU as it came, for storing it raw."""

    pdu: Request
    frame: bytes


@dataclass(slots=True, repr=False)
class EnquiryAnswered(Event):
    """Our enquire_link has its answer; `round_trip_s`: from the call that wrote it to the call that read the answer."""

    round_trip_s: float


@dataclass(slots=True, repr=False)
class Congestion(Event):
    """congestion_state of a response: 0 idle to 99 congested; from 90 slow down (SMPP 5.0, 4.8.4.18)."""

    percent: int


@dataclass(slots=True, repr=False)
class Unbound(Event):
    """An unbind began (by the peer) or was answered (by us): submit nothing more."""

    by_peer: bool


@dataclass(slots=True, repr=False)
class Closed(Event):
    """The transport is gone. `unsent`: contexts of requests that provably never left this machine whole;
    `outstanding`: contexts of requests written without an answer, so in doubt. Both in the order of sending."""

    reason: str
    outstanding: list[object]
    unsent: list[object]


@dataclass(slots=True, repr=False)
class Odd(Event):
    """An irregularity that was survived, to be counted; `detail` names commands, statuses and fields, never a value.

    `frame` holds the octets of a PDU that could not be read, for a redacted trace only.
    """

    reason: Oddity
    detail: str = ""
    frame: bytes = b""
