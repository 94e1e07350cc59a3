"""The machine: processor time and memory of process trees, what others took meanwhile, and what fsync costs here."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from processes import pass_time

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
QUIET_PERCENT = 12.0
PROBES = 30
PROBE_BYTES = 8192
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs"}


@dataclass(frozen=True)
class Usage:
    """What a stretch of time took: processor seconds of those measured, per cent of one core that others took."""

    seconds: float
    processor_s: float
    foreign_percent: float
    steal_percent: float

    @property
    def processor_percent(self) -> float:
        return 100 * self.processor_s / self.seconds


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (the third); empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def processor_s(pid: int) -> float:
    """Seconds that a process has used, with those of its children that have ended."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / TICKS_PER_S if fields else 0.0


def _machine_s() -> tuple[float, float]:
    """Seconds of all cores since the start: busy, stolen by other machines."""
    user, nice, system, _idle, _wait, irq, soft_irq, steal = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + irq + soft_irq) / TICKS_PER_S, steal / TICKS_PER_S


def memory_mib(pids: Iterable[int]) -> tuple[float, float]:
    """Resident memory in MiB: each process in full (RSS), and with what they share counted once (PSS)."""
    totals = {"Rss:": 0, "Pss:": 0}
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has ended
        for line in lines[1:]:
            name, value = line.split()[:2]
            if name in totals:
                totals[name] += int(value)
    return totals["Rss:"] / 1024, totals["Pss:"] / 1024


class Watch:
    """A `with` block over a stretch of time; `usage` afterwards.

    measured: roots of the trees that are measured. own: pids of the benchmark's tools that run through it; tools that
    begin and end in the block are counted as own, too. All others, the kernel's threads among them, are foreign.
    spent: seconds of each measured process, with those of its children that ended in the block.
    """

    def __init__(self, measured: Iterable[int], own: Iterable[int]) -> None:
        self._measured = list(measured)
        self._own = [*own, os.getpid()]
        self.usage = Usage(0, 0, 0, 0)
        self.spent: dict[int, float] = {}

    def _own_s(self) -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        running = sum(map(processor_s_alone, self._own))
        return running + ended.ru_utime + ended.ru_stime

    def _measured_s(self) -> dict[int, float]:
        return {pid: processor_s(pid) for root in self._measured for pid in tree(root)}

    def __enter__(self) -> Watch:
        self._before = self._measured_s()
        self._then = (time.monotonic(), sum(self._before.values()), self._own_s(), *_machine_s())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        after = self._measured_s()
        self.spent = {pid: used - self._before.get(pid, 0.0) for pid, used in after.items()}
        now = (time.monotonic(), sum(after.values()), self._own_s(), *_machine_s())
        seconds, measured, own, busy, stolen = (b - a for a, b in zip(self._then, now, strict=True))
        foreign = max(0.0, busy - measured - own)
        self.usage = Usage(seconds, measured, 100 * foreign / seconds, 100 * stolen / seconds)


def processor_s_alone(pid: int) -> float:
    """Seconds that a process has used itself."""
    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / TICKS_PER_S if fields else 0.0


def wait_until_quiet(patience_s: float) -> bool:
    """Waits for a second in which the machine is nearly idle; False when there was none."""
    end = time.monotonic() + patience_s
    while True:
        busy, began = _machine_s()[0], time.monotonic()
        pass_time(1.0)
        if 100 * (_machine_s()[0] - busy) / (time.monotonic() - began) < QUIET_PERCENT:
            return True
        if time.monotonic() > end:
            return False


def fsync_ms(folder: Path) -> float:
    """Median time of writing a page of 8 KiB durably in this folder: near zero means that nothing is durable here."""
    path = folder / "fsync-probe"
    times: list[float] = []
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for number in range(PROBES):
            began = time.perf_counter()
            os.pwrite(file, os.urandom(PROBE_BYTES), number * PROBE_BYTES)
            os.fdatasync(file)
            times.append(time.perf_counter() - began)
    finally:
        os.close(file)
        path.unlink()
    return 1000 * statistics.median(times)


def file_system(folder: Path) -> str:
    """The type of the file system that holds a folder, such as ext4."""
    best, kind = Path(), "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _device, where, type_ = line.split()[:3]
        mount = Path(where.replace("\\040", " "))
        if folder.resolve().is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, type_
    return kind


def describe(folder: Path) -> dict[str, object]:
    """What must be known to read the figures."""
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]  # fmt: skip
    kind = file_system(folder)
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system": kind,
        "fsync_ms": round(fsync_ms(folder), 3),
        "durable": kind not in MEMORY_FILE_SYSTEMS,
    }
