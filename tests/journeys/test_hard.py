"""The scenarios of `make hard`: each says what it does, and the quickest that means something holds in every run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).parent / "hard" / "run.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, RUNNER, *arguments], capture_output=True, text=True, timeout=100, check=False
    )


def test_every_scenario_says_what_it_does() -> None:
    lines = run("--list").stdout.splitlines()
    assert len(lines) > 30
    assert all(len(line.split()) > 4 for line in lines), lines


def test_an_unknown_scenario_is_no_success() -> None:
    assert run("--only", "no-such-scenario").returncode == 2


def test_killed_database_processes_are_noticed_by_no_customer() -> None:
    done = run("--only", "kill-backend", "--seed", "5", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any]
    (report,) = json.loads(done.stdout[done.stdout.index("[\n") : done.stdout.rindex("]") + 1])
    assert (report["asked"], report["refused"], report["unanswered"]) == (report["accepted"], 0, 0)
    assert report["delivered"] == report["accepted"] > 0
    assert (report["lost"], report["twice"], report["money"]["right"]) == (0, 0, True)
