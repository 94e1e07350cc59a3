"""The doctor against the handset SMSC over real sockets, and its advice by tables."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chappe.carriers.smpp import doctor, port_check
from chappe.carriers.smpp.doctor import proposals
from chappe.carriers.smpp.probe import Findings, PartSent, Probe, Probed, ReceiptSeen
from chappe.core.carrier_config import Carrier, CarrierSettings
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
    carrier = Carrier(1, "main", "smpp", _settings(port), True)
    diagnosis = await doctor.examine(carrier, profile(), "", "36111", 0)
    assert diagnosis.healthy
    text = "\n".join(doctor.lines(diagnosis))
    assert "as tx" in text
    assert "sesame" not in text
    assert "sesame" not in repr(diagnosis)


@asynccontextmanager
async def _listening(kind: str, tmp_path: Path) -> AsyncIterator[int]:
    """A port at which something of a kind answers."""
    if kind.startswith("smpp"):
        smsc = Smsc()
        tls = _certificate(tmp_path) if kind == "smpp tls" else None
        try:
            yield await smsc.start(port=0, tls=tls)
        finally:
            await smsc.stop()
        return

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if kind == "http at once":
                await reader.read(16)
                writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            elif kind == "http silent":
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
            elif kind == "ssh":
                writer.write(b"SSH-2.0-OpenSSH_9.2p1\x07 Debian\r\n")
                await reader.read(-1)
            elif kind == "silent":
                await reader.read(-1)
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    tls = _certificate(tmp_path) if kind == "silent tls" else None
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    yield server.sockets[0].getsockname()[1]
    server.close()


def _certificate(tmp_path: Path) -> ssl.SSLContext:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9",
         "-keyout", key, "-out", certificate, "-subj", "/CN=smsc.test", "-addext", "subjectAltName=DNS:smsc.test"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


IN_TIME = {"bind_timeout_s": "0.3", "unbind_timeout_s": "0.1", "connect_timeout_s": "0.3"}
SILENT = ("silent", "silent tls", "http silent")  # of the others nothing is waited for
CAUSES = [
    # what listens, knobs, what is found, the setting advised, words of the advice
    ("smpp", {"tls": "yes"}, "no TLS: it speaks SMPP in clear", "tls=no", "without TLS"),
    ("smpp tls", {}, "it speaks TLS", "tls=yes", "speaks TLS"),
    ("smpp tls", {"tls": "yes"}, "the TLS certificate is not accepted: self-signed", "", "tls_ca_file"),
    ("smpp tls", {"tls": "yes", "tls_ca_file": "CERT"}, "not accepted: IP address mismatch", "", "tls_server_name"),
    ("smpp tls", {"tls": "yes", "tls_ca_file": "/nowhere/ca.pem"}, "tls_ca_file cannot be read", "", "PEM"),
    ("smpp tls", {"tls": "yes", "tls_ca_file": "KEY"}, "tls_ca_file cannot be read", "", "PEM"),
    ("http at once", {}, 'not SMPP: it answered "HTTP/1.1 400 Bad Request"', "", "web server"),
    ("http at once", {"tls": "yes"}, 'not SMPP: it answered "HTTP/1.1 400 Bad Request"', "", "web server"),
    ("http silent", {}, 'not SMPP: it answered "HTTP/1.0 200 OK"', "", "web server"),
    ("http silent", {"tls": "yes"}, 'not SMPP: it answered "HTTP/1.0 200 OK"', "", "web server"),
    ("ssh", {}, 'not SMPP: it answered "SSH-2.0-OpenSSH_9.2p1. Debian"', "", "check host and port"),
    ("ssh", {"tls": "yes"}, 'not SMPP: it answered "SSH-2.0-OpenSSH_9.2p1. Debian"', "", "check host and port"),
    ("closes", {}, "the connection ended", "", "address is allowed"),
    ("closes", {"tls": "yes"}, "ended during the TLS handshake", "", "address is allowed"),
    ("silent", {}, "no answer in time", "", "says nothing"),
    ("silent", {"tls": "yes"}, "no answer in time", "", "says nothing"),
    ("silent tls", {"tls": "yes", "tls_verify": "no"}, "the connection ended", "", "no SMPP behind it"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "knobs", "found", "setting", "advice"), CAUSES)
async def test_the_doctor_names_the_cause(
    kind: str,
    knobs: dict[str, str],
    found: str,
    setting: str,
    advice: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind in SILENT:
        monkeypatch.setattr(port_check, "TIMEOUT_S", 0.5)
        knobs = IN_TIME | knobs if kind != "silent tls" else {"bind_timeout_s": "0.3"} | knobs
    files = {"CERT": str(tmp_path / "cert.pem"), "KEY": str(tmp_path / "key.pem")}
    async with _listening(kind, tmp_path) as port:
        settings = {name: files.get(value, value) for name, value in knobs.items()}
        carrier = Carrier(1, "main", "smpp", _settings(port), True)
        diagnosis = await doctor.examine(carrier, profile(settings=settings), "", "36111", 0)
    assert not diagnosis.healthy
    assert doctor.references(diagnosis) == []
    (proposal,) = diagnosis.proposals
    assert (proposal.setting, advice in proposal.evidence) == (setting, True), proposal
    text = "\n".join(doctor.lines(diagnosis))
    assert found in text
    for word in ("Error", "gai", "lost", "SSL_", "WRONG_VERSION"):
        assert word not in text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("host", "said", "advice"),
    [
        ("no-such-host.invalid", "cannot be resolved", "check the spelling of no-such-host.invalid"),
        ("a" * 70 + ".example", "the host", "check the spelling"),
    ],
)
async def test_a_host_that_is_no_name_is_said_to_be_none(host: str, said: str, advice: str) -> None:
    carrier = Carrier(1, "main", "smpp", CarrierSettings(host, 2775, *CREDENTIALS), True)
    diagnosis = await doctor.examine(carrier, profile(), "", "", 0)
    assert said in diagnosis.findings.connect_error
    assert advice in diagnosis.proposals[0].evidence


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
