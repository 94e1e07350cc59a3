"""The processes of a node tell each other what they have counted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chappe.observability import node_metrics
from chappe.observability.metrics import Snapshot, metrics
from chappe.observability.node_metrics import Teller, gather

pytestmark = pytest.mark.asyncio


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: that of a socket has at most 107 octets."""
    with TemporaryDirectory(prefix="chappe-") as made:
        yield Path(made)


async def test_all_that_answer_are_gathered_by_name(folder: Path) -> None:
    metrics().count("chappe_inbound_total", 3, carrier="tally")
    tellers = [Teller(folder, name) for name in ("work", "api-1", "api-0")]
    for teller in tellers:
        await teller.start()
    found = await gather(folder)
    assert [snapshot.process for snapshot in found] == ["api-0", "api-1", "work"]
    assert all((["tally"], 3.0) in [(key, value) for key, value in one.counts["chappe_inbound_total"]] for one in found)
    for teller in tellers:
        await teller.close()
    assert await gather(folder) == []


async def test_a_dead_or_silent_process_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_metrics, "ASK_S", 0.1)
    with socket.socket(socket.AF_UNIX) as dead, socket.socket(socket.AF_UNIX) as silent:
        dead.bind(str(folder / "dead.counts"))
        silent.bind(str(folder / "silent.counts"))
        silent.listen(5)
        teller = Teller(folder, "work")
        await teller.start()
        assert [snapshot.process for snapshot in await gather(folder)] == ["work"]
        await teller.close()


async def test_who_comes_after_a_killed_process_takes_its_name(folder: Path) -> None:
    killed = Teller(folder, "work")
    await killed.start()
    after = Teller(folder, "work")
    await after.start()
    (found,) = await gather(folder)
    assert isinstance(found, Snapshot)
    await after.close()
    await killed.close()
