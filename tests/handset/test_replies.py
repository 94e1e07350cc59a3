"""Replies: addresses as sent, texts cut as phones do."""

from __future__ import annotations

from random import Random

import pytest

from chappe.handset.chaos import ReplyParts
from chappe.handset.replies import Reply, deliver_sms, numbering, parts_of


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("+33612345678", (1, 1, b"33612345678")),
        ("36111", (0, 1, b"36111")),
        ("Chappe", (5, 0, b"Chappe")),
    ],
)
def test_numbering(address: str, expected: tuple[int, int, bytes]) -> None:
    assert numbering(address) == expected


@pytest.mark.parametrize(
    ("text", "parts", "data_coding", "esm_class"),
    [("STOP", 1, 0, 0), ("x" * 160, 1, 0, 0), ("x" * 161, 2, 0, 0x40), ("ê" * 70, 1, 8, 0), ("ê" * 71, 2, 8, 0x40)],
)
def test_texts_are_cut_where_a_phone_cuts(text: str, parts: int, data_coding: int, esm_class: int) -> None:
    pdus = deliver_sms(Reply("+33612345678", "36111", text), 7, ReplyParts.ORDERED, None, Random(1))
    assert parts_of(text) == parts == len(pdus)
    assert {(pdu.data_coding, pdu.esm_class) for pdu in pdus} == {(data_coding, esm_class)}
    assert all(len(pdu.short_message) <= 140 or data_coding == 0 for pdu in pdus)
