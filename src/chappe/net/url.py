"""What a URL asks for: the origin that it leads to, its target on the request line, and the octets of a request."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.metadata import version
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

from chappe.core.errors import Fault, FaultKind

URL_BYTES_MAX: Final = 8_000  # most servers end at 8 KiB for a request line
POINTED_CHARACTERS_MAX: Final = 200

_ORIGINS_MAX: Final = 4_096
_PORTS: Final = {"http": 80, "https": 443}
_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # half a surrogate pair is no character either
_HOST: Final = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
# Nearly all URLs: nothing in them needs care, and all that differs from call to call stands behind the host.
_ORDINARY: Final = re.compile(r"(https?://[A-Za-z0-9._-]+(?::[0-9]+)?)(/[!\"$-~]*)")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Origin:
    """Where requests go: scheme, host and port, with the fields that are the same in all of its requests.

    host: in ASCII, an IPv6 address without brackets; authority: as the Host field has it.
    """

    __slots__ = ("_fields", "authority", "authorization", "host", "key", "port", "tls")

    def __init__(self, tls: bool, host: str, port: int | None, authorization: str) -> None:
        standard = 443 if tls else 80
        self.tls = tls
        self.host = host
        self.port = standard if port is None else port
        self.key = (host, self.port, tls)
        self.authority = (f"[{host}]" if ":" in host else host) + (f":{port}" if self.port != standard else "")
        self.authorization = authorization
        self._fields: dict[str, bytes] = {}

    def fields(self, content_type: str) -> bytes:
        """The end of the request line and the fields behind it, but for those that differ from call to call."""
        fields = self._fields.get(content_type)
        if fields is None:
            given = {
                "Host": self.authority,
                "User-Agent": _user_agent(),
                "Accept": "*/*",
                "Accept-Encoding": "identity",
            }
            if content_type:
                given["Content-Type"] = content_type
            if self.authorization:
                given["Authorization"] = self.authorization
            fields = b" HTTP/1.1\r\n" + written(given)
            if len(self._fields) < 16:  # there are a handful of content types; callers may pass any
                self._fields[content_type] = fields
        return fields


def read(url: str) -> tuple[Origin, str]:
    """The origin of a URL and its target, path and query; raises Fault bad_url, refused_address.

    Path and query stay as they are written, but for what no request line can hold: blanks and characters beyond
    ASCII are percent-encoded as UTF-8. The host is written in ASCII (IDNA); user and password become Basic (RFC 7617).
    """
    ordinary = _ORDINARY.fullmatch(url)
    if ordinary is not None and len(url) <= URL_BYTES_MAX:
        return _origin(ordinary[1]), ordinary[2]
    url = url.strip(" \t\r\n").partition("#")[0]
    if _CONTROLS.search(url):
        raise Fault(FaultKind.PERMANENT, "bad_url", "it holds a control character")
    scheme, separator, rest = url.partition("://")
    end = min((place for place in (rest.find("/"), rest.find("?")) if place >= 0), default=len(rest))
    origin = _origin(scheme + separator + rest[:end])
    target = quote(rest[end:], safe=_ASCII)
    if not target.startswith("/"):
        target = "/" + target
    if len(origin.host) + len(target) > URL_BYTES_MAX:
        raise Fault(FaultKind.PERMANENT, "bad_url", f"it is longer than {URL_BYTES_MAX} octets")
    return origin, target


def pointed_to(url: str, location: str) -> str:
    """Where a redirect of this URL points, to be shown: origin and path; empty when nothing can be said.

    Without user, password, query and fragment: the query of a webhook holds a customer's numbers and texts.
    """
    try:
        parts = urlsplit(urljoin(url, location))
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    except ValueError:
        return ""
    if not location or not parts.hostname:
        return ""
    shown = quote(f"{parts.scheme}://{host}{parts.path}", safe=_ASCII)
    return shown[:POINTED_CHARACTERS_MAX]


def request_octets(
    origin: Origin, target: str, method: str, content_type: str, body: bytes, headers: Mapping[str, str] | None
) -> bytes:
    """A whole request; raises ValueError for a method or a header that is none."""
    if method not in ("POST", "GET") and not _TOKEN.fullmatch(method):
        raise ValueError("the method is no token")
    start = f"{method} {target}".encode("ascii") + origin.fields(content_type)
    if headers:
        start += written(headers)
    if body or method not in ("GET", "HEAD", "OPTIONS", "TRACE"):
        return b"%bContent-Length: %d\r\n\r\n%b" % (start, len(body), body)
    return start + b"\r\n"


def written(fields: Mapping[str, str]) -> bytes:
    """Header fields as they are sent; raises ValueError for what would be read as something else."""
    lines = []
    for name, value in fields.items():
        if not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise ValueError("a header that is none")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")


@lru_cache(maxsize=_ORIGINS_MAX)
def _origin(url: str) -> Origin:
    """The origin of a URL that ends with its authority; raises Fault bad_url, refused_address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Fault(FaultKind.PERMANENT, "bad_url", "it is not well formed") from error
    if parts.scheme not in _PORTS:
        raise Fault(FaultKind.PERMANENT, "bad_url", "it begins neither with http:// nor with https://")
    if not parts.hostname or port == 0:
        raise Fault(FaultKind.PERMANENT, "bad_url", "it names no host to reach")
    authorization = ""
    if parts.username is not None:
        credentials = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
        authorization = "Basic " + base64.b64encode(credentials).decode()
    return Origin(parts.scheme == "https", _ascii_host(parts.hostname), port, authorization)


def _ascii_host(host: str) -> str:
    """A host name in ASCII; raises Fault bad_url, refused_address."""
    try:
        if ":" in host:
            address = IPv6Address(host)
            if address.scope_id is not None:  # a link of this machine is nobody's business
                raise Fault(FaultKind.PERMANENT, "refused_address", "the address has a zone")
            return str(address)
        name = host.lower() if host.isascii() else _international(host)
    except ValueError as error:
        raise Fault(FaultKind.PERMANENT, "bad_url", "its host is no name") from error
    if not _HOST.fullmatch(name):
        raise Fault(FaultKind.PERMANENT, "bad_url", "its host is no name")
    if _is_disguised(name):
        raise Fault(FaultKind.PERMANENT, "refused_address", "the address is not written as one")
    return name


def _international(host: str) -> str:
    """A name beyond ASCII as it is registered: IDNA 2008 as browsers map it (UTS 46), or as it was until 2003 for
    what was allowed only then. Raises UnicodeError."""
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except UnicodeError:
        return host.encode("idna").decode("ascii").lower()


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
def _user_agent() -> str:
    return f"Chappe/{version('chappe')}"
