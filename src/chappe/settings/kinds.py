"""Kinds of values: how each is read from text and written as text, and what it expects in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from chappe.settings.words import read_truth

LIST_ITEMS_MAX: Final = 1_000
_DIGITS_MAX: Final = 12
_NUMBER_CHARACTERS_MAX: Final = 40


class Kind(msgspec.Struct, frozen=True):
    """One kind of values. `parse` raises ValueError or KeyError for what it does not take."""

    expects: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str

    def read(self, text: str) -> Any:
        """The value that a text means. Raises ValueError with the text and what is expected, in one sentence."""
        try:
            return self.parse(text)
        except (ValueError, KeyError):
            raise ValueError(f"{text[:60]!r} is not usable; expected {self.expects}") from None


def whole(least: int, most: int) -> Kind:
    """A whole number between two bounds, both included and not negative, in ASCII digits."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX and least <= int(text) <= most):
            raise ValueError
        return int(text)

    return Kind(f"a whole number from {least} to {most}", parse)


def number(least: float, most: float) -> Kind:
    """A number between two bounds, both included."""

    def parse(text: str) -> float:
        if len(text) > _NUMBER_CHARACTERS_MAX or "_" in text or not text.isascii():
            raise ValueError
        read = float(text)
        if not least <= read <= most:  # false for nan, which is refused with infinity
            raise ValueError
        return read

    return Kind(f"a number from {plain(least)} to {plain(most)}", parse, plain)


def plain(value: float) -> str:
    """A number as people write it: no exponent, no zeros behind the point."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def choice(*words: str) -> Kind:
    """One of a few words, in any case."""
    by_fold = {word.casefold(): word for word in words}
    return Kind(" or ".join(words), lambda text: by_fold[text.casefold()])


def text_of(characters_max: int) -> Kind:
    """Printable text on one line."""

    def parse(text: str) -> str:
        if len(text) > characters_max or not text.isprintable():
            raise ValueError
        return text

    return Kind(f"text of at most {characters_max} characters", parse)


def matching(pattern: str, expects: str) -> Kind:
    """Text that a pattern matches as a whole, in ASCII."""
    match = re.compile(pattern, re.ASCII).fullmatch

    def parse(text: str) -> str:
        if not match(text):
            raise ValueError
        return text

    return Kind(expects, parse)


def list_of(parse_one: Callable[[str], str], expects: str) -> Kind:
    """At most LIST_ITEMS_MAX values with commas between them; empty ones are left out."""

    def parse(text: str) -> tuple[str, ...]:
        items = text.split(",")
        if len(items) > LIST_ITEMS_MAX:
            raise ValueError
        return tuple(parse_one(item) for item in map(str.strip, items) if item)

    return Kind(f"{expects}, separated by commas", parse, ",".join)


SWITCH: Final = Kind("on or off", read_truth, lambda value: "on" if value else "off")
