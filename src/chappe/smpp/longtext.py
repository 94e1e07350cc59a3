"""Long messages on the wire: UDH, SAR and message_payload, cut and read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chappe.smpp.profile import LongMethod
from chappe.smpp.receipts import Tlvs


class Encoding(StrEnum):
    """How the text of a message was encoded before it was cut."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Cut:
    """One part ready for submit_sm: bits to OR into esm_class, short_message with its UDH, TLVs to add."""

    esm_class: int
    short_message: bytes
    tlvs: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """One part as received: `body` without its UDH; `method` is None (and total 1) when it stands alone."""

    body: bytes
    method: LongMethod | None = None
    reference: int = 0
    total: int = 1
    seqnum: int = 1
    ports: tuple[int, int] | None = None  # (destination, source)
    elements: tuple[tuple[int, bytes], ...] = ()  # every information element of the UDH, as it came
    header_octets: int = 0  # length of the UDH with its length octet: packed septets start after its fill bits
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts put together: `pieces[n]` is part n + 1, or None where it is missing."""

    pieces: tuple[Piece | None, ...]
    oddities: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of the parts that are not there; () when complete."""
        return tuple(number for number, piece in enumerate(self.pieces, 1) if piece is None)

    @property
    def octets(self) -> bytes:
        """The bodies that are there, in order."""
        return b"".join(piece.body for piece in self.pieces if piece is not None)


def sizes(encoding: Encoding, method: LongMethod) -> tuple[int, int]:
    """(single, each): what one part holds alone and in a long message, in septets, UTF-16 units or octets."""
    raise NotImplementedError


def cut(parts: Sequence[bytes], method: LongMethod, reference: int, *, packed: bool = False) -> list[Cut]:
    """Dress already encoded parts for the wire; raises ValueError for what cannot be expressed."""
    raise NotImplementedError


def read(esm_class: int, short_message: bytes, tlvs: Tlvs) -> Piece:
    """Read one received part; never raises, what is broken is flagged and the octets kept."""
    raise NotImplementedError


def join(pieces: Iterable[Piece]) -> Joined:
    """Put the parts of one message together, in any order; a second copy replaces nothing."""
    raise NotImplementedError
