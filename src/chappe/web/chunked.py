"""The chunked transfer coding (RFC 9112, 7.1): octets in, the body out, strict enough that nobody can smuggle."""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_LINE_BYTES_MAX: Final = 1_024
_TRAILER_BYTES_MAX: Final = 8_192
_OVERHEAD_PER_CHUNK: Final = 64  # octets of framing that one chunk may cost without being suspicious


class BadChunk(Exception):
    """The octets are not chunked as RFC 9112 wants it."""


class BodyTooLarge(Exception):
    """The body is longer than the limit."""


class ChunkedBody:
    """Gathers one chunked body.

    feed() takes octets until it says that the body is whole; then `body` is it. Extensions and trailers are dropped
    unread. Every line ends with CRLF: a bare LF is accepted in a head (RFC 9112, 2.2) but not here (7.1), since a proxy
    that reads it as part of an extension would see the request end somewhere else.
    """

    __slots__ = ("_bytes_max", "_framing", "_left", "_line", "_state", "body")

    def __init__(self, bytes_max: int) -> None:
        self.body = bytearray()
        self._bytes_max = bytes_max
        self._state = "size"
        self._left = 0
        self._line = bytearray()
        self._framing = 0

    def feed(self, octets: bytes, start: int) -> int:
        """Takes octets[start:] up to the end of the body; returns the offset behind it, or -1 when more is needed.

        Raises BadChunk, BodyTooLarge; after either the object is of no use any more.
        """
        position = start
        while position < len(octets):
            if self._state == "data":
                taken = octets[position : position + self._left]
                self.body += taken
                position += len(taken)
                self._left -= len(taken)
                if not self._left:
                    self._state = "data_end"
                continue
            position = self._take_line(octets, position)
            if position < 0:
                return -1
            if not self._line.endswith(b"\r\n"):
                raise BadChunk("a line of the chunked coding ends with a bare LF")
            line = bytes(self._line[:-2])
            self._line.clear()
            if self._end_line(line):
                return position
        return -1

    def _take_line(self, octets: bytes, position: int) -> int:
        """Adds octets up to and with the next LF to the line; the offset behind it, or -1 when there is none yet."""
        end = octets.find(b"\n", position)
        piece = octets[position:] if end < 0 else octets[position : end + 1]
        self._line += piece
        self._framing += len(piece)
        if len(self._line) > _LINE_BYTES_MAX:
            raise BadChunk("a line of the chunked coding is too long")
        # A body of one-octet chunks with long extensions would cost far more than it carries.
        if self._framing > _TRAILER_BYTES_MAX + len(self.body) * _OVERHEAD_PER_CHUNK:
            raise BadChunk("more framing than body")
        return -1 if end < 0 else end + 1

    def _end_line(self, line: bytes) -> bool:
        """Acts on one line of framing; True when it ends the body."""
        if self._state == "data_end":
            if line:
                raise BadChunk("a chunk is longer than announced")
            self._state = "size"
            return False
        if self._state == "trailer":
            if b"\r" in line or b"\x00" in line:
                raise BadChunk("a trailer holds a bare CR or NUL")
            return not line
        matched = _SIZE.fullmatch(line)
        if matched is None:
            raise BadChunk("a chunk has no size")
        self._left = int(matched[1], 16)
        if len(self.body) + self._left > self._bytes_max:
            raise BodyTooLarge
        self._state = "data" if self._left else "trailer"
        return False
