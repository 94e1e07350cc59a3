"""PDUs: golden octets, round trips, strict writing, liberal reading."""

import struct
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp import codec, pdu, tlv
from chappe.smpp.commands import CommandId, Status, command_name, status_name
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
from chappe.smpp.tlv import Tag

CLASSES = [pytest.param(cls, id=cls.name) for cls in pdu.PDUS]
REQUESTS_WITH_BODY = [
    pytest.param(cls, id=cls.name) for cls in pdu.PDUS if issubclass(cls, pdu.Request) and codec.columns(cls)
]
RESPONSES_WITH_BODY = [
    pytest.param(cls, id=cls.name) for cls in pdu.PDUS if issubclass(cls, pdu.Response) and codec.columns(cls)
]

# -- octets by hand, from the tables of the standard

SUBMIT_BODY = (
    b"CMT\0"  # service_type
    b"\5\0CHAPPE\0"  # source ton, npi, address
    b"\1\1" + b"33600000001\0"  # destination ton, npi, address
    b"\x40\0\1"  # esm_class UDHI, protocol_id, priority_flag
    b"\0"  # schedule_delivery_time
    b"260201083000000+\0"  # validity_period
    b"\1\0\x08\0"  # registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id
    b"\4ABCD"  # sm_length, short_message
)
SUBMIT = struct.pack(">IIII", 16 + len(SUBMIT_BODY) + 6, 4, 0, 0x1234) + SUBMIT_BODY + b"\x02\x04\0\2\xab\xcd"
SUBMIT_PDU = pdu.SubmitSm(
    service_type=b"CMT",
    source_addr_ton=5,
    source_addr=b"CHAPPE",
    dest_addr_ton=1,
    dest_addr_npi=1,
    destination_addr=b"33600000001",
    esm_class=0x40,
    priority_flag=1,
    validity_period=b"260201083000000+",
    registered_delivery=1,
    data_coding=8,
    short_message=b"ABCD",
    sequence=0x1234,
    tlvs=((Tag.USER_MESSAGE_REFERENCE, b"\xab\xcd"),),
)
GOLDEN = [
    (SUBMIT, SUBMIT_PDU),
    (bytes.fromhex("00000010 00000015 00000000 00000001"), pdu.EnquireLink(sequence=1)),
    (bytes.fromhex("00000010 80000000 00000003 00000000"), pdu.GenericNack(status=Status.RINVCMDID)),
    (bytes.fromhex("00000014 80000004 00000000 00000002 61623100"), pdu.SubmitSmResp(b"ab1", sequence=2)),
    (bytes.fromhex("00000010 80000004 00000058 00000002"), pdu.SubmitSmResp(status=Status.RTHROTTLED, sequence=2)),
    (bytes.fromhex("00000011 80000005 00000000 00000003 00"), pdu.DeliverSmResp(sequence=3)),
    (
        # the bind_transmitter that the standard shows octet by octet (SMPP 3.4, 3.2.1)
        bytes.fromhex(
            "0000002F 00000002 00000000 00000001"
            "534D50503354455354 00 7365637265743038 00 5355424D495431 00 00 01 01 00"
        ),
        pdu.BindTransmitter(b"SMPP3TEST", b"secret08", b"SUBMIT1", 0, 1, 1, b"", sequence=1),
    ),
    (
        struct.pack(">IIII", 0, 0x21, 0, 5)
        + b"\0\0\0\0"
        + b"\3"
        + b"\1\1\1" + b"336000\0" + b"\2FR\0"
        + b"\1\2\0" + b"9\0"
        + b"\0\0\0\0\0\0\0\0\0\2hi",
        pdu.SubmitMulti(
            destinations=(Destination(1, 1, b"336000"), DistributionList(b"FR"), Destination(2, 0, b"9")),
            short_message=b"hi",
            sequence=5,
        ),
    ),
    (
        struct.pack(">IIII", 0, 0x80000021, 0, 5) + b"7\0" + b"\1" + b"\1\1" + b"336000\0" + b"\0\0\0\x0b",
        pdu.SubmitMultiResp(b"7", (Failure(1, 1, b"336000", 11),), sequence=5),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "value"), [pytest.param(*row, id=row[1].name) for row in GOLDEN])
def test_octets_and_values_agree_both_ways(octets: bytes, value: pdu.Pdu) -> None:
    octets = struct.pack(">I", len(octets)) + octets[4:]
    assert value.encode() == octets
    decoded = pdu.decode(octets)
    assert decoded == value
    assert type(decoded) is type(value)
    assert decoded.flags == ()


def test_every_command_of_the_standard_has_its_class_and_its_answer() -> None:
    known = {cls.command_id for cls in pdu.PDUS}
    assert {int(command) for command in CommandId} <= known
    assert len(known) == len(pdu.PDUS)
    unanswered = {CommandId.OUTBIND, CommandId.ALERT_NOTIFICATION, CommandId.GENERIC_NACK}
    assert set(pdu.RESPONSES) == set(CommandId) - unanswered
    for request, response in pdu.RESPONSES.items():
        assert response.command_id == request | 0x80000000
        assert response.name == command_name(request) + "_resp"


# -- properties

OCTET = st.integers(0, 255)


def c_octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=size - 1).map(lambda octets: octets.replace(b"\0", b"@"))


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    match kind:
        case CString():
            return c_octets(kind.size)
        case Time():
            return st.sampled_from([b"", b"260201083000000+", b"000001000000000R"])
        case Octet():
            return OCTET
        case Counted():
            return st.binary(max_size=kind.size_max)
        case DestinationList():
            address = st.builds(Destination, OCTET, OCTET, c_octets(21))
            return st.lists(address | st.builds(DistributionList, c_octets(21)), min_size=1, max_size=5).map(tuple)
        case FailureList():
            failure = st.builds(Failure, OCTET, OCTET, c_octets(21), st.integers(0, 0xFFFFFFFF))
            return st.lists(failure, max_size=5).map(tuple)
    raise AssertionError(kind)


def tlvs() -> st.SearchStrategy[pdu.Tlvs]:
    vendor = st.tuples(st.integers(0x1400, 0x3FFF), st.binary(max_size=20))
    known = st.sampled_from(
        [(Tag.MESSAGE_STATE, b"\2"), (Tag.RECEIPTED_MESSAGE_ID, b"12\0"), (Tag.ALERT_ON_MESSAGE_DELIVERY, b"")]
    )
    return st.lists(vendor | known, max_size=4).map(tuple)


@st.composite
def any_pdu(draw: st.DrawFn) -> pdu.Pdu:
    cls = draw(st.sampled_from(pdu.PDUS))
    values = {row.name: draw(values_of(row.kind)) for row in codec.columns(cls)}
    return cls(**values, sequence=draw(st.integers(0, 0x7FFFFFFF)), tlvs=draw(tlvs()))


@given(any_pdu())
def test_reading_what_was_written_gives_the_same(value: pdu.Pdu) -> None:
    octets = value.encode()
    decoded = pdu.decode(octets)
    assert decoded == value
    assert type(decoded) is type(value)
    assert decoded.flags == ()
    assert decoded.encode() == octets


@given(any_pdu())
def test_the_quick_codec_and_the_careful_one_agree(value: pdu.Pdu) -> None:
    cls = type(value)
    rows = codec.columns(cls)
    is_response = issubclass(cls, pdu.Response)
    octets = codec._write(value, rows, is_response)
    assert octets == value.encode()
    assert codec._read(cls, rows, octets, 0, value.sequence, is_response) == pdu.decode(octets)


@given(any_pdu(), st.data())
def test_a_cut_request_is_refused_and_a_cut_response_is_read(value: pdu.Pdu, data: st.DataObject) -> None:
    octets = value.encode()
    octets = octets[: data.draw(st.integers(16, len(octets)))]
    octets = struct.pack(">I", len(octets)) + octets[4:]
    decoded: pdu.Pdu | pdu.DecodeError
    try:
        decoded = pdu.decode(octets)
    except pdu.DecodeError as error:
        decoded = error
    if isinstance(decoded, pdu.DecodeError):
        assert isinstance(value, pdu.Request)
        assert decoded.status in (Status.RINVCMDLEN, Status.RINVMSGLEN)
        assert (decoded.command_id, decoded.sequence) == (value.command_id, value.sequence)
        assert not decoded.framing_lost
    else:
        # What is still there is what was sent, or it is flagged, or only TLVs are missing.
        same = all(getattr(decoded, item.name) == getattr(value, item.name) for item in fields(type(value))[4:])
        assert same or decoded.flags
        assert decoded.tlvs == value.tlvs[: len(decoded.tlvs)]


# -- strict when writing

REFUSED_FIELDS: list[tuple[pdu.Pdu, str]] = [
    (pdu.SubmitSm(source_addr=b"1" * 21), "source_addr"),
    (pdu.SubmitSm(source_addr=b"12\x003"), "NUL"),
    (pdu.SubmitSm(destination_addr=b"\0"), "NUL"),
    (pdu.SubmitSm(service_type=b"x" * 65), "service_type"),
    (pdu.SubmitSm(destination_addr=b"1" * 21), "destination_addr"),
    (pdu.SubmitSm(validity_period=b"2602010830"), "validity_period"),
    (pdu.SubmitSm(schedule_delivery_time=b"26020108300000\x00+"), "NUL"),
    (pdu.SubmitSm(data_coding=256), "data_coding"),
    (pdu.SubmitSm(data_coding=-1), "data_coding"),
    (pdu.SubmitSm(short_message=b"x" * 255), "short_message"),
    (pdu.SubmitSm(destination_addr="336"), "octets"),  # type: ignore[arg-type]
    (pdu.SubmitSm(tlvs=((Tag.MESSAGE_STATE, b""),)), "message_state"),
    (pdu.SubmitSm(tlvs=((0x10000, b""),)), "tag"),
    (pdu.SubmitSm(tlvs=((0x1400, b"x" * 65536),)), "0x1400"),
    (pdu.SubmitSm(sequence=-1), "sequence_number"),
    (pdu.SubmitSm(sequence=1 << 32), "sequence_number"),
    (pdu.SubmitSm(status=1), "command_status"),
    (pdu.SubmitSmResp(b"x" * 65), "message_id"),
    (pdu.SubmitSmResp(b"1", status=8), "no body"),
    (pdu.SubmitSmResp(status=8, tlvs=((Tag.CONGESTION_STATE, b"\5"),)), "no body"),
    (pdu.SubmitSmResp(status=-1), "command_status"),
    (pdu.DeliverSmResp(b"1"), "message_id"),
    (pdu.BindTransceiver(system_id=b"x" * 65), "system_id"),
    (pdu.BindTransceiver(password=b"x" * 65), "password"),
    (pdu.BindTransceiver(system_type=b"x" * 65), "system_type"),
    (pdu.BindTransceiver(address_range=b"x" * 65), "address_range"),
    (pdu.SubmitMulti(), "destinations"),
    (pdu.SubmitMulti(destinations=(DistributionList(b"x"),) * 255), "destinations"),
    (pdu.SubmitMulti(destinations=(Destination(1, 1, b"x" * 21),)), "destinations"),
    (pdu.SubmitMulti(destinations=(Destination(1, 256, b"x"),)), "destinations"),
    (pdu.SubmitMultiResp(failures=(Failure(1, 1, b"x", -1),)), "failures"),
    (pdu.Unknown(0x999, b"", sequence=1 << 40), "header"),
]


@pytest.mark.parametrize(("value", "said"), REFUSED_FIELDS)
def test_what_the_standard_does_not_allow_is_not_written(value: pdu.Pdu, said: str) -> None:
    with pytest.raises(pdu.EncodeError, match=said):
        value.encode()


@pytest.mark.parametrize("cls", [pdu.BindTransmitter, pdu.BindReceiver, pdu.BindTransceiver])
def test_names_and_passwords_longer_than_the_standard_s_are_written_since_carriers_hand_them_out(
    cls: type[pdu.BindRequest],
) -> None:
    value = cls(b"i" * 64, b"p" * 64, b"t" * 64, 0x34, 0, 0, b"r" * 64)
    decoded = pdu.decode(value.encode())
    assert decoded == value
    assert decoded.flags == (
        "overlong:system_id",
        "overlong:password",
        "overlong:system_type",
        "overlong:address_range",
    )


@pytest.mark.parametrize("cls", [pdu.SubmitSm, pdu.DataSm])
def test_a_service_type_that_names_a_route_is_written_whole(cls: type[pdu.SubmitSm | pdu.DataSm]) -> None:
    value = cls(b"s" * 64, destination_addr=b"33600000001")
    decoded = pdu.decode(value.encode())
    assert decoded == value
    assert decoded.flags == ("overlong:service_type",)


# -- liberal when reading


def framed(command_id: int, body: bytes, status: int = 0, sequence: int = 7) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, status, sequence) + body


@pytest.mark.parametrize(
    ("octets", "expected", "flags"),
    [
        (framed(0x80000004, b"abc"), {"message_id": b"abc"}, ("unterminated:message_id",)),
        (framed(0x80000004, b"x" * 70 + b"\0"), {"message_id": b"x" * 70}, ("overlong:message_id",)),
        (framed(0x80000004, b""), {"message_id": b""}, ("body_missing",)),
        (framed(0x80000004, b"", 0x401), {"message_id": b"", "status": 0x401}, ()),
        (framed(0x80000004, b"\0", 0x58), {"message_id": b"", "status": 0x58}, ("body_in_error",)),
        (framed(0x80000004, b"12\0", 0x58), {"message_id": b"12"}, ("body_in_error",)),
        (framed(0x80000005, b"12\0"), {"message_id": b"12"}, ("overlong:message_id",)),
        (framed(0x80000009, b""), {"system_id": b""}, ("body_missing",)),
        (framed(0x80000009, b"a\0\x02\x10\0\1\x34"), {"tlvs": ((0x0210, b"\x34"),)}, ()),
        (framed(0x80000003, b"1\0"), {"message_id": b"1", "message_state": 0}, ("truncated:final_date",)),
        (framed(0x80000004, b"1\0\x14\0\0\0"), {"tlvs": ((0x1400, b""),)}, ()),
        (framed(0x80000004, b"1\0\x14\0\0\0\x14\0\0\0"), {"tlvs": ((0x1400, b""), (0x1400, b""))}, ()),
        (framed(0x80000004, b"1\0\x14\0\0\1z\x04\x27\0\x09\2"), {"tlvs": ((0x1400, b"z"),)}, ("tlv_tail",)),
        (framed(0x80000004, b"1\0\0"), {"message_id": b"1", "tlvs": ()}, ("tlv_tail",)),
        (framed(0x80000015, b"", 0x08), {"status": 8}, ()),
        (framed(0x00000015, b"\0"), {"tlvs": ()}, ("tlv_tail",)),
    ],
)
def test_odd_pdus_are_read_and_flagged(octets: bytes, expected: dict[str, Any], flags: tuple[str, ...]) -> None:
    decoded = pdu.decode(octets)
    assert {name: getattr(decoded, name) for name in expected} == expected
    assert decoded.flags == flags


def deliver(**changes: Any) -> pdu.DeliverSm:
    values: dict[str, Any] = {"source_addr": b"33600000001", "destination_addr": b"38000", "short_message": b"hi"}
    return pdu.DeliverSm(**{**values, **changes})


@pytest.mark.parametrize(
    "value",
    [
        deliver(data_coding=0xF5),
        deliver(data_coding=0x11),
        deliver(source_addr_npi=2),
        deliver(short_message=b""),
        deliver(tlvs=((0x1501, b"vendor"),)),
        deliver(esm_class=0x44, protocol_id=0x7F),
    ],
)
def test_legal_traffic_on_which_others_break_is_read_without_a_flag(value: pdu.DeliverSm) -> None:
    decoded = pdu.decode(value.encode())
    assert decoded == value
    assert decoded.flags == ()


def test_both_texts_are_kept_and_flagged() -> None:
    decoded = pdu.decode(deliver(tlvs=((Tag.MESSAGE_PAYLOAD, b"the long one"),)).encode())
    assert decoded.flags == ("two_texts",)
    assert decoded.tlv(Tag.MESSAGE_PAYLOAD) == b"the long one"


def test_a_broken_tlv_keeps_the_mandatory_part_of_a_deliver_sm() -> None:
    octets = deliver(tlvs=((Tag.MESSAGE_STATE, b"\2"),)).encode()[:-1]
    decoded = pdu.decode(struct.pack(">I", len(octets)) + octets[4:])
    assert isinstance(decoded, pdu.DeliverSm)
    assert decoded.short_message == b"hi"
    assert decoded.flags == ("tlv_tail",)


@pytest.mark.parametrize("cls", REQUESTS_WITH_BODY)
def test_a_request_without_its_body_is_refused_with_the_status_to_answer(cls: type[pdu.Pdu]) -> None:
    with pytest.raises(pdu.DecodeError) as caught:
        pdu.decode(framed(cls.command_id, b""))
    assert caught.value.status == Status.RINVCMDLEN
    assert (caught.value.command_id, caught.value.sequence) == (cls.command_id, 7)
    assert not caught.value.framing_lost


@pytest.mark.parametrize("cls", RESPONSES_WITH_BODY)
def test_a_response_without_its_body_is_read(cls: type[pdu.Pdu]) -> None:
    for sequence in (7, 256):  # the last octet of the header may look like the NUL of an empty string
        assert pdu.decode(framed(cls.command_id, b"", sequence=sequence)).flags == ("body_missing",)
    assert pdu.decode(framed(cls.command_id, b"", 8)).flags == ()


def test_a_text_shorter_than_sm_length_is_refused_not_cut() -> None:
    octets = deliver().encode()[:-1]
    with pytest.raises(pdu.DecodeError) as caught:
        pdu.decode(struct.pack(">I", len(octets)) + octets[4:])
    assert caught.value.status == Status.RINVMSGLEN


def test_a_wrong_dest_flag_is_refused_with_its_own_status() -> None:
    with pytest.raises(pdu.DecodeError) as caught:
        pdu.decode(framed(0x21, b"\0\0\0\0\1\3x\0"))
    assert caught.value.status == Status.RINVDESTFLAG


@pytest.mark.parametrize("octets", [b"", b"\0\0\0\x10", framed(4, b"")[:-1], framed(4, b"") + b"x"])
def test_a_frame_of_another_length_than_it_says_means_lost_framing(octets: bytes) -> None:
    with pytest.raises(pdu.DecodeError) as caught:
        pdu.decode(octets)
    assert caught.value.framing_lost
    assert caught.value.status == Status.RINVCMDLEN


def test_an_unknown_command_keeps_its_octets() -> None:
    octets = framed(0x00010204, b"whatever", 5)
    decoded = pdu.decode(octets)
    assert decoded == pdu.Unknown(0x00010204, b"whatever", sequence=7, status=5)
    assert decoded.encode() == octets


@pytest.mark.parametrize("cls", CLASSES)
def test_no_address_text_or_password_shows_in_a_repr(cls: type[pdu.Pdu]) -> None:
    values: dict[str, Any] = {}
    for row in codec.columns(cls):
        if isinstance(row.kind, CString | Counted):
            values[row.name] = b"s3cret"
        if isinstance(row.kind, DestinationList):
            values[row.name] = (Destination(1, 1, b"s3cret"), DistributionList(b"s3cret"))
        if isinstance(row.kind, FailureList):
            values[row.name] = (Failure(1, 1, b"s3cret", 8),)
    value = cls(**values, tlvs=((Tag.MESSAGE_PAYLOAD, b"s3cret"),))
    assert "s3cret" not in repr(value) + str(values.get("destinations", ())[:1]) + str(values.get("failures", ""))
    assert cls.name in repr(value)


# -- TLVs


def test_typed_readers_give_none_for_what_is_not_there() -> None:
    value = deliver(
        tlvs=(
            (Tag.MESSAGE_STATE, b"\2"),
            (Tag.MESSAGE_STATE, b"\5"),
            (0x1400, b""),
            (0x1401, b"12345"),
            (Tag.USER_MESSAGE_REFERENCE, b"\1\2"),
        )
    )
    assert value.tlv_int(Tag.MESSAGE_STATE) == 2
    assert value.tlv_int(Tag.USER_MESSAGE_REFERENCE) == 0x0102
    assert value.tlv_int(0x1400) is None
    assert value.tlv_int(0x1401) is None
    assert value.tlv(0x1402) is None
    assert tlv.network_error(b"\3\0\x22") == tlv.NetworkError(3, 0x22)
    assert tlv.network_error(b"\3\0") is None
    assert tlv.text(b"abc\0\0") == tlv.text(b"abc") == b"abc"


@pytest.mark.parametrize("tag", [pytest.param(tag, id=tag.name) for tag in Tag])
def test_each_known_tag_is_written_at_its_limits_and_no_further(tag: Tag) -> None:
    least, most = tlv.LENGTHS.get(tag, (0, 0xFFFF))
    for size in (least, most):
        octets = tlv.write(((tag, b"x" * size),))
        assert tlv.read(octets, 0) == (((tag, b"x" * size),), True)
    for size in {least - 1, most + 1} - {-1}:
        with pytest.raises(pdu.EncodeError, match=tag.name.lower()):
            tlv.write(((tag, b"x" * size),))


def test_names_are_those_of_the_standard_or_numbers() -> None:
    assert command_name(0x80000103) == "data_sm_resp"
    assert command_name(0x80000000) == "generic_nack"
    assert command_name(0x00010204) == "0x00010204"
    assert status_name(0x58) == "ESME_RTHROTTLED"
    assert status_name(0x401) == "0x00000401"
    assert tlv.tag_name(0x0424) == "message_payload"
    assert tlv.tag_name(0x1401) == "0x1401"


def test_a_command_is_built_when_it_is_first_met() -> None:
    """Building all of them takes longer than a worker's other imports."""
    code = """
from chappe.smpp import pdu
assert not pdu.DECODERS
octets = pdu.EnquireLink(sequence=7).encode()
assert not pdu.DECODERS
assert pdu.decode(octets) == pdu.EnquireLink(sequence=7)
assert [*pdu.DECODERS] == [0x15]
assert isinstance(pdu.decode(octets[:4] + bytes([0, 0, 0x66, 0x66]) + octets[8:]), pdu.Unknown)
assert [*pdu.DECODERS] == [0x15]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
