"""The head of one HTTP/1.1 request: its octets, strict or as real clients write them -> a Head, or BadHead."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

import httptools
import msgspec

from chappe.web.client_address import TRACES

_HEADERS_MAX: Final = 100
_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) +"
    rb"([^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?) +"
    rb"HTTP/([0-9])\.([0-9])"
)
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_JOINED_BY_SEMICOLON: Final = "cookie"
_CONTENT_LENGTH: Final = re.compile(rb"content-length:", re.IGNORECASE)
# A registered name, an address, or an IP literal, with or without a port (RFC 3986, 3.2.2). Latin-1 letters are no part
# of it, but clients write names as they are, and nothing is decided by them. Empty is allowed.
_HOST: Final = re.compile(r"[^\x00-\x20\x7f/?#@\\,<>\"{}|^`]*").fullmatch


REMEMBERED_OCTETS_MAX = 1024


class BadHead(Exception):
    """The octets are no request head that may be trusted: `status` is the answer, `reason` its sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Head(msgspec.Struct, frozen=True):
    """What a request head says.

    path: percent-decoded; query: octets behind the first `?` as they came; headers: names in lower case, repeated ones
    joined by a comma; keep_alive: whether the connection may serve another request; length: octets of the body, 0 when
    none is announced, -1 when it is chunked; old: whether the client speaks HTTP/1.0; literal: whether the path was
    written just so, in origin form, without escapes or fragment; proxied: whether a field says that the request came
    through a proxy.
    """

    method: str
    path: str
    query: bytes
    headers: dict[str, str]
    keep_alive: bool
    length: int
    old: bool
    literal: bool = True
    proxied: bool = False


class _Reading:
    """What httptools reports of one head."""

    __slots__ = ("complete", "headers", "target")

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, octets: bytes) -> None:
        self.target += octets

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def read_head(octets: bytes) -> Head:
    """As read(); a program sends the same head again and again, so the last ones are remembered."""
    return _remembered(octets) if len(octets) <= REMEMBERED_OCTETS_MAX else read(octets)


def read(octets: bytes) -> Head:
    """Reads the octets of one head, from its first letter through the empty line that ends it.

    What RFC 9112 does not allow but clients of the two providers send is read as they mean it: bare LF as line end, raw
    octets of any kind in the target, methods that no registry lists. Raises BadHead for anything else, and for all that
    could make us and a proxy before us disagree about where the request ends (RFC 9112, 11.2).
    """
    reading = _Reading()
    parser = httptools.HttpRequestParser(reading)
    try:
        parser.feed_data(octets)
    except httptools.HttpParserUpgrade:
        pass  # CONNECT, or an offer to change the protocol: both are read as ordinary requests
    except httptools.HttpParserError:
        return _read_repaired(octets)
    version = parser.get_http_version()
    if not reading.complete or version not in ("1.1", "1.0"):
        return _read_repaired(octets)
    return _assemble(parser.get_method().decode(), reading.target, reading.headers, old=version == "1.0")


_remembered = lru_cache(maxsize=512)(read)


def _read_repaired(octets: bytes) -> Head:
    """Reads a head that the strict parser refuses: first line by ourselves, fields strictly once normalised.

    The strict parser still judges the fields, so that a repair never makes framing looser.
    """
    lines = _with_one_length([line[:-1] if line.endswith(b"\r") else line for line in octets.split(b"\n")])
    matched = _REQUEST_LINE.fullmatch(lines[0])
    if matched is None:
        raise BadHead(400, "The first line is not an HTTP request.")
    method, target, major, minor = matched.groups()
    if (major, minor) not in ((b"1", b"0"), (b"1", b"1")):
        raise BadHead(505, "This server speaks HTTP/1.1.")
    reading = _Reading()
    parser = httptools.HttpRequestParser(reading)
    lines[0] = b"POST / HTTP/1." + minor
    try:
        parser.feed_data(b"\r\n".join(lines))
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise BadHead(400, "A header field is not well formed.") from error
    if not reading.complete:
        raise BadHead(400, "The request head is not well formed.")
    return _assemble(method.decode(), target, reading.headers, old=minor == b"0")


def _with_one_length(lines: list[bytes]) -> list[bytes]:
    """The lines of a head with one Content-Length where the same length is given several times (RFC 9110, 8.6).

    Lengths that differ, also in how they are written, stay as they are: the strict parser refuses them.
    """
    places = [place for place, line in enumerate(lines) if _CONTENT_LENGTH.match(line)]
    lengths = {length.strip(b" \t") for place in places for length in lines[place].partition(b":")[2].split(b",")}
    if len(lengths) != 1 or not (length := lengths.pop()).isdigit():
        return lines
    return [
        b"Content-Length: " + length if place == places[0] else line
        for place, line in enumerate(lines)
        if place not in places[1:]
    ]


def _assemble(method: str, target: bytes, pairs: list[tuple[bytes, bytes]], *, old: bool) -> Head:
    """The Head of parts that are well formed each; raises BadHead when they do not fit together."""
    if len(pairs) > _HEADERS_MAX:
        raise BadHead(431, f"More than {_HEADERS_MAX} header fields.")
    headers: dict[str, str] = {}
    for octets, value in pairs:
        name = octets.decode("latin-1").lower()
        text = value.decode("latin-1").rstrip(" \t")
        if name in headers:
            headers[name] = _joined(name, headers[name], text)
        else:
            headers[name] = text
    if not _HOST(headers.get("host", "" if old else "?")):
        raise BadHead(400, "Host is missing, or is no host (RFC 9112, 3.2).")
    keep_alive = not old
    if "connection" in headers:
        options = [option.strip() for option in headers["connection"].lower().split(",")]
        keep_alive = "close" not in options and (not old or "keep-alive" in options)
    path, query = _split(target, method)
    literal = target[:1] == b"/" and b"#" not in target and b"%" not in target.partition(b"?")[0]
    proxied = not TRACES.isdisjoint(headers)
    return Head(method, path, query, headers, keep_alive, _length(headers, old), old, literal, proxied)


def _joined(name: str, before: str, text: str) -> str:
    """Two fields of one name as one (RFC 9110, 5.3)."""
    if name == "host":
        raise BadHead(400, "More than one Host.")
    return f"{before}; {text}" if name == _JOINED_BY_SEMICOLON else f"{before}, {text}"


def _length(headers: dict[str, str], old: bool) -> int:
    """Octets of the body, -1 when chunked; raises BadHead when the end of the request is not beyond doubt."""
    length = headers.get("content-length")
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if length is not None or old:
            raise BadHead(400, "The length of the body is given twice.")
        if coding.lower() != "chunked":
            raise BadHead(501, "No transfer coding but chunked is served.")
        return -1
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit() and len(length) <= 18):
        raise BadHead(400, "Content-Length is not a length.")
    return int(length)


def _split(target: bytes, method: str) -> tuple[str, bytes]:
    """Path (percent-decoded) and query (as it came) of a request target; raises BadHead for a target of no known form.

    A fragment is no part of a target (RFC 9112, 3.2) and is dropped; the absolute form loses scheme and authority.
    """
    if b"#" in target:
        target = target.partition(b"#")[0]
    path, _, query = target.partition(b"?")
    if path[:1] != b"/":
        matched = _SCHEME.match(path)
        if matched is not None:
            path = path[matched.end() :] or b"/"
        elif method == "CONNECT":
            path = b""
        elif path != b"*":
            raise BadHead(400, "The request target is not well formed.")
    if b"%" in path:
        path = unquote_to_bytes(path)
    try:
        return path.decode(), query
    except UnicodeDecodeError:
        return path.decode("latin-1"), query
