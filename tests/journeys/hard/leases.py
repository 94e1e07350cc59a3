"""Scenarios about who may do what: two workers and one bind, transactions that somebody else holds open, slow roads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from urllib.parse import quote

import asyncpg
from program import CHAPPE, lives, until
from road import Road
from stage import ENVIRONMENT, LOGIN, OTHER_LOGIN, WINDOW, Scenario, Stage

from chappe.embedded import server


def database_url(stage: Stage) -> str:
    """A URL of the embedded database, as another process on this machine can use it."""

    async def ask() -> str:
        async with server.attach(stage.program.data) as found:
            given = found.arguments()
        password = quote(given["password"], safe="")
        return f"postgresql://{given['user']}:{password}@/{given['database']}?host={given['host']}&port={given['port']}"

    return asyncio.run(ask())


@contextlib.contextmanager
def other_worker(stage: Stage) -> Iterator[None]:
    """Another node that only works, on the same database. A node that is not alone tells webhooks to this machine's
    addresses only where its operator allows them, and either node may have the task of telling."""
    allowed = {"CHAPPE_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8", "CHAPPE_DATABASE_URL": database_url(stage)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHAPPE_")}
    with (stage.folder / "other.out").open("ab") as log:
        other = subprocess.Popen(
            [str(CHAPPE), "serve", "--roles", "work", "--data", str(stage.folder / "other")],
            env=kept | ENVIRONMENT | allowed,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
        stage.check(other.poll() is None, "the other node has ended")
    finally:
        other.terminate()
        other.wait(40)


def two_workers(stage: Stage) -> None:
    """The worker stands still for longer than its lease, another takes its bind over, and the first wakes up."""
    stage.start()
    stage.doubts_max = 2 * WINDOW
    stage.network.misbehave(latency_ms=100, latency_jitter_ms=100)
    with other_worker(stage):
        load = stage.load(300, 20.0).start()
        load.reached(0.1)
        until(lambda: stage.value("select cardinality(in_flight) > 0 and owner <> '' from bind"), "something in flight")
        (owner,) = (row["owner"] for row in stage.rows("select owner from bind"))
        first = int(owner.rsplit(":", 2)[1])  # whoever has it: either node may
        token = stage.value("select token from bind")
        os.kill(first, signal.SIGSTOP)
        stopped_at = monotonic()
        try:
            until(lambda: stage.value("select owner from bind") != owner, "the bind to be taken over", 30.0)
            stage.notes["taken_over_s"] = round(monotonic() - stopped_at, 1)
            stage.pause(1.0, 2.0)
        finally:
            os.kill(first, signal.SIGCONT)
        load.join()
        stage.settle()
        stage.check(stage.value("select token from bind") > token, "the lease has no newer token")
        stage.check(lives(first), "the worker that stood still did not survive it")


# -- transactions of others


@contextlib.contextmanager
def held(stage: Stage, *statements: str) -> Iterator[None]:
    """Somebody's transaction that has run these statements and stays open, idle, without any limit."""
    ready, over = threading.Event(), threading.Event()

    async def hold() -> None:
        async with server.attach(stage.program.data) as found:
            connection = await asyncpg.connect(**found.arguments(), server_settings={"application_name": "somebody"})
            try:
                await connection.execute("set idle_in_transaction_session_timeout = 0")
                await connection.execute("begin isolation level repeatable read")
                for statement in statements:
                    await connection.execute(statement)
                ready.set()
                await asyncio.to_thread(over.wait)
            finally:
                await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    try:
        assert ready.wait(30)
        yield
    finally:
        over.set()
        thread.join()


def locked_account(stage: Stage) -> None:
    """Somebody locks one account's balance, while money has to go back to it: other accounts do not notice."""
    stage.start()
    stage.network.misbehave(receipt_outcome="rejected", receipt_delay_ms=2000)
    early = stage.load(5, 50.0, login=OTHER_LOGIN, name="early", report_url="").run()
    until(lambda: stage.value("select count(*) from reference") >= len(early.accepted), "these to be submitted")
    stage.network.misbehave()
    stage.allowed.add("500 500")
    other = f"(select id from account where login = '{OTHER_LOGIN}')"
    with held(stage, f"select from balance where account_id = {other} for update"):
        late = stage.load(5, 5.0, login=OTHER_LOGIN, name="late", clients=2).start()
        load = stage.load(240, 20.0).run()
        stage.notes["slowest_s"] = round(load.slowest_s, 2)
        stage.check(len(load.accepted) == load.messages, "others were refused")
        stage.check(load.slowest_s < 3.0, f"others waited {load.slowest_s:.1f} s")
        until(lambda: len(stage.shown(load)) == load.messages, "the messages of others to arrive", 10.0)
    late.join()
    refunds = "select count(*) from ledger_entry where kind = 2"
    until(lambda: stage.value(refunds) == len(early.accepted), "the money to go back", 20.0)


def held_snapshot(stage: Stage) -> None:
    """Somebody's transaction holds a snapshot while thousands of messages pass through the queue."""
    stage.start()
    stage.program.command("account", "set", LOGIN, "reports_waiting=off")
    with held(stage, "select count(*) from message"):
        load = stage.load(6000, 400.0, report_url="", clients=16).run()
        stage.settle()
        dead = "select n_dead_tup from pg_stat_user_tables where relname = 'outbox'"
        stage.notes["dead_in_queue"] = until(lambda: stage.value(dead), "statistics", 10.0)
        began = monotonic()
        last = stage.load(20, 1000.0, name="last", report_url="").run()
        until(lambda: len(stage.shown(last)) == last.messages, "the last to arrive", 20.0)
        stage.notes["last_twenty_s"] = round(monotonic() - began, 2)
        stage.check(load.slowest_s < 3.0, f"somebody waited {load.slowest_s:.1f} s")
        stage.check(monotonic() - began < 5.0, "the queue has become slow")


GONE = 200_000  # as after some minutes of all that two cores can do


def held_queues(stage: Stage) -> None:
    """Somebody keeps what went through every queue in minutes: all goes on as quickly, and nearly as cheaply."""
    stage.start()
    stage.load(10, 100.0, name="first").run()
    stage.settle()
    with held(stage, "select count(*) from message"):
        asyncio.run(_passed(stage, GONE))
        stage.pause(4.0, 6.0)  # whoever looks has noticed
        before_s = _processor_s(stage)
        load = stage.load(300, 30.0).run()
        stage.check(load.slowest_s < 3.0, f"somebody waited {load.slowest_s:.1f} s")
        until(lambda: len(stage.reports.told("hard")) == load.messages, "the reports", 20.0)
        delays = sorted(stage.reports.delivered_at["hard", n] - at for n, at in load.accepted_at.items())
        stage.notes["reports_s"] = {"p50": round(delays[len(delays) // 2], 2), "max": round(delays[-1], 2)}
        stage.check(delays[-1] < 5.0, f"a report came after {delays[-1]:.1f} s")
        stage.notes["postgres_ms_a_message"] = round((_processor_s(stage) - before_s) * 1000 / load.messages, 1)


def _processor_s(stage: Stage) -> float:
    """What the processes of PostgreSQL that serve our connections have taken; they live as long as the connections."""
    ticks = 0
    for pid in stage.backends():
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def _passed(stage: Stage, count: int) -> None:
    """Has so many rows come to the head of each queue and leave it: to where the first load was sent and reported."""
    async with server.attach(stage.program.data) as found:
        connection = await asyncpg.connect(**found.arguments(), server_settings={"application_name": "passed"})
        try:
            async with connection.transaction():
                await connection.execute(
                    f"""insert into webhook (host, key, id, message_id, at, state)
                            select (select min(report_host) from submission), i, -i, 0, now(), 6
                            from generate_series(1, {count}) i;
                        delete from webhook where id < 0;
                        insert into outbox (lane, key, message_id)
                            select (select min(id) from carrier) * 8 + case i % 4 when 3 then 7 else i % 4 end, i, 0
                            from generate_series(1, {count}) i;
                        delete from outbox where message_id = 0;
                        insert into receipt_unmatched
                            select (select min(id) from carrier), 'gone ' || i, i, now()
                            from generate_series(1, {count}) i;
                        delete from receipt_unmatched where carrier_ref like 'gone %'"""
                )
        finally:
            await connection.close()


# -- slow roads


def dribbling_clients(stage: Stage) -> None:
    """Customers whose requests come octet by octet, and to whom the answers go octet by octet."""
    stage.start()
    with Road(stage.program.port, stage.chance) as road:
        road.octet_s = 0.002
        slow = stage.load(24, 100.0, name="slow", port=road.port)
        slow.start()
        stage.load(100, 30.0).run()
        slow.join()
        stage.notes["slowest_s"] = round(slow.slowest_s, 1)


def dribbling_carrier(stage: Stage) -> None:
    """Every PDU comes and goes octet by octet."""
    stage.start({"response_timeout_s": 30, "enquire_link_interval_s": 30, "partial_pdu_timeout_s": 10})
    stage.road.octet_s = 0.0005
    stage.load(60, 30.0).run()


SCENARIOS: dict[str, Scenario] = {
    "two-workers": two_workers,
    "locked-account": locked_account,
    "held-snapshot": held_snapshot,
    "held-queues": held_queues,
    "dribble-http": dribbling_clients,
    "dribble-smpp": dribbling_carrier,
}
