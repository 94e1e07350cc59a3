"""Octets to text: the charset of every data_coding, gaps, and octets that mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import gsm7
from chappe.smpp.concatenation import Piece, cut, join, read
from chappe.smpp.data_coding import GAP, charset_of, decode, decode_joined, message_class
from chappe.smpp.profile import Charset, LongMethod, profile
from chappe.smpp.septets import pack

GENERIC = profile()
PACKED = profile("generic", {"default_charset": "gsm7-packed"})
GSM7_TEXT = "@£$_éè€{}[] Ça coûte ?".replace("û", "u")


@pytest.mark.parametrize(
    ("data_codings", "charset"),
    [
        ([0x00, 0x10, 0x11, 0x40, 0xC0, 0xC8, 0xD0, 0xF0, 0xF1, 0xF2, 0xF3], Charset.GSM7),
        ([0x01], Charset.ASCII),
        ([0x02, 0x04, 0x14, 0x15, 0xF4, 0xF5, 0xF6, 0xF7], Charset.BINARY),
        ([0x03], Charset.LATIN1),
        ([0x08, 0x18, 0x19, 0x48, 0xE0], Charset.UCS2),
        ([0x05], Charset.SHIFT_JIS),
        ([0x06], Charset.CYRILLIC),
        ([0x07], Charset.HEBREW),
        ([0x0A], Charset.ISO_2022_JP),
        ([0x0E], Charset.EUC_KR),
    ],
)
def test_each_data_coding_has_its_charset(data_codings: list[int], charset: Charset) -> None:
    assert [charset_of(data_coding, GENERIC) for data_coding in data_codings] == [(charset, ())] * len(data_codings)


@pytest.mark.parametrize("data_coding", [0x09, 0x0B, 0x0C, 0x0D, 0x0F, 0x1C, 0x5F, 0x80, 0xB0, 256])
def test_an_unknown_data_coding_is_not_guessed(data_coding: int) -> None:
    decoded = decode(b"STOP", data_coding, GENERIC, gsm7.decode)
    assert (decoded.text, decoded.charset, decoded.oddities) == (None, Charset.BINARY, ("unknown_data_coding",))


def test_compressed_text_is_flagged() -> None:
    assert charset_of(0x20, GENERIC) == (Charset.BINARY, ("compressed",))


@pytest.mark.parametrize(
    ("names", "settings", "data_coding", "charset"),
    [
        ("ascii-default", {}, 0, Charset.ASCII),
        ("latin1-default", {}, 0, Charset.LATIN1),
        ("generic", {"default_charset": "gsm7-packed"}, 0, Charset.GSM7_PACKED),
        ("generic", {"default_charset": "gsm7-packed"}, 0xF0, Charset.GSM7_PACKED),
        ("generic", {"charsets": "4:ucs2;0:latin1"}, 4, Charset.UCS2),
        ("generic", {"charsets": "4:ucs2;0:latin1"}, 0, Charset.LATIN1),
        ("dcs1-text", {}, 1, Charset.GSM7),
    ],
)
def test_the_carrier_says_what_a_data_coding_means(
    names: str, settings: dict[str, str], data_coding: int, charset: Charset
) -> None:
    assert charset_of(data_coding, profile(names, settings))[0] is charset


@pytest.mark.parametrize(
    ("data_coding", "value"),
    [(0x00, None), (0x08, None), (0x10, 0), (0x18, 0), (0x11, 1), (0xF0, 0), (0xF1, 1), (0xF5, 1), (0xC0, None)],
)
def test_the_message_class_is_read(data_coding: int, value: int | None) -> None:
    assert message_class(data_coding) == value


@pytest.mark.parametrize(
    ("octets", "data_coding", "text"),
    [
        (gsm7.encode(GSM7_TEXT), 0, GSM7_TEXT),
        (gsm7.encode(GSM7_TEXT), 0xF0, GSM7_TEXT),
        ("été".encode("latin-1"), 3, "été"),
        (b"plain", 1, "plain"),
        ("œuvre ’ 👍🏽".encode("utf-16-be"), 8, "œuvre ’ 👍🏽"),
        ("flash".encode("utf-16-be"), 0x18, "flash"),
        ("Привет".encode("iso8859_5"), 6, "Привет"),
        ("שלום".encode("iso8859_8"), 7, "שלום"),
        ("日本".encode("shift_jis"), 5, "日本"),
        ("日本".encode("iso2022_jp"), 0x0A, "日本"),
        ("한국".encode("euc_kr"), 0x0E, "한국"),
        (b"", 0, ""),
        (b"", 8, ""),
    ],
)
def test_texts_are_decoded(octets: bytes, data_coding: int, text: str) -> None:
    decoded = decode(octets, data_coding, GENERIC, gsm7.decode)
    assert (decoded.text, decoded.oddities) == (text, ())


@pytest.mark.parametrize("header_octets", [0, 6, 7, 12])
def test_packed_septets_are_decoded_behind_a_header(header_octets: int) -> None:
    packed = pack(gsm7.encode(GSM7_TEXT), -header_octets * 8 % 7)
    assert decode(packed, 0, PACKED, gsm7.decode, header_octets=header_octets).text == GSM7_TEXT


@pytest.mark.parametrize(
    ("octets", "data_coding", "text", "oddities"),
    [
        (b"caf\xe9", 0, "caf\ufffd", ("undecodable",)),
        (b"caf\xe9", 1, "caf\ufffd", ("undecodable",)),
        (b"\x00A\xd8\x3d", 8, "A\ufffd", ("undecodable",)),
        (b"\xdc\x00\x00A", 8, "\ufffdA", ("undecodable",)),
        (b"\x00A\x00", 8, "A", ("odd_length",)),
        (b"\xfe\xff\x00A", 8, "A", ("byte_order_mark",)),
        (b"\xff\xfeA\x00", 8, "A", ("byte_order_mark",)),
        (b"\x82", 5, "\ufffd", ("undecodable",)),
        (b"\x00\x01", 4, None, ()),
        (b"\x00\x01", 0xF5, None, ()),
    ],
)
def test_what_cannot_be_decoded_is_flagged(
    octets: bytes, data_coding: int, text: str | None, oddities: tuple[str, ...]
) -> None:
    decoded = decode(octets, data_coding, GENERIC, gsm7.decode)
    assert (decoded.text, decoded.oddities) == (text, oddities)


def test_a_strict_decoder_may_refuse() -> None:
    def strict(octets: bytes) -> str:
        return octets.decode("ascii")

    assert decode(b"\xff", 0, GENERIC, strict).text is None
    assert decode(b"\xff", 0, GENERIC, strict).oddities == ("undecodable",)


@given(
    octets=st.binary(max_size=300),
    data_coding=st.integers(0, 255),
    packed=st.booleans(),
    header_octets=st.integers(0, 140),
)
def test_no_octets_raise(octets: bytes, data_coding: int, packed: bool, header_octets: int) -> None:
    decoded = decode(octets, data_coding, PACKED if packed else GENERIC, gsm7.decode, header_octets=header_octets)
    assert (decoded.text is None) is (decoded.charset is Charset.BINARY)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\ufffe"), min_size=1, max_size=300),
    octets_max=st.integers(1, 134),
    method=st.sampled_from([LongMethod.UDH8, LongMethod.UDH16, LongMethod.SAR]),
)
def test_a_text_cut_anywhere_is_whole_again(text: str, octets_max: int, method: LongMethod) -> None:
    """A careless sender cuts pairs, even units; the parts are put together before they are decoded."""
    octets = text.encode("utf-16-be")
    octets_max = max(octets_max, -(-len(octets) // 255))
    parts = [octets[at : at + octets_max] for at in range(0, len(octets), octets_max)]
    joined = join(read(part.esm_class, part.short_message, part.tlvs) for part in cut(parts, method, 1))
    decoded = decode_joined(joined, 8, GENERIC, gsm7.decode)
    assert (decoded.text, decoded.oddities) == (text, ())


@pytest.mark.parametrize("method", [LongMethod.UDH8, LongMethod.UDH16, LongMethod.SAR])
def test_packed_parts_are_decoded_each_behind_its_header(method: LongMethod) -> None:
    parts = [gsm7.encode(text) for text in ("Bonjour ", "à {tous}", ", l'été")]
    joined = join(read(part.esm_class, part.short_message, part.tlvs) for part in cut(parts, method, 1, packed=True))
    assert decode_joined(joined, 0, PACKED, gsm7.decode).text == "Bonjour à {tous}, l'été"


@pytest.mark.parametrize(
    ("present", "text"),
    [
        ({1, 2, 3, 4}, "abcd"),
        ({2, 3}, f"{GAP}bc{GAP}"),
        ({1, 4}, f"a{GAP}{GAP}d"),
        ({1}, f"a{GAP}{GAP}{GAP}"),
        ({4}, f"{GAP}{GAP}{GAP}d"),
    ],
)
def test_gaps_are_marked(present: set[int], text: str) -> None:
    parts = [Piece(body, LongMethod.UDH8, 1, 4, seqnum) for seqnum, body in enumerate((b"a", b"b", b"c", b"d"), 1)]
    decoded = decode_joined(join(part for part in parts if part.seqnum in present), 0, GENERIC, gsm7.decode)
    assert (decoded.text, decoded.oddities) == (text, () if len(present) == 4 else ("partial",))


def test_an_escape_cut_from_its_character_meets_it_again() -> None:
    parts = [Piece(b"\x1b", LongMethod.UDH8, 1, 2, 1), Piece(b"e", LongMethod.UDH8, 1, 2, 2)]
    assert decode_joined(join(parts), 0, GENERIC, gsm7.decode).text == "€"


def test_a_national_shift_is_flagged() -> None:
    piece = read(0x40, bytes.fromhex("03240101") + b"abc", ())
    assert decode_joined(join([piece]), 0, GENERIC, gsm7.decode).oddities == ("national_shift",)


def test_a_decoded_text_is_not_shown() -> None:
    assert "secret" not in repr(decode(b"secret", 1, GENERIC, gsm7.decode))
