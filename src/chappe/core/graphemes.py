"""What the eye sees as one character although it is several code points: joined emoji, flags, accents typed apart."""

import re
from collections.abc import Iterator

# Accents, keycap, variation selectors, skin tones and flag tags continue the character before them; ZERO WIDTH JOINER
# glues the next one on. A useful part of the grapheme clusters of Unicode UAX 29, not all of it.
_EXTENDS = "\u0300-\u036f\u20e3\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
_FLAG = "[\U0001f1e6-\U0001f1ff]"
_CLUSTER = re.compile(rf"\r\n|{_FLAG}{{2}}|.(?:[{_EXTENDS}]|\u200d.)*", re.DOTALL)
_JOINED = re.compile(rf"[{_EXTENDS}\u200d]|{_FLAG}|\r\n")


def has_joined(text: str) -> bool:
    """Tell whether any two code points of the text belong together."""
    return _JOINED.search(text) is not None


def clusters(text: str) -> Iterator[str]:
    """Yield the text in order as visible characters; joined together they are the text."""
    return (found.group() for found in _CLUSTER.finditer(text))
