"""Root serves strangers: the processes that these reach are not root's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from program import Program

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def owners(supervisor: int) -> dict[str, int]:
    """Our processes below a supervisor, and whose they are."""
    found = {}
    for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"chappe.node.processes" in words:
            status = Path(f"/proc/{pid}/status").read_text()
            uids = {int(one) for one in status.partition("Uid:")[2].split()[:4]}
            assert len(uids) == 1
            found[words[3].decode()] = uids.pop()
    return found


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_processes_that_strangers_reach_are_not_root_s(tmp_path: Path, host: str) -> None:
    tmp_path.chmod(0o755)
    with Program(tmp_path / "var", host=host) as node:
        assert node.process is not None
        found = owners(node.process.pid)
        assert set(found) == {"work", "api-0"}
        assert (0 in found.values()) is (host == "127.0.0.1")
        key = node.account("shop")
        assert node.send(key, "+33612345678", "hello").json()["success"] is True
    assert node.tracebacks == []
