"""The way back to the sender of one HTTP request: a Response as octets, in its place in the connection's order."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from itertools import count
from os import urandom
from traceback import extract_tb
from typing import Final, Protocol

from chappe.core.http import Response
from chappe.observability.metrics import METRICS, metrics, spread
from chappe.web.request_head import Head

_logger = logging.getLogger(__name__)

_REASONS: Final = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently", 302: "Found",
    303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request",
    401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 413: "Content Too Large",
    414: "URI Too Long", 415: "Unsupported Media Type", 422: "Unprocessable Content", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip
_FAILED: Final = Response(500, "application/json", b'{"success":false,"code":500,"message":"Internal server error"}')
# Answers hold data of an account, and many clients have its key in the URL: no cache may keep them.
_NO_STORE: Final = "Cache-Control: no-store\r\n"
_SENSIBLE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

_id_prefix = urandom(5).hex()
_ids = count(1)
_answered: dict[int, list[float]] = {}  # where answers are counted, by status
_took = metrics().cell("chappe_http_request_seconds")
_TOOK_BUCKETS: Final = METRICS["chappe_http_request_seconds"].buckets
_status_lines: dict[tuple[int, str], bytes] = {}


class Clockwork(Protocol):
    """What a reply asks the listener."""

    date: bytes
    stopping: bool
    now: Callable[[], float]


class Way(Protocol):
    """What a reply needs of its connection."""

    @property
    def home(self) -> Clockwork: ...
    @property
    def ended(self) -> bool: ...
    def is_last(self, reply: Reply) -> bool: ...
    def hear_no_more(self) -> None: ...
    def answer_ready(self, reply: Reply) -> None: ...
    def when_read(self, reply: Reply, done: Callable[[], None]) -> None: ...


class Reply:
    """The way back to whoever sent one request.

    request_id: goes out as X-Request-Id, and belongs into logs; received_at: the listener's clock (seconds) when the
    request was whole; octets: the answer, once sent; closes: whether the connection ends with it.
    """

    __slots__ = ("_head_only", "_keep_alive_said", "_way", "closes", "octets", "received_at", "request_id")

    def __init__(self, way: Way, head: Head | None, received_at: float, *, closes: bool = False) -> None:
        self._way = way
        self.octets: bytes | None = None
        self.received_at = received_at
        self.closes = closes or head is None or not head.keep_alive
        self._head_only = head is not None and head.method == "HEAD"
        self._keep_alive_said = head is not None and head.old and head.keep_alive
        given = "" if head is None else head.headers.get("x-request-id", "")
        self.request_id = given if given and _SENSIBLE_ID.fullmatch(given) else f"{_id_prefix}{next(_ids):x}"

    @property
    def sent(self) -> bool:
        """Whether the request has been answered."""
        return self.octets is not None

    @property
    def has_left(self) -> bool:
        """Whether the client has ended its side of the connection: nearly always it has given up."""
        return self._way.ended

    def send(self, response: Response) -> None:
        """Answers the request: once, from anywhere in the listener's loop; never raises for a client that has gone.

        The octets leave at the end of this turn of the loop, behind the answers to earlier requests of the connection.
        """
        assert self.octets is None, "a request is answered once"
        if response.headers and any("\n" in value or "\r" in value for pair in response.headers for value in pair):
            _logger.error("response header with a line end: answered 500 instead, status=%d", response.status)
            response = _FAILED
        way = self._way
        if way.home.stopping and not self.closes and way.is_last(self):
            self.closes = True
            way.hear_no_more()
        answered = _answered.get(response.status)
        if answered is None:
            answered = metrics().cell("chappe_http_requests_total", status=str(response.status))
            _answered[response.status] = answered
        answered[0] += 1
        spread(_took, _TOOK_BUCKETS, way.home.now() - self.received_at)
        self.octets = self._render(response)
        way.answer_ready(self)

    def when_read(self, done: Callable[[], None]) -> None:
        """Has `done` called once the client has read this answer, but for what its system and ours keep on the way, or
        has gone. To be called right after send()."""
        self._way.when_read(self, done)

    def fail(self, error: BaseException) -> None:
        """Logs that the request failed by a mistake of ours, and answers 500 unless it has been answered.

        For whoever answers later: an application that raises while it is called needs not call this itself.
        """
        # Neither the error's text nor its values: they may hold keys, numbers and texts.
        frames = " < ".join(
            f"{f.filename.rpartition('/')[2]}:{f.lineno}:{f.name}" for f in reversed(extract_tb(error.__traceback__))
        )
        _logger.error("request failed: %s at %s (request %s)", type(error).__name__, frames, self.request_id)
        if not self.sent:
            self.send(_FAILED)

    def _render(self, response: Response) -> bytes:
        key = (response.status, response.content_type)
        start = _status_lines.get(key)
        if start is None:
            start = _status_line(*key)
        extra = _NO_STORE
        if response.headers:
            said = "".join([f"{name}: {value}\r\n" for name, value in response.headers])
            extra = said if "cache-control:" in said.lower() else _NO_STORE + said
        if self.closes:
            extra += "Connection: close\r\n"
        elif self._keep_alive_said:
            extra += "Connection: keep-alive\r\n"
        bodiless = response.status in (204, 304)
        length = "" if bodiless else f"Content-Length: {len(response.body)}\r\n"
        head = b"%b%bX-Request-Id: %b\r\nDate: %b\r\n%b\r\n" % (
            start,
            length.encode(),
            self.request_id.encode(),
            self._way.home.date,
            extra.encode("utf-8"),
        )
        return head if self._head_only or bodiless else head + response.body


def _status_line(status: int, content_type: str) -> bytes:
    """Status line and Content-Type, remembered: there are few of them."""
    line = f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
    if content_type:
        line += f"Content-Type: {content_type}\r\n"
    octets = line.encode("latin-1", "replace")
    if len(_status_lines) < 256:
        _status_lines[status, content_type] = octets
    return octets
