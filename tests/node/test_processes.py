"""The parts: what a process asks of the system before strangers may connect to it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from chappe.node import processes


@pytest.mark.parametrize("soft", [200, 1_024, None])
def test_a_process_takes_the_descriptors_that_it_may_have(soft: int | None) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]
    wanted = processes.DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, processes.DESCRIPTORS_MAX)
    try:
        if soft is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert processes.descriptors() == max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= wanted
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("kind", processes.PARTS)
def test_a_part_whose_parent_ends_before_it_gives_orders_ends_too(kind: str) -> None:
    words = [sys.executable, "-m", "chappe.node.processes", kind, "1"]
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


@pytest.mark.parametrize("kind", processes.PARTS)
def test_a_part_has_imported_the_rooms_it_needs_before_its_orders_come(kind: str) -> None:
    """And nothing that a process of this kind never uses."""
    needed = ", ".join(processes.NEEDED[kind])
    code = f"import sys; import chappe.node.processes, {needed}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    rooms = {name.split(".")[1] for name in done.stdout.split() if name.startswith("chappe.")}
    assert {"handset": "handset", "work": "workers", "api": "dialects"}[kind] in rooms
    assert {"cli"}.isdisjoint(rooms)
    assert "chappe.node.serve" not in done.stdout.split()
    assert {"rich", "pydantic", "typer", "structlog"}.isdisjoint(done.stdout.split())


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="needs Linux")
def test_a_process_may_ask_to_interrupt_nobody() -> None:
    code = "import os; from chappe.node import processes; processes.interrupt_nobody(); print(os.sched_getscheduler(0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) == os.SCHED_BATCH
