"""Does a message cost more when many are stored? The same loads at 10^4 to 10^7, by process.

At each size the store has been vacuumed and a checkpoint has just been made: from then on the first change of each page
writes all of it into the log, so that a load begins at the dearest moment of the cycle. What upkeep does a minute
later (conversations, sums of costs) counts as well, less what a gateway at rest takes.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import history
from chappe_gateway import LOGIN, Chappe
from instruments import Load
from processes import BenchError, pass_time
from session import Run, Session

if TYPE_CHECKING:
    from chappe.store.database import Connection

COMPANIES: Final = 50
KINDS: Final = ("plain", "receipts")
TIMES: Final = 3  # of each kind at each size
REST_S: Final = 10.0
# PostgreSQL's processes tell their figures at the latest after ten seconds without work.
FIGURES_TOLD_S: Final = 11.0
FOLLOWED_TIMEOUT_S: Final = 300.0
PROGRESS: Final = "growth.json"  # in the folder of the round, for a run that goes on where another ended
_COUNTERS: Final = """
select (select to_jsonb(w) from pg_stat_wal w) as wal,
       (select to_jsonb(d) from pg_stat_database d where datname = current_database()) as database,
       (select jsonb_object_agg(relname, jsonb_build_array(heap_blks_read, idx_blks_read, heap_blks_hit, idx_blks_hit))
        from pg_statio_user_tables) as tables
"""
_NAMES: Final = """
select pid, case backend_type when 'client backend' then application_name else backend_type end from pg_stat_activity
"""
COUNTED: Final = {
    "wal_bytes": "wal",
    "wal_fpi": "wal",
    "wal_records": "wal",
    "blks_hit": "database",
    "blks_read": "database",
}


def measure(session: Session, sizes: Sequence[int], messages: int) -> Run | None:
    """The loads at each size, in this order; None for gateways but Chappe."""
    gateway = session.gateway
    if not isinstance(gateway, Chappe):
        return None
    progress = session.folder / PROGRESS
    done: dict[str, dict[str, Any]] = json.loads(progress.read_text()) if progress.exists() else {}
    gateway.create_accounts({f"company-{number}": f"key-of-the-company-{number:06d}" for number in range(COMPANIES)})
    for size in sizes:
        if str(size) in done:
            continue
        began = time.monotonic()
        there = asyncio.run(_fill(gateway.data, size))
        fill_s = time.monotonic() - began
        if there > 1.5 * size:
            raise BenchError(f"{there:,} messages are stored already, and {size:,} were never measured")
        done[str(size)] = _at(session, gateway, messages) | {"fill_s": round(fill_s, 1), "stored": there}
        progress.write_text(json.dumps(done, indent=1))
        print(f"    {size:>12,} stored: {_short(done[str(size)])}", flush=True)
    return _run({size: done[str(size)] for size in sizes})


async def _connected(data: Path, *, superuser: bool = False) -> Connection:
    """A connection of our own to the database that the gateway runs."""
    from msgspec.structs import replace

    from chappe.cli.installation import configuration, reached
    from chappe.embedded import data_directory
    from chappe.embedded.server import SUPERUSER
    from chappe.store.database import connect

    async with reached(configuration(data, None)) as address:
        if superuser:
            passwords = data_directory.read_passwords(data / data_directory.CLUSTER_NAME)
            address = replace(address, user=SUPERUSER, password=passwords[SUPERUSER], database="postgres")
        return await connect(address, name="chappe bench")


async def _fill(data: Path, size: int) -> int:
    connection, superuser = await _connected(data), await _connected(data, superuser=True)
    try:
        accounts = await connection.fetch(
            "select id from account where login = $1 or login like 'company-%' order by id", LOGIN
        )
        carrier_id: int = await connection.fetchval("select id from carrier where name = 'bench'")
        there = await history.fill(connection, size, [row["id"] for row in accounts], carrier_id)
        await history.settle(connection, superuser)
        return there
    finally:
        await connection.close()
        await superuser.close()


async def _asked(data: Path, question: str) -> list[Any]:
    connection = await _connected(data)
    try:
        return list(await connection.fetch(question))
    finally:
        await connection.close()


def _counters(data: Path) -> dict[str, float]:
    """What PostgreSQL has counted since its beginning; by table what was not in its memory and what was."""
    pass_time(FIGURES_TOLD_S)
    row = asyncio.run(_asked(data, _COUNTERS))[0]
    read = {name: json.loads(row[name]) for name in ("wal", "database", "tables")}
    found = {name: float(read[view][name]) for name, view in COUNTED.items()}
    for table, (heap_read, index_read, heap_hit, index_hit) in read["tables"].items():
        found[f"read {table}"] = float((heap_read or 0) + (index_read or 0))
        found[f"hit {table}"] = float((heap_hit or 0) + (index_hit or 0))
    return found


def _at(session: Session, gateway: Chappe, messages: int) -> dict[str, Any]:
    """All runs at the present size: medians of them, by message; what PostgreSQL counts is of all together."""
    rest = session.rest(REST_S)
    rest_s = session.watch.usage.processor_s / session.watch.usage.seconds
    found: dict[str, Any] = {"rest_percent": rest.figures["processor_percent"], "counts": {}, "kinds": {}}
    before = _counters(gateway.data)
    for kind in KINDS:
        runs = []
        for _ in range(TIMES):
            run = session.measured(kind, Load(50, messages), receipts=kind == "receipts", again_max=0)
            assert run is not None
            for name, number in run.counts.items():
                found["counts"][name] = found["counts"].get(name, 0) + number
            names = dict(asyncio.run(_asked(gateway.data, _NAMES)))
            runs.append({"figures": run.figures, "microseconds": _by_part(session.watch.spent, names, messages)})
        after = _counters(gateway.data)
        found["kinds"][kind] = _medians(runs) | {"taken": _taken(before, after, messages * TIMES), "runs": runs}
        before = after
    sent = messages * TIMES * len(KINDS)
    found["behind"] = _behind(session, gateway, rest_s, sent)
    found["behind"]["taken"] = _taken(before, _counters(gateway.data), sent)
    return found


def _taken(before: dict[str, float], after: dict[str, float], messages: int) -> dict[str, float]:
    """What was counted, by message; what is nothing is left out."""
    return {name: round((value - before.get(name, 0.0)) / messages, 3) for name, value in after.items()
            if value != before.get(name, 0.0)}  # fmt: skip


def _behind(session: Session, gateway: Chappe, rest_s: float, messages: int) -> dict[str, Any]:
    """What upkeep does with these messages when they are a minute old."""
    with session.watching() as watch:
        end = time.monotonic() + FOLLOWED_TIMEOUT_S
        while asyncio.run(_asked(gateway.data, _BEHIND))[0][0] > 0:
            if time.monotonic() > end:
                raise BenchError(f"upkeep has not followed within {FOLLOWED_TIMEOUT_S:g} s")
            pass_time(2.0)
    spent_s = watch.usage.processor_s - rest_s * watch.usage.seconds
    return {"microseconds": round(1e6 * max(spent_s, 0.0) / messages, 1), "seconds": watch.usage.seconds}


_BEHIND: Final = """
select (select coalesce(max(id), 0) from submission) - (select position from upkeep where name = 'follow')
"""


def _by_part(spent: dict[int, float], names: dict[int, str], messages: int) -> dict[str, float]:
    """Microseconds a message by process."""
    parts: dict[str, float] = {}
    for pid, seconds in spent.items():
        part = f"postgresql {names[pid]}" if pid in names else _program(pid)
        parts[part] = parts.get(part, 0.0) + 1e6 * seconds / messages
    return {part: round(value, 1) for part, value in sorted(parts.items()) if value > 0}


def _program(pid: int) -> str:
    """What a process of ours is: api, work, ...; the postmaster's own time has that of autovacuum's workers in it."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended"
    if "chappe.node.processes" in words:
        return words[words.index("chappe.node.processes") + 1].partition("-")[0]
    return "postmaster and autovacuum" if words[0].endswith("postgres") else "supervisor"


def _medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in ("figures", "microseconds"):
        names = sorted({name for run in runs for name in run[group]})
        found[group] = {name: round(statistics.median(run[group].get(name, 0.0) for run in runs), 2) for name in names}
    return found


def _short(at: dict[str, Any]) -> str:
    words = []
    for kind in KINDS:
        figures, taken = at["kinds"][kind]["figures"], at["kinds"][kind]["taken"]
        words.append(
            f"{kind} {figures['processor_us_per_message']:.0f} us, {taken['wal_bytes']:,.0f} bytes of log, "
            f"{taken.get('wal_fpi', 0):.2f} whole pages, {taken.get('blks_read', 0):.2f} read"
        )
    behind = at["behind"]
    words.append(f"later {behind['microseconds']:.0f} us, {behind['taken']['wal_bytes']:,.0f} bytes")
    return "; ".join(words)


def _cost(at: dict[str, Any], kind: str) -> float:
    return float(at["kinds"][kind]["figures"]["processor_us_per_message"] + at["behind"]["microseconds"])


def _run(done: dict[int, dict[str, Any]]) -> Run:
    """The figures that are shown; everything else is in the JSON."""
    least, most = done[min(done)], done[max(done)]
    run = Run()
    for kind in KINDS:
        run.figures[f"{kind}_growth_percent"] = round(100 * (_cost(most, kind) / _cost(least, kind) - 1), 1)
    run.figures["growth_percent"] = max(run.figures[f"{kind}_growth_percent"] for kind in KINDS)
    for size, at in done.items():
        for kind in KINDS:
            run.figures[f"{kind}_us_at_{size}"] = round(_cost(at, kind), 1)
            run.figures[f"{kind}_log_bytes_at_{size}"] = at["kinds"][kind]["taken"]["wal_bytes"]
        for name, number in at["counts"].items():
            run.counts[name] = run.counts.get(name, 0) + number
    run.detail = {str(size): at for size, at in done.items()}
    return run
