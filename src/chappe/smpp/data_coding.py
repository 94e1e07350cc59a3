"""Octets to text: data_coding to charset, and charset to text. The GSM-7 tables come in as a function."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Final

from chappe.smpp.charset_check import CODECS, check
from chappe.smpp.concatenation import Joined, Piece
from chappe.smpp.profile import Charset, Profile
from chappe.smpp.septets import fill_bits, unpack

Gsm7Decode = Callable[[bytes], str]
GAP: Final = "[…]"

# SMPP 3.4 section 5.2.19. 0 is the SMSC's default: a knob. From 0x10 on the value is a GSM data coding scheme.
_STANDARD: Final = MappingProxyType(
    {
        0x01: Charset.ASCII,
        0x02: Charset.BINARY,
        0x03: Charset.LATIN1,
        0x04: Charset.BINARY,
        0x05: Charset.SHIFT_JIS,
        0x06: Charset.CYRILLIC,
        0x07: Charset.HEBREW,
        0x08: Charset.UCS2,
        0x0A: Charset.ISO_2022_JP,
        0x0E: Charset.EUC_KR,
    }
)

_C1: Final = re.compile("[\x80-\x9f]")
_NATIONAL_SHIFTS: Final = (0x24, 0x25)  # 3GPP TS 23.040 section 9.2.3.24: single and locking shift tables


@dataclass(frozen=True, slots=True)
class Decoded:
    """A received text. `text` is None for binary and for charsets nobody knows: the octets stay with the caller.

    `oddities`: unknown_data_coding, compressed, undecodable (U+FFFD stands for what cannot be read, or text is None),
    odd_length, byte_order_mark, partial (GAP stands for missing parts), national_shift (read with the default table).
    """

    text: str | None
    charset: Charset
    oddities: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Texts never reach a log.
        return f"<Decoded charset={self.charset} oddities={self.oddities}>"


@dataclass(frozen=True, slots=True)
class Received:
    """What a subscriber wrote. `text` is None when it is no text; `parts` are the texts of the parts that came.

    `oddities` are those of Decoded, and `<charset>_as_<announced>` where the octets were not what data_coding said.
    """

    text: str | None
    parts: tuple[str, ...]
    oddities: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Received parts={len(self.parts)} oddities={self.oddities}>"


def charset_of(data_coding: int, profile: Profile) -> tuple[Charset, tuple[str, ...]]:
    """The charset of a data_coding on this carrier, and oddities (unknown_data_coding, compressed).

    The carrier's own table comes first, then SMPP 3.4 section 5.2.19, then the GSM data coding scheme (3GPP TS 23.038
    section 4). What nobody knows is BINARY: never guessed.
    """
    for known, charset in profile.charsets:
        if known == data_coding:
            return charset, ()
    if data_coding == 0:
        return profile.default_charset, ()
    if data_coding in _STANDARD:
        return _STANDARD[data_coding], ()
    packed = profile.default_charset is Charset.GSM7_PACKED
    gsm7 = Charset.GSM7_PACKED if packed else Charset.GSM7
    group = data_coding >> 4
    if group in (0xC, 0xD):  # message waiting
        return gsm7, ()
    if group == 0xE:  # message waiting, UCS-2
        return Charset.UCS2, ()
    if group == 0xF:
        return (Charset.BINARY if data_coding & 0x04 else gsm7), ()
    if 0x1 <= group <= 0x7:  # general, and marked for deletion: bit 5 is compression, bits 3 and 2 the alphabet
        if data_coding & 0x20:
            return Charset.BINARY, ("compressed",)
        alphabet = (data_coding >> 2) & 0x03
        if alphabet != 0x03:
            return (gsm7, Charset.BINARY, Charset.UCS2)[alphabet], ()
    return Charset.BINARY, ("unknown_data_coding",)


def message_class(data_coding: int) -> int | None:
    """The GSM message class, 0 (flash) to 3, that a data_coding carries, or None (3GPP TS 23.038 section 4)."""
    group = data_coding >> 4
    # 0x01 to 0x0E are SMPP's own values; in the general groups bit 4 says that the class counts.
    if group == 0xF or (1 <= group <= 0x7 and data_coding & 0x10):
        return data_coding & 0x03
    return None


def decode(
    octets: bytes, data_coding: int, profile: Profile, gsm7_decode: Gsm7Decode, *, header_octets: int = 0
) -> Decoded:
    """Decode one body without its UDH; never raises, and nothing is left out silently.

    `gsm7_decode` turns GSM-7 septets, one per octet, into text; it may raise ValueError. `header_octets` is the length
    of the UDH that was before the body, for packed septets.
    """
    return _decode([(octets, header_octets)], data_coding, profile, gsm7_decode)


def decode_joined(joined: Joined, data_coding: int, profile: Profile, gsm7_decode: Gsm7Decode) -> Decoded:
    """Decode a joined message: parts that follow each other are read as one, a gap shows as GAP and is flagged.

    Escapes and surrogate pairs that a careless sender has cut come together again here.
    """
    bodies = [None if piece is None else (piece.body, piece.header_octets) for piece in joined.pieces]
    decoded = _decode(bodies, data_coding, profile, gsm7_decode)
    shifted = any(
        identifier in _NATIONAL_SHIFTS for piece in joined.pieces if piece for identifier, _ in piece.elements
    )
    if not shifted:
        return decoded
    return Decoded(decoded.text, decoded.charset, (*decoded.oddities, "national_shift"))


def decode_received(joined: Joined, data_codings: Sequence[int], profile: Profile, gsm7_decode: Gsm7Decode) -> Received:
    """Decode what a subscriber wrote: as announced where the octets allow that, else by what the octets are.

    `data_codings` are those of the places of `joined`, since a phone may write each part in another alphabet; that of a
    gap does not matter. Parts that follow each other in one charset are read as one. `profile.charsets_checked` off
    takes every announcement as it is.
    """
    oddities: list[str] = []
    charsets = _charsets(joined, data_codings, profile, gsm7_decode, oddities)
    texts: list[str] = []
    parts: list[str] = []
    for charset, group in groupby(zip(joined.pieces, charsets, strict=True), key=itemgetter(1)):
        pieces = [piece for piece, _ in group]
        if charset is None:
            oddities.append("partial")
            texts += [GAP] * len(pieces)
            continue
        if charset is Charset.BINARY:
            return Received(None, (), tuple(dict.fromkeys(oddities)))
        octets = [_septets_or_octets(piece, charset) for piece in pieces if piece is not None]
        texts.append(_repair(_read(b"".join(octets), charset, gsm7_decode, oddities) or "", charset, profile, oddities))
        parts += [_repair(_read(part, charset, gsm7_decode, []) or "", charset, profile, []) for part in octets]
    if any(identifier in _NATIONAL_SHIFTS for piece in joined.pieces if piece for identifier, _ in piece.elements):
        oddities.append("national_shift")
    return Received("".join(texts), tuple(parts), tuple(dict.fromkeys(oddities)))


def _charsets(
    joined: Joined, data_codings: Sequence[int], profile: Profile, gsm7_decode: Gsm7Decode, oddities: list[str]
) -> list[Charset | None]:
    """The charset of each place of a joined message, None for a gap; a change is an oddity."""
    found: list[Charset | None] = []
    keys = [None if piece is None else code for piece, code in zip(joined.pieces, data_codings, strict=True)]
    for data_coding, group in groupby(zip(joined.pieces, keys, strict=True), key=itemgetter(1)):
        places = [piece for piece, _ in group]
        if data_coding is None:
            found += [None] * len(places)
            continue
        pieces = [piece for piece in places if piece is not None]
        announced, odd = charset_of(data_coding, profile)
        oddities.extend(odd)
        is_data = announced is Charset.BINARY and any(piece.ports for piece in pieces)
        if not profile.charsets_checked or is_data:
            found += [announced] * len(pieces)
            continue
        each = check([(piece.body, piece.header_octets) for piece in pieces], announced, gsm7_decode)
        oddities.extend(f"{charset}_as_{announced}" for charset in each if charset is not announced)
        found += each
    return found


def _decode(
    bodies: Sequence[tuple[bytes, int] | None], data_coding: int, profile: Profile, gsm7_decode: Gsm7Decode
) -> Decoded:
    """Decode bodies in order; None is a gap."""
    charset, unknown = charset_of(data_coding, profile)
    oddities = list(unknown)
    if None in bodies:
        oddities.append("partial")
    if charset is Charset.BINARY:
        return Decoded(None, charset, tuple(oddities))
    texts: list[str] = []
    run: list[bytes] = []
    for body in (*bodies, None):
        if body is not None:
            octets, header_octets = body
            run.append(unpack(octets, fill_bits(header_octets)) if charset is Charset.GSM7_PACKED else octets)
            continue
        if run:
            text = _read(b"".join(run), charset, gsm7_decode, oddities)
            if text is None:
                return Decoded(None, charset, tuple(dict.fromkeys(oddities)))
            texts.append(text)
            run = []
        texts.append(GAP)
    texts.pop()  # the None that ends the last run is no gap
    return Decoded("".join(texts), charset, tuple(dict.fromkeys(oddities)))


def _septets_or_octets(piece: Piece, charset: Charset) -> bytes:
    return unpack(piece.body, fill_bits(piece.header_octets)) if charset is Charset.GSM7_PACKED else piece.body


def _repair(text: str, charset: Charset, profile: Profile, oddities: list[str]) -> str:
    """UTF-8 that somebody on the way took for Latin-1 and widened to UCS-2, read again: `ARR\xc3\x8aT`.

    No text has control characters of ISO 8859-1, and UTF-8 of a French capital has one; small letters have none, so
    `Ã©` stays what it may be.
    """
    if not profile.charsets_checked or charset not in (Charset.UCS2, Charset.UTF16_LE) or not _C1.search(text):
        return text
    try:
        repaired = text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
    oddities.append("utf-8_in_ucs2")
    return repaired


def _read(octets: bytes, charset: Charset, gsm7_decode: Gsm7Decode, oddities: list[str]) -> str | None:
    """The text of octets, U+FFFD where they say nothing; None when not even that."""
    if charset in (Charset.GSM7, Charset.GSM7_PACKED):
        if any(octet > 0x7F for octet in octets):
            oddities.append("undecodable")
        try:
            return gsm7_decode(octets)
        except ValueError:
            oddities.append("undecodable")
            return None
    codec = CODECS[charset]
    if charset is Charset.UTF8 and octets[:3] == b"\xef\xbb\xbf":
        oddities.append("byte_order_mark")
        octets = octets[3:]
    if charset in (Charset.UCS2, Charset.UTF16_LE):
        octets, codec = _without_mark(octets, codec, oddities)
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        oddities.append("undecodable")
        return octets.decode(codec, "replace")


def _without_mark(octets: bytes, codec: str, oddities: list[str]) -> tuple[bytes, str]:
    """UTF-16 without a byte-order mark (there should be none) and without half a unit at the end; and its codec."""
    if octets[:2] in (b"\xfe\xff", b"\xff\xfe"):
        oddities.append("byte_order_mark")
        codec = "utf-16-be" if octets[:2] == b"\xfe\xff" else "utf-16-le"
        octets = octets[2:]
    if len(octets) % 2:
        oddities.append("odd_length")
        octets = octets[:-1]
    return octets, codec
