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
from dataclasses import asdict, replace
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
from stage_meter import POSTGRESQL, PYTHON, Stage, limit_per_s
from stage_store import Store, opened_store

from chappe.config import Config
from chappe.embedded.server import EmbeddedServer
from chappe.node.processes import settle_memory
from chappe.node.serve import bring_up
from chappe.observability import logs
from chappe.store.database import Address

ROOT: Final = Path(__file__).parent.parent
ROUNDS: Final = 3
REPETITIONS: Final = 2  # of each stage in each round
RUN_S: Final = 85.0  # no round begins that would last longer
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
    """Measures what the arguments say; 1 when it could not, 2 for misuse, 130 when interrupted."""
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith("CHAPPE_")]:
        del os.environ[name]  # what is measured is what is shipped
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logs.configure("console", "error")
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
    except KeyboardInterrupt:
        return 130
    out = arguments.out or ROOT / "bench" / "results" / f"stages-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nAll repetitions: {os.path.relpath(out)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make stages ARGS=...", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"through all stages; {ROUNDS}, fewer when slow")
    parser.add_argument("--reps", type=int, default=REPETITIONS, help=f"of each stage in a round; {REPETITIONS}")
    parser.add_argument("--out", type=Path, default=None, help="the JSON file; bench/results/stages-<time>.json")
    parser.add_argument("--work", type=Path, default=None, help="where the store is put; build/bench")
    parser.add_argument("--quick", action="store_true", help="hardly anything of each: does it work at all?")
    arguments = parser.parse_args()
    if min(arguments.reps, arguments.rounds) < 1:
        parser.error("--rounds, --reps: at least 1")
    return arguments


async def _run(arguments: argparse.Namespace, tools: Path, work: Path) -> dict[str, Any]:
    """The whole: the database from its making to its end, the stages, the table."""
    began = time.monotonic()
    server = EmbeddedServer(work / "data")
    await server.start()
    try:
        address = Address(**server.connection.arguments())
        await bring_up(Config(), address)
        assert server.pid is not None
        with machine.Watch([server.pid], []) as watch:
            async with asyncio.timeout(RUN_S_MAX):
                effort = QUICK_EFFORT if arguments.quick else 1.0
                stages, settings = await measured(address, tools, work, arguments.rounds, arguments.reps, effort)
    except TimeoutError as error:
        raise BenchError(f"not done within {RUN_S_MAX:g} s") from error
    finally:
        await server.stop()
    about: dict[str, Any] = {
        "machine": machine.describe(work),
        "postgresql": settings,
        "repetitions": max(len(stage.samples) for stage in stages),
        "quick": arguments.quick,
        "seconds": round(time.monotonic() - began, 1),
        "foreign_percent": round(watch.usage.foreign_percent, 1),
    }
    print(preface(about))
    print(table(stages))
    return about | {"stages": [_plain(stage) for stage in stages], "together": together(stages)}


async def measured(
    address: Address, tools: Path, work: Path, rounds: int, repetitions: int, effort: float
) -> tuple[list[Stage], dict[str, str]]:
    """All stages against the migrated, empty database at an address, and its settings. Raises BenchError.

    Processors have slow moments, which last seconds: rounds through all stages spread them, so that no stage alone has
    them.
    """
    began = time.monotonic()
    smsc = Smsc(tools, work)
    sink = Sink(tools, work)
    try:
        async with opened_store(address, smsc.port) as store:
            thresholds = gc.get_threshold()
            settle_memory()  # as the product's processes do when they have started
            try:
                done = [await _stages(store, smsc, sink, tools, work, repetitions, effort)]
                while len(done) < rounds and (time.monotonic() - began) * (len(done) + 1) / len(done) < RUN_S:
                    done.append(await _stages(store, smsc, sink, tools, work, repetitions, effort))
            finally:
                gc.unfreeze()
                gc.set_threshold(*thresholds)
            return merged(done), {name: await _setting(store, name) for name in POSTGRES_SETTINGS}
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


def merged(rounds: Sequence[Sequence[Stage]]) -> list[Stage]:
    """The stages of several rounds, which are the same in the same order, with all their samples."""
    return [
        replace(same[0], samples=tuple(sample for stage in same for sample in stage.samples))
        for same in zip(*rounds, strict=True)
    ]


def _plain(stage: Stage) -> dict[str, Any]:
    return asdict(stage) | {
        "least_us": round(stage.least_us, 2),
        "median_us": round(stage.median_us, 2),
        "limit_per_s": round(limit_per_s(stage.median_us)),
    }


def together(stages: Sequence[Stage]) -> dict[str, dict[str, tuple[float, float]]]:
    """The steps of each group added up, by program: leasts and medians, of those with a size those at the usual one."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for group, usual in USUAL.items():
        steps = [one for one in stages if one.group == group and one.kind == "step"]
        names = {one.name for one in steps if one.at == str(usual)}
        counted = [one for one in steps if one.at == str(usual) or one.name not in names]
        found[group] = {}
        for where in (PYTHON, POSTGRESQL):
            of = [one for one in counted if one.where == where]
            found[group][where] = (round(sum(s.least_us for s in of), 1), round(sum(s.median_us for s in of), 1))
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
        for where, (least, median) in sums[group].items():
            at = str(USUAL[group] or "")
            lines.append(_row("= the steps together", where, at, least, median))
    return "\n".join(line.rstrip() for line in lines)


def _line(stage: Stage) -> str:
    name = f"{'  ' if stage.kind == 'part' else ''}{stage.name}"
    return _row(name, stage.where, stage.at, stage.least_us, stage.median_us)


def _row(name: str, where: str, at: str, least: float, median: float) -> str:
    return f"  {name:<56}{where:<10} {at:>4} {least:>8.2f} {median:>8.2f} {limit_per_s(median):>10,.0f}"


if __name__ == "__main__":
    sys.exit(main())
