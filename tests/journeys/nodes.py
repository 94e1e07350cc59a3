"""Several nodes on one database: each killed, frozen and cut off under load, then the primary lost; and the count.

    python tests/journeys/nodes.py --rate 60 --seed 7

Two nodes that answer customers, two that work, a primary with a synchronous standby, a carrier: each a machine of its
own made of namespaces (nodes_lan.py). Prints one JSON document and ends with 1 when anything promised does not hold:
nothing accepted is lost, nothing reaches a phone twice but what was in doubt, the money adds up, and every answer comes
within a bound. Ends with 2, and says why, where such machines cannot be made. `make nodes` runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic, time
from typing import Any

import nodes_lan
from nodes_lan import Lan, Machine
from nodes_load import Balancer, Harvest, Load, longest_gap_s, text
from nodes_pair import Pair
from program import CHAPPE, ask, until

PRICE_MICROS = 38_000
OPENING_MICROS = 10_000_000_000
WINDOW = 20
BINDS = 2
CALM_S = 90.0
HOLD_S = 20.0  # how long a machine is cut off or frozen: three times as long as a lease
LONG_S = 45.0
AWAY_S = 8.0
DRAIN_S = 3.0  # twice as long as the balancer needs to hear of it
ANSWER_S_MAX = 36.0  # no customer waits longer for an answer, whatever is cut
ACCEPT_GAP_S_MAX = 25.0  # nor are all customers refused for longer
PHONE_GAP_S_MAX = 45.0
LATENCY = {"latency_ms": 60, "latency_jitter_ms": 60}


class Nodes:
    """One run."""

    def __init__(self, folder: Path, rate: float, seed: int) -> None:
        self.folder = folder
        self.rate = rate
        self.chance = random.Random(seed)
        self.lan = Lan()
        self.happened: list[dict[str, Any]] = []
        self.old_primary_sessions = 0
        self.pair: Pair
        self.api: list[Machine] = []
        self.work: list[Machine] = []

    def run(self, wanted: list[str]) -> dict[str, Any]:
        try:
            self._build()
            return self._storm(wanted)
        finally:
            self.lan.close()

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
            "--data", str(data), "--no-handset", "--log-format", "json",
            "--drain-s", str(DRAIN_S if role == "api" else 0),
        ]  # fmt: skip
        machine.start(command, self.folder / f"{machine.name}.log", _environment(self.pair.url))

    def _command(self, *words: str) -> str:
        import subprocess

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

    # -- what happens

    def kill_worker(self) -> str:
        """The worker's processes die at once; its service manager starts it again."""
        machine = self._driving()
        machine.kill()
        _hold(AWAY_S)
        self._serve(machine)
        return machine.name

    def restart_worker(self) -> str:
        """As for an upgrade: in good order."""
        machine = self._driving()
        machine.end()
        self._serve(machine)
        return machine.name

    def restart_api(self) -> str:
        """As for an upgrade: in good order, and no customer may notice."""
        machine = self.chance.choice(self.api)
        machine.end()
        self._serve(machine)
        return machine.name

    def kill_api(self) -> str:
        machine = self.chance.choice(self.api)
        machine.kill()
        _hold(AWAY_S)
        self._serve(machine)
        return machine.name

    def switch_off_worker(self) -> str:
        """The power of the worker's machine fails: nobody hears a last word."""
        machine = self._driving()
        self._power(machine)
        return machine.name

    def switch_off_api(self) -> str:
        machine = self.chance.choice(self.api)
        self._power(machine)
        return machine.name

    def _power(self, machine: Machine) -> None:
        machine.switch_off()
        _hold(AWAY_S)
        machine.switch_on()
        self._serve(machine)

    def cut_worker_from_database(self) -> str:
        """It still reaches the carrier: it must not send what another has taken over."""
        return self._cut(self._driving(), ["data"])

    def cut_worker_from_all(self) -> str:
        return self._cut(self._driving(), ["data", "open"])

    def cut_worker_from_carrier(self) -> str:
        return self._cut(self._driving(), ["open"])

    def cut_api_from_database(self) -> str:
        """Customers still reach it: it must refuse, soon, and say yes to nothing. Those whose commit was under way
        are answered last, so as not to be told what is wrong: longer than that it lasts."""
        return self._cut(self.chance.choice(self.api), ["data"], LONG_S)

    def cut_api_from_all(self) -> str:
        return self._cut(self.chance.choice(self.api), ["data", "open"])

    def cut_carrier(self) -> str:
        return self._cut(self.smsc, ["open"])

    def cut_standby(self) -> str:
        """No commit may be answered while the standby cannot have it; the nodes live through it."""
        return self._cut(self.pair.standby, ["data"], AWAY_S)

    def freeze_worker(self) -> str:
        """It wakes up with a lease that is another's, and must know."""
        machine = self._driving()
        machine.freeze()
        _hold(HOLD_S)
        machine.thaw()
        return machine.name

    def freeze_api(self) -> str:
        machine = self.chance.choice(self.api)
        machine.freeze()
        _hold(HOLD_S)
        machine.thaw()
        return machine.name

    def _cut(self, machine: Machine, networks: list[str], seconds: float = HOLD_S) -> str:
        for network in networks:
            machine.cut(network)
        _hold(seconds)
        for network in networks:
            machine.mend(network)
        return machine.name

    def lose_primary(self) -> str:
        """The primary's power fails; the standby is promoted, as an operator or his tool does after a few seconds."""
        lost = self.pair.primary
        lost.switch_off()
        _hold(3.0)
        self.pair.promote()
        return lost.name

    def isolate_primary(self) -> str:
        """The primary lives, and nobody reaches it: fenced off by its power, then the standby is promoted."""
        lost = self.pair.primary
        lost.cut("data")
        _hold(10.0)
        lost.switch_off()
        self.pair.promote()
        return lost.name

    def meet_old_primary(self) -> str:
        """What nobody should do: the standby is promoted while the old primary lives on, and that one comes back. Nodes
        that start just then must not work with it."""
        old = self.pair.primary
        old.cut("data")
        _hold(AWAY_S)
        self.pair.promote()
        _hold(AWAY_S)
        old.mend("data")
        for machine in (self.chance.choice(self.api), self.chance.choice(self.work)):
            machine.end()
            self._serve(machine)
        _hold(HOLD_S)
        (found,) = self.pair.ask_of(old, "select count(*) as sessions from pg_stat_activity where usename = 'chappe'")
        self.old_primary_sessions = found["sessions"]
        old.switch_off()
        return old.name

    def rebuild_standby(self) -> str:
        """The machine that was lost comes back, as the standby of the one that took over."""
        back = self.pair.standby
        back.switch_on()
        self.pair.rebuild()
        return back.name

    # -- the storm and the count

    def _storm(self, wanted: list[str]) -> dict[str, Any]:
        harvest = Harvest(f"http://{self.smsc.address('open')}:8025")
        load = Load(self.balancer, self.key, self.rate)
        try:
            _hold(3.0)
            for name in wanted:
                began = time()
                found: Callable[[], str] = getattr(self, name)
                print(f"{name}...", end=" ", file=sys.stderr, flush=True)
                machine = found()
                self._calm()
                self.happened.append({"what": name, "who": machine, "began": began, "ended": time()})
                print(f"{machine}, {time() - began:.1f} s", file=sys.stderr, flush=True)
            _hold(2.0)
        finally:
            load.stop()
        self._settle(load, harvest)
        harvest.close()
        self.balancer.close()
        return self._report(load, harvest)

    def _measured(self, row: dict[str, Any], load: Load, harvest: Harvest) -> dict[str, Any]:
        """What customers and phones saw of one trouble: of what was asked within its time."""
        began, ended = row["began"], row["ended"]
        mine = [(end - start, status) for start, end, status in load.seen.answers if began <= start <= ended]
        told = Counter(status for _, status in mine)
        within = {status for start, end, status in load.seen.answers if began <= start and end <= ended}
        return {
            "what": row["what"],
            "who": row["who"],
            "took_s": round(ended - began, 1),
            "accept_gap_s": longest_gap_s(load.seen.accepted_at, began, ended),
            "phone_gap_s": longest_gap_s(harvest.shown_at, began, ended),
            "answer_s_max": round(max((took_s for took_s, _ in mine), default=0.0), 1),
            "answers": {str(status): count for status, count in sorted(told.items())},
            "noticed": bool(within - {200}),
        }

    def _settle(self, load: Load, harvest: Harvest) -> None:
        wanted = {text(number) for number in load.seen.accepted}
        deadline = monotonic() + 120.0
        while monotonic() < deadline:
            if wanted <= set(harvest.shown) and not self._unsettled():
                break
            Event().wait(0.3)  # the pace of looking
        Event().wait(2.0)  # what would come twice, comes now: every resend was due long ago

    def _unsettled(self) -> int:
        (row,) = self.pair.ask(
            """select (select count(*) from outbox) + (select count(*) from uncertain)
                    + (select coalesce(sum(cardinality(in_flight)), 0) from bind) as n"""
        )
        return int(row["n"])

    def _report(self, load: Load, harvest: Harvest) -> dict[str, Any]:
        seen, shown = load.seen, harvest.shown
        happened = [self._measured(row, load, harvest) for row in self.happened]
        wanted = {text(number) for number in seen.accepted}
        doubts = self.pair.ask("select s.text from message m join submission s on s.id = m.id >> 16 where m.doubts > 0")
        doubted = {row["text"] for row in doubts}
        repeated = {words for words, count in shown.items() if count > 1}
        unclear = {text(number) for number in seen.unclear}
        lost = sorted(wanted - set(shown))
        twice = sorted(repeated - doubted)
        money = self._money(seen.accepted, seen.unclear)
        tracebacks = self._tracebacks()
        slow = [
            row["what"] for row in happened if row["answer_s_max"] > ANSWER_S_MAX and row["what"] not in CANNOT_ANSWER
        ]
        long_away = [row["what"] for row in happened if row["accept_gap_s"] > ACCEPT_GAP_S_MAX]
        undelivered = [row["what"] for row in happened if row["phone_gap_s"] > PHONE_GAP_S_MAX]
        wrong = {
            "lost": lost[:10],
            "twice": twice[:10],
            "of nobody": sorted(set(shown) - wanted - unclear)[:10],
            "money": [] if money["right"] else [money],
            "too many in doubt": [len(doubted)] if len(doubted) > WINDOW * BINDS * len(self.happened) else [],
            "answers too slow": slow,
            "noticed by customers": [row["what"] for row in happened if row["what"] in UNNOTICED and row["noticed"]],
            "accepting stopped too long": long_away,
            "delivering stopped too long": undelivered,
            "unsettled": [self._unsettled()] if self._unsettled() else [],
            "tracebacks": tracebacks,
            "work with the old primary": [self.old_primary_sessions] if self.old_primary_sessions else [],
            "count": [harvest.trouble] if harvest.trouble else [],
        }
        return {
            "wrong": {name: found for name, found in wrong.items() if found},
            "asked": len(seen.accepted) + len(seen.unclear),
            "accepted": len(seen.accepted),
            "delivered": len(wanted & set(shown)),
            "lost": len(lost),
            "twice": len(twice),
            "in_doubt": len(doubted),
            "in_doubt_arrived_twice": len(repeated & doubted),
            "unclear": dict(Counter(seen.unclear.values())),
            "unclear_delivered": len(unclear & set(shown)),
            "promotions": self.pair.promotions,
            "money": money,
            "happened": happened,
        }

    def _money(self, accepted: dict[int, int], unclear: dict[int, str]) -> dict[str, Any]:
        (row,) = self.pair.ask(
            """select b.balance_micros as balance, coalesce(sum(l.amount_micros), 0)::bigint as ledger,
                      coalesce(-sum(l.amount_micros) filter (where l.kind = 1), 0)::bigint as charged,
                      coalesce(sum(l.amount_micros) filter (where l.kind = 2), 0)::bigint as refunded,
                      count(*) filter (where l.kind = 1) as charges,
                      (select count(*) from submission s where s.account_id = a.id) as submissions
               from account a join balance b on b.account_id = a.id
               left join ledger_entry l on l.account_id = a.id
               where a.login = 'nodes' group by a.id, b.balance_micros"""
        )
        stored = {found["id"] for found in self.pair.ask("select id from submission")}
        row["acknowledged_and_gone"] = len(set(accepted.values()) - stored)
        row["right"] = (
            row["balance"] == row["ledger"] == OPENING_MICROS - row["charged"] + row["refunded"]
            and row["charged"] == row["submissions"] * PRICE_MICROS
            and len(accepted) <= row["charges"] == row["submissions"] <= len(accepted) + len(unclear)
            and row["acknowledged_and_gone"] == 0
        )
        return row

    def _tracebacks(self) -> list[str]:
        found = []
        for path in self.folder.glob("*.log"):
            if path.name.startswith("db"):
                continue
            found += [f"{path.name}: {line[:300]}" for line in path.read_text().splitlines() if "Traceback" in line]
        return found[:5]


# A customer of a node that is frozen, or without a network, waits as long as he likes: nobody is there to answer him.
CANNOT_ANSWER = ("freeze_api", "cut_api_from_all", "switch_off_api")
UNNOTICED = ("restart_api", "restart_worker", "kill_worker", "switch_off_worker")
SCENARIOS = (
    *("restart_worker", "restart_api"),
    *("kill_worker", "kill_api", "switch_off_worker", "switch_off_api", "cut_worker_from_database"),
    *("cut_worker_from_all", "cut_worker_from_carrier", "cut_api_from_database", "cut_api_from_all", "cut_carrier"),
    *("freeze_worker", "freeze_api", "cut_standby"),
)
LAST = (
    *("lose_primary", "rebuild_standby", "isolate_primary", "rebuild_standby"),
    *("meet_old_primary", "rebuild_standby"),
)


def _hold(seconds: float) -> None:
    """How long a trouble lasts: part of what is tried, not a wait for anything."""
    Event().wait(seconds)


def _environment(url: str = "") -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHAPPE_")}
    return kept | ({"CHAPPE_DATABASE_URL": url} if url else {})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=60.0, help="messages a second")
    parser.add_argument("--seed", type=int, default=1, help="decides the order, and who of two is meant")
    parser.add_argument("--only", default="", help=f"some of {','.join((*SCENARIOS, *LAST))}")
    parser.add_argument("--keep", type=Path, help="a folder for logs and data, kept")
    arguments = [word for word in sys.argv[1:] if word != "--inside"]
    chosen = parser.parse_args(arguments)
    only = [name for name in chosen.only.split(",") if name]
    if unknown := set(only) - {*SCENARIOS, *LAST}:
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}")
    lacking = nodes_lan.why_not()
    if lacking:
        print(f"NOT RUN: {lacking}", file=sys.stderr)
        return 2
    nodes_lan.enter()
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="chappe-nodes-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL runs as another user
    wanted = only or [*random.Random(chosen.seed).sample(SCENARIOS, len(SCENARIOS)), *LAST]
    try:
        report = Nodes(folder, chosen.rate, chosen.seed).run(wanted)
    finally:
        if chosen.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"seed": chosen.seed} | report, indent=2))
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
