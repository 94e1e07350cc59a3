"""What the database knows about the state of the whole, for whoever watches: queues, binds, doubts, webhooks, standbys.

The same on every node: of several nodes' answers take the largest, not the sum. Each figure costs a bounded look: long
queues are counted up to COUNTED_MAX, which then says "at least".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from chappe.observability.metrics import Metric, Snapshot
from chappe.store.database import Connection, Database
from chappe.store.lanes import CLASSES, LaneClass
from chappe.store.webhook_hosts import ORIGIN_BITS

COUNTED_MAX = 10_000
HOSTS_MAX = 100  # of one account, that are looked at: strangers decide how many there are

GAUGES: dict[str, Metric] = {
    "chappe_database_up": Metric("gauge", "Whether the database answered the questions below."),
    "chappe_lane_waiting": Metric(
        "gauge", f"Messages due and not yet claimed, counted up to {COUNTED_MAX}.", ("carrier",)
    ),
    "chappe_lane_oldest_seconds": Metric("gauge", "Since when the first of them has been due.", ("carrier",)),
    "chappe_in_flight": Metric("gauge", "Messages that a bind has claimed and not accounted for.", ("carrier",)),
    "chappe_binds": Metric(
        "gauge", "Binds that should be there, by state; unowned: nobody drives it.", ("carrier", "state")
    ),
    "chappe_in_doubt": Metric(
        "gauge", f"Messages of which nobody knows whether the carrier has them, up to {COUNTED_MAX}.", ("carrier",)
    ),
    "chappe_receipts_unmatched": Metric(
        "gauge", f"Receipts that wait for their message, up to {COUNTED_MAX}.", ("carrier",)
    ),
    "chappe_quarantined": Metric("gauge", "What carriers gave us and the database refused.", ("carrier",)),
    "chappe_inbound_put_aside": Metric("gauge", "Messages of subscribers that could not be sorted."),
    "chappe_tasks_failing": Metric("gauge", "Tasks of upkeep that failed when they were last tried."),
    "chappe_parts_later": Metric("gauge", "Parts that wait for their time: schedules, sending windows, retries."),
    "chappe_webhooks_waiting": Metric("gauge", f"Webhooks due and not yet told, counted up to {COUNTED_MAX}."),
    "chappe_webhooks_oldest_seconds": Metric("gauge", "Since when the first of them has been due."),
    "chappe_leases_held": Metric(
        "gauge", "Whether somebody does what one process does at a time; worker: how many there are.", ("name",)
    ),
    "chappe_standbys": Metric("gauge", "Standbys of the database, by how commits wait for them.", ("sync_state",)),
    "chappe_clock_offset_seconds": Metric("gauge", "This node's clock less the database's."),
}

# Lanes are found by skipping through the primary key; of each as many rows as are counted at most.
_LANES = """
with recursive lanes as (
    (select lane from outbox order by lane limit 1)
    union all
    select (select o.lane from outbox o where o.lane > l.lane order by o.lane limit 1)
    from lanes l where l.lane is not null
)
select l.lane, c.waiting,
       (select extract(epoch from clock_timestamp() - case when l.lane & 7 = $1::int then to_timestamp(o.key / 1e6)
                                                      else coalesce(s.scheduled_at, s.created_at) end)
        from outbox o join submission s on s.id = o.message_id >> 16 where o.lane = l.lane
        order by o.lane, o.key, o.message_id limit 1)::float8 as oldest_s
from lanes l cross join lateral (
    select count(*) as waiting from (
        select from outbox o where o.lane = l.lane and (l.lane & 7 <> $1::int or o.key <= $2) limit $3) few
) c where l.lane is not null
"""
# The hosts of one account lie side by side: both levels are found by skipping through the primary key.
_WEBHOOKS = f"""
with recursive accounts(account) as (
    (select host >> {ORIGIN_BITS} from webhook order by host limit 1)
    union all
    select (select w.host >> {ORIGIN_BITS} from webhook w where w.host >= (a.account + 1) << {ORIGIN_BITS}
            order by w.host limit 1)
    from accounts a where a.account is not null
), hosts as materialized (
    select h.host, h.key from accounts a cross join lateral (
        with recursive found(host, key) as (
            (select w.host, w.key from webhook w
             where w.host >= a.account << {ORIGIN_BITS} and w.host < (a.account + 1) << {ORIGIN_BITS}
             order by w.host, w.key limit 1)
            union all
            select n.host, n.key from found f cross join lateral (
                select w.host, w.key from webhook w
                where w.host > f.host and w.host < (a.account + 1) << {ORIGIN_BITS} order by w.host, w.key limit 1) n
        ) select host, key from found limit $3
    ) h where a.account is not null
)
select (select count(*) from (
            select from hosts h cross join lateral (
                select from webhook w where w.host = h.host and w.key <= $1 order by w.key limit $2) w limit $2) few
       ) as waiting,
       (select min(key) from hosts) as first_key
"""
# Carriers decide how many of them there are.
_FEW = """
select carrier_id, count(*)::float8 as number from (select carrier_id from {table} limit $1) few group by carrier_id
"""
_STRAYS = """
select c.carrier_id, (select count(*) from (
    select from receipt_unmatched u where u.carrier_id = c.carrier_id limit $2) few)::float8 as number
from unnest($1::int[]) as c(carrier_id)
"""


_BINDS = """
select b.carrier_id, case when b.expires_at < clock_timestamp() then 'unowned' else b.state end as state,
       (count(*) filter (where c.enabled))::float8 as number, sum(cardinality(b.in_flight))::float8 as in_flight
from bind b left join carrier c on c.id = b.carrier_id group by 1, 2
"""
# One number each.
_PLAIN = {
    "chappe_inbound_put_aside": f"select count(*) from (select from inbound where state = 5 limit {COUNTED_MAX}) few",
    "chappe_tasks_failing": "select count(*) from trouble",
    "chappe_parts_later": "select coalesce(sum(parts), 0) from waiting_parts",
}
_LEASES = """
select name, (expires_at >= clock_timestamp())::int as held from lease where name not like 'worker %'
union all
select 'worker', count(*) from lease where name like 'worker %' and expires_at >= clock_timestamp()
"""
_STANDBYS = "select sync_state, count(*) as number from pg_stat_replication where sync_state is not null group by 1"


async def read(database: Database) -> Snapshot:
    """The figures now; raises one of CONNECTION_ERRORS or DatabaseError."""
    async with database.connection() as connection:
        began = datetime.now(UTC)
        now = await connection.fetchval("select clock_timestamp()")
        offset_s = ((began + (datetime.now(UTC) - began) / 2) - now).total_seconds()
        names = {row["id"]: row["name"] for row in await connection.fetch("select id, name from carrier")}
        figures = _Figures(names)
        figures.plain("chappe_database_up", 1.0)
        figures.plain("chappe_clock_offset_seconds", offset_s)
        now_key = int(now.timestamp() * 1_000_000)
        await _read_queues(connection, figures, now_key)
        await _read_carriers(connection, figures, list(names))
        for name, question in _PLAIN.items():
            figures.plain(name, float(await connection.fetchval(question)))
        for row in await connection.fetch(_LEASES):
            figures.plain("chappe_leases_held", float(row["held"]), row["name"])
        for row in await connection.fetch(_STANDBYS):
            figures.plain("chappe_standbys", float(row["number"]), row["sync_state"])
    return figures.snapshot()


async def _read_queues(connection: Connection, figures: _Figures, now_key: int) -> None:
    """What waits: messages by carrier, and webhooks."""
    for row in await connection.fetch(_LANES, int(LaneClass.WAITING), now_key, COUNTED_MAX):
        figures.add("chappe_lane_waiting", row["lane"] // CLASSES, float(row["waiting"]))
        if row["waiting"]:
            figures.most("chappe_lane_oldest_seconds", row["lane"] // CLASSES, max(row["oldest_s"] or 0.0, 0.0))
    webhooks = await connection.fetchrow(_WEBHOOKS, now_key, COUNTED_MAX, HOSTS_MAX)
    assert webhooks is not None
    figures.plain("chappe_webhooks_waiting", float(webhooks["waiting"]))
    behind_s = (now_key - webhooks["first_key"]) / 1e6 if webhooks["first_key"] is not None else 0.0
    figures.plain("chappe_webhooks_oldest_seconds", max(behind_s, 0.0))


async def _read_carriers(connection: Connection, figures: _Figures, carrier_ids: Sequence[int]) -> None:
    """What carriers have of ours, and what we have of theirs that is not settled."""
    for row in await connection.fetch(_BINDS):
        if row["number"]:  # those of a carrier that is gone or disabled are nobody's business
            figures.add("chappe_binds", row["carrier_id"], row["number"], row["state"])
        figures.add("chappe_in_flight", row["carrier_id"], row["in_flight"])
    for name, table in (("chappe_in_doubt", "uncertain"), ("chappe_quarantined", "quarantine")):
        for row in await connection.fetch(_FEW.format(table=table), COUNTED_MAX):
            figures.add(name, row["carrier_id"], row["number"])
    for row in await connection.fetch(_STRAYS, carrier_ids, COUNTED_MAX):
        figures.add("chappe_receipts_unmatched", row["carrier_id"], row["number"])


class _Figures:
    """Gathers gauges; those of a carrier begin at nought, so that a queue that is empty says so."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names
        self._values: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in GAUGES}
        for name, row in GAUGES.items():
            if row.labels == ("carrier",):
                self._values[name] = {(carrier,): 0.0 for carrier in names.values()}

    def plain(self, name: str, value: float, *labels: str) -> None:
        self._values[name][labels] = value

    def add(self, name: str, carrier_id: int, value: float, *labels: str) -> None:
        key = (self._names.get(carrier_id, "none"), *labels)
        self._values[name][key] = self._values[name].get(key, 0.0) + value

    def most(self, name: str, carrier_id: int, value: float) -> None:
        key = (self._names.get(carrier_id, "none"),)
        self._values[name][key] = max(self._values[name].get(key, 0.0), value)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            "", {name: [(list(key), value) for key, value in series.items()] for name, series in self._values.items()}
        )


def nothing_known() -> Snapshot:
    """The figures while the database does not answer."""
    return Snapshot("", {"chappe_database_up": [([], 0.0)]})
