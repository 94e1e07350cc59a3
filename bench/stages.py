"""Where the microseconds of one message go: each stage alone in a warm loop, in processor time, and its limit.

The code is the product's, the database the embedded one as shipped, SMSC and receiver those of the benchmark. Nothing
is measured by the clock on the wall, so that others on the machine disturb little; they still take caches and turns.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import api_stages
import machine
import uvloop
import webhook_stages
import worker_stages
from chappe_gateway import POSTGRES_SETTINGS
from instruments import Sink, Smsc, build
from processes import HOST, BenchError
from stage_meter import POSTGRESQL, PYTHON, Stage
from stage_store import Store, opened_store

from chappe import observe
from chappe.parts import settle_memory
from chappe.store.database import Address
from chappe.store.embedded import EmbeddedServer
from chappe.wiring import bring_up

ROOT: Final = Path(__file__).parent.parent
REPETITIONS: Final = 5
QUICK_EFFORT: Final = 0.05
RUN_S_MAX: Final = 300.0
SETTLED_CALLS_MIN: Final = 12  # webhooks enough for those who claim them
TITLES: Final = {
    api_stages.GROUP: "Accepting: one number a request, JSON of SMS Partner",
    worker_stages.GROUP: "Delivering: one bind, window 100, an SMSC that answers at once",
    worker_stages.RECEIPTS: "Receipts",
    webhook_stages.GROUP: "Webhooks: one host that answers at once",
}
# The size of a call at which a group's steps are added up: about what a loaded installation has.
USUAL: Final = {api_stages.GROUP: 25, worker_stages.GROUP: 50, worker_stages.RECEIPTS: 50, webhook_stages.GROUP: 0}
ABOUT: Final = """\
Microseconds of processor a message: the least and the median of the repetitions; a second: what one core that does
nothing else could do. `at`: messages a call. `python` is our process, its kernel time and the driver's with it;
`postgresql` the backend that serves it, where nothing else is said. What is indented is a part of the line above. Steps
are measured one after the other, each with warm caches; a whole is the real thing, with what lies between its steps."""


def main() -> int:
    """Measures what the arguments say; 1 when it could not, 2 for misuse."""
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith("CHAPPE_")]:
        del os.environ[name]  # what is measured is what is shipped
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    observe.configure("console", "error")
    tools = ROOT / "build" / "bench"
    tools.mkdir(parents=True, exist_ok=True)
    (tools.parent / ".gitignore").write_text("*\n")
    parent = arguments.work or tools
    parent.mkdir(parents=True, exist_ok=True)
    try:
        build(tools)
        with tempfile.TemporaryDirectory(prefix="stages-", dir=parent, ignore_cleanup_errors=True) as folder:
            work = Path(folder)
            work.chmod(0o755)  # the embedded database may run as another user
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                document = runner.run(_run(arguments, tools, work))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    out = arguments.out or ROOT / "bench" / "results" / f"stages-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nAll repetitions: {os.path.relpath(out)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make stages ARGS=...", description=__doc__)
    parser.add_argument("--reps", type=int, default=REPETITIONS, help=f"repetitions of each stage; {REPETITIONS}")
    parser.add_argument("--out", type=Path, default=None, help="the JSON file; bench/results/stages-<time>.json")
    parser.add_argument("--work", type=Path, default=None, help="where the store is put; build/bench")
    parser.add_argument("--quick", action="store_true", help="hardly anything of each: does it work at all?")
    arguments = parser.parse_args()
    if arguments.reps < 1:
        parser.error("--reps: at least 1")
    return arguments


async def _run(arguments: argparse.Namespace, tools: Path, work: Path) -> dict[str, Any]:
    """The whole: the database from its making to its end, the stages, the table."""
    began = time.monotonic()
    server = EmbeddedServer(work / "data")
    await server.start()
    try:
        address = Address(**server.connection.arguments())
        await bring_up(address)
        assert server.pid is not None
        with machine.Watch([server.pid], []) as watch:
            async with asyncio.timeout(RUN_S_MAX):
                effort = QUICK_EFFORT if arguments.quick else 1.0
                stages, settings = await measured(address, tools, work, arguments.reps, effort)
    except TimeoutError as error:
        raise BenchError(f"not done within {RUN_S_MAX:g} s") from error
    finally:
        await server.stop()
    about: dict[str, Any] = {
        "machine": machine.describe(work),
        "postgresql": settings,
        "repetitions": arguments.reps,
        "quick": arguments.quick,
        "seconds": round(time.monotonic() - began, 1),
        "foreign_percent": round(watch.usage.foreign_percent, 1),
    }
    print(preface(about))
    print(table(stages))
    return about | {"stages": [_plain(stage) for stage in stages], "together": together(stages)}


async def measured(
    address: Address, tools: Path, work: Path, repetitions: int, effort: float
) -> tuple[list[Stage], dict[str, str]]:
    """All stages against the migrated, empty database at an address, and its settings. Raises BenchError."""
    smsc = Smsc(tools, work)
    sink = Sink(tools, work)
    try:
        async with opened_store(address, smsc.port) as store:
            thresholds = gc.get_threshold()
            settle_memory()  # as the product's processes do when they have started
            try:
                stages = await _stages(store, smsc, sink, tools, work, repetitions, effort)
            finally:
                gc.unfreeze()
                gc.set_threshold(*thresholds)
            return stages, {name: await _setting(store, name) for name in POSTGRES_SETTINGS}
    finally:
        smsc.end()
        sink.end()


async def _setting(store: Store, name: str) -> str:
    return str(await store.database.value("select current_setting($1)", name))


async def _stages(
    store: Store, smsc: Smsc, sink: Sink, tools: Path, work: Path, repetitions: int, effort: float
) -> list[Stage]:
    stages = await api_stages.measure(store, tools, work, repetitions, effort)
    stages += await worker_stages.measure(store, smsc, repetitions, effort)
    target = f"http://{HOST}:{sink.port}/r/"
    for size, calls in worker_stages.SETTLED.items():
        calls = max(SETTLED_CALLS_MIN, round(calls * effort))
        stages += await worker_stages.settle(store, repetitions, size, calls, target)
    return stages + await webhook_stages.measure(store, sink, repetitions, effort)


def _plain(stage: Stage) -> dict[str, Any]:
    return asdict(stage) | {
        "least_us": round(stage.least_us, 2),
        "median_us": round(stage.median_us, 2),
        "limit_per_s": round(stage.limit_per_s),
    }


def together(stages: Sequence[Stage]) -> dict[str, dict[str, float]]:
    """The steps of each group added up, by program: medians, those with a size at the usual one."""
    found: dict[str, dict[str, float]] = {}
    for group, usual in USUAL.items():
        steps = [one for one in stages if one.group == group and one.kind == "step"]
        names = {one.name for one in steps if one.at == str(usual)}
        counted = [one for one in steps if one.at == str(usual) or one.name not in names]
        found[group] = {
            where: round(sum(one.median_us for one in counted if one.where == where), 1)
            for where in (PYTHON, POSTGRESQL)
        }
    return found


def preface(about: dict[str, Any]) -> str:
    """What must be known to read the figures."""
    of = about["machine"]
    settings = about["postgresql"]
    lines = [
        f"{of['processor']}, {of['cores']} cores, Linux {of['kernel']}, Python {of['python']}",
        ", ".join(f"{name} {value}" for name, value in settings.items()),
        f"{about['repetitions']} repetitions in {about['seconds']} s; "
        f"others took {about['foreign_percent']} % of a core meanwhile",
    ]
    if about["quick"]:
        lines.append("! quick: it works; the figures mean nothing")
    return "\n".join(lines)


def table(stages: Sequence[Stage]) -> str:
    """The figures as text."""
    sums = together(stages)
    lines = [ABOUT]
    for group, title in TITLES.items():
        lines += ["", f"{title:<58}{'':<10} {'at':>4} {'least':>8} {'median':>8} {'a second':>10}"]
        for stage in stages:
            if stage.group == group:
                lines.append(_line(stage))
        for where, micros in sums[group].items():
            steps = Stage(group, "= the steps together", where, str(USUAL[group] or ""), (micros,))
            lines.append(_line(steps))
    return "\n".join(line.rstrip() for line in lines)


def _line(stage: Stage) -> str:
    name = f"{'  ' if stage.kind == 'part' else ''}{stage.name}"
    return (
        f"  {name:<56}{stage.where:<10} {stage.at:>4} {stage.least_us:>8.2f} {stage.median_us:>8.2f} "
        f"{stage.limit_per_s:>10,.0f}"
    )


if __name__ == "__main__":
    sys.exit(main())
