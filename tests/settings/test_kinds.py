"""Kinds of values: what each takes, what it refuses, and how it is written again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.settings.kinds import LIST_ITEMS_MAX, SWITCH, Kind, choice, list_of, matching, number, plain, text_of, whole

NAMES = list_of(matching("[a-z]+", "a name").parse, "names")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (SWITCH, "On", True),
        (SWITCH, "0", False),
        (whole(0, 9), "09", 9),
        (number(0.5, 2), "0.5", 0.5),
        (number(0.5, 2), " 2 ", 2.0),
        (choice("GET", "POST"), "post", "POST"),
        (text_of(3), "été", "été"),
        (text_of(3), "", ""),
        (NAMES, " a, bc ,,", ("a", "bc")),
        (NAMES, "", ()),
    ],
)
def test_a_text_is_read(kind: Kind, text: str, value: Any) -> None:
    assert kind.read(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (SWITCH, "maybe", "on or off"),
        (whole(0, 9), "10", "a whole number from 0 to 9"),
        (whole(0, 9), "-1", "a whole number from 0 to 9"),
        (whole(0, 9), "²", "a whole number from 0 to 9"),
        (whole(0, 9), "0" * 5_000 + "1", "a whole number from 0 to 9"),
        (number(0, 2_592_000), "nan", "a number from 0 to 2592000"),
        (number(0, 2), "inf", "a number from 0 to 2"),
        (number(0, 2), "1_0", "a number from 0 to 2"),
        (number(0, 2), "0." + "0" * 39 + "9", "a number from 0 to 2"),  # never read by its beginning only
        (number(0.1, 2), "0.09", "a number from 0.1 to 2"),
        (number(0, 2), "", "a number from 0 to 2"),
        (choice("GET", "POST"), "PUT", "GET or POST"),
        (text_of(3), "four", "text of at most 3 characters"),
        (text_of(3), "a\nb", "text of at most 3 characters"),
        (NAMES, "a,B", "names, separated by commas"),
        (NAMES, "a," * (LIST_ITEMS_MAX + 1), "names, separated by commas"),
    ],
)
def test_any_other_text_is_refused_with_what_is_expected(kind: Kind, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match="is not usable; expected ") as raised:
        kind.read(text)
    assert str(raised.value) == f"{text[:60]!r} is not usable; expected {expected}"


@pytest.mark.parametrize("kind", [SWITCH, whole(0, 99), NAMES])
def test_what_is_shown_is_read_again(kind: Kind) -> None:
    value = {SWITCH.expects: True, NAMES.expects: ("a", "b")}.get(kind.expects, 42)
    assert kind.read(kind.show(value)) == value


@given(st.floats(0.001, 10**7))
def test_a_number_is_shown_without_an_exponent(value: float) -> None:
    assert "e" not in plain(value)
    assert math.isclose(float(plain(value)), value, abs_tol=1e-6)
