"""Senders: what is a name and not a number, and which names an operator forbids, however they are disguised."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_DISGUISES = str.maketrans({"0": "o", "1": "l", "i": "l", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b"})


def has_letter(sender: str) -> bool:
    """Whether a sender is a name: digits alone are the form of numbers and short codes (AF2M: at least one letter)."""
    return any(character.isalpha() for character in sender)


def fold(sender: str) -> str:
    """The form under which look-alikes meet: case, separators and digits that stand for letters do not count."""
    return "".join(character for character in sender.casefold() if character.isalnum()).translate(_DISGUISES)


def is_denied(sender: str, denied: Iterable[str]) -> bool:
    """Whether a sender is on a list of forbidden names, or looks like one of them."""
    listed = tuple(denied)
    return bool(listed) and fold(sender) in _folded(listed)


@lru_cache(maxsize=1024)
def _folded(denied: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(fold, denied))
