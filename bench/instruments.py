"""The load tools of bench/tools: built with the C compiler of the machine, started, and asked over their pipes."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import BenchError, Program, until

SOURCES = Path(__file__).parent / "tools"
NAMES = ("load", "smsc", "sink")
FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra")
# Messages are numbered; each run has a block of numbers of its own, whose last digits are those of the recipient.
NUMBERS_PER_RUN = 10_000_000
RECIPIENT_PREFIX = "3361"
STARTED_TIMEOUT_S = 5.0
LOAD_MARGIN_S = 90.0
SLOWEST_PER_S = 1_000.0  # messages of a load that has no time of its own: what takes longer has stopped


def build(folder: Path) -> None:
    """Compiles what is older than its source. Raises BenchError without a compiler, or when it complains."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BenchError("the load tools need a C compiler: install gcc")
    header = SOURCES / "bench.h"
    for name in NAMES:
        source, program = SOURCES / f"{name}.c", folder / name
        newest = max(source.stat().st_mtime, header.stat().st_mtime)
        if program.exists() and program.stat().st_mtime >= newest:
            continue
        made = subprocess.run([compiler, *FLAGS, "-o", program, source], capture_output=True, text=True, check=False)
        if made.returncode:
            raise BenchError(f"{name}.c does not compile:\n{made.stderr}")


class Instrument:
    """A tool that runs, says its port, and answers orders line by line; it ends when its pipe does."""

    def __init__(self, name: str, tools: Path, folder: Path, options: dict[str, object] | None = None) -> None:
        words = [str(word) for key, value in (options or {}).items() for word in (f"--{key}", value)]
        self.name = name
        self.program = Program(name, [tools / name, *words], folder / f"{name}.log", piped=True)
        self.records_path = folder / f"{name}.records"
        self.port = int(self._line() or 0)
        if not self.port:
            raise BenchError(f"{name} did not start: {self.program.last_words()}")

    def _line(self) -> str:
        assert self.program.process.stdout is not None
        return self.program.process.stdout.readline().decode().strip()

    def _order(self, words: str) -> dict[str, int]:
        assert self.program.process.stdin is not None
        try:
            self.program.process.stdin.write(words.encode() + b"\n")
            self.program.process.stdin.flush()
        except BrokenPipeError:
            raise BenchError(f"{self.name} has ended: {self.program.last_words()}") from None
        answer = self._line()
        if not answer:
            raise BenchError(f"{self.name} has ended: {self.program.last_words()}")
        read: dict[str, int] = json.loads(answer)
        return read

    def stats(self) -> dict[str, int]:
        """Counts since it started."""
        return self._order("stats")

    def set(self, name: str, value: int) -> None:
        """Changes an option while it runs."""
        self._order(f"set {name} {value}")

    def records(self, start: int) -> bytes:
        """The records from a number on."""
        self._order(f"dump {self.records_path} {start}")
        read = self.records_path.read_bytes()
        self.records_path.unlink()
        return read

    def end(self) -> None:
        self.program.end()


class Smsc(Instrument):
    """The SMSC that every gateway is bound to."""

    def __init__(self, tools: Path, folder: Path) -> None:
        super().__init__("smsc", tools, folder)

    @property
    def submitted(self) -> int:
        return self.stats()["submitted"]

    def wait_bound(self) -> None:
        until(lambda: self.stats()["receiving_binds"], 60, "the gateway's bind")


class Sink(Instrument):
    """The customer's URL."""

    def __init__(self, tools: Path, folder: Path, interim: str = "") -> None:
        super().__init__("sink", tools, folder, {"interim": interim} if interim else None)

    @property
    def calls(self) -> int:
        return self.stats()["calls"]

    @property
    def final_calls(self) -> int:
        stats = self.stats()
        return stats["calls"] - stats["interim"]


@dataclass(frozen=True)
class Ask:
    """How an API is asked: a request as load's template has it, and what a good answer looks like."""

    port: int
    template: str
    status: int = 0
    expect: str = ""
    recipients: int = 1
    between: str = ","
    cycle: int = 1


@dataclass(frozen=True)
class Load:
    """How much: `count` requests and `seconds` at most (0: no limit), at `rate` a second (0: as fast as answered)."""

    connections: int
    count: int
    seconds: float = 0.0
    rate: float = 0.0


def load(tools: Path, folder: Path, ask: Ask, amount: Load, first: int) -> tuple[dict[str, Any], bytes]:
    """Asks, and waits to the end: load's summary and its records. Raises BenchError when it fails."""
    template, records = folder / "template", folder / "load.records"
    template.write_text(ask.template)
    options: dict[str, object] = {
        "port": ask.port, "template": template, "records": records, "first": first, "to": RECIPIENT_PREFIX,
        "connections": amount.connections, "count": amount.count, "recipients": ask.recipients, "cycle": ask.cycle,
        "between": ask.between,
    }  # fmt: skip
    optional = {"seconds": amount.seconds, "rate": amount.rate, "status": ask.status, "expect": ask.expect}
    options |= {name: value for name, value in optional.items() if value}
    words = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
    planned_s = amount.count / amount.rate if amount.rate else amount.seconds
    if not planned_s:
        planned_s = amount.count * ask.recipients / SLOWEST_PER_S
    try:
        ran = subprocess.run(
            [tools / "load", *words], capture_output=True, text=True, timeout=planned_s + LOAD_MARGIN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"load did not end within {error.timeout:g} s") from error
    if ran.returncode or not ran.stdout:
        raise BenchError(f"load failed: {ran.stderr.strip()[:300]}")
    read: dict[str, Any] = json.loads(ran.stdout)
    return read, records.read_bytes()
