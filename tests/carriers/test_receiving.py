"""What a carrier sends, read for the store: which of it is a receipt."""

from __future__ import annotations

import pytest

from chappe.carriers import MessageIn, ReceiptIn
from chappe.carriers.receiving import Reader
from chappe.smpp.pdu import DeliverSm
from chappe.smpp.profile import Profile

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
