"""Octets under the wrong data_coding: the text is what they say; an announcement that can be true is believed."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import gsm7
from chappe.smpp.concatenation import Piece, join
from chappe.smpp.data_coding import GAP, Received, decode_received
from chappe.smpp.profile import Charset, LongMethod, profile
from chappe.smpp.septets import pack

GENERIC = profile()
UTF16_BE, UTF16_LE = "utf-16-be", "utf-16-le"
EVERY = (0x00, 0x01, 0x03, 0x08, 0xF1)
"""GSM-7, ASCII, Latin-1, UCS-2, and GSM-7 of class 1."""


def received(octets: bytes, data_coding: int, carrier: object = GENERIC) -> Received:
    return decode_received(join([Piece(octets)]), [data_coding], carrier, gsm7.decode)  # type: ignore[arg-type]


def long(*parts: bytes | None, codings: list[int] | None = None) -> Received:
    """A long message with these parts; None is one that is lost."""
    pieces = [
        Piece(part, LongMethod.UDH8, 7, len(parts), seqnum) for seqnum, part in enumerate(parts, 1) if part is not None
    ]
    return decode_received(join(pieces), codings or [0] * len(parts), GENERIC, gsm7.decode)


FRENCH = [
    "ARRÊT", "Arrêté merci", "désabo", "DÉSABONNEMENT", "ça suffit, STOP", "Je ne veux plus de sms, arrêtez",
    "Noël à la fête : 10 €", "l’œuvre « stop »",
]  # fmt: skip


@pytest.mark.parametrize("data_coding", EVERY)
@pytest.mark.parametrize("text", FRENCH)
@pytest.mark.parametrize("codec", ["utf-8", "cp1252", UTF16_BE, UTF16_LE])
def test_french_is_read_in_every_coding_under_every_announcement(codec: str, text: str, data_coding: int) -> None:
    assert received(text.encode(codec), data_coding).text == text


@pytest.mark.parametrize("data_coding", EVERY)
@pytest.mark.parametrize("text", [t for t in FRENCH if gsm7.expressible(t)])
def test_gsm7_is_read_under_every_announcement(text: str, data_coding: int) -> None:
    assert received(gsm7.encode(text), data_coding).text == text


@pytest.mark.parametrize(
    ("octets", "data_coding", "text", "oddities"),
    [
        (b"STOP", 0x00, "STOP", ()),
        (b"STOP", 0x01, "STOP", ()),
        (b"STOP", 0x03, "STOP", ()),
        (b"STOP", 0x08, "STOP", ("ascii_as_ucs2",)),
        (b"STOP!", 0x08, "STOP!", ("ascii_as_ucs2",)),
        (b"Stop svp", 0x04, "Stop svp", ("ascii_as_binary",)),
        (b"Stop svp", 0x0B, "Stop svp", ("unknown_data_coding", "ascii_as_binary")),
        (b"ARR\xcaT", 0x04, "ARRÊT", ("windows-1252_as_binary",)),
        (b"ARR\xcaT", 0x00, "ARRÊT", ("windows-1252_as_gsm7",)),
        ("ARRÊT".encode(), 0x00, "ARRÊT", ("utf-8_as_gsm7",)),
        ("ARRÊT".encode(), 0x03, "ARRÊT", ("utf-8_as_latin1",)),
        ("STOP \U0001f6d1".encode(), 0x00, "STOP \U0001f6d1", ("utf-8_as_gsm7",)),
        (b"co\xfbt 5 \x80", 0x03, "coût 5 €", ("windows-1252_as_latin1",)),
        (b"co\xfbt 5 \x80", 0x01, "coût 5 €", ("windows-1252_as_ascii",)),
        (b"d\x05sabo", 0x03, "désabo", ("gsm7_as_latin1",)),
        (b"d\x05sabo", 0x08, "désabo", ("gsm7_as_ucs2",)),
        (b"voil\x7f", 0x01, "voilà", ("gsm7_as_ascii",)),
        ("STOP".encode(UTF16_BE), 0x00, "STOP", ("ucs2_as_gsm7",)),
        ("STOP".encode(UTF16_LE), 0x00, "STOP", ("utf-16-le_as_gsm7",)),
        ("STOP".encode(UTF16_LE), 0x08, "STOP", ("utf-16-le_as_ucs2",)),
        ("قف".encode(UTF16_BE), 0x00, "قف", ("ucs2_as_gsm7",)),
        ("Стоп".encode(UTF16_BE), 0x00, "Стоп", ("ucs2_as_gsm7",)),
        ("Стоп".encode(), 0x06, "Стоп", ("utf-8_as_iso-8859-5",)),
        (codecs.BOM_UTF16_BE + "STOP".encode(UTF16_BE), 0x08, "STOP", ("byte_order_mark",)),
        (codecs.BOM_UTF16_LE + "STOP".encode(UTF16_LE), 0x08, "STOP", ("utf-16-le_as_ucs2", "byte_order_mark")),
        (codecs.BOM_UTF16_LE + "STOP".encode(UTF16_LE), 0x00, "STOP", ("utf-16-le_as_gsm7", "byte_order_mark")),
        (codecs.BOM_UTF8 + "STOP é".encode(), 0x00, "STOP é", ("utf-8_as_gsm7", "byte_order_mark")),
        ("STOP".encode(UTF16_BE) + b"\x00", 0x08, "STOP", ("odd_length",)),
        ("ARRÃ\u008aT".encode(UTF16_BE), 0x08, "ARRÊT", ("utf-8_in_ucs2",)),
        (pack(gsm7.encode("STOP svp")), 0x00, "STOP svp", ("gsm7-packed_as_gsm7",)),
        ("OUI \U0001f44d\U0001f3fd".encode(UTF16_BE), 0x08, "OUI \U0001f44d\U0001f3fd", ()),
        ("OUI \U0001f44d\U0001f3fd".encode(UTF16_LE), 0x08, "OUI \U0001f44d\U0001f3fd", ("utf-16-le_as_ucs2",)),
    ],
)  # fmt: skip
def test_the_octets_decide_where_they_contradict_the_announcement(
    octets: bytes, data_coding: int, text: str, oddities: tuple[str, ...]
) -> None:
    found = received(octets, data_coding)
    assert (found.text, found.oddities) == (text, oddities)


@pytest.mark.parametrize(
    ("octets", "data_coding", "text"),
    [
        (b"\x00a", 0x00, "@a"),  # two octets are too few for UTF-16 that nobody announced
        (b"@\x00 ok", 0x00, "¡@ ok"),
        ("北京".encode(UTF16_BE), 0x08, "北京"),  # Chinese is read as such
        ("请停止发送".encode(UTF16_BE), 0x08, "请停止发送"),
        ("一".encode(UTF16_BE), 0x08, "一"),
        (b"ok", 0x08, "潫"),  # and two octets may be
        ("日本".encode("shift_jis"), 0x05, "日本"),
        ("한국".encode("euc_kr"), 0x0E, "한국"),
        ("Да".encode("iso8859_5"), 0x06, "Да"),
        ("été".encode("latin-1"), 0x03, "été"),
        ("Ã©".encode(UTF16_BE), 0x08, "Ã©"),
        (b"\x00\x01\x02\xff", 0x04, None),
        (b"\x01\x9f\x00", 0x0B, None),
        (b"a\x05\xca", 0x00, "aé�"),  # letters of GSM-7 and an octet that is broken
        (b"", 0x00, ""),
        (b"", 0x08, ""),
    ],
)  # fmt: skip
def test_what_can_be_as_announced_is_believed(octets: bytes, data_coding: int, text: str | None) -> None:
    assert received(octets, data_coding).text == text


def test_a_carrier_can_be_believed_in_everything() -> None:
    believed = profile("generic", {"charsets_checked": "no"})
    assert received(b"ARR\xcaT", 0, believed).text == "ARR�T"
    assert received(b"STOP", 8, believed).text == "協佐"
    assert received(b"STOP", 4, believed).text is None
    assert received(b"ARR\xcaT", 0, profile("generic", {"charsets": "0:windows-1252"})).text == "ARRÊT"


def test_data_for_an_application_is_no_text() -> None:
    piece = Piece(b"STOP svp", ports=(2948, 9200))
    assert decode_received(join([piece]), [4], GENERIC, gsm7.decode).text is None


class TestPartByPart:
    def test_a_character_cut_between_parts_is_whole_again(self) -> None:
        octets = "ARRÊT s'il vous plaît".encode()
        for at in range(1, len(octets)):
            found = long(octets[:at], octets[at:])
            assert (found.text, found.oddities) == ("ARRÊT s'il vous plaît", ("utf-8_as_gsm7",))

    @pytest.mark.parametrize("codec", [UTF16_BE, UTF16_LE])
    def test_units_cut_between_parts_are_whole_again(self, codec: str) -> None:
        octets = "ARRÊT \U0001f6d1 merci".encode(codec)
        for at in range(1, len(octets)):
            assert long(octets[:at], octets[at:]).text == "ARRÊT \U0001f6d1 merci"

    def test_parts_in_different_alphabets_are_each_read_in_theirs(self) -> None:
        found = long(b"d\x05sabo ", "ARRÊT ".encode("cp1252"), b"@ \x05t\x05")
        assert (found.text, found.parts) == (
            "désabo ARRÊT ¡ été",
            ("désabo ", "ARRÊT ", "¡ été"),
        )
        assert found.oddities == ("windows-1252_as_gsm7",)

    def test_a_part_that_fits_both_follows_its_neighbour(self) -> None:
        assert long("ARRÊT ".encode("cp1252"), b"me@example.org").text == "ARRÊT me@example.org"

    def test_each_part_may_be_announced_otherwise(self) -> None:
        found = long(b"STOP ", "œuvre".encode(UTF16_BE), b" fin", codings=[0, 8, 0])
        assert (found.text, found.parts, found.oddities) == ("STOP œuvre fin", ("STOP ", "œuvre", " fin"), ())

    def test_a_lost_part_shows_and_the_others_are_read(self) -> None:
        found = long(None, "é ARRÊT".encode()[1:], None, b" fin")
        assert found.text == f"{GAP}� ARRÊT{GAP} fin"
        assert found.oddities == ("utf-8_as_gsm7", "partial", "undecodable")


@given(st.text(st.sampled_from(gsm7.ALPHABET.replace("\x1b", "").replace("@", "").replace("è", "") + "{}[]€^~|\\")))
def test_gsm7_that_is_announced_stays_gsm7(text: str) -> None:
    if not any(letter in text for letter in "éù¥"):  # 3 to 6, the high octets of other scripts
        found = received(gsm7.encode(text), 0)
        assert (found.text, found.oddities) == (text, ())


@given(st.text(st.characters(max_codepoint=0x24F, exclude_categories=["Cc"]), min_size=1))
def test_latin_text_in_ucs2_stays_ucs2(text: str) -> None:
    assert received(text.encode(UTF16_BE), 8).text == text


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.integers(0, 255), st.sampled_from(list(Charset)))
def test_no_octets_raise(parts: list[bytes], data_coding: int, charset: Charset) -> None:
    carrier = profile("generic", {"charsets": f"{data_coding}:{charset}"})
    pieces = [Piece(part, LongMethod.UDH8, 7, len(parts), seqnum) for seqnum, part in enumerate(parts, 1)]
    found = decode_received(join(pieces), [data_coding] * len(parts), carrier, gsm7.decode)
    assert found.text is None or len(found.parts) == len(parts)
