"""What is sent for a written text."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import segments
from chappe.core.compose import CHARACTERS_MAX, Composed, TooLong, compose, warnings_of
from chappe.dialects.smspartner.characters import read_marks
from chappe.dialects.smspartner.characters import replace as smspartner

MENTION = " STOP 36111"


def test_plain_text_is_sent_as_it_is() -> None:
    assert compose("Bonjour") == Composed("Bonjour", "gsm7", 1)


@pytest.mark.parametrize(
    ("written", "unicode", "encoding", "parts"),
    [
        ("a" * 160, False, "gsm7", 1),
        ("a" * 161, False, "gsm7", 2),
        ("€" * 80, False, "gsm7", 1),
        ("€" * 81, False, "gsm7", 2),
        ("a" * 70, True, "ucs2", 1),
        ("a" * 71, True, "ucs2", 2),
        ("ж" * 70, False, "ucs2", 1),
        ("ж" * 71, False, "ucs2", 2),
    ],
)
def test_parts_are_counted_in_the_encoding_that_is_sent(written: str, unicode: bool, encoding: str, parts: int) -> None:
    composed = compose(written, unicode=unicode)
    assert (composed.encoding, composed.parts) == (encoding, parts)


def test_the_replacement_runs_before_counting() -> None:
    assert compose("œ" * 80, replace=smspartner) == Composed("oe" * 80, "gsm7", 1)


def test_the_mention_is_appended_and_counted() -> None:
    assert compose("a" * 149, mention=MENTION) == Composed("a" * 149 + MENTION, "gsm7", 1)
    assert compose("a" * 150, mention=MENTION).parts == 2


@pytest.mark.parametrize("ending", ["STOP 36111", "stop au 36180", "Stop SMS au 36180", "STOP 36xxx"])
def test_a_text_that_ends_with_a_mention_gets_no_second_one(ending: str) -> None:
    assert compose(f"Soldes. {ending}", mention=MENTION).text == f"Soldes. {ending}"


def test_the_mention_is_replaced_like_the_text() -> None:
    assert compose("a", mention=" STÔP 36111", replace=smspartner).text == "a STOP 36111"


@pytest.mark.parametrize("written", ["", " ", "\r\n", "\t", "\x00", "~", "^|\\"])
def test_a_text_that_says_nothing_has_no_parts_and_gets_no_mention(written: str) -> None:
    assert compose(written, mention=MENTION, replace=smspartner) == Composed("", "gsm7", 0)


def test_a_text_of_the_limit_is_counted_and_one_more_is_not() -> None:
    assert compose("a" * CHARACTERS_MAX).parts == -(-CHARACTERS_MAX // 153)
    with pytest.raises(TooLong):
        compose("a" * (CHARACTERS_MAX + 1))


@given(st.text(alphabet=st.characters(), max_size=300), st.booleans())
def test_what_is_composed_can_always_be_split_into_as_many_parts(written: str, unicode: bool) -> None:
    composed = compose(written, mention=MENTION, unicode=unicode)
    if composed.parts:
        split = segments.split(composed.text, unicode=unicode)
        assert (split.encoding, len(split.parts)) == (composed.encoding, composed.parts)
        assert "".join(split.parts) == composed.text


@given(st.text(alphabet="".join(map(chr, range(0x0A, 0x7F))), min_size=1, max_size=400))
def test_the_short_way_of_plain_texts_ends_where_the_long_one_does(written: str) -> None:
    for replace in (None, smspartner):
        text = segments.clean(written)
        if replace is not None:
            text = replace(text)
        told = compose(written, replace=replace)
        if not text or text.isspace():
            assert told.parts == 0
        else:
            assert (told.text, told.encoding, told.parts) == (text, *segments.count(text))


@pytest.mark.parametrize(
    ("written", "unicode", "replace", "text", "encoding", "parts", "warnings"),
    [
        ("Cafe\u0301 " * 20, False, None, "Café " * 20, "gsm7", 1, ()),
        ("Cafe\u0301 " * 20, False, smspartner, "Café " * 20, "gsm7", 1, ()),
        ("e\u0302" * 70, True, None, "ê" * 70, "ucs2", 1, ()),
        ("e\u0302" * 70, True, smspartner, "ê" * 70, "ucs2", 1, ()),
        ("Promo\u00a0!", False, smspartner, "Promo !", "gsm7", 1, ()),
        ("Bravo 🎉", False, smspartner, "Bravo ?", "gsm7", 1, ("text_lossy",)),
        ("Ça va ? 🎉", False, smspartner, "Ça va ? ?", "gsm7", 1, ("text_lossy",)),
        ("Ça va ? été", False, smspartner, "Ça va ? été", "gsm7", 1, ()),
        ("Bravo 🎉", True, smspartner, "Bravo 🎉", "ucs2", 1, ()),
        ("Bravo 🎉", False, None, "Bravo 🎉", "ucs2", 1, ("unicode_forced",)),
        ("Bravo 🎉", True, None, "Bravo 🎉", "ucs2", 1, ()),
        ("été", False, None, "été", "gsm7", 1, ()),
    ],
)
def test_accents_are_put_together_and_what_is_lost_or_dearer_is_said(
    written: str,
    unicode: bool,
    replace: Callable[[str], str] | None,
    text: str,
    encoding: str,
    parts: int,
    warnings: tuple[str, ...],
) -> None:
    if unicode and replace is smspartner:
        replace = read_marks
    composed = compose(written, unicode=unicode, replace=replace)
    assert (composed.text, composed.encoding, composed.parts) == (text, encoding, parts)
    assert warnings_of(composed, unicode=unicode) == warnings


def test_the_mention_loses_nothing_by_its_own() -> None:
    assert compose("Bravo", mention=" STOP ✋", replace=smspartner).text == "Bravo STOP ?"
