"""Text as it is compared: without case, accents, punctuation and emoji."""

import re
import unicodedata

_NO_WORD = re.compile("[^0-9a-z]+")
_INVISIBLE = ("Mn", "Me", "Cf")  # accents, enclosing marks, soft hyphens and joiners: they do not end a word


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
