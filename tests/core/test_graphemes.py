"""Clusters: code points that the eye sees as one stay together, and nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.graphemes import clusters, has_joined


@pytest.mark.parametrize(
    "one",
    [
        "a",
        "😀",
        "e\u0301",
        "👨\u200d👩\u200d👧\u200d👦",
        "👍🏽",
        "❤\ufe0f",
        "❤\ufe0f\u200d🔥",
        "🇫🇷",
        "5\ufe0f\u20e3",
        "🏴\U000e0067\U000e0062\U000e007f",
        "\r\n",
    ],
)
def test_one_visible_character_is_one_cluster(one: str) -> None:
    assert list(clusters(one)) == [one]
    assert list(clusters(f"x{one}y")) == ["x", one, "y"]
    assert has_joined(f"x{one}y") == (len(one) > 1)


def test_flags_side_by_side_are_two() -> None:
    assert list(clusters("🇫🇷🇪🇺")) == ["🇫🇷", "🇪🇺"]


@given(st.text(st.sampled_from("a\u0301\u200d👍🏽🇫🇷\ufe0f\r\n") | st.characters()))
def test_nothing_is_lost(text: str) -> None:
    assert "".join(clusters(text)) == text
