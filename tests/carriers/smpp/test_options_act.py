"""Every option that a carrier may have acts: with it, something that the carrier or the operator sees is another.

PROOFS has a line for each declared option. A new option without one fails here.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_smsc import listening
from shop import eventually

from chappe.carriers import Outgoing
from chappe.carriers.registry import KINDS
from chappe.carriers.smpp import connecting
from chappe.carriers.smpp.deliver_parser import Reader
from chappe.carriers.smpp.parts import Parts
from chappe.carriers.smpp.submission import CannotCarry
from chappe.core.carrier_config import Carrier, CarrierSettings
from chappe.smpp import receipts
from chappe.smpp.commands import Status
from chappe.smpp.pdu import DeliverSm
from chappe.smpp.profile import KNOBS, Profile, profile, verdict
from chappe.smpp.tlv import Tag

TESTS = Path(__file__).parents[2]
Seen = Callable[[Profile], object]
LONG = "x" * 400
AT = 1_767_261_600.0


def submitted(made: Profile) -> object:
    """What leaves for messages of each kind, as the parts of a link."""
    messages = [
        Outgoing(1 << 16, "+33612345678", sender, text, unicode, flash, 0, 0, 0)
        for sender in ("+33700000001", "36111", "SHOP")
        for text, unicode, flash in (
            ("é [x]", False, False),
            (LONG, False, False),
            ("ж", True, False),
            ("x", False, True),
        )
    ]
    seen: list[object] = []
    for message in messages:
        parts = Parts(made)
        try:
            seen.append([(part.part, part.octets, part.pdu) for part in parts.of(message, AT)])
        except CannotCarry as error:
            seen.append(error.reason)
    return seen


def _receipt(text: bytes, esm_class: int = 0x04, tlvs: tuple[tuple[int, bytes], ...] = ()) -> DeliverSm:
    return DeliverSm(
        source_addr=b"33612345678", destination_addr=b"SHOP", esm_class=esm_class, short_message=text, tlvs=tlvs
    )


USUAL = b"id:X-00010 sub:001 dlvrd:001 submit date:2603021000 done date:2603021000 stat:%s err:006 text:hello"
ARRIVED = (
    _receipt(USUAL % b"DELIVRD"),
    _receipt(USUAL % b"OURWORD"),
    _receipt(USUAL % b"DELIVRD", 0),
    _receipt(b"id:7 stat:DELIVRD", 0),
    _receipt(b"", 0, ((Tag.RECEIPTED_MESSAGE_ID, b"12\x00"), (Tag.MESSAGE_STATE, b"\x02"))),
    _receipt(USUAL % b"EXPIRED", 0x04, ((Tag.RECEIPTED_MESSAGE_ID, b"12\x00"), (Tag.MESSAGE_STATE, b"\x02"))),
)


def received(made: Profile) -> object:
    """What is read from receipts, and from the id of an answer."""
    reader = Reader(made)
    seen: list[object] = [reader.response_id(b"X-00010"), reader.response_id(b"00010")]
    for pdu in ARRIVED:
        seen.append(reader.read(1, pdu, b""))
    return seen


def kept(made: Profile) -> object:
    return receipts.read(USUAL % b"DELIVRD", (), made).text


def judged(made: Profile) -> object:
    """What errors in answers mean."""
    return [verdict(status, made) for status in (Status.RSUBMITFAIL, Status.RINVDSTADR, 0x45F)]


def delayed(made: Profile) -> object:
    """The seconds before each of some attempts to connect."""
    delays = connecting.Delays(made)
    return [delays.after(status) for status in [None] * 9 + [Status.RINVPASWD] * 6 + [Status.RALYBND]]


def secured(made: Profile) -> object:
    """How TLS checks its peer."""
    try:
        context = connecting.tls_context(made)
    except connecting.CaFileUnreadable:
        return "unreadable"
    return context.verify_mode is ssl.CERT_NONE, context.check_hostname


async def _session(made: Profile) -> object:
    async with listening() as smsc:
        happened: list[object] = []
        wire = await connecting.connect("127.0.0.1", smsc.port, made, 5, lambda _, events: happened.extend(events))
        connecting.bind(wire, connecting.modes(made)[0], "me", "secret", made)
        await smsc.until(lambda: smsc.binds)
        asked = smsc.binds[0]
        seen = (asked.request, asked.mode, connecting.modes(made), wire.session.settings, wire._write_timeout_s)
        wire.cut()
        return seen


def bound(made: Profile) -> object:
    """What the SMSC sees of a bind, and what the session goes by (its timers: tests/smpp/test_session.py)."""
    return asyncio.run(_session(made))


def _carrier(settings: dict[str, str]) -> Carrier:
    return Carrier(1, "red", "smpp", CarrierSettings("127.0.0.1", 1, "me", "secret", settings=settings), True)


# option -> (its value, what shows it, options that both sides need) or the test that shows it at a running link
PROOFS: dict[str, tuple[str, Seen, dict[str, str]] | str] = {
    "mode": ("tx+rx", bound, {}),
    "binds": "actions/test_carriers.py::test_what_is_not_given_comes_from_the_profile",
    "interface_version": ("0x50", bound, {}),
    "system_type": ("SMPP", bound, {}),
    "address_range": ("^33", bound, {}),
    "bind_ton": ("1", bound, {}),
    "bind_npi": ("1", bound, {}),
    "tls": "carriers/smpp/test_link.py::tls",
    "tls_verify": ("no", secured, {}),
    "tls_server_name": "carriers/smpp/test_link.py::tls_server_name",
    "tls_ca_file": ("/nowhere", secured, {}),
    "connect_timeout_s": "carriers/smpp/test_options_act.py::connect_timeout_s",
    "bind_timeout_s": ("1", bound, {}),
    "response_timeout_s": ("1", bound, {}),
    "enquire_link_interval_s": ("1", bound, {}),
    "inactivity_timeout_s": ("1", bound, {}),
    "partial_pdu_timeout_s": ("1", bound, {}),
    "write_timeout_s": ("1", bound, {}),
    "unbind_timeout_s": ("1", bound, {}),
    "reconnect_delay_s_min": ("2", delayed, {}),
    "reconnect_delay_s_max": ("3", delayed, {}),
    "auth_retry_delay_s_min": ("2", delayed, {}),
    "auth_retry_delay_s_max": ("70", delayed, {}),
    "already_bound_delay_s": ("2", delayed, {}),
    "rebind_delay_s": "carriers/smpp/test_link.py::rebind_delay_s",
    "window": "actions/test_carriers.py::test_what_is_not_given_comes_from_the_profile",
    "rate_per_s": "actions/test_carriers.py::rate_per_s",
    "burst": "carriers/smpp/test_link.py::burst",
    "uncertain_policy": "carriers/smpp/test_options_act.py::uncertain_policy",
    "uncertain_grace_s": "carriers/smpp/test_options_act.py::uncertain_grace_s",
    "throttle_pause_s": "carriers/smpp/test_link.py::throttle_pause_s",
    "command_length_max": ("8192", bound, {}),
    "source_number_ton": ("2", submitted, {}),
    "source_number_npi": ("2", submitted, {}),
    "source_alpha_ton": ("2", submitted, {}),
    "source_alpha_npi": ("2", submitted, {}),
    "source_short_ton": ("2", submitted, {}),
    "source_short_npi": ("2", submitted, {}),
    "source_short_digits_max": ("4", submitted, {}),
    "source_number_form": ("plus", submitted, {}),
    "destination_ton": ("2", submitted, {}),
    "destination_npi": ("2", submitted, {}),
    "destination_form": ("plus", submitted, {}),
    "country_code": ("336", submitted, {"destination_form": "national"}),
    "national_prefix": ("0", submitted, {"destination_form": "national"}),
    "default_charset": ("latin1", submitted, {}),
    "gsm7_data_coding": ("1", submitted, {}),
    "ucs2_data_coding": ("24", submitted, {}),
    "charsets": "smpp/test_data_coding.py::charsets",
    "charsets_checked": "smpp/test_charset_check.py::charsets_checked",
    "flash": ("subunit", submitted, {}),
    "long_method": ("sar", submitted, {}),
    "parts_max": ("1", submitted, {}),
    "parts_reversed": ("yes", submitted, {}),
    "tlvs_allowed": "carriers/smpp/test_options_act.py::tlvs_allowed",
    "validity_format": ("relative", submitted, {}),
    "validity_s": ("3600", submitted, {}),
    "service_type": ("CMT", submitted, {}),
    "protocol_id": ("64", submitted, {}),
    "priority_flag": ("1", submitted, {}),
    "esm_class_mode": ("3", submitted, {}),
    "receipts_by_esm_class": ("no", received, {}),
    "receipts_by_tlv": ("yes", received, {}),
    "receipts_by_text": ("yes", received, {}),
    "receipt_fields": ("id,stat", received, {"receipts_by_text": "yes"}),
    "receipts_on_tx": ("no", bound, {}),
    "registered_delivery_single": ("0x21", submitted, {}),
    "registered_delivery_first": ("0x21", submitted, {}),
    "registered_delivery_middle": ("0x21", submitted, {}),
    "registered_delivery_last": ("0x21", submitted, {}),
    "multipart_policy": "carriers/smpp/test_options_act.py::multipart_policy",
    "response_id_format": ("hex", received, {}),
    "receipt_id_format": ("hex", received, {"receipt_id_prefix": "X-"}),
    "response_id_prefix": ("X-", received, {}),
    "receipt_id_prefix": ("X-", received, {}),
    "tlv_wins": ("no", received, {}),
    "status_words": ("OURWORD:delivered", received, {}),
    "receipt_text_kept": ("yes", kept, {}),
    "receipt_margin_s": "carriers/smpp/test_options_act.py::receipt_margin_s",
    "statuses": ("0x0b:temporary", judged, {}),
    "receipt_errors": ("006:message:spam", received, {}),
    "unknown_status_class": ("throttle", judged, {}),
    "ambiguous_attempts_max": ("7", judged, {}),
    "breaker_failures": "workers/test_bind_driver.py::breaker_failures",
}


def test_every_option_has_a_proof() -> None:
    assert set(PROOFS) == set(KNOBS)


@pytest.mark.parametrize("name", [name for name, proof in PROOFS.items() if not isinstance(proof, str)])
def test_an_option_acts(name: str) -> None:
    proof = PROOFS[name]
    assert not isinstance(proof, str)
    value, see, others = proof
    assert see(profile("generic", others)) != see(profile("generic", others | {name: value}))
    assert see(profile("generic", others)) == see(profile("generic", others))  # else it proves nothing


@pytest.mark.parametrize("name", [name for name, proof in PROOFS.items() if isinstance(proof, str)])
def test_the_test_that_shows_an_option_exists(name: str) -> None:
    proof = PROOFS[name]
    assert isinstance(proof, str)
    file, _, word = proof.partition("::")
    assert re.search(rf"\b{word}\b", (TESTS / file).read_text())


# what the worker asks of a carrier: policy of receipts, doubts and silence
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("multipart_policy", "any"),
        ("uncertain_policy", "hold"),
        ("uncertain_grace_s", "77"),
        ("rebind_delay_s", "9"),
        ("receipt_margin_s", "60"),
        ("validity_s", "3600"),
    ],
)
def test_an_option_changes_what_a_worker_goes_by(name: str, value: str) -> None:
    kind = KINDS["smpp"]
    assert kind.policy(_carrier({})) == kind.policy(_carrier({}))
    assert kind.policy(_carrier({name: value})) != kind.policy(_carrier({}))


def test_tlvs_allowed_shuts_out_what_needs_them() -> None:
    assert profile("generic", {"tlvs_allowed": "no"}).tlvs_sent is False
    with pytest.raises(ValueError, match="needs TLVs"):
        profile("generic", {"tlvs_allowed": "no", "long_method": "sar"})


@pytest.mark.asyncio
async def test_a_peer_that_is_silent_in_the_handshake_is_left_after_connect_timeout_s() -> None:
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    carrier = Carrier(
        1,
        "red",
        "smpp",
        CarrierSettings("127.0.0.1", port, "me", "secret", settings={"tls": "yes", "connect_timeout_s": "0.05"}),
        True,
    )
    link = KINDS["smpp"].link(carrier, lambda: None)
    await link.start()
    try:

        async def is_told() -> bool:
            return "no answer in time" in link.detail

        await eventually(is_told, 8)  # the default is 10
    finally:
        await link.stop(0)
        silent.close()
        for writer in writers:
            writer.transport.abort()
        await silent.wait_closed()
