"""Every PDU that we can write, read by Wireshark: field by field what we meant, and nothing to complain about."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from peers import tshark

from chappe.carriers import Outgoing
from chappe.carriers.smpp.submission import pdus as submissions
from chappe.carriers.smpp.submission import validity
from chappe.smpp import codec, pdu, receipts, tlv
from chappe.smpp.commands import Status
from chappe.smpp.error_codes import ReceiptState
from chappe.smpp.fields import (
    Counted,
    CString,
    Destination,
    DestinationList,
    DistributionList,
    Failure,
    FailureList,
    Octet,
    Time,
)
from chappe.smpp.profile import PRESETS, profile
from chappe.smpp.tlv import Tag

pytestmark = pytest.mark.needs("tshark")

# Our name -> Wireshark's, where they differ. It has one name for both forms of a time, by its content.
NAMES = {
    "esm_class": "esm.submit.msg_mode",
    "registered_delivery": "regdel.receipt",
    "short_message": "message",
}
TLV_NAMES = {
    Tag.MS_MSG_WAIT_FACILITIES: "msg_wait.ind",
    Tag.SC_INTERFACE_VERSION: "SC_interface_version",
    Tag.CALLBACK_NUM_PRES_IND: "callback_num.pres",
    Tag.CALLBACK_NUM_ATAG: "callback_num_atag",
    Tag.NETWORK_ERROR_CODE: "network_error.type",
    Tag.ITS_SESSION_INFO: "its_session.number",
    Tag.BILLING_IDENTIFICATION: "billing_id",
    Tag.DEST_ADDR_NP_INFORMATION: "dest_addr_np_info",
    Tag.ALERT_ON_MESSAGE_DELIVERY: "alert_on_message_delivery_type",
    Tag.BROADCAST_CONTENT_TYPE: "broadcast_content_type.nw",
    Tag.BROADCAST_CONTENT_TYPE_INFO: "broadcast_content_type.info",
    Tag.BROADCAST_FREQUENCY_INTERVAL: "broadcast_frequency_interval.unit",
}
STRINGS = {
    column.name + end
    for cls in pdu.PDUS
    for column in codec.columns(cls)
    if isinstance(column.kind, CString | Time)
    for end in ("", "_r")
}
# Where Wireshark 4.0 differs from the standard: it knows ms_validity of SMPP 3.4 only (one octet, not four), reads
# one octet of the two of broadcast_rep_num and takes the other for a broken parameter, and wants a NUL behind
# broadcast_end_time. It names callback numbers without showing their octets.
LENGTHS_IT_READS: dict[int, tuple[int, ...]] = {
    Tag.MS_VALIDITY: (1,),
    Tag.BROADCAST_REP_NUM: (),
    Tag.BROADCAST_END_TIME: (17,),
}
NOT_SHOWN = {Tag.CALLBACK_NUM, Tag.CALLBACK_NUM_ATAG}
ABSOLUTE = b"260201083000000+"
RELATIVE = b"000001000000000R"


def expected(value: pdu.Pdu) -> list[tuple[str, bytes]]:
    """(Wireshark's field, octets) of the mandatory part, from the values and the standard's tables alone."""
    found: list[tuple[str, bytes]] = []
    for column in codec.columns(type(value)):
        item = getattr(value, column.name)
        name = NAMES.get(column.name, column.name)
        match column.kind:
            case Time():
                relative = item.endswith(b"R") or not item
                found.append((name + ("_r" if relative else ""), item + b"\0"))
            case CString():
                found.append((name, item + b"\0"))
            case Octet():
                found.append((name, bytes([item])))
            case Counted():
                found.append(("sm_length", bytes([len(item)])))
                if item:
                    found.append((name, item))
            case DestinationList():
                for one in item:
                    if isinstance(one, Destination):
                        found += _address(one.ton, one.npi, one.address)
                    else:
                        found.append(("dl_name", one.name + b"\0"))
            case FailureList():
                for one in item:
                    found += _address(one.ton, one.npi, one.address)
                    found.append(("error_status_code", one.status.to_bytes(4, "big")))
    return found


def _address(ton: int, npi: int, address: bytes) -> list[tuple[str, bytes]]:
    return [
        ("dest_addr_ton", bytes([ton])),
        ("dest_addr_npi", bytes([npi])),
        ("destination_addr", address + b"\0"),
    ]


def shown(fields: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Without the empty strings: Wireshark shows those of some commands only."""
    return [row for row in fields if row[1] != b"\0" or row[0] not in STRINGS]


def header(value: pdu.Pdu) -> list[tuple[str, bytes]]:
    fields = [
        ("command_length", len(value.encode()).to_bytes(4, "big")),
        ("command_id", value.command_id.to_bytes(4, "big")),
    ]
    if value.command_id & 0x80000000:  # Wireshark shows the status of answers only
        fields.append(("command_status", value.status.to_bytes(4, "big")))
    return [*fields, ("sequence_number", value.sequence.to_bytes(4, "big"))]


def filled(cls: type[pdu.Pdu]) -> pdu.Pdu:
    """A PDU in which every field has a value of its own."""
    numbers = itertools.count(1)
    values: dict[str, Any] = {}
    for column in codec.columns(cls):
        number = next(numbers)
        match column.kind:
            case Time():
                values[column.name] = RELATIVE if column.name == "validity_period" else ABSOLUTE
            case CString(size=size):
                values[column.name] = b"%d" % (10**4 + number) if size > 6 else b"%d" % number if size > 1 else b""
            case Octet():
                values[column.name] = number % 4 if column.name != "replace_if_present_flag" else 1
            case Counted():
                values[column.name] = b"text %d" % number
            case DestinationList():
                values[column.name] = (
                    Destination(1, 1, b"33639980001"),
                    DistributionList(b"friends"),
                    Destination(2, 0, b"0639980002"),
                )
            case FailureList():
                values[column.name] = (
                    Failure(1, 1, b"33639980001", Status.RINVDSTADR),
                    Failure(2, 0, b"0639980002", Status.RTHROTTLED),
                )
    return cls(**values, sequence=next(numbers))


def judged(values: Sequence[pdu.Pdu], folder: Path) -> list[tuple[list[tuple[str, bytes]], tuple[str, ...]]]:
    """(all fields but those that group or repeat others, complaints) of each PDU, as tshark reads it."""
    groups = {"opt_params", "opt_param", "dlist", "dlist_resp", "message_text", "broadcast_area_identifier.format"}
    frames = [(value.encode(), isinstance(value, pdu.Response | pdu.DeliverSm)) for value in values]
    return [
        (shown([row for row in found.fields if row[0] not in groups]), found.complaints)
        for found in tshark.dissect(frames, folder)
    ]


def test_every_command_is_read_field_by_field(tmp_path: Path) -> None:
    values = [filled(cls) for cls in pdu.PDUS] + [cls(sequence=9) for cls in pdu.PDUS if cls is not pdu.SubmitMulti]
    for value, (fields, complaints) in zip(values, judged(values, tmp_path), strict=True):
        assert fields == shown(header(value) + expected(value)), value.name
        assert complaints == (), value.name


def test_every_status_of_the_standard_is_read(tmp_path: Path) -> None:
    values = [pdu.SubmitSmResp(status=status, sequence=int(status) + 1) for status in Status if status]
    for value, (fields, complaints) in zip(values, judged(values, tmp_path), strict=True):
        assert (fields, complaints) == (header(value), ())


def test_every_optional_parameter_is_read(tmp_path: Path) -> None:
    values = []
    for tag in Tag:
        least, most = tlv.LENGTHS.get(tag, (3, 3))
        for length in LENGTHS_IT_READS.get(tag, sorted({least, min(most, 40)})):
            octets = ABSOLUTE + b"\0" * (length - 16) if tag is Tag.BROADCAST_END_TIME else bytes([1] * length)
            values.append(pdu.DataSm(tlvs=((tag, octets),), sequence=int(tag)))
    for value, (fields, complaints) in zip(values, judged(values, tmp_path), strict=True):
        ((number, octets),) = value.tlvs
        tag = Tag(number)
        name = TLV_NAMES.get(tag, tlv.tag_name(tag))
        mandatory = shown(header(value) + expected(value))
        told = fields[len(mandatory) :]
        assert fields[: len(mandatory)] == mandatory, name
        assert told[:2] == [
            ("opt_param_tag", tag.to_bytes(2, "big")),
            ("opt_param_len", len(octets).to_bytes(2, "big")),
        ]
        if tag not in NOT_SHOWN:
            assert b"".join(part for _, part in told[2:]) == octets, name
        if told[2:]:
            assert told[2][0] in (name, name.removesuffix("_type") + "_null"), name
        assert complaints == (), name


def test_vendor_parameters_pass_as_octets(tmp_path: Path) -> None:
    value = pdu.SubmitSm(destination_addr=b"33639980001", tlvs=((0x1400, b""), (0x1401, b"ab"), (0x3FFF, b"\0\1\2")))
    ((fields, complaints),) = judged([value], tmp_path)
    assert [octets for name, octets in fields if name == "vendor_op"] == [b"ab", b"\0\1\2"]
    assert complaints == ()


TEXTS = {
    "one part": "Bonjour, ceci est un test.",
    "escapes": "[Prix] 10€ ~{}|\\^",
    "two parts": "a" * 200,
    "ten parts": "x" * 153 * 9 + "fin",
    "escape at the cut": "a" * 152 + "€" + "b" * 100,
}
UNICODE = {
    "one part": "Ça va ? œuvre 😀",
    "two parts": "œ" * 66 + "😀" + "œ" * 40,
    "ten parts": "ê" * 67 * 9 + "😀",
}
MESSAGES = [(text, False) for text in TEXTS.values()] + [(text, True) for text in UNICODE.values()]
PROFILES: list[tuple[str, dict[str, str]]] = [(name, {}) for name in PRESETS] + [
    ("generic", {"default_charset": "gsm7-packed"}),
    ("udh16", {"default_charset": "gsm7-packed"}),
    ("sar", {"default_charset": "gsm7-packed"}),
    ("generic", {"flash": "subunit"}),
    ("generic", {"validity_format": "relative"}),
    ("generic", {"validity_format": "none"}),
    ("generic", {"destination_form": "plus", "source_number_form": "plus"}),
]


def written(name: str, settings: dict[str, str]) -> list[pdu.Pdu]:
    """What a carrier of this profile gets: every text, and the short ones from every kind of sender, flash and not."""
    made = profile(name, settings)
    now = datetime(2026, 2, 1, 8, 30, tzinfo=UTC)
    values: list[pdu.Pdu] = [pdu.BindTransceiver(b"chappe", b"secret", interface_version=made.interface_version)]
    short = [message for message in MESSAGES if len(message[0]) < 70]
    cases = [
        *itertools.product(MESSAGES, ("CHAPPE",), (False,)),
        *itertools.product(short, ("+33639980000", "38000"), (False, True)),
    ]
    for number, ((text, unicode), sender, flash) in enumerate(cases):
        message = Outgoing(number << 8, "+33639980001", sender, text, unicode, flash)
        values += submissions(message, made, validity(now, made.validity_s, made))
    return values


def test_what_each_profile_writes_is_read_field_by_field(tmp_path: Path) -> None:
    # Profiles that differ in timers alone write the same: each PDU is judged once.
    values = {value.encode(): (name, value) for name, settings in PROFILES for value in written(name, settings)}
    assert len(values) > 300
    for (name, value), (fields, complaints) in zip(
        values.values(), judged([value for _, value in values.values()], tmp_path), strict=True
    ):
        mandatory = shown(header(value) + expected(value))
        assert fields[: len(mandatory)] == mandatory, name
        told = [octets for name, octets in fields[len(mandatory) :] if not name.startswith("opt_param_")]
        assert told == [octets for _, octets in value.tlvs], name
        assert complaints == (), name


SHAPES = [receipts.BOTH, receipts.TEXT_ONLY, receipts.TLVS_ONLY, receipts.IN_PAYLOAD]


def test_receipts_of_every_shape_and_state_are_read(tmp_path: Path) -> None:
    at = datetime(2026, 2, 1, 8, 30, tzinfo=UTC)
    values: list[pdu.Pdu] = []
    for shape, state, form in itertools.product(SHAPES, ReceiptState, receipts.IdForm):
        text, tlvs = receipts.write(
            receipts.write_id(123_456_789, form),
            state,
            submitted_at=at,
            done_at=at,
            text=b"Bonjour",
            shape=shape,
            network_error=(3, 27),
        )
        values.append(
            pdu.DeliverSm(
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr=b"33639980001",
                destination_addr=b"CHAPPE",
                dest_addr_ton=5,
                esm_class=0x04,
                short_message=text,
                tlvs=tlvs,
                sequence=len(values) + 1,
            )
        )
    for value, (fields, complaints) in zip(values, judged(values, tmp_path), strict=True):
        mandatory = shown(header(value) + expected(value))
        assert fields[: len(mandatory)] == mandatory
        told = b"".join(octets for name, octets in fields[len(mandatory) :] if not name.startswith("opt_param_"))
        assert told == b"".join(octets for _, octets in value.tlvs)
        assert complaints == ()


def test_payloads_larger_than_a_packet_are_one_pdu(tmp_path: Path) -> None:
    value = pdu.SubmitSm(destination_addr=b"33639980001", tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 60_000),))
    ((fields, complaints),) = judged([value], tmp_path)
    assert (fields[-1], complaints) == (("message_payload", b"x" * 60_000), ())


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(pdu.SubmitSm(short_message=b"\x05\x00\x03\x01", esm_class=0x40).encode(), id="broken UDH"),
        pytest.param(pdu.SubmitSm(short_message=b"a", tlvs=((Tag.MESSAGE_PAYLOAD, b"b"),)).encode(), id="two texts"),
        pytest.param(b"\0\0\0\x14\0\0\0\x04\0\0\0\0\0\0\0\1CMT\0", id="cut in the body"),
    ],
)
def test_the_oracle_complains_about_what_is_wrong(broken: bytes, tmp_path: Path) -> None:
    assert tshark.complaints([(broken, False)], tmp_path) != []
