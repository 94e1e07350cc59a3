"""Scenarios in which several processes die or stand still at once, or again before they are back: what a machine does
that is short of memory, is paused, or is switched off and on, and what a careless operator does."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Iterable
from time import monotonic

from program import Program, children, descendants, until
from stage import AWAY, WINDOW, Scenario, Stage

MESSAGES, RATE = 240, 40.0
ROUNDS = 3
BACK_S = 90.0


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _tree(program: Program) -> list[int]:
    assert program.process is not None
    return [program.process.pid, *descendants(program.process.pid)]


def _parts(stage: Stage) -> dict[str, list[int]]:
    """Who may die, by kind; backends and PostgreSQL's own helpers too."""
    found = {name: [pid] for name, pid in stage.program.parts().items()}
    if "postgres" in found:
        words = children(found["postgres"][0])
        found["backend"] = [pid for pid, line in words if line.startswith("postgres: chappe")]
        found["helper"] = [pid for pid, line in words if not line.startswith("postgres: chappe")]
    return {name: pids for name, pids in found.items() if pids}


def _back(stage: Stage) -> None:
    """Until it accepts messages again. A service manager starts it whenever it ends, which it does while the remains of
    the life before hold the data."""
    program = stage.program
    deadline = monotonic() + BACK_S
    while not program.is_ready():
        assert program.process is not None
        assert monotonic() < deadline, f"it does not come back: {program.errors[-2000:]}"
        if program.process.poll() is not None:
            stage.pause(0.5, 1.0)  # the service manager's
            program.spawn()
        stage.pause(0.05, 0.1)  # the pace of looking


def _again(stage: Stage, program: Program) -> None:
    """The supervisor dies; what it leaves is not waited for."""
    assert program.process is not None
    program.process.kill()
    program.process.wait()
    program.spawn()


def two_at_once(stage: Stage) -> None:
    """Two of its processes, of different kinds."""
    there = _parts(stage)
    for name in stage.chance.sample(sorted(there), 2):
        _signal([stage.chance.choice(there[name])], signal.SIGKILL)


def again_and_again(stage: Stage) -> None:
    """One process, and whoever comes in its place, three times within moments."""
    name = stage.chance.choice(("api", "work", "postgres"))
    for _ in range(ROUNDS):
        victim = until(lambda: _parts(stage).get(name), f"another {name} to be there", BACK_S)
        _signal(victim, signal.SIGKILL)
        stage.pause(0.0, 0.2)


def all_at_once(stage: Stage) -> None:
    """Every process, the database's too; started anew at once, and killed again while it starts."""
    program = stage.program
    for _ in range(2):
        _signal(_tree(program), signal.SIGKILL)
        assert program.process is not None
        program.process.wait()
        program.spawn()
        stage.pause(0.1, 2.5)


def supervisor_twice(stage: Stage) -> None:
    """The supervisor, while its children still end; and the next one while it starts."""
    _again(stage, stage.program)
    stage.pause(0.0, 1.5)
    _again(stage, stage.program)


def interrupted_end(stage: Stage) -> None:
    """SIGTERM, and before that has ended anything, SIGKILL for everybody."""
    program = stage.program
    assert program.process is not None
    program.process.terminate()
    stage.pause(0.0, 1.0)
    _signal(_tree(program), signal.SIGKILL)
    program.process.wait()
    program.spawn()


def frozen_all(stage: Stage) -> None:
    """Everything stands still for longer than any lease, as in a virtual machine that is paused, and goes on in any
    order."""
    everybody = _tree(stage.program)
    _signal(everybody, signal.SIGSTOP)
    stage.pause(10.0, 14.0)
    stage.chance.shuffle(everybody)
    _signal(everybody, signal.SIGCONT)


def frozen_orphans(stage: Stage) -> None:
    """The children are frozen, the supervisor dies and is started anew; they wake up when others do their work."""
    orphans = _tree(stage.program)[1:]
    if stage.chance.random() < 0.5:
        orphans = [stage.program.parts()["work"]]
    _signal(orphans, signal.SIGSTOP)
    _again(stage, stage.program)
    stage.pause(9.0, 12.0)
    stage.chance.shuffle(orphans)
    _signal(orphans, signal.SIGCONT)


def schedule(happens: Scenario, rounds: int, stage: Stage) -> None:
    stage.start()
    stage.doubts_max = WINDOW * ROUNDS * rounds
    stage.allowed.add(AWAY)
    stage.settle_s = 120.0
    stage.network.misbehave(latency_ms=60, latency_jitter_ms=60)
    load = stage.load(MESSAGES, RATE).start()
    for number in range(1, rounds + 1):
        load.reached(number / (rounds + 1))
        stage.pause(0.0, 0.4)
        happens(stage)
        _back(stage)
    load.join()
    _back(stage)


def _scenario(happens: Scenario, rounds: int) -> Scenario:
    made = functools.partial(schedule, happens, rounds)
    made.__doc__ = happens.__doc__
    return made


SCENARIOS: dict[str, Scenario] = {
    "kill-two": _scenario(two_at_once, ROUNDS),
    "kill-again": _scenario(again_and_again, 2),
    "kill-all": _scenario(all_at_once, 2),
    "kill-serve-twice": _scenario(supervisor_twice, 2),
    "kill-ending": _scenario(interrupted_end, 2),
    "freeze-all": _scenario(frozen_all, 1),
    "freeze-orphans": _scenario(frozen_orphans, 2),
}
