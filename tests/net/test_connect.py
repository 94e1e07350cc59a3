"""From names to connections: several addresses, silent ones among them, what is believed of names, and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from chappe.core.errors import Fault, FaultKind
from chappe.net.client import Door
from chappe.net.connect import PLACES_MAX
from chappe.net.name_cache import Names, alternating, literal
from chappe.net.resolver import Place

LOOPBACK = (ip_network("127.0.0.1/32"),)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Book:
    """A resolver with one answer for all names, which counts the questions."""

    def __init__(self, *addresses: str, hold: asyncio.Event | None = None) -> None:
        self.addresses = addresses
        self.hold = hold
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[Place]:
        self.asked.append(host)
        if self.hold is not None:
            await self.hold.wait()
        return [place for address in self.addresses for place in literal(address, port)]


@asynccontextmanager
async def answering(tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.asyncio
async def test_an_address_that_says_nothing_costs_a_moment() -> None:
    """The first address takes no connection: its queue of them is full."""
    with socket.socket() as full:
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.2", port))
        one = Door((ip_network("127.0.0.0/8"),), resolver=Book("127.0.0.2", "127.0.0.1"))
        async with answering(port=port):
            began = asyncio.get_running_loop().time()
            assert (await one.request("GET", f"http://two.example:{port}/", timeout_s=5)).status == 200
            assert asyncio.get_running_loop().time() - began < 4
            await one.close()
        for filler in fillers:
            filler.close()


@pytest.mark.asyncio
async def test_one_refused_and_one_dead_address_may_be_better_later() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]  # nobody listens there
        one = Door(LOOPBACK, resolver=Book("10.0.0.1", "127.0.0.1"))
        with pytest.raises(Fault) as caught:
            await one.request("GET", f"http://two.example:{port}/")
        assert (caught.value.reason, caught.value.kind) == ("connect", FaultKind.TEMPORARY)
        await one.close()


@pytest.mark.asyncio
async def test_of_very_many_addresses_a_few_are_tried() -> None:
    async with answering() as port:
        one = Door(LOOPBACK, resolver=Book(*[f"10.0.0.{number}" for number in range(1, PLACES_MAX + 1)], "127.0.0.1"))
        with pytest.raises(Fault) as caught:
            await one.request("GET", f"http://many.example:{port}/")
        assert caught.value.reason == "refused_address"
        await one.close()


@pytest.mark.asyncio
async def test_a_name_is_asked_for_once_by_all_and_believed_for_a_while() -> None:
    hold = asyncio.Event()
    book = Book("127.0.0.1", hold=hold)
    names = Names(book, 30)
    asking = [asyncio.create_task(names.places("a.example", 80)) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    hold.set()
    assert await asyncio.gather(*asking[1:]) == [literal("127.0.0.1", 80)] * 4
    assert await names.places("a.example", 80) == literal("127.0.0.1", 80)
    assert book.asked == ["a.example"]
    await names.places("b.example", 80)
    assert book.asked == ["a.example", "b.example"]
    assert await names.places("10.0.0.1", 80) == literal("10.0.0.1", 80)
    assert len(book.asked) == 2, "an address is no name"
    await names.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(("kept_s", "asked"), [(30, 1), (0, 2)])
async def test_that_a_name_has_no_address_is_believed_for_a_while(kept_s: float, asked: int) -> None:
    book = Book()
    names = Names(book, kept_s)
    for _ in range(2):
        with pytest.raises(OSError, match="no address"):
            await names.places("a.example", 80)
    assert len(book.asked) == asked
    await names.close()


@pytest.mark.asyncio
async def test_the_system_knows_localhost() -> None:
    async with answering() as port:
        one = Door((ip_network("127.0.0.0/8"), ip_network("::1/128")))
        assert (await one.request("GET", f"http://localhost:{port}/")).status == 200
        await one.close()


def test_families_take_turns() -> None:
    places = [place for address in ("::1", "::2", "::3", "1.1.1.1") for place in literal(address, 80)]
    assert [place[1][0] for place in alternating(places)] == ["::1", "1.1.1.1", "::2", "::3"]
    assert alternating([]) == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of its own for hook.example."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=hook.example", "-addext", "subjectAltName=DNS:hook.example", "-keyout", "-", "-out", "-"],
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    path.write_bytes(done.stdout)
    return path


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [
        ("hook.example", True, ""),
        ("hook.example.", True, ""),
        ("other.example", True, "tls"),
        ("hook.example", False, "tls"),
        ("127.0.0.1", True, "tls"),
    ],
)
@pytest.mark.asyncio
async def test_a_certificate_must_be_trusted_and_the_hosts(
    certificate: Path, host: str, trusted: bool, reason: str
) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    asked: list[str | None] = []
    served.sni_callback = lambda _connection, name, _context: asked.append(name)
    own = ssl.create_default_context(cafile=str(certificate)) if trusted else None
    async with answering(served) as port:
        one = Door(LOOPBACK, resolver=Book("127.0.0.1"), tls=own)
        try:
            for _ in range(2):
                got = await one.request("POST", f"https://{host}:{port}/", body=b"x", timeout_s=5)
                assert (got.status, got.excerpt) == (200, b"ok")
        except Fault as fault:
            told = fault.reason
        else:
            told = ""
            assert asked == ["hook.example"], "one connection, with the name that is wanted"
        assert told == reason
        assert one._open == (0 if reason else 1)
        await one.close()
