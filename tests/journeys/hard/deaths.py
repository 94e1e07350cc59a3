"""Scenarios in which processes die: by kill -9 at random moments under load, and in good order by SIGTERM."""

from __future__ import annotations

import contextlib
import functools
import signal

from program import until
from stage import AWAY, WINDOW, Scenario, Stage

DEATHS = 3
MESSAGES, RATE = 240, 40.0


def kill(part: str, stage: Stage) -> None:
    """The same process dies again and again, at random moments, while messages are accepted and sent."""
    stage.start()
    stage.doubts_max = WINDOW * DEATHS if part in ("work", "serve") else 0
    if part == "postgres":
        stage.allowed.add(AWAY)  # where it needs longer than customers are made to wait
    stage.network.misbehave(latency_ms=60, latency_jitter_ms=60)  # so that a death finds messages under way
    load = stage.load(MESSAGES, RATE).start()
    for number in range(1, DEATHS + 1):
        load.reached(number / (DEATHS + 1))
        stage.pause(0.0, 0.4)
        _kill(part, stage)
    load.join()


def _kill(part: str, stage: Stage) -> None:
    program = stage.program
    if part == "backend":
        before = stage.backends()
        stage.kill_process(stage.chance.choice(before))
        until(lambda: not set(before) & set(stage.backends()), "all backends to be started again", 60.0)
    elif part == "network":
        stage.network.kill()
        stage.network.start()
    else:
        program.kill(part)
        if part == "serve":
            program.spawn()
        else:
            until(lambda: program.parts().get(part), f"another {part} to be there", 60.0)
    program.wait_ready()


def kill_network(stage: Stage) -> None:
    """The SMSC's process dies and comes back; receipts that it still owed come after its restart."""
    stage.start()
    stage.doubts_max = WINDOW * DEATHS
    stage.network.misbehave(receipt_delay_ms=1500, latency_ms=30)
    load = stage.load(MESSAGES, RATE).start()
    for number in range(1, DEATHS + 1):
        load.reached(number / (DEATHS + 1))
        stage.pause(0.0, 0.4)
        _kill("network", stage)
    load.join()


def terminate(stage: Stage) -> None:
    """SIGTERM under load: whoever was asked is answered, what was written is waited for, and nothing is in doubt."""
    program = stage.start()
    stage.network.misbehave(latency_ms=150, latency_jitter_ms=100)
    load = stage.load(MESSAGES, RATE).start()
    for number in range(1, 3):
        load.reached(number / 3)
        stage.pause(0.0, 0.4)
        with contextlib.suppress(AssertionError):
            status = program.stop(signal.SIGTERM)
            stage.check(status == 0, f"ended with {status}")
        program.spawn()
        program.wait_ready()
    load.join()
    stage.settle()
    stage.check(not load.unanswered & set(stage.shown(load)), "somebody was accepted, and heard nothing")


def kill_after_answer(stage: Stage) -> None:
    """PostgreSQL dies in the very moment in which a client hears yes; then everything dies at once. What was answered
    is there."""
    program = stage.start()
    stage.doubts_max = 4
    for turn in range(4):
        load = stage.load(1, 1.0, name=f"answer{turn}", clients=1)
        load.run()
        stage.kill_process(program.parts()["postgres"])
        if turn % 2:
            program.kill("serve")
            program.spawn()
        program.wait_ready()
        found = stage.value(f"select count(*) from submission where text = '{load.text(0)}'")
        stage.check(found == len(load.accepted) == 1, f"answered with yes, and {found} times there")


SCENARIOS: dict[str, Scenario] = {
    **{f"kill-{part}": functools.partial(kill, part) for part in ("api", "work", "serve", "postgres", "backend")},
    "kill-network": kill_network,
    "terminate": terminate,
    "kill-after-answer": kill_after_answer,
}
