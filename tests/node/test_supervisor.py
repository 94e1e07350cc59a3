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

from chappe.node import supervisor as module
from chappe.node.supervisor import Part, Supervisor

pytestmark = pytest.mark.asyncio

CHILD = """
import os, signal, sys, time
name, parent = sys.argv[1], int(sys.argv[2])
assert parent == os.getppid()
orders = sys.stdin.readline().strip()
from chappe.node import supervisor
supervisor.ORPHAN_S = 0.3
supervisor.die_with_parent(sys.stdin.fileno())
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
    """Whether a process is there and no zombie, which an orphan may stay for as long as nobody asks for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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


async def running(part: Part) -> int:
    """The number of a part's process, once there is one."""

    async def there() -> bool:
        return part.process is not None and part.process.returncode is None

    await eventually(there, 20)
    assert part.process is not None
    return part.process.pid


async def test_a_part_may_be_told_later_what_to_do_and_the_next_one_in_its_place_knows_it(tmp_path: Path) -> None:
    supervisor, log = Supervisor("supervised_child"), tmp_path / "log"
    part = Part("steady")
    supervisor.start(part)
    try:
        untold = await running(part)
        os.kill(untold, signal.SIGKILL)  # it dies before it was told: another takes its place and waits as well

        async def another() -> bool:
            return await running(part) != untold

        await eventually(another, 20)
        assert noted(log) == []
        supervisor.tell(part, str(log).encode())
        (told,) = await started(log, 1)
        os.kill(told, signal.SIGKILL)
        assert len(await started(log, 2)) == 2
    finally:
        await asyncio.wait_for(supervisor.stop(), 20)


async def test_a_part_that_waits_to_be_told_ends_at_once(tmp_path: Path) -> None:
    supervisor, part = Supervisor("supervised_child"), Part("steady")
    supervisor.start(part)
    pid = await running(part)
    await asyncio.wait_for(supervisor.stop(), 5)
    assert not lives(pid)


PARENT = """
import asyncio, sys
from chappe.node.supervisor import Part, Supervisor

async def main():
    supervisor = Supervisor("supervised_child")
    supervisor.start(Part(sys.argv[1], sys.argv[2].encode()))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("name", "within_s"), [("steady", 1.5), ("stubborn", 4.0)], ids=["in good order", "or at once, a little later"]
)
async def test_a_child_ends_when_its_parent_was_killed(name: str, within_s: float, tmp_path: Path) -> None:
    log = tmp_path / "log"
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, name, str(log))
    (child,) = await started(log, 1)
    parent.kill()
    await parent.wait()

    async def gone() -> bool:
        return not lives(child)

    await eventually(gone, within_s)


async def test_a_child_whose_parent_was_gone_before_it_listened_ends(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, str(tmp_path / "log").encode() + b"\n")
    os.close(writing)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "supervised_child", "steady", str(os.getpid()), stdin=reading
    )
    os.close(reading)
    assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGTERM
