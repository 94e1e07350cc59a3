"""The outgoing door: what it may reach, what it refuses, what it makes of every kind of answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from time import monotonic
from typing import Any

import pytest

from chappe.core.errors import Fault, FaultKind
from chappe.net.client import Door
from chappe.net.connection import EXCERPT_BYTES_MAX, Answer
from chappe.net.name_cache import literal
from chappe.net.resolver import Place

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPBACK = (ip_network("127.0.0.1/32"),)


class Peer:
    """A server on a real socket that answers every request with the same octets and keeps what it was sent."""

    def __init__(self, answer: bytes, *, close: bool = True, stay_silent: bool = False) -> None:
        self.answer = answer
        self.close = close
        self.stay_silent = stay_silent
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.hold = asyncio.Event()
        self.came = asyncio.Event()  # a request did

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                self.requests.append(head + await reader.readexactly(length))
                self.came.set()
                writer.write(self.answer)
                if self.stay_silent:
                    await self.hold.wait()
                if self.close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def peer(answer: bytes = OK, **options: bool) -> AsyncIterator[Peer]:
    one = Peer(answer, **options)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        one.hold.set()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def door(**options: Any) -> AsyncIterator[Door]:
    one = Door(**{"allow_private": LOOPBACK, **options})
    try:
        yield one
    finally:
        await one.close()


class Names:
    """A resolver whose answers are given beforehand, one list of addresses per question; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[Place]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not addresses:
            raise OSError("no such name")
        return [place for address in addresses for place in literal(address, port)]


async def fault_of(one: Door, url: str, timeout_s: float = 5.0) -> Fault:
    with pytest.raises(Fault) as caught:
        await one.request("POST", url, "application/json", b"{}", timeout_s)
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "017700000001", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.1", "127.0.1", "0",
        "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "localhost", "LOCALHOST", "127.0.0.1.", "１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "u:p@127.0.0.1",
        "127.0.0.1%00", "[fe80::1%25lo]", "%31%32%37.0.0.1", "127.255.255.254", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
        "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[64:ff9b:1::7f00:1]", "0x7f.0x0.0x0.0x1", "00127.0.0.1", "127.0.0.1..",
        "169.254.169.254", "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200", "255.255.255.255", "224.0.0.1",
        "[ff02::1]", "example.org@127.0.0.1", "127.0.0.1:80@127.0.0.1", "127.0.0.1#@example.org",
        "127.0.0.1?@example.org",
    ],
)  # fmt: skip
@pytest.mark.asyncio
async def test_loopback_is_not_reached_under_any_disguise(host: str) -> None:
    async with peer() as local, door(allow_private=False) as one:
        fault = await fault_of(one, f"http://{host}:{local.port}/")
        assert fault.reason in ("refused_address", "bad_url")
        assert fault.kind is FaultKind.PERMANENT
        assert local.connections == 0


@pytest.mark.asyncio
async def test_a_name_that_resolves_to_a_private_address_is_refused() -> None:
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"):
        async with peer() as local, door(allow_private=False, resolver=Names([address])) as one:
            for host in ("webhook.example", "localhost."):
                assert (await fault_of(one, f"http://{host}:{local.port}/")).reason == "refused_address"
            assert local.connections == 0


@pytest.mark.asyncio
async def test_a_name_that_changes_its_mind_is_judged_at_each_connection() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with peer() as local, door(resolver=names, dns_cache_s=0) as one:
        url = f"http://rebinding.example:{local.port}/"
        assert (await one.request("GET", url)).status == 200
        assert (await fault_of(one, url)).reason == "refused_address"
        assert local.connections == 1


@pytest.mark.asyncio
async def test_of_several_addresses_only_the_allowed_one_is_connected_to() -> None:
    async with peer() as local, door(resolver=Names(["127.0.0.2", "127.0.0.1"])) as one:
        assert (await one.request("GET", f"http://both.example:{local.port}/")).status == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.asyncio
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    async with peer() as hidden:
        answer = b"HTTP/1.1 %d Moved\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % (
            status,
            hidden.port,
        )
        async with peer(answer) as local, door() as one:
            assert (await one.request("GET", f"http://127.0.0.1:{local.port}/")).status == status
        assert hidden.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "//example.org/", "ftp://example.org/", "file:///etc/passwd", "gopher://127.0.0.1/", "http://",
        "http:///path", "http://:80/", "http://a:0/", "http://a:99999/", "http://a:x/", "http://[::1/", "http://a\r\nb/",
        "http://a/\r\nHost: b", "http://a/\x00", "http://a b/", "http://a\tb/", "http://" + "a" * 300 + "/", "http://a..b/",
        "http://[v1.a:b]/",
        "http://a/" + "x" * 9_000, "http://a%00b/", "http://a\\b/", "http://a/\ud800", "http://\udfff/", "http://a/?b=\ud800",
    ],
)  # fmt: skip
@pytest.mark.asyncio
async def test_what_is_no_http_url_is_refused_before_anything_is_resolved(url: str) -> None:
    async with door(resolver=Names([])) as one:
        fault = await fault_of(one, url)
        assert (fault.reason, fault.kind) == ("bad_url", FaultKind.PERMANENT)


@pytest.mark.parametrize(
    ("tail", "line"),
    [
        ("", b"/"),
        ("?a=1", b"/?a=1"),
        ("/a/../b/./c", b"/a/../b/./c"),
        ("/a%2fb?x=%c3%A9&&y=[1]&z=a+b%20c", b"/a%2fb?x=%c3%A9&&y=[1]&z=a+b%20c"),
        ("/dlr?text=caf\u00e9 noir#top", b"/dlr?text=caf%C3%A9%20noir"),
        ("/?status=%s&raw=%zz&q=a;b|c", b"/?status=%s&raw=%zz&q=a;b|c"),
    ],
)
@pytest.mark.asyncio
async def test_path_and_query_leave_as_they_are_written(tail: str, line: bytes) -> None:
    async with peer() as local, door() as one:
        await one.request("GET", f"http://127.0.0.1:{local.port}{tail}")
        assert local.requests[0].startswith(b"GET " + line + b" HTTP/1.1\r\n")


@pytest.mark.asyncio
async def test_a_request_carries_what_it_was_given_and_no_more() -> None:
    async with peer() as local, door() as one:
        answer = await one.request(
            "POST", f"http://us%C3%A9r:p%40ss@127.0.0.1:{local.port}/", "text/xml", b"<a/>", headers={"X-Id": "7"}
        )
        assert isinstance(answer, Answer)
        assert (answer.status, answer.excerpt) == (200, b"ok")
        assert 0 < answer.seconds < 5
    head, _, body = local.requests[0].partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert body == b"<a/>"
    assert fields[b"Authorization"] == b"Basic dXPDqXI6cEBzcw=="
    assert fields[b"User-Agent"].startswith(b"Chappe/")
    assert sorted(fields) == sorted(
        [
            b"Host",
            b"User-Agent",
            b"Accept",
            b"Accept-Encoding",
            b"X-Id",
            b"Content-Type",
            b"Authorization",
            b"Content-Length",
        ]
    )


@pytest.mark.asyncio
async def test_a_post_without_content_type_invents_none() -> None:
    async with peer() as local, door() as one:
        await one.request("POST", f"http://127.0.0.1:{local.port}/", body=b"x")
        assert b"content-type" not in local.requests[0].lower()


@pytest.mark.asyncio
async def test_an_international_name_is_resolved_in_ascii() -> None:
    names = Names(["127.0.0.1"])
    async with peer() as local, door(resolver=names) as one:
        await one.request("GET", f"http://caf\u00e9.example:{local.port}/")
    assert names.asked == ["xn--caf-dma.example"]
    assert b"Host: xn--caf-dma.example" in local.requests[0]


@pytest.mark.asyncio
async def test_only_listed_ports_are_reached() -> None:
    async with peer() as local, peer() as other, door(ports=(local.port,)) as one:
        assert (await one.request("GET", f"http://127.0.0.1:{local.port}/")).status == 200
        fault = await fault_of(one, f"http://127.0.0.1:{other.port}/")
        assert (fault.reason, fault.kind) == ("refused_port", FaultKind.PERMANENT)
        assert (await fault_of(one, "http://127.0.0.1/")).reason == "refused_port"
        assert other.connections == 0


@pytest.mark.parametrize("port", [22, 25, 445, 2775, 3306, 5432, 6379, 6667, 9200, 11211])
@pytest.mark.asyncio
async def test_ports_of_other_services_are_reached_only_when_listed(port: int) -> None:
    async with door() as one:
        fault = await fault_of(one, f"http://127.0.0.1:{port}/")
        assert (fault.reason, fault.kind) == ("refused_port", FaultKind.PERMANENT)
    async with door(ports=(port,), resolver=Names([])) as one:
        assert (await fault_of(one, f"http://nobody.example:{port}/")).reason == "resolve"


@pytest.mark.asyncio
async def test_this_machine_is_not_reached_by_an_address_that_looks_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chappe.net.connect.may_reach", lambda *_: True)  # as if loopback were a public address
    async with peer() as local, door(allow_private=False) as one:
        assert (await fault_of(one, f"http://127.0.0.1:{local.port}/")).reason == "refused_address"
        assert local.connections == 0


@pytest.mark.asyncio
async def test_cookies_are_not_kept() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with peer(answer) as local, door() as one:
        for _ in range(2):
            await one.request("GET", f"http://127.0.0.1:{local.port}/")
        assert b"cookie" not in local.requests[1].lower()


@pytest.mark.asyncio
async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer() as local, peer() as proxy, door() as one:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        await one.request("GET", f"http://127.0.0.1:{local.port}/")
        assert (local.connections, proxy.connections) == (1, 0)


@pytest.mark.asyncio
async def test_a_connection_is_used_again() -> None:
    async with peer(close=False) as local, door() as one:
        for _ in range(3):
            await one.request("POST", f"http://127.0.0.1:{local.port}/", body=b"x")
        assert (len(local.requests), local.connections) == (3, 1)


@pytest.mark.asyncio
async def test_a_kept_connection_that_has_ended_costs_no_fault() -> None:
    async with peer() as local, door() as one:  # this peer closes after each answer without having said so
        for _ in range(5):
            await one.request("POST", f"http://127.0.0.1:{local.port}/", body=b"x")
        assert len(local.requests) == 5


@pytest.mark.asyncio
async def test_of_a_long_answer_only_the_beginning_is_read() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 200_000
    async with peer(answer, stay_silent=True) as local, door() as one:
        got = await one.request("GET", f"http://127.0.0.1:{local.port}/", timeout_s=5)
        assert (got.status, len(got.excerpt)) == (200, EXCERPT_BYTES_MAX)


@pytest.mark.asyncio
async def test_a_compressed_answer_is_not_unpacked() -> None:
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    async with peer(packed) as local, door() as one:
        assert (await one.request("GET", f"http://127.0.0.1:{local.port}/")).excerpt == b"\x1f\x8b\x08\x00"


@pytest.mark.asyncio
async def test_a_status_counts_though_its_body_never_ends() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
    async with peer(answer, stay_silent=True) as local, door() as one:
        got = await one.request("GET", f"http://127.0.0.1:{local.port}/", timeout_s=0.3)
        assert (got.status, got.excerpt) == (200, b"abc")
    async with peer(answer) as local, door() as one:
        got = await one.request("GET", f"http://127.0.0.1:{local.port}/")
        assert (got.status, got.excerpt) == (200, b"abc")


async def _unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


Address = Callable[[int], str]


@pytest.mark.parametrize(
    ("answer", "silent", "scheme", "reason"),
    [
        (b"", True, "http", "timeout"),
        (b"HTTP/1.1 20", True, "http", "timeout"),
        (b"", False, "http", "protocol"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", False, "http", "protocol"),
        (b"HTTP/1.1 2" + b"0" * 200_000 + b"\r\n\r\n", False, "http", "protocol"),
        (b"HTTP/1.1 200 OK\r\n\r\n", False, "https", "tls"),
    ],
)
@pytest.mark.asyncio
async def test_each_trouble_has_its_word(answer: bytes, silent: bool, scheme: str, reason: str) -> None:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer or b"")
        if scheme == "https":
            writer.write(b"this is not TLS\r\n")
        if silent:
            await hold.wait()
        writer.close()

    hold = asyncio.Event()
    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with door() as one:
        fault = await fault_of(one, f"{scheme}://127.0.0.1:{port}/", timeout_s=0.3 if silent else 5)
    hold.set()
    server.close()
    await server.wait_closed()
    assert (fault.reason, fault.kind) == (reason, FaultKind.TEMPORARY)


@pytest.mark.asyncio
async def test_nobody_listening_and_no_such_name_are_told_apart() -> None:
    async with door() as one:
        assert (await fault_of(one, f"http://127.0.0.1:{await _unused_port()}/")).reason == "connect"
    async with door(resolver=Names([])) as one:
        assert (await fault_of(one, "http://nowhere.example/")).reason == "resolve"


@pytest.mark.asyncio
async def test_a_fault_does_not_tell_the_url() -> None:
    async with door() as one:
        url = f"http://127.0.0.1:{await _unused_port()}/?number=33612345678&key=secret"
        told = str(await fault_of(one, url))
        assert "33612345678" not in told
        assert "secret" not in told


@pytest.mark.asyncio
async def test_what_is_allowed_no_more_is_reached_no_more_over_connections_of_before() -> None:
    """One connection is kept, one is in use while it changes: neither serves another request."""
    allowed: list[Any] = [LOOPBACK]
    async with peer(close=False) as quick, peer(close=False, stay_silent=True) as slow:
        async with door(allow_private=lambda: allowed[0]) as one:
            assert (await one.request("GET", f"http://127.0.0.1:{quick.port}/")).status == 200
            under_way = asyncio.create_task(one.request("GET", f"http://127.0.0.1:{slow.port}/"))
            await slow.came.wait()
            allowed[0] = False
            for port in (quick.port, slow.port, quick.port):
                with pytest.raises(Fault) as refused:
                    await one.request("GET", f"http://127.0.0.1:{port}/")
                assert (refused.value.kind, refused.value.reason) == (FaultKind.PERMANENT, "refused_address")
            await under_way
            with pytest.raises(Fault):
                await one.request("GET", f"http://127.0.0.1:{slow.port}/")
        assert (len(quick.requests), len(slow.requests)) == (1, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "silent", "reason"), [(b"", False, "protocol"), (b"HTTP", True, "timeout"), (b"?", False, "protocol")]
)
async def test_what_is_written_once_and_not_answered_is_in_doubt(answer: bytes, silent: bool, reason: str) -> None:
    async with peer(answer, stay_silent=silent) as one, door() as ours:
        with pytest.raises(Fault) as caught:
            await ours.request("POST", f"http://127.0.0.1:{one.port}/", body=b"x", timeout_s=0.3, once=True)
        assert (caught.value.kind, caught.value.reason) == (FaultKind.IN_DOUBT, reason)
        assert len(one.requests) == 1


@pytest.mark.asyncio
async def test_once_also_means_once_over_a_kept_connection_that_ends_without_an_answer() -> None:
    async with peer(OK, close=False) as one, door() as ours:
        url = f"http://127.0.0.1:{one.port}/"
        await ours.request("POST", url, body=b"1", once=True)
        one.answer, one.close = b"", True
        with pytest.raises(Fault) as caught:
            await ours.request("POST", url, body=b"2", once=True)
        assert caught.value.kind is FaultKind.IN_DOUBT
        assert [request[-1:] for request in one.requests] == [b"1", b"2"]


@pytest.mark.asyncio
async def test_a_connection_that_was_not_made_leaves_no_doubt() -> None:
    async with door() as ours:
        with pytest.raises(Fault) as caught:
            await ours.request("POST", f"http://127.0.0.1:{await _unused_port()}/", body=b"x", once=True)
        assert (caught.value.kind, caught.value.reason) == (FaultKind.TEMPORARY, "connect")


@pytest.mark.asyncio
async def test_what_would_be_written_too_late_is_not_written() -> None:
    async with peer(OK, close=False) as one, door() as ours:
        url = f"http://127.0.0.1:{one.port}/"
        with pytest.raises(Fault) as caught:
            await ours.request("POST", url, body=b"x", once=True, write_by_s=monotonic() - 1)
        assert (caught.value.kind, caught.value.reason) == (FaultKind.TEMPORARY, "late")
        assert one.requests == []
        await ours.request("POST", url, body=b"y", once=True, write_by_s=monotonic() + 60)
        assert one.connections == 1  # the first one was kept


@pytest.mark.asyncio
async def test_a_connection_can_be_made_without_a_request() -> None:
    async with peer(OK, close=False) as one, door() as ours:
        url = f"http://127.0.0.1:{one.port}/"
        await ours.warm(url)
        await ours.warm(url)
        await ours.request("GET", url)
        assert (one.connections, len(one.requests)) == (1, 1)
    async with door() as ours:
        with pytest.raises(Fault, match="connect"):
            await ours.warm(f"http://127.0.0.1:{await _unused_port()}/")
