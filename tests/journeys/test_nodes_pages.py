"""What a node shows those who watch it, and how it leaves: first not ready, then gone, and nobody is left waiting."""

from __future__ import annotations

import http.client
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import Program, ask, children, until

if TYPE_CHECKING:
    from chappe.embedded.server import ConnectionParameters


def series(text: str, name: str) -> dict[str, float]:
    """The values of a metric by its labels, as they are written."""
    found = {}
    for line in text.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")):
            labels, _, value = line.removeprefix(name).rpartition(" ")
            found[labels] = float(value)
    return found


def test_one_page_has_the_counts_of_every_process_of_the_node(tmp_path: Path) -> None:
    with Program(tmp_path / "var", demo=True, arguments=["--api-processes", "2"]) as node:
        key = node.account("shop")
        for number in range(5):
            assert node.send(key, f"+336123456{number:02d}", "counted").status == 200
        assert node.send("0" * 64, "+33612345678", "not counted").status != 200
        node.phones.wait_for("+33612345604")

        def counted() -> str | None:
            text = ask(f"{node.url}/metrics").text
            taken = series(text, "chappe_submitted_total").values()
            return text if sum(taken) == 5 and sum(series(text, "chappe_receipts_total").values()) >= 5 else None

        text = until(counted, "the carrier's answers and receipts to be counted", 30.0)
        assert sum(series(text, "chappe_accepted_total").values()) == 5
        assert sum(series(text, "chappe_refused_total").values()) == 1
        assert 'process="work"' in next(iter(series(text, "chappe_submitted_total")))
        bound = {'{carrier="handset",state="bound"}': 1.0}
        until(lambda: series(ask(f"{node.url}/metrics").text, "chappe_binds") == bound, "the bind to be shown", 30.0)
        assert series(text, "chappe_lane_waiting") == {'{carrier="handset"}': 0.0}
        assert series(text, "chappe_leases_held") == {
            f'{{name="{name}"}}': 1.0 for name in ("notify", "upkeep", "worker")
        }
        found = {finding["about"]: finding["grade"] for finding in node.json("doctor")["findings"]}
        assert (found["server"], found["clock"], found["workers"], found["carriers"]) == ("good",) * 4
        assert "bad" not in found.values()
        assert key not in text
        assert "61234" not in text


def test_a_worker_shows_its_pages_although_it_answers_no_customers(
    empty_database: ConnectionParameters, tmp_path: Path
) -> None:
    with Program(tmp_path / "work", arguments=["--roles", "work"], database_url=empty_database.dsn()) as node:
        assert set(node.parts()) == {"work"}, "no phones on one of several nodes"
        assert ask(f"{node.url}/healthz").status == 200
        assert series(ask(f"{node.url}/metrics").text, "chappe_database_up") == {"": 1.0}
        assert ask(f"{node.url}/v1/send", "POST", b"{}").status == 404


def test_a_second_node_of_a_machine_works_without_pages(empty_database: ConnectionParameters, tmp_path: Path) -> None:
    url = empty_database.dsn()
    with Program(tmp_path / "api", arguments=["--roles", "api"], database_url=url) as api:
        work = Program(tmp_path / "work", arguments=["--roles", "work"], database_url=url)
        work.port = api.port
        work.spawn()
        try:
            until(lambda: "pages_not_served" in work.errors and work.parts().get("work"), "the worker to work")
        finally:
            assert work.stop() == 0


@pytest.mark.parametrize("second_signal", [False, True])
def test_a_node_that_leaves_says_so_first_answers_on_and_closes_its_door(tmp_path: Path, second_signal: bool) -> None:
    seconds = "60" if second_signal else "2"
    node = Program(tmp_path / "var", arguments=["--drain-s", seconds]).start()
    try:
        key = node.account("shop")
        kept = http.client.HTTPConnection("127.0.0.1", node.port, timeout=10)
        kept.connect()
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        until(lambda: ask(f"{node.url}/readyz").status == 503, "the node to be not ready")
        assert ask(f"{node.url}/healthz").status == 200
        assert node.send(key, "+33612345678", "still welcome").status == 200
        if second_signal:
            for process_id, command in children(node.process.pid):
                if "api-0" in command:
                    os.kill(process_id, signal.SIGTERM)
        until(lambda: _refused(node.port), "the door to be closed", 20.0)
        kept.close()
    finally:
        assert node.stop() == 0
    assert node.tracebacks == []


def _refused(port: int) -> bool:
    try:
        ask(f"http://127.0.0.1:{port}/healthz")
    except ConnectionRefusedError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    return False
