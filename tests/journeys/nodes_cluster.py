"""Two nodes that answer customers, two that work, a primary with its synchronous standby, and a carrier."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import clock
from clock import Clock
from nodes_lan import Lan, Machine
from nodes_load import Balancer
from nodes_pair import Pair
from program import CHAPPE, ask, until

WINDOW = 20
BINDS = 2
CALM_S = 90.0
DRAIN_S = 3.0  # twice as long as the balancer needs to hear of it
OPENING_MICROS = 10_000_000_000
LATENCY = {"latency_ms": 60, "latency_jitter_ms": 60}


class Cluster:
    """All of it. Each node has a wall clock of its own, where there is a C compiler."""

    def __init__(self, folder: Path, rate: float, seed: int) -> None:
        self.folder = folder
        self.rate = rate
        self.chance = random.Random(seed)
        self.lan = Lan()
        self.clocks: dict[str, Clock] = {}
        self.pair: Pair
        self.api: list[Machine] = []
        self.work: list[Machine] = []

    # -- building

    def _build(self) -> None:
        (self.folder / "postgres").mkdir()
        first, second = (self.lan.machine(f"db{n}", 10 + n, ["data"]) for n in (1, 2))
        self.pair = Pair(self.folder, first, second)
        self.pair.start()
        self.smsc = self.lan.machine("smsc", 31, ["open"])
        self._start_smsc()
        self.api = [self.lan.machine(f"api{n}", 20 + n, ["data", "open"]) for n in (1, 2)]
        self.work = [self.lan.machine(f"work{n}", 25 + n, ["data", "open"]) for n in (1, 2)]
        self._make_clocks()
        for machine in (*self.api, *self.work):  # all at once: one of them makes the tables
            self._serve(machine)
        self.balancer = Balancer([f"http://{machine.address('open')}:8080" for machine in self.api])
        until(lambda: all(self.balancer.ready.values()), "both nodes to be ready", 60.0)
        made = self._command(
            "account", "create", "nodes", "--balance", str(OPENING_MICROS // 1_000_000), "--transactional", "--json"
        )
        self.key = json.loads(made)["api_key"]
        self._command(
            "carrier", "add", "operator", "--host", self.smsc.address("open"), "--port", "2775", "--system-id", "us",
            "--password", "secret", "--window", str(WINDOW), "--binds", str(BINDS),
        )  # fmt: skip
        self._command("route", "add", "--carrier", "operator", "--prefix", "33")
        until(self._binds_are_up, "the binds to be up", 60.0)

    def _make_clocks(self) -> None:
        try:
            library = clock.build(self.folder)
        except clock.NoCompiler:
            return
        for machine in (*self.api, *self.work):
            self.clocks[machine.name] = Clock(library, self.folder / f"{machine.name}.clock")
            self.clocks[machine.name].shift(0)

    def _start_smsc(self) -> None:
        address = self.smsc.address("open")
        words = ["smsc", "--host", address, "--http-host", address]
        self.smsc.start([str(CHAPPE), *words], self.folder / "smsc.log", _environment())
        body = json.dumps(LATENCY).encode()

        def slowed() -> bool:
            try:
                url = f"http://{address}:8025/handset/chaos"
                return ask(url, "POST", body, {"Content-Type": "application/json"}).status == 200
            except OSError:
                return False

        until(slowed, "the carrier to be there", 60.0)

    def _serve(self, machine: Machine) -> None:
        """What the node's service manager does when the machine starts."""
        role = "api" if machine in self.api else "work"
        data = self.folder / machine.name
        data.mkdir(exist_ok=True)
        command = [
            str(CHAPPE), "serve", "--roles", role, "--host", machine.address("open"), "--port", "8080",
            "--data", str(data), "--log-format", "json",
            "--drain-s", str(DRAIN_S if role == "api" else 0),
        ]  # fmt: skip
        own = self.clocks[machine.name].environment if self.clocks else {}
        machine.start(command, self.folder / f"{machine.name}.log", _environment(self.pair.url) | own)

    def _command(self, *words: str) -> str:
        done = subprocess.run(
            [str(CHAPPE), *words], capture_output=True, text=True, timeout=60, env=_environment(self.pair.url)
        )
        assert done.returncode == 0, (words[:2], done.stderr)
        return done.stdout

    # -- looking

    def _binds(self) -> list[dict[str, Any]]:
        return self.pair.ask(
            "select slot, owner, state, expires_at >= clock_timestamp() as alive from bind order by slot"
        )

    def _binds_are_up(self) -> bool:
        rows = self._binds()
        return len(rows) == BINDS and all(row["alive"] and row["state"] == "bound" for row in rows)

    def _driving(self) -> Machine:
        """A worker that drives a bind."""
        owners = [row["owner"].partition("/")[0] for row in self._binds() if row["alive"]]
        driving = [machine for machine in self.work if machine.name in owners]
        return self.chance.choice(driving or self.work)

    def _calm(self) -> None:
        """Until everything is as it was: nodes ready, binds up, nothing waiting for long."""

        def calm() -> bool:
            (row,) = self.pair.ask(
                """select (select count(*) from (select from outbox limit 1001) o) as waiting,
                          (select count(*) from lease
                           where name like 'worker %' and expires_at >= clock_timestamp()) as workers"""
            )
            all_there = row["workers"] >= len(self.work) and self._binds_are_up()
            return all(self.balancer.ready.values()) and all_there and row["waiting"] < self.rate * 2

        until(calm, "the nodes to be calm again", CALM_S)


def _environment(url: str = "") -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHAPPE_")}
    return kept | ({"CHAPPE_DATABASE_URL": url} if url else {})
