"""From what a customer wrote to what is sent: cleaned, replaced, with its STOP mention, counted.

The order matters and is the same for every dialect: the mention goes behind the replaced text and counts like it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from chappe.core import segments, stop

CHARACTERS_MAX: Final = 16_000
"""Longest text that is looked at: ten parts hold 1,530 characters, and marks and deleted characters shrink little."""


class Composed(NamedTuple):
    """A text as it is sent; nothing to say is the empty text with 0 parts."""

    text: str
    encoding: segments.Encoding
    parts: int


class TooLong(Exception):
    """The text has more than CHARACTERS_MAX characters, so it is not even counted."""


_NOTHING: Final = Composed("", "gsm7", 0)


def compose(
    written: str, *, mention: str = "", replace: Callable[[str], str] | None = None, unicode: bool = False
) -> Composed:
    """What is sent for a written text, in which encoding, in how many parts.

    mention: appended unless the text already ends with one. replace: the provider's character replacement, for text and
    mention alike. unicode: UCS-2 even where GSM-7 would do. A text of blanks says nothing, and nothing gets no mention.
    Raises TooLong.
    """
    if len(written) > CHARACTERS_MAX:
        raise TooLong
    text = segments.clean(written)
    if replace is not None:
        text = replace(text)
    if not text or text.isspace():
        return _NOTHING
    if mention:
        text = stop.append_mention(text, mention if replace is None else replace(mention))
    encoding, parts = segments.count(text, unicode=unicode)
    return Composed(text, encoding, parts)
