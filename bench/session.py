"""One gateway running against the tools: warmed up, loaded, waited for to the end, and its figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine
from gateway import Gateway
from instruments import NUMBERS_PER_RUN, Ask, Load, Sink, Smsc, load
from processes import BenchError, Program, holds_within, pass_time
from records import Joined, join

WARM_UP = Load(connections=2, count=200)
STALL_S = 10.0
DELIVERED_TIMEOUT_S = 600.0
FOREIGN_PERCENT_MAX = 15.0
AGAIN_MAX = 2


@dataclass
class Run:
    """Figures of one run; medians are made of them. `counts` are added up over the runs instead. `detail`: more for the
    JSON."""

    figures: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    remark: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


class Session:
    """A gateway from an empty folder to its end, with an SMSC and a customer's URL of its own."""

    def __init__(self, kind: type[Gateway], tools: Path, folder: Path, quiet_patience_s: float) -> None:
        self.tools = tools
        self.folder = folder
        self.quiet_patience_s = quiet_patience_s
        self.smsc = Smsc(tools, folder)
        self.sink = Sink(tools, folder, kind.interim)
        self.gateway = kind(folder, self.smsc, self.sink)
        self.started = Run()
        self.watch = machine.Watch((), ())  # of the last run
        self._runs = 0

    def open(self) -> None:
        """Starts the gateway and warms it up; `started` has the figures of its start."""
        self.started = Run({name: round(value, 3) for name, value in self.gateway.start().items()})
        ask = self.gateway.ask("plain")
        assert ask is not None
        base = self.smsc.submitted
        said, _ = load(self.tools, self.folder, ask, WARM_UP, self._first())
        if said["accepted"] != WARM_UP.count:
            raise BenchError(f"{self.gateway.name} does not accept: {said['first_refusal']}")
        if not self._drain(lambda: self.smsc.submitted, base + WARM_UP.count):
            raise BenchError(f"{self.gateway.name} does not deliver")

    def close(self) -> None:
        self.gateway.stop()
        self.smsc.end()
        self.sink.end()

    def _first(self) -> int:
        """The first number of a new run."""
        self._runs += 1
        return self._runs * NUMBERS_PER_RUN

    def _drain(self, count: Callable[[], int], wanted: int) -> bool:
        """Waits until a count is reached; False when it has not grown for STALL_S."""
        seen, since = -1, time.monotonic()

        def over() -> bool:
            nonlocal seen, since
            now = count()
            if now != seen:
                seen, since = now, time.monotonic()
            return now >= wanted or time.monotonic() - since > STALL_S

        holds_within(over, DELIVERED_TIMEOUT_S, 0.05)
        return seen >= wanted

    def _arrived(self) -> int:
        return self.smsc.submitted + self.sink.calls

    def tool_programs(self) -> list[Program]:
        return [self.smsc.program, self.sink.program]

    def watching(self) -> machine.Watch:
        """For a `with` block: what the gateway takes meanwhile."""
        return machine.Watch(self.gateway.roots, [program.pid for program in self.tool_programs()])

    def rest(self, seconds: float) -> Run:
        """Processor and memory of a gateway that has nothing to do."""
        quiet = machine.wait_until_quiet(self.quiet_patience_s)
        self.watch = self.watching()
        with self.watch as watch:
            pass_time(seconds)
        pids = [pid for root in self.gateway.roots for pid in machine.tree(root)]
        rss, pss = machine.memory_mib(pids)
        figures = {
            "processor_percent": round(watch.usage.processor_percent, 2),
            "pss_mib": round(pss, 1),
            "rss_mib": round(rss, 1),
            "processes": float(len(pids)),
        }
        return Run(figures | _foreign(watch.usage), remark="" if quiet else "machine not quiet")

    def measured(
        self, kind: str, amount: Load, *, receipts: bool = False, answer_ms: int = 0, again_max: int = AGAIN_MAX
    ) -> Run | None:
        """A load, to the end of what came of it; None without such an API.

        When others took the processor meanwhile it is run again, at most again_max times, and the quietest run counts.
        """
        ask = self.gateway.ask(kind)
        if ask is None:
            return None
        self.smsc.set("latency-ms", answer_ms)
        self.smsc.set("receipts", int(receipts))
        runs: list[Run] = []
        while len(runs) <= again_max:
            quiet = machine.wait_until_quiet(self.quiet_patience_s)
            runs.append(self._once(ask, amount, receipts))
            if not quiet:
                runs[-1].remark = "machine not quiet"
                break  # waiting has not helped; another run would not
            if runs[-1].figures["foreign_percent"] <= FOREIGN_PERCENT_MAX:
                break
        kept = min(runs, key=lambda run: run.figures["foreign_percent"])
        for run in runs:
            if run is not kept:  # a run that is set aside for its speed still counts for what it lost
                kept.counts = {name: value + run.counts[name] for name, value in kept.counts.items()}
        return kept

    def scheduled(self, amount: Load) -> Run | None:
        """Messages for another day: accepted, and nothing is waited for. None: no such API."""
        ask = self.gateway.ask("scheduled")
        if ask is None:
            return None
        said, _ = load(self.tools, self.folder, ask, amount, self._first())
        return Run({"accepted_per_s": said["steady_rate"]}, remark=said["first_refusal"])

    def _once(self, ask: Ask, amount: Load, receipts: bool) -> Run:
        first, base, calls, final = self._first(), self.smsc.submitted, self.sink.calls, self.sink.final_calls
        self.watch = self.watching()
        with self.watch as watch:
            said, asked = load(self.tools, self.folder, ask, amount, first)
            moving = self._drain(lambda: self.smsc.submitted, base + said["accepted"])
            if receipts:
                moving = self._drain(lambda: self.sink.final_calls, final + said["accepted"])
        self.gateway.check_alive()

        def joined_now() -> Joined:
            called = self.sink.records(calls) if receipts else None
            return join(first, ask.recipients, asked, self.smsc.records(base), called)

        # Counts that are reached may hide that some came twice and others not yet.
        joined = joined_now()
        while moving and (joined.lost or (receipts and joined.called < joined.accepted)):
            moving = self._drain(self._arrived, self._arrived() + 1)
            joined = joined_now()
        run = Run(_figures(said, joined) | _foreign(watch.usage), _counts(said, joined))
        if joined.delivered:
            run.figures["processor_us_per_message"] = round(1e6 * watch.usage.processor_s / joined.delivered, 1)
        if said["first_refusal"]:
            run.remark = said["first_refusal"]
        return run


def _foreign(usage: machine.Usage) -> dict[str, float]:
    return {
        "foreign_percent": round(usage.foreign_percent, 1),
        "steal_percent": round(usage.steal_percent, 1),
        "seconds": round(usage.seconds, 2),
    }


def _figures(said: dict[str, float], joined: Joined) -> dict[str, float]:
    figures = {
        "accepted_per_s": said["steady_rate"],
        "accepted_per_s_whole": said["rate"],
        "accept_p50_ms": said["p50_ms"],
        "accept_p99_ms": said["p99_ms"],
        "delivered_per_s": joined.delivered_steady_rate,
        "delivered_per_s_whole": joined.delivered_rate,
    }
    figures |= {f"end_to_end_{name}_ms": value for name, value in joined.end_to_end_ms.items()}
    if joined.send_to_call_ms is not None:
        figures["called_per_s"] = joined.called_steady_rate
        figures["called_per_s_whole"] = joined.called_rate
        figures |= {f"send_to_call_{name}_ms": value for name, value in joined.send_to_call_ms.items()}
    return figures


def _counts(said: dict[str, int], joined: Joined) -> dict[str, int]:
    counts = {
        "asked": joined.asked,
        "accepted": joined.accepted,
        "refused": said["refused"],
        "broken": said["broken"],
        "delivered": joined.delivered,
        "lost": joined.lost,
        "twice": joined.twice,
        "not_accepted_yet_delivered": joined.in_none,
    }
    if joined.send_to_call_ms is not None:
        counts |= {
            "receipts": joined.receipts,
            "called": joined.called,
            "called_interim": joined.called_interim,
            "receipts_lost": joined.receipts_lost,
            "calls_extra": joined.calls_extra,
        }
    return counts
