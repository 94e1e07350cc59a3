"""Every stage of a message's way is measured, on messages that really went it; the figures are what they say."""

import subprocess
import sys
from pathlib import Path
from time import process_time_ns

import pytest
from processes import until
from shop import address_of, opened
from stage_meter import POSTGRESQL, PYTHON, Behind, Meter, Stage, at_rest_ns, processor_ns, taken
from stages import TITLES, measured, table, together

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters

EFFORT = 0.03
SPIN_NS = 20_000_000
SPINNER = """
import sys, time
for line in sys.stdin:
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    print(flush=True)
"""


def spin(nanoseconds: int = SPIN_NS) -> None:
    end = process_time_ns() + nanoseconds
    while process_time_ns() < end:
        pass


@pytest.mark.asyncio
async def test_all_stages_are_measured_on_what_really_happens(
    database: ConnectionParameters, tools: Path, tmp_path: Path
) -> None:
    stages, settings = await measured(address_of(database), tools, tmp_path, 2, 1, EFFORT)
    assert settings["fsync"] == "on"
    assert {len(stage.samples) for stage in stages} == {2}
    steps = {(stage.group, stage.name, stage.where, stage.at) for stage in stages if stage.kind == "step"}
    for size in ("1", "5", "25", "500"):
        assert ("accept", "the batch: action and columns", PYTHON, size) in steps
        assert ("accept", "accept_batch and its commit", POSTGRESQL, size) in steps
    for size in ("10", "50", "100"):
        assert ("deliver", "bind_turn and its commit", POSTGRESQL, size) in steps
    for size in ("10", "50"):
        assert ("receipts", "settling, with webhooks, and its commit", POSTGRESQL, size) in steps
    assert ("webhooks", "ending, and its commit", POSTGRESQL, "50") in steps
    written_behind = {"those that write behind it"}  # of so little these mostly write nothing
    assert [stage for stage in stages if stage.median_us <= 0 and stage.name not in written_behind] == []
    assert {stage.group for stage in stages if stage.kind == "whole"} == set(TITLES) - {"receipts"}
    async with opened(database) as shop:
        await shop.books_balance()
        assert await shop.database.value("select count(*) from webhook") == 0
        delivered = await shop.database.value("select count(*) from message where state = $1", int(State.DELIVERED))
        assert 0 < delivered == await shop.database.value("select count(*) from receipt where message_id is not null")
        assert delivered == await shop.database.value("select count(*) from webhook_attempt where outcome = 'told'")
        waiting = await shop.database.fetch("select distinct lane / 8 as carrier_id from outbox")
        assert len(waiting) == 1  # what was accepted to be sent has left
        assert not await shop.in_flight()


def test_steps_add_up_at_the_usual_size() -> None:
    stages = [
        Stage("accept", "read", PYTHON, "1", (9.0, 10.0, 30.0)),
        Stage("accept", "of it half", PYTHON, "1", (5.0,), "part"),
        Stage("accept", "columns", PYTHON, "1", (100.0,)),
        Stage("accept", "columns", PYTHON, "25", (4.0,)),
        Stage("accept", "call", POSTGRESQL, "25", (40.0,)),
        Stage("accept", "all", PYTHON, "25", (77.0,), "whole"),
    ]
    assert together(stages)["accept"] == {PYTHON: (13.0, 14.0), POSTGRESQL: (40.0, 40.0)}
    lines = table(stages).splitlines()
    (read,) = (line for line in lines if line.startswith("  read "))
    assert read.split() == ["read", PYTHON, "1", "9.00", "10.00", "100,000"]
    assert any(line.startswith("    of it half ") for line in lines)


@pytest.mark.asyncio
async def test_only_what_is_measured_counts() -> None:
    async def work(meter: Meter) -> int:
        spin()  # prepares
        with meter.own():
            spin()
        spin()
        with meter.own():
            spin()
        return 1000

    took = await taken(work, 2)
    assert len(took.own) == 2  # the first time is not counted
    for micros in took.own:
        assert 2 * SPIN_NS <= micros * 1000 * 1000 < 3 * SPIN_NS


def test_another_process_is_counted_to_the_moment_at_which_it_rests() -> None:
    with subprocess.Popen([sys.executable, "-c", SPINNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        meter = Meter([other.pid])
        with meter.theirs():
            other.stdin.write(b"go\n")
            other.stdin.flush()
            other.stdout.readline()
        assert 50_000_000 <= meter.theirs_ns < 500_000_000
        other.stdin.close()
    assert processor_ns(other.pid) == 0
    assert at_rest_ns([other.pid]) == 0  # it has ended


@pytest.mark.asyncio
async def test_the_log_is_written_behind_the_backends(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        async with shop.database.connection() as connection:
            writers = Behind(await connection.fetchval("select pg_backend_pid()"))
            assert writers.since_ns() >= 0
            await connection.execute("set synchronous_commit = off")
            await connection.execute("create table much as select repeat('x', 500) from generate_series(1, 20000)")
            await connection.execute("reset synchronous_commit")
        written: list[int] = []

        def some() -> bool:
            written.append(writers.since_ns())
            return sum(written) > 0

        until(some, 10, "the log writer")
