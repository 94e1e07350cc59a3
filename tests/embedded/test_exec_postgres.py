"""As whom, and with what rights, PostgreSQL runs; each case for real."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from chappe.embedded import data_directory
from chappe.embedded.binaries import wheel_directories
from chappe.embedded.server import ConnectionParameters, EmbeddedServer

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
DEADLINE_S = 20.0
CAP_DAC_OVERRIDE = 1 << 1
CAP_DAC_READ_SEARCH = 1 << 2

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


def user_of(pid: int) -> int:
    return os.stat(f"/proc/{pid}").st_uid


def is_there(path: str) -> bool:
    return os.path.lexists(path)


def is_gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def capabilities(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("CapEff:")), 16)


def remove_socket_directory(dsn: str) -> None:
    """Nobody is left to do it after a kill; the next start on the same data would."""
    os.rmdir(parse_qs(urlsplit(dsn).query)["host"][0])


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that everyone may enter, unlike tmp_path."""
    path = Path("/tmp") / f"chappe-test-{os.getpid()}"
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


@AS_ROOT
@pytest.mark.asyncio
async def test_no_capability_is_kept_where_the_server_can_pass(open_directory: Path) -> None:
    async with running(open_directory / "var", Path("/usr/lib/postgresql/15/bin"), "nobody") as server:
        assert server.pid is not None
        assert capabilities(server.pid) == 0
        assert server.cluster.stat().st_uid == user_of(server.pid) == 65534


@AS_ROOT
@pytest.mark.asyncio
async def test_data_and_programs_below_a_closed_directory_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A clone below /root, with the wheel in its environment."""
    closed = tmp_path / "root"
    closed.mkdir(mode=0o700)
    installed = wheel_directories()[0].parent
    programs = closed / "clone" / installed.parent.name / installed.name
    shutil.copytree(installed, programs, ignore=shutil.ignore_patterns("include", "*.a"))
    # initdb looks for its libraries by $ORIGIN, relative to itself
    shutil.copytree(f"{installed.parent}.libs", f"{programs.parent}.libs")
    caplog.set_level(logging.INFO)
    async with running(closed / "clone" / "var", programs / "bin") as server:
        assert server.pid is not None
        assert server.binaries is not None
        assert server.binaries.bin_dir == programs / "bin"
        assert capabilities(server.pid) == CAP_DAC_READ_SEARCH
        assert user_of(server.pid) != 0
        assert await ask(server.connection, "SELECT 1") == 1
    notes = [record.message for record in caplog.records if "CAP_DAC_READ_SEARCH" in record.message]
    assert len(notes) == 1
    assert str(programs / "bin") in notes[0]


@AS_ROOT
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("restriction", "kept"),
    [
        ("prctl(24, 2, 0, 0, 0)", CAP_DAC_OVERRIDE),  # PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH
        ("prctl(28, 64, 0, 0, 0)", None),  # PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE
    ],
)
async def test_with_fewer_capabilities_it_works_or_says_what_to_do(
    made: Path, restriction: str, kept: int | None
) -> None:
    """A container has CAP_DAC_OVERRIDE only; in a strict one, nothing can be handed on."""
    os.chmod(made, 0o700)
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"import ctypes; assert ctypes.CDLL(None).{restriction} == 0\n{OWNER}", str(made)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert owner.stderr is not None
    if kept is None:
        words = (await owner.stderr.read()).decode()
        assert re.search(
            r"DataUnreachable: The user \w+, who runs PostgreSQL, cannot reach /.*: choose a --data", words
        )
    else:
        pid, dsn = (await owner.stdout.readline()).decode().split()
        assert capabilities(int(pid)) == kept
        connection = await asyncpg.connect(dsn)
        await connection.close()
        owner.kill()
        await until(lambda: is_gone(int(pid)))
        remove_socket_directory(dsn)
    await owner.communicate()


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="needs Linux")
@pytest.mark.asyncio
async def test_a_backend_that_is_woken_pushes_nobody_aside(open_directory: Path) -> None:
    async with running(open_directory / "data") as server:
        assert server.connection is not None
        connection = await asyncpg.connect(**server.connection.arguments())
        try:
            backend = int(await connection.fetchval("select pg_backend_pid()"))
            assert os.sched_getscheduler(backend) == os.SCHED_BATCH
        finally:
            await connection.close()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@AS_ROOT
@pytest.mark.asyncio
async def test_an_ordinary_user_runs_it_as_himself(open_directory: Path) -> None:
    python = "/usr/bin/python3.11"
    if not is_there(python) or sys.version_info[:2] != (3, 11):
        pytest.skip("no Python that another user may run")
    (open_directory / "home").mkdir()
    os.chown(open_directory / "home", 65534, 65534)
    # From copies: the checkout itself may lie where only root may go.
    packages = Path(asyncpg.__file__).parent.parent
    for source in (packages / "asyncpg", Path(data_directory.__file__).parent.parent):
        shutil.copytree(source, open_directory / "packages" / source.name)
    process = await asyncio.create_subprocess_exec(
        *(python, "-c", OWNER, str(open_directory / "home" / "var")),
        user=65534,
        group=65534,
        extra_groups=[],
        env={"PYTHONPATH": str(open_directory / "packages"), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    pid, dsn = (await process.stdout.readline()).decode().split()
    assert user_of(int(pid)) == 65534
    assert capabilities(int(pid)) == 0
    connection = await asyncpg.connect(dsn)
    await connection.close()
    process.kill()
    await process.wait()
    await until(lambda: is_gone(int(pid)))
    remove_socket_directory(dsn)
