"""Text into parts: which encoding, how many parts, where to cut; never inside an escape pair or a surrogate pair.

The text is encoded once and cut where the encoding allows, so that a part's octets and its text always agree. The least
number of parts is a promise, since every part is paid for.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from chappe.core import gsm7
from chappe.core.graphemes import clusters, has_joined

Encoding = Literal["gsm7", "ucs2"]


class Sizes(NamedTuple):
    """Units that fit in a message of one part and in each part of several: septets (GSM-7), UTF-16 units (UCS-2)."""

    gsm7_single: int = 160
    gsm7_part: int = 153
    ucs2_single: int = 70
    ucs2_part: int = 67


UDH8 = Sizes()
"""8-bit reference: the header takes 6 octets of 140 (3GPP TS 23.040, 9.2.3.24.1). Also right for SAR TLVs, which the
SMSC turns into that header, and for counting message_payload."""

UDH16 = Sizes(gsm7_part=152, ucs2_part=66)
"""16-bit reference: the header takes 7 octets of 140 (3GPP TS 23.040, 9.2.3.24.8)."""


class Segments(NamedTuple):
    """A text ready to send: its encoding, its length in units of that encoding, and the text of each part."""

    encoding: Encoding
    units: int
    parts: tuple[str, ...]


_DIRTY = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_CLEANED = str.maketrans(
    dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0xFEFF, 0xFFFE, 0xFFFF), "")
    | {0x09: " ", 0x0A: "\n", 0x0D: "\r"}
    | dict.fromkeys((0x0B, 0x0C, 0x85, 0x2028, 0x2029), "\n")
    | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
)


def clean(text: str) -> str:
    """Make text from outside sendable; texts are cleaned before they are counted or split.

    Halves of surrogate pairs that belong together are joined, lone halves become U+FFFD. A tab becomes a space;
    vertical tab, form feed, NEL and the Unicode line and paragraph separators a line feed. Other control characters,
    the byte-order mark and noncharacters are removed: they carry no text, and ESC would forge an extension character.
    CR and LF stay.
    """
    if _DIRTY.search(text) is None:
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return joined.translate(_CLEANED)


def count(text: str, *, unicode: bool = False, sizes: Sizes = UDH8) -> tuple[Encoding, int]:
    """Give the encoding and the number of parts without building them.

    `unicode` forces UCS-2. The text must be clean. An empty text is one part. Raises UnicodeEncodeError on lone
    surrogates.
    """
    if not unicode:
        units = gsm7.cost(text)
        if units is not None:
            if units <= sizes.gsm7_single:
                return "gsm7", 1
            if units == len(text):
                return "gsm7", -(-units // sizes.gsm7_part)
            return "gsm7", sum(1 for _ in _cut_gsm7(gsm7.encode(text), sizes))
    octets = text.encode("utf-16-be")
    if len(octets) <= 2 * sizes.ucs2_single:
        return "ucs2", 1
    return "ucs2", sum(1 for _ in _cut_ucs2(octets, sizes))


def split(text: str, *, unicode: bool = False, sizes: Sizes = UDH8) -> Segments:
    """Split text into the least number of parts; their concatenation is the text.

    `unicode` forces UCS-2. The text must be clean. An empty text is one empty part. Joined emoji stay whole where that
    takes no further part. Raises UnicodeEncodeError on lone surrogates.
    """
    if not unicode:
        septets = gsm7.septets(text)
        if septets is not None:
            if len(septets) <= sizes.gsm7_single:
                return Segments("gsm7", len(septets), (text,))
            cuts = _cut_gsm7(septets, sizes)
            return Segments("gsm7", len(septets), tuple(gsm7.decode(part) for part in cuts))
    octets = text.encode("utf-16-be")
    units = len(octets) // 2
    if units <= sizes.ucs2_single:
        return Segments("ucs2", units, (text,))
    parts = tuple(part.decode("utf-16-be") for part in _cut_ucs2(octets, sizes))
    if has_joined(text):
        whole = tuple(_cut_clusters(text, sizes.ucs2_part))
        if len(whole) == len(parts):
            parts = whole
    return Segments("ucs2", units, parts)


def encode_parts(segments: Segments) -> list[bytes]:
    """Give the octets of each part: unpacked septets, or UTF-16 big-endian without a byte-order mark."""
    if segments.encoding == "gsm7":
        return [gsm7.encode(part) for part in segments.parts]
    return [part.encode("utf-16-be") for part in segments.parts]


def _cut_gsm7(septets: bytes, sizes: Sizes) -> Iterator[bytes]:
    at, end = 0, len(septets)
    while at < end:
        cut = at + sizes.gsm7_part
        if cut < end and septets[cut - 1] == gsm7.ESCAPE:
            cut -= 1
        yield septets[at:cut]
        at = cut


def _cut_ucs2(octets: bytes, sizes: Sizes) -> Iterator[bytes]:
    at, end = 0, len(octets)
    while at < end:
        cut = at + 2 * sizes.ucs2_part
        if cut < end and 0xD8 <= octets[cut - 2] <= 0xDB:  # the first half of a pair may not end a part
            cut -= 2
        yield octets[at:cut]
        at = cut


def _cut_clusters(text: str, units_max: int) -> Iterator[str]:
    """Fill parts with whole visible characters; one longer than a part is cut between code points."""
    part, used = "", 0
    for cluster in clusters(text):
        units = _units(cluster)
        pieces = [cluster] if units <= units_max else list(cluster)
        for piece in pieces:
            units = _units(piece)
            if used + units > units_max:
                yield part
                part, used = "", 0
            part += piece
            used += units
    if part:
        yield part


def _units(text: str) -> int:
    return len(text.encode("utf-16-be")) // 2
