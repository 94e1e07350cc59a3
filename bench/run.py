"""The benchmark: Chappe and, where installed, its peers, with the same messages to the same SMSC in the same run.

A round is each gateway once, from an empty folder through all scenarios, one at a time and in turning order; figures
are medians over the rounds. Everything is on loopback, bounded in count and time, and ended by its pid.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import machine
from chappe_gateway import Chappe
from gateway import Gateway
from instruments import Ask, Load, Sink, build, load
from kannel_gateway import KannelFile, KannelNone, KannelSpool
from processes import BenchError
from report import Results, preface, table
from scenarios import QUICK, Scenario, Size, chosen
from session import Session

ROOT = Path(__file__).parent.parent
GATEWAYS: tuple[type[Gateway], ...] = (Chappe, KannelFile, KannelSpool, KannelNone)
QUIET_PATIENCE_S = 60.0
QUICK_PATIENCE_S = 0.0


def main() -> int:
    """Runs what the arguments say; 1 when a gateway failed, 2 for misuse."""
    arguments = _arguments()
    # The gateways run as shipped: no setting of Chappe's comes from the environment of this benchmark.
    for name in [name for name in os.environ if name.startswith("CHAPPE_")]:
        del os.environ[name]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        scenarios, kinds = chosen(arguments.only), _gateways(arguments.peers)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    tools = ROOT / "build" / "bench"
    tools.mkdir(parents=True, exist_ok=True)
    (tools.parent / ".gitignore").write_text("*\n")
    try:
        build(tools)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    parent = arguments.work or tools
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=parent, ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        work.chmod(0o755)  # the embedded database may run as another user
        return _measure(arguments, scenarios, kinds, tools, work)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument(
        "--only", default="", help="scenarios by commas: accept, receipts-10, soak, ...; see the manual"
    )
    parser.add_argument(
        "--peers", default="", help="gateways by commas: chappe, kannel, kannel:file, ...; all there are"
    )
    parser.add_argument("--reps", type=int, default=0, help="rounds, of which medians are made; 3")
    parser.add_argument("--out", type=Path, default=None, help="the JSON file; bench/results/<time>.json")
    parser.add_argument("--quick", action="store_true", help="one round of short runs: does it work at all?")
    parser.add_argument("--soak-s", type=float, default=Size.soak_s, help="length of the soak; 3600")
    parser.add_argument("--work", type=Path, default=None, help="where the stores are put; build/bench")
    parser.add_argument(
        "--keep",
        type=Path,
        default=None,
        help="a folder in which one round's stores stay, and are gone on with (growth)",
    )
    return parser.parse_args()


def _gateways(words: str) -> list[type[Gateway]]:
    """The gateways of a list by commas, a product or one of its stores; raises ValueError. Absent ones are left out."""
    found: list[type[Gateway]] = []
    for word in words.split(",") if words else ["chappe", "kannel"]:
        matching = [kind for kind in GATEWAYS if word in (kind.name, kind.name.partition(":")[0])]
        if not matching:
            raise ValueError(f"no gateway {word}; there are {', '.join(kind.name for kind in GATEWAYS)}")
        found += [kind for kind in matching if kind not in found]
    for kind in list(found):
        if lacking := kind.missing():
            print(f"{kind.name} is left out: {lacking}", flush=True)
            found.remove(kind)
    return found


def _measure(
    arguments: argparse.Namespace, scenarios: list[Scenario], kinds: list[type[Gateway]], tools: Path, work: Path
) -> int:
    rounds = arguments.reps or (1 if arguments.quick or arguments.keep else 3)
    size = QUICK if arguments.quick else replace(Size(), soak_s=arguments.soak_s)
    now = datetime.now(UTC)
    out = arguments.out or ROOT / "bench" / "results" / f"{now:%Y%m%d-%H%M%S}.json"
    options: dict[str, object] = {"begun_at": now.isoformat(), "rounds": rounds, "quick": arguments.quick}
    results = Results(machine.describe(work), options)
    options["tools_http_per_s"] = _ceiling(tools, work)
    for number in range(rounds):
        turn = number % len(kinds) if kinds else 0
        for kind in kinds[turn:] + kinds[:turn]:
            folder = (arguments.keep or work) / f"{kind.name.replace(':', '-')}-{number}"
            folder.mkdir(parents=True, exist_ok=arguments.keep is not None)
            _round(
                kind, scenarios, size, tools, folder, results, QUICK_PATIENCE_S if arguments.quick else QUIET_PATIENCE_S
            )
            results.write(out, scenarios)
            if not arguments.keep:
                shutil.rmtree(folder, ignore_errors=True)
    print()
    print(preface(results))
    print(f"the load tool alone, against the receiver: {options['tools_http_per_s']:,.0f} requests/s")
    print(table(results, scenarios))
    for failure in results.failures:
        print(f"! {failure}")
    print(f"\nAll runs: {os.path.relpath(out)}")
    return 1 if results.failures else 0


def _ceiling(tools: Path, work: Path) -> float:
    """Requests a second that the tools do without any gateway: figures near it would measure the tools."""
    sink = Sink(tools, work)
    try:
        ask = Ask(sink.port, "GET /r/@id@ HTTP/1.1\nHost: localhost\n\n")
        said, _ = load(tools, work, ask, Load(50, 100_000, 2.0), 0)
    finally:
        sink.end()
    return float(said["steady_rate"])


def _round(
    kind: type[Gateway],
    scenarios: list[Scenario],
    size: Size,
    tools: Path,
    folder: Path,
    results: Results,
    patience_s: float,
) -> None:
    """One gateway through all scenarios; what fails is written down, and ends its round."""
    session = Session(kind, tools, folder, patience_s)
    doing = "start"
    try:
        session.open()
        if kind.name not in results.settings:
            results.settings[kind.name] = session.gateway.settings()
        for scenario in scenarios:
            doing, began = scenario.name, time.monotonic()
            run = scenario.measure(session, size)
            if run is None:
                continue
            results.add(scenario, kind.name, run)
            figure = run.figures.get(scenario.compare, 0.0)
            took_s = time.monotonic() - began
            print(f"{kind.name:<13} {doing:<12} {scenario.compare} {figure:,.2f} ({took_s:.1f} s)", flush=True)
    except BenchError as error:
        results.failures.append(f"{kind.name}, {doing}: {error}")
        print(results.failures[-1], flush=True)
    finally:
        session.close()


if __name__ == "__main__":
    sys.exit(main())
