"""Does a reply ask to stop, to start again, or neither? Pure. Words: stop_words.py; the line: docs/users/en/stop.md."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from chappe.core import stop_words as data
from chappe.core.folding import fold

WORDS_MAX = 50
WORD_CHARACTERS_MAX = 40
WORD_PARTS_MAX = 4
CHARACTERS_MAX = 600
"""How much of a reply is read: whoever writes more has said what he wants."""

LAST_TOKENS_MAX = 40

NEAR_MISS = "perhaps meant as a STOP, not obeyed"
"""What is said of a reply that is a near miss."""

_STOP_RUN = re.compile(r"s+t+o+p+[0-9]*").fullmatch
_GLUED = re.compile(rf"stop(?:{'|'.join(sorted(data.GLUED, key=len, reverse=True))})+[0-9]*").fullmatch
_ARRET_OF = re.compile(data.ARRET_OF).match
_ARRET_OF_MESSAGES = re.compile(data.ARRET_OF_MESSAGES).match
_NOUN = re.compile(rf"(?:{'|'.join(data.NOUNS)})\b").match
_DEMAND = re.compile("|".join(f"(?:{pattern})" for pattern in data.DEMANDS)).search
_NOT_DEMANDED = re.compile(data.NOT_DEMANDED).search
_STILL_DEMANDED = re.compile(data.STILL_DEMANDED).search
_NEAR = re.compile(data.NEAR).search
_TYPED_ACCENTS = {ord(sign): None for sign in "^¨ˆ˜"}  # `arre^t`, from keyboards without dead keys
_QUOTATION = re.compile('[\u00ab\u201c\u201e"]').search


class WordError(ValueError):
    """A word that cannot mean STOP or START; the message is one sentence."""


class Reading(NamedTuple):
    """What a reply means. kind: `stop`, `start`, or `response` for neither. near: it is no STOP and may have been meant
    as one, so somebody should look at it."""

    kind: str
    near: bool = False


class Words(NamedTuple):
    """What is understood beside the words that hold for everybody, which nobody can take away: who writes STOP to a
    shared number does not know whose words these are. sentences: whether more is understood than the first word."""

    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    sentences: bool = True

    def with_(self, stop: Iterable[str], start: Iterable[str], *, sentences: bool = True) -> "Words":
        """These words and others."""
        return Words((*self.stop, *stop), (*self.start, *start), self.sentences and sentences)

    def read(self, text: str) -> Reading:
        """What a reply asks for.

        STOP: it begins with a word of STOP, is nothing but a misspelt one, or says in a sentence that no more messages
        are wanted. Case, accents, quotes, punctuation and emoji do not matter. START: it is nothing but a word of
        START. A doubt is settled by silence.
        """
        folded = fold(text[:CHARACTERS_MAX].translate(_TYPED_ACCENTS))
        tokens = folded.split()
        if not tokens:
            return Reading("response", any(sign in text for sign in data.NEAR_SIGNS))
        if folded.startswith(data.REACTIONS) and _QUOTATION(text):
            return Reading("response")
        if _is_stop(tokens, self):
            return Reading("stop")
        if _is_whole(tokens, (*data.START_WORDS, *self.start)):
            return Reading("start")
        return Reading("response", _NEAR(folded) is not None)

    def kind(self, text: str) -> str:
        """`stop`, `start` or `response`: see `read`."""
        return self.read(text).kind


def check_words(words: Words) -> Words:
    """The words; raises WordError for one that says nothing, means two things, or could not be told from others."""
    for word in (*words.stop, *words.start):
        tokens = fold(word).split()
        if sum(character.isalpha() for character in "".join(tokens)) < 2 or len(word) > WORD_CHARACTERS_MAX:
            raise WordError(f"{word[:60]!r} is no word: it has 2 letters or more, and at most {WORD_CHARACTERS_MAX}")
        if len(tokens) > WORD_PARTS_MAX:
            raise WordError(f"{word!r} is too much: one entry is at most {WORD_PARTS_MAX} words")
        if tokens[0].isdecimal():
            raise WordError(f"{word!r} begins with a number, which any answer may do")
    if len(words.stop) > WORDS_MAX or len(words.start) > WORDS_MAX:
        raise WordError(f"there are more than {WORDS_MAX} words")
    for word in words.stop:
        if _begins(fold(word).split(), (*data.START_WORDS, *words.start)):
            raise WordError(f"{word!r} would mean STOP and START")
    for word in words.start:
        if words.kind(word) == "stop":
            raise WordError(f"{word!r} would be read as STOP")
    return words


def _is_stop(tokens: list[str], words: Words) -> bool:
    if words.stop and _begins(tokens, words.stop):
        return True
    start = 0
    if words.sentences:
        while start < len(tokens) - 1 and tokens[start] in data.LEADING:
            start += 1
    first = tokens[start:]
    said = " ".join(first)
    if _begins_with_stop(first):
        return not _NOUN(said) and (not _ARRET_OF(said) or _ARRET_OF_MESSAGES(said) is not None)
    if words.stop and _begins(first, words.stop):
        return True
    if not words.sentences:
        return False
    return _is_whole(tokens, data.STOP_ALONE) or _is_demand(" ".join(tokens)) or _ends_with_stop(tokens)


def _begins_with_stop(tokens: list[str]) -> bool:
    first = tokens[0]
    return (
        _begins(tokens, data.STOP_WORDS)
        or first.startswith(data.STOP_PREFIXES)
        or _STOP_RUN(first) is not None
        or _GLUED(first) is not None
    )


def _is_demand(said: str) -> bool:
    found = _DEMAND(said)
    if found is None:
        return False
    return not _NOT_DEMANDED(said) or _STILL_DEMANDED(said) is not None


def _ends_with_stop(tokens: list[str]) -> bool:
    end = len(tokens)
    while end > 1 and (tokens[end - 1] in data.POLITE or tokens[end - 1].isdecimal()):
        end -= 1
    if end > LAST_TOKENS_MAX or tokens[end - 1] not in data.LAST_WORDS:
        return False
    return end == 1 or tokens[end - 2] not in data.NOT_BEFORE_LAST


def _is_whole(tokens: list[str], words: tuple[str, ...]) -> bool:
    """Whether one of the words is all that is said, beside greetings, thanks and numbers."""
    start = 0
    while start < len(tokens) - 1 and tokens[start] in data.LEADING:
        start += 1
    rest = tokens[start:]
    for entry in _folded(words):
        if tuple(rest[: len(entry)]) == entry or (len(entry) == 1 and rest[0].rstrip("0123456789") == entry[0]):
            return all(token in data.POLITE or token.isdecimal() or token == entry[0] for token in rest[len(entry) :])
    return False


def _begins(tokens: list[str], words: tuple[str, ...]) -> bool:
    if not tokens:
        return False
    wanted = _folded(words)
    first = tokens[0].rstrip("0123456789") or tokens[0]
    if (first,) in wanted or any(tuple(tokens[:length]) in wanted for length in range(1, WORD_PARTS_MAX + 1)):
        return True
    spelled = "".join(_leading_letters(tokens))
    return (spelled,) in wanted


def _leading_letters(tokens: list[str]) -> list[str]:
    """Give the single letters at the start: `s t o p merci` -> s, t, o, p."""
    letters = []
    for token in tokens:
        if len(token) != 1:
            break
        letters.append(token)
    return letters


@lru_cache(maxsize=256)
def _folded(words: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(fold(word).split()) for word in words if fold(word))
