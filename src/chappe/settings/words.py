"""Words that users write, read in the same way everywhere: yes and no, and the nearest known name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

TRUTH: Final[Mapping[str, bool]] = MappingProxyType(
    {
        **dict.fromkeys(("1", "true", "yes", "on"), True),
        **dict.fromkeys(("0", "false", "no", "off"), False),
    }
)
_WORD_CHARACTERS_MAX: Final = 64  # comparing takes time that grows with the square of the length


def read_truth(word: str) -> bool:
    """The meaning of a word of TRUTH, in any case. Raises ValueError for any other."""
    try:
        return TRUTH[word.strip().lower()]
    except KeyError:
        raise ValueError(f"expected true or false, not {word!r:.40}") from None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """`; did you mean X?` for a word that resembles a known one, to end an error with; else `otherwise`."""
    from difflib import get_close_matches  # imported only after a mistake, since it is slow

    close = get_close_matches(word[:_WORD_CHARACTERS_MAX], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else otherwise
