"""Profiles: every knob read from text, presets that combine, and the error tables."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp.commands import Status
from chappe.smpp.error_codes import AMBIGUOUS_STATUSES, GSM_MAP_ERRORS, STATUSES
from chappe.smpp.profile import (
    KNOBS,
    PRESETS,
    Charset,
    ErrorClass,
    FlashMethod,
    IdFormat,
    LongMethod,
    Mode,
    MultipartPolicy,
    NumberForm,
    Profile,
    ReceiptState,
    Rule,
    UncertainPolicy,
    classify,
    profile,
    receipt_verdict,
    settings,
    verdict,
)

# One good and one bad way to write each knob; the good one differs from the default.
WRITTEN: dict[str, tuple[str, object, str]] = {
    "mode": ("tx+rx", Mode.TX_RX, "rx"),
    "binds": ("4", 4, "0"),
    "interface_version": ("5.0", 0x50, "3.5"),
    "system_type": ("x" * 64, "x" * 64, "x" * 65),
    "address_range": ("^33" + "x" * 61, "^33" + "x" * 61, "x" * 65),
    "bind_ton": ("0x05", 5, "256"),
    "bind_npi": ("1", 1, "-1"),
    "tls": ("yes", True, "maybe"),
    "tls_verify": ("off", False, ""),
    "tls_server_name": ("smpp.example", "smpp.example", "smpp\n"),
    "tls_ca_file": ("/etc/ca.pem", "/etc/ca.pem", "\x01"),
    "connect_timeout_s": ("2.5", 2.5, "0"),
    "bind_timeout_s": ("5", 5.0, "nan"),
    "response_timeout_s": ("120", 120.0, "inf"),
    "enquire_link_interval_s": ("55", 55.0, "-1"),
    "inactivity_timeout_s": ("600", 600.0, "1e9"),
    "partial_pdu_timeout_s": ("5", 5.0, ""),
    "write_timeout_s": ("5", 5.0, "5s"),
    "unbind_timeout_s": ("5", 5.0, "1_0"),
    "reconnect_delay_s_min": ("2", 2.0, "x"),
    "reconnect_delay_s_max": ("60", 60.0, "x"),
    "auth_retry_delay_s_min": ("90", 90.0, "x"),
    "auth_retry_delay_s_max": ("1800", 1800.0, "x"),
    "already_bound_delay_s": ("60", 60.0, "x"),
    "rebind_delay_s": ("30", 30.0, "-1"),
    "window": ("50", 50, "10001"),
    "rate_per_s": ("0.5", 0.5, "-1"),
    "burst": ("20", 20, "1.5"),
    "uncertain_policy": ("hold", UncertainPolicy.HOLD, "drop"),
    "uncertain_grace_s": ("300", 300.0, "-1"),
    "throttle_pause_s": ("0", 0.0, "-0.1"),
    "command_length_max": ("8192", 8192, "16"),
    "source_number_ton": ("0", 0, "300"),
    "source_number_npi": ("0", 0, "300"),
    "source_alpha_ton": ("0", 0, "300"),
    "source_alpha_npi": ("1", 1, "300"),
    "source_short_ton": ("6", 6, "300"),
    "source_short_npi": ("1", 1, "300"),
    "source_short_digits_max": ("8", 8, "21"),
    "source_number_form": ("plus", NumberForm.PLUS, "zero"),
    "destination_ton": ("2", 2, "300"),
    "destination_npi": ("0", 0, "300"),
    "destination_form": ("National", NumberForm.NATIONAL, "local"),
    "country_code": ("262", "262", "+33"),
    "national_prefix": ("0", "0", "٣"),
    "default_charset": ("latin1", Charset.LATIN1, "ucs2"),
    "gsm7_data_coding": ("0xf1", 0xF1, "0x100"),
    "ucs2_data_coding": ("0x18", 0x18, "ucs2"),
    "charsets_checked": ("no", False, "perhaps"),
    "charsets": ("0x03:latin1; 5:gsm7", ((3, Charset.LATIN1), (5, Charset.GSM7)), "3=latin1"),
    "flash": ("subunit", FlashMethod.SUBUNIT, "yes"),
    "long_method": ("sar", LongMethod.SAR, "udh"),
    "parts_max": ("5", 5, "256"),
    "parts_reversed": ("true", True, "2"),
    "tlvs_allowed": ("no", False, "none"),
    "validity_format": ("relative", "relative", "iso"),
    "validity_s": ("3600", 3600.0, "1"),
    "service_type": ("x" * 64, "x" * 64, "x" * 65),
    "protocol_id": ("64", 64, "256"),
    "priority_flag": ("255", 255, "256"),
    "esm_class_mode": ("3", 3, "4"),
    "receipts_by_esm_class": ("no", False, "x"),
    "receipts_by_tlv": ("yes", True, "x"),
    "receipts_by_text": ("yes", True, "x"),
    "receipt_fields": ("id, stat,done_date", ("id", "stat", "done date"), "id,id"),
    "receipts_on_tx": ("no", False, "x"),
    "registered_delivery_single": ("0x21", 0x21, "256"),
    "registered_delivery_first": ("0x21", 0x21, "256"),
    "registered_delivery_middle": ("0", 0, "-1"),
    "registered_delivery_last": ("0", 0, "-1"),
    "multipart_policy": ("any", MultipartPolicy.ANY, "some"),
    "response_id_format": ("hex", IdFormat.HEX, "octal"),
    "receipt_id_format": ("dec", IdFormat.DEC, "octal"),
    "response_id_prefix": ("fr-", "fr-", "é"),
    "receipt_id_prefix": ("fr-", "fr-", "é"),
    "tlv_wins": ("no", False, "x"),
    "status_words": ("acceptd:delivered", (("ACCEPTD", ReceiptState.DELIVERED),), "ACCEPTD:done"),
    "receipt_text_kept": ("yes", True, "x"),
    "receipt_margin_s": ("0", 0.0, "x"),
    "statuses": (
        "0x401:number:blocked:The carrier blocks: this number;69:throttle",
        (Rule(0x401, ErrorClass.NUMBER, "blocked", "The carrier blocks: this number"), Rule(69, ErrorClass.THROTTLE)),
        "0:temporary",
    ),
    "receipt_errors": ("00b:sender", (Rule("B", ErrorClass.SENDER),), ":number"),
    "unknown_status_class": ("message", ErrorClass.MESSAGE, "ok"),
    "ambiguous_attempts_max": ("5", 5, "0"),
    "breaker_failures": ("5", 5, "0"),
}


def test_every_knob_has_a_case_here() -> None:
    assert set(WRITTEN) == set(KNOBS)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_knob_is_read_from_text(name: str) -> None:
    text, value, _ = WRITTEN[name]
    assert KNOBS[name].parse(text) == value
    assert value != KNOBS[name].default


@pytest.mark.parametrize("name", WRITTEN)
def test_a_bad_value_is_refused_with_the_name_of_the_knob(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        profile("generic", {name: WRITTEN[name][2]})


@pytest.mark.parametrize("knob", KNOBS.values(), ids=lambda knob: knob.name)
def test_a_knob_says_what_it_does_and_what_is_allowed(knob: object) -> None:
    values = dataclasses.asdict(knob)  # type: ignore[call-overload]
    assert all(values[field] for field in ("name", "group", "type", "help", "allowed"))
    assert "\n" not in values["help"]
    assert values["unit"] != "s" or "s" in values["name"].split("_"), "a duration shows its unit in its name"


@given(name=st.sampled_from(sorted(KNOBS)), text=st.text(max_size=60))
def test_no_text_makes_a_knob_raise_anything_but_value_error(name: str, text: str) -> None:
    try:
        value = KNOBS[name].parse(text)
    except ValueError:
        return
    hash(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9" * 5000, "not an integer"),
        ("1" * 21, "not an integer"),
        ("0xzz", "not an integer"),
        ("0", "not in 1 to 10000"),
    ],
)
def test_an_integer_out_of_reach_is_refused_shortly(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        profile("generic", {"window": text})
    assert len(str(refusal.value)) < 200


def test_generic_is_the_default_and_what_the_documentation_says() -> None:
    generic = profile()
    assert generic == Profile() == profile("generic")
    assert (generic.mode, generic.binds, generic.window, generic.rate_per_s) == (Mode.TRX, 1, 10, 0.0)
    assert (generic.response_timeout_s, generic.enquire_link_interval_s) == (60.0, 30.0)
    assert (generic.default_charset, generic.ucs2_data_coding, generic.long_method) == (Charset.GSM7, 8, "udh8")
    assert (generic.response_id_format, generic.receipt_id_format) == (IdFormat.LEARN, IdFormat.LEARN)
    assert [generic.registered_delivery(seqnum, 3) for seqnum in (1, 2, 3)] == [1, 1, 1]
    assert (generic.source_alpha_ton, generic.source_alpha_npi) == (5, 0)
    assert (generic.destination_ton, generic.destination_npi) == (1, 1)
    assert (generic.source_short_ton, generic.source_short_npi) == (3, 0)


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_consistent_and_changes_something(name: str) -> None:
    same_as_default = {"generic", "single-session", "receipts-on-tx"}
    assert (profile(name) == Profile()) is (name in same_as_default)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("hex-resp-dec-receipt", {"response_id_format": IdFormat.HEX, "receipt_id_format": IdFormat.DEC}),
        ("dec-resp-hex-receipt", {"response_id_format": IdFormat.DEC, "receipt_id_format": IdFormat.HEX}),
        ("smpp33", {"interface_version": 0x33, "mode": Mode.TX_RX, "tlvs_sent": False}),
        ("hex-resp-dec-receipt,two-binds-tls", {"response_id_format": IdFormat.HEX, "tls": True, "binds": 2}),
        ("wide + cautious", {"binds": 10, "window": 1, "rate_per_s": 1.0}),
        ("cautious+WIDE", {"binds": 10, "window": 20, "rate_per_s": 2000.0, "response_timeout_s": 120.0}),
        (
            "tlv-receipts,text-receipts",
            {"receipts_by_esm_class": True, "receipts_by_tlv": True, "receipts_by_text": True},
        ),
        ("national-dest", {"destination_form": NumberForm.NATIONAL, "destination_ton": 2}),
    ],
)
def test_presets_combine_and_later_ones_win(names: str, expected: dict[str, object]) -> None:
    built = profile(names)
    assert {name: getattr(built, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("preset", "asked"),
    [("one-receipt-first", [1, 0, 0]), ("one-receipt-last", [0, 0, 1]), ("reverse-parts", [1, 0, 0])],
)
def test_receipts_are_asked_where_the_policy_counts_them(preset: str, asked: list[int]) -> None:
    built = profile(preset)
    assert [built.registered_delivery(seqnum, 3) for seqnum in (1, 2, 3)] == asked
    assert built.registered_delivery(1, 1) == 1


def test_settings_come_on_top_of_presets() -> None:
    assert profile("wide", {"window": "7"}).window == 7
    assert profile("wide", {"Enquire-Link-Interval-S": "55"}).enquire_link_interval_s == 55.0


def test_tables_add_up_and_the_same_code_is_replaced() -> None:
    built = profile("queue-full-is-throttle", {"statuses": "0x45:message;0x401:number"})
    assert [(rule.code, rule.error_class) for rule in built.statuses] == [
        (0x14, "throttle"),
        (0x45, "message"),
        (0x401, "number"),
    ]
    assert classify(0x45, profile("queue-full-is-throttle", {"statuses": "0x401:number"})) is ErrorClass.THROTTLE


@pytest.mark.parametrize(
    ("names", "changes", "message"),
    [
        ("generc", {}, "unknown profile 'generc'; did you mean 'generic'"),
        ("", {}, "unknown profile ''"),
        ("wide,", {}, "unknown profile ''"),
        ("generic", {"windw": "3"}, "unknown setting 'windw'; did you mean 'window'"),
        ("generic", {"zzzzzz": "3"}, "unknown setting 'zzzzzz'$"),
        ("generic", {"mode": "trxx"}, "mode: 'trxx' is not one of trx, tx.rx, tx; did you mean 'trx'"),
        ("sar,smpp33", {}, "long_method: sar needs TLVs"),
        ("payload-only", {"tlvs_allowed": "no"}, "long_method: payload needs TLVs"),
        ("smpp33", {"flash": "subunit"}, "flash: subunit needs TLVs"),
        ("generic", {"reconnect_delay_s_min": "200"}, "reconnect_delay_s_min: is above"),
        ("generic", {"auth_retry_delay_s_min": "1000"}, "auth_retry_delay_s_min: is above"),
        ("text-receipts", {"receipt_fields": "id,err"}, "receipt_fields: "),
        ("one-receipt-first,one-receipt-last", {}, "multipart_policy: last counts a receipt"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(names: str, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        profile(names, changes)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("charsets", "0x100:gsm7", "not in 0x0 to 0xff"),
        ("charsets", "3:latin", "did you mean 'latin1'"),
        ("charsets", "x:gsm7", "not an integer"),
        ("statuses", "0x100000000:number", "not in 0x1 to 0xffffffff"),
        ("statuses", "0x401", "not written key:value"),
        ("status_words", ":delivered", "not written key:value"),
        ("receipt_fields", "id,sttat", "did you mean 'stat'"),
    ],
)
def test_a_bad_entry_of_a_table_says_why(name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        profile("generic", {name: text})


def test_no_receipts_at_all_is_a_consistent_wish() -> None:
    zeros = {f"registered_delivery_{position}": "0" for position in ("single", "first", "middle", "last")}
    assert profile("one-receipt-first", zeros).registered_delivery(1, 2) == 0


def test_settings_are_read_from_a_command_line() -> None:
    assert settings(["window=20", "status-words=A:unknown;B:expired", "system_type="]) == {
        "window": "20",
        "status_words": "A:unknown;B:expired",
        "system_type": "",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [(["window"], "not written key=value"), (["=3"], "not written"), (["window=1", "Window=2"], "window is set twice")],
)
def test_settings_written_otherwise_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(words)


def test_a_profile_is_a_value() -> None:
    assert hash(profile("wide")) == hash(profile("wide"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile().window = 3  # type: ignore[misc]


def test_a_table_has_a_bound() -> None:
    with pytest.raises(ValueError, match="more than 500 entries"):
        profile("generic", {"statuses": ";".join(f"{code}:number" for code in range(1, 600))})


def test_every_standard_status_has_a_class() -> None:
    assert set(STATUSES) == set(Status)


@pytest.mark.parametrize(
    ("error_class", "statuses"),
    [
        ("ok", [0x00]),
        ("throttle", [0x14, 0x58]),
        ("temporary", [0x08, 0x45, 0x64, 0xFE, 0xFF, 0x102]),
        ("link", [0x04, 0x05, 0x0D]),
        ("auth", [0x0E, 0x0F, 0x53]),
        ("number", [0x0B]),
        ("sender", [0x0A]),
        ("message", [0x01, 0x61, 0x62, 0x65, 0x66]),
        ("bug", [0x02]),
        ("request", [0x0C, 0x11, 0x13, 0x33, 0x34, 0x40, 0x42, 0x44, 0x67]),
        ("config", [0x03, 0x06, 0x07, 0x15, 0x43, 0x48, 0x49, 0x50, 0x51, 0x54, 0x55, 0x63, 0xC0, 0xC4, 0x104]),
    ],
)
def test_standard_statuses_have_their_class(error_class: str, statuses: list[int]) -> None:
    assert [classify(status, profile()) for status in statuses] == [error_class] * len(statuses)


@pytest.mark.parametrize("status", [0x09, 0x10, 0x113, 0x400, 0x4FF, 0x501, 0xFFFFFFFF])
def test_an_unknown_status_is_what_the_knob_says_with_few_attempts(status: int) -> None:
    assert classify(status, profile()) is ErrorClass.TEMPORARY
    judged = verdict(status, profile("generic", {"unknown_status_class": "message", "ambiguous_attempts_max": "1"}))
    assert (judged.error_class, judged.attempts_max) == (ErrorClass.MESSAGE, 1)
    assert f"{status:#x}" in judged.sentence


def test_only_the_ambiguous_status_has_a_cap_until_the_carrier_explains_it() -> None:
    assert {status for status in STATUSES if verdict(status, profile()).attempts_max} == AMBIGUOUS_STATUSES
    assert verdict(0x45, profile()).attempts_max == 3
    assert verdict(0x45, profile("generic", {"statuses": "0x45:temporary"})).attempts_max is None


def test_a_carrier_can_rename_and_explain_a_status() -> None:
    built = profile("generic", {"statuses": "0x401:sender:sender_blocked:This sender is blocked;0x0a:config"})
    assert verdict(0x401, built).reason == "sender_blocked"
    assert verdict(0x401, built).sentence == "This sender is blocked"
    assert (verdict(0x0A, built).reason, verdict(0x0A, built).error_class) == ("RINVSRCADR", ErrorClass.CONFIG)
    assert verdict(0x0A, built).sentence == STATUSES[0x0A][1]


@given(status=st.integers(0, 0xFFFFFFFF))
def test_every_status_gets_a_verdict(status: int) -> None:
    judged = verdict(status, profile())
    assert (judged.error_class is ErrorClass.OK) is (status == 0)
    assert judged.reason
    assert judged.sentence


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("001", "number"),
        ("1", "number"),
        (" 006\x00", "temporary"),
        ("27", "temporary"),
        ("035", "bug"),
        ("000", None),
        ("0", None),
        ("", None),
        ("nul", None),
        ("999", None),
    ],
)
def test_receipt_codes_are_those_of_gsm_map_where_the_profile_says_so(code: str, error_class: str | None) -> None:
    judged = receipt_verdict(code, profile("gsm-map-errors"))
    assert (judged.error_class if judged else None) == error_class
    assert receipt_verdict(code, profile()) is None, "006 is spam at the next carrier"


def test_a_carrier_has_its_own_receipt_codes() -> None:
    built = profile("generic", {"receipt_errors": "001:sender:blocked;nul:temporary;000:message;7f:number:x:Why"})
    judged = [receipt_verdict(code, built) for code in ("1", "NUL", "0000", "07F", "2")]
    assert [found.error_class if found else None for found in judged] == [
        "sender",
        "temporary",
        "message",
        "number",
        None,
    ]
    assert judged[0] is not None
    assert judged[0].sentence == "The carrier gave the error code 1"
    # Without a reason the class speaks.
    words = [receipt_verdict(code, profile("generic", {"receipt_errors": "7:number;8:message"})) for code in "78"]
    assert [found.reason if found else None for found in words] == ["unknown_subscriber", "error_8"]


def test_the_codes_of_gsm_map_are_a_preset_that_a_carriers_own_lines_change() -> None:
    built = profile("gsm-map-errors", {"receipt_errors": "6:message:spam"})
    assert len(built.receipt_errors) == len(GSM_MAP_ERRORS)
    found = receipt_verdict("006", built)
    assert found is not None
    assert found.reason == "spam"
