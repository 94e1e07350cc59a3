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
from nodes_cluster import BINDS, OPENING_MICROS, WINDOW
from nodes_load import Harvest, Load, longest_gap_s, text
from nodes_troubles import LAST, SCENARIOS, Troubles, hold

PRICE_MICROS = 38_000
ANSWER_S_MAX = 36.0  # no customer waits longer for an answer, whatever is cut
ACCEPT_GAP_S_MAX = 25.0  # nor are all customers refused for longer
PHONE_GAP_S_MAX = 45.0


class Nodes(Troubles):
    """One run."""

    def __init__(self, folder: Path, rate: float, seed: int) -> None:
        super().__init__(folder, rate, seed)
        self.happened: list[dict[str, Any]] = []

    def run(self, wanted: list[str]) -> dict[str, Any]:
        try:
            self._build()
            return self._storm(wanted)
        finally:
            self.lan.close()

    # -- the storm and the count

    def _storm(self, wanted: list[str]) -> dict[str, Any]:
        harvest = Harvest(f"http://{self.smsc.address('open')}:8025")
        load = Load(self.balancer, self.key, self.rate)
        try:
            hold(3.0)
            for name in wanted:
                began = time()
                found: Callable[[], str] = getattr(self, name)
                print(f"{name}...", end=" ", file=sys.stderr, flush=True)
                machine = found()
                self._calm()
                self.happened.append({"what": name, "who": machine, "began": began, "ended": time()})
                print(f"{machine}, {time() - began:.1f} s", file=sys.stderr, flush=True)
            hold(2.0)
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
