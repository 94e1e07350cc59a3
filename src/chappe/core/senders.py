"""Senders: what is a name and not a number, and which names an operator forbids, however they are disguised."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from chappe.core import impersonated

if TYPE_CHECKING:
    from chappe.core.model import AccountSettings

SUBSTRING_MIN: Final = 7
"""Letters of a forbidden name from which on it is looked for inside of other words."""
BEYOND_FIRST_WORD: Final = 2
"""Letters behind its first word by which a name of several words is recognized."""
NUMBER_DIGITS_MIN: Final = 9
"""A sender of fewer digits is a short code, which has one spelling."""
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])|[A-Za-z0-9]+")
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


def is_forbidden(sender: str, settings: AccountSettings) -> bool:
    """Whether an account may not send under this name: it is denied, or one that impostors use and not granted to it.

    A name on the account's own list (`senders_allowed`) is granted.
    """
    if is_denied(sender, settings.senders_denied):
        return True
    if not settings.senders_protected or not _impersonated(sender, settings.senders_granted):
        return False
    return not listed(sender, settings.senders_allowed)


def is_denied(sender: str, denied: Iterable[str]) -> bool:
    """Whether a sender is on a list of forbidden names, looks like one of them, or has one in it.

    A name of SUBSTRING_MIN letters is found anywhere (`MaLaPoste1`); a shorter one as a word of its own, or beside
    words that impostors add (`Info-CPAM`, `CAFalerte`), since `CAF` is in many names. What is cut off at the eleven
    characters that a sender has is found by its beginning (`Credit Agri`).
    """
    names = tuple(denied)
    return bool(names) and bool(_found(sender, names))


@lru_cache(maxsize=4096)
def _impersonated(sender: str, granted: tuple[str, ...]) -> bool:
    found = _found(sender, impersonated.NAMES)
    if not found or not granted:
        return bool(found)
    free = {fold(name) for name in granted}
    return fold(sender) not in free and any(fold(name) not in free for name in found)


@lru_cache(maxsize=4096)
def _found(sender: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that a sender stands for."""
    whole = fold(sender)
    words = _words(sender, whole)
    return tuple(name for name, folded, begun in _folded(names) if _stands_for(whole, words, folded, begun))


def _stands_for(whole: str, words: frozenset[str], folded: str, begun: int) -> bool:
    if folded in words:
        return True
    if len(folded) >= SUBSTRING_MIN and folded in whole:
        return True
    return begun <= len(whole) < len(folded) and folded.startswith(whole)


def _words(sender: str, whole: str) -> frozenset[str]:
    """What may be the name in a sender, folded: its words, the whole, and the whole without what impostors add."""
    found = {whole, fold(sender.rstrip("0123456789"))}
    found.update(fold(word) for word in _WORD.findall(sender))
    for rest in tuple(found):
        found.update(_bare(rest))
    return frozenset(found - {""})


def _bare(whole: str) -> Iterable[str]:
    """What is left step by step when companions are taken off both ends."""
    rest, before = whole, ""
    while rest != before:
        before = rest
        for word in _COMPANIONS:
            if len(word) < len(rest):
                rest = rest.removeprefix(word)
                yield rest
            if len(word) < len(rest):
                rest = rest.removesuffix(word)
                yield rest


@lru_cache(maxsize=1024)
def _folded(names: tuple[str, ...]) -> tuple[tuple[str, str, int], ...]:
    """Each name, folded, and how much of it is recognized when the rest was cut off: more than its first word."""
    rows = []
    for name in names:
        folded, first, *more = fold(name), *map(fold, name.split())
        if folded:
            rows.append((name, folded, len(first) + BEYOND_FIRST_WORD if more else len(folded)))
    return tuple(rows)


# Longest first, so that `infos` is not left as `s`.
_COMPANIONS: Final = tuple(sorted({fold(word) for word in impersonated.COMPANIONS}, key=len, reverse=True))
