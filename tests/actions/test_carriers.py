"""Carriers and routes: what is refused before it is stored, and changes that leave the rest alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from chappe.actions import accounts, carrier_views
from chappe.actions import carriers as actions
from chappe.actions.carriers import CarrierMisuse, build_settings, change_settings
from chappe.core.carrier_config import Carrier, CarrierSettings
from chappe.core.model import AccountSettings
from chappe.embedded.server import ConnectionParameters
from chappe.store.binds import BindView
from chappe.store.database import Address, Database
from chappe.store.operator import LaneLength

BASE: dict[str, Any] = {"host": "smsc.example", "port": 2775, "system_id": "us", "password": "sesame"}
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest_asyncio.fixture
async def opened(database: ConnectionParameters) -> AsyncIterator[Database]:
    found = Database(Address(**database.arguments()))
    await found.open()
    yield found
    await found.close()


def test_what_is_not_given_comes_from_the_profile() -> None:
    wide = build_settings(**BASE, profile_names="wide")
    assert (wide.window, wide.rate, wide.binds) == (20, 2000, 10)
    assert build_settings(**BASE, profile_names="wide", window=3, rate=0, binds=1).window == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"host": "a b"},
        {"port": 0},
        {"system_id": ""},
        {"system_id": "é"},
        {"system_id": "x" * 65},
        {"password": "é"},
        {"password": "x" * 65},
        {"window": 10_001},
        {"rate": -1.0},
        {"rate": float("nan")},
        {"binds": 65},
        {"profile_names": "none"},
        {"settings": {"long_method": "pigeon"}},
        {"settings": {"binds": "2"}},
        {"profile_names": "smpp33", "settings": {"long_method": "sar"}},
    ],
)
def test_a_carrier_that_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CarrierMisuse) as raised:
        build_settings(**{**BASE, **wrong})
    assert "sesame" not in str(raised.value)


ADDRESSES = [
    # host, port, what is stored
    ("smpp.example.com:2775", None, ("smpp.example.com", 2775)),
    ("smpp.example.com:2775", 2775, ("smpp.example.com", 2775)),
    ("127.0.0.1:3550", None, ("127.0.0.1", 3550)),
    ("[::1]:2775", None, ("::1", 2775)),
    ("[::1]", 2775, ("::1", 2775)),
    ("::1", 2775, ("::1", 2775)),
    ("2001:db8::2775", 1, ("2001:db8::2775", 1)),
    ("smpp.example.com:2775", 3550, "names another port"),
    ("smpp.example.com", None, "missing option --port"),
    ("::1", None, "missing option --port"),
    ("smpp.example.com:0", None, "1 to 65535"),
    ("smpp.example.com:9999999", None, "1 to 65535"),
    ("smpp.example.com:", 2775, "no host name"),
    ("smpp://smpp.example.com:2775", 2775, "no host name"),
    ("smpp.example.com:port", 2775, "no host name"),
    (":2775", None, "no host name"),
    ("user@smpp.example.com", 2775, "no host name"),
]


@pytest.mark.parametrize(("host", "port", "stored"), ADDRESSES)
def test_a_host_may_be_written_with_its_port(host: str, port: int | None, stored: object) -> None:
    def read() -> list[tuple[str, int]]:
        added = build_settings(**{**BASE, "host": host, "port": port})
        after = change_settings(build_settings(**BASE), [f"host={host}", *([f"port={port}"] if port else [])])
        return [(added.host, added.port), (after.host, after.port)]

    if isinstance(stored, str):
        with pytest.raises(CarrierMisuse, match=stored):
            read()
    else:
        assert read() == [stored, stored]


def test_a_host_without_a_port_keeps_the_port() -> None:
    assert change_settings(build_settings(**BASE), ["host=other.example"]).port == 2775
    assert change_settings(build_settings(**BASE), ["host=other.example:3550"]).port == 3550


@pytest.mark.parametrize("octets", [1, 15, 16, 64])
def test_names_and_passwords_as_long_as_carriers_hand_them_out_are_taken(octets: int) -> None:
    given = build_settings(**{**BASE, "system_id": "s" * octets, "password": "p" * octets})
    assert (given.system_id, given.password) == ("s" * octets, "p" * octets)
    words = [f"system_id={'t' * octets}", f"password={'q' * octets}", f"system_type={'v' * octets}"]
    after = change_settings(given, [*words, f"address_range={'r' * octets}", f"service_type={'u' * octets}"])
    assert (after.system_id, after.password) == ("t" * octets, "q" * octets)
    assert after.settings == {
        "system_type": "v" * octets,
        "address_range": "r" * octets,
        "service_type": "u" * octets,
    }


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["port=3550"], "port", 3550),
        (["rate_per_s=20.5"], "rate", 20.5),
        (["System-Id=them"], "system_id", "them"),
        (
            ["tls=yes", "tls_server_name=x.example"],
            "settings",
            {"long_method": "sar", "tls": "yes", "tls_server_name": "x.example"},
        ),
        (["long_method="], "settings", {}),
        (["profile=smpp33", "long_method=udh8"], "profile", "smpp33"),
    ],
)
def test_words_change_a_carrier(words: list[str], field: str, value: object) -> None:
    before = build_settings(**BASE, settings={"long_method": "sar"})
    after = change_settings(before, words)
    assert getattr(after, field) == value


@pytest.mark.parametrize("words", [[], ["port"], ["port=x"], ["port=1", "port=2"], ["prt=1"], ["profile=smpp33"]])
def test_words_that_cannot_be_used_change_nothing(words: list[str]) -> None:
    with pytest.raises(CarrierMisuse):
        change_settings(build_settings(**BASE, settings={"long_method": "sar"}), words)


@pytest.mark.asyncio
async def test_changes_at_the_same_time_lose_none(opened: Database) -> None:
    await actions.add(opened, "main", build_settings(**BASE))
    await asyncio.gather(
        *(actions.change(opened, "main", [f"{knob}=5"]) for knob in ("parts_max", "esm_class_mode", "port")),
        return_exceptions=True,
    )
    carrier = await actions.get(opened, "main")
    assert (carrier.settings.port, carrier.settings.settings) == (5, {"parts_max": "5"})  # esm_class_mode ends at 3


@pytest.mark.asyncio
async def test_accounts_changed_at_the_same_time_lose_none(opened: Database) -> None:
    await accounts.create(opened, "shop", "k" * 32, AccountSettings())
    words = [f"price.{prefix}=1" for prefix in range(1, 9)]
    await asyncio.gather(*(accounts.change(opened, "shop", [word]) for word in words))
    assert len((await accounts.get(opened, "shop")).settings.prices) == 8


@pytest.mark.asyncio
async def test_of_debits_at_the_same_time_none_goes_below_zero(opened: Database) -> None:
    await accounts.create(opened, "shop", "k" * 32, AccountSettings(), 3_000_000)
    debits = (accounts.credit(opened, "shop", -1_000_000) for _ in range(6))
    outcomes = await asyncio.gather(*debits, return_exceptions=True)
    assert sum(isinstance(outcome, accounts.AccountError) for outcome in outcomes) == 3
    assert (await accounts.get(opened, "shop")).balance_micros == 0
    assert await opened.value("select sum(amount_micros) from ledger_entry") == 0


@pytest.mark.asyncio
async def test_receipts_of_probes_that_workers_got_wait_for_nothing_and_others_go_on_waiting(opened: Database) -> None:
    red = await actions.add(opened, "red", build_settings(**BASE))
    blue = await actions.add(opened, "blue", build_settings(**BASE))
    waiting = [
        (red, "0000001A2F", 1, NOW),  # a probe's, as the carrier writes it in hexadecimal
        (red, "6703", 2, NOW),  # the same, in decimal
        (red, "6703", 3, NOW - timedelta(minutes=1)),  # older than the probe: the carrier uses ids again
        (red, "6704", 4, NOW),
        (blue, "6703", 5, NOW),
    ]
    for carrier, reference, receipt, at in waiting:
        await opened.execute(
            "insert into receipt_unmatched values ($1, $2, $3, $4)", carrier.id, reference, receipt, at
        )
    await actions.forget_probes(opened, red, [], NOW)
    assert await opened.value("select count(*) from receipt_unmatched") == 5
    await actions.forget_probes(opened, red, ["0000001A2F"], NOW)
    rows = await opened.fetch("select receipt_id from receipt_unmatched order by 1")
    assert [row["receipt_id"] for row in rows] == [3, 4, 5]


@pytest.mark.asyncio
async def test_a_route_that_exists_gets_the_new_priority(opened: Database) -> None:
    await actions.add(opened, "main", build_settings(**BASE))
    first = await actions.add_route(opened, "main", "33", "premium", 1)
    second = await actions.add_route(opened, "main", "+33", "premium", 7)
    assert (first.id, second.priority) == (second.id, 7)


def _bind(state: str, *, alive: bool = True) -> BindView:
    return BindView(1, 0, "worker", state, "", NOW, alive, 3, {})


ALARMS = [
    ([_bind("bound")], [], 1, 0, []),
    ([_bind("bound", alive=False)], [], 1, 0, ["no process drives its binds"]),
    ([_bind("down")], [], 1, 0, ["no bind is up"]),
    ([_bind("refused")], [], 1, 0, ["no bind is up", "refuses our credentials"]),
    ([_bind("paused"), _bind("bound")], [], 1, 0, ["paused"]),
    ([_bind("bound")], [], 0, 0, ["no route leads here"]),
    ([_bind("bound")], [LaneLength(1, 0, 5, NOW - timedelta(minutes=7))], 1, 0, ["waiting for 7 minutes"]),
    ([_bind("bound")], [LaneLength(1, 7, 5, NOW - timedelta(minutes=7))], 1, 0, []),
    ([_bind("bound")], [], 1, 2, ["2 messages are in doubt"]),
]


@pytest.mark.parametrize(("bind_views", "lengths", "routes", "doubts", "alarms"), ALARMS)
def test_alarms_say_what_calls_for_attention(
    bind_views: list[BindView], lengths: list[LaneLength], routes: int, doubts: int, alarms: list[str]
) -> None:
    carrier = Carrier(1, "main", "smpp", CarrierSettings("h", 1, "s", "p"), True)
    shown = carrier_views.view(carrier, bind_views, lengths, [None] * routes, doubts, 0, NOW)  # type: ignore[list-item]
    assert len(shown.alarms) == len(alarms), shown.alarms
    assert all(any(alarm in told for told in shown.alarms) for alarm in alarms)


def shown(kind: str = "smpp", **settings: str) -> carrier_views.CarrierView:
    carrier = Carrier(1, "main", kind, CarrierSettings("127.0.0.1", 1, "s", "p", settings=settings), True)
    return carrier_views.view(carrier, [], [], [], 0, 0, NOW)


@pytest.mark.parametrize(
    ("settings", "lacks"),
    [
        ({}, []),
        ({"registered_delivery_single": "0", "multipart_policy": "any"}, ["no receipts"]),
        ({"mode": "tx"}, ["no replies"]),
        ({"mode": "tx", "receipts_on_tx": "no"}, ["no receipts", "no replies"]),
        ({"validity_format": "none"}, ["until when"]),
        ({"long_method": "pigeon"}, []),  # settings of another version: another alarm says so
    ],
)
def test_what_a_carrier_cannot_do_is_noted(settings: dict[str, str], lacks: list[str]) -> None:
    notes = shown(**settings).notes
    assert len(notes) == len(lacks)
    assert all(lack in note for lack, note in zip(lacks, notes, strict=True))


def test_options_of_a_kind_that_nobody_here_knows_are_not_shown() -> None:
    view = shown("pigeon", token="hush")
    assert (view.kind, view.settings, view.learnt, view.notes) == ("pigeon", {"token": "***"}, {}, [])
    assert "hush" not in repr(view)


@pytest.mark.parametrize("kind", ["pigeon", "smp", ""])
def test_a_kind_that_does_not_exist_is_refused(kind: str) -> None:
    with pytest.raises(CarrierMisuse, match="unknown kind"):
        build_settings(**BASE, kind=kind)
    with pytest.raises(CarrierMisuse, match="unknown kind"):
        change_settings(build_settings(**BASE), ["window=3"], kind)


@pytest.mark.asyncio
async def test_a_carrier_does_not_become_one_of_another_kind(opened: Database) -> None:
    await actions.add(opened, "main", build_settings(**BASE))
    await opened.execute("update carrier set kind = 'pigeon'")
    with pytest.raises(actions.CarrierError, match="of the kind pigeon"):
        await actions.replace(opened, "main", build_settings(**BASE))
    with pytest.raises(CarrierMisuse, match="unknown kind"):
        await actions.change(opened, "main", ["window=3"])
