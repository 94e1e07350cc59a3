"""One connection of a client: its session, its socket, and what the SMSC keeps about it."""

from __future__ import annotations

from collections.abc import Callable

from chappe.carriers.smpp.transport import Wire
from chappe.smpp.events import Event
from chappe.smpp.session import Mode, Session


class Link:
    """One connection, from its first octet to its last."""

    __slots__ = ("_handle", "connected_at", "delivered", "number", "session", "submitted", "system_id", "wire")

    session: Session

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
