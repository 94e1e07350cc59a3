"""What commands print: nothing that a carrier or a customer wrote steers the operator's terminal."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.cli import output
from chappe.cli.output import emit, one_line, printable, say, table

# What a terminal obeys: everything of categories Cc, and of Cf what turns the direction of writing.
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
HOSTILE = [
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[1;1H",
    "\x9b31mred",
    "\x1b[6n",  # the terminal would type its answer into the shell
    "a\rb",
    "a\x08\x08\x08b",
    "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
    "delivered\u202edereviled",
    "\x85next line",
    "\x1bP+q\x1b\\",
    "a\u2028b",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_way_of_printing_lets_a_control_through(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit({"text": text, text: [1]}, f"heading {text}\nsecond", as_json=False)
    emit({"text": text, text: [1]}, "", as_json=True)
    say(text)
    said = capsys.readouterr()
    assert not STEERS.search(said.out)
    assert not STEERS.search(said.err)
    assert said.err.count("\n") == 1
    for words in (one_line(text), printable(text), table(("a",), [(text,)]).replace("\n", "")):
        assert not STEERS.search(words)
        assert "\n" not in words


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=30) | st.integers(-9, 9), max_size=4))
def test_json_says_what_was_meant_all_the_same(value: dict[str, object]) -> None:
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "echo", written.append)
        emit(value, "", as_json=True)
    assert json.loads(written[0]) == value
    assert not STEERS.search(written[0])
