"""Templates: types, what is left out, what is quoted."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from chappe.carriers.http.template import LEFT_OUT, build, check, flat, render

VALUES = {"to": "+33600000001", "text": "a&b {to} é", "service": "2", "unicode": True, "unicode_1": None, "sender": ""}


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ("{to}", "+33600000001"),
        ("to {to}!", "to +33600000001!"),
        ("{service:int}", 2),
        ("{unicode}", True),
        ("x{unicode}", "xtrue"),
        ("{sender}", LEFT_OUT),
        ("from {sender}", "from "),
        (
            {"a": "{sender}", "b": [{"c": "{unicode_1}"}, "{to}"], "d": 3, "e": None},
            {"b": [{}, "+33600000001"], "d": 3, "e": None},
        ),
        ("{text}", "a&b {to} é"),  # what a customer writes is no template
        ('{"json": 1} {}', '{"json": 1} {}'),
    ],
)
def test_how_a_template_is_built(tree, expected):
    assert build(tree, VALUES) == expected


def test_values_in_a_url_are_quoted_and_the_template_is_not():
    assert render("/a?b={text}&c={to}", VALUES, lambda value: quote(value, safe="")) == (
        "/a?b=a%26b%20%7Bto%7D%20%C3%A9&c=%2B33600000001"
    )


def test_lists_become_repeated_fields():
    assert flat({"a": ["{to}", "{service}"], "b": "{unicode}"}, VALUES) == [
        ("a", "+33600000001"),
        ("a", "2"),
        ("b", "true"),
    ]


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="invalid literal"):
        build("{to:int}", {"to": "x"})


def test_an_unknown_variable_is_refused():
    with pytest.raises(ValueError, match="unknown variable"):
        check("{number}")
