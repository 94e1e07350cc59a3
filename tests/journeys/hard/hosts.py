"""Scenarios in which the machine is at fault: a full disk, a clock that jumps, a power cut."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from clock import Clock, NoCompiler, build
from program import descendants, stands_still, until
from stage import AWAY, ENVIRONMENT, WINDOW, Program, Scenario, Skipped, Stage

from chappe.embedded import data_directory
from chappe.embedded.binaries import choose
from chappe.embedded.server import SUPERUSER

CLUSTER = data_directory.CLUSTER_NAME


def superuser(stage: Stage, statement: str) -> list[dict[str, Any]]:
    """What the embedded server's own administrator gets."""

    async def ask() -> list[dict[str, Any]]:
        cluster = stage.program.data / CLUSTER
        postmaster = data_directory.read_postmaster(cluster)
        assert postmaster is not None
        password = data_directory.read_passwords(cluster)[SUPERUSER]
        where = {"host": str(postmaster.socket_directory), "port": 5432, "database": "chappe"}
        connection = await asyncpg.connect(user=SUPERUSER, password=password, timeout=10, **where)
        try:
            return [dict(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return asyncio.run(ask())


# -- the disk


@contextlib.contextmanager
def small_disk(data: Path, free_mib: int) -> Iterator[None]:
    """Puts a data directory on a file system of its own, with so much room."""
    moved = data.with_name("moved")
    data.rename(moved)
    data.mkdir()
    used_kib = int(subprocess.run(["du", "-sk", moved], capture_output=True, check=True, text=True).stdout.split()[0])
    size = used_kib // 1024 + free_mib
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=700", "tmpfs", str(data)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skipped(f"no small file system can be mounted here: {done.stderr.strip()}")
    try:
        subprocess.run(["cp", "-a", f"{moved}/.", str(data)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(data)], check=False)


def _fill(filler: Path) -> None:
    """Takes all the room there is."""
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):  # there is no room for so much any more
                while True:
                    file.write(bytes(size))


def disk_full(log_too: bool, stage: Stage) -> None:
    """The disk of the database fills up under load; customers hear no, and all goes on when there is room again."""
    with small_disk(stage.program.data, 240):
        program = stage.start()
        try:
            stage.doubts_max = 3 * WINDOW
            stage.allowed.add(AWAY)
            load = stage.load(400, 25.0).start()
            load.reached(0.2)
            filler = stage.program.data / "filler"
            _fill(filler)
            if log_too:
                _use_up(stage)
            load.reached(0.7)
            stage.notes["refused"] = len(load.refused)
            stage.check(load.refused or not log_too, "nobody was refused: the disk was not full")
            filler.unlink()
            program.wait_ready()
            load.join()
            again = stage.load(50, 50.0, name="again").run()
            stage.check(len(again.accepted) == again.messages, "it did not recover")
            stage.reckoned = stage.reckon()  # while the disk is there
        finally:
            stage.stop_program()


def _use_up(stage: Stage) -> None:
    """Uses up what the server has in reserve: the rest of its log, and the segments kept for reuse."""
    for _ in range(40):
        try:
            superuser(stage, "select pg_switch_wal(), pg_logical_emit_message(false, 'chappe', repeat('x', 100000))")
        except (OSError, asyncpg.PostgresError, AssertionError):
            return  # it is full, and says so


# -- the clock

PARIS = ZoneInfo("Europe/Paris")


def wall_clock(folder: Path) -> Clock:
    """The wall clock of a program and of its database."""
    for path in (folder.parent, folder):
        path.chmod(0o755)  # another user, who runs the database, reads both
    try:
        return Clock(build(folder), folder / "clock")
    except NoCompiler as error:
        raise Skipped(str(error.__doc__)) from error


def programs(clock: Clock, folder: Path) -> Path:
    """A folder of PostgreSQL's programs that live by this clock."""
    found = choose(None, None, folder)
    made = folder / "bin"
    made.mkdir()
    words = " ".join(f"{name}={value}" for name, value in clock.environment.items())
    for real in found.bin_dir.iterdir():
        program = made / real.name
        program.write_text(f'#!/bin/sh\nexec env {words} {real} "$@"\n')
        program.chmod(0o755)
    made.chmod(0o755)
    return made


def clock_jumps(stage: Stage) -> None:
    """The clock jumps forward by a day and back by an hour: nothing is sent twice, told in a storm, or outside its
    window."""
    clock = wall_clock(stage.folder)
    clock.set(datetime(2026, 3, 3, 15, 0, tzinfo=PARIS))  # a Tuesday
    more: Mapping[str, str] = clock.environment | {"CHAPPE_POSTGRES_BIN_DIR": str(programs(clock, stage.folder))}
    stage.program = Program(stage.program.data, environment=ENVIRONMENT | more)
    program = stage.start({"validity_format": "relative"})  # the network lives by its own clock
    told = program.json("account", "create", "shop", "--balance", "100.000")
    stage.keys["shop"] = told["api_key"]

    load = stage.load(160, 20.0).start()
    load.reached(0.3)
    clock.set(clock.now() + timedelta(days=1))
    load.reached(0.6)
    clock.set(clock.now() - timedelta(hours=1))
    load.join()
    stage.settle()
    stage.check(len(load.accepted) == load.messages, "the jumps were noticed")
    stage.check(stage.reports.calls <= 2 * load.messages, f"a storm: {stage.reports.calls} reports")

    clock.set(datetime(2026, 3, 4, 21, 59, 0, tzinfo=PARIS))
    open_ones = stage.load(5, 20.0, login="shop", name="open").run()
    until(lambda: len(stage.shown(open_ones)) == 5, "what may leave before ten o'clock", 20.0)
    clock.set(datetime(2026, 3, 4, 23, 0, tzinfo=PARIS))
    shut = stage.load(10, 20.0, login="shop", name="shut").run()
    for hour, minute in ((2, 0), (7, 58), (6, 30), (7, 59)):
        clock.set(datetime(2026, 3, 5, hour, minute, tzinfo=PARIS))
        stage.pause(1.5, 2.0)
        stage.check(not stage.shown(shut), f"sent at {hour:02}:{minute:02}")
    clock.set(datetime(2026, 3, 5, 8, 0, 30, tzinfo=PARIS))
    until(lambda: len(stage.shown(shut)) == 10, "what waited for the morning", 20.0)
    stage.settle()
    tokens = stage.value("select max(token) from bind")
    stage.check(tokens == 1, f"the bind changed hands {tokens - 1} times")


# -- the power


def power_loss(stage: Stage) -> None:
    """The power fails after the last answer: of the log remains what was flushed, of the data what was there long
    before. All that was answered with yes is there."""
    program = stage.start()
    stage.doubts_max = WINDOW
    superuser(stage, "checkpoint")
    cluster = program.data / CLUSTER
    before = stage.folder / "before"
    _frozen_copy(program, cluster, before)
    syncs = _syncs(stage)
    load = stage.load(120, 1000.0, clients=1).run()  # one after the other: each answer needs a flush of its own
    until(lambda: _syncs(stage) - syncs >= load.messages, "as many flushes as answers", 10.0)
    stage.notes["flushes"] = _syncs(stage) - syncs
    assert program.process is not None
    worker = program.parts()["work"]
    for pid in (program.process.pid, worker):  # in this moment: what leaves later, no log knows
        os.kill(pid, signal.SIGSTOP)
    flushed = superuser(stage, "select * from pg_walfile_name_offset(pg_current_wal_flush_lsn())")[0]
    os.kill(worker, signal.SIGKILL)
    program.kill("serve")

    log = before / "pg_wal"
    shutil.rmtree(log)
    shutil.copytree(cluster / "pg_wal", log, copy_function=shutil.copy2)
    for segment in log.iterdir():
        if segment.is_file() and len(segment.name) == 24 and segment.name > flushed["file_name"]:
            segment.unlink()
    with (log / flushed["file_name"]).open("r+b") as last:
        size = last.seek(0, os.SEEK_END)
        last.seek(flushed["file_offset"])
        last.write(bytes(size - flushed["file_offset"]))
    owner = cluster.stat()
    for path in (log, *log.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    cluster.rename(stage.folder / "after")
    subprocess.run(["cp", "-a", before, cluster], check=True)
    (cluster / "postmaster.pid").unlink(missing_ok=True)
    program.spawn()
    program.wait_ready()
    there = stage.value("select count(*) from submission")
    stage.check(there == len(load.accepted) == load.messages, f"{there} of {len(load.accepted)} are there")


def _frozen_copy(program: Program, cluster: Path, to: Path) -> None:
    """The files of a running server as they are in one instant."""
    postmaster = program.parts()["postgres"]
    os.kill(postmaster, signal.SIGSTOP)
    until(lambda: stands_still(postmaster), "the postmaster to stand still")  # from here on it starts nobody
    everybody = [postmaster, *descendants(postmaster)]
    for pid in everybody:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    until(lambda: all(map(stands_still, everybody)), "PostgreSQL to stand still")
    try:
        subprocess.run(["cp", "-a", cluster, to], check=True)
    finally:
        for pid in everybody:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _syncs(stage: Stage) -> int:
    """How often the server has flushed its log to the disk."""
    version = int(superuser(stage, "show server_version_num")[0]["server_version_num"])
    counted = (
        "select sum(fsyncs)::bigint as n from pg_stat_io where object = 'wal'"
        if version >= 180000
        else "select wal_sync as n from pg_stat_wal"
    )
    return int(superuser(stage, counted)[0]["n"])


SCENARIOS: dict[str, Scenario] = {
    "disk-full-log": functools.partial(disk_full, True),
    "disk-full-tables": functools.partial(disk_full, False),
    "clock-jumps": clock_jumps,
    "power-loss": power_loss,
}
