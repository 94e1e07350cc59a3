"""GSM-7: the alphabet of the standard, against an independent implementation, and SMS Partner's replacements."""

import gsm0338
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import gsm7
from chappe.core.clusters import clusters

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


SMSPARTNER_LIST = [
    *[(letter, "à") for letter in "ą"],
    *[(letter, "'") for letter in "’‘“`"],
    *[(letter, '"') for letter in "«»”"],
    *[(letter, "y") for letter in "ÿ"],
    *[(letter, "Ç") for letter in "ç"],
    *[(letter, "u") for letter in "ûüµ"],
    *[(letter, "i") for letter in "ïî"],
    *[(letter, "o") for letter in "ôöó"],
    *[(letter, "e") for letter in "ëê"],
    *[(letter, "a") for letter in "äáâã"],
    *[(letter, "(") for letter in "[{"],
    *[(letter, ")") for letter in "]}"],
    *[(letter, "A") for letter in "ÄÀÁÂÃ"],
    *[(letter, "E") for letter in "ÈÊË"],
    *[(letter, "I") for letter in "Î"],
    *[(letter, "U") for letter in "ÜÙÚÛ"],
    *[(letter, "Y") for letter in "Ý"],
    *[(letter, "O") for letter in "ÖÔ"],
    ("œ", "oe"),
    ("ñ", "n"),
    ("Ñ", "N"),
    ("°", "."),
    *[(letter, "") for letter in "^~|\\¨§"],
    *[(letter, letter) for letter in "éèàùìòÉåÅæÆøØß€£$¥@¿¡ΔΩ"],
]


@pytest.mark.parametrize(("letter", "replaced"), SMSPARTNER_LIST)
def test_each_character_of_the_smspartner_list_is_replaced(letter: str, replaced: str) -> None:
    assert gsm7.replace_smspartner(f"a{letter}b") == f"a{replaced}b"


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("Bonjour 😀", "Bonjour ?"),
        ("👨\u200d👩\u200d👧!", "?!"),
        ("🇫🇷🇪🇺", "??"),
        ("❤\ufe0f", "?"),
        ("5\ufe0f\u20e3", "5"),
        ("Привет", "??????"),
        ("a\u00a0b–c…", "a?b?c?"),
        ("de\u0301ja\u0300 e\u0302tre", "déjà etre"),
        ("ç", "Ç"),
    ],
)
def test_what_is_left_over_becomes_one_question_mark_per_visible_character(text: str, replaced: str) -> None:
    assert gsm7.replace_smspartner(text) == replaced


@pytest.mark.parametrize(
    ("text", "replaced", "septets"),
    [
        ("a\r\nb", "a\r\nb", 4),
        ("a\nb", "a\nb", 3),
        ("a:br:b", "a\r\nb", 4),
        ("a\\r\\nb", "a\r\nb", 4),
        ("a\\nb", "anb", 3),
        ("5:euro:", "5€", 3),
        ("C:\\dossier", "C:dossier", 9),
        (":BR:", ":BR:", 4),
    ],
)
def test_marks_are_read_before_the_backslash_is_deleted(text: str, replaced: str, septets: int) -> None:
    assert gsm7.replace_smspartner(text) == replaced
    assert gsm7.cost(replaced) == septets


def test_marks_are_read_in_unicode_messages_without_touching_the_rest() -> None:
    assert gsm7.read_marks_smspartner("ê:br:\\r\\n:euro: {ok} \\") == "ê\r\n\r\n€ {ok} \\"


@given(st.text())
def test_replaced_text_always_fits_and_only_the_euro_costs_two(text: str) -> None:
    replaced = gsm7.replace_smspartner(text)
    septets = gsm7.cost(replaced)
    assert septets is not None
    assert septets == len(replaced) + replaced.count("€") + replaced.count("\f")


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF) | st.sampled_from("😀\u200d\ufe0f🏽")))
def test_question_marks_count_visible_characters(text: str) -> None:
    assert gsm7.replace_smspartner(text) == "?" * len(list(clusters(text)))
