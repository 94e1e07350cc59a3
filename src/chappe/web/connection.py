"""One HTTP/1.1 connection: octets in, requests to the application, its answers out in the order of the requests."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol, cast

from chappe.core.http import Request, Response
from chappe.web.chunked import BadChunk, BodyTooLarge, ChunkedBody
from chappe.web.client_address import is_trusted, original, peer_address
from chappe.web.limits import Limits
from chappe.web.reply import Reply
from chappe.web.request_head import BadHead, Head, read_head

_logger = logging.getLogger(__name__)

_HEAD, _BODY, _CHUNKED, _DEAF = range(4)  # what the next octets are; deaf: they are of no interest any more

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOKEN_START: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class Home(Protocol):
    """What a connection needs of its listener."""

    limits: Limits
    date: bytes
    stopping: bool
    gathered_bytes: int
    now: Callable[[], float]

    def enter(self, connection: Connection) -> bool: ...
    def leave(self, connection: Connection) -> None: ...
    def answered(self, connection: Connection) -> None: ...
    def paused(self, connection: Connection) -> None: ...
    def ask(self, request: Request, reply: Reply) -> None: ...
    def ask_limit(self, request: Request, code: str, reply: Reply) -> None: ...
    def undeclared(self, peer: str, headers: Mapping[str, str]) -> None: ...


class Connection(asyncio.Protocol):
    """The server side of one connection; its clock and its limits are its listener's (`home`)."""

    __slots__ = (
        "_began_at", "_behind_proxy", "_body", "_chunked", "_closed_at", "_continue_due", "_gathered_bytes",
        "_head", "_held", "_is_new", "_left", "_lingers", "_paused", "_pending", "_phase", "_quiet_at",
        "_searched", "_seen_at", "_stalled_at", "_transport", "_unread", "dirty", "ended", "home", "peer",
    )  # fmt: skip

    def __init__(self, home: Home) -> None:
        self.home = home
        self.peer = ""
        self.dirty = False  # the listener's: whether this connection waits in its list of those with answers to write
        self._transport: asyncio.Transport | None = None
        self._phase = _HEAD
        self._held = bytearray()  # octets that no request could be made of yet
        self._searched = 0  # how far the end of a head was looked for in them
        self._head: Head | None = None
        self._body = bytearray()
        self._left = 0
        self._gathered_bytes = 0
        self._chunked: ChunkedBody | None = None
        self._pending: deque[Reply] = deque()
        self._unread: list[tuple[Reply, Callable[[], None]]] = []  # whom to tell when the client has read an answer
        self._continue_due = False
        self._paused = False  # reading is: too many requests in flight, or answers unread
        self.ended = False  # whether the client sends no more
        self._behind_proxy = False
        self._is_new = True  # no request has been read yet
        self._lingers = False  # the client may still be sending when we have said our last word
        self._seen_at = self._began_at = self._quiet_at = home.now()
        self._stalled_at: float | None = None
        self._closed_at: float | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way: neither a part of a request nor an answer."""
        return not self._pending and self._phase == _HEAD and not self._held

    @property
    def spare_since(self) -> float | None:
        """Since when nothing has come that a request could be made of; None while one is under way.

        The head of a request counts from its first octet: nobody has been promised anything yet.
        """
        if self._pending or self._phase != _HEAD or self._closed_at is not None:
            return None
        return self._began_at if self._held else self._quiet_at

    @property
    def hears(self) -> bool:
        """Whether what the client sends still matters."""
        return self._phase != _DEAF

    # ---- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self.home.limits.write_bytes_max)
        self.peer = peer_address(transport.get_extra_info("peername"))
        self._behind_proxy = is_trusted(self.peer, self.home.limits.trusted_proxies)
        if not self.home.enter(self):
            self.refuse(503, "Too many connections, or the server is stopping.", (("Retry-After", "1"),))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.ended = True
        self._phase = _DEAF
        self._pending.clear()
        self._held.clear()
        self._count_gathered(0)
        self._tell_read()
        self.home.leave(self)

    def eof_received(self) -> bool:
        """Half-closed: what was asked is still answered; half a request is forgotten."""
        self.ended = True
        if not self._pending or self._closed_at is not None:
            return False
        if not self._paused:
            self._phase = _DEAF
        return True

    def pause_writing(self) -> None:
        self._stalled_at = self.home.now()
        self._pause()

    def resume_writing(self) -> None:
        self._stalled_at = None
        self._tell_read()
        self.home.paused(self)

    def data_received(self, data: bytes) -> None:
        self._seen_at = self.home.now()
        if self._phase == _DEAF:
            self._lingers = True
            return
        if self._held or self._paused:
            self._held += data
            if self._paused or (self._phase == _HEAD and not self._held_is_whole()):
                return
            data = bytes(self._held)
            self._held.clear()
        self._take(data)

    # ---- octets to requests

    def _take(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            if self._phase == _HEAD:
                if self._paused:
                    self._held += data[position:]
                    return
                position = self._take_head(data, position)
            elif self._phase == _BODY:
                position = self._take_body(data, position)
            elif self._phase == _CHUNKED:
                position = self._take_chunks(data, position)
            else:
                self._lingers = True
                return

    def _take_head(self, data: bytes, position: int) -> int:
        """Reads the request that begins at the position, or keeps what there is of it; returns the next position."""
        while data[position] in b"\r\n":  # empty lines before a request are to be ignored (RFC 9112, 2.2)
            position += 1
            if position == len(data):
                return position
        self._began_at = self._seen_at
        end = _end_of_head(data, position)
        if end < 0:
            self._held += data[position:]
            self._held_is_whole()
            return len(data)
        self._searched = 0
        limits = self.home.limits
        try:
            if end - position > limits.head_bytes_max:
                self._check_sizes(data, position, end)
            head = read_head(data[position:end])
        except BadHead as bad:
            self.refuse(bad.status, bad.reason)
            return len(data)
        if not head.length:
            self._dispatch(head, b"")
            return end
        if head.length > limits.body_bytes_max:
            self._over_limit(head)
            return len(data)
        if 0 < head.length <= len(data) - end:
            whole = end + head.length
            self._dispatch(head, data[end:whole])
            return whole
        self._await_body(head, empty=end == len(data))
        return end

    def _held_is_whole(self) -> bool:
        """Whether the octets held contain the end of a head; refuses at once what can become no head."""
        held = self._held
        if _end_of_head(held, max(0, self._searched - 3)) >= 0:
            return True
        first = held[0] if held else 0x47
        if first == 0x16:  # a TLS handshake: whoever speaks TLS cannot read an answer in clear
            self.cut()
        elif first not in _TOKEN_START:
            self.refuse(400, "This is not HTTP.")
        elif (line_end := held.find(b"\n")) >= self._searched and held.find(b"HTTP/", 0, line_end) < 0:
            self.refuse(400, "The first line is not an HTTP request.")
        if self._phase == _HEAD:
            self._searched = len(held)
            if len(held) > self.home.limits.head_bytes_max:
                try:
                    self._check_sizes(held, 0, len(held))
                except BadHead as bad:
                    self.refuse(bad.status, bad.reason)
        return False

    def _check_sizes(self, octets: bytes | bytearray, start: int, end: int) -> None:
        """Raises BadHead when the first line or the fields behind it are over their limits."""
        line_end = octets.find(b"\n", start, end)
        line_bytes = (line_end if line_end >= 0 else end) - start
        if line_bytes > self.home.limits.target_bytes_max:
            raise BadHead(414, "The request target is too long.")
        if end - start - line_bytes > self.home.limits.head_bytes_max:
            raise BadHead(431, "The header fields are too long.")

    def _await_body(self, head: Head, *, empty: bool) -> None:
        """Prepares for a body of which nothing or only a part is here."""
        self._head = head
        if head.length < 0:
            self._phase = _CHUNKED
            self._chunked = ChunkedBody(self.home.limits.body_bytes_max)
        else:
            self._phase = _BODY
            self._left = head.length
        if empty and not head.old and head.headers.get("expect", "").lower() == "100-continue":
            # It may not overtake answers to requests before this one.
            self._continue_due = bool(self._pending)
            if not self._pending and self._transport is not None:
                self._transport.write(_CONTINUE)

    def _take_body(self, data: bytes, position: int) -> int:
        piece = data[position : position + self._left] if position or self._left < len(data) else data
        self._body += piece
        self._left -= len(piece)
        if not self._left:
            body = bytes(self._body)
            self._body = bytearray()
            self._end_body(body)
        elif not self._count_gathered(len(self._body)):
            return len(data)
        return position + len(piece)

    def _take_chunks(self, data: bytes, position: int) -> int:
        assert self._chunked is not None
        try:
            position = self._chunked.feed(data, position)
        except BodyTooLarge:
            assert self._head is not None
            self._over_limit(self._head)
            return len(data)
        except BadChunk:
            self.refuse(400, "The chunked body is not well formed.")
            return len(data)
        if position < 0:
            self._count_gathered(len(self._chunked.body))
            return len(data)
        self._end_body(bytes(self._chunked.body))
        return position

    def _count_gathered(self, gathered_bytes: int) -> bool:
        """Counts what is held of an unfinished body; False, and it is refused, when all hold too much together."""
        home = self.home
        home.gathered_bytes += gathered_bytes - self._gathered_bytes
        self._gathered_bytes = gathered_bytes
        if gathered_bytes and home.gathered_bytes > home.limits.gathered_bytes_max:
            self.refuse(503, "Too many large requests at once.", (("Retry-After", "1"),))
            return False
        return True

    def _end_body(self, body: bytes) -> None:
        head = self._head
        assert head is not None
        self._head = self._chunked = None
        self._continue_due = False
        self._phase = _HEAD
        self._count_gathered(0)
        self._dispatch(head, body)

    # ---- requests to the application

    def _request(self, head: Head, body: bytes) -> Request:
        remote = self.peer
        undeclared = False
        if head.proxied:
            undeclared = not self._behind_proxy
            if undeclared:
                self.home.undeclared(remote, head.headers)
            elif "x-forwarded-for" in head.headers:
                remote = original(remote, head.headers["x-forwarded-for"], self.home.limits.trusted_proxies)
        return Request(head.method, head.path, head.query, head.headers, body, remote, head.literal, undeclared)

    def _dispatch(self, head: Head, body: bytes) -> None:
        """Gives one whole request to the application."""
        reply = Reply(self, head, self._seen_at)
        self._is_new = False
        self._pending.append(reply)
        if not head.keep_alive:
            self._phase = _DEAF
        elif len(self._pending) >= self.home.limits.requests_in_flight_max:
            self._pause()
        self.home.ask(self._request(head, body), reply)

    def _over_limit(self, head: Head) -> None:
        """Has a request with too long a body refused in its dialect's words; the body is not read."""
        reply = Reply(self, head, self._seen_at, closes=True)
        self._pending.append(reply)
        self._phase = _DEAF
        self._lingers = True
        self._forget_body()
        try:
            self.home.ask_limit(self._request(head, b""), "body_too_large", reply)
        except Exception as error:  # noqa: BLE001 - as in Listener._serve
            reply.fail(error)

    def refuse(self, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Answers in plain words what no dialect can answer, behind earlier answers, and closes."""
        self._phase = _DEAF
        self._lingers = True
        self._held.clear()
        self._forget_body()
        reply = Reply(self, None, self._seen_at)
        self._pending.append(reply)
        reply.send(Response(status, "text/plain; charset=utf-8", f"{reason}\n".encode(), headers))

    def _forget_body(self) -> None:
        """Lets go of what is held of a body that will not be read to its end."""
        self._head = self._chunked = None
        self._body = bytearray()
        self._continue_due = False
        self._count_gathered(0)

    # ---- answers to octets

    def answer_ready(self, reply: Reply) -> None:
        """A reply has its octets; they leave with the others of this turn."""
        if not self.dirty and self._transport is not None and self._pending[0] is reply:
            self.dirty = True
            self.home.answered(self)

    def when_read(self, reply: Reply, done: Callable[[], None]) -> None:
        """As Reply.when_read."""
        self._unread.append((reply, done))
        if self._transport is None:
            self._tell_read()

    def _tell_read(self) -> None:
        """Tells of the answers that have left, unless the client does not read."""
        if self._stalled_at is not None and self._transport is not None:
            return
        read = [(reply, done) for reply, done in self._unread if reply not in self._pending]
        self._unread = [waits for waits in self._unread if waits not in read]
        for _, done in read:
            done()

    def is_last(self, reply: Reply) -> bool:
        """Whether no request behind this one was read."""
        return bool(self._pending) and self._pending[-1] is reply

    def hear_no_more(self) -> None:
        """Reads no further request; the answer to the last one says so."""
        self._phase = _DEAF
        self._lingers = self._lingers or bool(self._held)
        self._held.clear()

    def flush(self) -> None:
        """Writes all answers that are due, in one write."""
        self.dirty = False
        transport, pending = self._transport, self._pending
        if transport is None:
            return
        octets: list[bytes] = []
        closes = False
        while pending and (answer := pending[0].octets) is not None:
            octets.append(answer)
            closes = pending.popleft().closes
        if octets:
            self._seen_at = self._quiet_at = self.home.now()
            transport.write(octets[0] if len(octets) == 1 else b"".join(octets))
            if self._unread:
                self._tell_read()
        if not pending:
            if closes or (self.ended and not (self._paused and self._held)):
                self._finish(transport)
                return
            if self._continue_due:
                self._continue_due = False
                transport.write(_CONTINUE)
        if self._paused and len(pending) * 2 <= self.home.limits.requests_in_flight_max:
            self.home.paused(self)

    def _finish(self, transport: asyncio.Transport) -> None:
        """Closes, once everything is written.

        A client that is still sending would have its connection reset, and with it our answer (RFC 9112, 9.6): such a
        connection is closed in one direction first.
        """
        self._phase = _DEAF
        self._closed_at = self.home.now()
        if self._lingers and not self.ended and transport.can_write_eof():
            transport.write_eof()
            if self._paused:
                self._paused = False
                transport.resume_reading()
        else:
            transport.close()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads on where nothing stands against it any more."""
        if not self._paused or self._stalled_at is not None or self._transport is None or self._closed_at is not None:
            return
        if len(self._pending) >= self.home.limits.requests_in_flight_max:
            return
        self._paused = False
        self._transport.resume_reading()
        held = bytes(self._held)
        self._held.clear()
        self._take(held)

    # ---- time

    def retire(self) -> None:
        """Closes if nothing is under way; otherwise the answer to the last request read does."""
        if self.is_idle and self._transport is not None and self._closed_at is None:
            self._finish(self._transport)

    def make_room(self) -> None:
        """Ends a connection on which nothing is under way, for another one; half a head is not answered."""
        if self._transport is not None:
            self._lingers = False
            self._finish(self._transport)

    def cut(self) -> None:
        """Ends the connection at once, unsent answers included."""
        self._phase = _DEAF
        self._closed_at = self.home.now()
        if self._transport is not None:
            self._transport.abort()

    def check(self, now: float) -> None:
        """Ends what has taken too long; asked about once a second."""
        limits = self.home.limits
        if self._transport is None:
            return
        if self._closed_at is not None:
            if now - self._closed_at > (limits.linger_timeout_s if self._lingers else limits.slow_reader_timeout_s):
                self.cut()
        elif self._stalled_at is not None:
            if now - self._stalled_at > limits.slow_reader_timeout_s:
                self.cut()
        elif self._pending:
            if now - self._pending[0].received_at > limits.answer_timeout_s:
                # What became of the request is not known: no answer is truer than a wrong one.
                _logger.error("request without an answer: connection closed (request %s)", self._pending[0].request_id)
                self.cut()
        elif self._phase == _HEAD and not self._held:
            # Empty lines before a request are no sign of life.
            if now - self._quiet_at > (limits.first_request_timeout_s if self._is_new else limits.keep_alive_timeout_s):
                self._finish(self._transport)
        elif now - self._seen_at > limits.progress_timeout_s or now - self._began_at > self._allowed_s():
            self.refuse(408, "The request took too long.")

    def _allowed_s(self) -> float:
        """How long the request under way may take in all, seconds."""
        limits = self.home.limits
        if self._phase == _HEAD:
            return limits.head_timeout_s
        received = len(self._chunked.body) if self._chunked is not None else len(self._body)
        return limits.body_timeout_s + received / limits.body_bytes_per_s_min


def _end_of_head(octets: bytes | bytearray, start: int) -> int:
    """The offset behind the empty line that ends a head, with CRLF or bare LF as line ends; -1 when there is none."""
    end = octets.find(b"\n\r\n", start)
    bare = octets.find(b"\n\n", start, end + 1) if end >= 0 else octets.find(b"\n\n", start)
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1
