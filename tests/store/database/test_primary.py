"""Several hosts in one URL, servers that do not answer, and connections that lead nowhere."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from chappe.embedded.data_directory import CLUSTER_NAME
from chappe.embedded.server import EmbeddedServer
from chappe.store.database import CONNECTION_ERRORS, Address, Database, connect
from chappe.store.database.primary import Way, single_hosts

if TYPE_CHECKING:
    from chappe.embedded.server import ConnectionParameters

RW = "target_session_attrs=read-write"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u@one/d", ["postgresql://u@one/d"]),
        ("postgresql:///d?host=/run/pg", ["postgresql:///d?host=/run/pg"]),
        ("postgresql://u:p@one,two/d", [f"postgresql://u:p@one/d?{RW}", f"postgresql://u:p@two/d?{RW}"]),
        ("postgres://one:1,two:2/d", [f"postgres://one:1/d?{RW}", f"postgres://two:2/d?{RW}"]),
        ("postgresql://u@[::1]:5,two/d", [f"postgresql://u@[::1]:5/d?{RW}", f"postgresql://u@two/d?{RW}"]),
        (
            "postgresql://u@one,two/d?sslmode=verify-full&target_session_attrs=any",
            [
                "postgresql://u@one/d?target_session_attrs=any&sslmode=verify-full",
                "postgresql://u@two/d?target_session_attrs=any&sslmode=verify-full",
            ],
        ),
        (
            "postgresql://u@/d?host=one,two&port=1,2",
            [f"postgresql://u@/d?{RW}&host=one&port=1", f"postgresql://u@/d?{RW}&host=two&port=2"],
        ),
        (
            "postgresql://u@/d?host=one,two&port=7",
            [f"postgresql://u@/d?{RW}&host=one&port=7", f"postgresql://u@/d?{RW}&host=two&port=7"],
        ),
        ("postgresql://u:a%2Cb@one/d", ["postgresql://u:a%2Cb@one/d"]),
    ],
)
def test_a_url_of_several_hosts_is_one_for_each(url: str, hosts: list[str]) -> None:
    assert single_hosts(url) == hosts


@asynccontextmanager
async def bridged(parameters: ConnectionParameters) -> AsyncIterator[int]:
    """The server of a unix socket on a TCP port of loopback; the connections end with it."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(65_536):
            writer.write(octets)
            await writer.drain()
        writer.close()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = f"{parameters.host}/.s.PGSQL.{parameters.port}"
        there_reader, there_writer = await asyncio.open_unix_connection(path)
        writers.extend((writer, there_writer))
        for way in (pass_on(reader, there_writer), pass_on(there_reader, writer)):
            tasks.add(asyncio.get_running_loop().create_task(way))

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*tasks, *(writer.wait_closed() for writer in writers), return_exceptions=True)


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """A port whose kernel takes connections, behind which nobody says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield listening.getsockname()[1]


def dsn(parameters: ConnectionParameters, *ports: int, more: str = "") -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://{parameters.user}:{parameters.password}@{hosts}/{parameters.database}?sslmode=disable{more}"


@pytest.mark.asyncio
async def test_a_silent_host_does_not_keep_us_from_the_next_and_is_asked_last_from_then_on(
    empty_database: ConnectionParameters,
) -> None:
    loop = asyncio.get_running_loop()
    async with silent() as nobody, bridged(empty_database) as port:
        way = Way({"dsn": dsn(empty_database, nobody, port)}, connect_s=3.0)
        first = await way.connect()
        began = loop.time()
        second = await way.connect()
        assert loop.time() - began < 1.0
        assert await second.fetchval("select 1") == 1
        await first.close()
        await second.close()


@asynccontextmanager
async def split(made: Path) -> AsyncIterator[tuple[ConnectionParameters, ConnectionParameters]]:
    """A primary, and another that began as its copy and was promoted: both may be written to."""
    copied = made.with_name("copied")
    subprocess.run(["cp", "-a", made, copied], check=True)
    cluster = copied / CLUSTER_NAME
    owner = cluster.stat()
    (signal := cluster / "recovery.signal").touch()  # it recovers to the end of its log, and is promoted
    os.chown(signal, owner.st_uid, owner.st_gid)
    with (cluster / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'false'\nhot_standby = off\n")
    old, new = EmbeddedServer(made), EmbeddedServer(copied)
    try:
        await old.start()
        await new.start()
        yield old.connection, new.connection
    finally:
        await new.stop()
        await old.stop()
        shutil.rmtree(copied)


async def timeline(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    return int(await connection.fetchval("select left(pg_walfile_name(pg_current_wal_lsn()), 8)"), 16)


@pytest.mark.asyncio
async def test_of_two_that_may_be_written_to_the_one_that_was_promoted_last_is_taken(
    made: Path,
) -> None:
    async with split(made) as (old, new), AsyncExitStack() as stack:
        old_port = await stack.enter_async_context(bridged(old))
        way = Way({"dsn": dsn(old, old_port, old_port)})  # as long as the old one is all that is heard of
        first = await way.connect()
        assert await timeline(first) == 1
        new_port = await stack.enter_async_context(bridged(new))
        way = Way({"dsn": dsn(old, old_port, new_port)})
        both = await asyncio.gather(*(way.connect() for _ in range(3)))
        assert [await timeline(one) for one in both] == [2, 2, 2]
        later = await way.connect()
        assert await timeline(later) == 2
        for one in (first, *both, later):
            await one.close()


@pytest.mark.asyncio
async def test_who_has_seen_the_promoted_one_does_not_go_back(made: Path) -> None:
    async with split(made) as (old, new), bridged(old) as old_port:
        async with bridged(new) as new_port:
            way = Way({"dsn": dsn(old, old_port, new_port)}, connect_s=2.0)
            await (await way.connect()).close()
        with pytest.raises(CONNECTION_ERRORS):
            await way.connect()
        fresh = await Way({"dsn": dsn(old, old_port, new_port)}, connect_s=2.0).connect()
        assert await timeline(fresh) == 1, "who knows of no other works with it"
        await fresh.close()


@pytest.mark.asyncio
async def test_when_no_host_answers_it_ends_in_time_with_an_error_of_the_connection() -> None:
    loop = asyncio.get_running_loop()
    async with silent() as one, silent() as two:
        began = loop.time()
        with pytest.raises(TimeoutError):
            await Way({"dsn": f"postgresql://u:p@127.0.0.1:{one},127.0.0.1:{two}/d"}, connect_s=1.0).connect()
        assert loop.time() - began < 3.0


@pytest.mark.asyncio
async def test_a_server_that_only_reads_is_not_the_one(empty_database: ConnectionParameters) -> None:
    async with bridged(empty_database) as port:
        way = Way({"dsn": dsn(empty_database, port, port)})
        writing = await way.connect()
        await writing.execute(f"alter database {empty_database.database} set default_transaction_read_only = on")
        await writing.close()
        with pytest.raises(CONNECTION_ERRORS) as met:
            await way.connect()
        assert isinstance(met.value, asyncpg.TargetServerAttributeNotMatched)


@pytest.mark.asyncio
async def test_what_refuses_us_is_told_rather_than_who_is_silent(empty_database: ConnectionParameters) -> None:
    async with silent() as nobody, bridged(empty_database) as port:
        url = dsn(empty_database, port, nobody).replace(f"/{empty_database.database}?", "/there_is_none?")
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await Way({"dsn": url}, connect_s=1.0).connect()


@pytest.mark.asyncio
async def test_every_connection_has_its_peer_watched_on_both_sides(empty_database: ConnectionParameters) -> None:
    async with bridged(empty_database) as port:
        address = Address(url=dsn(empty_database, port))
        database = Database(address)
        await database.open()
        one = await connect(address)
        async with database.connection(hot=True) as pooled:
            for made in (one, pooled):
                found = made._transport.get_extra_info("socket")
                assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 5
                assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 10_000
                assert (
                    await made.fetchval("select setting from pg_settings where name = 'tcp_user_timeout'") is not None
                )
        await one.close()
        await database.close()


@pytest.mark.asyncio
async def test_a_unix_socket_needs_none_of_it(empty_database: ConnectionParameters) -> None:
    made = await connect(Address(**empty_database.arguments()))
    assert await made.fetchval("select 1") == 1
    await made.close()
