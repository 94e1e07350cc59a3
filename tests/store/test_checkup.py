"""What is said about a database: each unsafe setting has its sentence, and a safe one has none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from shop import opened

from chappe.embedded.server import ConnectionParameters
from chappe.store import carriers
from chappe.store.checkup import CarrierFact, Facts, Standby, collect, judge
from chappe.store.troubles import Trouble

SINCE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
AWAY = CarrierFact("acme", 2, 0, 0, "cannot connect: no such host", 600.0)
SAFE = Facts(
    version="18.0",
    settings={
        "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on",
        "synchronous_standby_names": "FIRST 1 (db2)", "autovacuum": "on", "archive_mode": "on",
        "max_connections": "100", "log_statement": "none", "log_min_duration_statement": "-1",
        "log_parameter_max_length": "-1", "log_parameter_max_length_on_error": "0", "log_min_error_statement": "error",
    },
    only_reads=False,
    standbys=[Standby("db2", "streaming", "sync", 0.0)],
    connections=40,
    transaction_s=0.1,
    prepared=0,
    slots_bytes=0,
    leases={"notify": True, "upkeep": True},
    workers=1,
    carriers=[CarrierFact("acme", 2, 2, 0, "", 3600.0)],
    clock_offset_s=0.001,
)  # fmt: skip


def test_nothing_is_said_against_a_safe_database() -> None:
    assert {finding.grade for finding in judge(SAFE)} == {"good"}


def setting(**values: str) -> dict[str, Any]:
    return {"settings": SAFE.settings | values}


@pytest.mark.parametrize(
    ("changes", "grade", "about", "words"),
    [
        (setting(fsync="off"), "bad", "fsync", "can be lost"),
        (setting(full_page_writes="off"), "bad", "full_page_writes", "half written"),
        (setting(synchronous_commit="off"), "bad", "synchronous_commit", "lost in a crash"),
        (setting(synchronous_commit="local"), "bad", "synchronous_commit", "not waited for"),
        (setting(synchronous_standby_names=""), "note", "synchronous_standby_names", "wait for no standby"),
        ({"standbys": []}, "bad", "synchronous_standby_names", "nothing is accepted"),
        (
            {"standbys": [Standby("x", "streaming", "async", 0.0)]},
            "bad",
            "synchronous_standby_names",
            "no such standby",
        ),
        ({"standbys": [Standby("x", "unknown", "unknown", 0.0)]}, "note", "standbys", "pg_monitor"),
        ({"standbys": [Standby("db2", "streaming", "sync", 300.0)]}, "warning", "standbys", "300 s behind"),
        ({"only_reads": True}, "bad", "server", "standby"),
        (setting(data_checksums="off"), "note", "data_checksums", "late"),
        (setting(archive_mode="off"), "note", "archive_mode", "yesterday"),
        (setting(autovacuum="off"), "bad", "autovacuum", "without end"),
        ({"transaction_s": 600.0}, "warning", "transactions", "600 s"),
        ({"prepared": 1}, "warning", "transactions", "prepared"),
        ({"slots_bytes": 20 * 1024**3}, "warning", "replication slots", "20 GiB"),
        ({"connections": 95}, "warning", "connections", "95 of 100"),
        (setting(log_statement="all"), "warning", "log", "log_parameter_max_length = 0"),
        (setting(log_min_duration_statement="0"), "warning", "log", "numbers and texts"),
        (setting(log_parameter_max_length_on_error="-1"), "warning", "log", "on_error"),
        ({"clock_offset_s": 90.0}, "warning", "clock", "ahead"),
        ({"clock_offset_s": -90.0}, "warning", "clock", "behind"),
        ({"leases": {}}, "warning", "workers", "any work"),
        ({"leases": {"notify": True, "upkeep": False}}, "warning", "workers", "upkeep"),
        ({"workers": 0}, "bad", "workers", "chappe serve"),
        ({"workers": 0, "carriers": [AWAY]}, "bad", "workers", "chappe serve"),
        ({"carriers": [AWAY]}, "bad", "carrier", "acme is down since 10 min: cannot connect: no such host"),
        ({"carriers": [AWAY, msgspec.structs.replace(AWAY, name="b", bound=1, binds=1)]}, "warning", "carrier", "acme"),
        ({"carriers": [msgspec.structs.replace(AWAY, since_s=5.0, detail="")]}, "warning", "carrier", "down since 5 s"),
        (
            {"carriers": [CarrierFact("acme", 2, 1, 1, "", 9.0)]},
            "warning",
            "carrier",
            "1 of 2 binds, and nobody drives 1",
        ),
        ({"carriers": []}, "note", "carrier", "there is none"),
        ({"put_aside": 3}, "warning", "replies", "3 messages"),
        ({"quarantined": 2}, "warning", "quarantine", "2 things"),
        ({"troubles": [Trouble("release", "KeyError", 7, SINCE, SINCE)]}, "warning", "upkeep", "release fails since"),
    ],
)
def test_what_is_not_safe_is_said_once(changes: dict[str, Any], grade: str, about: str, words: str) -> None:
    found = [finding for finding in judge(msgspec.structs.replace(SAFE, **changes)) if finding.grade != "good"]
    assert [(finding.grade, finding.about) for finding in found] == [(grade, about)]
    assert words in found[0].sentence


def test_statements_without_their_values_may_be_logged() -> None:
    facts = msgspec.structs.replace(SAFE, **setting(log_statement="all", log_parameter_max_length="0"))
    assert {finding.grade for finding in judge(facts)} == {"good"}


@pytest.mark.asyncio
@pytest.mark.every_postgres
async def test_a_real_database_answers_every_question(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.carrier("red")
        facts = await collect(shop.database)
    assert set(facts.settings) == set(SAFE.settings)
    grades = {finding.about: finding.grade for finding in judge(facts)}
    assert grades["durability"] == "good" or grades["data_checksums"] == "note"
    assert grades["synchronous_standby_names"] == "note"
    assert grades["workers"] == "bad"
    assert [(one.name, one.binds, one.bound, one.unowned) for one in facts.carriers] == [("red", 1, 0, 1)]


@pytest.mark.asyncio
async def test_a_carrier_that_is_gone_leaves_no_bind_behind(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.carrier("red", binds=3)
        await shop.carrier("blue")
        await carriers.remove(shop.database, "red")
        assert await shop.database.value("select count(*) from bind") == 1
        facts = await collect(shop.database)
        assert [one.name for one in facts.carriers] == ["blue"]
