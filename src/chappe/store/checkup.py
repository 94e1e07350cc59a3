"""What the database says of itself, and what is to be said about that: settings, standbys, clocks, sessions, leases.

collect() asks, judge() is pure. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from chappe.store import demo, notices, troubles
from chappe.store.database import Database
from chappe.store.troubles import Trouble

CLOCK_OFFSET_S_MAX = 2.0
TRANSACTION_S_MAX = 60.0
CONNECTIONS_SHARE_MAX = 0.8
CONNECTING_S_MAX = 30.0  # so long a carrier may take to be there after a start
SLOT_BYTES_MAX = 8 * 1024**3

# What our own sessions set for themselves is asked of the server's configuration, the rest as it holds for us.
_SETTINGS = (
    *("fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names", "autovacuum", "data_checksums"),
    *("archive_mode", "max_connections", "log_statement", "log_min_duration_statement", "log_parameter_max_length"),
    *("log_parameter_max_length_on_error", "log_min_error_statement"),
)


class Standby(msgspec.Struct, frozen=True):
    """One standby as the primary sees it."""

    name: str
    state: str
    sync_state: str
    lag_s: float


class CarrierFact(msgspec.Struct, frozen=True):
    """One carrier that is enabled: its binds, how many are bound and how many nobody drives, what is wrong, and for how
    long it has been so."""

    name: str
    binds: int
    bound: int
    unowned: int
    detail: str
    since_s: float


class Facts(msgspec.Struct, frozen=True):
    """What there is. put_aside: messages of subscribers that could not be sorted; quarantined: what carriers gave us
    and the database refused; slots_bytes: WAL that replication slots without a reader hold back."""

    version: str
    settings: dict[str, str]
    only_reads: bool
    standbys: list[Standby]
    connections: int
    transaction_s: float
    prepared: int
    slots_bytes: int
    leases: dict[str, bool]
    workers: int
    carriers: list[CarrierFact]
    clock_offset_s: float
    put_aside: int = 0
    quarantined: int = 0
    troubles: list[Trouble] = []
    demo: demo.Stored | None = None
    notices: list[notices.Notice] = []


class Finding(msgspec.Struct, frozen=True):
    """One sentence about one thing. bad: what was accepted can be lost, or nothing works; warning: will hurt; note:
    as it may be meant."""

    grade: Literal["good", "note", "warning", "bad"]
    about: str
    sentence: str


async def collect(database: Database) -> Facts:
    """Asks; raises one of CONNECTION_ERRORS or DatabaseError."""
    began = datetime.now(UTC)
    async with database.connection() as connection:
        now = await connection.fetchval("select clock_timestamp()")
        ended = datetime.now(UTC)
        rows = await connection.fetch("select name, setting from pg_settings where name = any ($1)", list(_SETTINGS))
        standbys = await connection.fetch(
            """select coalesce(application_name, '') as name, coalesce(state, 'unknown') as state,
                      coalesce(sync_state, 'unknown') as sync_state,
                      coalesce(extract(epoch from replay_lag), 0)::float8 as lag_s
               from pg_stat_replication order by 1"""
        )
        row = await connection.fetchrow(
            """select pg_is_in_recovery() as only_reads, current_setting('server_version') as version,
                      (select count(*) from pg_stat_activity where backend_type = 'client backend') as connections,
                      (select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8
                       from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
                      ) as transaction_s,
                      (select count(*) from pg_prepared_xacts where database = current_database()) as prepared,
                      (select coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::bigint
                       from pg_replication_slots where not active and not pg_is_in_recovery()) as slots_bytes,
                      (select count(*) from lease
                       where name like 'worker %' and expires_at >= clock_timestamp()) as workers,
                      (select count(*) from inbound where state = 5) as put_aside,
                      (select count(*) from quarantine) as quarantined"""
        )
        carriers = await connection.fetch(
            """select c.name, count(b.slot) as binds,
                      count(*) filter (where b.state = 'bound' and b.expires_at >= clock_timestamp()) as bound,
                      count(*) filter (where b.expires_at < clock_timestamp()) as unowned,
                      coalesce((array_agg(b.detail order by b.state_at desc) filter (where b.detail <> ''))[1], '')
                          as detail,
                      coalesce(extract(epoch from clock_timestamp() - max(b.state_at)), 0)::float8 as since_s
               from carrier c left join bind b on b.carrier_id = c.id where c.enabled group by c.id order by c.name"""
        )
        leases = await connection.fetch(
            """select name, expires_at >= clock_timestamp() as held from lease
               where name not like 'worker %' order by 1"""
        )
    return Facts(
        **dict(row),
        settings={found["name"]: found["setting"] for found in rows},
        standbys=[Standby(**dict(standby)) for standby in standbys],
        leases={lease["name"]: lease["held"] for lease in leases},
        carriers=[CarrierFact(**dict(carrier)) for carrier in carriers],
        troubles=await troubles.read(database),
        clock_offset_s=((began + (ended - began) / 2) - now).total_seconds(),
        demo=await demo.read(database),
        notices=await notices.every(database),
    )


def judge(facts: Facts) -> list[Finding]:
    """What is to be said, in the order of the questions; pure."""
    return [finding for question in _QUESTIONS for finding in question(facts)]


def _role(facts: Facts) -> list[Finding]:
    if facts.only_reads:
        return [Finding("bad", "server", f"PostgreSQL {facts.version} is a standby: it can only be read")]
    return [Finding("good", "server", f"PostgreSQL {facts.version}, a primary")]


def _durability(facts: Facts) -> list[Finding]:
    found = []
    for name, sentence in (
        ("fsync", "what was accepted can be lost, and the database with it, when the machine stops"),
        ("full_page_writes", "a page half written when the machine stops cannot be mended"),
    ):
        if facts.settings.get(name) == "off":
            found.append(Finding("bad", name, f"is off: {sentence}"))
    if facts.settings.get("synchronous_commit") == "off":
        found.append(Finding("bad", "synchronous_commit", "is off: the last accepted messages are lost in a crash"))
    if facts.settings.get("data_checksums") == "off":
        found.append(Finding("note", "data_checksums", "are off: a failing disk is noticed late"))
    return found or [Finding("good", "durability", "an answer comes after the disk has it")]


def _replication(facts: Facts) -> list[Finding]:
    names = facts.settings.get("synchronous_standby_names", "")
    if facts.only_reads:
        return []
    found = []
    waited_for = [standby for standby in facts.standbys if standby.sync_state in ("sync", "quorum")]
    unknown = any(standby.sync_state == "unknown" for standby in facts.standbys)
    if not names:
        sentence = "commits wait for no standby: should this machine be lost, so is what it accepted last"
        found.append(Finding("note", "synchronous_standby_names", sentence))
    elif facts.settings.get("synchronous_commit") == "local":
        found.append(Finding("bad", "synchronous_commit", "is local: the standbys named are not waited for"))
    elif unknown:
        sentence = "this role may not see how standbys follow: grant pg_monitor to it"
        found.append(Finding("note", "standbys", sentence))
    elif not waited_for:
        sentence = f"commits wait for {names}, and no such standby is there: nothing is accepted until one is"
        found.append(Finding("bad", "synchronous_standby_names", sentence))
    else:
        listed = ", ".join(standby.name for standby in waited_for)
        found.append(Finding("good", "standbys", f"commits wait for {listed}"))
    found += [
        Finding("warning", "standbys", f"{standby.name} is {standby.lag_s:.0f} s behind")
        for standby in facts.standbys
        if standby.lag_s > TRANSACTION_S_MAX
    ]
    if facts.settings.get("archive_mode") == "off":
        sentence = "is off: no restore to a moment of yesterday; a base backup alone is as old as it is"
        found.append(Finding("note", "archive_mode", sentence))
    return found


def _growth(facts: Facts) -> list[Finding]:
    found = []
    if facts.settings.get("autovacuum") == "off":
        found.append(Finding("bad", "autovacuum", "is off: the queue's tables grow without end"))
    if facts.transaction_s > TRANSACTION_S_MAX:
        sentence = f"one is open for {facts.transaction_s:.0f} s: nothing deleted since then can be cleaned away"
        found.append(Finding("warning", "transactions", sentence))
    if facts.prepared:
        sentence = f"{facts.prepared} are prepared and not ended: they hold locks and dead rows for ever"
        found.append(Finding("warning", "transactions", sentence))
    if facts.slots_bytes > SLOT_BYTES_MAX:
        sentence = f"one without a reader holds {facts.slots_bytes / 1024**3:.0f} GiB back: the disk will be full"
        found.append(Finding("warning", "replication slots", sentence))
    return found


def _sessions(facts: Facts) -> list[Finding]:
    most = int(facts.settings.get("max_connections", "100"))
    words = f"{facts.connections} of {most} are in use; a node needs about 20 for each process"
    grade: Literal["good", "warning"] = "warning" if facts.connections > most * CONNECTIONS_SHARE_MAX else "good"
    return [Finding(grade, "connections", words)]


def _privacy(facts: Facts) -> list[Finding]:
    """Statements in the server's log hold numbers and texts, where their parameters are written too."""
    get = facts.settings.get
    traced = get("log_statement", "none") != "none" or get("log_min_duration_statement", "-1") != "-1"
    found = []
    if traced and get("log_parameter_max_length", "-1") != "0":
        sentence = "statements are logged with their values: numbers and texts; set log_parameter_max_length = 0"
        found.append(Finding("warning", "log", sentence))
    if get("log_parameter_max_length_on_error", "0") != "0":
        sentence = "failed statements are logged with their values; set log_parameter_max_length_on_error = 0"
        found.append(Finding("warning", "log", sentence))
    return found


def _clock(facts: Facts) -> list[Finding]:
    offset_s = facts.clock_offset_s
    if abs(offset_s) <= CLOCK_OFFSET_S_MAX:
        return [Finding("good", "clock", f"this machine's and the database's differ by {abs(offset_s) * 1000:.0f} ms")]
    sentence = (
        f"this machine is {abs(offset_s):.1f} s {'ahead of' if offset_s > 0 else 'behind'} the database: sending "
    )
    return [
        Finding("warning", "clock", sentence + "windows and schedules follow the machine; run an NTP client on both")
    ]


def _work(facts: Facts) -> list[Finding]:
    if not facts.workers:
        return [Finding("bad", "workers", "no server runs that delivers: start chappe serve")]
    idle = [name for name, held in facts.leases.items() if not held]
    if not facts.leases or idle:
        return [Finding("warning", "workers", f"nobody does {' and '.join(idle) or 'any work'}: is a worker up?")]
    return [Finding("good", "workers", f"{facts.workers} at work")]


def _carriers(facts: Facts) -> list[Finding]:
    """Each carrier; it is bad when none of them can send."""
    if not facts.workers:
        return []  # nobody drives them, which has been said
    up = [carrier for carrier in facts.carriers if carrier.bound]
    found = []
    for carrier in facts.carriers:
        if not carrier.bound:
            young = carrier.since_s < CONNECTING_S_MAX
            grade: Literal["warning", "bad"] = "bad" if not up and not young else "warning"
            why = f": {carrier.detail}" if carrier.detail else ""
            found.append(Finding(grade, "carrier", f"{carrier.name} is down since {_span(carrier.since_s)}{why}"))
        elif carrier.bound < carrier.binds:
            words = f"{carrier.name} has {carrier.bound} of {carrier.binds} binds"
            words += f", and nobody drives {carrier.unowned}" if carrier.unowned else ""
            found.append(Finding("warning", "carrier", words))
    if not facts.carriers:
        found.append(Finding("note", "carrier", "there is none: messages wait for one"))
    return found or [Finding("good", "carriers", f"{', '.join(carrier.name for carrier in up)} can send")]


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _failures(facts: Facts) -> list[Finding]:
    """Faults of ours that were told, stored, and did no more harm."""
    found = [
        Finding(
            "warning",
            "upkeep",
            f"the task {one.task} fails since {one.since:%Y-%m-%d %H:%M} UTC, {one.times} times: {one.error}; "
            "the log has the traceback (upkeep_failed)",
        )
        for one in facts.troubles
    ]
    if facts.put_aside:
        words = f"{facts.put_aside} messages of subscribers could not be sorted: the log says why (inbound_put_aside)"
        found.append(Finding("warning", "replies", f"{words}; they are tried again when a worker starts"))
    if facts.quarantined:
        words = f"{facts.quarantined} things that carriers gave us were refused by the database and are kept"
        found.append(Finding("warning", "quarantine", f"{words}: chappe carrier list says of whom"))
    return found


def _demo(facts: Facts) -> list[Finding]:
    """Whose messages end on the phones of the demo."""
    found = facts.demo
    if found is None or not found.running:
        return []
    if found.everyone:
        sentence = "the messages of every account go to its phones: nothing leaves this machine"
    else:
        sentence = "the demo account's messages go to its phones, everybody else's to the other carriers"
    return [Finding("note", "demo", sentence)]


def _proxy(facts: Facts) -> list[Finding]:
    """Requests that came through a proxy which is not declared."""
    return [
        Finding(
            "warning",
            "proxy",
            f"requests came through one that is not declared ({one.detail}, last {one.last_at:%Y-%m-%d %H:%M} UTC): "
            "customers' addresses are not known; name it in trusted_proxies",
        )
        for one in facts.notices
        if one.name == notices.UNDECLARED_PROXY
    ]


_QUESTIONS: tuple[Callable[[Facts], list[Finding]], ...] = (
    *(
        _role,
        _durability,
        _replication,
        _growth,
        _sessions,
        _privacy,
        _clock,
        _work,
        _carriers,
        _failures,
        _demo,
        _proxy,
    ),
)
