"""The figures of the whole say what is in the database, also where there is nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from shop import opened

from chappe.carriers import MessageIn
from chappe.embedded.server import ConnectionParameters
from chappe.store import carriers, gauges, inbound, quarantine, troubles, waiting
from chappe.store.gauges import GAUGES, read
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of

pytestmark = pytest.mark.asyncio


def figures(snapshot: gauges.Snapshot) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        name: {tuple(key): value for key, value in series if not isinstance(value, list)}
        for name, series in snapshot.counts.items()
    }


@pytest.mark.every_postgres
async def test_an_empty_installation_has_figures_too(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        found = figures(await read(shop.database))
    assert found["chappe_database_up"] == {(): 1.0}
    assert found["chappe_webhooks_waiting"] == {(): 0.0}
    assert found["chappe_webhooks_oldest_seconds"] == {(): 0.0}
    assert found["chappe_lane_waiting"] == {}
    assert abs(found["chappe_clock_offset_seconds"][()]) < 5.0
    assert set(found) == set(GAUGES)


async def test_queues_binds_doubts_and_webhooks_are_seen(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database) as shop:
        red, blue = await shop.carrier("red"), await shop.carrier("blue")
        account = await shop.account("alice")
        now = datetime.now(UTC)
        hour_ago = now - timedelta(hours=1)
        await shop.messages(account, 5, now=hour_ago)
        await shop.database.execute("update outbox set lane = $1", lane(red, LaneClass.TRANSACTIONAL))
        numbers = await shop.messages(account, 3, now=now)
        place = lane(blue, LaneClass.WAITING)
        for number, key in zip(numbers, (key_of(hour_ago), key_of(now + timedelta(hours=1)), 1 << 62), strict=True):
            await shop.database.execute(
                "update outbox set lane = $1, key = $2 where message_id = $3", place, key, number
            )
        await shop.database.execute(
            """insert into bind (carrier_id, slot, state, expires_at, in_flight) values
               ($1, 0, 'bound', 'infinity', '{1,2}'), ($1, 1, 'bound', '-infinity', '{3}'),
                      ($2, 0, 'down', 'infinity', '{}')
               on conflict (carrier_id, slot) do update set
               state = excluded.state, expires_at = excluded.expires_at, in_flight = excluded.in_flight""",
            red,
            blue,
        )
        await shop.database.execute(
            "insert into uncertain (message_id, carrier_id, recipient, since) values (1, $1, '', now())", red
        )
        await shop.database.execute(
            """insert into webhook (host, key, id, message_id, at, state)
               select h, $1::bigint + n * 1000000, n, n, now(), 6
               from generate_series(1, 4) n, unnest('{7,9}'::int[]) h""",
            key_of(now - timedelta(seconds=100)),
        )
        await shop.database.execute(
            "insert into lease values ('notify', 'me', 1, 'infinity'), ('old', 'x', 1, '-infinity'),"
            " ('worker a', 'a', 1, 'infinity'), ('worker b', 'b', 1, 'infinity'), ('worker c', 'c', 1, '-infinity')"
        )
        found = figures(await read(shop.database))
        monkeypatch.setattr(gauges, "COUNTED_MAX", 2)
        capped = figures(await read(shop.database))
    assert found["chappe_lane_waiting"] == {("red",): 5.0, ("blue",): 1.0}
    assert found["chappe_lane_oldest_seconds"][("red",)] == pytest.approx(3600, abs=60)
    assert found["chappe_lane_oldest_seconds"][("blue",)] == pytest.approx(3600, abs=60)
    assert found["chappe_binds"] == {("red", "bound"): 1.0, ("red", "unowned"): 1.0, ("blue", "down"): 1.0}
    assert found["chappe_in_flight"] == {("red",): 3.0, ("blue",): 0.0}
    assert found["chappe_in_doubt"] == {("red",): 1.0, ("blue",): 0.0}
    assert found["chappe_webhooks_waiting"] == {(): 8.0}
    assert found["chappe_webhooks_oldest_seconds"][()] == pytest.approx(99, abs=20)
    assert found["chappe_leases_held"] == {("notify",): 1.0, ("old",): 0.0, ("worker",): 2.0}
    assert capped["chappe_lane_waiting"][("red",)] == 2.0
    assert capped["chappe_webhooks_waiting"] == {(): 2.0}


async def test_what_strangers_decide_how_much_there_is_costs_a_bounded_look(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts of one account, rows that wait for a retry, receipts that nobody waits for."""
    monkeypatch.setattr(gauges, "HOSTS_MAX", 5)
    monkeypatch.setattr(gauges, "COUNTED_MAX", 10)
    async with opened(database) as shop:
        red, now = await shop.carrier("red"), datetime.now(UTC)
        for account, hosts, key in ((1, 4_000, now + timedelta(hours=1)), (2, 3, now - timedelta(seconds=50))):
            await shop.database.execute(
                """insert into webhook (host, key, id, message_id, at, state)
                   select ($1::bigint << 32) + n, $2, $1 * 10000 + n, n, now(), 6 from generate_series(1, $3::int) n""",
                account,
                key_of(key),
                hosts,
            )
        await shop.database.execute(
            """insert into receipt_unmatched (carrier_id, carrier_ref, receipt_id, received_at)
               select $1, 'x' || n, n, now() from generate_series(1, 4000) n""",
            red,
        )
        await shop.database.execute("analyze webhook")
        async with shop.database.connection() as connection:
            plan = await connection.fetch(
                f"explain (analyze, format text) {gauges._WEBHOOKS}", key_of(now), 10, gauges.HOSTS_MAX
            )
        found = figures(await read(shop.database))
    rows = [
        int(line[0].split("actual")[1].split("rows=")[1].split()[0].split(".")[0])
        for line in plan
        if "actual" in line[0]
    ]
    assert max(rows) < 50, "\n".join(line[0] for line in plan)
    assert found["chappe_webhooks_waiting"] == {(): 3.0}
    assert found["chappe_webhooks_oldest_seconds"][()] == pytest.approx(50, abs=20)
    assert found["chappe_receipts_unmatched"] == {("red",): 10.0}


async def test_binds_of_carriers_that_are_gone_or_disabled_ring_nobody(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        red, _ = await shop.carrier("red", binds=2), await shop.carrier("blue")
        bind = await shop.bind(red)
        await shop.messages(await shop.account())
        assert len(await bind.turn(1)) == 1
        await carriers.remove(shop.database, "red")
        await shop.database.execute("update bind set expires_at = '-infinity'")
        await shop.database.execute("update carrier set enabled = false")
        found = figures(await read(shop.database))
    assert found["chappe_binds"] == {}
    assert found["chappe_in_flight"] == {("none",): 1.0, ("blue",): 0.0}, "what it held is not forgotten"


async def test_what_was_put_aside_what_fails_and_what_waits_is_counted(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        red = await shop.carrier("red")
        account = await shop.account()
        await shop.messages(account, 3, parts=2, scheduled_at=datetime.now(UTC) + timedelta(days=1))
        await waiting.fold(shop.database)
        await troubles.note(shop.database, "release", "KeyError")
        async with shop.database.transaction() as tx:
            rows = [MessageIn(0, "33600000001", "36111", b"x", b"k")]
            (number,) = await inbound.store_inbound(tx, red, rows, [datetime.now(UTC)])
            await inbound.mark(tx, [number], inbound.PUT_ASIDE, "could not be sorted: KeyError")
        await quarantine.keep(shop.database, datetime.now(UTC), red, "receipt", [], "error", b"raw")
        found = figures(await read(shop.database))
    assert found["chappe_inbound_put_aside"] == {(): 1.0}
    assert found["chappe_tasks_failing"] == {(): 1.0}
    assert found["chappe_parts_later"] == {(): 6.0}
    assert found["chappe_quarantined"] == {("red",): 1.0}
