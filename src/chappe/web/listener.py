"""The HTTP/1.1 listener: sockets, connections, one clock for all their time-outs, and the way to the application.

No ASGI and no task per request: the application is called with a whole request and answers when it can, which costs
half the processor time. Heads are read by head.py, connections by connection.py, answers written by reply.py.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Final

from chappe.core.http import Request, Response
from chappe.web.client_address import is_trusted, place_of
from chappe.web.connection import Connection
from chappe.web.limits import Limits
from chappe.web.reply import Reply

__all__ = ["Application", "LimitApplication", "Limits", "Listener", "Reply", "one_by_one"]

Application = Callable[[Sequence[tuple[Request, Reply]]], None]
LimitApplication = Callable[[Request, str, Reply], None]

_TICK_S: Final = 1.0
_SPARE_S: Final = 0.1  # a list of those that may be closed serves for so long: to make one looks at every connection
_SPARE_MAX: Final = 256  # and has so many of them, so that it does not come to those who have done nothing
_FEW: Final = 4  # connections that any address may have
_RESUMED_PER_TURN: Final = 4
_SERVED_PER_TURN: Final = 16


class Listener:
    """Serves HTTP/1.1 to one application.

    application: called with whole requests that have come together, each with its Reply, through which it answers now
    or later. It raises nothing. on_limit: called instead, with the request without its body and a code of
    core.errors.REFUSALS ("body_too_large"), when a limit forbids reading on, so that the dialect words the refusal.
    Requests that cannot be read at all are answered here, in plain text. now: a monotonic clock in seconds; the loop's
    unless given. on_undeclared: called with the peer's address and the headers before each request that came through
    a proxy which is not among the trusted ones.
    """

    def __init__(
        self,
        application: Application,
        limits: Limits | None = None,
        on_limit: LimitApplication | None = None,
        now: Callable[[], float] | None = None,
        on_undeclared: Callable[[str, Mapping[str, str]], None] | None = None,
    ) -> None:
        self._on_undeclared = on_undeclared
        self._application = application
        self.ask_limit = on_limit or _refuse_plainly
        self.limits = limits or Limits()
        self.now: Callable[[], float] = now or _no_loop_yet
        self.date = formatdate(usegmt=True).encode()
        self.stopping = False
        self.gathered_bytes = 0  # of bodies that are not whole yet, all connections together
        self.connections: set[Connection] = set()
        self.connections_refused = 0
        self.connections_closed_for_others = 0
        self._by_place: dict[str, int] = {}
        self._spare: list[Connection] = []  # those that may be closed for new ones, the next one last
        self._spare_at = -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: list[asyncio.Server] = []
        self._asked: OrderedDict[str, deque[tuple[Request, Reply]]] = OrderedDict()  # by address
        self._dirty: list[Connection] = []
        self._paused: deque[Connection] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets."""
        return tuple(one for server in self._servers for one in server.sockets)

    @property
    def port(self) -> int:
        """The port of the first listening socket: what the system chose when 0 was asked for."""
        return int(self.sockets[0].getsockname()[1])

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, reuse_port: bool = False, sockets: tuple[socket.socket, ...] = ()
    ) -> None:
        """Begins to listen on host and port, or on sockets that are bound already; raises OSError when it cannot.

        May be called again for a further address.
        """
        loop = self._loop = asyncio.get_running_loop()
        if self.now is _no_loop_yet:
            self.now = loop.time
        backlog = self.limits.backlog
        for bound in sockets:
            self._servers.append(await loop.create_server(lambda: Connection(self), sock=bound, backlog=backlog))
        if not sockets:
            server = await loop.create_server(
                lambda: Connection(self), host, port, backlog=backlog, reuse_port=reuse_port or None
            )
            self._servers.append(server)
        if self._timer is None:
            self._tick()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Stops accepting, answers what is under way for at most grace_s, then cuts what is left."""
        self.stopping = True
        for server in self._servers:
            server.close()
        for connection in tuple(self.connections):
            connection.retire()
        if self.connections:
            try:
                await asyncio.wait_for(self._empty.wait(), grace_s)
            except TimeoutError:
                for connection in tuple(self.connections):
                    connection.cut()
                await self._empty.wait()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def sweep(self) -> None:
        """Ends every connection that has taken too long by the clock; runs by itself once a second."""
        now = self.now()
        for connection in tuple(self.connections):
            connection.check(now)

    # ---- what connections call

    def enter(self, connection: Connection) -> bool:
        """Counts a connection in; False when it has to be refused: too many, or accepted while stopping."""
        place = self._place(connection)
        here = self._by_place[place] = self._by_place.get(place, 0) + 1
        limits = self.limits
        welcome = not self.stopping and (not place or here <= limits.connections_per_address_max)
        welcome = welcome and (len(self.connections) < limits.connections_max or self._make_room(here))
        self.connections_refused += not welcome
        self.connections.add(connection)
        self._empty.clear()
        return welcome

    def _make_room(self, here: int) -> bool:
        """Closes a connection on which nothing is under way: of those whose address has the most, the one that has been
        silent for the longest. False when there is none, or when the newcomer's address has as many (`here`): those who
        take all connections must not take turns at them either."""
        now = self.now()
        if now - self._spare_at >= _SPARE_S:
            self._spare_at = now
            found = [(self._by_place[place] if (place := self._place(one)) else 1, -since, one)
                     for one in self.connections if (since := one.spare_since) is not None]  # fmt: skip
            self._spare = [one for _, _, one in sorted(found, key=lambda row: row[:2])[-_SPARE_MAX:]]
        while self._spare:
            spare = self._spare[-1]
            there = self._by_place[place] if (place := self._place(spare)) and spare in self.connections else 1
            if spare.spare_since is not None and here > max(there // 2, _FEW):
                return False
            self._spare.pop()
            if spare.spare_since is not None:
                self.connections_closed_for_others += 1
                spare.make_room()
                return True
        return False

    def leave(self, connection: Connection) -> None:
        self.connections.discard(connection)
        place = self._place(connection)
        self._by_place[place] -= 1
        if not self._by_place[place]:
            del self._by_place[place]
        if not self.connections:
            self._empty.set()

    def _place(self, connection: Connection) -> str:
        """As what a connection is counted: its address, but for proxies, behind which are many."""
        return "" if is_trusted(connection.peer, self.limits.trusted_proxies) else place_of(connection.peer)

    def undeclared(self, peer: str, headers: Mapping[str, str]) -> None:
        """A request came through a proxy that is not trusted."""
        if self._on_undeclared is not None:
            self._on_undeclared(peer, headers)

    def ask(self, request: Request, reply: Reply) -> None:
        """Notes a whole request; the application gets a few in each turn of the loop. Where fifty clients have just
        been answered together, their next requests come together: what the first of them wait for, a commit, is under
        way while the others are read. Addresses take turns, so that nobody waits for all that another one has sent."""
        if not self._asked:
            assert self._loop is not None
            self._loop.call_soon(self._serve)
        place = place_of(request.remote)
        waiting = self._asked.get(place)
        if waiting is None:
            waiting = self._asked[place] = deque()
        waiting.append((request, reply))

    def _serve(self) -> None:
        asked = self._asked
        batch: list[tuple[Request, Reply]] = []
        # One address, or one proxy, and few requests: nearly always.
        if len(asked) == 1 and len(next(iter(asked.values()))) <= _SERVED_PER_TURN:
            batch.extend(asked.popitem()[1])
        while asked and len(batch) < _SERVED_PER_TURN:
            place, waiting = next(iter(asked.items()))
            batch.append(waiting.popleft())
            if not waiting:
                del asked[place]
            elif len(asked) > 1:
                asked.move_to_end(place)
        try:
            self._application(batch)
        finally:
            if asked:  # whatever became of these, the next ones are served
                assert self._loop is not None
                self._loop.call_soon(self._serve)

    def answered(self, connection: Connection) -> None:
        """Notes a connection with answers to write; those of one turn of the loop leave together."""
        if not self._dirty:
            assert self._loop is not None
            self._loop.call_soon(self._flush)
        self._dirty.append(connection)

    def paused(self, connection: Connection) -> None:
        """Notes a connection that may read on: a few of them in each turn of the loop, since those that send without
        end have a full hand of requests each, and others would wait for all of them turn by turn."""
        if not self._paused:
            assert self._loop is not None
            self._loop.call_soon(self._read_on)
        self._paused.append(connection)

    def _read_on(self) -> None:
        for _ in range(min(len(self._paused), _RESUMED_PER_TURN)):
            self._paused.popleft().resume()
        if self._paused:
            assert self._loop is not None
            self._loop.call_soon(self._read_on)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()

    def _tick(self) -> None:
        assert self._loop is not None
        self.date = formatdate(usegmt=True).encode()
        self.sweep()
        self._timer = self._loop.call_later(_TICK_S, self._tick)


def one_by_one(answer: Callable[[Request, Reply], None]) -> Application:
    """The application that `answer` is, which takes one request at a time; where it fails, that client is told."""

    def ask(requests: Sequence[tuple[Request, Reply]]) -> None:
        for request, reply in requests:
            try:
                answer(request, reply)
            except Exception as error:  # noqa: BLE001 - whatever fails, this client gets an answer, others are served
                reply.fail(error)

    return ask


def _no_loop_yet() -> float:
    raise AssertionError("the listener has not been started")


def _refuse_plainly(request: Request, code: str, reply: Reply) -> None:
    """Words a refusal where the application has no words of its own."""
    reply.send(Response(413, "text/plain; charset=utf-8", f"{code}\n".encode()))
