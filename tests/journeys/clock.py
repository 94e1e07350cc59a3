"""A wall clock of one's own for a program: clock.c before the C library, shifted by what stands in a file."""

from __future__ import annotations

import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

LOOKED_AT_S = 0.05  # clock.c


class NoCompiler(Exception):
    """No C compiler is here to build the clock with."""


def build(folder: Path) -> Path:
    """Makes the library, for all clocks, in a folder that everybody may read. Raises NoCompiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompiler
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


class Clock:
    """One clock; whoever runs with its environment lives by it."""

    def __init__(self, library: Path, file: Path) -> None:
        self._library = library
        self._file = file
        self._shift_s = 0

    def shift(self, seconds: int) -> None:
        """From here on it is so much later, or earlier, than it is."""
        self._shift_s = seconds
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds}\n")
        new.chmod(0o644)
        new.replace(self._file)
        threading.Event().wait(4 * LOOKED_AT_S)  # from here on everybody has seen it

    def set(self, to: datetime) -> None:
        self.shift(int((to - datetime.now(UTC)).total_seconds()))

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._shift_s)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "TEST_CLOCK_FILE": str(self._file)}
