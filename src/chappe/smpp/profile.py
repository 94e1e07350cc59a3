"""What differs by carrier: one frozen dataclass of knobs, named presets, and the settings of a command line."""

# The calls in the defaults of Profile are dataclasses.field with a Knob as metadata, which the linter cannot see.
# ruff: noqa: RUF009

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, cast

from chappe.smpp.commands import Status
from chappe.smpp.error_codes import (
    AMBIGUOUS_STATUSES,
    GSM_MAP_ERRORS,
    STATUSES,
    ErrorClass,
    ReceiptState,
    Rule,
    Verdict,
)
from chappe.smpp.fields import LONG_OCTETS_MAX
from chappe.smpp.profile_options import (
    Knob,
    choice,
    digits,
    flag,
    knob_of,
    merged,
    number,
    one_of,
    pairs,
    rule_table,
    seconds,
    state_table,
    suggestion,
    text,
    whole,
    words,
)

VERSIONS = MappingProxyType({"3.3": 0x33, "3.4": 0x34, "5.0": 0x50, "33": 0x33, "34": 0x34, "50": 0x50})
RECEIPT_FIELDS = ("id", "sub", "dlvrd", "submit date", "done date", "stat", "err", "text")


class Mode(StrEnum):
    """Which binds a carrier wants."""

    TRX = "trx"
    TX_RX = "tx+rx"
    TX = "tx"


class Charset(StrEnum):
    """What the octets of a short_message are."""

    GSM7 = "gsm7"  # one septet per octet
    GSM7_PACKED = "gsm7-packed"  # eight septets in seven octets
    ASCII = "ascii"
    LATIN1 = "latin1"
    WINDOWS_1252 = "windows-1252"  # Latin-1 with the euro and typographic marks
    UTF8 = "utf-8"
    UTF16_LE = "utf-16-le"  # only received: the wrong order
    UCS2 = "ucs2"  # read and written as UTF-16BE
    CYRILLIC = "iso-8859-5"
    HEBREW = "iso-8859-8"
    SHIFT_JIS = "shift-jis"
    ISO_2022_JP = "iso-2022-jp"
    EUC_KR = "euc-kr"
    BINARY = "binary"


class LongMethod(StrEnum):
    """How a text of several parts travels."""

    UDH8 = "udh8"
    UDH16 = "udh16"
    SAR = "sar"
    PAYLOAD = "payload"


class IdFormat(StrEnum):
    """How a carrier writes message ids."""

    RAW = "raw"
    DEC = "dec"
    HEX = "hex"
    HEX_STRING = "hex-string"
    LEARN = "learn"


class MultipartPolicy(StrEnum):
    """Which parts' receipts make the receipt of the message."""

    ALL = "all"
    ANY = "any"
    FIRST = "first"
    LAST = "last"


class UncertainPolicy(StrEnum):
    """What becomes of a message that was written and not answered before the link or the process died."""

    AUTO = "auto"  # transactional messages are sent once more, others held
    RESEND = "resend"
    HOLD = "hold"


class ValidityFormat(StrEnum):
    """How validity_period is written."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    NONE = "none"


class NumberForm(StrEnum):
    """How a destination number is written."""

    INTERNATIONAL = "international"  # 33612345678
    PLUS = "plus"  # +33612345678
    NATIONAL = "national"  # country code removed, national_prefix put in front


class FlashMethod(StrEnum):
    """How a flash message is marked."""

    CLASS = "class"  # data_coding 0xF0 / 0x18
    SUBUNIT = "subunit"  # TLV dest_addr_subunit = 1
    NONE = "none"


DEFAULT_CHARSETS = (Charset.GSM7, Charset.GSM7_PACKED, Charset.ASCII, Charset.LATIN1)
UNKNOWN_STATUS_CLASSES = (ErrorClass.TEMPORARY, ErrorClass.THROTTLE, ErrorClass.MESSAGE, ErrorClass.NUMBER)


@dataclass(frozen=True)
class Profile:
    """Everything that differs by carrier, with the defaults of the `generic` profile.

    Each field is a knob: its unit, help and allowed values are in KNOBS; `profile()` builds one from text.
    """

    # link
    mode: Mode = choice(Mode.TRX, "link", "which binds to open")
    binds: int = whole(1, 1, 64, "sessions", "link", "parallel sessions of each kind")
    interface_version: int = one_of(0x34, VERSIONS, "link", "SMPP version announced in the bind")
    system_type: str = text("", LONG_OCTETS_MAX, "link", "system_type of the bind")
    address_range: str = text("", LONG_OCTETS_MAX, "link", "address_range of the bind")
    bind_ton: int = whole(0, 0, 255, "", "link", "addr_ton of the bind")
    bind_npi: int = whole(0, 0, 255, "", "link", "addr_npi of the bind")
    tls: bool = flag(False, "link", "speak TLS")
    tls_verify: bool = flag(True, "link", "check the certificate and name of a TLS peer")
    tls_server_name: str = text("", 253, "link", "name to ask for and to check; empty: the host")
    tls_ca_file: str = text("", 4096, "link", "file of the private authorities to trust; empty: the system's")

    # timers
    connect_timeout_s: float = seconds(10, 0.01, 600, "timers", "wait for the TCP (and TLS) connection")
    bind_timeout_s: float = seconds(30, 0.01, 600, "timers", "wait for the answer to a bind")
    response_timeout_s: float = seconds(60, 0.01, 3600, "timers", "wait for a response; then the part is uncertain")
    enquire_link_interval_s: float = seconds(30, 0.01, 3600, "timers", "silence before an enquire_link")
    inactivity_timeout_s: float = seconds(300, 0.01, 86400, "timers", "silence of the peer before closing")
    partial_pdu_timeout_s: float = seconds(10, 0.01, 600, "timers", "wait for the rest of a PDU")
    write_timeout_s: float = seconds(30, 0.01, 600, "timers", "wait for the kernel to take our octets")
    unbind_timeout_s: float = seconds(10, 0.01, 600, "timers", "wait for the answer to an unbind")
    reconnect_delay_s_min: float = seconds(1, 0.01, 3600, "timers", "first delay before connecting again")
    reconnect_delay_s_max: float = seconds(120, 0.01, 86400, "timers", "longest delay before connecting again")
    auth_retry_delay_s_min: float = seconds(60, 0.01, 86400, "timers", "first delay after refused credentials")
    auth_retry_delay_s_max: float = seconds(900, 0.01, 86400, "timers", "longest delay after refused credentials")
    already_bound_delay_s: float = seconds(45, 0.01, 86400, "timers", "delay after 'already bound'")
    rebind_delay_s: float = seconds(0, 0, 600, "timers", "shortest pause between a session's end and the next bind")

    # flow
    window: int = whole(10, 1, 10_000, "PDUs", "flow", "unanswered submit_sm per bind; bounds what can be uncertain")
    rate_per_s: float = number(0, 0, 100_000, "parts/s", "flow", "pace over all binds of the carrier; 0: no limit")
    burst: int = whole(10, 1, 100_000, "parts", "flow", "parts that may leave at once after a pause")
    uncertain_policy: UncertainPolicy = choice(UncertainPolicy.AUTO, "flow", "what becomes of messages in doubt")
    uncertain_grace_s: float = seconds(10, 0, 86_400, "flow", "wait for receipts before a message in doubt is resent")
    throttle_pause_s: float = seconds(1, 0, 3600, "flow", "pause of the whole carrier after a throttle answer")
    command_length_max: int = whole(65_536, 512, 1_048_576, "octets", "flow", "longest PDU to read")

    # addressing
    source_number_ton: int = whole(1, 0, 255, "", "addressing", "TON of a sender that is an international number")
    source_number_npi: int = whole(1, 0, 255, "", "addressing", "NPI of a sender that is an international number")
    source_alpha_ton: int = whole(5, 0, 255, "", "addressing", "TON of an alphanumeric sender")
    source_alpha_npi: int = whole(0, 0, 255, "", "addressing", "NPI of an alphanumeric sender")
    source_short_ton: int = whole(3, 0, 255, "", "addressing", "TON of a sender that is a short code")
    source_short_npi: int = whole(0, 0, 255, "", "addressing", "NPI of a sender that is a short code")
    source_short_digits_max: int = whole(
        6, 0, 20, "digits", "addressing", "longest digits-only sender that is a short code"
    )
    source_number_form: NumberForm = choice(NumberForm.INTERNATIONAL, "addressing", "how a numeric sender is written")
    destination_ton: int = whole(1, 0, 255, "", "addressing", "TON of the destination")
    destination_npi: int = whole(1, 0, 255, "", "addressing", "NPI of the destination")
    destination_form: NumberForm = choice(NumberForm.INTERNATIONAL, "addressing", "how the destination is written")
    country_code: str = digits("33", 3, "addressing", "country code that the national form removes")
    national_prefix: str = digits("", 4, "addressing", "digits that the national form puts in front")

    # content
    default_charset: Charset = choice(Charset.GSM7, "content", "the meaning of data_coding 0", only=DEFAULT_CHARSETS)
    gsm7_data_coding: int = whole(0, 0, 255, "", "content", "data_coding of GSM-7 text")
    ucs2_data_coding: int = whole(8, 0, 255, "", "content", "data_coding of UCS-2 text")
    charsets: tuple[tuple[int, Charset], ...] = pairs(
        (), Charset, 0xFF, "content", "data_coding -> charset, beside the standard ones"
    )
    charsets_checked: bool = flag(
        True, "content", "read replies by their octets where these contradict the announced data_coding"
    )
    flash: FlashMethod = choice(FlashMethod.CLASS, "content", "how a flash message is marked")
    long_method: LongMethod = choice(LongMethod.UDH8, "content", "how a text of several parts travels")
    parts_max: int = whole(10, 1, 255, "parts", "content", "longest message the carrier takes")
    parts_reversed: bool = flag(False, "content", "send the last part first")
    tlvs_allowed: bool = flag(True, "content", "the carrier takes TLVs in submit_sm (never sent below version 3.4)")
    validity_format: ValidityFormat = choice(ValidityFormat.ABSOLUTE, "content", "how validity_period is written")
    validity_s: float = seconds(172_800, 60, 604_800, "content", "validity when the message asks for none")
    service_type: str = text("", LONG_OCTETS_MAX, "content", "service_type of submit_sm")
    protocol_id: int = whole(0, 0, 255, "", "content", "protocol_id of submit_sm")
    priority_flag: int = whole(0, 0, 255, "", "content", "priority_flag of submit_sm")
    esm_class_mode: int = whole(0, 0, 3, "", "content", "mode bits of esm_class; some refuse the wrong one of 0 and 3")

    # receipts
    receipts_by_esm_class: bool = flag(True, "receipts", "esm_class 0x04 makes a receipt")
    receipts_by_tlv: bool = flag(False, "receipts", "receipted_message_id makes a receipt as well")
    receipts_by_text: bool = flag(
        False, "receipts", "the text makes a claimed receipt: id and destination are checked too"
    )
    receipt_fields: tuple[str, ...] = words(
        RECEIPT_FIELDS[:-1], RECEIPT_FIELDS, "receipts", "fields, in order, that a receipt known by its text must have"
    )
    receipts_on_tx: bool = flag(True, "receipts", "take receipts that arrive on a TX bind")
    registered_delivery_single: int = whole(1, 0, 255, "", "receipts", "registered_delivery of a message of one part")
    registered_delivery_first: int = whole(
        1, 0, 255, "", "receipts", "registered_delivery of the first of several parts"
    )
    registered_delivery_middle: int = whole(1, 0, 255, "", "receipts", "registered_delivery of the parts in between")
    registered_delivery_last: int = whole(1, 0, 255, "", "receipts", "registered_delivery of the last of several parts")
    multipart_policy: MultipartPolicy = choice(MultipartPolicy.ALL, "receipts", "which parts' receipts count")
    response_id_format: IdFormat = choice(IdFormat.LEARN, "receipts", "how ids are written in submit_sm_resp")
    receipt_id_format: IdFormat = choice(IdFormat.LEARN, "receipts", "how ids are written in receipts")
    response_id_prefix: str = text("", 64, "receipts", "what to remove in front of ids in submit_sm_resp")
    receipt_id_prefix: str = text("", 64, "receipts", "what to remove in front of ids in receipts")
    tlv_wins: bool = flag(True, "receipts", "where TLV and text contradict each other, believe the TLV")
    status_words: tuple[tuple[str, ReceiptState], ...] = state_table(
        "receipts", "status word -> state, beside the usual ones"
    )
    receipt_text_kept: bool = flag(False, "receipts", "keep the excerpt of the text that receipts repeat")
    receipt_margin_s: float = seconds(21_600, 0, 604_800, "receipts", "wait after the validity before 'no receipt'")

    # errors
    statuses: tuple[Rule, ...] = rule_table(True, "errors", "the carrier's own meaning of command_status values")
    receipt_errors: tuple[Rule, ...] = rule_table(False, "errors", "the carrier's own meaning of err codes in receipts")
    unknown_status_class: ErrorClass = choice(
        ErrorClass.TEMPORARY, "errors", "class of a status in no table", only=UNKNOWN_STATUS_CLASSES
    )
    ambiguous_attempts_max: int = whole(3, 1, 100, "attempts", "errors", "attempts after 0x45 or a status in no table")
    breaker_failures: int = whole(10, 1, 10_000, "failures", "errors", "config errors in a row that pause the carrier")

    @property
    def tlvs_sent(self) -> bool:
        """Whether submit_sm may carry TLVs: the carrier takes them and the version has them (3.4 and later)."""
        return self.tlvs_allowed and self.interface_version >= 0x34

    def registered_delivery(self, seqnum: int, total: int) -> int:
        """The registered_delivery of part `seqnum` (from 1) of `total`."""
        if total == 1:
            return self.registered_delivery_single
        if seqnum == 1:
            return self.registered_delivery_first
        return self.registered_delivery_last if seqnum == total else self.registered_delivery_middle


KNOBS: Mapping[str, Knob] = MappingProxyType({spec.name: knob_of(spec) for spec in fields(Profile)})


# Small sets of changes to the defaults, written as on a command line; they combine, and later ones win.
PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "generic": {},
        "hex-resp-dec-receipt": {"response_id_format": "hex", "receipt_id_format": "dec"},
        "dec-resp-hex-receipt": {"response_id_format": "dec", "receipt_id_format": "hex"},
        "hex-string-ids": {"response_id_format": "hex-string", "receipt_id_format": "hex-string"},
        "smpp33": {
            "interface_version": "0x33",
            "mode": "tx+rx",
            "tlvs_allowed": "no",
            "response_id_format": "hex",
            "receipt_id_format": "hex",
        },
        "one-receipt-first": {
            "multipart_policy": "first",
            "registered_delivery_middle": "0",
            "registered_delivery_last": "0",
        },
        "one-receipt-last": {
            "multipart_policy": "last",
            "registered_delivery_first": "0",
            "registered_delivery_middle": "0",
        },
        # Part 1 leaves last, so its receipt speaks for the whole message.
        "reverse-parts": {
            "parts_reversed": "yes",
            "multipart_policy": "first",
            "registered_delivery_middle": "0",
            "registered_delivery_last": "0",
        },
        "tlv-receipts": {"receipts_by_tlv": "yes"},
        "text-receipts": {"receipts_by_text": "yes"},
        "receipts-on-tx": {"receipts_on_tx": "yes"},
        "ascii-default": {"default_charset": "ascii"},
        "latin1-default": {"default_charset": "latin1"},
        "dcs1-text": {"gsm7_data_coding": "1", "charsets": "1:gsm7"},
        "dcs-f1-text": {"gsm7_data_coding": "0xf1"},
        "payload-only": {"long_method": "payload"},
        "sar": {"long_method": "sar"},
        "udh16": {"long_method": "udh16"},
        "national-dest": {"destination_form": "national", "destination_ton": "2", "destination_npi": "1"},
        "ton1-npi0": {
            "source_number_npi": "0",
            "destination_npi": "0",
            "binds": "2",
            "window": "10",
            "enquire_link_interval_s": "30",
        },
        "two-binds-tls": {"tls": "yes", "binds": "2", "interface_version": "0x34"},
        "wide": {"binds": "10", "window": "20", "rate_per_s": "2000", "burst": "200"},
        "single-session": {"binds": "1", "already_bound_delay_s": "45"},
        "cautious": {"window": "1", "rate_per_s": "1", "burst": "1", "response_timeout_s": "120"},
        "queue-full-is-throttle": {"statuses": "0x14:throttle;0x45:throttle"},
        "gsm-map-errors": {
            "receipt_errors": ";".join(
                f"{code}:{known.error_class}:{known.reason}:{known.sentence}" for code, known in GSM_MAP_ERRORS.items()
            )
        },
    }
)


def settings(assignments: Iterable[str]) -> dict[str, str]:
    """The settings of `key=value` words, as a command line gives them; raises ValueError if written otherwise."""
    read: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        name = key.strip().lower().replace("-", "_")
        if not equals or not name:
            raise ValueError(f"{assignment[:60]!r} is not written key=value")
        if name in read:
            raise ValueError(f"{name} is set twice")
        read[name] = value.strip()
    return read


def profile(names: str = "generic", settings: Mapping[str, str] | None = None) -> Profile:
    """The profile of the presets `names` (joined by `+` or commas, later ones win) with `settings` on top.

    Tables (statuses, receipt_errors, status_words, charsets) add up; every other knob is replaced. Raises ValueError
    for an unknown preset or knob (with a suggestion), a bad value (with what is allowed), or knobs that contradict
    each other.
    """
    values: dict[str, object] = {}
    for name in names.lower().replace("+", ",").split(","):
        preset = name.strip()
        if preset not in PRESETS:
            raise ValueError(f"unknown profile {preset[:60]!r}{suggestion(preset, PRESETS)}")
        _apply(values, PRESETS[preset])
    _apply(values, settings or {})
    built = replace(Profile(), **cast(dict[str, Any], values))
    _check(built)
    return built


def _apply(values: dict[str, object], changes: Mapping[str, str]) -> None:
    for key, value in changes.items():
        name = key.strip().lower().replace("-", "_")
        knob = KNOBS.get(name)
        if knob is None:
            raise ValueError(f"unknown setting {key[:60]!r}{suggestion(name, KNOBS)}")
        try:
            read = knob.parse(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        values[name] = merged(values[name], read) if knob.table and name in values else read


def _check(built: Profile) -> None:
    """Refuse knobs that contradict each other; each is fine alone."""
    if built.long_method in (LongMethod.SAR, LongMethod.PAYLOAD) and not built.tlvs_sent:
        raise ValueError(f"long_method: {built.long_method} needs TLVs, which this profile forbids")
    if built.flash is FlashMethod.SUBUNIT and not built.tlvs_sent:
        raise ValueError("flash: subunit needs TLVs, which this profile forbids")
    if built.reconnect_delay_s_min > built.reconnect_delay_s_max:
        raise ValueError("reconnect_delay_s_min: is above reconnect_delay_s_max")
    if built.auth_retry_delay_s_min > built.auth_retry_delay_s_max:
        raise ValueError("auth_retry_delay_s_min: is above auth_retry_delay_s_max")
    if built.receipts_by_text and not {"id", "stat"} <= set(built.receipt_fields):
        raise ValueError("receipt_fields: a receipt known by its text needs id and stat")
    # Which receipt counts must be among those asked for, or every long message would end without one.
    counted = {
        MultipartPolicy.FIRST: built.registered_delivery_first,
        MultipartPolicy.LAST: built.registered_delivery_last,
    }
    if counted.get(built.multipart_policy, 1) & 0x03 == 0 and built.registered_delivery_single & 0x03:
        raise ValueError(f"multipart_policy: {built.multipart_policy} counts a receipt that is not asked for")


def verdict(status: int, profile: Profile) -> Verdict:
    """The class of a command_status with its name, a sentence and the cap on attempts.

    The carrier's own table comes first, then SMPP 3.4 section 5.1.3 and 5.0 section 4.7.6; any other status is of
    the class `unknown_status_class`, with few attempts.
    """
    standard = STATUSES.get(status)
    name = Status(status).name if standard else f"status_{status:#x}"
    if standard and status == Status.ROK:
        return Verdict(standard[0], name, standard[1])
    for rule in profile.statuses:
        if rule.code == status:
            sentence = rule.sentence or (standard[1] if standard else f"The carrier answered {status:#x}")
            return Verdict(rule.error_class, rule.reason or name, sentence)
    if standard is None:
        sentence = f"The carrier answered {status:#x}, which no table explains"
        return Verdict(profile.unknown_status_class, name, sentence, profile.ambiguous_attempts_max)
    attempts_max = profile.ambiguous_attempts_max if status in AMBIGUOUS_STATUSES else None
    return Verdict(standard[0], name, standard[1], attempts_max)


def classify(status: int, profile: Profile) -> ErrorClass:
    """The class of a command_status on this carrier; see verdict."""
    return verdict(status, profile).error_class


# The reason of a receipt's error code whose rule gives none: customers hear of these by the class alone.
CLASS_REASONS: Mapping[ErrorClass, str] = MappingProxyType({ErrorClass.NUMBER: "unknown_subscriber"})


def receipt_verdict(code: str, profile: Profile) -> Verdict | None:
    """What a receipt's error code means on this carrier; None for a code that is not in the carrier's own table.

    No other table is asked: 006 is an absent subscriber on one carrier and spam on the next.
    """
    key = Rule.receipt_key(code)
    for rule in profile.receipt_errors:
        if rule.code == key:
            sentence = rule.sentence or f"The carrier gave the error code {key}"
            reason = rule.reason or CLASS_REASONS.get(rule.error_class) or f"error_{key.lower()}"
            return Verdict(rule.error_class, reason, sentence)
    return None
