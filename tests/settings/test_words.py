"""Yes, no and the nearest known name."""

import pytest

from chappe.settings.words import TRUTH, did_you_mean, read_truth


@pytest.mark.parametrize("word", TRUTH)
def test_a_word_is_read_in_any_case_with_blanks_around_it(word: str) -> None:
    assert read_truth(f" {word.upper()} ") is TRUTH[word]


@pytest.mark.parametrize("word", ["", "maybe", "oui", "2", "truee", "\x00"])
def test_any_other_word_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="expected true or false"):
        read_truth(word)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("prot", "; did you mean port?"),
        ("port", "; did you mean port?"),
        ("hst", "; did you mean host?"),
        ("zzz", ""),
        ("", ""),
        ("z" * 1_000_000, ""),  # compared by its beginning only
    ],
)
def test_the_nearest_name_is_told(word: str, said: str) -> None:
    assert did_you_mean(word, ("host", "port")) == said


def test_what_resembles_nothing_may_be_told_where_the_names_are() -> None:
    assert did_you_mean("zzz", ("host",), "; see --help") == "; see --help"
    assert did_you_mean("hots", ("host",), "; see --help") == "; did you mean host?"
