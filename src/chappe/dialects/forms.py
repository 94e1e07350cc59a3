"""HTTP values: query strings, urlencoded and multipart bodies to names and values, with every tolerance clients need.

Names keep their case; of a repeated name the last value wins, as in the languages that those APIs were written in.
Nothing is ever "not decodable": octets that are no UTF-8 are Windows-1252, as old clients send it.
"""

from __future__ import annotations

import binascii
import codecs
import re
from typing import Final

from chappe.core.errors import Refusal

FIELDS_MAX: Final = 1_000  # of one query or body; our APIs know some forty names
AMPERSANDS_MAX: Final = 100_000  # of one query or body: in text that was not escaped there may be some
PART_HEAD_BYTES_MAX: Final = 8_192  # of one multipart field

_BOM: Final = codecs.BOM_UTF8
# Windows-1252 leaves five octets undefined; Latin-1 has a (control) character for each.
_HOLES: Final = frozenset(b"\x81\x8d\x8f\x90\x9d")
_CP1252: Final = "".join(bytes([o]).decode("latin-1" if o in _HOLES else "cp1252") for o in range(256))
_LONE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")  # a percent sign that escapes nothing
_UNIT: Final = re.compile(rb"%u([0-9A-Fa-f]{4})")  # what Escape() of VBScript and JavaScript writes
_ENTITY: Final = re.compile(rb"(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_RAW: Final = re.compile(rb"[\s<>{}\"]")  # octets that no parameter name has: unescaped text
_FORM_DATA: Final = re.compile(rb"(?i)content-disposition\s*:\s*form-data")
_PART_NAME: Final = re.compile(rb'(?i)[;\s]name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))')
_BOUNDARY: Final = re.compile(r'(?i)[;\s]boundary\s*=\s*(?:"([^"]{1,200})"|([^;,\s]{1,200}))')


def text(octets: bytes) -> str:
    """Octets as text: UTF-8, a byte order mark skipped; what is no UTF-8 is read as Windows-1252. Total."""
    if octets.startswith(_BOM):
        octets = octets[3:]
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return codecs.charmap_decode(octets, "strict", _CP1252)[0]


def unquote(octets: bytes) -> str:
    """One value of a form as text: `+` is a space, `%XX` an octet, `%uXXXX` a UTF-16 unit; a lone `%` stays. Total."""
    if b"+" in octets:
        octets = octets.replace(b"+", b" ")
    if b"%" not in octets:
        return text(octets)
    if b"%u" not in octets:
        return text(_octets(octets))
    pieces = _UNIT.split(octets)  # raw, unit, raw, unit, ..., raw
    raws = [_octets(raw) for raw in pieces[::2]]
    try:  # one charset for the whole value: é of a Latin-1 client must not turn into UTF-8 by its neighbours
        texts = [raw.decode() for raw in raws]
    except UnicodeDecodeError:
        texts = [codecs.charmap_decode(raw, "strict", _CP1252)[0] for raw in raws]
    units = [chr(int(unit, 16)) for unit in pieces[1::2]]
    joined = "".join(t + u for t, u in zip(texts, [*units, ""], strict=True))
    # Two units beyond the basic plane make one character; half of a pair is none.
    return joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def parse_query(octets: bytes) -> dict[str, str]:
    """Names and values of a query string or an urlencoded body, escaped or not.

    Unescaped `<>[]{}` and text are taken as they are; `&amp;` and its like, and a piece of text behind a bare `&`, stay
    in the value in which they stand; a `?` too many at the beginning is dropped. Raises Refusal unreadable with more
    than FIELDS_MAX names or AMPERSANDS_MAX ampersands.
    """
    values: dict[str, str] = {}
    for name, value in _pairs(octets):
        values[unquote(name)] = unquote(value)
    return values


def parse_form(content_type: str, body: bytes) -> dict[str, str]:
    """Names and values of a body: multipart when it says or shows so, otherwise urlencoded, whatever its label.

    Raises Refusal unreadable: multipart without a boundary that occurs, more than FIELDS_MAX fields,
    the head of a field longer than PART_HEAD_BYTES_MAX.
    """
    if content_type[:10].lower() == "multipart/":
        found = _BOUNDARY.search(content_type)
        boundary = (found[1] or found[2]).encode() if found else _shown_boundary(body)
        return _parse_multipart(boundary, body)
    if body.startswith(b"--") and _FORM_DATA.search(body, 0, 500):
        return _parse_multipart(_shown_boundary(body), body)
    return parse_query(body)


def _pairs(octets: bytes) -> list[tuple[bytes, bytes]]:
    if octets.count(b"&") > AMPERSANDS_MAX:
        raise Refusal("unreadable")
    pairs: list[tuple[bytes, list[bytes]]] = []  # names, and the pieces of each value
    for piece in octets.removeprefix(_BOM).strip(b"\r\n").lstrip(b"?").split(b"&"):
        name, equals, value = piece.partition(b"=")
        if pairs and piece and (_ENTITY.match(piece) or _RAW.search(name)):
            pairs[-1][1].append(piece)  # text that was not escaped: the `&` belongs to it
        elif name or equals:
            pairs.append((name, [value]))
            if len(pairs) > FIELDS_MAX:
                raise Refusal("unreadable")
    return [(name, b"&".join(pieces)) for name, pieces in pairs]


def _octets(octets: bytes) -> bytes:
    # Quoted-printable is the same code with another sign, and is decoded in C: flows are a third escapes.
    return binascii.a2b_qp(_LONE.sub(b"%25", octets).replace(b"=", b"%3D").replace(b"%", b"="))


def _shown_boundary(body: bytes) -> bytes:
    """The boundary as the first line of the body shows it, for clients that label it wrongly."""
    line = body.lstrip(b"\r\n")[:300].partition(b"\n")[0].rstrip()
    if not line.startswith(b"--") or len(line) < 3:
        raise Refusal("unreadable")
    return line[2:]


def _parse_multipart(boundary: bytes, body: bytes) -> dict[str, str]:
    """RFC 7578 fields as text; bare line feeds accepted; a part without a name is skipped, a file is its content."""
    pieces = (b"\n" + body).split(b"\n--" + boundary)
    if not 2 <= len(pieces) <= FIELDS_MAX + 2:
        raise Refusal("unreadable")
    parts: list[list[bytes]] = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        rest, _, part = piece.partition(b"\n")
        if rest.strip() and parts:  # a line of a value that only begins like the boundary
            parts[-1] += (b"\n--", boundary, piece)
        else:
            parts.append([part])
    values: dict[str, str] = {}
    for part in map(b"".join, parts):
        head, value = _head_and_value(part)
        if len(head) > PART_HEAD_BYTES_MAX:
            raise Refusal("unreadable")
        name = _PART_NAME.search(head)
        if name is not None and _FORM_DATA.search(head):
            values[text(name[1] if name[1] is not None else name[2])] = text(value.removesuffix(b"\r"))
    return values


def _head_and_value(part: bytes) -> tuple[bytes, bytes]:
    ends = [(part.find(blank), len(blank)) for blank in (b"\r\n\r\n", b"\n\n")]
    at, length = min((end for end in ends if end[0] >= 0), default=(len(part), 0))
    return part[:at], part[at + length :]
