"""What phones show: texts in every alphabet, long messages in every order, addresses as people write them."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chappe.core import segments
from chappe.handset.phones import Part, Phones, address, piece_of
from chappe.smpp.concatenation import cut
from chappe.smpp.pdu import SubmitSm
from chappe.smpp.profile import LongMethod
from chappe.smpp.tlv import Tag


def phones(messages_max: int = 10) -> Phones:
    numbers = count(1_000)
    return Phones(messages_max, 60.0, lambda: next(numbers))


def part(number: int, pdu: SubmitSm, system_id: str = "client") -> Part:
    return Part(number, str(number), str(number), system_id, pdu, float(number))


def shown(text: bytes, data_coding: int = 0, **fields: object) -> tuple[str, str, int, bool]:
    pdu = SubmitSm(destination_addr=b"33612345678", short_message=text, data_coding=data_coding)
    for name, value in fields.items():
        setattr(pdu, name, value)
    [message] = phones().take(part(1, pdu), piece_of(pdu), 0.0)
    return message.text, message.encoding, message.parts_total, message.flash


@pytest.mark.parametrize(
    ("text", "data_coding", "expected"),
    [
        (b"Hello", 0x00, ("Hello", "gsm7", 1, False)),
        (b"\x00\x02 \x1b\x65", 0x00, ("@$ €", "gsm7", 1, False)),
        (b"Hello_@\r\n", 0x01, ("Hello_@\r\n", "ascii", 1, False)),
        (b"D\x05j\x7f \x1b\x65 \x00", 0x01, ("Déjà € @", "gsm7", 1, False)),  # as npm's smpp marks GSM 03.38
        (b"D\xe9j\xe0", 0x01, ("D\ufffdj\ufffd", "ascii", 1, False)),
        ("Déjà".encode("latin-1"), 0x03, ("Déjà", "latin1", 1, False)),
        ("Zażółć 🎉".encode("utf-16-be"), 0x08, ("Zażółć 🎉", "ucs2", 1, False)),
        (b"Look", 0xF0, ("Look", "gsm7", 1, True)),
        ("é".encode("utf-16-be"), 0x18, ("é", "ucs2", 1, True)),
        (b"\x01\x02", 0x04, ("0102", "binary", 1, False)),
        (b"\x01" * 200, 0xF5, ("01" * 200, "binary", 2, False)),
        (b"x" * 200, 0x00, ("x" * 200, "gsm7", 2, False)),
        (b"", 0x00, ("", "gsm7", 1, False)),
    ],
)
def test_texts_are_shown_as_a_phone_does(text: bytes, data_coding: int, expected: tuple[str, str, int, bool]) -> None:
    assert shown(text, data_coding) == expected


def test_a_subunit_of_one_is_a_flash_message() -> None:
    assert shown(b"Look", tlvs=((Tag.DEST_ADDR_SUBUNIT, b"\x01"),))[3]


@pytest.mark.parametrize(
    ("ton", "octets", "written"),
    [
        (1, b"33612345678", "+33612345678"),
        (1, b"+33612345678", "+33612345678"),
        (0, b"33612345678", "+33612345678"),
        (0, b"0033612345678", "+33612345678"),
        (0, b"0612345678", "0612345678"),
        (0, b"36111", "36111"),
        (3, b"36111", "36111"),
        (5, b"Chappe", "Chappe"),
        (5, b"118218", "118218"),
        (0, b"Chappe", "Chappe"),
        (0, b"", ""),
    ],
)
def test_addresses_are_written_as_people_do(ton: int, octets: bytes, written: str) -> None:
    assert address(ton, octets) == written


@given(
    text=some.text(some.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=170, max_size=600),
    method=some.sampled_from([LongMethod.UDH8, LongMethod.UDH16, LongMethod.SAR]),
    chance=some.randoms(use_true_random=False),
)
def test_parts_in_any_order_give_the_text_that_was_cut(text: str, method: LongMethod, chance: object) -> None:
    clean = segments.clean(text)
    sizes = segments.UDH16 if method is LongMethod.UDH16 else segments.UDH8
    split = segments.split(clean, sizes=sizes)
    pdus = [
        SubmitSm(
            destination_addr=b"33612345678",
            esm_class=piece.esm_class,
            data_coding=8 if split.encoding == "ucs2" else 0,
            short_message=piece.short_message,
            tlvs=piece.tlvs,
        )
        for piece in cut(segments.encode_parts(split), method, 77)
    ]
    chance.shuffle(pdus)  # type: ignore[attr-defined]
    store = phones()
    found = [
        message for number, pdu in enumerate(pdus) for message in store.take(part(number, pdu), piece_of(pdu), 0.0)
    ]
    assert [(message.text, message.parts_total) for message in found] == [(clean, len(pdus))]
    assert found[0].number == len(pdus) - 1


def test_parts_of_two_clients_do_not_mix() -> None:
    store = phones()
    for number, system_id in enumerate(("one", "two")):
        pdu = SubmitSm(
            destination_addr=b"33612345678", esm_class=0x40, short_message=bytes([5, 0, 3, 1, 2, number + 1]) + b"x"
        )
        assert store.take(part(number, pdu, system_id), piece_of(pdu), 0.0) == []


def test_one_part_again_and_again_does_not_fill_the_memory() -> None:
    store = phones()
    pdu = SubmitSm(destination_addr=b"33612345678", esm_class=0x40, short_message=b"\x05\0\x03\x01\x02\x01x")
    for number in range(1_000):
        assert store.take(part(number, pdu), piece_of(pdu), 0.0) == []
    assert len(store.parts) == 8


@given(steps=some.lists(some.integers(0, 20), max_size=60))
def test_the_store_never_holds_more_than_its_limit_and_its_index_agrees(steps: list[int]) -> None:
    store = phones(5)
    for number, step in enumerate(steps):
        if step == 0:
            store.clear()
        pdu = SubmitSm(destination_addr=b"33612345678")
        store.take(part(number, pdu), piece_of(pdu), 0.0)
        kept = {each.id for each in store.kept()}
        assert len(store.messages) <= 5
        assert set(store.parts) == kept
        assert {message.number for message in store.changed_since(store.cleared)} == set(store.messages)


def test_the_phones_keep_a_bounded_number_of_octets() -> None:
    """Ten thousand payloads of 60 kB would be 600 MB."""
    numbers = count(1_000)
    store = Phones(100, 60.0, lambda: next(numbers), octets_max=1_000)
    for number in range(50):
        payload = (Tag.MESSAGE_PAYLOAD, b"x" * 300)
        store.take(part(number, SubmitSm(destination_addr=b"33612345678", short_message=b"", tlvs=(payload,))), None, 0)
    assert list(store.messages) == [47, 48, 49]
    assert set(store.parts) == {"47", "48", "49"}
    store.take(part(99, SubmitSm(destination_addr=b"33612345678", short_message=b"x" * 5_000)), None, 0)
    assert list(store.messages) == [99], "the newest stays, however large"
    store.clear()
    store.take(part(100, SubmitSm(destination_addr=b"33612345678", short_message=b"small")), None, 0)
    store.take(part(101, SubmitSm(destination_addr=b"33612345678", short_message=b"small")), None, 0)
    assert list(store.messages) == [100, 101]
