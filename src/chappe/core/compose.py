"""From what a customer wrote to what is sent: cleaned, replaced, with its STOP mention, counted.

The order matters and is the same for every dialect: the mention goes behind the replaced text and counts like it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

import msgspec

from chappe.core import segments, stop
from chappe.core.segments import UDH8

TEXT_LOSSY: Final = "text_lossy"
"""Warning: characters that the GSM alphabet lacks became `?`."""
UNICODE_FORCED: Final = "unicode_forced"
"""Warning: characters that the GSM alphabet lacks made it a Unicode text, of which a part holds 70 or 67 characters."""
CHARACTERS_MAX: Final = 16_000
"""Longest text that is looked at: ten parts hold 1,530 characters, and marks and deleted characters shrink little."""


class Composed(msgspec.Struct, frozen=True, gc=False):
    """A text as it is sent; nothing to say is the empty text with 0 parts. lost: how many characters became `?`."""

    text: str
    encoding: segments.Encoding
    parts: int
    lost: int = 0


class TooLong(Exception):
    """The text has more than CHARACTERS_MAX characters, so it is not even counted."""


# One septet each in GSM 03.38, and left alone by every provider's replacements: most texts are made of these only, and
# need no further look. A colon may begin one of SMS Partner's marks.
_PLAIN: Final = re.compile(r"[ -9;-Z_a-z\n\r]+").fullmatch

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
    if not mention and not unicode and _PLAIN(written) and not written.isspace():
        return Composed(written, "gsm7", 1 if len(written) <= UDH8.gsm7_single else -(-len(written) // UDH8.gsm7_part))
    text = tidy(written)
    lost = 0
    if replace is not None:
        cleaned, text = text, replace(text)
        lost = max(text.count("?") - cleaned.count("?"), 0)
    if not text or text.isspace():
        return _NOTHING
    if mention:
        text = stop.append_mention(text, mention if replace is None else replace(mention))
    encoding, parts = segments.count(text, unicode=unicode)
    return Composed(text, encoding, parts, lost)


def tidy(written: str) -> str:
    """Make text from outside sendable, as `segments.clean` does, and put accents that were typed apart together.

    macOS writes `e` and an accent (Unicode's NFD), which GSM-7 cannot say; `é` it can.
    """
    text = segments.clean(written)
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", text)


def warnings_of(*composed: Composed, unicode: bool = False) -> tuple[str, ...]:
    """What the customer of these texts may want to know. unicode: whether UCS-2 was asked for."""
    found = []
    if any(one.lost for one in composed):
        found.append(TEXT_LOSSY)
    if not unicode and any(one.encoding == "ucs2" for one in composed):
        found.append(UNICODE_FORCED)
    return tuple(found)
