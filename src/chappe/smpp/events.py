"""What a Session tells its owner: small values, in the order in which the owner should act on them.

Event
+-- BindRequested    SMSC: the peer wants to bind; answer with Session.answer_bind
+-- Bound            ESME: the bind was accepted
+-- BindRefused      ESME: the bind was refused or not answered in time; the session closes
+-- Answered         a request of ours has its answer
+-- AnsweredLate     a request that had timed out has its answer after all
+-- Nacked           the peer sent generic_nack, for a request of ours or for nothing we know
+-- TimedOut         a request of ours got no answer in time; it is in doubt, and may still be answered late
+-- Received         a request of the peer; the owner answers it (outbind and alert_notification have no answer)
+-- Congestion       SMPP 5.0: how congested the peer says it is
+-- Unbound          the session ends in good order: no new requests from now on
+-- Closed           the transport is gone; always the last event, exactly once
+-- Odd              something irregular that was survived, to be counted
"""

from __future__ import annotations

from dataclasses import dataclass

from chappe.smpp.pdu import BindRequest, Pdu, Request, Response
from chappe.smpp.states import Mode


@dataclass(slots=True)
class Event:
    """The root of all events."""


@dataclass(slots=True)
class BindRequested(Event):
    """The peer asks to bind as `mode`; `request` holds credentials and interface_version."""

    request: BindRequest
    mode: Mode
    sequence: int


@dataclass(slots=True)
class Bound(Event):
    """Our bind was accepted; `peer_version` is None when the peer did not tell it."""

    mode: Mode
    system_id: bytes
    peer_version: int | None


@dataclass(slots=True)
class BindRefused(Event):
    """Our bind was refused with `status`; None: no answer within the bind timer. The session is closing."""

    status: int | None


@dataclass(slots=True)
class Answered(Event):
    """The answer to a request; `status` 0 means accepted, `message_id` is b"" where the answer has none."""

    context: object
    request: Request
    status: int
    response: Response
    sequence: int
    message_id: bytes


@dataclass(slots=True)
class AnsweredLate(Event):
    """Like Answered, for a request whose TimedOut was already told."""

    context: object
    request: Request
    status: int
    response: Response
    sequence: int
    message_id: bytes


@dataclass(slots=True)
class Nacked(Event):
    """generic_nack with `status`; `context` and `request` are None when it names no request of ours."""

    context: object | None
    request: Request | None
    status: int
    sequence: int


@dataclass(slots=True)
class TimedOut(Event):
    """No answer within response_s: whether the peer took the request is unknown (`in doubt`)."""

    context: object
    request: Request
    sequence: int


@dataclass(slots=True)
class Received(Event):
    """A request of the peer, to be answered by `pdu.sequence`; `frame` is the PDU as it came, for storing it raw."""

    pdu: Request
    frame: bytes


@dataclass(slots=True)
class Congestion(Event):
    """congestion_state of a response: 0 idle to 100 congested; from 90 slow down (SMPP 5.0, 4.8.4.18)."""

    percent: int


@dataclass(slots=True)
class Unbound(Event):
    """An unbind began (by the peer) or was answered (by us): submit nothing more."""

    by_peer: bool


@dataclass(slots=True)
class Closed(Event):
    """The transport is gone. `unsent`: contexts of requests that provably never left this machine whole;
    `outstanding`: contexts of requests written without an answer, so in doubt. Both in the order of sending."""

    reason: str
    outstanding: list[object]
    unsent: list[object]


@dataclass(slots=True)
class Odd(Event):
    """An irregularity that was survived: `reason` is one of session.ODDITIES, `detail` has no text and no number of anyone;
    `frame` holds the octets when they could not be read, for a redacted trace only."""

    reason: str
    detail: str = ""
    frame: bytes = b""
