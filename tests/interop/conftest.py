"""What the tests with foreign SMPP code share: the peers that are there, and an ear on every session of the test run.

Whoever is not installed makes its tests skip; at its end the run says which, and what to install.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))  # so that the tests of this folder find `peers`

from peers import ear  # noqa: E402
from peers import tshark as dissector  # noqa: E402

NEEDS = {
    "tshark": lambda: dissector.TSHARK is not None,
    "kannel": lambda: all(shutil.which(name, path="/usr/sbin:/usr/bin:/sbin") for name in ("bearerbox", "smsbox")),
    "npm smpp": lambda: shutil.which("node") is not None and (FOLDER / "node_modules" / "smpp").is_dir(),
    "smpplib": lambda: find_spec("smpplib") is not None,
    "openssl": lambda: shutil.which("openssl") is not None,
}

ear.listen()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(peer, ...): skip without these foreign programs")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if not NEEDS[name]():
                pytest.skip(f"{name} is not installed: run scripts/test-packages")


@pytest.fixture(autouse=True)
def no_error_in_a_callback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What fails in a callback of the loop would only be logged: here it fails the test."""
    failed: list[dict[str, Any]] = []
    monkeypatch.setattr(asyncio.BaseEventLoop, "call_exception_handler", lambda loop, context: failed.append(context))
    yield
    assert failed == []


@pytest.fixture(scope="session", autouse=True)
def no_complaint_by_wireshark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """At the end of this process: whatever its sessions wrote, in the tests of any folder, tshark reads without a word.

    What a short_message holds is not judged here, since some tests write nonsense on purpose.
    """
    yield
    if dissector.TSHARK is not None:
        found = dissector.complaints(ear.heard(), tmp_path_factory.mktemp("heard"), user_data=False)
        assert found == []
