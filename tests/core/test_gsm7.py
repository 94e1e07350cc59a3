"""GSM-7: the alphabet of the standard, against an independent implementation, and SMS Partner's replacements."""

import gsm0338
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import gsm7

ORACLE = gsm0338.Codec()
LETTERS = [letter for letter in gsm7.ALPHABET if letter != "\x1b"] + list(gsm7.EXTENSION.values())
expressible_texts = st.text(st.sampled_from(LETTERS))


def oracle_encode(text: str) -> bytes:
    octets, _ = ORACLE.encode(text)
    return bytes(octets)


def test_every_letter_has_the_octets_that_the_oracle_gives() -> None:
    for letter in LETTERS:
        assert gsm7.encode(letter) == oracle_encode(letter), letter


def test_no_other_character_of_the_plane_is_expressible() -> None:
    for code_point in range(0x10000):
        assert gsm7.expressible(chr(code_point)) == (chr(code_point) in LETTERS), hex(code_point)


@given(expressible_texts)
def test_encoding_agrees_with_the_oracle_and_is_undone_by_decoding(text: str) -> None:
    octets = gsm7.encode(text)
    assert octets == oracle_encode(text)
    assert gsm7.decode(octets) == text
    assert gsm7.cost(text) == len(octets)
    assert gsm7.septets(text) == octets
    assert max(octets, default=0) < 128


@given(st.text())
def test_cost_is_none_exactly_when_encoding_is_refused(text: str) -> None:
    if gsm7.cost(text) is None:
        assert not gsm7.expressible(text)
        assert gsm7.septets(text) is None
        with pytest.raises(UnicodeEncodeError):
            gsm7.encode(text)
    else:
        assert gsm7.decode(gsm7.encode(text)) == text


def test_a_refusal_points_at_the_first_character_outside_the_alphabet() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        gsm7.encode("été ê")
    assert (caught.value.start, caught.value.end) == (4, 5)


@pytest.mark.parametrize("outside", [*"êç’`😀", "\u00a0", "\t", "\x00", "\x1b", "\x7f", "\x80", "\ud83d"])
def test_what_looks_harmless_is_not_in_the_alphabet(outside: str) -> None:
    assert gsm7.cost(outside) is None
    assert gsm7.cost(f"abc{outside}") is None


@pytest.mark.parametrize(
    ("text", "septets"),
    [("", 0), ("abc", 3), ("€", 2), ("{}[]~^\\|", 16), ("\r\n", 2), ("\f", 2), ("@", 1), ("10 €", 5)],
)
def test_extension_characters_cost_two(text: str, septets: int) -> None:
    assert gsm7.cost(text) == septets


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\x00", "@"),
        (b"\x1be", "€"),
        (b"\x1bA", "A"),
        (b"\x1b\x1b", " "),
        (b"a\x1b", "a "),
        (b"\x1b\x1be", " e"),
        (b"\x1b\x0a", "\f"),
        (b"\x1b\x0d", "\r"),
        (b"\x09", "Ç"),
        (b"a\x80\xff", "a\ufffd\ufffd"),
        (b"\x1b\x80", "\ufffd"),
        (b"", ""),
    ],
)
def test_decoding_is_liberal_as_the_standard_asks(octets: bytes, text: str) -> None:
    assert gsm7.decode(octets) == text


@given(st.binary())
def test_decoding_never_fails(octets: bytes) -> None:
    assert len(gsm7.decode(octets)) <= len(octets)
