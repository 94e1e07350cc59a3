"""Long messages: what is cut is read and joined again by every method; broken headers lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp.concatenation import UDHI, Cut, Encoding, Joined, Piece, cut, join, read, sizes
from chappe.smpp.profile import LongMethod
from chappe.smpp.septets import fill_bits, unpack

UDH8, UDH16, SAR, PAYLOAD = LongMethod.UDH8, LongMethod.UDH16, LongMethod.SAR, LongMethod.PAYLOAD
parts = st.lists(st.binary(min_size=1, max_size=153), min_size=2, max_size=12)


def received(piece: Cut) -> Piece:
    return read(piece.esm_class, piece.short_message, piece.tlvs)


@pytest.mark.parametrize(
    ("encoding", "method", "expected"),
    [
        (Encoding.GSM7, UDH8, (160, 153)),
        (Encoding.GSM7, UDH16, (160, 152)),
        (Encoding.GSM7, SAR, (160, 153)),
        (Encoding.GSM7, PAYLOAD, (160, 153)),
        (Encoding.UCS2, UDH8, (70, 67)),
        (Encoding.UCS2, UDH16, (70, 66)),
        (Encoding.BINARY, UDH8, (140, 134)),
        (Encoding.BINARY, UDH16, (140, 133)),
    ],
)
def test_sizes_are_those_of_140_octets(encoding: Encoding, method: LongMethod, expected: tuple[int, int]) -> None:
    assert sizes(encoding, method) == expected
    header = {UDH16: 7}.get(method, 6)
    bits = {Encoding.GSM7: 7, Encoding.UCS2: 16, Encoding.BINARY: 8}[encoding]
    assert expected == (140 * 8 // bits, (140 - header) * 8 // bits)


@pytest.mark.parametrize(
    ("method", "reference", "esm_class", "octets", "tlvs"),
    [
        (UDH8, 0xA7, UDHI, "050003a70202" + "62", ()),
        (UDH16, 0x01A7, UDHI, "06080401a70202" + "62", ()),
        (SAR, 0x01A7, 0, "62", ((0x020C, b"\x01\xa7"), (0x020E, b"\x02"), (0x020F, b"\x02"))),
    ],
)
def test_the_second_part_looks_as_the_standard_has_it(
    method: LongMethod, reference: int, esm_class: int, octets: str, tlvs: tuple[tuple[int, bytes], ...]
) -> None:
    assert cut([b"a", b"b"], method, reference)[1] == Cut(esm_class, bytes.fromhex(octets), tlvs)


def test_payload_is_one_piece_with_everything() -> None:
    assert cut([b"a", b"b"], PAYLOAD, 0) == [Cut(0, b"", ((0x0424, b"ab"),))]
    assert cut([b"a"], PAYLOAD, 0) == [Cut(0, b"", ((0x0424, b"a"),))]


@pytest.mark.parametrize("method", [UDH8, UDH16, SAR])
def test_one_part_has_no_header(method: LongMethod) -> None:
    assert cut([b"a"], method, 1) == [Cut(0, b"a", ())]
    assert received(cut([b"a"], method, 1)[0]) == Piece(b"a")


@given(parts=parts, method=st.sampled_from([UDH8, UDH16, SAR]), reference=st.integers(0, 255), data=st.data())
def test_parts_join_in_any_order_with_repeats(
    parts: list[bytes], method: LongMethod, reference: int, data: st.DataObject
) -> None:
    pieces = [received(piece) for piece in cut(parts, method, reference)]
    assert [(piece.method, piece.reference, piece.total, piece.seqnum) for piece in pieces] == [
        (method, reference, len(parts), seqnum) for seqnum in range(1, len(parts) + 1)
    ]
    repeats = data.draw(st.lists(st.sampled_from(pieces), max_size=3))
    shuffled = data.draw(st.permutations([*pieces, *repeats]))
    joined = join(shuffled)
    assert joined.octets == b"".join(parts)
    assert joined.missing == ()
    assert joined.oddities == (("repeated_part",) if repeats else ())


@given(parts=parts, data=st.data())
def test_missing_parts_are_named_and_the_others_kept(parts: list[bytes], data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.integers(1, len(parts)), min_size=1))
    pieces = [received(piece) for piece in cut(parts, UDH8, 7)]
    joined = join(piece for piece in pieces if piece.seqnum in kept)
    assert joined.missing == tuple(seqnum for seqnum in range(1, len(parts) + 1) if seqnum not in kept)
    assert joined.octets == b"".join(parts[seqnum - 1] for seqnum in sorted(kept))


@given(
    texts=st.lists(
        st.binary(min_size=1, max_size=152).map(lambda octets: bytes(o % 0x7E + 1 for o in octets)),
        min_size=2,
        max_size=4,
    ),
    method=st.sampled_from([UDH8, UDH16, SAR]),
)
def test_packed_parts_are_unpacked_behind_their_header(texts: list[bytes], method: LongMethod) -> None:
    texts = [text.replace(b"\r", b"a") for text in texts]
    pieces = [received(piece) for piece in cut(texts, method, 9, packed=True)]
    assert [unpack(piece.body, fill_bits(piece.header_octets)) for piece in pieces] == texts
    assert all(len(piece.body) + piece.header_octets <= 140 for piece in pieces)


@given(texts=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=20))
def test_the_payload_comes_back_whole(texts: list[bytes]) -> None:
    (piece,) = cut(texts, PAYLOAD, 0)
    assert received(piece) == Piece(b"".join(texts))


@pytest.mark.parametrize(
    ("parts", "method", "reference", "message"),
    [
        ([], UDH8, 0, "1 to 255 parts, not 0"),
        ([b"a"] * 256, UDH8, 0, "not 256"),
        ([b"a", b"b"], UDH8, 256, "reference of udh8 is 0 to 255"),
        ([b"a", b"b"], UDH16, 65536, "reference of udh16 is 0 to 65535"),
        ([b"a", b"b"], SAR, -1, "reference of sar"),
        ([b"a" * 249, b"b"], UDH8, 0, "255 octets does not fit in 254"),
        ([b"a" * 255], SAR, 0, "255 octets does not fit in 254"),
        ([b"a" * 60_000, b"b" * 6_000], PAYLOAD, 0, "66000 octets does not fit in 65535"),
    ],
)
def test_what_does_not_fit_is_refused_and_never_cut_off(
    parts: list[bytes], method: LongMethod, reference: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cut(parts, method, reference)


@pytest.mark.parametrize(("method", "reference"), [(UDH8, 0), (UDH8, 255), (UDH16, 0xFFFF), (SAR, 0xFFFF)])
def test_every_reference_and_255_parts_travel(method: LongMethod, reference: int) -> None:
    joined = join(received(piece) for piece in cut([bytes([n]) for n in range(255)], method, reference))
    assert joined.octets == bytes(range(255))


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # ports and concatenation, in both orders; and behind an element nobody knows
        ("0b05040b8423f0000307020141", Piece(b"A", UDH8, 7, 2, 1, (0x0B84, 0x23F0), header_octets=12)),
        ("0b000307020105040b8423f041", Piece(b"A", UDH8, 7, 2, 1, (0x0B84, 0x23F0), header_octets=12)),
        ("0970027777000307020141", Piece(b"A", UDH8, 7, 2, 1, header_octets=10)),
        ("0404021a2b41", Piece(b"A", ports=(0x1A, 0x2B), header_octets=5)),
        ("0324010341", Piece(b"A", header_octets=4)),
        ("0041", Piece(b"A", header_octets=1)),
        ("050003070100", Piece(b"", header_octets=6, oddities=("broken_concatenation",))),
        ("050003070001", Piece(b"", header_octets=6, oddities=("broken_concatenation",))),
        ("050003070203", Piece(b"", header_octets=6, oddities=("broken_concatenation",))),
        ("0400020702", Piece(b"", header_octets=5, oddities=("broken_concatenation",))),
        ("0a00030702010003080202", Piece(b"", UDH8, 8, 2, 2, header_octets=11, oddities=("repeated_concatenation",))),
        (
            "0b0003070201080412340202",
            Piece(b"", UDH16, 0x1234, 2, 2, header_octets=12, oddities=("repeated_concatenation",)),
        ),
    ],
)
def test_information_elements_are_read_in_any_order(octets: str, expected: Piece) -> None:
    piece = read(UDHI, bytes.fromhex(octets), ())
    assert (piece.body, piece.method, piece.reference, piece.total, piece.seqnum) == (
        expected.body,
        expected.method,
        expected.reference,
        expected.total,
        expected.seqnum,
    )
    assert (piece.ports, piece.header_octets, piece.oddities) == (
        expected.ports,
        expected.header_octets,
        expected.oddities,
    )


@pytest.mark.parametrize("octets", ["", "05", "050003a702", "ff00", "050009a70201", "0100", "02000a41", "0500030701"])
def test_a_broken_header_is_flagged_and_the_octets_kept(octets: str) -> None:
    assert read(UDHI, bytes.fromhex(octets), ()) == Piece(bytes.fromhex(octets), oddities=("broken_udh",))


def test_without_the_indicator_a_header_is_text() -> None:
    assert read(0, bytes.fromhex("050003a7020141"), ()).body == bytes.fromhex("050003a7020141")


@pytest.mark.parametrize(
    "tlvs",
    [
        {0x020C: b"\x00\x07"},
        {0x020C: b"\x07", 0x020E: b"\x02", 0x020F: b"\x01"},
        {0x020C: b"\x00\x07", 0x020E: b"\x02", 0x020F: b"\x03"},
        {0x020C: b"\x00\x07", 0x020E: b"\x00", 0x020F: b"\x00"},
        {0x020C: b"\x00\x07", 0x020E: b"", 0x020F: b"\x01"},
        {0x020E: b"\x02", 0x020F: b"\x01"},
    ],
)
def test_broken_sar_is_flagged_and_the_octets_kept(tlvs: dict[int, bytes]) -> None:
    assert read(0, b"A", tlvs) == Piece(b"A", oddities=("broken_sar",))


def test_the_header_wins_over_sar_and_the_payload_over_the_short_message() -> None:
    sar = ((0x020C, b"\x00\x07"), (0x020E, b"\x03"), (0x020F, b"\x01"))
    piece = read(UDHI, b"lost", (*sar, (0x0424, bytes.fromhex("050003a7020141"))))
    assert (piece.body, piece.method, piece.reference, piece.total) == (b"A", UDH8, 0xA7, 2)
    assert piece.oddities == ("payload_and_text", "udh_and_sar")
    assert read(0, b"kept", {0x0424: b""}) == Piece(b"kept")


def test_ports_may_come_as_tlvs() -> None:
    assert read(0, b"", {0x020A: b"\x23\xf0", 0x020B: b"\x0b\x84"}).ports == (0x0B84, 0x23F0)
    assert read(0, b"", {0x020B: b"\x0b\x84"}).ports == (0x0B84, 0)


tlv_soup = st.lists(st.tuples(st.sampled_from([0x020A, 0x020B, 0x020C, 0x020E, 0x020F, 0x0424]), st.binary(max_size=9)))
header_soup = st.lists(
    st.tuples(st.sampled_from([0x00, 0x04, 0x05, 0x08, 0x24, 0x70]), st.binary(max_size=5)), max_size=5
).map(lambda elements: b"".join(bytes([tag, len(value)]) + value for tag, value in elements))


@given(
    esm_class=st.integers(0, 255),
    octets=st.binary(max_size=254) | header_soup.map(lambda header: bytes([len(header)]) + header + b"text"),
    tlvs=tlv_soup,
)
def test_no_octets_raise_and_none_are_lost(esm_class: int, octets: bytes, tlvs: list[tuple[int, bytes]]) -> None:
    piece = read(esm_class, octets, tlvs)
    assert 1 <= piece.seqnum <= piece.total <= 255
    payload = next((value for tag, value in tlvs if tag == 0x0424), b"")
    assert piece.body == (payload or octets)[piece.header_octets :]
    header = b"".join(bytes([identifier, len(value)]) + value for identifier, value in piece.elements)
    assert not piece.header_octets or (payload or octets)[: piece.header_octets] == bytes([len(header)]) + header
    assert join([piece]).pieces[piece.seqnum - 1] is piece


def test_a_second_copy_replaces_nothing() -> None:
    first, other = Piece(b"first", UDH8, 1, 2, 1), Piece(b"other", UDH8, 1, 2, 1)
    assert join([first, other]) == Joined((first, None), ("conflicting_part",))


def test_a_foreign_part_is_left_out() -> None:
    first = Piece(b"first", UDH8, 1, 2, 1)
    for foreign in (Piece(b"", UDH8, 2, 2, 2), Piece(b"", UDH16, 1, 2, 2), Piece(b"", UDH8, 1, 3, 2)):
        assert join([first, foreign]) == Joined((first, None), ("foreign_part",))


def test_nothing_joins_to_nothing() -> None:
    with pytest.raises(ValueError, match="nothing to join"):
        join([])


def test_a_piece_shows_no_text() -> None:
    assert "secret" not in repr(Piece(b"secret"))
    assert "secret" not in repr(join([Piece(b"secret")]))
    assert "secret" not in repr(cut([b"secret"], UDH8, 1))
