"""Forwards a request to another process of this node, over loopback: the handset serves its pages itself."""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import quote

from chappe.core.http import Request, Response

TIMEOUT_S = 10.0
ANSWER_OCTETS_MAX = 16 * 1024 * 1024
# What the other process needs to know a request of another site's page by.
_PASSED: Final = ("host", "origin", "sec-fetch-site", "content-type")
_KEPT: Final = ("content-security-policy", "cache-control", "x-content-type-options", "allow")
_BODILESS: Final = (204, 304)
_STATUS_LINE: Final = re.compile(r"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |$)")
_NO_TARGET: Final = re.compile(rb"[\x00-\x20\x7f]")
_TOO_LONG = Response(502, "text/plain; charset=utf-8", b"The handset's answer is too long to pass on; ask for less.\n")
_UNAVAILABLE = Response(503, "text/plain; charset=utf-8", b"The handset does not answer; it may be starting.\n")


async def forward(request: Request, port: int) -> Response:
    """The answer of the process that listens on a loopback port; 503 when it does not answer, 502 when its answer is
    longer than ANSWER_OCTETS_MAX: it is passed on whole or not at all. HEAD is asked as GET: the listener drops
    the body.

    Path and query are written anew, since the path came decoded: a line end in it must not begin another request.
    """
    query = _NO_TARGET.sub(lambda octet: b"%%%02X" % ord(octet[0]), request.query).decode("latin-1")
    target = quote(request.path) + ("?" + query if query else "")
    fields = {name: request.headers[name] for name in _PASSED if name in request.headers}
    method = "GET" if request.method == "HEAD" else request.method
    lines = [f"{method} {target} HTTP/1.1", "Connection: close", f"Content-Length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in ({"host": "127.0.0.1"} | fields).items()]
    head = "\r\n".join(lines) + "\r\n\r\n"
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=ANSWER_OCTETS_MAX)
            try:
                writer.write(head.encode("latin-1", "replace") + request.body)
                answer_head = await reader.readuntil(b"\r\n\r\n")
                status, headers = _read_head(answer_head)
                length = int(headers.get("content-length", "0" if status in _BODILESS else ""))
                if length > ANSWER_OCTETS_MAX:
                    return _TOO_LONG
                body = await reader.readexactly(length)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return _UNAVAILABLE
    kept = tuple((name, headers[name]) for name in _KEPT if name in headers)
    return Response(status, headers.get("content-type", "text/plain"), body, kept)


def _read_head(octets: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case; raises ValueError on anything else."""
    lines = octets.decode("latin-1").split("\r\n")
    matched = _STATUS_LINE.match(lines[0])
    if matched is None:
        raise ValueError("no status line")
    status = int(matched[1])
    pairs = (line.partition(":") for line in lines[1:] if line)
    return status, {name.strip().lower(): value.strip() for name, _, value in pairs}
