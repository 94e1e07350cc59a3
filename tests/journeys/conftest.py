"""What the journeys share: one running program for those that only use it, and a customer's web server."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # program.py and receivers.py serve storm.py too, which is no test

if TYPE_CHECKING:
    from program import Program
    from receivers import Receiver


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """`chappe serve --demo` on an empty folder, with its embedded PostgreSQL and its handset; stopped by SIGTERM."""
    from program import Program

    folder = tmp_path_factory.mktemp("journeys")
    started = Program(folder / "var", demo=True).start()
    yield started
    status = started.stop()
    shutil.rmtree(folder / "var", ignore_errors=True)
    assert status == 0, started.errors[-3000:]
    assert started.tracebacks == []


@pytest.fixture
def phones(program: Program) -> Program:
    """The program, with nothing on its phones."""
    program.phones.clear()
    return program


@pytest.fixture
def receive() -> Iterator[Callable[[], Receiver]]:
    """Makes web servers of customers, and closes them at the end of the test."""
    from receivers import Receiver

    made: list[Receiver] = []

    def make(status: int = 200) -> Receiver:
        made.append(Receiver(status))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()
