"""Whose lease it is: a name by which a neighbour sees that its owner is dead, and never takes a living one for dead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chappe.workers.process_identity import is_dead, own_name


def test_a_living_process_is_not_dead() -> None:
    assert own_name() == own_name()
    assert not is_dead(own_name())


def test_a_process_that_ended_is_dead_and_one_that_took_its_number_is_another() -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from chappe.workers.process_identity import own_name; print(own_name(), flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    name = child.stdout.readline().strip()
    assert not is_dead(f"{own_name()}x:y" if name == "ours" else name)
    child.communicate("\n")
    assert is_dead(name)
    host, _, started = own_name().rsplit(":", 2)
    assert is_dead(f"{host}:{os.getpid()}:{int(started) - 1}"), "the same number, started at another time"


@pytest.mark.parametrize("name", ["", "me", "another host/1234/-:1:2", "a:b:c:d", ":::", "ours"])
def test_of_others_nobody_knows(name: str) -> None:
    assert not is_dead(f"{own_name()}x:y" if name == "ours" else name)


def test_who_has_ended_is_dead_though_nobody_has_asked_for_his_status() -> None:
    host, _, _ = own_name().rsplit(":", 2)
    child = subprocess.Popen(["sleep", "600"])
    began = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    name = f"{host}:{child.pid}:{began}"
    assert not is_dead(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie from now on
    assert is_dead(name)
    child.wait()
