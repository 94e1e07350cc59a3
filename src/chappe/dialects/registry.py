"""The dialects that we speak, and which of them a request speaks: by mount, by host, by path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec.structs import replace

from chappe.core.http import Request
from chappe.dialects import Dialect
from chappe.dialects.allmysms import dialect as allmysms
from chappe.dialects.smspartner import dialect as smspartner

# The first one words replies for accounts that have spoken none yet.
DIALECTS: Final[tuple[Dialect, ...]] = (smspartner, allmysms)

BY_NAME: Final[Mapping[str, Dialect]] = {dialect.NAME: dialect for dialect in DIALECTS}


class HostError(ValueError):
    """dialect_hosts cannot be used; the message is one line that says why."""


class Place(NamedTuple):
    """Whose a path is, and what the path is in that API."""

    dialect: Dialect
    path: str


class Directory:
    """Which dialect a request speaks.

    Below `/<name>/` it is that one, always. Otherwise all that comes for one of `hosts` (lower case, without a port)
    speaks that host's dialect. Otherwise the dialect is the one whose table has the path.
    """

    def __init__(self, hosts: Mapping[str, Dialect] | None = None) -> None:
        self._hosts = hosts or {}

    def find(self, request: Request) -> tuple[Dialect, Request] | None:
        """The dialect and the request as it is in that API; None for what belongs to nobody."""
        if self._hosts and (dialect := self._hosts.get(host_of(request.headers.get("host", "")))) is not None:
            place = mounted(request.path) or Place(dialect, request.path)
        else:
            found = place_of(request.path)
            if found is None:
                return None
            place = found
        if place.path == request.path:
            return place.dialect, request
        return place.dialect, replace(request, path=place.path)


def read_hosts(written: tuple[str, ...]) -> dict[str, Dialect]:
    """The hosts of `HOST=DIALECT` each. Raises HostError: another form, an unknown dialect, a host given twice."""
    hosts: dict[str, Dialect] = {}
    for one in written:
        host, equals, name = one.partition("=")
        host, name = host_of(host.strip()), name.strip()
        if not host or not equals:
            raise HostError(f'dialect_hosts: "{one}" is not HOST=DIALECT')
        if name not in BY_NAME:
            raise HostError(f'dialect_hosts: "{name}" is no dialect; there are {", ".join(BY_NAME)}')
        if host in hosts:
            raise HostError(f'dialect_hosts: "{host}" is given twice')
        hosts[host] = BY_NAME[name]
    return hosts


@lru_cache(maxsize=256)
def host_of(written: str) -> str:
    """The name in a Host header: lower case, without port and final dot."""
    name, _, port = written.rpartition(":")
    if not name or not port.isdecimal():  # no port, or an IPv6 address whose last group is no port
        name = written
    return name.lower().removesuffix(".")


@lru_cache(maxsize=256)
def place_of(path: str) -> Place | None:
    """Whose a path is where the host says nothing."""
    if (place := mounted(path)) is not None:
        return place
    for dialect in DIALECTS:
        if dialect.matches(path):
            return Place(dialect, path)
    return None


def mounted(path: str) -> Place | None:
    """The place of a path below `/<name of a dialect>/`."""
    name, _, inner = path.removeprefix("/").partition("/")
    dialect = BY_NAME.get(name)
    return None if dialect is None else Place(dialect, "/" + inner)
