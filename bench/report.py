"""What is shown and kept: medians with their spread, counts added up, ratios to the peers; a table and JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scenarios import Scenario
from session import Run

OURS = "chappe"
# Counts that must be zero; shown whenever they are not.
WRONG = ("refused", "broken", "lost", "twice", "not_accepted_yet_delivered", "receipts_lost", "calls_extra",
         "sent_too_early")  # fmt: skip


@dataclass
class Results:
    """All runs of a benchmark: by scenario, then by gateway."""

    machine: Mapping[str, object]
    options: Mapping[str, object]
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: dict[str, dict[str, list[Run]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, scenario: Scenario, gateway: str, run: Run) -> None:
        self.runs.setdefault(scenario.name, {}).setdefault(gateway, []).append(run)

    def summary(self, scenario: Scenario) -> dict[str, dict[str, Any]]:
        """By gateway: figures as [min, median, max], counts as sums, and the ratio (above 1: ours is better)."""
        found: dict[str, dict[str, Any]] = {}
        for gateway, runs in self.runs.get(scenario.name, {}).items():
            names = [name for name in runs[0].figures if all(name in run.figures for run in runs)]
            counts = {name: sum(run.counts[name] for run in runs) for name in runs[0].counts}
            remarks = sorted({run.remark for run in runs if run.remark})
            figures = {name: spread([run.figures[name] for run in runs]) for name in names}
            found[gateway] = {"figures": figures, "counts": counts, "remarks": remarks}
        ours = found.get(OURS, {}).get("figures", {}).get(scenario.compare)
        for gateway, summary in found.items():
            theirs = summary["figures"].get(scenario.compare)
            if gateway != OURS and ours and theirs and ours[1] and theirs[1]:
                ratio = theirs[1] / ours[1] if scenario.less_is_better else ours[1] / theirs[1]
                summary["ratio"] = round(ratio, 2)
        return found

    def write(self, path: Path, scenarios: Sequence[Scenario]) -> None:
        """Everything as JSON, the single runs too."""
        document = {
            "machine": self.machine,
            "options": self.options,
            "settings": self.settings,
            "failures": self.failures,
            "scenarios": {
                scenario.name: {
                    "title": scenario.title,
                    "compared_by": scenario.compare,
                    "gateways": self.summary(scenario),
                    "runs": {name: [asdict(run) for run in runs] for name, runs in self.runs[scenario.name].items()},
                }
                for scenario in scenarios
                if scenario.name in self.runs
            },
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")


def spread(values: Sequence[float]) -> list[float]:
    """Least, median, most."""
    return [min(values), round(statistics.median(values), 3), max(values)]


def shown(value: float) -> str:
    """A figure with about three digits that say something."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return (
        f"{value:.0f}"
        if abs(value) >= 100 or value == int(value)
        else f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
    )


def table(results: Results, scenarios: Sequence[Scenario]) -> str:
    """The figures as text: for each scenario a line a gateway; medians, in brackets least and most."""
    lines: list[str] = []
    for scenario in scenarios:
        found = results.summary(scenario)
        if not found:
            continue
        lines += ["", f"{scenario.name}: {scenario.title}"]
        for gateway, summary in found.items():
            lines.append("  " + _line(scenario, gateway, summary))
            wrong = [f"{name} {summary['counts'][name]:,}" for name in WRONG if summary["counts"].get(name)]
            lines += [f"      ! {', '.join(wrong)} of {summary['counts']['asked']:,} asked"] if wrong else []
            lines += [f"      ! {remark}" for remark in summary["remarks"]]
    return "\n".join(lines)


def _line(scenario: Scenario, gateway: str, summary: Mapping[str, Any]) -> str:
    figures: Mapping[str, list[float]] = summary["figures"]
    low, middle, high = figures.get(scenario.compare, [0.0, 0.0, 0.0])
    words = [f"{gateway:<13} {scenario.compare} {shown(middle)} [{shown(low)}-{shown(high)}]"]
    words += [f"{name} {shown(figures[name][1])}" for name in scenario.more if name in figures]
    if "foreign_percent" in figures:
        words.append(f"others took {shown(figures['foreign_percent'][1])} % of a core")
    if "ratio" in summary:
        words.append(f"chappe x {summary['ratio']:.2f}")
    return "; ".join(words)


def preface(results: Results) -> str:
    """The settings, without which figures mean nothing."""
    machine = results.machine
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_mib']} MiB, Linux {machine['kernel']}, "
        f"Python {machine['python']}",
        f"stores on {machine['file_system']}, where a durable write of 8 KiB takes {machine['fsync_ms']} ms",
        "load, SMSC, receiver and gateway share these cores; one gateway runs at a time",
    ]
    if results.options["quick"]:
        lines.append("! quick: one round of short runs, which show that it works; the figures mean nothing")
    if not machine["durable"]:
        lines.append("! this file system is memory: durable stores are flattered; --work says where to put them")
    for gateway, settings in results.settings.items():
        lines.append(f"{gateway}: " + ", ".join(f"{name} {value}" for name, value in settings.items()))
        off = [name for name in ("postgresql fsync", "postgresql synchronous_commit", "postgresql full_page_writes")
               if settings.get(name, "on") != "on"]  # fmt: skip
        if off:
            lines.append(f"! {gateway} is not durable: {', '.join(off)} is off; these figures count for nothing")
    return "\n".join(lines)
