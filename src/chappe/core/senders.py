"""Senders: what is a name and not a number, and which names an operator forbids, however they are disguised."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

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
_DISGUISES = str.maketrans(
    {"0": "o", "1": "l", "i": "l", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g"}
)
SQUEEZED_MIN: Final = 5
"""Letters of a forbidden name from which on doubled letters do not count: `CAFF` is free, `PayPaal` is `PayPal`."""
MISSPELT_MIN: Final = 9
"""Letters of a forbidden name from which on one wrong letter does not count. `Laporte` is a surname, not `La Poste`."""
SENDER_CHARACTERS_MAX: Final = 11
ABBREVIATED_MIN: Final = 3
"""Letters to which a word of a forbidden name may be cut: `Ass Maladie`."""
_RUN: Final = re.compile(r"(.)\1+")


def has_letter(sender: str) -> bool:
    """Whether a sender is a name: digits alone are the form of numbers and short codes (AF2M: at least one letter)."""
    return any(character.isalpha() for character in sender)


def fold(sender: str) -> str:
    """The form under which look-alikes meet: case, separators, and digits and pairs that look like letters do not
    count."""
    letters = "".join(character for character in sender.casefold() if character.isalnum())
    return letters.replace("rn", "m").replace("vv", "w").translate(_DISGUISES)


def squeeze(sender: str) -> str:
    """As fold(), with doubled letters written once."""
    letters = "".join(character for character in sender.casefold() if character.isalnum())
    return fold(_RUN.sub(r"\1", letters))


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
    characters that a sender has is found by its beginning (`Credit Agri`), and by the beginnings of its words (`Ass
    Maladie`). In long names neither doubled letters nor one wrong letter hide them (`Collissimo`, `Chronopst`).
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
    looks = _looks(sender)
    return tuple(name.written for name in _folded(names) if _stands_for(looks, name))


class _Looks(NamedTuple):
    """A sender, folded: whole, and what of it may be a name; squeezed: the same with doubled letters written once;
    abbreviated: its words."""

    whole: str
    words: frozenset[str]
    squeezed_whole: str
    squeezed: frozenset[str]
    abbreviated: tuple[str, ...]


class _Name(NamedTuple):
    """A forbidden name. begun: how many of its letters are recognized when the rest was cut off."""

    written: str
    folded: str
    squeezed: str
    begun: int
    words: tuple[str, ...]


def _looks(sender: str) -> _Looks:
    whole, squeezed = fold(sender), squeeze(sender)
    return _Looks(whole, _words(sender, whole, fold), squeezed, _words(sender, squeezed, squeeze), _split(sender))


def _split(name: str) -> tuple[str, ...]:
    return tuple(map(fold, name.replace("-", " ").replace("'", " ").split()))


def _stands_for(looks: _Looks, name: _Name) -> bool:
    if name.folded in looks.words:
        return True
    if len(name.folded) >= SQUEEZED_MIN and name.squeezed in looks.squeezed:
        return True
    if len(name.folded) >= SUBSTRING_MIN and (name.folded in looks.whole or name.squeezed in looks.squeezed_whole):
        return True
    if name.begun <= len(looks.whole) < len(name.folded) and name.folded.startswith(looks.whole):
        return True
    if _abbreviates(looks.abbreviated, name.words):
        return True
    if len(name.folded) < MISSPELT_MIN:
        return False
    cut = name.folded[:SENDER_CHARACTERS_MAX]
    return any(_is_misspelt(word, name.folded) or _is_misspelt(word, cut) for word in looks.words)


def _abbreviates(short: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """Whether each word is the beginning of its fellow in a name of several words."""
    return len(short) == len(words) > 1 and all(
        whole.startswith(one) and len(one) >= min(ABBREVIATED_MIN, len(whole))
        for one, whole in zip(short, words, strict=True)
    )


def _is_misspelt(word: str, name: str) -> bool:
    """Whether two words differ by one letter at most: another one, one too many or one too few."""
    if abs(len(word) - len(name)) > 1:
        return False
    same = next((place for place, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), None)
    if same is None:
        return True
    return word[same + (len(word) >= len(name)) :] == name[same + (len(name) >= len(word)) :]


def _words(sender: str, whole: str, folded: Callable[[str], str]) -> frozenset[str]:
    """What may be the name in a sender, folded: its words, the whole, and the whole without what impostors add."""
    found = {whole, folded(sender.rstrip("0123456789"))}
    found.update(folded(word) for word in _WORD.findall(sender))
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
def _folded(names: tuple[str, ...]) -> tuple[_Name, ...]:
    """Each name, folded, and how much of it is recognized when the rest was cut off: more than its first word."""
    rows = []
    for name in names:
        folded, first, *more = fold(name), *map(fold, name.split())
        if folded:
            begun = len(first) + BEYOND_FIRST_WORD if more else len(folded)
            rows.append(_Name(name, folded, squeeze(name), begun, _split(name)))
    return tuple(rows)


# Longest first, so that `infos` is not left as `s`.
_COMPANIONS: Final = tuple(sorted({fold(word) for word in impersonated.COMPANIONS}, key=len, reverse=True))
