"""A storm: messages under steady load while the program's processes are killed one after the other, and the reckoning.

    python tests/journeys/storm.py --messages 5000 --rate 250 --kills 15 --seed 7

Prints its counts as one JSON document and ends with 1 when anything that was promised does not hold: nothing accepted
is lost, nothing reaches a phone twice but what was in doubt, and the money adds up. The seed decides who dies in which
order; when exactly, the machine does. `make crash` runs the long one; test_crash.py a small one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import http.client
import json
import random
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from program import Answer, Program, ask, until

PARTS = ("api", "work", "handset", "postgres", "serve")
CLIENTS = 8
PRICE_MICROS = 38_000
OPENING_MICROS = 1_000_000_000
WINDOW = 50  # of the demo's carrier: the most that can be in doubt for each death
SETTLE_S = 120.0
RECOVER_S = 60.0
BY_SENDER = 500
LATENCY = {"latency_ms": 100, "latency_jitter_ms": 100}
AWAY = "500 500"  # the honest answer while there is no database: nothing was accepted


class Storm:
    """One run. words of the report: see report()."""

    def __init__(
        self, folder: Path, messages: int, rate: float, kills: int, seed: int, parts: Sequence[str] = PARTS
    ) -> None:
        self.program = Program(folder / "var", demo=True)
        self.messages = messages
        self.rate = rate
        self.order = self._order(kills, random.Random(seed), parts)
        self.accepted: dict[int, int] = {}  # number of the message -> id of its submission
        self.refused: list[str] = []
        self.unanswered: set[int] = set()
        self.killed: Counter[str] = Counter()
        self.key = ""
        self._next = 0
        self._began_at = 0.0
        self._lock = threading.Lock()
        self._progress = threading.Condition(self._lock)
        self._failed = threading.Event()

    @staticmethod
    def _order(kills: int, chance: random.Random, parts: Sequence[str]) -> list[str]:
        """Who dies in turn: each part once before any dies again."""
        order: list[str] = []
        while len(order) < kills:
            order += chance.sample(parts, len(parts))
        return order[:kills]

    def run(self) -> dict[str, Any]:
        """Starts, storms, reckons; the program has ended when it returns or raises."""
        self.program.start()
        try:
            self.key = self.program.account("storm", balance=f"{OPENING_MICROS / 1_000_000:.3f}")
            self._slow_down()
            self._began_at = monotonic()
            clients = [threading.Thread(target=self._client) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            try:
                for number, part in enumerate(self.order, 1):
                    self._wait_for_progress(number * self.messages // (len(self.order) + 1))
                    self._kill(part)
            except BaseException:
                self._failed.set()
                raise
            finally:
                for client in clients:
                    client.join()
            took_s = monotonic() - self._began_at
            self.program.wait_ready()
            return self._reckon(took_s)
        finally:
            self.program.stop()

    # -- the load

    def _client(self) -> None:
        pause = threading.Event()
        connection: http.client.HTTPConnection | None = None
        while not self._failed.is_set():
            with self._progress:
                number = self._next
                if number >= self.messages:
                    break
                self._next += 1
                self._progress.notify_all()
            pause.wait(max(0.0, self._began_at + number / self.rate - monotonic()))  # the pace of the load
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.program.port, timeout=30)
            try:
                if self._send(connection, number):
                    continue
            except (OSError, http.client.HTTPException):
                self.unanswered.add(number)
                connection.close()
                connection = None
            until(lambda: self.program.is_ready() or self._failed.is_set(), "the program to be back", RECOVER_S)
        if connection is not None:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, number: int) -> bool:
        """Whether it was accepted."""
        body = json.dumps(
            {"apiKey": self.key, "phoneNumbers": to(number), "message": text(number), "sender": sender(number)}
        )
        connection.request("POST", "/v1/send", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        with self._lock:
            if response.status == 200:
                self.accepted[number] = answer["message_id"]
            else:
                self.refused.append(f"{response.status} {answer.get('code')}")
        return response.status == 200

    # -- the deaths

    def _wait_for_progress(self, number: int) -> None:
        with self._progress:
            assert self._progress.wait_for(lambda: self._next >= number, RECOVER_S + self.messages / self.rate)

    def _kill(self, part: str) -> None:
        self.program.kill(part)
        self.killed[part] += 1
        if part == "serve":
            self.program.spawn()
            self.program.wait_ready()
        else:
            until(lambda: self.program.parts().get(part), f"another {part} to be there", RECOVER_S)
        if part in ("handset", "serve"):
            self._slow_down()

    def _slow_down(self) -> None:
        """The network takes its time, so that every death finds messages under way: else none is ever in doubt."""
        until(self._slowed, "the handset to take its switches", RECOVER_S)

    def _slowed(self) -> bool:
        body = json.dumps(LATENCY).encode()
        with contextlib.suppress(OSError, http.client.HTTPException):  # the program is not back yet: asked again
            url = f"{self.program.url}/handset/chaos"
            return ask(url, "POST", body, {"Content-Type": "application/json"}).status == 200
        return False

    # -- the reckoning

    def _shown(self) -> Counter[str]:
        """How often the phones show each text; asked sender by sender, since an answer has an end."""
        shown: Counter[str] = Counter()
        for first in range(0, self.messages, BY_SENDER):
            url = f"{self.program.url}/handset/messages?limit={2 * BY_SENDER}&from={sender(first)}"
            # A handset that has just died is away for a moment.
            answer = until(functools.partial(_answered, url), "the phones to answer", RECOVER_S)
            shown.update(message["text"] for message in answer.json())
        return shown

    def _rows(self, statement: str) -> list[dict[str, Any]]:
        return asyncio.run(self.program.rows(statement))

    def _unsettled(self) -> int:
        rows = self._rows(
            """select (select count(*) from outbox) + (select count(*) from uncertain)
                    + (select coalesce(sum(cardinality(in_flight)), 0) from bind) as n"""
        )
        return int(rows[0]["n"])

    def _reckon(self, took_s: float) -> dict[str, Any]:
        """Waits until the queue is empty and all that was accepted is on the phones, then counts."""
        began = monotonic()
        wanted = {text(number) for number in self.accepted}
        while monotonic() - began < SETTLE_S:
            if not self._unsettled() and wanted <= set(self._shown()):
                break
            threading.Event().wait(0.2)  # the pace of looking
        return self.report(took_s, monotonic() - began)

    def report(self, took_s: float, settled_s: float) -> dict[str, Any]:
        """The counts. lost: accepted, and on no phone. twice: shown more than once though never in doubt."""
        shown = self._shown()
        wanted = {text(number): number for number in self.accepted}
        doubts = self._rows(
            "select s.text, s.id from message m join submission s on s.id = m.id >> 16 where m.doubts > 0"
        )
        doubted = {row["text"] for row in doubts}
        repeated = {words for words, count in shown.items() if count > 1}
        lost = sorted(set(wanted) - set(shown))
        twice = sorted(repeated - doubted)
        money = self._money()
        states = self._rows("select state, count(*) as n from message group by state order by state")
        wrong = [
            *(["lost"] if lost else []),
            *(["twice"] if twice else []),
            *(["money"] if not money["right"] else []),
            *(["too many in doubt"] if len(doubted) > WINDOW * max(1, len(self.order)) else []),
            *(["refused"] if set(self.refused) - {AWAY} else []),
            *(["unsettled"] if self._unsettled() else []),
            *(["doubt not shown"] if not all(self._shows_doubt(row["id"]) for row in doubts[:3]) else []),
            *(["tracebacks"] if self.program.tracebacks else []),
        ]
        return {
            "wrong": wrong,
            "asked": self.messages,
            "accepted": len(self.accepted),
            "unanswered": len(self.unanswered),
            "unanswered_delivered": len({text(number) for number in self.unanswered} & set(shown)),
            "refused": dict(Counter(self.refused)),
            "delivered": len(set(wanted) & set(shown)),
            "lost": len(lost),
            "lost_ids": [self.accepted[wanted[words]] for words in lost[:10]],
            "in_doubt": len(doubted),
            "twice_in_doubt": len(repeated & doubted),
            "twice": len(twice),
            "twice_ids": [self.accepted.get(number_of(words)) for words in twice[:10]],
            "states": {str(row["state"]): row["n"] for row in states},
            "money": money,
            "killed": dict(self.killed),
            "order": self.order,
            "tracebacks": self.program.tracebacks[:5],
            "load_s": round(took_s, 1),
            "settled_s": round(settled_s, 1),
        }

    def _shows_doubt(self, submission_id: int) -> bool:
        """Whether `chappe message` tells the operator that this one was in doubt."""
        (told,) = self.program.json("message", str(submission_id))["messages"]
        return told["doubts"] > 0 and any("uncertain" in entry["what"] for entry in told["entries"])

    def _money(self) -> dict[str, Any]:
        """The storm's account: balance, entries by kind, and whether they say the same."""
        (row,) = self._rows(
            """select b.balance_micros as balance, coalesce(sum(l.amount_micros), 0)::bigint as ledger,
                      coalesce(-sum(l.amount_micros) filter (where l.kind = 1), 0)::bigint as charged,
                      coalesce(sum(l.amount_micros) filter (where l.kind = 2), 0)::bigint as refunded,
                      count(*) filter (where l.kind = 1) as charges,
                      (select count(*) from submission s where s.account_id = a.id) as submissions
               from account a join balance b on b.account_id = a.id
               left join ledger_entry l on l.account_id = a.id
               where a.login = 'storm' group by a.id, b.balance_micros"""
        )
        row["right"] = (
            row["balance"] == row["ledger"] == OPENING_MICROS - row["charged"] + row["refunded"]
            and row["charges"] == row["submissions"] >= len(self.accepted)
            and row["charged"] == row["submissions"] * PRICE_MICROS
            and row["submissions"] <= len(self.accepted) + len(self.unanswered)
        )
        return row


def _answered(url: str) -> Answer | None:
    answer = ask(url)
    return answer if answer.status == 200 else None


def text(number: int) -> str:
    return f"storm message {number:06d}"


def sender(number: int) -> str:
    return f"STORM{number // BY_SENDER}"


def number_of(words: str) -> int:
    return int(words.rpartition(" ")[2])


def to(number: int) -> str:
    return f"+3361{number:07d}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=250.0, help="messages a second")
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", default=",".join(PARTS), help="who may die")
    parser.add_argument("--keep", type=Path, help="a folder for data and logs, kept")
    chosen = parser.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="chappe-storm-"))
    folder.mkdir(parents=True, exist_ok=True)
    parts = chosen.parts.split(",")
    if not set(parts) <= set(PARTS):
        parser.error(f"--parts: expected some of {','.join(PARTS)}")
    try:
        report = Storm(folder, chosen.messages, chosen.rate, chosen.kills, chosen.seed, parts).run()
    finally:
        if chosen.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"seed": chosen.seed} | report, indent=2))
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
