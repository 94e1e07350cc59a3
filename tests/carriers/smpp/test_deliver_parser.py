"""What a carrier sends, read for the store: which of it is a receipt."""

from __future__ import annotations

import pytest

from chappe.carriers import MessageIn, ReceiptIn
from chappe.carriers.smpp.deliver_parser import Reader
from chappe.smpp.pdu import DeliverSm
from chappe.smpp.profile import Profile
from chappe.smpp.tlv import Tag

TEXT = b"id:77 sub:001 dlvrd:001 submit date:2611221200 done date:2611221201 stat:DELIVRD err:000 text:hello"


@pytest.mark.parametrize(
    ("esm_class", "source", "by_text", "expected"),
    [
        (0x04, b"33612345678", False, ReceiptIn),
        (0x04, b"BANK", False, ReceiptIn),  # the carrier says that it is one, whoever it is about
        (0x00, b"33612345678", False, MessageIn),
        (0x00, b"33612345678", True, ReceiptIn),
        (0x00, b"BANK", True, MessageIn),
        (0x00, b"", True, MessageIn),
    ],
)
def test_a_receipt_by_its_text_alone_needs_a_number_to_be_held_against_its_message(
    esm_class: int, source: bytes, by_text: bool, expected: type
) -> None:
    pdu = DeliverSm(esm_class=esm_class, source_addr=source, destination_addr=b"36111", short_message=TEXT)
    read = Reader(Profile(receipts_by_text=by_text)).read(1, pdu, b"frame")
    assert type(read) is expected


STATE_TLV = (int(Tag.MESSAGE_STATE), b"\x02")
ID_TLV = (int(Tag.RECEIPTED_MESSAGE_ID), b"77\x00")
NETWORK_TLV = (int(Tag.NETWORK_ERROR_CODE), b"\x03\x00\x06")


@pytest.mark.parametrize("esm_class", [0x04, 0x20, 0x44, 0x07])
@pytest.mark.parametrize(
    ("text", "tlvs", "expected"),
    [
        (b"STOP", (), MessageIn),
        (b"STOP", ((int(Tag.PAYLOAD_TYPE), b"\x00"),), MessageIn),
        (b"", ((int(Tag.MESSAGE_PAYLOAD), b"STOP"),), MessageIn),
        ("STOP".encode("utf-16-be"), (), MessageIn),
        (b"Bonjour, mon id: 1234, stop", (), MessageIn),
        (b"Stop: je ne veux plus rien", (), MessageIn),
        (b"text: STOP", (), MessageIn),
        (TEXT, (), ReceiptIn),
        (TEXT.upper(), (), ReceiptIn),
        (TEXT.decode().encode("utf-16-be"), (), ReceiptIn),
        (b"id:77 stat:DELIVRD", (), ReceiptIn),
        (b"id:77", (), ReceiptIn),
        (b"stat:DELIVRD", (), ReceiptIn),
        (b"msgid:77 status:OK", (), ReceiptIn),
        (b"STOP", (ID_TLV,), ReceiptIn),
        (b"STOP", (STATE_TLV,), ReceiptIn),
        (b"STOP", (NETWORK_TLV,), ReceiptIn),
        (b"", (ID_TLV, STATE_TLV), ReceiptIn),
        (b"", (), ReceiptIn),  # says nothing: nobody's reply either
        (b" \x00", (), ReceiptIn),
    ],
)
def test_what_has_nothing_of_a_receipt_is_a_reply_whatever_esm_class_says(
    esm_class: int, text: bytes, tlvs: tuple[tuple[int, bytes], ...], expected: type
) -> None:
    """Some carriers mark replies 0x04 (field: a STOP that became a stray receipt)."""
    header = b"\x05\x00\x03\x07\x01\x01" if esm_class & 0x40 and text else b""
    pdu = DeliverSm(
        esm_class=esm_class,
        source_addr=b"33612345678",
        destination_addr=b"36111",
        short_message=header + text,
        tlvs=tlvs,
    )
    read = Reader(Profile()).read(1, pdu, b"frame")
    assert type(read) is expected
