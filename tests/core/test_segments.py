"""Segments: the least number of parts, nothing cut that belongs together, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import gsm7, segments
from chappe.core.segments import UDH8, UDH16, Sizes

GSM_LETTERS = [letter for letter in gsm7.ALPHABET if letter != "\x1b"] + list(gsm7.EXTENSION.values())
SMALL = Sizes(8, 5, 6, 4)
gsm_texts = st.text(st.sampled_from("ab€é{@"), max_size=60) | st.text(st.sampled_from(GSM_LETTERS), max_size=60)
ucs_texts = st.text(st.sampled_from("aê😀\u200d🏽🇫🇷"), min_size=1, max_size=60) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=60
)
any_texts = gsm_texts | ucs_texts
any_sizes = st.sampled_from([SMALL, Sizes(9, 6, 5, 3), UDH8, UDH16])


def units(encoding: str, text: str) -> int:
    if encoding == "gsm7":
        cost = gsm7.cost(text)
        assert cost is not None
        return cost
    return len(text.encode("utf-16-be")) // 2


def least_parts(encoding: str, text: str, single: int, part: int) -> int:
    """Filling each part with as many whole characters as fit is the best that can be done."""
    if units(encoding, text) <= single:
        return 1
    parts, used = 1, 0
    for character in text:
        width = units(encoding, character)
        if used + width > part:
            parts, used = parts + 1, 0
        used += width
    return parts


@pytest.mark.parametrize(
    ("text", "encoding", "parts"),
    [
        ("", "gsm7", 1),
        ("a" * 160, "gsm7", 1),
        ("a" * 161, "gsm7", 2),
        ("a" * 306, "gsm7", 2),
        ("a" * 307, "gsm7", 3),
        ("€" * 80, "gsm7", 1),
        ("€" * 81, "gsm7", 2),
        ("€" * 152, "gsm7", 2),
        ("€" * 153, "gsm7", 3),
        ("a" * 152 + "€" * 10, "gsm7", 2),
        ("ê" * 70, "ucs2", 1),
        ("ê" * 71, "ucs2", 2),
        ("ê" * 134, "ucs2", 2),
        ("ê" * 135, "ucs2", 3),
        ("😀" * 35, "ucs2", 1),
        ("😀" * 36, "ucs2", 2),
        ("😀" * 66, "ucs2", 2),
        ("😀" * 67, "ucs2", 3),
        ("{" * 69 + "ê", "ucs2", 1),
    ],
)
def test_limits_are_those_of_the_standard(text: str, encoding: str, parts: int) -> None:
    assert segments.count(text) == (encoding, parts)
    assert len(segments.split(text).parts) == parts


def test_a_16_bit_reference_takes_one_septet_or_unit_more() -> None:
    assert segments.count("a" * 306, sizes=UDH16) == ("gsm7", 3)
    assert segments.count("a" * 304, sizes=UDH16) == ("gsm7", 2)
    assert segments.count("ê" * 134, sizes=UDH16) == ("ucs2", 3)
    assert segments.count("ê" * 132, sizes=UDH16) == ("ucs2", 2)


def test_unicode_can_be_forced() -> None:
    assert segments.split("abc", unicode=True) == ("ucs2", 3, ("abc",))
    assert segments.count("a" * 71, unicode=True) == ("ucs2", 2)


@given(any_texts, st.booleans(), any_sizes)
def test_parts_are_the_text_fit_and_are_as_few_as_possible(text: str, unicode: bool, sizes: Sizes) -> None:
    split = segments.split(text, unicode=unicode, sizes=sizes)
    single, part = sizes[:2] if split.encoding == "gsm7" else sizes[2:]
    assert "".join(split.parts) == text
    assert split.units == units(split.encoding, text)
    assert all(units(split.encoding, piece) <= part for piece in split.parts) or len(split.parts) == 1
    assert split.units <= single or len(split.parts) > 1
    assert len(split.parts) == least_parts(split.encoding, text, single, part)
    assert segments.count(text, unicode=unicode, sizes=sizes) == (split.encoding, len(split.parts))


@given(any_texts, st.booleans(), any_sizes)
def test_octets_decode_to_their_part_so_no_pair_is_cut(text: str, unicode: bool, sizes: Sizes) -> None:
    split = segments.split(text, unicode=unicode, sizes=sizes)
    octets = segments.encode_parts(split)
    if split.encoding == "gsm7":
        assert [gsm7.decode(piece) for piece in octets] == list(split.parts)
        assert not any(piece.endswith(b"\x1b") for piece in octets)
    else:
        assert [piece.decode("utf-16-be") for piece in octets] == list(split.parts)


def test_a_joined_emoji_moves_whole_into_the_next_part_when_that_is_free() -> None:
    family = "👨\u200d👩\u200d👧"
    split = segments.split("ê" * 64 + family + "ê" * 10)
    assert split.parts == ("ê" * 64, family + "ê" * 10)


def test_a_joined_emoji_is_cut_where_keeping_it_would_cost_a_part() -> None:
    family = "👨\u200d👩\u200d👧"
    text = "ê" * 64 + family + "ê" * 62
    assert len(text.encode("utf-16-be")) // 2 == 134
    split = segments.split(text)
    assert len(split.parts) == 2
    assert split.parts[0].endswith("👨\u200d")


def test_a_cluster_longer_than_a_part_is_cut_between_characters() -> None:
    text = "a" + "\u0301" * 200
    split = segments.split(text)
    assert "".join(split.parts) == text
    assert len(split.parts) == 4 - (len(text) <= 3 * 67)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("abc\r\nd\n", "abc\r\nd\n"),
        ("a\tb", "a b"),
        ("a\x00\x07\x1bb\x7f\x9f", "ab"),
        ("a\x0bb\x0cc\x85d\u2028e\u2029f", "a\nb\nc\nd\ne\nf"),
        ("\ufeffa\ufffe\uffff", "a"),
        ("\ud83d", "\ufffd"),
        ("a\ude00b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("👨\u200d👩", "👨\u200d👩"),
    ],
)
def test_clean_makes_any_text_sendable(text: str, cleaned: str) -> None:
    assert segments.clean(text) == cleaned


@given(st.text(st.characters() | st.integers(0xD800, 0xDFFF).map(chr) | st.integers(0, 0x9F).map(chr)))
def test_clean_text_can_be_split_and_stays_clean(text: str) -> None:
    cleaned = segments.clean(text)
    assert segments.clean(cleaned) == cleaned
    assert "".join(segments.split(cleaned).parts) == cleaned


def test_a_text_that_was_not_cleaned_is_refused_rather_than_mangled() -> None:
    with pytest.raises(UnicodeEncodeError):
        segments.split("\ud83d")
    with pytest.raises(UnicodeEncodeError):
        segments.count("\ud83d")
