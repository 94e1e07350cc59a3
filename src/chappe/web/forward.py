"""Forwards a request to another process of this node, over loopback: the handset serves its pages itself."""

from __future__ import annotations

import asyncio

from chappe.dialects import Request, Response

TIMEOUT_S = 10.0
ANSWER_OCTETS_MAX = 16 * 1024 * 1024
_UNAVAILABLE = Response(503, "text/plain; charset=utf-8", b"The handset does not answer; it may be starting.\n")


async def forward(request: Request, port: int) -> Response:
    """The answer of the process that listens on a loopback port; 503 when it does not answer."""
    target = request.path + ("?" + request.query.decode("latin-1") if request.query else "")
    head = (
        f"{request.method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: {request.headers.get('content-type', '')}\r\nContent-Length: {len(request.body)}\r\n\r\n"
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=ANSWER_OCTETS_MAX)
            try:
                writer.write(head.encode("latin-1", "replace") + request.body)
                answer_head = await reader.readuntil(b"\r\n\r\n")
                status, headers = _read_head(answer_head)
                body = await reader.readexactly(min(int(headers.get("content-length", "0")), ANSWER_OCTETS_MAX))
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return _UNAVAILABLE
    kept = tuple((name, headers[name]) for name in ("content-security-policy", "cache-control") if name in headers)
    return Response(status, headers.get("content-type", "text/plain"), body, kept)


def _read_head(octets: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case; raises ValueError on anything else."""
    lines = octets.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ", 2)[1])
    pairs = (line.partition(":") for line in lines[1:] if line)
    return status, {name.strip().lower(): value.strip() for name, _, value in pairs}
