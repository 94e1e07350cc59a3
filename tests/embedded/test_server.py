"""The embedded PostgreSQL for real: made, started, killed, shared, refused."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
import uvloop

from chappe.embedded import data_directory, disk_space
from chappe.embedded.errors import (
    BinariesNotUsable,
    DataInUse,
    DataNotOurs,
    DiskFull,
    PasswordsLost,
    ServerFailed,
    UserNotUsable,
    VersionMismatch,
)
from chappe.embedded.server import ConnectionParameters, EmbeddedServer, attach

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
DEADLINE_S = 20.0

# A program of ours: starts the server, says so, and lasts until it is killed.
OWNER = """
import asyncio, pathlib, sys
from chappe.embedded.server import EmbeddedServer
async def main():
    server = EmbeddedServer(pathlib.Path(sys.argv[1]))
    await server.start()
    print(server.pid, server.connection.dsn(), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def running(data: Path, *arguments: object) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(data, *arguments)  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(parameters: ConnectionParameters, query: str) -> object:
    connection = await asyncpg.connect(**parameters.arguments(), timeout=10)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.01)


async def until_answer(parameters: ConnectionParameters, query: str, answer: object) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while await ask(parameters, query) != answer:
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.01)


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def is_there(path: str) -> bool:
    return os.path.lexists(path)


def is_gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.every_postgres
@pytest.mark.asyncio
async def test_the_program_owns_its_database_and_nothing_else(postgres_server: object, postgres_major: int) -> None:
    server: EmbeddedServer = postgres_server.server  # type: ignore[attr-defined]
    assert server.binaries is not None
    assert server.binaries.major == postgres_major
    assert await ask(server.connection, "SELECT current_user || ' ' || current_database()") == "chappe chappe"
    assert await ask(server.connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'chappe'"
    assert await ask(server.connection, owner) == "chappe"


@pytest.mark.asyncio
async def test_only_the_password_opens_and_repr_does_not_show_it(postgres_server: object) -> None:
    right: ConnectionParameters = postgres_server.server.connection  # type: ignore[attr-defined]
    for wrong in (replace(right, password="guess"), replace(right, user="postgres", password="")):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            await ask(wrong, "SELECT 1")
    assert right.password not in repr(right)
    connection = await asyncpg.connect(right.dsn())
    await connection.close()
    assert mode_of(right.host) == 0o700


@pytest.mark.asyncio
async def test_what_was_committed_is_there_after_a_restart_and_the_socket_goes_away(made: Path) -> None:
    async with running(made) as server:
        await ask(server.connection, "CREATE TABLE t AS SELECT 42 AS answer")
        pid, before = server.pid, server.connection
        assert pid is not None
    assert is_gone(pid)
    assert not is_there(before.host)
    began = time.monotonic()
    async with running(made) as server:
        assert time.monotonic() - began < 5
        assert server.connection == before
        assert await ask(server.connection, "SELECT answer FROM t") == 42


@pytest.mark.asyncio
async def test_kill_of_the_owner_takes_the_server_down_and_loses_nothing(made: Path) -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, str(made), stdout=subprocess.PIPE)
    assert owner.stdout is not None
    pid, dsn = (await owner.stdout.readline()).decode().split()
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
    owner.kill()
    # Not waited for: the next one must come through while the last one is still going down.
    async with running(made) as server:
        assert is_gone(int(pid))
        assert await ask(server.connection, "SELECT answer FROM t") == 42
    await owner.wait()
    connection.terminate()


@pytest.mark.every_postgres
@pytest.mark.asyncio
async def test_kill_of_the_server_is_noticed_and_repaired(
    tmp_path: Path, postgres_server: object, postgres_major: int
) -> None:
    binaries = postgres_server.server.binaries  # type: ignore[attr-defined]
    async with running(tmp_path / "var", binaries.bin_dir) as server:
        before = server.connection
        await ask(before, "CREATE TABLE t AS SELECT 42 AS answer")
        # A backend that calculates does not notice, and holds the shared memory.
        busy = await asyncpg.connect(**before.arguments())
        calculation = asyncio.create_task(busy.fetchval("SELECT count(*) FROM generate_series(1, 10000000000)"))
        events: list[str] = []
        died, back = asyncio.Event(), asyncio.Event()

        def on_death() -> None:
            events.append("death")
            died.set()

        def on_restart() -> None:
            events.append("restart")
            back.set()

        watch = asyncio.create_task(server.supervise(on_death, on_restart))
        query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series(1, 1%'"
        await until_answer(server.superuser, query, 2)
        killed = server.pid
        assert killed is not None
        began = time.monotonic()
        os.kill(killed, signal.SIGKILL)
        await asyncio.wait_for(died.wait(), 1)
        await asyncio.wait_for(back.wait(), 10)
        assert time.monotonic() - began < 10
        assert events == ["death", "restart"]
        assert server.connection == before
        assert server.pid != killed
        assert await ask(server.connection, "SELECT answer FROM t") == 42
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await calculation
        busy.terminate()
        await server.stop()
        await asyncio.wait_for(watch, 5)
        assert events == ["death", "restart"]


@pytest.mark.asyncio
async def test_a_server_that_cannot_come_back_ends_the_supervision(tmp_path: Path, made: Path) -> None:
    async with running(made) as server:
        (server.cluster / "global" / "pg_control").rename(tmp_path / "pg_control")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ServerFailed, match="could not find the database system"):
            await asyncio.wait_for(server.supervise(), 20)


@pytest.mark.asyncio
async def test_on_a_full_disk_it_is_started_again_when_there_is_room(
    made: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk_space, "LOOK_S", 0.02)
    async with running(made) as server:
        back = asyncio.Event()
        watching = asyncio.create_task(server.supervise(on_restart=back.set))
        monkeypatch.setattr(disk_space, "ROOM_OCTETS_MIN", 1 << 62)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        while "the disk is full" not in caplog.text:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)
        assert server.pid is None
        monkeypatch.setattr(disk_space, "ROOM_OCTETS_MIN", 1)
        await asyncio.wait_for(back.wait(), DEADLINE_S)
        assert await ask(server.connection, "select 1") == 1
        await server.stop()
        await asyncio.wait_for(watching, DEADLINE_S)


@pytest.mark.asyncio
async def test_stop_during_a_restart_ends_both(made: Path) -> None:
    async with running(made) as server:
        died = asyncio.Event()
        watch = asyncio.create_task(server.supervise(died.set))
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.wait_for(died.wait(), 5)
        await until(lambda: server.pid is not None)
        second = server.pid
        assert second is not None
        await server.stop()
        await asyncio.wait_for(watch, 5)
        assert is_gone(second)
    async with running(made):
        pass


@pytest.mark.asyncio
async def test_a_server_that_is_killed_while_it_restarts_is_restarted_again(made: Path) -> None:
    async with running(made) as server:
        back = asyncio.Event()
        watch = asyncio.create_task(server.supervise(on_restart=back.set))
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: server.pid not in (first, None))
        second = server.pid
        assert second is not None
        assert not back.is_set()
        os.kill(second, signal.SIGKILL)
        await asyncio.wait_for(
            asyncio.wait([watch, asyncio.create_task(back.wait())], return_when="FIRST_COMPLETED"), 20
        )
        assert not watch.done(), watch
        assert await ask(server.connection, "SELECT 1") == 1
        await server.stop()
        await asyncio.wait_for(watch, 5)


def test_it_works_in_uvloop(made: Path) -> None:
    async def start_kill_and_stop() -> None:
        async with running(made) as server:
            back = asyncio.Event()
            watch = asyncio.create_task(server.supervise(on_restart=back.set))
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.wait_for(back.wait(), 10)
            assert await ask(server.connection, "SELECT 1") == 1
            await server.stop()
            await watch

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(start_kill_and_stop())
    finally:
        loop.close()


@pytest.mark.asyncio
async def test_a_second_serve_is_refused_by_name_of_the_first(made: Path) -> None:
    async with running(made) as server:
        with pytest.raises(DataInUse, match=rf"in use by process {os.getpid()} \(chappe serve\): stop it first"):
            await EmbeddedServer(made).start()
        assert await ask(server.connection, "SELECT 1") == 1


@pytest.mark.asyncio
async def test_a_half_made_database_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "var" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    (tmp_path / "var" / "chappe.lock").touch()
    (tmp_path / "var" / "postgres").mkdir()
    async with running(tmp_path / "var") as server:
        assert await ask(server.connection, "SELECT 1") == 1
    assert not half.exists()


@pytest.mark.asyncio
async def test_a_server_started_by_hand_is_waited_for_and_then_named(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(made) as server:
        monkeypatch.setattr("chappe.embedded.server.PREDECESSOR_TIMEOUT_S", 0.1)
        second = EmbeddedServer(made)
        # The lock file was removed by somebody: only PostgreSQL's own file is left to tell.
        (made / "chappe.lock").rename(tmp_path / "old")
        (made / "chappe.lock").touch()
        with pytest.raises(DataInUse, match=rf"process {server.pid} \(a PostgreSQL that Chappe did not start\)"):
            await second.start()
        assert await ask(server.connection, "SELECT 1") == 1


@pytest.mark.asyncio
async def test_a_failed_start_tells_why_and_leaves_nothing_locked(tmp_path: Path, made: Path) -> None:
    data = made
    async with running(data) as server:
        own_settings = server.cluster / "postgresql.auto.conf"
        assert server.binaries is not None
        major = server.binaries.major
    own_settings.write_text("shared_buffers = 'a lot'\n")
    with pytest.raises(ServerFailed, match=r"failed: .*configuration file .*postgresql.auto.conf.* contains errors"):
        await EmbeddedServer(data).start()
    own_settings.write_text("work_mem = '7MB'\n")
    async with running(data) as server:
        assert await ask(server.connection, "SHOW work_mem") == "7MB"
    (server.cluster / "PG_VERSION").write_text("14\n")
    with pytest.raises(VersionMismatch, match=r"belongs to PostgreSQL 14, but only .*pg_dump"):
        await EmbeddedServer(data).start()
    (server.cluster / "PG_VERSION").write_text(f"{major}\n")
    (server.cluster / "chappe.passwords").rename(tmp_path / "passwords")
    with pytest.raises(PasswordsLost, match=r"chappe\.passwords: No such file"):
        await EmbeddedServer(data).start()
    (tmp_path / "passwords").rename(server.cluster / "chappe.passwords")
    async with running(data):
        pass


@pytest.mark.asyncio
async def test_wrong_directories_and_users_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(BinariesNotUsable, match="no postgres there"):
        await EmbeddedServer(tmp_path / "a", tmp_path).start()
    with pytest.raises(UserNotUsable, match="no-such-user"):
        await EmbeddedServer(tmp_path / "b", None, "no-such-user").start()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").touch()
    with pytest.raises(DataNotOurs, match=r"holds thesis\.tex"):
        await EmbeddedServer(tmp_path / "c").start()
    assert os.listdir(tmp_path / "c") == ["thesis.tex"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 8 MB."""
    path = tmp_path / "small"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("may not mount")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.mark.asyncio
async def test_a_full_disk_is_told_in_one_sentence_and_the_next_try_works(small_disk: Path) -> None:
    with pytest.raises(DiskFull, match="needs about 100 MB"):
        await EmbeddedServer(small_disk).start()
    enlarging = await asyncio.create_subprocess_exec("mount", "-o", "remount,size=200m", small_disk)
    assert await enlarging.wait() == 0
    async with running(small_disk) as server:
        assert await ask(server.connection, "SELECT 1") == 1


@pytest.mark.asyncio
async def test_a_command_uses_the_living_server_and_leaves_it_alone(made: Path) -> None:
    async with running(made) as server:
        async with attach(made) as parameters:
            assert parameters == server.connection
        assert await ask(server.connection, "SELECT 1") == 1


@pytest.mark.asyncio
async def test_commands_at_once_share_one_server_and_the_last_one_out_ends_it(made: Path) -> None:
    data = made
    pids: set[int] = set()
    inside = asyncio.Barrier(3)

    async def command(seconds: int) -> None:
        async with attach(data) as parameters:
            await inside.wait()
            postmaster = data_directory.read_postmaster(data / "postgres")
            assert postmaster is not None
            pids.add(postmaster.pid)
            # The one that started it may be done first.
            assert await ask(parameters, f"SELECT {seconds} FROM pg_sleep({seconds / 10})") == seconds

    await asyncio.gather(*(command(number) for number in range(3)))
    assert len(pids) == 1
    assert is_gone(pids.pop())
    async with running(data):
        pass


@pytest.mark.asyncio
async def test_serve_waits_for_a_short_command(made: Path) -> None:
    async with attach(made):
        starting = asyncio.create_task(EmbeddedServer(made).start())
        server = EmbeddedServer(made)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        starting = asyncio.create_task(server.start())
        await asyncio.wait((starting,), timeout=0.05)
        assert not starting.done()
    await asyncio.wait_for(starting, DEADLINE_S)
    assert await ask(server.connection, "SELECT 1") == 1
    await server.stop()
