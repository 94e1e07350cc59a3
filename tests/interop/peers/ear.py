"""Listens in on every SMPP session of this process: each PDU that one wrote is kept, once, for the dissector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from chappe.smpp.session import Session
from chappe.smpp.states import Role

EACH_MAX = 1000

_heard: dict[bytes, bool] = {}
_counts: Counter[tuple[bytes, bool]] = Counter()
_take: Callable[[Session], bytes] = Session.take


def listen() -> None:
    """Begins to listen; calling it again changes nothing."""
    Session.take = _overheard  # type: ignore[method-assign, assignment]


def heard() -> list[tuple[bytes, bool]]:
    """Every PDU that was written so far, as (octets, written by an SMSC). Those that differ by their sequence alone
    are there once; of each command and status, EACH_MAX are kept, those that came first."""
    return list(_heard.items())


def _overheard(self: Session) -> bytes:
    octets = _take(self)
    by_smsc = self.settings.role is Role.SMSC
    position = 0
    while position < len(octets):
        length = int.from_bytes(octets[position : position + 4], "big")
        kind = octets[position + 4 : position + 12]  # command_id, command_status
        if _counts[kind, by_smsc] < EACH_MAX:
            pdu = octets[position : position + 12] + b"\0\0\0\1" + octets[position + 16 : position + length]
            if pdu not in _heard:
                _heard[pdu] = by_smsc
                _counts[kind, by_smsc] += 1
        position += length
    return octets
