"""Is a received text what its data_coding says? The octets are held against the announced charset. Pure.

Carriers, and the phones and modems behind them, announce one charset and send another: Latin-1 or UTF-8 under
data_coding 0, GSM-7 under Latin-1, UTF-16 in the wrong order. What the announced charset can say is believed. Otherwise
the evidence decides, the strongest first: a byte-order mark, UTF-16 whose units are letters of one script, UTF-8 with a
sequence of several octets, then Windows-1252, which can say nearly everything.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final

from chappe.smpp.profile import Charset
from chappe.smpp.septets import fill_bits, unpack

Gsm7Decode = Callable[[bytes], str]
Body = tuple[bytes, int]
"""The octets of a part without its UDH, and the length of that header, which packed septets need."""

UNITS_MIN: Final = 2
"""UTF-16 that nobody announced needs so many units: `@a` alone may be GSM-7."""
WORDS_OCTETS_MIN: Final = 4
"""Announced UCS-2, and data, are read as single octets only from this length on; two could be a Chinese character."""

_BOM_BIG: Final = b"\xfe\xff"
_BOM_LITTLE: Final = b"\xff\xfe"
CODECS: Final = MappingProxyType(
    {
        Charset.ASCII: "ascii",
        Charset.LATIN1: "latin-1",
        Charset.WINDOWS_1252: "cp1252",
        Charset.UTF8: "utf-8",
        Charset.SHIFT_JIS: "shift_jis",
        Charset.CYRILLIC: "iso8859_5",
        Charset.HEBREW: "iso8859_8",
        Charset.ISO_2022_JP: "iso2022_jp",
        Charset.EUC_KR: "euc_kr",
        Charset.UCS2: "utf-16-be",
        Charset.UTF16_LE: "utf-16-le",
    }
)
_FOREIGN: Final = (Charset.SHIFT_JIS, Charset.CYRILLIC, Charset.HEBREW, Charset.ISO_2022_JP, Charset.EUC_KR)
_UTF16: Final = {Charset.UCS2: "utf-16-be", Charset.UTF16_LE: "utf-16-le"}

# What people in Europe and around the Mediterranean write: anything else in UTF-16 is a hint that it is none.
_PLAUSIBLE: Final = re.compile(
    "[\t\n\f\r\x20-\x7e\xa0-\u024f\u02bc-\u02dd\u0300-\u036f\u0370-\u052f\u0590-\u06ff\u0750-\u077f\u1e00-\u1fff"
    "\u2010-\u2044\u200b-\u200f\u202f\u2060-\u206f\u20a0-\u20bf\u2100-\u214f\u2190-\u21ff\u2460-\u24ff\u2500-\u27bf"
    "\u2900-\u2bff\u3030\ufb1d-\ufdff\ufe0e\ufe0f\ufe70-\ufefc\U0001f000-\U0001faff\U000e0020-\U000e007f]*"
).fullmatch
# Scripts whose every letter has the same high octet, so that GSM-7 read from them is nonsense: `ù'ùDù`.
_OTHER_SCRIPT: Final = re.compile("[\u0391-\u03ce\u0410-\u044f\u0401\u0451\u05d0-\u05ea\u0621-\u064a]")
_LATIN_WORDS: Final = re.compile(
    "[A-Za-z0-9\xc0-\xd6\xd8-\xf6\xf8-\xff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\\s.,;:!?'\u2018\u2019\"()/&@#*+\u20ac=\xab\xbb\xa0\xb0-]*"
).fullmatch
_LATIN_LETTERS: Final = re.compile("[A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\xff\u0152\u0153\u0178]")
_CONTROL: Final = re.compile(b"[\x00-\x08\x0b\x0e-\x1f\x7f]")  # GSM-7 letters; in all other alphabets not text
_HIGH: Final = re.compile(b"[\x80-\xff]")
_C1_CHARACTERS: Final = re.compile("[\x80-\x9f]")
_C1: Final = re.compile(b"[\x80-\x9f]")
_CONTINUATION: Final = re.compile(b"[\x80-\xbf]{1,3}")


def check(bodies: Sequence[Body], announced: Charset, gsm7_decode: Gsm7Decode) -> list[Charset]:
    """The charset of each part; `bodies` follow each other in one message and have the same data_coding.

    The parts are judged together first, since characters may be cut between them. If together they are neither UTF-8
    nor UTF-16, each is judged by itself, and a part that fits what was announced and what its neighbours are follows
    these. BINARY stays BINARY unless the octets are words.
    """
    octets = b"".join(body for body, _ in bodies)
    whole = _judge(octets, announced, gsm7_decode, bodies[0][1] if len(bodies) == 1 else None)
    if len(bodies) == 1 or whole is Charset.UTF8 or (whole in _UTF16 and _is_utf16(octets, whole)):
        return [whole] * len(bodies)
    each = [_judge(body, announced, gsm7_decode, header) for body, header in bodies]
    other = next((charset for charset in each if charset is not announced), announced)
    return [
        other if charset is announced and _fits(body, other, gsm7_decode) else charset
        for (body, _), charset in zip(bodies, each, strict=True)
    ]


def _judge(octets: bytes, announced: Charset, gsm7_decode: Gsm7Decode, header_octets: int | None) -> Charset:
    """The charset of these octets. header_octets: of the UDH before them; None when several parts were joined."""
    if not octets or announced is Charset.GSM7_PACKED:  # any octets can be packed septets
        return announced
    if announced in _UTF16:
        return _judge_utf16(octets, announced, gsm7_decode)
    if announced is Charset.BINARY:
        return _words(octets, gsm7_decode) or announced
    if found := _unannounced_utf16(octets):
        return found
    if announced in _FOREIGN and _says(octets, announced):
        return announced
    if _is_utf8(octets):
        return Charset.UTF8
    if announced is Charset.GSM7:
        return _judge_gsm7(octets, gsm7_decode, header_octets)
    if announced in (Charset.ASCII, Charset.LATIN1, Charset.WINDOWS_1252, Charset.UTF8):
        if not _HIGH.search(octets):
            return Charset.GSM7 if _CONTROL.search(octets) else announced
        if announced is Charset.LATIN1 and not _C1.search(octets):
            return announced
        return Charset.WINDOWS_1252
    return announced


def _judge_gsm7(octets: bytes, gsm7_decode: Gsm7Decode, header_octets: int | None) -> Charset:
    """Octets announced as septets that are neither UTF-16 nor UTF-8."""
    if not _HIGH.search(octets):
        return Charset.GSM7
    if header_octets is not None and _is_packed(octets, header_octets, gsm7_decode):
        return Charset.GSM7_PACKED
    # Control octets are letters of GSM-7 and nothing in Windows-1252: a few broken octets are shown as such.
    return Charset.GSM7 if _CONTROL.search(octets) else Charset.WINDOWS_1252


def _is_packed(octets: bytes, header_octets: int, gsm7_decode: Gsm7Decode) -> bool:
    """Whether octets are words as packed septets and none as Windows-1252."""
    if not (_CONTROL.search(octets) or _C1.search(octets)) or _is_words(octets.decode("cp1252", "replace")):
        return False
    return _is_words(gsm7_decode(unpack(octets, fill_bits(header_octets))))


def _judge_utf16(octets: bytes, announced: Charset, gsm7_decode: Gsm7Decode) -> Charset:
    """Octets announced as UCS-2. What can be European text in the announced order is believed."""
    if octets[:2] == _BOM_BIG:
        return Charset.UCS2
    if octets[:2] == _BOM_LITTLE:
        return Charset.UTF16_LE
    if _plausible(octets, announced):
        return announced
    other = Charset.UTF16_LE if announced is Charset.UCS2 else Charset.UCS2
    # A single unit that is a letter in the announced order may be Chinese; a few octets prove nothing.
    single = len(octets) == 2 and octets.decode(_UTF16[announced], "replace").isalnum()
    if not single and len(octets) % 2 == 0 and _plausible(octets, other):
        return other
    return _words(octets, gsm7_decode) or announced


def _unannounced_utf16(octets: bytes) -> Charset | None:
    """UTF-16 under the name of an 8-bit or 7-bit alphabet; an odd octet at the end is no argument against it."""
    if len(octets) >= 4 and octets[:2] in (_BOM_BIG, _BOM_LITTLE):
        return Charset.UCS2 if octets[:2] == _BOM_BIG else Charset.UTF16_LE
    units = len(octets) // 2
    if units < UNITS_MIN:
        return None
    for charset, high, low in ((Charset.UCS2, 0, 1), (Charset.UTF16_LE, 1, 0)):
        zeros = octets[high : 2 * units : 2].count(0)
        # `@` is 0 in GSM-7, and a NUL nothing in the others: half of the places, and none of the other half.
        if zeros == 0 and octets[high] not in b"\x03\x04\x05\x06":
            continue
        if octets[low : 2 * units : 2].count(0) or not _plausible(octets[: 2 * units], charset):
            continue
        text = octets[: 2 * units].decode(_UTF16[charset], "replace")
        if 2 * zeros >= units or 2 * len(_OTHER_SCRIPT.findall(text)) >= units:
            return charset
    return None


def _is_utf16(octets: bytes, charset: Charset) -> bool:
    return octets[:2] in (_BOM_BIG, _BOM_LITTLE) or _plausible(octets, charset)


def _plausible(octets: bytes, charset: Charset) -> bool:
    """Whether the whole units of UTF-16 in this order are what people here write. Half a pair at the end may be cut."""
    try:
        text = codecs.getincrementaldecoder(_UTF16[charset])().decode(octets)
    except UnicodeDecodeError:
        return False
    return bool(text) and _PLAUSIBLE(text) is not None


def _is_utf8(octets: bytes) -> bool:
    """Whether octets are UTF-8 with at least one sequence of several octets; sequences at both ends may be cut."""
    if not _HIGH.search(octets):
        return False
    cut = _CONTINUATION.match(octets)
    for start in (0, cut.end()) if cut else (0,):
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(octets[start:])
        except UnicodeDecodeError:
            continue
        if not text.isascii():
            return True
    return False


def _says(octets: bytes, charset: Charset) -> bool:
    """Whether octets are text in this charset; the codes of control characters of ISO 8859 are none."""
    try:
        text = octets.decode(CODECS[charset])
    except UnicodeDecodeError:
        return False
    return not _C1_CHARACTERS.search(text)


def _words(octets: bytes, gsm7_decode: Gsm7Decode) -> Charset | None:
    """The charset of one octet a character in which octets are plainly words; None when they are not."""
    if len(octets) < WORDS_OCTETS_MIN:
        return None
    if _is_utf8(octets) and _is_words(octets.decode("utf-8", "replace")):
        return Charset.UTF8
    if not _HIGH.search(octets):
        if _CONTROL.search(octets):
            return Charset.GSM7 if _is_words(gsm7_decode(octets)) else None
        return Charset.ASCII if _is_words(octets.decode("ascii")) else None
    return Charset.WINDOWS_1252 if _is_words(octets.decode("cp1252", "replace")) else None


def _is_words(text: str) -> bool:
    """Latin letters, digits and the signs between them, more than half of it letters."""
    return _LATIN_WORDS(text) is not None and 2 * len(_LATIN_LETTERS.findall(text)) > len(text)


def _fits(octets: bytes, charset: Charset, gsm7_decode: Gsm7Decode) -> bool:
    """Whether octets that fit the announced charset could as well be in this one."""
    return not _CONTROL.search(octets) and charset in (Charset.WINDOWS_1252, Charset.UTF8)
