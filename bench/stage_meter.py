"""Processor time of one stage: this process's in the sections that count, and that of the database's processes."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import process_time_ns
from typing import Final

from machine import tree
from processes import until

REST_TIMEOUT_S: Final = 10.0
PYTHON: Final = "python"
POSTGRESQL: Final = "postgresql"


@dataclass(frozen=True)
class Stage:
    """What one stage takes: microseconds of processor a message in each repetition.

    group: whose way this is a part of; where: which program spends it; at: messages of one call, as the stage is
    called. kind: `step`, which adds up with the others of its group and program at one size; `part` of the step before
    it; `whole`, the real thing from end to end, with all steps and what lies between them.
    """

    group: str
    name: str
    where: str
    at: str
    samples: tuple[float, ...]
    kind: str = "step"

    @property
    def least_us(self) -> float:
        return min(self.samples)

    @property
    def median_us(self) -> float:
        return statistics.median(self.samples)


def limit_per_s(us: float) -> float:
    """Messages a second of one core that does nothing else, of so many microseconds each; 0 when nothing was spent."""
    return 1e6 / us if us > 0 else 0.0


class Meter:
    """Of one repetition. pids: processes of the database's that work for it."""

    def __init__(self, pids: Sequence[int] = ()) -> None:
        self._pids = pids
        self.own_ns = 0
        self.theirs_ns = 0

    @contextmanager
    def own(self) -> Iterator[None]:
        """A section whose processor time in this process counts; there may be many."""
        began = process_time_ns()
        yield
        self.own_ns += process_time_ns() - began

    @contextmanager
    def theirs(self) -> Iterator[None]:
        """A stretch in which the processes of the database do nothing but what is measured."""
        before = at_rest_ns(self._pids)
        yield
        self.theirs_ns += at_rest_ns(self._pids) - before

    @contextmanager
    def both(self) -> Iterator[None]:
        with self.theirs(), self.own():
            yield


Work = Callable[[Meter], Awaitable[int]]


@dataclass(frozen=True)
class Taken:
    """Microseconds a message, by repetition."""

    own: tuple[float, ...]
    theirs: tuple[float, ...]


async def taken(work: Work, repetitions: int, pids: Sequence[int] = ()) -> Taken:
    """Does the work once to warm up and then so often; it tells how many messages each time was about."""
    own: list[float] = []
    theirs: list[float] = []
    for repetition in range(repetitions + 1):
        meter = Meter(pids)
        messages = await work(meter)
        if repetition:
            own.append(meter.own_ns / 1000 / messages)
            theirs.append(meter.theirs_ns / 1000 / messages)
    return Taken(tuple(own), tuple(theirs))


def processor_ns(pid: int) -> int:
    """What the scheduler has counted for a process's main thread; up to now when it is asleep. 0: it has ended."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except OSError:
        return 0


def at_rest_ns(pids: Sequence[int]) -> int:
    """The same of several together, once all of them are asleep: an answer is read before its sender has gone to
    sleep, and what runs has not been counted up to now. Raises BenchError when one does not rest."""
    if pids:
        until(lambda: all(map(_is_asleep, pids)), REST_TIMEOUT_S, "the database's rest", every_s=0.0005)
    return sum(map(processor_ns, pids))


def _is_asleep(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "R"
    except OSError:
        return True


BEHIND: Final = ("walwriter", "checkpointer", "background writer", "io worker")


class Behind:
    """The processes of a server that write behind its backends' backs; vacuum is not among them, it comes and goes."""

    def __init__(self, backend_pid: int) -> None:
        stat = Path(f"/proc/{backend_pid}/stat").read_text()
        self._postmaster = int(stat.rpartition(")")[2].split()[1])
        self._last = self._now()

    def _now(self) -> dict[int, int]:
        return {pid: processor_ns(pid) for pid in tree(self._postmaster) if _title(pid).startswith(BEHIND)}

    def since_ns(self) -> int:
        """What they have used since this was asked last."""
        last, self._last = self._last, self._now()
        return sum(used - last.get(pid, used) for pid, used in self._last.items())


def _title(pid: int) -> str:
    """What a process of PostgreSQL calls itself."""
    try:
        shown = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
    return shown.partition("postgres: ")[2]
