"""Messages of subscribers as an SMPP carrier's PDUs hold them: parts, and the text of several. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from chappe.carriers.kind import Fragment, Text
from chappe.core import gsm7
from chappe.smpp import concatenation, data_coding, pdu
from chappe.smpp.concatenation import Piece
from chappe.smpp.header import DecodeError
from chappe.smpp.pdu import DataSm, DeliverSm
from chappe.smpp.profile import Profile


def key(frame: bytes) -> bytes:
    """Equal for PDUs that differ in nothing but their sequence number: a repetition has another one."""
    return hashlib.sha256(frame[:12] + frame[16:]).digest()


def message(piece: Piece) -> str:
    """What all parts of one long message have in common (3GPP TS 23.040, 9.2.3.24); empty for one that stands alone."""
    return f"{piece.method}:{piece.reference}:{piece.total}" if piece.total > 1 else ""


def piece_of(found: DeliverSm | DataSm) -> Piece:
    """The part that a PDU holds."""
    octets = found.short_message if isinstance(found, DeliverSm) else b""
    return concatenation.read(found.esm_class, octets, found.tlvs)


class PduReader:
    """See carriers.kind.ReplyReader."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def read(self, raw: bytes) -> Fragment | None:
        try:
            found = pdu.decode(raw)
        except DecodeError:
            return None
        if not isinstance(found, DeliverSm | DataSm):
            return None
        piece = piece_of(found)
        return Fragment(
            message(piece), piece.reference, piece.seqnum, piece.total, piece.body, (piece, found.data_coding)
        )

    def stored(self, raw: bytes) -> tuple[bytes, str]:
        found = self.read(raw)
        return key(raw), "" if found is None else found.message

    def compose(self, fragments: Sequence[Fragment]) -> Text | None:
        joined = concatenation.join([fragment.content[0] for fragment in fragments])
        # A copy replaces nothing, so the data_coding of the first of each place is the one that counts.
        data_codings = {fragment.part: fragment.content[1] for fragment in reversed(fragments)}
        found = data_coding.decode_received(
            joined,
            [data_codings.get(place, 0) for place in range(1, len(joined.pieces) + 1)],
            self._profile,
            gsm7.decode,
        )
        if found.text is None:
            return None
        return Text(found.text, tuple(found.parts), tuple(oddity for oddity in found.oddities if oddity != "partial"))
