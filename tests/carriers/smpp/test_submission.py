"""Messages as submit_sm: what a handset joins again is what was written, on every profile."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chappe.carriers import Outgoing
from chappe.carriers.smpp.submission import CannotCarry, address, encode, pdus, reference_of, validity
from chappe.core import gsm7, segments
from chappe.smpp.pdu import SubmitSm
from chappe.smpp.profile import LongMethod, Profile, profile
from chappe.smpp.tlv import Tag

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def made(
    text: str, *, unicode: bool = False, flash: bool = False, message_id: int = 1 << 16, **knobs: str
) -> list[SubmitSm]:
    outgoing = Outgoing(message_id, "+33612345678", "SHOP", text, unicode, flash)
    return pdus(outgoing, profile("generic", knobs), b"")


def payload(pdu: SubmitSm) -> bytes:
    found = dict(pdu.tlvs).get(Tag.MESSAGE_PAYLOAD)
    octets = found if found is not None else pdu.short_message
    return octets[1 + octets[0] :] if pdu.esm_class & 0x40 else octets


def joined(parts: list[SubmitSm]) -> str:
    octets = b"".join(payload(pdu) for pdu in parts)
    return octets.decode("utf-16-be") if parts[0].data_coding == 8 else gsm7.decode(octets)


@pytest.mark.parametrize(
    ("text", "parts", "data_coding"),
    [
        ("a" * 160, 1, 0),
        ("a" * 161, 2, 0),
        ("a" * 306, 2, 0),
        ("a" * 307, 3, 0),
        ("€" * 80, 1, 0),
        ("€" * 81, 2, 0),
        ("ê" * 70, 1, 8),
        ("ê" * 71, 2, 8),
        ("😀" * 35, 1, 8),
        ("😀" * 36, 2, 8),
    ],
)
def test_a_text_is_cut_at_its_alphabets_limits(text: str, parts: int, data_coding: int) -> None:
    found = made(text)
    assert (len(found), found[0].data_coding) == (parts, data_coding)
    assert joined(found) == text
    assert all(len(pdu.short_message) <= 140 if data_coding else 160 for pdu in found)


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(alphabet=st.sampled_from("aé€{}[]êœ😀👨‍👩 \n@"), min_size=1, max_size=600),
    method=st.sampled_from(["udh8", "udh16", "sar", "payload"]),
    unicode=st.booleans(),
)
def test_parts_join_to_the_text_and_cut_no_pair(text: str, method: str, unicode: bool) -> None:
    found = made(text, unicode=unicode, long_method=method, parts_max="40")
    assert joined(found) == text
    for pdu in found:
        octets = payload(pdu)
        if pdu.data_coding == 8:
            octets.decode("utf-16-be")
        else:
            assert not octets.endswith(b"\x1b")
    if len(found) > 1:
        assert len({pdu.short_message[3:4] for pdu in found if method == "udh8"}) <= 1


def test_methods_mark_their_parts() -> None:
    text = "x" * 200
    udh8 = made(text)
    assert [pdu.short_message[:6] for pdu in udh8] == [bytes([5, 0, 3, 1, 2, n]) for n in (1, 2)]
    assert {pdu.esm_class for pdu in udh8} == {0x40}
    udh16 = made(text, long_method="udh16", message_id=0x123400 << 16)
    assert [pdu.short_message[:7] for pdu in udh16] == [bytes([6, 8, 4, 0x34, 0, 2, n]) for n in (1, 2)]
    sar = made(text, long_method="sar")
    assert [dict(pdu.tlvs)[Tag.SAR_SEGMENT_SEQNUM] for pdu in sar] == [b"\x01", b"\x02"]
    assert {pdu.esm_class for pdu in sar} == {0}
    (whole,) = made(text, long_method="payload")
    assert (whole.short_message, len(payload(whole))) == (b"", 200)


def test_a_reference_is_stable_for_a_message_and_moves_on_for_the_next() -> None:
    assert len({reference_of(number << 16, LongMethod.UDH8) for number in range(256)}) == 256
    assert len({reference_of(5 << 16 | place, LongMethod.UDH8) for place in range(256)}) == 256
    assert reference_of(7, LongMethod.UDH8) == reference_of(7, LongMethod.UDH8)
    assert reference_of(0xFFFF << 16, LongMethod.UDH16) == 0xFFFF


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("SHOP", (5, 0, b"SHOP")),
        ("36180", (3, 0, b"36180")),
        ("123456", (3, 0, b"123456")),
        ("+33612345678", (1, 1, b"33612345678")),
        ("33612345678", (1, 1, b"33612345678")),
        ("٣٣٦", (5, 0, b"???")),
    ],
)
def test_a_sender_is_a_name_a_short_code_or_a_number(sender: str, expected: tuple[int, int, bytes]) -> None:
    assert address(sender, profile("generic")) == expected


@pytest.mark.parametrize(
    ("knobs", "destination"),
    [
        ({}, b"33612345678"),
        ({"destination_form": "plus"}, b"+33612345678"),
        ({"destination_form": "national"}, b"612345678"),
        ({"destination_form": "national", "national_prefix": "0"}, b"0612345678"),
    ],
)
def test_a_destination_is_written_as_the_carrier_wants(knobs: dict[str, str], destination: bytes) -> None:
    assert made("x", **knobs)[0].destination_addr == destination


def test_flash_is_a_class_a_tlv_or_nothing() -> None:
    assert made("x", flash=True)[0].data_coding == 0xF0
    assert made("ê", flash=True)[0].data_coding == 0x18
    outgoing = Outgoing(1, "+33612345678", "S", "x", flash=True)
    (subunit,) = pdus(outgoing, profile("generic", {"flash": "subunit"}), b"")
    assert (subunit.data_coding, subunit.tlvs) == (0, ((Tag.DEST_ADDR_SUBUNIT, b"\x01"),))


def test_receipts_are_asked_for_by_place() -> None:
    knobs = {
        "registered_delivery_first": "0",
        "registered_delivery_middle": "0",
        "registered_delivery_last": "1",
        "multipart_policy": "last",
    }
    assert [pdu.registered_delivery for pdu in made("x" * 400, **knobs)] == [0, 0, 1]
    assert made("x")[0].registered_delivery == 1


def test_more_parts_than_the_carrier_takes_is_refused_whole() -> None:
    with pytest.raises(CannotCarry) as caught:
        made("x" * 400, parts_max="2")
    assert caught.value.reason == "too_many_parts"


@pytest.mark.parametrize(
    ("charset", "text", "data_coding", "octets"),
    [
        ("latin1", "été ê", 0, "été ê".encode("latin-1")),
        ("ascii", "plain", 0, b"plain"),
        ("ascii", "été", 8, "été".encode("utf-16-be")),
        ("latin1", "œ", 8, "œ".encode("utf-16-be")),
    ],
)
def test_the_carriers_default_alphabet_is_used_where_it_can_say_the_text(
    charset: str, text: str, data_coding: int, octets: bytes
) -> None:
    (pdu,) = made(text, default_charset=charset)
    assert (pdu.data_coding, pdu.short_message) == (data_coding, octets)


@pytest.mark.parametrize("charset", ["gsm7", "gsm7-packed", "ascii", "latin1"])
@pytest.mark.parametrize("method", ["udh8", "sar"])
@pytest.mark.parametrize(
    "text",
    [
        "a" * 160, "a" * 161, "[" * 80, "[" * 81, "[" * 160, "a" * 152 + "[" + "b" * 20, "a" * 159 + "\\", "~" * 240,
        "é" * 160, "é" * 161, "ê" * 70, "ê" * 71, "ê" * 160, "`" * 160, "a" * 100 + "ç", "x" + "{}" * 200,
    ],
)  # fmt: skip
def test_every_alphabet_is_cut_as_it_is_priced(charset: str, method: str, text: str) -> None:
    """Octets of Latin-1 are septets or UCS-2 on air: 160 times `[` takes 320 septets, whatever carries it."""
    encoding, priced = segments.count(text)
    found = made(text, default_charset=charset, long_method=method, parts_max="40")
    if charset == "ascii" and not text.isascii():  # must travel as UCS-2, whatever it was priced as
        encoding, priced = segments.count(text, unicode=True)
    assert len(found) == priced
    if charset in ("ascii", "latin1") and found[0].data_coding == 0:
        pieces = [payload(pdu).decode("latin-1") for pdu in found]
        assert "".join(pieces) == text
        limit = (70 if priced == 1 else 67) if encoding == "ucs2" else (160 if priced == 1 else 153)
        assert all((gsm7.cost(piece) if encoding == "gsm7" else len(piece)) <= limit for piece in pieces)  # type: ignore[operator]


def test_validity_is_written_as_the_carrier_reads_it() -> None:
    def written(seconds: float, form: str) -> bytes:
        return validity(NOW, seconds, profile("generic", {"validity_format": form}))

    assert written(48 * 3600, "absolute") == b"260304100000000+"
    assert written(2 * 86_400 + 3 * 3600 + 4 * 60 + 5, "relative") == b"000002030405000R"
    assert written(3600, "none") == b""


def test_what_is_sent_says_only_what_was_asked() -> None:
    body = encode("hello", unicode=False, flash=False, profile=Profile())
    assert (body.parts, body.data_coding, body.ucs2, body.packed) == ((b"hello",), 0, False, False)
    (pdu,) = made("hello", service_type="CMT", protocol_id="65", priority_flag="2", esm_class_mode="3")
    assert (pdu.service_type, pdu.protocol_id, pdu.priority_flag, pdu.esm_class) == (b"CMT", 65, 2, 3)
    assert (pdu.schedule_delivery_time, pdu.replace_if_present_flag) == (b"", 0)
