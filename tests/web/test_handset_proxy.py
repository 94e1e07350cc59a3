"""Forwarding to another process of this node: what was asked arrives as it was asked, and as one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.core.http import Request, Response
from chappe.web import handset_proxy as module
from chappe.web.handset_proxy import forward
from chappe.web.listener import Listener, Reply, one_by_one
from chappe.web.request_head import BadHead, read

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[list[Request], int]]:
    """What a listener is asked, and its port."""
    asked: list[Request] = []

    def ask(request: Request, reply: Reply) -> None:
        asked.append(request)
        kept = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Set-Cookie", "a=b"))
        reply.send(Response(201, "text/plain; charset=utf-8", b"well", kept))

    listener = Listener(one_by_one(ask))
    await listener.start()
    try:
        yield asked, listener.port
    finally:
        await listener.stop(grace_s=0)


async def test_method_path_query_body_and_what_tells_other_sites_apart_arrive() -> None:
    given_headers = {
        "host": "evil.example:8080",
        "origin": "http://evil.example",
        "sec-fetch-site": "cross-site",
        "content-type": "application/json",
        "authorization": "Basic a2V5",
    }
    request = Request("POST", "/handset/réplies", b"a=%2B1&b=\xe9", given_headers, b'{"x":1}', "10.0.0.1")
    async with echoing() as (asked, port):
        answer = await forward(request, port)
    assert (answer.status, answer.body) == (201, b"well")
    assert answer.headers == (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
    (arrived,) = asked
    assert (arrived.method, arrived.path, arrived.query, arrived.body) == (
        "POST",
        request.path,
        request.query,
        b'{"x":1}',
    )
    for name in ("host", "origin", "sec-fetch-site", "content-type"):
        assert arrived.headers[name] == given_headers[name]
    assert "authorization" not in arrived.headers


@pytest.mark.parametrize(
    "path",
    [
        "/handset/x HTTP/1.1\r\nHost: a\r\n\r\nDELETE /handset/messages",
        "/handset/x\r\nContent-Length: 5",
        "/handset/x\nA: b",
        "/handset/x\x00",
        "/handset/?a=b",
        "/handset/#a",
        "/handset/%0d%0aA: b",
    ],
)
async def test_no_path_becomes_two_requests_or_another_path(path: str) -> None:
    async with echoing() as (asked, port):
        answer = await forward(Request("GET", path, b"q=1", {"host": "a"}), port)
    assert answer.status == 201
    assert [(request.method, request.path, request.query) for request in asked] == [("GET", path, b"q=1")]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60).map(lambda tail: b"GET /handset/" + tail + b" HTTP/1.1\r\nHost: a\r\n\r\n"))
async def test_what_our_own_listener_reads_is_forwarded_as_one_request(octets: bytes) -> None:
    try:
        head = read(octets)
    except BadHead:
        return
    async with echoing() as (asked, port):
        answer = await forward(Request("GET", head.path, head.query, {"host": "a"}), port)
    assert answer.status == 201
    assert [(request.path, unquote_to_bytes(request.query)) for request in asked] == [
        (head.path, unquote_to_bytes(head.query))
    ]


@asynccontextmanager
async def saying(octets: bytes, *, then_end: bool) -> AsyncIterator[int]:
    """The port of a process that answers one connection so, and ends it or waits for the other side to."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(octets)
            if not then_end:
                await reader.read()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            writer.close()
        finally:
            over.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait_for(over.wait(), 60)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 5_000,
    ],
)
async def test_an_answer_that_lies_is_a_503(said: bytes) -> None:
    async with saying(said, then_end=True) as port:
        assert (await forward(Request("GET", "/handset"), port)).status == 503


async def test_an_answer_that_never_comes_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chappe.web.handset_proxy.TIMEOUT_S", 0.2)
    async with saying(b"", then_end=False) as port:
        assert (await forward(Request("GET", "/handset"), port)).status == 503


async def test_an_answer_that_is_too_long_to_pass_on_is_no_200() -> None:
    too_long = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n[" % (module.ANSWER_OCTETS_MAX + 1)
    async with saying(too_long, then_end=False) as port:
        answer = await forward(Request("GET", "/handset/feed"), port)
    assert answer.status == 502
    assert b"too long" in answer.body


async def test_an_answer_without_a_length_is_not_passed_on_as_an_empty_one() -> None:
    async with saying(b"HTTP/1.1 200 OK\r\n\r\n[1]", then_end=True) as port:
        assert (await forward(Request("GET", "/handset/feed"), port)).status == 503


async def test_a_head_is_answered_as_a_get_of_which_the_listener_drops_the_body() -> None:
    async with echoing() as (asked, port):
        answer = await forward(Request("HEAD", "/handset"), port)
    assert (answer.status, answer.body, asked[0].method) == (201, b"well", "GET")
