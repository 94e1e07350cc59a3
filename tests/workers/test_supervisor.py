"""The supervisor with real processes: starts, starts again, ends in good order, and leaves nobody behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from shop import eventually

from chappe.workers import supervisor as module
from chappe.workers.supervisor import Part, Supervisor

pytestmark = pytest.mark.asyncio

CHILD = """
import os, signal, sys, time
name, parent = sys.argv[1], int(sys.argv[2])
assert parent == os.getppid()
orders = sys.stdin.read()
with open(orders, "a") as log:
    log.write(f"{os.getpid()}\\n")
if name == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if name != "brief":
    signal.pause()
"""


@pytest.fixture(autouse=True)
def _child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "supervised_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(module, "RESTART_S_MIN", 0.01)


@asynccontextmanager
async def supervising(name: str, log: Path) -> AsyncIterator[tuple[Supervisor, Part]]:
    supervisor = Supervisor("supervised_child")
    part = Part(name, str(log).encode(), delay_s=0.01)
    supervisor.start(part)
    try:
        yield supervisor, part
    finally:
        await asyncio.wait_for(supervisor.stop(), 20)


def noted(log: Path) -> list[int]:
    return [int(pid) for pid in log.read_text().split()] if log.exists() else []


async def started(log: Path, count: int) -> list[int]:
    async def enough() -> bool:
        return len(noted(log)) >= count

    await eventually(enough, 20)
    return noted(log)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_part_that_dies_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with supervising("steady", log):
        (first,) = await started(log, 1)
        os.kill(first, signal.SIGKILL)
        pids = await started(log, 2)
        assert lives(pids[1])
    assert not any(lives(pid) for pid in pids)


async def test_a_part_that_ends_at_once_is_started_slower_and_slower(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with supervising("brief", log) as (_, part):
        await started(log, 3)
        assert part.delay_s >= 0.04


async def test_what_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.2)
    log = tmp_path / "log"
    async with supervising("stubborn", log):
        (pid,) = await started(log, 1)
    assert not lives(pid)


async def test_a_stop_while_a_part_is_being_started_leaves_nobody(tmp_path: Path) -> None:
    supervisor = Supervisor("supervised_child")
    part = Part("steady", str(tmp_path / "log").encode())
    supervisor.start(part)
    await asyncio.sleep(0)  # the process is on its way, and has no number yet
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(supervisor.stop(), 10)
    assert asyncio.get_running_loop().time() - began < 5
    assert part.process is None or part.process.returncode is not None


async def test_a_child_without_its_parent_ends(tmp_path: Path) -> None:
    code = "from chappe.workers.supervisor import die_with_parent; die_with_parent(1 << 22)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await asyncio.wait_for(process.wait(), 20) == 1
