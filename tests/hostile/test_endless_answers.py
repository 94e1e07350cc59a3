"""Webhook receivers whose answer never ends: whatever part is endless, a call ends in time and in little memory."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest

from chappe.core.errors import Fault
from chappe.net.client import Door

LOOPBACK = (ip_network("127.0.0.1/32"),)


@asynccontextmanager
async def pouring(first: bytes, again: bytes) -> AsyncIterator[int]:
    """The port of a server whose answer never ends."""
    over = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(first)
            while True:
                writer.write(again)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        finally:
            over.set()

    async with await asyncio.start_server(pour, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait_for(over.wait(), 5)


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "again", "result"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1_000, 200, id="fields"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 60_000, 200, id="one field"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\r\n", b" folded\r\n" * 1_000, 200, id="folded field"),
        pytest.param(b"HTTP/1.1 200 ", b"x" * 60_000, 200, id="status line"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000, "protocol", id="interim answers"),
        pytest.param(b"", b"\r\n" * 30_000, "protocol", id="empty lines"),
        pytest.param(_CHUNKED + b"1;", b"x" * 60_000, 200, id="chunk extension"),
        pytest.param(_CHUNKED, b"0" * 60_000, 200, id="chunk size"),
        pytest.param(_CHUNKED, b"1\r\nx\r\n" * 10_000, 200, id="small chunks"),
        pytest.param(_CHUNKED + b"0\r\n", b"A: b\r\n" * 10_000, 200, id="trailers"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 60_000, 200, id="body"),
        pytest.param(b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" * 1_000, 204, id="more answers"),
    ],
)
@pytest.mark.asyncio
async def test_an_answer_that_never_ends_takes_neither_memory_nor_time(
    first: bytes, again: bytes, result: int | str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with pouring(first, again) as port:
        one = Door(LOOPBACK)
        async with asyncio.timeout(3):
            try:
                got: int | str = (await one.request("GET", f"http://127.0.0.1:{port}/", timeout_s=0.5)).status
            except Fault as fault:
                got = fault.reason
            finally:
                await one.close()
    assert got == result
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "KiB"
