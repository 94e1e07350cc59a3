"""One connection of a client: its session, its socket, and what the SMSC keeps about it."""

from __future__ import annotations

from collections.abc import Callable

from chappe.carriers.wire import Wire
from chappe.smpp.commands import RESPONSE_BIT, CommandId
from chappe.smpp.events import Event
from chappe.smpp.header import HEADER
from chappe.smpp.session import Mode, Session

_ENQUIRE_LINK_RESP = CommandId.ENQUIRE_LINK | RESPONSE_BIT


class UnrulySession(Session):
    """A session that can leave enquire_link unanswered."""

    __slots__ = ("mute",)

    mute: bool

    def take(self) -> bytes:
        """As Session.take, without answers to enquire_link while `mute` is on."""
        octets = super().take()
        return _without_enquire_link_resp(octets) if octets and self.mute else octets


def _without_enquire_link_resp(octets: bytes) -> bytes:
    """What take() gives is whole PDUs, so their lengths lead from one to the next."""
    kept = []
    at = 0
    while at < len(octets):
        length, command_id, _, _ = HEADER.unpack_from(octets, at)
        if command_id != _ENQUIRE_LINK_RESP:
            kept.append(octets[at : at + length])
        at += length
    return b"".join(kept)


class Link:
    """One connection, from its first octet to its last."""

    __slots__ = ("_handle", "connected_at", "delivered", "number", "session", "submitted", "system_id", "wire")

    session: UnrulySession

    def __init__(self, number: int, connected_at: float, handle: Callable[[Link, list[Event]], None]) -> None:
        self.number = number
        self.connected_at = connected_at  # seconds since 1970
        self.system_id: str | None = None  # once bound
        self.submitted = 0
        self.delivered = 0
        self.wire: Wire
        self._handle = handle

    def events(self, wire: Wire, events: list[Event]) -> None:
        """What the wire calls."""
        self._handle(self, events)

    @property
    def receives(self) -> bool:
        """Whether deliveries can go over it."""
        return self.session.bound and self.session.mode is not Mode.TX

    @property
    def free(self) -> bool:
        """Whether a delivery can be sent now: a slow reader is left alone."""
        return self.wire.writable and self.session.free > 0
