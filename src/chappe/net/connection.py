"""One connection: a request out in one write, its answer in by httptools, one lazy timer for all its time-outs.

Nothing here waits: a request's future is completed from what the transport tells, or by the timer.
"""

from __future__ import annotations

import asyncio
import re
from time import monotonic
from typing import Final, Protocol, cast

import httptools
import msgspec

from chappe.core.errors import Fault, FaultKind

EXCERPT_BYTES_MAX: Final = 65_536
HEAD_BYTES_MAX: Final = 65_536  # of an answer, with all interim ones before it
BODY_BYTES_MAX: Final = 4 * EXCERPT_BYTES_MAX  # read on the wire, with the framing of chunks
IDLE_S: Final = 15.0
_TICK_S: Final = 0.001  # the loop's clock: less would be at once
_SWITCHING: Final = 101
LOCATION_BYTES_MAX: Final = 2_048
# Looser than any standard: servers leave the reason out, write `http/1.1` or two blanks; ICY is SHOUTcast's own word.
_STATUS_LINE: Final = re.compile(rb"\s*(?:HTTP/\d+(?:\.\d+)?|ICY)[ \t]+(\d{3})(?!\d)[^\n]*", re.IGNORECASE)
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_LOCATION: Final = re.compile(rb"\nlocation[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)


class Answer(msgspec.Struct, frozen=True):
    """What a server answered.

    status: the HTTP status, 3xx included; excerpt: the first octets of the body, at most EXCERPT_BYTES_MAX, not
    decompressed; seconds: from the call to the end of reading; location: of a 3xx the field Location as it was
    written, at most LOCATION_BYTES_MAX octets of it, else empty.
    """

    status: int
    excerpt: bytes
    seconds: float
    location: str = ""


class Stale:
    """The result of a request on a connection that had ended, kept from an earlier one: it may be sent again, if it may
    be sent twice. written: whether its octets had left before that was known."""

    __slots__ = ("written",)

    def __init__(self, *, written: bool) -> None:
        self.written = written


STALE: Final = Stale(written=False)
STALE_WRITTEN: Final = Stale(written=True)
Result = Answer | Fault | Stale


class Home(Protocol):
    """What a connection needs of its door."""

    def ready(self, connection: Connection) -> None:
        """It may serve another request."""

    def ended(self, connection: Connection) -> None:
        """It serves no more; told once."""

    def lost(self, connection: Connection) -> None:
        """Its socket is closed; told once, after ended()."""


class Connection(asyncio.Protocol):
    """The client's side of one connection. key: its origin's, by which its door keeps it."""

    __slots__ = (
        "_bodiless", "_due", "_excerpt", "_fresh", "_future", "_head", "_home", "_keep", "_location", "_octets",
        "_open", "_parser", "_started", "_status", "_timeout_s", "_timer", "_timer_at", "_transport", "_unread",
        "_whole", "key",
    )  # fmt: skip

    def __init__(self, home: Home, key: tuple[int, str, int, bool]) -> None:
        self.key = key
        self._home = home
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._future: asyncio.Future[Result] | None = None
        self._open = False  # its door counts it
        self._fresh = True  # nothing was sent on it yet
        self._bodiless = False  # the answer has a head only, whatever that says
        self._status = 0  # of the final answer, once its head is whole
        self._head = b""  # the answer as it came, while its head is not whole
        self._location = ""
        self._excerpt = b""
        self._unread: Fault | None = None  # why the parser cannot read on
        self._whole = False
        self._keep = False  # the server will hear another request
        self._octets = 0  # came since the request, or since the head
        self._started = 0.0
        self._timeout_s = 0.0
        self._due = 0.0  # when the request has taken too long, or the connection was idle for too long
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def usable(self) -> bool:
        """Whether a request may be sent, as far as we know."""
        return self._open and self._future is None

    # ---- what the door asks

    def begin(self) -> bool:
        """From now on its home is told what becomes of it; False when it has ended already."""
        self._open = self._transport is not None and not self._transport.is_closing()
        return self._open

    def send(
        self, octets: bytes, started: float, timeout_s: float, *, bodiless: bool = False
    ) -> asyncio.Future[Result]:
        """Sends one request; what comes of it is the future's result. Whoever gives the future up calls abandon().

        started: when the call began, by time.monotonic(); timeout_s: from then on. bodiless: the answer has no body
        (HEAD).
        """
        assert self._future is None, "one request at a time"
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if not self._open or self._transport is None:
            future.set_result(STALE)
            return future
        if self._parser is None:
            self._parser = _parser_for(self)
        self._future = future
        self._bodiless = bodiless
        self._status = 0
        self._head = self._excerpt = b""
        self._location = ""
        self._unread = None
        self._whole = self._keep = False
        self._octets = 0
        self._started = started
        self._timeout_s = timeout_s
        self._transport.write(octets)
        self._watch(started + timeout_s)
        return future

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self._future = None
        self._cut()

    def close(self) -> None:
        """Ends a connection on which nothing is under way."""
        if self._transport is not None and self._future is None:
            self._end()
            self._transport.close()
        else:
            self._cut()

    # ---- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._future is not None:
            if self._status:
                self._answer()
            elif self._fresh or self._octets:
                self._decide(Fault(FaultKind.TEMPORARY, "protocol", "the connection ended before the answer"))
            else:
                self._finish(STALE_WRITTEN)
        self._end()
        self._transport = None
        self._parser = None  # they know each other
        self._home.lost(self)

    def eof_received(self) -> bool:
        if self._future is None:
            self._end()  # nobody shall take it in its last moment
        return False

    def data_received(self, data: bytes) -> None:
        if self._future is None:  # nobody asked: whatever it is, the next answer could not be told from it
            self._cut()
            return
        assert self._parser is not None
        self._octets += len(data)
        if self._unread is not None:
            self._head += data
            self._go_on(self._unread)
            return
        begun = self._status == 0
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keep = False
            if not self._status:
                self._head += data
                self._unread = Fault(FaultKind.TEMPORARY, "protocol", type(error).__name__)
                self._go_on(self._unread)
                return
            self._whole = True  # the status is what counts; the rest of the body is lost
        if begun and 300 <= self._status < 400:
            self._location = _location_in(self._head + data)
        if self._whole:
            self._answer()
        elif self._status:
            if self._octets > BODY_BYTES_MAX or len(self._excerpt) >= EXCERPT_BYTES_MAX:
                self._answer()
        else:
            self._head += data
            if self._octets > HEAD_BYTES_MAX:
                self._decide(Fault(FaultKind.TEMPORARY, "protocol", "the head of the answer is too long"))

    # ---- what the parser tells

    def on_message_begin(self) -> None:
        if self._whole:
            self._keep = False  # more than was asked for

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if self._whole or (100 <= status < 200 and status != _SWITCHING):
            return
        self._status = status
        self._octets = 0
        self._keep = status != _SWITCHING and self._parser.should_keep_alive()
        if self._bodiless:
            self._whole = True
            self._keep = False  # the parser waits for a body that does not come

    def on_body(self, body: bytes) -> None:
        if not self._whole:
            self._excerpt += body

    def on_message_complete(self) -> None:
        self._whole = self._whole or self._status != 0

    # ---- ends

    def _answer(self) -> None:
        """The status has come, and all of the body that will be read."""
        keep = self._whole and self._keep
        excerpt = self._excerpt[:EXCERPT_BYTES_MAX]
        self._finish(Answer(self._status, excerpt, monotonic() - self._started, self._location), keep=keep)

    def _go_on(self, fault: Fault) -> None:
        """Decides, unless the final status is still to come, or the place that a redirect points to."""
        status, rest = _status_in(self._head)
        waits = _STATUS_LINE.match(self._head) is not None if not status else 300 <= status < 400 and rest is None
        if not waits or self._octets > HEAD_BYTES_MAX:
            self._decide(fault)

    def _decide(self, fault: Fault) -> None:
        """No parser can read the head, or it does not end: the status line decides where there is one.

        PHP writes warnings among the fields, gateways declare two lengths, old servers close behind the status line.
        The customer's program has the news all the same; a new attempt would tell it twice.
        """
        status, rest = _status_in(self._head)
        if not status:
            self._finish(fault)
            return
        self._status = status
        self._whole = self._keep = False
        self._excerpt = rest or b""
        if 300 <= status < 400:
            self._location = _location_in(self._head)
        self._answer()

    def _finish(self, result: Result, *, keep: bool = False) -> None:
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_result(result)
        self._fresh = False
        if keep and self._open and self._transport is not None and not self._transport.is_closing():
            self._watch(monotonic() + IDLE_S)
            self._home.ready(self)
        else:
            self._cut()

    def _cut(self) -> None:
        """Closes at once, without waiting for what the other end may or may not read."""
        self._end()
        if self._transport is not None:
            self._transport.abort()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._open:
            self._open = False
            self._home.ended(self)

    # ---- the clock

    def _watch(self, due: float) -> None:
        """Sets the time at which it is too late. The timer is moved only when it would ring after that: on a busy
        connection it rings every few seconds, and finds that there is time left."""
        self._due = due
        if self._timer is None or due < self._timer_at:
            self._set_timer(due - monotonic())

    def _set_timer(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay_s = max(delay_s, _TICK_S)
        self._timer_at = monotonic() + delay_s
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        left_s = self._due - monotonic()
        if left_s > 0:
            self._set_timer(left_s)
        elif self._future is None:
            self.close()
        elif self._status:
            self._answer()
        else:
            self._decide(too_late(self._timeout_s))


def too_late(timeout_s: float) -> Fault:
    return Fault(FaultKind.TEMPORARY, "timeout", f"no answer within {timeout_s:g} s")


def _status_in(octets: bytes) -> tuple[int, bytes | None]:
    """The status of the final answer among these octets, 0 when there is none; and what stands behind its head, None
    while that has no end."""
    place = 0
    while (line := _STATUS_LINE.match(octets, place)) is not None:
        status = int(line[1])
        end = _HEAD_END.search(octets, line.end())
        if status >= 200 or status == _SWITCHING:
            return status, octets[end.end() :] if end is not None else None
        if end is None:
            break
        place = end.end()
    return 0, None


def _location_in(head: bytes) -> str:
    """The field Location of an answer of which these are the first octets, with interim answers before it."""
    end = _HEAD_END.search(head)
    while end is not None and (line := _STATUS_LINE.match(head)) is not None and line[1].startswith(b"1"):
        head = head[end.end() :]
        end = _HEAD_END.search(head)
    found = _LOCATION.search(head, 0, end.end() if end is not None else len(head))
    return found[1][:LOCATION_BYTES_MAX].strip().decode("utf-8", "replace") if found is not None else ""


def _parser_for(connection: Connection) -> httptools.HttpResponseParser:
    """A parser as lenient as clients are: of an answer that is not quite right, the status is all that we need."""
    parser = httptools.HttpResponseParser(connection)
    parser.set_dangerous_leniencies(
        lenient_headers=True,
        lenient_chunked_length=True,  # chunks count, whatever Content-Length says (RFC 9112, 6.3)
        lenient_transfer_encoding=True,
        lenient_version=True,
        lenient_optional_lf_after_cr=True,
        lenient_optional_cr_before_lf=True,
        lenient_optional_crlf_after_chunk=True,
        lenient_spaces_after_chunk_size=True,
    )
    return parser
