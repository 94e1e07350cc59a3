"""Opting out: the STOP mention of a commercial text, and whether a reply asks to stop, to start again or who is
writing."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

STOP_WORDS = (
    "stop",
    "stopsms",
    "stop sms",
    "arret",
    "arreter",
    "arretez",
    "desabo",
    "desabonnement",
    "desabonner",
    "desabonnez",
    "desinscription",
    "desinscrire",
    "desinscrivez",
    "unsubscribe",
)
"""Words that mean STOP when a reply begins with one; written without accents, an entry may have several words."""

START_WORDS = ("start", "reprise", "unstop")
"""Words that take a STOP back."""

CONTACT_WORDS = ("contact",)
"""Words that ask who is writing."""

WORDS_MAX = 50
WORD_CHARACTERS_MAX = 40
WORD_PARTS_MAX = 4


class WordError(ValueError):
    """A word that cannot mean STOP or START; the message is one sentence."""


class Words(NamedTuple):
    """What is understood beside STOP_WORDS and START_WORDS, which nobody can take away: who writes STOP to a shared
    number does not know whose words these are."""

    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()

    def with_(self, stop: Iterable[str], start: Iterable[str]) -> "Words":
        """These words and others."""
        return Words((*self.stop, *stop), (*self.start, *start))

    def kind(self, text: str) -> str:
        """What a reply asks for: `stop`, `start`, or `response` for neither. A doubt is settled by silence."""
        if _begins(text, STOP_WORDS) or (self.stop and _begins(text, self.stop)):
            return "stop"
        return "start" if _begins(text, START_WORDS) or (self.start and _begins(text, self.start)) else "response"


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
        if _begins(word, START_WORDS) or _begins(word, words.start):
            raise WordError(f"{word!r} would mean STOP and START")
    for word in words.start:
        if Words(words.stop).kind(word) == "stop":
            raise WordError(f"{word!r} would be read as STOP")
    return words


# After folding, a mention is the word and where to send it: `stop 36180`, `stop au 36 180`, `stop sms au 36180`,
# `stop 36xxx`. French short codes begin with 3; other numbers count only after a preposition, since taking "non stop
# 10000"
# for a mention would send a commercial text without one.
_SHORT_CODE = r"3 ?\d(?: ?[\dx]){3}"
_NUMBER = r"(?:\d(?: ?\d){4}|(?:33|0) ?\d(?: ?\d){8})"
_TO = r"(?:par )?(?:sms )?(?:au|to|a|vers) ?(?:le )?"
_MENTION = rf"stop ?(?:sms|pub)? ?(?:(?:{_TO})?{_SHORT_CODE}|{_TO}{_NUMBER})(?!\d)"
# Without a number only what nobody writes by chance.
_BARE_MENTION = r"no ?pub ?stop|stop ?sms|(?:repondez|repondre|envoyez|envoyer|tapez|reply|text) (?:par )?stop"
_ANYWHERE = re.compile(rf"(?<![a-z])(?<!non )(?:{_MENTION}|{_BARE_MENTION})(?![a-z])")
_AT_END = re.compile(rf"(?:{_ANYWHERE.pattern})$")


_NO_WORD = re.compile("[^0-9a-z]+")
_INVISIBLE = ("Mn", "Me", "Cf")  # accents, enclosing marks, soft hyphens and joiners: they do not end a word


def has_mention(text: str) -> bool:
    """Tell whether the text ends with a STOP mention, in any case, accents, spacing and punctuation."""
    # A mention is at most 40 characters; looking further back would only cost time.
    end = fold(text[-80:])
    return "stop" in end and _AT_END.search(end) is not None


def contains_mention(text: str) -> bool:
    """Tell whether a STOP mention stands anywhere in the text."""
    return _ANYWHERE.search(fold(text)) is not None


def append_mention(text: str, mention: str) -> str:
    """Append the mention, which brings its own leading space, unless the text already ends with one.

    Any mention counts, not only this one: two addresses for STOP would mislead. An empty mention changes nothing. A
    blank at the end of the text is not doubled.
    """
    if not mention.strip() or has_mention(text) or _ends_with(text, mention):
        return text
    return text + (mention.lstrip() if not text or text[-1].isspace() else mention)


def _ends_with(text: str, mention: str) -> bool:
    """Tell whether the text ends with this very mention; a wording that `has_mention` does not know is compared
    folded."""
    exact = mention.strip()
    if text.endswith(exact) and not text[: -len(exact)][-1:].isalnum():
        return True
    wanted = fold(mention)
    return bool(wanted) and not has_mention(mention) and f" {fold(text[-len(mention) - 40 :])}".endswith(f" {wanted}")


def is_stop(text: str, words: Iterable[str] = STOP_WORDS) -> bool:
    """Tell whether a reply asks to stop: it begins with one of the words.

    Case, accents, quotes, punctuation and emoji are ignored, digits glued to the word and letters typed apart
    (`S.T.O.P`) too. What follows does not matter: `Stop m'écrire` is a STOP, since a doubt is settled by silence.
    """
    return _begins(text, words)


def is_start(text: str, words: Iterable[str] = START_WORDS) -> bool:
    """Tell whether a reply takes a STOP back; same reading as `is_stop`."""
    return _begins(text, words)


def is_contact(text: str, words: Iterable[str] = CONTACT_WORDS) -> bool:
    """Tell whether a reply asks who is writing; same reading as `is_stop`."""
    return _begins(text, words)


def fold(text: str) -> str:
    """Reduce text to lower-case letters and digits in words: no accents, punctuation or emoji, single blanks.

    Look-alike letters of Unicode (full width, bold) become plain ones.
    """
    if text.isascii():
        return _NO_WORD.sub(" ", text.lower()).strip()
    plain = unicodedata.normalize("NFKD", text).casefold()
    kept = (
        character if character.isalnum() else " "
        for character in plain
        if character.isascii() or unicodedata.category(character) not in _INVISIBLE
    )
    return " ".join("".join(kept).split())


def _begins(text: str, words: Iterable[str]) -> bool:
    # No word is longer than 40 characters; a reply of ten parts need not be folded whole.
    tokens = fold(text[:200]).split()
    if not tokens:
        return False
    wanted = _folded(tuple(words))
    first = tokens[0].rstrip("0123456789") or tokens[0]
    if (first,) in wanted or any(tuple(tokens[: len(entry)]) == entry for entry in wanted):
        return True
    spelled = "".join(_leading_letters(tokens))
    return any(entry == (spelled,) for entry in wanted)


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
