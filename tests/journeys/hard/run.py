"""Hard to kill: each trouble that we know how to make, on a fresh copy of an installation, and a reckoning after it.

    python tests/journeys/hard/run.py --only disk-full,clock --seed 3
    python tests/journeys/hard/run.py --list

Prints one line of counts a scenario, and with --json everything as one document. Ends with 1 when anything that was
promised did not hold. The seed decides what is cut, killed and garbled, and how long troubles last; when exactly they
meet the load, the machine does. `make hard` runs them all.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from time import monotonic
from typing import Any

sys.path[1:1] = [str(Path(__file__).parent.parent)]  # program.py, which all journeys share

import deaths  # noqa: E402
import hosts  # noqa: E402
import leases  # noqa: E402
import networks  # noqa: E402
import oddities  # noqa: E402
import schedules  # noqa: E402
import webhooks  # noqa: E402
from stage import COUNTS, Scenario, Skipped, Stage, Template  # noqa: E402

SCENARIOS: dict[str, Scenario] = {
    **deaths.SCENARIOS,
    **schedules.SCENARIOS,
    **networks.SCENARIOS,
    **oddities.SCENARIOS,
    **webhooks.SCENARIOS,
    **leases.SCENARIOS,
    **hosts.SCENARIOS,
}
HEADS = {
    "asked": "asked",
    "accepted": "yes",
    "refused": "no",
    "unanswered": "none",
    "delivered": "delivered",
    "lost": "lost",
    "in_doubt": "doubt",
    "twice_in_doubt": "twice*",
    "held": "held*",
    "twice": "twice",
}


def run(name: str, seed: int, template: Template, folder: Path) -> dict[str, Any]:
    """One scenario from its beginning to its reckoning; what breaks it is wrong too."""
    began = monotonic()
    template.copy(folder)
    report: dict[str, Any] = {}
    stage = Stage(folder, template, random.Random(f"{seed} {name}"))
    try:
        with stage:
            SCENARIOS[name](stage)
            for load in stage.loads:
                load.join()
            report = stage.reckoned or stage.reckon()
    except Skipped as error:
        report = dict.fromkeys(COUNTS, 0) | {"wrong": [], "skipped": str(error)}
    except Exception as error:  # noqa: BLE001 - told like everything else that is wrong, and the next scenario runs
        traceback.print_exc()
        report = dict.fromkeys(COUNTS, 0) | report
        report["wrong"] = [*stage.wrong, f"{type(error).__name__}: {str(error)[:300]}"]
    return report | {"scenario": name, "seed": seed, "took_s": round(monotonic() - began, 1)}


def line(report: dict[str, Any]) -> str:
    """A report as one line of the table."""
    counts = " ".join(f"{report[key]:>{max(5, len(head))}}" for key, head in HEADS.items())
    money = "ok" if report.get("money", {}).get("right") else "-"
    verdict = "; ".join(report["wrong"]) or (f"SKIPPED: {report['skipped']}" if "skipped" in report else "held")
    return f"{report['scenario']:<22} {counts} {money:>5} {report['took_s']:>5.0f}s  {verdict}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="scenarios, or beginnings of their names, joined by commas")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON document at the end")
    parser.add_argument("--keep", type=Path, help="a folder for data and logs, kept")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that whoever ends us leaves no program behind
    wanted = [part for part in chosen.only.split(",") if part]
    names = [name for name in SCENARIOS if not wanted or any(name.startswith(part) for part in wanted)]
    if chosen.list or not names:
        print("\n".join(f"{name:<22} {_about(SCENARIOS[name])}" for name in names or SCENARIOS))
        return 0 if names else 2
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="chappe-hard-"))
    reports = []
    try:
        (folder / "template").mkdir(parents=True, exist_ok=True)
        template = Template(folder / "template")
        print(f"seed {chosen.seed}; *: of those in doubt; money ok: balances, ledger and counts say the same")
        print(f"{'scenario':<22} {' '.join(f'{head:>5}' for head in HEADS.values())} money  took")
        for name in names:
            place = folder / name
            place.mkdir(exist_ok=True)
            reports.append(run(name, chosen.seed, template, place))
            print(line(reports[-1]), flush=True)
            if chosen.keep is None:
                shutil.rmtree(place, ignore_errors=True)
    finally:
        if chosen.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if chosen.json:
        print(json.dumps(reports, indent=2))
    failed = [report["scenario"] for report in reports if report["wrong"]]
    skipped = [report["scenario"] for report in reports if "skipped" in report]
    print(
        f"{len(reports) - len(failed) - len(skipped)} of {len(reports)} held"
        + (f"; not: {', '.join(failed)}" if failed else "")
        + (f"; skipped: {', '.join(skipped)}" if skipped else "")
    )
    return 1 if failed else 0


def _about(scenario: Any) -> str:
    """What a scenario does: the first sentence of its docstring."""
    words = scenario.__doc__ if vars(scenario).get("__doc__") else getattr(scenario, "func", scenario).__doc__
    return " ".join((words or "").split()).partition(". ")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
