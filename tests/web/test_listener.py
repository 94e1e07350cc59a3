"""The listener on real sockets: what clients send, in whatever pieces, and every limit.

Long because all of it shares one application, one client and one clock, and is read as one list of promises.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.core.http import Request, Response
from chappe.web.listener import Limits, Listener, Reply, one_by_one

PATIENCE_S = 5.0


class Clock:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Echo:
    """An application that keeps what it is asked and answers with the path, at once or when told."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.at_once = at_once
        self.asked: list[Request] = []
        self.replies: list[Reply] = []
        self.limits_passed: list[tuple[str, str]] = []
        self.changed = asyncio.Event()

    def __call__(self, request: Request, reply: Reply) -> None:
        self.asked.append(request)
        self.replies.append(reply)
        self.changed.set()
        if self.at_once:
            reply.send(Response(200, "text/plain", request.path.encode()))

    def on_limit(self, request: Request, code: str, reply: Reply) -> None:
        self.limits_passed.append((request.path, code))
        reply.send(Response(413, "application/json", b'{"code":413}'))

    async def wait_for(self, count: int) -> None:
        while len(self.asked) < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), PATIENCE_S)


class Client:
    """One connection to the listener, in octets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, fields with lower-case names, body by its Content-Length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        first, *lines = head.decode().split("\r\n")[:-2]
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        assert len(fields) == len(lines), "a field is said twice"
        body = await asyncio.wait_for(self.reader.readexactly(int(fields.get("content-length", 0))), PATIENCE_S)
        return int(first.split(" ")[1]), fields, body

    async def rest(self) -> bytes:
        """All that comes until the connection ends."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE_S)
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def serving(
    application: Callable[[Request, Reply], None], limits: Limits | None = None, clock: Clock | None = None
) -> AsyncIterator[Listener]:
    on_limit = application.on_limit if isinstance(application, Echo) else None
    listener = Listener(one_by_one(application), limits, on_limit, clock)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(grace_s=0)


@asynccontextmanager
async def connected(listener: Listener) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", listener.port))
    try:
        yield client
    finally:
        client.close()


async def settled(condition: Callable[[], bool]) -> None:
    """Lets the loop turn until something has happened."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the loop's own turns
            await asyncio.sleep(0)


GET = b"GET /v1/me?apiKey=K HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v1/send HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"


# ---- what is read


@pytest.mark.asyncio
async def test_a_request_arrives_whole_and_its_answer_has_what_clients_need() -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(POST)
        status, fields, body = await client.answer()
    assert echo.asked == [
        Request("POST", "/v1/send", b"", {"host": "a", "content-length": "5"}, b"hello", remote="127.0.0.1")
    ]
    assert (status, body) == (200, b"/v1/send")
    assert set(fields) == {"content-type", "content-length", "x-request-id", "date", "cache-control"}
    assert fields["cache-control"] == "no-store"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields["date"])


@pytest.mark.parametrize(
    ("octets", "seen"),
    [
        (b"\r\n\r\n\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/x", b"")),
        (b"POST /x HTTP/1.1\nHost: a\nContent-Length: 6\n\n\r\n\r\nab", ("POST", "/x", b"\r\n\r\nab")),
        (b"GET /caf\xe9?<a>=[b] HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/café", b"")),
        (b"GET http://api.smspartner.fr/v1/me HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/v1/me", b"")),
        (b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", ("BREW", "/pot", b"")),
        (b"DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok", ("DELETE", "/x", b"ok")),
        (CHUNKED, ("POST", "/chunked", b"abcde")),
        (
            b"POST /u HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
            ("POST", "/u", b"ok"),
        ),
    ],
)
@pytest.mark.asyncio
async def test_what_sloppy_clients_send_is_read_and_the_connection_lives_on(
    octets: bytes, seen: tuple[str, str, bytes]
) -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(octets)
        assert (await client.answer())[0] == 200
        client.send(GET)
        assert (await client.answer())[0] == 200
    assert [(one.method, one.path, one.body) for one in echo.asked] == [seen, ("GET", "/v1/me", b"")]


@pytest.mark.asyncio
async def test_one_octet_at_a_time_is_fast_enough() -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.answer()
        (connection,) = listener.connections
        for octet in POST + CHUNKED + GET:
            connection.data_received(bytes([octet]))
        for path in (b"/v1/send", b"/chunked", b"/v1/me"):
            assert (await client.answer())[2] == path


@pytest.mark.asyncio
async def test_a_long_target_is_read() -> None:
    echo = Echo()
    query = b"smsData=" + b"%3C" * 20_000
    async with serving(echo) as listener, connected(listener) as client:
        client.send(b"GET /x?" + query + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.answer())[0] == 200
    assert echo.asked[0].query == query


@pytest.mark.asyncio
async def test_a_large_body_is_read() -> None:
    echo = Echo()
    body = bytes(range(256)) * 7_000
    async with serving(echo) as listener, connected(listener) as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body + GET)
        assert (await client.answer())[2] == b"/x"
        assert (await client.answer())[2] == b"/v1/me"
    assert echo.asked[0].body == body


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from([GET, POST, CHUNKED, GET.replace(b"\r\n", b"\n"), b"\r\n" + POST]), min_size=1, max_size=6
    ),
    st.lists(st.integers(1, 60), max_size=40),
)
def test_the_pieces_in_which_requests_come_do_not_matter(requests: list[bytes], sizes: list[int]) -> None:
    async def run() -> None:
        echo, pieces = Echo(), Echo()
        whole = b"".join(requests)
        async with serving(echo) as listener, connected(listener) as client:
            client.send(whole)
            await echo.wait_for(len(requests))
        async with serving(pieces) as listener, connected(listener):
            await settled(lambda: len(listener.connections) == 1)
            (connection,) = listener.connections
            position = 0
            for size in [*sizes, len(whole)]:
                if position < len(whole):
                    connection.data_received(whole[position : position + size])
                position += size
            await pieces.wait_for(len(requests))
            assert pieces.asked == echo.asked

    asyncio.run(run())


# ---- what is answered


@pytest.mark.asyncio
async def test_pipelined_requests_are_answered_in_their_order() -> None:
    echo = Echo(at_once=False)
    async with serving(echo) as listener, connected(listener) as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(4)))
        await echo.wait_for(4)
        for number in (2, 0, 3, 1):
            echo.replies[number].send(Response(200, "text/plain", b"%d" % number))
        assert [(await client.answer())[2] for _ in range(4)] == [b"0", b"1", b"2", b"3"]


@pytest.mark.asyncio
async def test_too_many_requests_in_flight_wait_and_none_is_lost() -> None:
    echo = Echo(at_once=False)
    async with serving(echo, Limits(requests_in_flight_max=3)) as listener, connected(listener) as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(20)))
        await echo.wait_for(3)
        for number in range(20):
            await echo.wait_for(number + 1)
            assert len(echo.asked) <= number + 3
            echo.replies[number].send(Response(200, "text/plain", b"%d" % number))
            assert (await client.answer())[2] == b"%d" % number


@pytest.mark.asyncio
async def test_of_many_requests_that_come_together_a_few_are_served_in_each_turn_of_the_loop() -> None:
    turns: list[int] = []
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1
        if len(turns) < 50:
            asyncio.get_running_loop().call_soon(count)

    def application(request: Request, reply: Reply) -> None:
        turns.append(turn)
        if request.path == "/7":
            raise RuntimeError("this one fails")
        reply.send(Response(200, "text/plain", request.path.encode()))

    async with serving(application) as listener, connected(listener) as client:
        count()
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(50)))
        answers = [await client.answer() for _ in range(50)]
    assert [status for status, _, _ in answers] == [200] * 7 + [500] + [200] * 42
    assert [body for status, _, body in answers if status == 200] == [b"/%d" % n for n in range(50) if n != 7]
    assert max(turns.count(one) for one in turns) <= 16


@pytest.mark.asyncio
async def test_an_application_that_raises_does_not_stop_the_listener() -> None:
    batches: list[int] = []

    def application(requests: Sequence[tuple[Request, Reply]]) -> None:
        batches.append(len(requests))
        if len(batches) == 1:
            raise RuntimeError("a mistake of ours")
        for _, reply in requests:
            reply.send(Response(200, "text/plain", b""))

    listener = Listener(application)
    await listener.start()
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    try:
        async with connected(listener) as first, connected(listener) as second:
            first.send(GET * 20)
            await settled(lambda: sum(batches) == 20)
            second.send(GET)
            assert (await second.answer())[0] == 200
    finally:
        await listener.stop(grace_s=0)
    assert len(failures) == 1


@pytest.mark.asyncio
async def test_who_pipelines_without_end_makes_others_wait_for_a_few_requests_only() -> None:
    echo = Echo()
    async with serving(echo) as listener, AsyncExitStack() as stack:
        customer = await stack.enter_async_context(connected(listener))
        for client in [await stack.enter_async_context(connected(listener)) for _ in range(60)]:
            client.send(GET * 3_000)
        await echo.wait_for(8_000)
        before = len(echo.asked)
        customer.send(POST)
        await customer.answer()
        waited = next(at for at, request in enumerate(echo.asked[before:]) if request.path == "/v1/send")
        assert waited < 60 * listener.limits.requests_in_flight_max, "a full hand of everybody came first"


@pytest.mark.parametrize(
    ("octets", "connection"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close"),
        (b"GET / HTTP/1.0\r\n\r\n", "close"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", None),
    ],
)
@pytest.mark.asyncio
async def test_connection_is_said_where_it_matters_and_kept(octets: bytes, connection: str | None) -> None:
    async with serving(Echo()) as listener, connected(listener) as client:
        client.send(octets)
        assert (await client.answer())[1].get("connection") == connection
        if connection == "close":
            assert await client.rest() == b""
        else:
            client.send(GET)
            assert (await client.answer())[0] == 200


@pytest.mark.asyncio
async def test_requests_behind_connection_close_are_not_served() -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
        assert (await client.answer())[2] == b"/last"
        assert await client.rest() == b""
    assert len(echo.asked) == 1


@pytest.mark.asyncio
async def test_head_gets_the_length_without_the_body() -> None:
    async with serving(Echo()) as listener, connected(listener) as client:
        client.send(
            b"HEAD /12345 HTTP/1.1\r\nHost: a\r\n\r\n"
            + GET.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n")
        )
        octets = await client.rest()
    first, second, body = octets.split(b"\r\n\r\n")
    assert b"Content-Length: 6" in first
    assert second.startswith(b"HTTP/1.1 200 OK")
    assert body == b"/v1/me"


@pytest.mark.parametrize(
    ("given_id", "kept"), [("abc-1_2.3", True), ("x" * 64, True), ("x" * 65, False), ("a b", False)]
)
@pytest.mark.asyncio
async def test_a_sensible_request_id_is_echoed_and_any_other_replaced(given_id: str, kept: bool) -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: %b\r\n\r\n" % given_id.encode())
        said = (await client.answer())[1]["x-request-id"]
    assert (said == given_id) is kept
    assert said == echo.replies[0].request_id
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", said)


@pytest.mark.asyncio
async def test_each_request_has_an_id_of_its_own() -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(GET * 10)
        await echo.wait_for(10)
    assert len({reply.request_id for reply in echo.replies}) == 10


@pytest.mark.asyncio
async def test_headers_of_the_response_go_out_and_cannot_be_split() -> None:
    responses = iter(
        [Response(303, "", b"", (("Location", "/a"),)), Response(303, "", b"", (("Location", "/\r\nSet-Cookie: a=b"),))]
    )
    async with serving(lambda _, reply: reply.send(next(responses))) as listener, connected(listener) as client:
        client.send(GET * 2)
        assert (await client.answer())[1]["location"] == "/a"
        status, fields, _ = await client.answer()
        assert status == 500
        assert "set-cookie" not in fields


@pytest.mark.asyncio
async def test_an_answer_without_content_has_no_length() -> None:
    async with serving(lambda _, reply: reply.send(Response(204, "", b""))) as listener, connected(listener) as client:
        client.send(GET)
        assert "content-length" not in (await client.answer())[1]


@pytest.mark.asyncio
async def test_a_request_is_answered_once() -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(GET)
        await client.answer()
        with pytest.raises(AssertionError):
            echo.replies[0].send(Response(200, "text/plain", b""))


@pytest.mark.asyncio
async def test_answering_a_client_that_has_gone_is_harmless() -> None:
    echo = Echo(at_once=False)
    async with serving(echo) as listener:
        async with connected(listener) as client:
            client.send(GET * 2)
            await echo.wait_for(2)
            # Closed with a reset: a plain end could be a half-closed client that still waits for its answers.
            client.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            client.writer.transport.abort()
            await settled(lambda: not listener.connections)
        for reply in echo.replies:
            reply.send(Response(200, "text/plain", b""))
        await asyncio.sleep(0)


@pytest.mark.parametrize("answers_first", [False, True])
@pytest.mark.asyncio
async def test_a_failing_application_costs_one_answer_and_tells_no_values(
    answers_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: Request, reply: Reply) -> None:
        if answers_first:
            reply.send(Response(200, "text/plain", b"done"))
        raise ValueError(f"secret {request.query!r}")

    with caplog.at_level(logging.ERROR):
        async with serving(fail) as listener, connected(listener) as client:
            client.send(GET * 2)
            for _ in range(2):
                status, fields, _ = await client.answer()
                assert status == (200 if answers_first else 500)
                assert "connection" not in fields
    assert "ValueError" in caplog.text
    assert "test_listener.py" in caplog.text
    assert "secret" not in caplog.text
    assert "apiKey" not in caplog.text


@pytest.mark.asyncio
async def test_a_failure_after_the_call_is_answered_too(caplog: pytest.LogCaptureFixture) -> None:
    echo = Echo(at_once=False)
    async with serving(echo) as listener, connected(listener) as client:
        client.send(GET)
        await echo.wait_for(1)
        try:
            raise KeyError("33612345678")
        except KeyError as error:
            echo.replies[0].fail(error)
            echo.replies[0].fail(error)  # the second time there is nothing left to answer
        assert (await client.answer())[0] == 500
    assert "KeyError" in caplog.text
    assert "33612345678" not in caplog.text


@pytest.mark.asyncio
async def test_expect_is_answered_before_the_body_comes() -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n")
        line = await asyncio.wait_for(client.reader.readexactly(25), PATIENCE_S)
        assert line == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert (await client.answer())[0] == 200
    assert echo.asked[0].body == b"hello"


@pytest.mark.parametrize(
    "octets",
    [
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        b"POST /x HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    ],
)
@pytest.mark.asyncio
async def test_expect_is_not_answered_where_nobody_waits(octets: bytes) -> None:
    async with serving(Echo()) as listener, connected(listener) as client:
        client.send(octets)
        if b"1.0" in octets:
            client.send(b"hello")
        assert (await client.answer())[0] == 200


@pytest.mark.asyncio
async def test_continue_does_not_overtake_an_answer() -> None:
    echo = Echo(at_once=False)
    async with serving(echo) as listener, connected(listener) as client:
        client.send(GET + b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        await echo.wait_for(1)
        echo.replies[0].send(Response(200, "text/plain", b"first"))
        assert (await client.answer())[2] == b"first"
        assert await asyncio.wait_for(client.reader.readexactly(25), PATIENCE_S) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        await echo.wait_for(2)
        assert echo.asked[1].body == b"hello"


@pytest.mark.asyncio
async def test_the_address_behind_a_trusted_proxy_is_the_remote() -> None:
    octets = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n\r\n"
    for limits, remote in ((Limits(), "127.0.0.1"), (Limits(trusted_proxies=(ip_network("127.0.0.1"),)), "192.0.2.1")):
        echo = Echo()
        async with serving(echo, limits) as listener, connected(listener) as client:
            client.send(octets)
            await client.answer()
        assert echo.asked[0].remote == remote


# ---- what is refused


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"\x00\x01\x02", 400),
        (b"(hello)", 400),
        (b"hello world\r\n", 400),
        (b"GET /\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;\nxx\r\nabc\r\n0\r\n\r\n" + GET, 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET, 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET /" + b"x" * 70_000, 414),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_served_is_refused_in_plain_text_and_the_connection_ends(
    octets: bytes, status: int
) -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(octets)
        said, fields, body = await client.answer()
        assert (said, fields["content-type"], fields["connection"]) == (status, "text/plain; charset=utf-8", "close")
        assert body.endswith(b".\n")
        assert await client.rest() == b""
    assert not echo.asked


@pytest.mark.asyncio
async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    echo = Echo(at_once=False)
    async with serving(echo) as listener, connected(listener) as client:
        client.send(GET + b"\x00")
        await echo.wait_for(1)
        echo.replies[0].send(Response(200, "text/plain", b"first"))
        assert (await client.answer())[2] == b"first"
        assert (await client.answer())[0] == 400


@pytest.mark.asyncio
async def test_a_tls_handshake_is_hung_up_on() -> None:
    async with serving(Echo()) as listener, connected(listener) as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "octets",
    [
        b"POST /v1/send HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n" + b"x" * 11,
        b"POST /v1/send HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n",
        b"POST /v1/send HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n",
        b"POST /v1/send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nB\r\n",
        b"POST /v1/send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n",
    ],
)
@pytest.mark.asyncio
async def test_a_body_over_the_limit_is_refused_by_the_application(octets: bytes) -> None:
    echo = Echo()
    async with serving(echo, Limits(body_bytes_max=10)) as listener, connected(listener) as client:
        client.send(octets)
        status, fields, body = await client.answer()
        assert (status, body, fields["connection"]) == (413, b'{"code":413}', "close")
        assert await client.rest() == b""
    assert echo.limits_passed == [("/v1/send", "body_too_large")]
    assert not echo.asked


@pytest.mark.asyncio
async def test_the_refusal_of_a_body_reaches_a_client_that_sends_all_of_it_first() -> None:
    async with serving(Echo(), Limits(body_bytes_max=10)) as listener, connected(listener) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        await asyncio.wait_for(client.writer.drain(), PATIENCE_S)
        assert (await client.answer())[0] == 413


@pytest.mark.parametrize("head", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
@pytest.mark.asyncio
async def test_unfinished_bodies_may_not_fill_the_memory(head: bytes) -> None:
    echo = Echo()
    start = b"POST /x HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n" + (b"64\r\n" if b"chunked" in head else b"")
    async with (
        serving(echo, Limits(gathered_bytes_max=100)) as listener,
        connected(listener) as first,
        connected(listener) as second,
    ):
        first.send(start + b"x" * 60)
        await settled(lambda: listener.gathered_bytes == 60)
        second.send(start + b"x" * 60)
        assert (await second.answer())[0] == 503
        assert listener.gathered_bytes == 60
        first.send(b"x" * 40 + (b"\r\n0\r\n\r\n" if b"chunked" in head else b""))
        assert (await first.answer())[0] == 200
        assert listener.gathered_bytes == 0
    assert len(echo.asked[0].body) == 100


@pytest.mark.asyncio
async def test_the_memory_of_a_body_is_given_back_when_its_client_goes() -> None:
    async with serving(Echo()) as listener:
        async with connected(listener) as client:
            client.send(POST[:-2])
            await settled(lambda: listener.gathered_bytes == 3)
        await settled(lambda: not listener.connections)
        assert listener.gathered_bytes == 0


@pytest.mark.asyncio
async def test_one_connection_too_many_is_told_so_while_all_others_are_at_work() -> None:
    echo = Echo(at_once=False)
    async with serving(echo, Limits(connections_max=1)) as listener, connected(listener) as first:
        first.send(GET)
        await echo.wait_for(1)
        async with connected(listener) as second:
            status, fields, _ = await second.answer()
            assert (status, fields["retry-after"]) == (503, "1")
            assert await second.rest() == b""
        echo.replies[0].send(Response(200, "text/plain", b"late"))
        assert (await first.answer())[0] == 200
        assert listener.connections_refused == 1


@pytest.mark.parametrize("octets", [b"", GET, b"GET / HT", GET + b"POST /x HTTP/1.1\r\nHost: a\r\n"])
@pytest.mark.asyncio
async def test_a_connection_on_which_nothing_is_under_way_makes_room_for_a_new_one(octets: bytes) -> None:
    clock = Clock()
    async with serving(Echo(), Limits(connections_max=2), clock) as listener:
        async with connected(listener) as busy, connected(listener) as silent:
            silent.send(octets)
            if octets.startswith(GET):
                await silent.answer()
            busy.send(POST[:-1])
            await settled(lambda: listener.gathered_bytes > 0)
            clock.now_s += 1
            async with connected(listener) as new:
                new.send(GET)
                assert (await new.answer())[0] == 200
                assert await silent.rest() == b"", "closed without an answer"
                busy.send(POST[-1:])
                assert (await busy.answer())[0] == 200
        assert (listener.connections_refused, listener.connections_closed_for_others) == (0, 1)


@pytest.mark.asyncio
async def test_the_longest_silent_connection_of_the_address_with_most_makes_room() -> None:
    clock = Clock()
    async with serving(Echo(), Limits(connections_max=4), clock) as listener, contextlib.AsyncExitStack() as open_:
        clients = []
        for source in ("127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.3"):
            streams = await asyncio.open_connection("127.0.0.1", listener.port, local_addr=(source, 0))
            clients.append(client := Client(*streams))
            open_.callback(client.close)
            count = len(clients)
            await settled(lambda count=count: len(listener.connections) == count)
            clock.now_s += 1
        clients[1].send(GET)  # no longer the longest silent one
        await clients[1].answer()
        clock.now_s += 1
        async with connected(listener) as new:
            new.send(GET)
            assert (await new.answer())[0] == 200
            assert await clients[2].rest() == b""
            for client in (clients[0], clients[1], clients[3]):
                client.send(GET)
                assert (await client.answer())[0] == 200


@pytest.mark.asyncio
async def test_silent_connections_of_many_addresses_keep_nobody_out() -> None:
    """Each new connection finds room, also when hundreds come before the listener looks at the clock again."""
    clock = Clock()
    async with serving(Echo(), Limits(connections_max=64), clock) as listener:
        async with contextlib.AsyncExitStack() as open_:
            for number in range(64):
                streams = await asyncio.open_connection(
                    "127.0.0.1", listener.port, local_addr=(f"127.0.0.{2 + number // 16}", 0)
                )
                open_.callback(Client(*streams).close)
            await settled(lambda: len(listener.connections) == 64)
            clock.now_s += 1
            for _ in range(40):
                async with connected(listener) as client:
                    client.send(GET)
                    assert (await client.answer())[0] == 200
            await settled(lambda: all(one.peer != "127.0.0.1" for one in listener.connections))
            for _ in range(65 - len(listener.connections)):  # until all are taken again, and one more
                last = Client(*await asyncio.open_connection("127.0.0.1", listener.port, local_addr=("127.0.0.2", 0)))
                open_.callback(last.close)
            assert (await last.answer())[0] == 503, "who has many takes no turn"
        assert listener.connections_refused == 1


@pytest.mark.asyncio
async def test_an_address_does_not_wait_for_all_that_another_one_has_sent() -> None:
    order: list[str] = []

    def ask(request: Request, reply: Reply) -> None:
        order.append(request.remote)
        reply.send(Response(200, "text/plain", b""))

    async with serving(ask) as listener:
        streams = await asyncio.open_connection("127.0.0.1", listener.port, local_addr=("127.0.0.2", 0))
        flood, other = Client(*streams), Client(*await asyncio.open_connection("127.0.0.1", listener.port))
        await settled(lambda: len(listener.connections) == 2)
        for connection in listener.connections:  # in one turn of the loop, the flood first
            if connection.peer == "127.0.0.2":
                connection.data_received(GET * 60)
        for connection in listener.connections:
            if connection.peer == "127.0.0.1":
                connection.data_received(GET)
        assert (await other.answer())[0] == 200
        assert order.index("127.0.0.1") == 1
        flood.close()
        other.close()


@pytest.mark.parametrize(("proxies", "welcome"), [((), False), ((ip_network("127.0.0.1"),), True)])
@pytest.mark.asyncio
async def test_one_address_may_not_take_all_connections_unless_many_are_behind_it(
    proxies: tuple[Any, ...], welcome: bool
) -> None:
    limits = Limits(connections_per_address_max=2, trusted_proxies=proxies)
    async with serving(Echo(), limits) as listener:
        async with connected(listener) as first, connected(listener) as second, connected(listener) as third:
            for client in (first, second, third):
                client.send(GET)
            statuses = [(await client.answer())[0] for client in (first, second, third)]
            assert statuses == [200, 200, 200 if welcome else 503]
        await settled(lambda: not listener.connections)
        assert listener._by_place == {}, "nothing is kept of who has gone"
        async with connected(listener) as again:
            again.send(GET)
            assert (await again.answer())[0] == 200


# ---- what ends


@pytest.mark.asyncio
async def test_half_closed_clients_get_their_answers() -> None:
    echo = Echo(at_once=False)
    async with serving(echo) as listener, connected(listener) as client:
        client.send(GET * 2)
        client.writer.write_eof()
        await echo.wait_for(2)
        await asyncio.sleep(0)
        for reply in echo.replies:
            reply.send(Response(200, "text/plain", b"late"))
        assert (await client.rest()).count(b"late") == 2


@pytest.mark.asyncio
async def test_half_a_request_before_the_end_is_forgotten() -> None:
    echo = Echo()
    async with serving(echo) as listener, connected(listener) as client:
        client.send(POST[:-1])
        client.writer.write_eof()
        assert await client.rest() == b""
    assert not echo.asked


@pytest.mark.parametrize(
    ("octets", "after_s", "status"),
    [
        (b"", 11, None),
        (b"\r\n", 11, None),
        (GET, 76, 200),
        (b"GET / HT", 11, 408),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", 11, 408),
        (POST[:-1], 11, 408),
        (CHUNKED[:-2], 11, 408),
    ],
)
@pytest.mark.asyncio
async def test_silence_ends_a_connection(octets: bytes, after_s: float, status: int | None) -> None:
    clock = Clock()
    async with serving(Echo(), clock=clock) as listener, connected(listener) as client:
        client.send(octets)
        if status == 200:
            await client.answer()
            status = None
        await settled(lambda: len(listener.connections) == 1)
        (connection,) = listener.connections
        await settled(lambda: connection.is_idle == (octets in (b"", b"\r\n", GET)))
        clock.now_s += after_s - 2
        listener.sweep()
        assert not client.reader.at_eof()
        clock.now_s += 2
        listener.sweep()
        if status is not None:
            assert (await client.answer())[0] == status
        assert await client.rest() == b""


@pytest.mark.parametrize(("octets", "allowed_s"), [(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", 20), (POST[:-5], 30)])
@pytest.mark.asyncio
async def test_dripping_octets_do_not_hold_a_connection_for_ever(octets: bytes, allowed_s: float) -> None:
    clock = Clock()
    octets = octets.replace(b"Length: 5", b"Length: 500")
    async with serving(Echo(), clock=clock) as listener, connected(listener) as client:
        await settled(lambda: len(listener.connections) == 1)
        (connection,) = listener.connections
        connection.data_received(octets)
        elapsed_s = 0
        while elapsed_s < 200:
            clock.now_s += 5
            elapsed_s += 5
            connection.data_received(b"x")
            listener.sweep()
            if not connection.hears:
                break
        assert allowed_s < elapsed_s <= allowed_s + 10
        assert (await client.answer())[0] == 408


@pytest.mark.asyncio
async def test_a_client_that_reads_nothing_is_cut_off_and_slows_only_itself() -> None:
    clock = Clock()
    big = b"x" * 4_000_000
    asked = 0

    def answer(request: Request, reply: Reply) -> None:
        nonlocal asked
        asked += 1
        reply.send(Response(200, "text/plain", big))

    async with serving(answer, Limits(requests_in_flight_max=2), clock) as listener:
        deaf = socket.create_connection(("127.0.0.1", listener.port))
        try:
            deaf.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(deaf, GET * 50)
            await settled(lambda: asked >= 1)
            for _ in range(200):
                await asyncio.sleep(0)
            assert asked < 10  # reading has paused long before all are answered
            clock.now_s += 31
            listener.sweep()
            await settled(lambda: not listener.connections)
        finally:
            deaf.close()


@pytest.mark.asyncio
async def test_a_client_that_reads_late_gets_everything() -> None:
    big = b"x" * 4_000_000
    asked = 0

    def answer(request: Request, reply: Reply) -> None:
        nonlocal asked
        asked += 1
        reply.send(Response(200, "text/plain", big))

    async with serving(answer, Limits(requests_in_flight_max=2)) as listener, connected(listener) as client:
        client.send(GET * 6)
        await settled(lambda: asked >= 1)
        for _ in range(200):
            await asyncio.sleep(0)
        assert asked < 6
        for _ in range(6):
            assert (await client.answer())[2] == big


@pytest.mark.asyncio
async def test_an_answer_that_may_be_kept_says_so_itself() -> None:
    def ask(request: Request, reply: Reply) -> None:
        reply.send(Response(200, "text/css", b"x", (("cache-Control", "max-age=60"), ("X", "y"))))

    async with serving(ask) as listener, connected(listener) as client:
        client.send(GET)
        assert (await client.answer())[1]["cache-control"] == "max-age=60"


@pytest.mark.asyncio
async def test_an_old_connection_has_the_full_time_for_a_new_request() -> None:
    clock = Clock()
    async with serving(Echo(), clock=clock) as listener, connected(listener) as client:
        client.send(GET)
        await client.answer()
        (connection,) = listener.connections
        for piece in (b"GET / HTTP/1.1\r\n", b"Host: a\r\n"):
            clock.now_s += 9 if piece.startswith(b"Host") else 60
            connection.data_received(piece)
            listener.sweep()
        client.send(b"\r\n")
        assert (await client.answer())[0] == 200


@pytest.mark.asyncio
async def test_an_application_that_never_answers_does_not_hold_a_connection_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    echo = Echo(at_once=False)
    async with serving(echo, clock=clock) as listener, connected(listener) as client:
        client.send(GET)
        await echo.wait_for(1)
        clock.now_s += 61
        listener.sweep()
        assert await client.rest() == b""
        echo.replies[0].send(Response(200, "text/plain", b"late"))
    assert echo.replies[0].request_id in caplog.text


@pytest.mark.asyncio
async def test_a_refused_client_that_goes_on_sending_is_cut_off() -> None:
    clock = Clock()
    async with serving(Echo(), clock=clock) as listener, connected(listener) as client:
        client.send(b"\x00garbage")
        assert (await client.answer())[0] == 400
        client.send(b"more" * 1_000)
        clock.now_s += 6
        listener.sweep()
        await settled(lambda: not listener.connections)


@pytest.mark.asyncio
async def test_stopping_answers_what_is_under_way_and_closes_the_rest() -> None:
    echo = Echo(at_once=False)
    listener = Listener(one_by_one(echo))
    await listener.start()
    async with connected(listener) as idle, connected(listener) as busy, connected(listener) as midway:
        idle.send(GET)
        await echo.wait_for(1)
        echo.replies[0].send(Response(200, "text/plain", b"done"))
        await idle.answer()
        busy.send(GET * 2)
        midway.send(POST[:-1])
        await echo.wait_for(3)
        await settled(lambda: sum(one.is_idle for one in listener.connections) == 1)
        stopping = asyncio.create_task(listener.stop(PATIENCE_S))
        assert await idle.rest() == b""
        for reply in echo.replies[1:]:
            reply.send(Response(200, "text/plain", b"kept"))
        assert "connection" not in (await busy.answer())[1]
        assert (await busy.answer())[1]["connection"] == "close"
        assert await busy.rest() == b""
        midway.send(POST[-1:])
        await echo.wait_for(4)
        echo.replies[3].send(Response(200, "text/plain", b"kept"))
        assert (await midway.answer())[1]["connection"] == "close"
        await asyncio.wait_for(stopping, PATIENCE_S)
    assert not listener.connections


@pytest.mark.asyncio
async def test_stopping_does_not_wait_longer_than_its_grace() -> None:
    echo = Echo(at_once=False)
    listener = Listener(one_by_one(echo))
    await listener.start()
    async with connected(listener) as client:
        client.send(GET)
        await echo.wait_for(1)
        await asyncio.wait_for(listener.stop(grace_s=0.05), PATIENCE_S)
        assert await client.rest() == b""


@pytest.mark.asyncio
async def test_several_listeners_share_a_port() -> None:
    first, second = Listener(one_by_one(Echo())), Listener(one_by_one(Echo()))
    await first.start(reuse_port=True)
    await second.start(port=first.port, reuse_port=True)
    with pytest.raises(OSError, match="in use"):
        await Listener(one_by_one(Echo())).start(port=first.port)
    await first.stop(0)
    await second.stop(0)


FRAGMENTS: list[Any] = [
    GET, POST, CHUNKED, b"\r\n", b"\n", b"\r", b"GET ", b"POST /x HTTP/1.1\r\n", b"Host: a\r\n",
    b"Content-Length: 3\r\n", b"\x16", b"\x00", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Expect: 100-continue\r\n", b"abc", b"0\r\n\r\n", b"3\r\n",
]  # fmt: skip


@pytest.fixture(scope="module")
def quiet() -> Iterator[None]:
    logging.getLogger("chappe.web").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("chappe.web").setLevel(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
@settings(max_examples=80)
@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=30)), min_size=1, max_size=12), st.booleans())
def test_no_octets_raise_or_hold_a_connection_for_ever(pieces: list[bytes], at_once: bool) -> None:
    async def run() -> None:
        clock = Clock()
        echo = Echo(at_once=at_once)
        async with serving(echo, Limits(requests_in_flight_max=2), clock) as listener, connected(listener) as client:
            await settled(lambda: len(listener.connections) == 1)
            (connection,) = listener.connections
            for piece in pieces:
                connection.data_received(piece)
            for _ in range(8):  # a pause, an answer, a linger: each may take its turn
                await asyncio.sleep(0)
                clock.now_s += 80
                listener.sweep()
            await settled(lambda: not listener.connections)
            assert listener.gathered_bytes == 0
            client.close()

    asyncio.run(run())
