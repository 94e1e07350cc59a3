"""Parts that wait for their siblings: a bounded table, pure, for received long messages."""

from __future__ import annotations

from dataclasses import dataclass

from chappe.smpp.longtext import Joined, Piece
from chappe.smpp.profile import LongMethod


@dataclass(frozen=True, slots=True)
class Key:
    """What the parts of one message have in common."""

    carrier: str
    source: str
    destination: str
    reference: int
    total: int
    method: LongMethod | None


@dataclass(frozen=True, slots=True)
class Completed:
    """A message that leaves the table, whole or partial (`joined.missing`); `reason`: complete, timeout or evicted."""

    key: Key
    joined: Joined
    reason: str


class Joiner:
    """Bounded reassembly: any order, copies replace nothing, oldest out first as partial. `now` in seconds comes in."""

    def __init__(
        self,
        *,
        timeout_s: float = 1800.0,
        sources_max: int = 10_000,
        parts_per_source_max: int = 255,
        octets_max: int = 16 * 1024 * 1024,
    ) -> None:
        raise NotImplementedError

    def add(self, now: float, carrier: str, source: str, destination: str, piece: Piece) -> list[Completed]:
        """Take one part in; what is complete, timed out or pushed out by it comes back."""
        raise NotImplementedError

    def expire(self, now: float) -> list[Completed]:
        """What waited longer than timeout_s, as partial messages."""
        raise NotImplementedError

    def deadline(self) -> float | None:
        """When expire has something to do next, or None."""
        raise NotImplementedError
