"""HTTP as values: one request that came, and what it is answered. Without a socket, for everybody who answers one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One HTTP request as it came.

    path: percent-decoded, without the query; query: the octets behind the first `?`, as they came; headers: names in
    lower case, values as text; body: octets, de-chunked, at most the configured size; remote: the peer's address;
    literal: whether the target said exactly this path, with no escape, host or fragment in it, so that a proxy before
    us has seen the same one; undeclared: whether it came through a proxy that is not among the trusted ones.
    """

    method: str
    path: str
    query: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    remote: str = ""
    literal: bool = True
    undeclared: bool = False


class Response(msgspec.Struct, frozen=True):
    """What is answered; the listener adds length, date and connection."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
