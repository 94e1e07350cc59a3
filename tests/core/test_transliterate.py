"""What stands for a character that the GSM alphabet lacks: the table, and letters without their accents."""

import unicodedata
from pathlib import Path

import pytest

from chappe.core import gsm7
from chappe.core.transliterate import REPLACEMENTS, TABLE, plain


def test_the_table_says_each_character_once_and_only_what_the_alphabet_can_say() -> None:
    every = [character for _, group, _ in TABLE for character in group]
    assert len(every) == len(set(every))
    assert not any(gsm7.expressible(character) for character in every)
    assert all(gsm7.expressible(to) for _, _, to in TABLE)


@pytest.mark.parametrize(
    ("cluster", "written"),
    [
        ("ê", "e"), ("Ï", "I"), ("í", "i"), ("ú", "u"), ("Ú", "U"), ("õ", "o"), ("š", "s"), ("Ÿ", "Y"), ("ł", None),
        ("ą̊", "a"), ("Đ", None), ("ﬁ", "fi"), ("𝗦", "S"), ("Ｓ", "S"), ("①", "1"), ("½", "1/2"), ("²", "2"),
        ("№", "No"),
        ("😀", None), ("Ж", None), ("中", None), ("م", None), ("\u0301", None), ("α", None),
    ],
)  # fmt: skip
def test_letters_lose_their_accents_and_look_alikes_become_plain(cluster: str, written: str | None) -> None:
    assert plain(cluster) == (REPLACEMENTS.get(cluster) or written)


def test_all_latin_letters_of_european_languages_are_written() -> None:
    lost = [
        letter
        for letter in map(chr, range(0xC0, 0x180))
        if unicodedata.category(letter)[0] == "L" and plain(letter) is None
    ]
    assert lost == ["ĸ", "Ŋ", "Ŧ", "ŧ"], "not used in the languages of our countries"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_documentation_has_the_whole_table(language: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "users" / language / "texts.md").read_text(encoding="utf-8")
    for _, group, to in TABLE:
        for character in group:
            assert character in page or f"U+{ord(character):04X}" in page, f"{character!r} -> {to!r}"
