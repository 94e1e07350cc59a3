"""What commands print: tables for people, JSON for programs; and the two errors that end a command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click
from click import echo

# Controls of both sets (ECMA-48 knows 0x9B as what ESC [ begins), and those that turn the direction of writing, with
# which a text can be shown as another (Unicode Annex 9).
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_CONTROLS_IN_LINE = re.compile(f"(?!\n){_CONTROLS.pattern}")


class Misuse(click.ClickException):
    """The command was written wrongly: exit status 2; the message is one line."""

    exit_code = 2


class Failure(click.ClickException):
    """The command could not be done: exit status 1; the message is one line."""


def emit(value: Any, text: str, *, as_json: bool) -> None:
    """Prints the value as JSON, or the text for people: what strangers wrote in it steers no terminal."""
    if as_json:
        print_json(value)
    elif text:
        echo(_CONTROLS_IN_LINE.sub(" ", text))


def print_json(value: Any) -> None:
    """Prints a value as JSON, indented; datetimes in RFC 3339, structs as objects, controls escaped."""
    import msgspec

    written = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    echo(_CONTROLS_IN_LINE.sub(lambda control: f"\\u{ord(control[0]):04x}", written))


def say(sentence: str) -> None:
    """One line on standard error."""
    echo(f"chappe: {one_line(sentence)}", err=True)


def one_line(text: str) -> str:
    """The text on one line, whatever is in it: a terminal must not be steered by what a carrier sent."""
    return _CONTROLS.sub(" ", " ".join(text.split()))


def printable(text: str) -> str:
    """The text without controls, its blanks kept."""
    return _CONTROLS.sub(" ", text)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns of text, as wide as they must be; the head in capitals."""
    cells = [[name.upper() for name in head]] + [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
