"""Listens in on every SMPP session of this process: each PDU that one wrote is kept, once, for the dissector."""

from __future__ import annotations

from collections.abc import Callable

from chappe.smpp.session import Session
from chappe.smpp.states import Role

PDUS_MAX = 20_000

_heard: dict[bytes, bool] = {}
_take: Callable[[Session], bytes] = Session.take


def listen() -> None:
    """Begins to listen; calling it again changes nothing."""
    Session.take = _overheard  # type: ignore[method-assign, assignment]


def heard() -> list[tuple[bytes, bool]]:
    """Every PDU that was written so far, as (octets, written by an SMSC); those that differ by their sequence alone
    are there once, and after PDUS_MAX different ones no more are kept."""
    return list(_heard.items())


def _overheard(self: Session) -> bytes:
    octets = _take(self)
    position = 0
    while position < len(octets) and len(_heard) < PDUS_MAX:
        length = int.from_bytes(octets[position : position + 4], "big")
        pdu = octets[position : position + length]
        _heard.setdefault(pdu[:12] + b"\0\0\0\1" + pdu[16:], self.settings.role is Role.SMSC)
        position += length
    return octets
