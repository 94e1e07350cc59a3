"""The door: one request and its answer; who may use which connection, and who waits for one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from chappe.core.errors import Fault, FaultKind
from chappe.net.connection import Answer, Connection, Stale, too_late
from chappe.net.guard import Networks
from chappe.net.name_cache import Names, Resolve
from chappe.net.ports import REFUSED
from chappe.net.url import Origin, read, request_octets

if TYPE_CHECKING:
    from ssl import SSLContext

_DNS_CACHE_S: Final = 30
_STALE_CONNECTIONS_MAX: Final = 3
_CONNECTIONS_MAX: Final = 200
_CONNECTIONS_PER_HOST_MAX: Final = 20
_CLOSE_S: Final = 5.0

Private = bool | Networks
_Key = tuple[int, str, int, bool]
_Turn = asyncio.Future["Connection | None"]  # a kept connection, or the right to open one


class _Host:
    """The connections to one origin."""

    __slots__ = ("idle", "open")

    def __init__(self) -> None:
        self.idle: list[Connection] = []  # the last used one last: it is the least likely to have ended
        self.open = 0  # with those that are being opened


class Door:
    """Sends HTTP requests to URLs that strangers chose.

    allow_private: whether addresses that are not public may be reached, or the networks that may; or a function that is
    asked before each request. ports: the only ports that may be reached, any but those of net/ports.py when empty;
    denied: networks that may never be reached. dns_cache_s: how long a name's addresses are believed, 0 for not at all;
    resolver: instead of the DNS; tls: an ssl.SSLContext instead of the system's certificates. Lives in one event
    loop; close() it at the end.
    """

    def __init__(
        self,
        allow_private: Private | Callable[[], Private] = False,
        ports: tuple[int, ...] = (),
        denied: Networks = (),
        connections_max: int = _CONNECTIONS_MAX,
        connections_per_host_max: int = _CONNECTIONS_PER_HOST_MAX,
        dns_cache_s: float = _DNS_CACHE_S,
        resolver: Resolve | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self._ask_private = allow_private if callable(allow_private) else None
        self._allow_private: Private = allow_private() if callable(allow_private) else allow_private
        self._former: set[Connection] = set()  # made while something else was allowed: they serve nobody any more
        self._ports = frozenset(ports)
        self._denied = denied
        self._connections_max = connections_max
        self._connections_per_host_max = connections_per_host_max
        self._names = Names(resolver, dns_cache_s)
        self._tls = tls
        self._hosts: dict[_Key, _Host] = {}
        self._open = 0  # connections, with those that are being opened
        self._idle: OrderedDict[Connection, None] = OrderedDict()  # of all hosts, the longest idle first
        self._turns: OrderedDict[_Turn, _Key] = OrderedDict()  # who waits for a connection, the longest first
        self._sockets: set[Connection] = set()
        self._all_lost = asyncio.Event()
        self._closed = False

    async def request(
        self,
        method: str,
        url: str,
        content_type: str = "",
        body: bytes = b"",
        timeout_s: float = 10.0,
        headers: Mapping[str, str] | None = None,
        *,
        share: int = 0,
        once: bool = False,
        write_by_s: float = inf,
    ) -> Answer:
        """Sends one request and reads the beginning of its answer; any status is an answer.

        The query of the URL leaves exactly as it is written. timeout_s covers everything: waiting for a connection,
        name, handshake, sending, reading. When the status came but the body is slow, what came of it is the answer.

        Sent again when a connection kept from an earlier request turns out to have ended meanwhile: who closes an idle
        connection does so without regard to what is on its way (RFC 9112, 9.5). A webhook may arrive twice by its
        contract, so POST is sent again too.

        once: it is written at most once, as what is paid for each time. When it was written and no answer came, that is
        a Fault in doubt: timeout, protocol. write_by_s: of time.monotonic(), until when it may be written; later is the
        Fault late.

        share: calls with different ones have connections of their own, also to the same host: who is slow there for one
        customer takes no connection of another's.

        Raises Fault. Permanent: bad_url, refused_address, refused_port. Temporary: resolve, connect, tls, late,
        timeout, protocol (what came back is not HTTP, or nothing came).
        """
        started = monotonic()
        origin, target = self._read(url)
        octets = request_octets(origin, target, method, content_type, body, headers)
        key = (share, *origin.key)
        self._follow()
        for attempt in range(_STALE_CONNECTIONS_MAX + 1):
            last = attempt == _STALE_CONNECTIONS_MAX
            connection = self._kept(key, believed=not last) or await self._obtain(key, origin, started, timeout_s)
            if monotonic() > write_by_s:
                self._take_back(key, connection)
                raise Fault(FaultKind.TEMPORARY, "late", "it was not to be sent so late")
            try:
                result = await connection.send(octets, started, timeout_s, bodiless=method == "HEAD")
            except asyncio.CancelledError:
                connection.abandon()
                raise
            if type(result) is Answer:
                return result
            if isinstance(result, Fault):
                raise _in_doubt(result) if once else result
            if once and isinstance(result, Stale) and result.written:
                raise Fault(FaultKind.IN_DOUBT, "protocol", "no answer before the connection ended")
        raise Fault(FaultKind.TEMPORARY, "protocol", "connections end before the answer")

    def _kept(self, key: _Key, *, believed: bool) -> Connection | None:
        """A connection kept from an earlier request. Not believed: so many had ended that the others are closed."""
        host = self._hosts.get(key)
        if host is None or not host.idle:
            return None
        if believed:
            connection = host.idle.pop()
            del self._idle[connection]
            return connection
        for kept in tuple(host.idle):
            kept.close()
        return None

    async def warm(self, url: str, timeout_s: float = 10.0) -> None:
        """Makes a connection to the URL's host, and sends nothing. Raises Fault as request() does."""
        origin, _ = self._read(url)
        key = (0, *origin.key)
        host = self._hosts.get(key)
        if host is None or not host.idle:
            self._take_back(key, await self._obtain(key, origin, monotonic(), timeout_s))

    async def close(self) -> None:
        """Ends all connections, also those that are in use; no request may be sent afterwards."""
        self._closed = True
        for turn in self._turns:
            if not turn.done():
                turn.set_exception(_closing())
        await self._names.close()
        for connection in list(self._sockets):
            connection.close()
        while self._sockets:
            self._all_lost.clear()
            async with asyncio.timeout(_CLOSE_S):
                await self._all_lost.wait()

    def _read(self, url: str) -> tuple[Origin, str]:
        """Where a URL leads and its target, unless that is not allowed: then a Fault is raised."""
        assert not self._closed, "the door is closed"
        origin, target = read(url)
        if origin.port not in self._ports if self._ports else origin.port in REFUSED:
            raise Fault(FaultKind.PERMANENT, "refused_port", f"port {origin.port} is not allowed")
        return origin, target

    # ---- what connections tell

    def ready(self, connection: Connection) -> None:
        """A connection may serve another request."""
        if connection in self._former:
            connection.close()
            return
        self._hosts[connection.key].idle.append(connection)
        self._idle[connection] = None
        if self._turns:
            self._serve()

    def ended(self, connection: Connection) -> None:
        """A connection serves no more."""
        if connection in self._idle:
            del self._idle[connection]
            self._hosts[connection.key].idle.remove(connection)
        self._give_back(connection.key)

    def lost(self, connection: Connection) -> None:
        """A connection's socket is closed."""
        self._sockets.discard(connection)
        self._former.discard(connection)
        if not self._sockets:
            self._all_lost.set()

    # ---- what is allowed

    def _follow(self) -> None:
        """Asks what is allowed now; where that has changed, no connection of before is used again."""
        if self._ask_private is None or (allowed := self._ask_private()) == self._allow_private:
            return
        self._allow_private = allowed
        self._former = set(self._sockets)
        for connection in tuple(self._idle):
            connection.close()

    # ---- connections for those who have none

    async def _obtain(self, key: _Key, origin: Origin, started: float, timeout_s: float) -> Connection:
        """A new connection, or a kept one that comes free before there is room for a new one; raises Fault."""
        if self._closed:
            raise _closing()
        try:
            async with asyncio.timeout(max(0.0, started + timeout_s - monotonic())):
                return await self._turn(key) or await self._opened(key, origin)
        except TimeoutError as error:
            raise too_late(timeout_s) from error

    async def _turn(self, key: _Key) -> Connection | None:
        """Waits for a connection, or for the right to open one: then it counts as open already."""
        if not self._turns and self._has_room(key):
            self._take_place(key)
            return None
        turn: _Turn = asyncio.get_running_loop().create_future()
        self._turns[turn] = key
        self._serve()  # who waits already may wait for another host
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._take_back(key, turn.result())  # given in the very moment in which nobody wanted it any more
            raise
        finally:
            self._turns.pop(turn, None)

    def _take_back(self, key: _Key, given: Connection | None) -> None:
        if given is None:
            self._give_back(key)
        elif given.usable:
            self.ready(given)

    def _serve(self) -> None:
        """Gives what there is to those who wait, the longest waiting first."""
        for turn, key in list(self._turns.items()):
            if turn.done():
                continue
            host = self._hosts.get(key)
            if host is not None and host.idle:
                connection = host.idle.pop()
                del self._idle[connection]
                turn.set_result(connection)
            elif self._has_room(key):
                self._take_place(key)
                turn.set_result(None)
            elif self._open >= self._connections_max:
                break
            else:
                continue
            del self._turns[turn]

    def _has_room(self, key: _Key) -> bool:
        """Whether one more connection may be opened; one that is idle makes room for it."""
        host = self._hosts.get(key)
        if host is not None and host.open >= self._connections_per_host_max:
            return False
        if self._open >= self._connections_max and self._idle:
            next(iter(self._idle)).close()
        return self._open < self._connections_max

    def _take_place(self, key: _Key) -> None:
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host()
        host.open += 1
        self._open += 1

    def _give_back(self, key: _Key) -> None:
        host = self._hosts[key]
        host.open -= 1
        self._open -= 1
        if not host.open:
            del self._hosts[key]
        if self._turns:  # not at once: who makes room takes it
            asyncio.get_running_loop().call_soon(self._serve)

    async def _opened(self, key: _Key, origin: Origin) -> Connection:
        """A new connection, in the place that was taken for it; raises Fault."""
        from chappe.net.connect import reach  # with TLS, which takes its time to load

        try:
            try:
                places = await self._names.places(origin.host, origin.port)
            except OSError as error:
                raise Fault(FaultKind.TEMPORARY, "resolve", "the host has no address") from error
            self._follow()  # the name took its time
            connection = await reach(
                origin, places, self._allow_private, self._denied, self._tls, lambda: Connection(self, key)
            )
            if not connection.begin():
                raise Fault(FaultKind.TEMPORARY, "protocol", "the connection ended at once")
        except BaseException:
            self._give_back(key)
            raise
        self._sockets.add(connection)
        if self._closed:
            connection.close()
            raise _closing()
        return connection


def _in_doubt(fault: Fault) -> Fault:
    """The same of a request that was written: nobody knows what became of it."""
    return Fault(FaultKind.IN_DOUBT, fault.reason, fault.detail)


def _closing() -> Fault:
    return Fault(FaultKind.TEMPORARY, "connect", "the door is closed")
