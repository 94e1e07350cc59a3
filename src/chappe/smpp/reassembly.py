"""Parts that wait for their siblings: a bounded table, pure, for received long messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from chappe.smpp.concatenation import Joined, Piece, join
from chappe.smpp.profile import LongMethod

# What a waiting part costs beside its octets: objects, keys and table entries, rounded up. Without it a flood of empty
# parts would fill the memory while the count of octets stays at zero.
PART_OVERHEAD_OCTETS: Final = 1024


@dataclass(frozen=True, slots=True)
class Key:
    """What the parts of one message have in common."""

    carrier: str
    source: str
    destination: str
    reference: int
    total: int
    method: LongMethod | None

    def __repr__(self) -> str:
        # Numbers never reach a log.
        return f"<Key carrier={self.carrier} reference={self.reference} total={self.total} method={self.method}>"


@dataclass(frozen=True, slots=True)
class Completed:
    """A message that leaves the table, whole or partial (`joined.missing`); `reason`: complete, timeout or evicted."""

    key: Key
    joined: Joined
    reason: str


@dataclass(slots=True)
class _Waiting:
    first_at: float
    pieces: dict[int, Piece] = field(default_factory=dict)
    oddities: dict[str, None] = field(default_factory=dict)
    octets: int = 0


def _cost(piece: Piece) -> int:
    return PART_OVERHEAD_OCTETS + len(piece.body) + sum(len(value) for _, value in piece.elements)


class Joiner:
    """Bounded reassembly: parts in any order, a second copy replaces nothing, the oldest leaves first, as partial.

    The key is carrier, source, destination, reference, total and method. `now` comes in, in seconds, from a clock that
    never goes back. Bounds: `parts_per_source_max` waiting for one source of one carrier, `sources_max` sources,
    `octets_max` in all (PART_OVERHEAD_OCTETS per part included).
    """

    def __init__(
        self,
        *,
        timeout_s: float = 1800.0,
        sources_max: int = 10_000,
        parts_per_source_max: int = 1000,
        octets_max: int = 32 * 1024 * 1024,
    ) -> None:
        self.timeout_s = timeout_s
        self.sources_max = sources_max
        self.parts_per_source_max = parts_per_source_max
        self.octets_max = octets_max
        self.octets = 0
        self._waiting: dict[Key, _Waiting] = {}  # in the order of first_at
        self._sources: dict[tuple[str, str], dict[Key, None]] = {}
        self._parts: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        """The messages that wait for parts."""
        return len(self._waiting)

    def add(self, now: float, carrier: str, source: str, destination: str, piece: Piece) -> list[Completed]:
        """Take one part in; what is complete, timed out or pushed out by it comes back, the oldest first."""
        out = self.expire(now)
        key = Key(carrier, source, destination, piece.reference, piece.total, piece.method)
        if piece.total == 1:
            return [*out, Completed(key, join([piece]), "complete")]
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = _Waiting(now)
            self._sources.setdefault((carrier, source), {})[key] = None
        there = waiting.pieces.get(piece.seqnum)
        if there is not None:
            waiting.oddities["repeated_part" if there.body == piece.body else "conflicting_part"] = None
            return out
        waiting.pieces[piece.seqnum] = piece
        waiting.octets += _cost(piece)
        self.octets += _cost(piece)
        self._parts[carrier, source] = self._parts.get((carrier, source), 0) + 1
        if len(waiting.pieces) == piece.total:
            out.append(self._take(key, "complete"))
        out.extend(self._evict((carrier, source)))
        return out

    def expire(self, now: float) -> list[Completed]:
        """What waited timeout_s or longer since its first part, as partial messages."""
        out = []
        while (deadline := self.deadline()) is not None and deadline <= now:
            out.append(self._take(next(iter(self._waiting)), "timeout"))
        return out

    def deadline(self) -> float | None:
        """When expire has something to do next, or None when nothing waits."""
        oldest = next(iter(self._waiting.values()), None)
        return None if oldest is None else oldest.first_at + self.timeout_s

    def _evict(self, source: tuple[str, str]) -> list[Completed]:
        """Bring the table back inside its bounds."""
        out = []
        while self._parts.get(source, 0) > self.parts_per_source_max:
            out.append(self._take(next(iter(self._sources[source])), "evicted"))
        while self._waiting and (len(self._sources) > self.sources_max or self.octets > self.octets_max):
            out.append(self._take(next(iter(self._waiting)), "evicted"))
        return out

    def _take(self, key: Key, reason: str) -> Completed:
        """Take a message out of the table."""
        waiting = self._waiting.pop(key)
        source = (key.carrier, key.source)
        self.octets -= waiting.octets
        self._parts[source] -= len(waiting.pieces)
        del self._sources[source][key]
        if not self._sources[source]:
            del self._sources[source]
            del self._parts[source]
        joined = join(waiting.pieces.values())
        oddities = tuple(dict.fromkeys((*joined.oddities, *waiting.oddities)))
        return Completed(key, Joined(joined.pieces, oddities), reason)
