"""Answers of every shape on real sockets: what ends them, what is kept of them, and which connections serve again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from chappe.core.errors import Fault
from chappe.net import connection as module
from chappe.net.client import Door
from chappe.net.connection import EXCERPT_BYTES_MAX

pytestmark = pytest.mark.asyncio

LOOPBACK = (ip_network("127.0.0.1/32"),)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers the nth request of all with the nth list of pieces, each in a write of its own; the last list stays.

    END closes the connection, RESET resets it, WAIT waits until the server is stopped.
    """

    END, RESET, WAIT = b"end", b"reset", b"wait"

    def __init__(self, *answers: Sequence[bytes]) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.url = ""
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()
        self.stopping = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0] or 0)
                self.requests.append(head + await reader.readexactly(length))
                self.asked.set()
                for piece in self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]:
                    if piece is self.END:
                        return
                    if piece is self.RESET:
                        writer.transport.abort()
                        return
                    if piece is self.WAIT:
                        await self.stopping.wait()
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)  # so that pieces arrive as pieces
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self.closed.set()
            writer.close()


@asynccontextmanager
async def serving(*answers: Sequence[bytes], **options: Any) -> AsyncIterator[tuple[Server, Door]]:
    one = Server(*answers)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    door = Door(LOOPBACK, **options)
    try:
        yield one, door
    finally:
        one.stopping.set()
        await door.close()
        server.close()
        await server.wait_closed()


def chunked(*chunks: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "excerpt", "serves_again"),
    [
        pytest.param(OK, 200, b"ok", True, id="length"),
        pytest.param(chunked(b"ab", b"cde"), 200, b"abcde", True, id="chunks"),
        pytest.param(
            chunked(b"ab")[:-2] + b"X: y\r\n\r\n", 200, b"ab", True, id="trailers"
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, id="204"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"", True, id="304"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok", True, id="interim"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * 3 + OK, 200, b"ok", True, id="more interim"),
        pytest.param(b"\r\n" + OK, 200, b"ok", True, id="an empty line before"),
        pytest.param(OK + b"\r\n", 200, b"ok", True, id="an empty line behind"),
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), 200, b"ok", False, id="close"),
        pytest.param(OK.replace(b"1.1", b"1.0"), 200, b"ok", False, id="HTTP/1.0"),
        pytest.param(
            OK.replace(b"1.1", b"1.0").replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"),
            200, b"ok", True, id="HTTP/1.0 that keeps",
        ),
        pytest.param(OK.replace(b"\r\n", b"\n"), 200, b"ok", True, id="bare line feeds"),
        pytest.param(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True, id="no reason"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX:\xff\xfe\r\nContent-Length: 0\r\n\r\n", 200, b"", True, id="odd octets"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx", 101, b"", False, id="101"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nz\r\n", 200, b"ab", False, id="bad chunk"
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "in pieces"])
async def test_an_answer_ends_where_it_says(
    answer: bytes, status: int, excerpt: bytes, serves_again: bool, whole: bool
) -> None:
    pieces = [answer] if whole else [answer[place : place + 1] for place in range(len(answer))]
    async with serving(pieces) as (server, door):
        for _ in range(3):
            got = await door.request("POST", server.url, body=b"x")
            assert (got.status, got.excerpt) == (status, excerpt)
        assert server.connections == (1 if serves_again else 3)


@pytest.mark.parametrize("behind", [OK, b"HTTP/1.1 20", b"junk"])
async def test_after_more_than_was_asked_for_a_connection_does_not_serve_again(behind: bytes) -> None:
    async with serving([OK + behind]) as (server, door):
        for _ in range(3):
            got = await door.request("POST", server.url, body=b"x")
            assert (got.status, got.excerpt) == (200, b"ok")
        assert server.connections == 3


@pytest.mark.parametrize(
    ("pieces", "excerpt"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\nab", b"cd", Server.END], b"abcd"),
        ([b"HTTP/1.0 200 OK\r\n\r\n", Server.END], b""),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", Server.END], b"ab"),
        ([chunked(b"ab", b"cd")[:-8], Server.END], b"abc"),
    ],
)
async def test_a_body_ends_with_its_connection_and_what_came_of_it_counts(pieces: list[bytes], excerpt: bytes) -> None:
    async with serving(pieces) as (server, door):
        got = await door.request("GET", server.url)
        assert (got.status, got.excerpt) == (200, excerpt)


async def test_what_answers_head_has_no_body_whatever_it_says() -> None:
    async with serving([b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n"]) as (server, door):
        got = await door.request("HEAD", server.url, timeout_s=5)
        assert (got.status, got.excerpt) == (200, b"")
        assert got.seconds < 4


@pytest.mark.parametrize(
    "pieces",
    [
        [Server.END],
        [Server.RESET],
        [b"HTTP/1.1 20", Server.END],
        [b"HTTP/1.1 100 Continue\r\n\r\n", Server.END],
        [b"HTTP/x.1 200 OK\r\n\r\n"],
        [b"HTTP/1.1 2x0 OK\r\n\r\n"],
        [b"<html>\r\n\r\n"],
        [b"\x16\x03\x01\x00\xa5"],
        [b"HTTP/1.1 2000 OK\r\n\r\n"],
        [b"<br />Warning: no HTTP/1.1 200 OK\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\nX : y\r\n", Server.END],
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_a_fault_and_no_new_attempt(pieces: list[bytes]) -> None:
    async with serving(pieces) as (server, door):
        with pytest.raises(Fault, match="protocol") as caught:
            await door.request("POST", server.url, body=b"x", timeout_s=5)
        assert caught.value.reason == "protocol"
        assert len(server.requests) == 1
        assert door._open == 0


HEAD = b"HTTP/1.1 200 OK\r\nDate: Mon, 02 Mar 2026 09:00:00 GMT\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", id="two lengths"
        ),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok", id="chunks that are none"),
        pytest.param(HEAD + b"Transfer-Encoding: gzip\r\n\r\nok", id="an encoding that nobody asked for"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n2\r\nok", id="chunks and identity"),
        pytest.param(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00", id="gzip"),
        pytest.param(HEAD + b"Expires : 0\r\n\r\nok", id="a blank before the colon"),
        pytest.param(HEAD + b"<br />\n<b>Warning</b>:  Undefined variable\r\n\r\nok", id="a PHP warning"),
        pytest.param(HEAD + b"PHP Notice: Undefined index in /a.php on line 3\r\n\r\nok", id="a PHP notice"),
        pytest.param(HEAD + b"no colon at all\r\n\r\nok", id="a line without a colon"),
        pytest.param(HEAD + b": no name\r\n\r\nok", id="a field without a name"),
        pytest.param(HEAD + b"X-Caf\xc3\xa9: y\r\n\r\nok", id="a name beyond ASCII"),
        pytest.param(HEAD + b"X: a\x00b\r\n\r\nok", id="a zero octet"),
        pytest.param(HEAD + b"X: a\rb\r\n\r\nok", id="a bare carriage return"),
        pytest.param(HEAD + b"X: a\r\n folded\r\n\r\nok", id="a folded field"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\nok", id="a length below zero"),
        pytest.param(HEAD + b"Content-Length: 2, 2\r\n\r\nok", id="a length that is a list"),
        pytest.param(HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", id="the same length twice"),
        pytest.param(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nok", id="different lengths"),
        pytest.param(HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nok", id="a huge length"),
        pytest.param(HEAD + b"Content-Length: \r\n\r\nok", id="an empty length"),
        pytest.param(HEAD + b"Content-Length: 90\r\n\r\nok", id="a length that is too large"),
        pytest.param(HEAD + b"Content-Length: 1\r\n\r\nok and more", id="a length that is too small"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nok<html>", id="a body without its chunks"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n", id="chunks with bare line feeds"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", id="chunks without an end"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0002  ;a\r\nok\r\n0\r\n\r\n", id="odd chunk sizes"),
        pytest.param(HEAD.replace(b"\r\n", b"\n") + b"Expires : 0\n\nok", id="bare line feeds"),
        pytest.param(HEAD.replace(b"\r\n", b"\r") + b"\r", id="bare carriage returns"),
        pytest.param(b"HTTP/1.1 200\r\nExpires : 0\r\n\r\nok", id="no reason"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nok", id="HTTP/1.0 without a length"),
        pytest.param(b"HTTP/1.0 200 OK\r\n", id="a status line only"),
        pytest.param(b"HTTP/1.0 200 OK", id="a status line without an end"),
        pytest.param(b"HTTP/1.1  200  OK\r\n\r\nok", id="two blanks"),
        pytest.param(b"http/1.1 200 ok\r\n\r\nok", id="small letters"),
        pytest.param(b"HTTP/2.0 200 OK\r\n\r\nok", id="HTTP/2.0"),
        pytest.param(b"HTTP/1.2 200 OK\r\n\r\nok", id="HTTP/1.2"),
        pytest.param(b"ICY 200 OK\r\n\r\nok", id="ICY"),
        pytest.param(b"\r\n\r\nHTTP/1.1 200 OK\r\nX : y\r\n\r\nok", id="empty lines before"),
        pytest.param(b"HTTP/1.1 200 R\xe9ussi\r\n\r\nok", id="a reason beyond ASCII"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Expires : 0\r\n\r\nok", id="an interim answer first"),
        pytest.param(b"HTTP/1.1 103 Early\r\nX : y\r\n\r\n" + HEAD + b"\r\nok", id="a broken interim answer first"),
        pytest.param(HEAD + b"".join(b"X: " + b"y" * 1_000 + b"\r\n" for _ in range(100)), id="a long head"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "in pieces"])
async def test_the_status_line_decides_whatever_follows(answer: bytes, whole: bool) -> None:
    pieces = [answer] if whole else [answer[place : place + 7] for place in range(0, len(answer), 7)]
    async with serving([*pieces, Server.END]) as (server, door):
        for _ in range(2):
            assert (await door.request("POST", server.url, body=b"x", timeout_s=5)).status == 200
        assert len(server.requests) == 2, "nobody is told twice"


async def test_what_stands_behind_a_broken_head_is_kept_as_far_as_it_came() -> None:
    async with serving([HEAD + b"Expires : 0\r\n\r\nok", Server.END]) as (server, door):
        assert (await door.request("POST", server.url)).excerpt == b"ok"


@pytest.mark.parametrize(
    ("answer", "location"),
    [
        (b"HTTP/1.1 301 Moved\r\nLocation: https://new.example/a?b=c\r\n\r\n", "https://new.example/a?b=c"),
        (b"HTTP/1.1 308 Moved\nlocation:/b\n\n", "/b"),
        (b"HTTP/1.1 302 Found\r\nExpires : 0\r\nLOCATION : //c.example/ \r\n\r\n", "//c.example/"),
        (b"HTTP/1.1 103 Early\r\nLocation: /no\r\n\r\nHTTP/1.1 307 Temp\r\nLocation: /yes\r\n\r\n", "/yes"),
        (b"HTTP/1.1 302 Found\r\n\r\nLocation: /in-the-body\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nX-Location: /no\r\nContent-Location: /no\r\n\r\n", ""),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nLocation: /not-of-interest\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /" + b"x" * 5_000 + b"\r\n\r\n", "/" + "x" * 2_047),
        (b"HTTP/1.1 302 Found\r\nLocation: /caf\xc3\xa9\xff\r\n\r\n", "/caf\u00e9\ufffd"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "in pieces"])
async def test_an_answer_says_where_it_points(answer: bytes, location: str, whole: bool) -> None:
    pieces = [answer] if whole else [answer[place : place + 7] for place in range(0, len(answer), 7)]
    async with serving([*pieces, Server.END]) as (server, door):
        assert (await door.request("POST", server.url)).location == location


async def test_an_answer_that_comes_octet_by_octet_has_the_time_of_the_whole() -> None:
    async with serving([b"HTTP/1.1 20", Server.WAIT]) as (server, door):
        began = asyncio.get_running_loop().time()
        with pytest.raises(Fault) as caught:
            await door.request("GET", server.url, timeout_s=0.2)
        assert caught.value.reason == "timeout"
        assert 0.15 < asyncio.get_running_loop().time() - began < 2
        assert door._open == 0
        server.stopping.set()
        async with asyncio.timeout(60):
            await server.closed.wait()


@pytest.mark.parametrize("end", [Server.END, Server.RESET])
async def test_a_request_is_sent_again_when_its_kept_connection_had_ended(end: bytes) -> None:
    """The server closes when the second request arrives, as those do whose idle time is over in that very moment."""
    async with serving([OK], [end], [OK]) as (server, door):
        for _ in range(2):
            assert (await door.request("POST", server.url, body=b"x")).status == 200
        assert (len(server.requests), server.connections) == (3, 2)


async def test_half_an_answer_on_a_kept_connection_is_not_sent_again() -> None:
    async with serving([OK], [b"HTTP/1.1 ", Server.END], [OK]) as (server, door):
        await door.request("POST", server.url, body=b"x")
        with pytest.raises(Fault, match="protocol"):
            await door.request("POST", server.url, body=b"x")
        assert len(server.requests) == 2


async def test_however_many_kept_connections_have_ended_a_new_one_is_tried_at_last() -> None:
    """Six are kept; the server ends each of them when it is used again."""
    async with serving(*[[OK]] * 6, [Server.END]) as (server, door):
        async with asyncio.timeout(60):
            await asyncio.gather(*[door.request("POST", server.url, body=b"x") for _ in range(6)])
            assert server.connections == 6
            with pytest.raises(Fault, match="protocol"):
                await door.request("POST", server.url, body=b"x")
        assert len(server.requests) == 6 + 4
        assert server.connections == 7
        assert door._open == 0


async def test_an_idle_connection_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.1)
    async with serving([OK]) as (server, door):
        await door.request("GET", server.url, timeout_s=5)
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(60):
            await server.closed.wait()
        assert asyncio.get_running_loop().time() - began > 0.05
        assert (await door.request("GET", server.url)).status == 200
        assert server.connections == 2


async def test_who_speaks_unasked_is_not_called_on_that_connection_again() -> None:
    async with serving([OK, b"", Server.WAIT]) as (server, door):
        await door.request("GET", server.url)
        server.stopping.set()  # it sends what stands for WAIT
        async with asyncio.timeout(60):
            await server.closed.wait()
        server.answers = [[OK]]
        assert (await door.request("GET", server.url)).status == 200
        assert server.connections == 2


async def test_the_time_of_one_call_is_not_that_of_the_next() -> None:
    """The timer of a connection is set for the first call's time and must not ring for the second too late."""
    async with serving([OK], [Server.WAIT]) as (server, door):
        await door.request("GET", server.url, timeout_s=30)
        with pytest.raises(Fault) as caught:
            await door.request("GET", server.url, timeout_s=0.1)
        assert caught.value.reason == "timeout"
    async with serving([OK], [b"", Server.WAIT]) as (server, door):
        await door.request("GET", server.url, timeout_s=0.1)
        waiting = asyncio.create_task(door.request("GET", server.url, timeout_s=0.5))
        with pytest.raises(Fault) as caught:
            await waiting
        assert caught.value.reason == "timeout"


async def test_a_long_body_in_small_chunks_ends_with_the_limit() -> None:
    async with serving([chunked(*[b"abcdefgh"] * 60_000)]) as (server, door):
        got = await door.request("GET", server.url, timeout_s=5)
        assert got.status == 200
        assert 0 < len(got.excerpt) <= EXCERPT_BYTES_MAX
        assert got.seconds < 4


async def test_who_gives_up_takes_its_connection_along() -> None:
    async with serving([b"", Server.WAIT]) as (server, door):
        call = asyncio.create_task(door.request("GET", server.url))
        await server.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert door._open == 0
        server.stopping.set()
        async with asyncio.timeout(60):
            await server.closed.wait()
