"""The library as others would use it: its public names, what importing costs, and the programs of its README."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import chappe.smpp
from chappe import smpp

README = Path(chappe.smpp.__file__).with_name("README.md")
PROGRAMS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", smpp.__all__)
def test_a_public_name_is_there_and_comes_from_the_library(name: str) -> None:
    assert getattr(smpp, name).__module__.startswith("chappe.smpp.")


def test_what_is_not_public_is_no_name_of_the_library() -> None:
    with pytest.raises(AttributeError, match="no attribute Sessions"):
        _ = smpp.Sessions  # type: ignore[attr-defined]


def _imported(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*(name for name in sys.modules if name.startswith('chappe.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_library_imports_nothing_before_a_name_is_asked_for() -> None:
    assert _imported("import chappe.smpp") == {"chappe.smpp"}
    assert "chappe.smpp.pdu" not in _imported("from chappe.smpp import Status")


def test_using_all_of_it_needs_nothing_of_the_house() -> None:
    everything = _imported("from chappe import smpp\nfor name in smpp.__all__: getattr(smpp, name)")
    assert {name for name in everything if not name.startswith("chappe.smpp")} == set()


def test_every_module_stands_in_the_readme() -> None:
    told = README.read_text(encoding="utf-8")
    for path in README.parent.glob("*.py"):
        if path.stem != "__init__":
            assert f"`{path.stem}`" in told, path.stem


def test_the_programs_of_the_readme_run_against_each_other(tmp_path: Path) -> None:
    client, server = PROGRAMS
    assert all(len(program.strip().splitlines()) <= 45 for program in PROGRAMS)
    (tmp_path / "client.py").write_text(client, encoding="utf-8")
    (tmp_path / "server.py").write_text(server, encoding="utf-8")
    with subprocess.Popen([sys.executable, tmp_path / "server.py", "0"], stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        port = serving.stdout.readline().strip()
        try:
            done = subprocess.run(
                [sys.executable, tmp_path / "client.py", "127.0.0.1", port, "33600000001", "hello"],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        finally:
            serving.terminate()
    assert (done.stdout.splitlines(), done.stderr) == (["answered 0 1", "receipt 1 DELIVRD"], "")
