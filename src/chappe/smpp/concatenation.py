"""Long messages on the wire: UDH, SAR and message_payload, cut and read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chappe.smpp.profile import LongMethod
from chappe.smpp.septets import fill_bits, pack
from chappe.smpp.tlv import Tag
from chappe.smpp.tlv_lookup import Tlvs, find, find_uint

UDHI: Final = 0x40
PARTS_MAX: Final = 255
SHORT_MESSAGE_OCTETS_MAX: Final = 254
PAYLOAD_OCTETS_MAX: Final = 0xFFFF

# Information elements (3GPP TS 23.040 section 9.2.3.24).
_CONCAT_8: Final = 0x00
_CONCAT_16: Final = 0x08
_PORTS_8: Final = 0x04
_PORTS_16: Final = 0x05

_SAR_TAGS: Final = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)


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

    def __repr__(self) -> str:
        # Texts never reach a log.
        return f"<Cut esm_class={self.esm_class:#04x} octets={len(self.short_message)} tlvs={len(self.tlvs)}>"


@dataclass(frozen=True, slots=True)
class Piece:
    """One part as received: `body` without its UDH; `method` is None (and total 1) when it stands alone.

    `ports` are (destination, source); `elements` all information elements of the UDH, as they came; `header_octets` the
    length of the UDH with its length octet, after which packed septets start behind fill bits. `oddities`: what was
    unusual; the octets of a broken UDH stay in the body.
    """

    body: bytes
    method: LongMethod | None = None
    reference: int = 0
    total: int = 1
    seqnum: int = 1
    ports: tuple[int, int] | None = None
    elements: tuple[tuple[int, bytes], ...] = ()
    header_octets: int = 0
    oddities: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # The body is somebody's text, which never reaches a log.
        return f"<Piece {self.seqnum}/{self.total} reference={self.reference} method={self.method} {self.oddities}>"


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts put together: `pieces[n]` is part n + 1, or None where it is missing."""

    pieces: tuple[Piece | None, ...]
    oddities: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of the parts that are not there; () when complete."""
        return tuple(seqnum for seqnum, piece in enumerate(self.pieces, 1) if piece is None)

    @property
    def octets(self) -> bytes:
        """The bodies that are there, in order."""
        return b"".join(piece.body for piece in self.pieces if piece is not None)


_SINGLE: Final = {Encoding.GSM7: 160, Encoding.UCS2: 70, Encoding.BINARY: 140}
_EACH_8: Final = {Encoding.GSM7: 153, Encoding.UCS2: 67, Encoding.BINARY: 134}
_EACH_16: Final = {Encoding.GSM7: 152, Encoding.UCS2: 66, Encoding.BINARY: 133}


def sizes(encoding: Encoding, method: LongMethod) -> tuple[int, int]:
    """(single, each): what one part holds alone and in a long message, in septets, UTF-16 units or octets.

    140 octets less the header (3GPP TS 23.040 section 9.2.3.24). SAR and message_payload have the sizes of `udh8`,
    into which the SMSC turns them: for `payload` they serve to count and price, the SMSC cuts.
    """
    return _SINGLE[encoding], (_EACH_16 if method is LongMethod.UDH16 else _EACH_8)[encoding]


def cut(parts: Sequence[bytes], method: LongMethod, reference: int, *, packed: bool = False) -> list[Cut]:
    """Dress already encoded parts for the wire, in order; one part alone gets no header (except with `payload`).

    `reference` is 0 to 255 for `udh8`, 0 to 65535 for `udh16` and `sar`; `payload` has none. With `packed` the parts
    are GSM-7 septets, one per octet, which are packed behind the UDH. Raises ValueError for no part, more than 255, a
    reference out of range, or a part too long for its field: nothing is ever cut off.
    """
    if not 1 <= len(parts) <= PARTS_MAX:
        raise ValueError(f"a message has 1 to {PARTS_MAX} parts, not {len(parts)}")
    if method is LongMethod.PAYLOAD:
        body = b"".join(parts)
        return [Cut(0, b"", ((Tag.MESSAGE_PAYLOAD, _fitting(pack(body) if packed else body, PAYLOAD_OCTETS_MAX)),))]
    reference_max = 0xFF if method is LongMethod.UDH8 else 0xFFFF
    if not 0 <= reference <= reference_max:
        raise ValueError(f"the reference of {method} is 0 to {reference_max}")
    total = len(parts)
    if total == 1:
        return [Cut(0, _fitting(pack(parts[0]) if packed else parts[0], SHORT_MESSAGE_OCTETS_MAX))]
    return [_dressed(body, method, reference, total, seqnum, packed) for seqnum, body in enumerate(parts, 1)]


def _dressed(body: bytes, method: LongMethod, reference: int, total: int, seqnum: int, packed: bool) -> Cut:
    """Part `seqnum` of `total`, with what tells that it is one."""
    if method is LongMethod.SAR:
        values = (reference.to_bytes(2, "big"), bytes([total]), bytes([seqnum]))
        octets = pack(body) if packed else body
        return Cut(0, _fitting(octets, SHORT_MESSAGE_OCTETS_MAX), tuple(zip(_SAR_TAGS, values, strict=True)))
    if method is LongMethod.UDH8:
        header = bytes([5, _CONCAT_8, 3, reference, total, seqnum])
    else:
        header = bytes([6, _CONCAT_16, 4]) + reference.to_bytes(2, "big") + bytes([total, seqnum])
    octets = pack(body, fill_bits(len(header))) if packed else body
    return Cut(UDHI, _fitting(header + octets, SHORT_MESSAGE_OCTETS_MAX))


def _fitting(octets: bytes, octets_max: int) -> bytes:
    if len(octets) > octets_max:
        raise ValueError(f"a part of {len(octets)} octets does not fit in {octets_max}")
    return octets


def read(esm_class: int, short_message: bytes, tlvs: Tlvs) -> Piece:
    """Read one received part; never raises, what is broken is flagged and the octets kept.

    message_payload wins over short_message; a UDH wins over SAR TLVs. Oddities: payload_and_text, broken_udh,
    udh_and_sar, broken_sar, broken_concatenation, repeated_concatenation. (3GPP TS 23.040 section 9.2.3.24; SMPP 3.4
    sections 5.3.2.22 to 5.3.2.25 and 5.3.2.32)
    """
    oddities: list[str] = []
    octets = short_message
    payload = find(tlvs, Tag.MESSAGE_PAYLOAD)
    if payload:
        octets = payload
        if short_message:
            oddities.append("payload_and_text")
    elements: tuple[tuple[int, bytes], ...] = ()
    header_octets = 0
    if esm_class & UDHI:
        header = _read_header(octets)
        if header is None:
            oddities.append("broken_udh")
        else:
            elements, header_octets = header
    by_udh = _concatenation(elements, oddities)
    by_sar = _sar(tlvs, oddities)
    if by_udh and by_sar:
        oddities.append("udh_and_sar")
    method, reference, total, seqnum = by_udh or by_sar or (None, 0, 1, 1)
    return Piece(
        body=octets[header_octets:],
        method=method,
        reference=reference,
        total=total,
        seqnum=seqnum,
        ports=_ports(elements, tlvs),
        elements=elements,
        header_octets=header_octets,
        oddities=tuple(oddities),
    )


def _read_header(octets: bytes) -> tuple[tuple[tuple[int, bytes], ...], int] | None:
    """(information elements, octets of the header with its length), or None when the lengths do not add up."""
    if not octets or octets[0] + 1 > len(octets):
        return None
    end = octets[0] + 1
    elements: list[tuple[int, bytes]] = []
    at = 1
    while at < end:
        if at + 2 > end or at + 2 + octets[at + 1] > end:
            return None
        elements.append((octets[at], octets[at + 2 : at + 2 + octets[at + 1]]))
        at += 2 + octets[at + 1]
    return tuple(elements), end


def _concatenation(
    elements: tuple[tuple[int, bytes], ...], oddities: list[str]
) -> tuple[LongMethod, int, int, int] | None:
    """(method, reference, total, seqnum) of the UDH; of several, the last valid one (section 9.2.3.24)."""
    found: list[tuple[LongMethod, int, int, int]] = []
    for identifier, value in elements:
        if identifier not in (_CONCAT_8, _CONCAT_16):
            continue
        method, width = (LongMethod.UDH8, 1) if identifier == _CONCAT_8 else (LongMethod.UDH16, 2)
        # A part 0, or one beyond the total, shall be taken as if the element were not there (section 9.2.3.24.1).
        if len(value) != width + 2 or not 1 <= value[-1] <= value[-2]:
            oddities.append("broken_concatenation")
            continue
        found.append((method, int.from_bytes(value[:width], "big"), value[-2], value[-1]))
    if len(found) > 1:
        oddities.append("repeated_concatenation")
    return found[-1] if found else None


def _sar(tlvs: Tlvs, oddities: list[str]) -> tuple[LongMethod, int, int, int] | None:
    """(method, reference, total, seqnum) of the SAR TLVs: all three, or none counts (SMPP 3.4 section 5.3.2.22)."""
    if all(find(tlvs, tag) is None for tag in _SAR_TAGS):
        return None
    reference = find_uint(tlvs, Tag.SAR_MSG_REF_NUM, 2)
    total = find_uint(tlvs, Tag.SAR_TOTAL_SEGMENTS, 1)
    seqnum = find_uint(tlvs, Tag.SAR_SEGMENT_SEQNUM, 1)
    if reference is None or total is None or seqnum is None or not 1 <= seqnum <= total:
        oddities.append("broken_sar")
        return None
    return LongMethod.SAR, reference, total, seqnum


def _ports(elements: tuple[tuple[int, bytes], ...], tlvs: Tlvs) -> tuple[int, int] | None:
    """(destination, source) application ports, of the UDH or else of the TLVs."""
    for identifier, value in elements:
        if identifier == _PORTS_16 and len(value) == 4:
            return int.from_bytes(value[:2], "big"), int.from_bytes(value[2:], "big")
        if identifier == _PORTS_8 and len(value) == 2:
            return value[0], value[1]
    destination = find_uint(tlvs, Tag.DESTINATION_PORT, 2)
    source = find_uint(tlvs, Tag.SOURCE_PORT, 2)
    if destination is None and source is None:
        return None
    return destination or 0, source or 0


def join(pieces: Iterable[Piece]) -> Joined:
    """Put the parts of one message together, in any order; a second copy replaces nothing.

    All pieces must be of one message (equal reference, total and method); those that are not are left out and flagged
    `foreign_part`. Other oddities: `repeated_part` (equal octets), `conflicting_part` (a copy with other octets), and
    those of the pieces. Raises ValueError for no piece.
    """
    given = list(pieces)
    if not given:
        raise ValueError("nothing to join")
    head = given[0]
    slots: list[Piece | None] = [None] * head.total
    oddities: list[str] = []
    for piece in given:
        if (piece.method, piece.reference, piece.total) != (head.method, head.reference, head.total):
            oddities.append("foreign_part")
            continue
        there = slots[piece.seqnum - 1]
        if there is None:
            slots[piece.seqnum - 1] = piece
            oddities.extend(piece.oddities)
        else:
            oddities.append("repeated_part" if there.body == piece.body else "conflicting_part")
    return Joined(tuple(slots), tuple(dict.fromkeys(oddities)))
