"""The only outgoing HTTP client: bounded in time and size, and unable to reach addresses that are not public.

A customer chooses the URLs that we call, so every URL is a stranger's. The guard sits where the socket is made: it sees
the address that is really connected to, whatever the URL, the resolver or a redirect made of it. Redirects are never
followed: a 3xx is an answer.

aiohttp costs a quarter of a second to import, so it is imported when the first request leaves.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.metadata import version
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import msgspec

from chappe.core.errors import Fault, FaultKind

if TYPE_CHECKING:
    from ssl import SSLContext

    from aiohttp import ClientResponse, ClientSession
    from aiohttp.abc import AbstractResolver

Networks = tuple[IPv4Network | IPv6Network, ...]

EXCERPT_BYTES_MAX: Final = 65_536
URL_BYTES_MAX: Final = 8_000  # aiohttp and most servers end at 8 KiB for a request line
_DNS_CACHE_S: Final = 30
_IDLE_S: Final = 15.0
_STALE_CONNECTIONS_MAX: Final = 3
_CONNECTIONS_MAX: Final = 200
_CONNECTIONS_PER_HOST_MAX: Final = 20

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # half a surrogate pair is no character either
_HOST: Final = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# Ranges that carry an IPv4 address inside, or lead to a network of their own: nobody's webhook lives there.
_TUNNELS: Final = (IPv6Network("2002::/16"), IPv6Network("2001::/32"), IPv6Network("64:ff9b:1::/48"))
# Azure's host agent has an address that looks public.
_CLOUD_AGENTS: Final = (IPv4Network("168.63.129.16/32"),)


class Answer(msgspec.Struct, frozen=True):
    """What a server answered.

    status: the HTTP status, 3xx included; excerpt: the first octets of the body, at most EXCERPT_BYTES_MAX, not
    decompressed; seconds: from the call to the end of reading.
    """

    status: int
    excerpt: bytes
    seconds: float


class _Kept:
    """Whether a request went over a connection kept from an earlier one."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = False


async def _note_kept(session: ClientSession, context: Any, parameters: object) -> None:
    context.trace_request_ctx.used = True


class _Refused(OSError):
    """The guard refuses an address."""


class Door:
    """Sends HTTP requests to URLs that strangers chose.

    allow_private: whether addresses that are not public may be reached, or the networks that may; ports: the only ports
    that may be reached, any when empty. dns_cache_s: how long a name's addresses are believed, 0 for not at all;
    resolver: instead of the system's; tls: an ssl.SSLContext instead of the system's certificates. Lives in one event
    loop; close() it at the end.
    """

    def __init__(
        self,
        allow_private: bool | Networks = False,
        ports: tuple[int, ...] = (),
        connections_max: int = _CONNECTIONS_MAX,
        connections_per_host_max: int = _CONNECTIONS_PER_HOST_MAX,
        dns_cache_s: int = _DNS_CACHE_S,
        resolver: AbstractResolver | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._ports = frozenset(ports)
        self._connections_max = connections_max
        self._connections_per_host_max = connections_per_host_max
        self._resolver = resolver
        self._dns_cache_s = dns_cache_s
        self._tls = tls
        self._session: ClientSession | None = None
        self._closed = False

    async def request(
        self,
        method: str,
        url: str,
        content_type: str = "",
        body: bytes = b"",
        timeout_s: float = 10.0,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends one request and reads the beginning of its answer; any status is an answer.

        The query of the URL leaves exactly as it is written. timeout_s covers everything: waiting for a connection,
        name, handshake, sending, reading. When the status came but the body is slow, what came of it is the answer.

        Raises Fault. Permanent: bad_url, refused_address, refused_port. Temporary: resolve, connect, tls, timeout,
        protocol (what came back is not HTTP, or nothing came).
        """
        from aiohttp import ClientConnectorError, ClientError, ClientSSLError
        from aiohttp.client_exceptions import ClientConnectorDNSError
        from yarl import URL

        target, authorization = _target(url)
        self._check_port(URL(target, encoded=True).port)
        fields = {"User-Agent": _user_agent(), "Accept": "*/*", "Accept-Encoding": "identity", **(headers or {})}
        if content_type:
            fields["Content-Type"] = content_type
        if authorization:
            fields["Authorization"] = authorization
        started = perf_counter()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(method, URL(target, encoded=True), fields, body, started, timeout_s)
        except TimeoutError as error:
            raise Fault(FaultKind.TEMPORARY, "timeout", f"no answer within {timeout_s:g} s") from error
        except ClientSSLError as error:
            raise Fault(FaultKind.TEMPORARY, "tls", type(error).__name__) from error
        except ClientConnectorDNSError as error:
            raise Fault(FaultKind.TEMPORARY, "resolve", "the host has no address") from error
        except ClientConnectorError as error:
            if isinstance(error.os_error, _Refused):
                raise Fault(FaultKind.PERMANENT, "refused_address", "the address is not public") from error
            raise Fault(FaultKind.TEMPORARY, "connect", type(error.os_error).__name__) from error
        except (ClientError, OSError, ValueError) as error:
            raise Fault(FaultKind.TEMPORARY, "protocol", type(error).__name__) from error

    async def close(self) -> None:
        """Ends all connections; no request may be sent afterwards."""
        self._closed = True
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _exchange(
        self, method: str, url: Any, fields: dict[str, str], body: bytes, started: float, timeout_s: float
    ) -> Answer:
        response = await self._head_of_answer(method, url, fields, body)
        excerpt = bytearray()
        whole = False
        try:
            # A little earlier than the limit of the whole, so that a status is never lost to a slow body.
            async with asyncio.timeout(max(0.0, timeout_s - (perf_counter() - started)) * 0.95):
                while len(excerpt) < EXCERPT_BYTES_MAX:
                    piece = await response.content.read(EXCERPT_BYTES_MAX - len(excerpt))
                    if not piece:
                        whole = True
                        break
                    excerpt += piece
        except _broken():
            whole = False  # the status is what counts; the rest of the body is lost
        finally:
            if whole:
                response.release()
            else:
                response.close()  # a connection with an unread body cannot serve another request
        return Answer(response.status, bytes(excerpt), perf_counter() - started)

    async def _head_of_answer(self, method: str, url: Any, fields: dict[str, str], body: bytes) -> ClientResponse:
        """Sends the request; again when a connection kept from an earlier one turns out to have ended meanwhile.

        Who closes an idle connection does so without regard to what is on its way (RFC 9112, 9.5). A webhook may
        arrive twice by its contract, so POST is sent again too.
        """
        from aiohttp import ClientOSError, ServerDisconnectedError

        for _ in range(_STALE_CONNECTIONS_MAX):
            kept = _Kept()
            try:
                return await self._send(method, url, fields, body, kept)
            except (ServerDisconnectedError, ClientOSError):
                if not kept.used:
                    raise
        return await self._send(method, url, fields, body, _Kept())

    async def _send(self, method: str, url: Any, fields: dict[str, str], body: bytes, kept: _Kept) -> ClientResponse:
        return await self._opened().request(
            method,
            url,
            data=body or None,
            headers=fields,
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),
            trace_request_ctx=kept,
        )

    def _opened(self) -> ClientSession:
        """The session, made when it is first needed."""
        if self._session is not None:
            return self._session
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, TraceConfig

        assert not self._closed, "the door is closed"
        connector = TCPConnector(
            socket_factory=self._make_socket,
            resolver=self._resolver,
            use_dns_cache=self._dns_cache_s > 0,
            ttl_dns_cache=self._dns_cache_s,
            limit=self._connections_max,
            limit_per_host=self._connections_per_host_max,
            keepalive_timeout=_IDLE_S,
            ssl=True if self._tls is None else self._tls,
        )
        trace = TraceConfig()
        trace.on_connection_reuseconn.append(_note_kept)
        self._session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=None),  # request() has the only clock
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
            trace_configs=[trace],
        )
        return self._session

    def _check_port(self, port: int | None) -> None:
        if self._ports and port not in self._ports:
            raise Fault(FaultKind.PERMANENT, "refused_port", f"port {port} is not allowed")

    def _make_socket(self, address: tuple[Any, ...]) -> socket.socket:
        """A socket for an address as getaddrinfo gives it: the last moment before connecting."""
        family, kind, protocol, _, name = address
        if not may_reach(str(name[0]), self._allow_private):
            raise _Refused("the address is not public")
        return socket.socket(family, kind, protocol)


@lru_cache(maxsize=1_024)
def may_reach(address: str, allow_private: bool | Networks) -> bool:
    """Whether the guard lets a connection to an address pass.

    Public unicast addresses always; others when allow_private is True or one of its networks has them in it. An IPv4
    address inside an IPv6 one (mapped, NAT64) is judged as what it is; 6to4, Teredo, IPv4-compatible addresses and the
    local NAT64 range are never public.
    """
    given = ip_address(address.partition("%")[0])
    inner = _inner(given)
    if inner.is_multicast or given.is_multicast:
        return False
    if allow_private is True:
        return True
    if allow_private is not False and any(one in network for network in allow_private for one in (given, inner)):
        return True
    return _is_public(inner)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that a mapped (RFC 4291) or NAT64 (RFC 6052) address really leads to."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOUD_AGENTS)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _TUNNELS)


def _target(url: str) -> tuple[str, str]:
    """The URL as it is sent, and the Authorization that it carries ("" when none); raises Fault bad_url.

    Path and query stay as they are written, but for what no request line can hold: blanks and characters beyond
    ASCII are percent-encoded as UTF-8. The host is written in ASCII (IDNA); user and password become Basic (RFC 7617).
    """
    url = url.strip(" \t\r\n").partition("#")[0]
    if _CONTROLS.search(url):
        raise Fault(FaultKind.PERMANENT, "bad_url", "it holds a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Fault(FaultKind.PERMANENT, "bad_url", "it is not well formed") from error
    if parts.scheme not in ("http", "https"):
        raise Fault(FaultKind.PERMANENT, "bad_url", "it begins neither with http:// nor with https://")
    if not parts.hostname or port == 0:
        raise Fault(FaultKind.PERMANENT, "bad_url", "it names no host to reach")
    path = quote(parts.path or "/", safe=_ASCII)
    query = "?" + quote(parts.query, safe=_ASCII) if parts.query else ""
    place = _ascii_host(parts.hostname) + (f":{port}" if port is not None else "")
    target = f"{parts.scheme}://{place}{path}{query}"
    if len(target) > URL_BYTES_MAX:
        raise Fault(FaultKind.PERMANENT, "bad_url", f"it is longer than {URL_BYTES_MAX} octets")
    if parts.username is None:
        return target, ""
    credentials = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
    return target, "Basic " + base64.b64encode(credentials).decode()


_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))


def _ascii_host(host: str) -> str:
    """A host name in ASCII, an IPv6 address in brackets; raises Fault bad_url, refused_address."""
    from yarl import URL

    try:
        if ":" in host:
            return f"[{IPv6Address(host)}]"
        name = URL.build(scheme="http", host=host).raw_host
    except ValueError as error:
        raise Fault(FaultKind.PERMANENT, "bad_url", "its host is no name") from error
    if not name or not _HOST.fullmatch(name):
        raise Fault(FaultKind.PERMANENT, "bad_url", "its host is no name")
    if _is_disguised(name):
        raise Fault(FaultKind.PERMANENT, "refused_address", "the address is not written as one")
    return name


def _is_disguised(name: str) -> bool:
    """Whether the system would read a name as an IPv4 address though it is not written as one: 2130706433, 0x7f.1.

    Nobody writes that by chance, and what it means depends on who reads it: it is refused even where private addresses
    are allowed.
    """
    try:
        packed = socket.inet_aton(name.rstrip("."))
    except OSError:
        return False
    return socket.inet_ntoa(packed) != name


@cache
def _broken() -> tuple[type[Exception], ...]:
    """What reading a body raises when it takes too long or the connection breaks under it."""
    from aiohttp import ClientError

    return (ClientError, OSError, TimeoutError)


@cache
def _user_agent() -> str:
    return f"Chappe/{version('chappe')}"
