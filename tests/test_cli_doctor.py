"""The doctor against the handset SMSC over real sockets, and its advice by tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from chappe import cli_doctor
from chappe.cli_doctor import proposals
from chappe.cli_probe import Findings, PartSent, Probe, Probed, ReceiptSeen
from chappe.core.network import CarrierSettings
from chappe.handset.smsc import Smsc
from chappe.smpp.profile import profile

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CREDENTIALS = ("us", "sesame")


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    smsc = Smsc()
    yield await smsc.start(port=0)
    await smsc.stop()


def _settings(port: int) -> CarrierSettings:
    return CarrierSettings("127.0.0.1", port, *CREDENTIALS)


async def _probe(port: int, *, to: str = "", wait_s: float = 10.0, **knobs: str) -> Findings:
    findings = Findings("127.0.0.1", port)
    probe = Probe(_settings(port), profile(settings=knobs), findings, enquire_link_interval_s=0.05)
    if await probe.look(receive=bool(to)) and to:
        await probe.send(to, "36111", 7, wait_s)
    await probe.close()
    return findings


@pytest.mark.asyncio
async def test_a_look_binds_as_transmitter_and_measures(port: int) -> None:
    found = await _probe(port)
    assert (found.bind_status, found.bind_mode, found.connect_error) == (0, "tx", "")
    assert len(found.enquire_link_ms) >= 3
    assert all(0 < time_ms < 5000 for time_ms in found.enquire_link_ms)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["trx", "tx+rx"])
async def test_probes_are_taken_and_get_their_receipts(port: int, mode: str) -> None:
    found = await _probe(port, to="+33612345678", mode=mode)
    assert [probe.name for probe in found.probes][:2] == ["gsm7", "ucs2"]
    assert {probe.method for probe in found.probes} == {"udh8", "udh16", "sar", "payload"}
    assert all(probe.taken for probe in found.probes)
    for probe in found.probes:
        assert {seen.part for seen in probe.receipts} == {part.part for part in probe.parts}
        assert all(seen.word == "DELIVRD" for seen in probe.receipts)


@pytest.mark.asyncio
async def test_without_tlvs_only_headers_are_tried(port: int) -> None:
    found = await _probe(port, to="+33612345678", tlvs_allowed="no")
    assert {probe.method for probe in found.probes} == {"udh8", "udh16"}


@pytest.mark.asyncio
async def test_nobody_there_is_a_clear_finding() -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hung_up = await _probe(port)
    assert hung_up.bind_error.startswith("the connection ended")
    server.close()
    await server.wait_closed()
    assert (await _probe(port)).connect_error == "Connection refused"


@pytest.mark.asyncio
async def test_a_carrier_that_answers_nothing_ends_in_time() -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()
        ended.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    found = await _probe(server.sockets[0].getsockname()[1], bind_timeout_s="0.1", unbind_timeout_s="0.1")
    assert found.bind_error == "no answer in time"
    await ended.wait()
    server.close()


@pytest.mark.asyncio
async def test_the_diagnosis_is_text_and_has_no_password(port: int) -> None:
    from chappe.core.network import Carrier

    carrier = Carrier(1, "main", "smpp", _settings(port), True)
    diagnosis = await cli_doctor.examine(carrier, profile(), "", "36111", 0)
    assert diagnosis.healthy
    text = cli_doctor.text(diagnosis)
    assert "as tx" in text
    assert "sesame" not in text
    assert "sesame" not in repr(diagnosis)


def _probed(method: str = "udh8", *, status: int = 0, parts: int = 2, receipts: tuple[ReceiptSeen, ...] = ()) -> Probed:
    numbers = range(1, parts + 1) if parts > 1 else (0,)
    sent = [PartSent(part, status, "ok" if status == 0 else "RX: refused", f"{10 + part:x}", 100.0) for part in numbers]
    return Probed(f"two parts by {method}", method, sent, list(receipts))


def _seen(part: int, ref: str, *known_by: str) -> ReceiptSeen:
    return ReceiptSeen(part, "DELIVRD", True, ref, list(known_by or ("esm_class",)), 1.0)


def _found(*probes: Probed, **fields: Any) -> Findings:
    return Findings("10.0.0.1", 2775, bind_status=fields.pop("bind_status", 0), probes=list(probes), **fields)


CERTIFICATE = {"protocol": "TLSv1.3", "cipher": "x", "certificate_ends": "Mar 10 09:00:00 2026 GMT", "verified": "no"}
BOTH = (_seen(1, "b"), _seen(2, "c"))
ADVICE = [
    ("nothing to say", _found(_probed(receipts=BOTH)), {}, [], []),
    ("unreachable", _found(connect_error="x"), {}, [], ["check host, port and firewall"]),
    ("refused", _found(bind_status=0x0E), {}, [], ["refuses system_id or password"]),
    ("already bound", _found(bind_status=0x05), {}, [], ["no further session"]),
    ("old version", _found(peer_version="3.3"), {}, ["profile=smpp33"], []),
    ("certificate", _found(tls=CERTIFICATE), {}, ["tls_verify=yes"], ["ends in 8 days"]),
    ("method", _found(_probed(status=0x61), _probed("sar", receipts=BOTH)), {}, ["long_method=sar"], ["sar was taken"]),
    ("no method", _found(_probed(status=0x61), _probed("sar", status=0x61)), {}, [], ["no way to send a long text"]),
    ("no receipt", _found(_probed()), {}, [], ["no receipt came"]),
    (
        "text",
        _found(_probed(receipts=(_seen(1, "b", "text"), _seen(2, "c", "text")))),
        {},
        ["receipts_by_text=yes"],
        ["2 receipts came without"],
    ),
    (
        "tlv first",
        _found(_probed(receipts=(_seen(1, "b", "tlv", "text"), _seen(2, "c", "tlv", "text")))),
        {},
        ["receipts_by_tlv=yes"],
        [],
    ),
    (
        "ids",
        _found(_probed(receipts=(_seen(1, "11"), _seen(2, "12")))),
        {},
        ["response_id_format=hex", "receipt_id_format=dec"],
        ["id b in the response and 11 in the receipt"],
    ),
    (
        "ids known",
        _found(_probed(receipts=(_seen(1, "11"), _seen(2, "12")))),
        {"response_id_format": "hex", "receipt_id_format": "dec"},
        [],
        [],
    ),
    ("one receipt", _found(_probed(receipts=(_seen(1, "b"),))), {}, ["multipart_policy=first"], ["only part 1"]),
    ("last receipt", _found(_probed(receipts=(_seen(2, "c"),))), {}, ["multipart_policy=last"], ["only part 2"]),
]


@pytest.mark.parametrize(
    ("findings", "knobs", "settings", "words"), [row[1:] for row in ADVICE], ids=[r[0] for r in ADVICE]
)
def test_advice_has_its_evidence(
    findings: Findings, knobs: dict[str, str], settings: list[str], words: list[str]
) -> None:
    found = proposals(findings, CarrierSettings("10.0.0.1", 2775, *CREDENTIALS), profile(settings=knobs), NOW)
    assert [proposal.setting for proposal in found if proposal.setting] == settings
    evidence = "\n".join(proposal.evidence for proposal in found)
    assert all(word in evidence for word in words), evidence
    assert bool(found) is bool(settings or words)
    for proposal in found:
        if proposal.setting and "=" in proposal.setting:
            key, _, value = proposal.setting.partition("=")
            profile(settings={key: value} if key != "profile" else {})  # what is advised can be set


@pytest.mark.parametrize(
    ("rate", "window", "binds", "took_ms", "advised"),
    [
        (0.0, 1, 1, 500.0, None),  # no rate to reach
        (100.0, 10, 1, 50.0, None),
        (100.0, 10, 1, 500.0, "window=75"),
        (100.0, 10, 2, 500.0, "window=38"),
    ],
)
def test_the_window_advised_reaches_the_rate(
    rate: float, window: int, binds: int, took_ms: float, advised: str | None
) -> None:
    settings = CarrierSettings("10.0.0.1", 2775, *CREDENTIALS, window=window, rate=rate, binds=binds)
    found = proposals(_found(enquire_link_ms=[took_ms]), settings, profile(), NOW)
    assert [proposal.setting for proposal in found] == ([advised] if advised else [])


def test_a_password_in_clear_over_a_public_network_is_advised_against() -> None:
    settings = CarrierSettings("smsc.example", 2775, *CREDENTIALS)
    (advice,) = proposals(Findings("smsc.example", 2775, bind_status=0), settings, profile(), NOW)
    assert "in clear" in advice.evidence
