"""One connection: a request out in one write, its answer in by httptools, one lazy timer for all its time-outs.

Nothing here waits: a request's future is completed from what the transport tells, or by the timer.
"""

from __future__ import annotations

import asyncio
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


class Answer(msgspec.Struct, frozen=True):
    """What a server answered.

    status: the HTTP status, 3xx included; excerpt: the first octets of the body, at most EXCERPT_BYTES_MAX, not
    decompressed; seconds: from the call to the end of reading.
    """

    status: int
    excerpt: bytes
    seconds: float


class Stale:
    """The result of a request on a connection that had ended, kept from an earlier one: it may be sent again."""


STALE: Final = Stale()
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
        "_bodiless", "_due", "_excerpt", "_fresh", "_future", "_home", "_keep", "_octets", "_open", "_parser",
        "_started", "_status", "_timeout_s", "_timer", "_timer_at", "_transport", "_whole", "key",
    )  # fmt: skip

    def __init__(self, home: Home, key: tuple[str, int, bool]) -> None:
        self.key = key
        self._home = home
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._future: asyncio.Future[Result] | None = None
        self._open = False  # its door counts it
        self._fresh = True  # nothing was sent on it yet
        self._bodiless = False  # the answer has a head only, whatever that says
        self._status = 0  # of the final answer, once its head is whole
        self._excerpt = b""
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
        self._excerpt = b""
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
                self._finish(Fault(FaultKind.TEMPORARY, "protocol", "the connection ended before the answer"))
            else:
                self._finish(STALE)
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
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keep = False
            if not self._status:
                self._finish(Fault(FaultKind.TEMPORARY, "protocol", type(error).__name__))
                return
            self._whole = True  # the status is what counts; the rest of the body is lost
        if self._whole:
            self._answer()
        elif self._status:
            if self._octets > BODY_BYTES_MAX or len(self._excerpt) >= EXCERPT_BYTES_MAX:
                self._answer()
        elif self._octets > HEAD_BYTES_MAX:
            self._finish(Fault(FaultKind.TEMPORARY, "protocol", "the head of the answer is too long"))

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
        self._finish(Answer(self._status, excerpt, monotonic() - self._started), keep=keep)

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
            self._finish(too_late(self._timeout_s))


def too_late(timeout_s: float) -> Fault:
    return Fault(FaultKind.TEMPORARY, "timeout", f"no answer within {timeout_s:g} s")


def _parser_for(connection: Connection) -> httptools.HttpResponseParser:
    """A parser as lenient as clients are: of an answer that is not quite right, the status is all that we need."""
    parser = httptools.HttpResponseParser(connection)
    parser.set_dangerous_leniencies(
        lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
    )
    return parser
