"""A scenario's stage: the real program, a network of phones behind a road, customers' web servers, and a reckoning.

Each scenario has its own copy of an installation that was made once, so that nothing of one is left for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from hooks import Reports
from load import BY_SENDER, Load
from program import CHAPPE, READY_S, Answer, Phones, Program, ask, children, free_port, lives, until
from road import Road

PRICE_MICROS = 38_000
OPENING_MICROS = 10_000_000_000
LOGIN, OTHER_LOGIN = "steady", "other"
AWAY = "500 500"  # the dialect's answer while nothing can be stored: nothing was accepted
WINDOW = 20
# Short timers, so that a scenario takes seconds; what they mean is the same.
KNOBS = {
    "response_timeout_s": 1.5,
    "uncertain_grace_s": 1,
    "bind_timeout_s": 2,
    "enquire_link_interval_s": 2,
    "partial_pdu_timeout_s": 3,
    "reconnect_delay_s_min": 0.2,
    "reconnect_delay_s_max": 1,
    "already_bound_delay_s": 1,
    "throttle_pause_s": 0.3,
}


class Network:
    """`chappe smsc` with a journal: it can be killed, and remembers its messages and the receipts that it owes."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._http_port = free_port()
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def phones(self) -> Phones:
        return Phones(f"http://127.0.0.1:{self._http_port}")

    def start(self) -> Network:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CHAPPE_")}
        where = ["--port", str(self.port), "--http-port", str(self._http_port)]
        with (self._folder / "smsc.out").open("ab") as log:
            self.process = subprocess.Popen(
                [str(CHAPPE), "smsc", *where, "--journal", str(self._folder / "smsc.journal")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=kept,
                start_new_session=True,
            )
        until(self.answers, "the network to answer", READY_S)
        return self

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self._folder / "smsc.out").read_text()
        with contextlib.suppress(OSError, http.client.HTTPException):
            return ask(f"{self.phones.url}/handset/messages?limit=1").status == 200
        return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def misbehave(self, **switches: Any) -> None:
        """Puts chaos switches in force; without any all is well again."""
        url = f"{self.phones.url}/handset/chaos"
        if not switches:
            assert ask(url, "DELETE").status in (200, 204)
            return
        answer = ask(url, "POST", json.dumps(switches).encode(), {"Content-Type": "application/json"})
        assert answer.status == 200, answer


class Skipped(Exception):
    """This machine cannot show it."""


class Stage:
    """What a scenario acts on. wrong: what it found that must not be; notes: figures of its own for the report."""

    def __init__(self, folder: Path, template: Template, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.wrong: list[str] = []
        self.notes: dict[str, Any] = {}
        self.allowed: set[str] = set()  # answers that are right besides yes
        self.doubts_max = 0
        self.reckoned: dict[str, Any] | None = None  # by a scenario whose stage does not last until the end
        self.settle_s = 60.0
        self.loads: list[Load] = []
        self.keys = template.keys
        self.network = Network(folder)
        self.networks = [self.network]
        self.reports = Reports()
        self.road: Road
        self._stack = contextlib.ExitStack()
        self.program = Program(folder / "var", environment=ENVIRONMENT)

    # -- setting up and taking down

    def __enter__(self) -> Stage:
        try:
            self._stack.callback(self.reports.close)
            self._stack.callback(self.network.stop)
            self.network.start()
            self.road = self._stack.enter_context(Road(self.network.port, self.chance))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add_network(self) -> Network:
        """The network of one more carrier, started. What its phones show counts as well."""
        folder = self.folder / f"network-{len(self.networks)}"
        folder.mkdir()
        network = Network(folder)
        self._stack.callback(network.stop)
        self.networks.append(network)
        return network.start()

    def start(self, knobs: Mapping[str, object] | None = None, *, window: int = WINDOW, rate: float = 0) -> Program:
        """Starts the program, and gives it a carrier at the end of the road."""
        self._stack.callback(self.stop_program)
        self.program.start()
        self.add_carrier(knobs or {}, window, rate)
        return self.program

    def stop_program(self) -> None:
        for load in self.loads:
            load.stop()
        if self.program.process is not None and self.program.process.poll() is None:
            self.program.stop()

    def add_carrier(
        self,
        knobs: Mapping[str, object],
        window: int = WINDOW,
        rate: float = 0,
        *,
        name: str = "operator",
        port: int = 0,
        prefix: str = "33",
    ) -> None:
        """Adds a carrier with a route for a prefix, at the end of the road unless a port is given."""
        settings = [word for name, value in (KNOBS | dict(knobs)).items() for word in ("--set", f"{name}={value}")]
        self.program.command(
            "carrier", "add", name, "--host", "127.0.0.1", "--port", str(port or self.road.port), "--system-id", "us",
            "--password", "secret", "--window", str(window), *(["--rate", str(rate)] if rate else []), *settings,
        )  # fmt: skip
        self.program.command("route", "add", "--carrier", name, "--prefix", prefix)
        self.until_bound(name)

    def until_bound(self, name: str = "operator", timeout_s: float = 30.0) -> None:
        def bound() -> bool:
            return bool(
                self.rows(
                    "select true from bind join carrier on carrier.id = carrier_id"
                    f" where name = '{name}' and state = 'bound' and expires_at > clock_timestamp()"
                )
            )

        until(bound, f"the carrier {name} to be bound", timeout_s)

    def load(self, messages: int, rate: float, **more: Any) -> Load:
        """A load by the first account, with reports to our own web server, not begun."""
        more = {"report_url": self.reports.url, "ready": self.program.is_ready, "name": "hard"} | more
        key = self.keys[more.pop("login", LOGIN)]
        made = Load(more.pop("port", self.program.port), key, messages, rate, **more)
        self.loads.append(made)
        self._stack.callback(made.stop)
        return made

    # -- looking

    def rows(self, statement: str) -> list[dict[str, Any]]:
        return asyncio.run(self.program.rows(statement))

    def value(self, statement: str) -> Any:
        (row,) = self.rows(statement)
        return next(iter(row.values()))

    def check(self, holds: object, words: str) -> None:
        """Notes what does not hold."""
        if not holds:
            self.wrong.append(words)

    def pause(self, low_s: float, high_s: float) -> None:
        """The scenario's own time: how long a trouble lasts, or how long after something it comes."""
        threading.Event().wait(self.chance.uniform(low_s, high_s))

    def backends(self) -> list[int]:
        """The processes of PostgreSQL that serve our connections."""
        postmaster = self.program.parts().get("postgres")
        if postmaster is None:
            return []
        return [pid for pid, words in children(postmaster) if words.startswith("postgres: chappe")]

    def kill_process(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not lives(pid), "a killed process to be gone")

    # -- the reckoning

    def shown(self, load: Load) -> Counter[int]:
        """How often the phones show each message of a load."""
        found: Counter[int] = Counter()
        pages = itertools.product(self.networks, range(0, load.messages, BY_SENDER))
        for network, first in pages:
            url = f"{network.phones.url}/handset/messages?limit=1000&from={load.sender(first)}"
            answer = until(functools.partial(_answered, url), "the phones to answer", 60.0)
            numbers = (load.number_of(message["text"]) for message in answer.json())
            found.update(number for number in numbers if number is not None)
        return found

    def unsettled(self) -> int:
        """What still has to happen. Policy sends a message in doubt once more; after a second doubt it is held."""
        return int(
            self.value(
                """select (select count(*) from outbox)
                        + (select count(*) from uncertain u join message m on m.id = u.message_id where m.doubts < 2)
                        + (select coalesce(sum(cardinality(in_flight)), 0) from bind)"""
            )
        )

    def held(self, load: Load) -> set[int]:
        """The messages of a load of which it is said that nobody knows, after a second doubt."""
        rows = self.rows(
            """select s.text from uncertain u join submission s on s.id = u.message_id >> 16
               join message m on m.id = u.message_id where m.doubts > 1"""
        )
        return {number for row in rows if (number := load.number_of(row["text"])) is not None}

    def _missing_reports(self) -> int:
        missing = 0
        for load in self.loads:
            if load.report_url == self.reports.url:
                told = self.reports.told(load.name)
                missing += len(load.accepted.keys() - told - self.held(load))
        return missing

    def _is_done(self) -> bool:
        if any(load.accepted.keys() - self.shown(load).keys() - self.held(load) for load in self.loads):
            return False
        return not self.unsettled() and not self._missing_reports()

    def settle(self) -> float:
        """Waits until everything has finished, at most settle_s; gives how long that took."""
        began = monotonic()
        with contextlib.suppress(AssertionError):
            until(self._is_done, "the end of all messages", self.settle_s)
        return monotonic() - began

    def reckon(self) -> dict[str, Any]:
        """The counts. lost: accepted, and on no phone. twice: shown more than once though never in doubt."""
        settled_s = self.settle()
        doubted = self._doubted()
        report: Counter[str] = Counter()
        answers: Counter[str] = Counter()
        for load in self.loads:
            shown = self.shown(load)
            wanted = set(load.accepted)
            repeated = {number for number, count in shown.items() if count > 1}
            unsure = {n for n in shown if load.text(n) in doubted}
            held = self.held(load)
            answers.update(load.refused)
            report.update(
                asked=load.begun,
                accepted=len(wanted),
                unanswered=len(load.unanswered),
                refused=len(load.refused),
                delivered=len(wanted & set(shown)),
                lost=len(wanted - set(shown) - held),
                held=len(held),
                twice=len(repeated - unsure),
                in_doubt=len({load.number_of(t) for t in doubted} - {None}),
                twice_in_doubt=len(repeated & unsure),
                refused_yet_sent=len(load.refused_numbers & set(shown)),
                unanswered_yet_sent=len(load.unanswered & set(shown)),
            )
        money = self._money()
        reports_missing = self._missing_reports()
        wrong = [
            *self.wrong,
            *(name for name in ("lost", "twice", "refused_yet_sent") if report[name]),
            *(["too many in doubt"] if report["in_doubt"] > self.doubts_max else []),
            *(["reports missing"] if reports_missing else []),
            *(["money"] if not money["right"] else []),
            *(["answers"] if set(answers) - self.allowed else []),
            *(["unsettled"] if self.unsettled() else []),
            *(["tracebacks"] if self.program.tracebacks else []),
            *(["nothing accepted"] if not report["accepted"] else []),
        ]
        return {
            "wrong": wrong,
            **{name: report[name] for name in COUNTS},
            "answers": dict(answers),
            "reports_missing": reports_missing,
            "reports_posted": self.reports.calls,
            "money": money,
            "settled_s": round(settled_s, 1),
            "notes": self.notes,
            "tracebacks": self.program.tracebacks[:3],
        }

    def _doubted(self) -> set[str]:
        rows = self.rows("select s.text from message m join submission s on s.id = m.id >> 16 where m.doubts > 0")
        return {row["text"] for row in rows}

    def _money(self) -> dict[str, Any]:
        """Balances and ledger of all accounts, and whether they and the counts say the same."""
        accepted = sum(len(load.accepted) for load in self.loads)
        unsure = sum(len(load.unanswered) for load in self.loads)
        (row,) = self.rows(
            """select (select sum(balance_micros) from balance)::bigint as balance,
                      (select sum(amount_micros) from ledger_entry)::bigint as ledger,
                      (select coalesce(-sum(amount_micros), 0) from ledger_entry where kind = 1)::bigint as charged,
                      (select coalesce(sum(amount_micros), 0) from ledger_entry where kind = 2)::bigint as refunded,
                      (select coalesce(sum(amount_micros), 0) from ledger_entry where kind = 3)::bigint as credited,
                      (select count(*) from submission) as submissions"""
        )
        row["right"] = (
            row["balance"] == row["ledger"] == row["credited"] - row["charged"] + row["refunded"]
            and row["charged"] == row["submissions"] * PRICE_MICROS
            and accepted <= row["submissions"] <= accepted + unsure
        )
        return row


COUNTS = (
    "asked", "accepted", "refused", "unanswered", "delivered", "lost", "in_doubt", "twice_in_doubt", "held", "twice",
    "refused_yet_sent", "unanswered_yet_sent",
)  # fmt: skip

ENVIRONMENT = {"CHAPPE_WEBHOOK_TIMEOUT_S": "1.5"}


class Template:
    """An installation with two accounts, made once and copied for each scenario."""

    def __init__(self, folder: Path) -> None:
        self._program = Program(folder / "var", environment=ENVIRONMENT)
        self.keys: dict[str, str] = {}
        self._make()

    def _make(self) -> None:
        balance = f"{OPENING_MICROS / 1_000_000:.3f}"
        with self._program as program:
            self.keys = {login: program.account(login, balance=balance) for login in (LOGIN, OTHER_LOGIN)}

    def copy(self, folder: Path) -> None:
        subprocess.run(["cp", "-a", self._program.data, folder / "var"], check=True)


def _answered(url: str) -> Answer | None:
    try:
        answer = ask(url)
    except (OSError, http.client.HTTPException):
        return None
    return answer if answer.status == 200 else None


Scenario = Callable[[Stage], None]

__all__ = ["AWAY", "LOGIN", "OTHER_LOGIN", "Network", "Program", "Scenario", "Sequence", "Skipped", "Stage", "Template"]
