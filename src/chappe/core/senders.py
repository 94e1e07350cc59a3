"""Senders: what is a name and not a number, and which names an operator forbids, however they are disguised."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

NUMBER_DIGITS_MIN: Final = 9
"""A sender of fewer digits is a short code, which has one spelling."""
_NUMBER_MARKS: Final = re.compile(r"[ +().\-]")
_DISGUISES = str.maketrans({"0": "o", "1": "l", "i": "l", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b"})


def has_letter(sender: str) -> bool:
    """Whether a sender is a name: digits alone are the form of numbers and short codes (AF2M: at least one letter)."""
    return any(character.isalpha() for character in sender)


def fold(sender: str) -> str:
    """The form under which look-alikes meet: case, separators and digits that stand for letters do not count."""
    return "".join(character for character in sender.casefold() if character.isalnum()).translate(_DISGUISES)


def listed(sender: str, allowed: Iterable[str]) -> str:
    """The entry of a list that a sender is, whatever the case of its letters or the spelling of a number; empty
    when it is none."""
    wanted = _plain(sender)
    return next((entry for entry in allowed if _plain(entry) == wanted), "")


def _plain(sender: str) -> str:
    """A name without case; a telephone number as its international digits, however it is written (French when it is
    national)."""
    name = sender.strip().casefold()
    digits = _NUMBER_MARKS.sub("", name)
    if not digits.isdecimal() or len(digits) < NUMBER_DIGITS_MIN:
        return name
    if name.startswith("+"):
        return digits
    return digits[2:] if digits.startswith("00") else "33" + digits[1:] if digits.startswith("0") else digits


def is_denied(sender: str, denied: Iterable[str]) -> bool:
    """Whether a sender is on a list of forbidden names, or looks like one of them."""
    listed = tuple(denied)
    return bool(listed) and fold(sender) in _folded(listed)


@lru_cache(maxsize=1024)
def _folded(denied: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(fold, denied))
