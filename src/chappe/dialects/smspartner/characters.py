"""The characters of SMS Partner's texts: its marks, and what it replaces before it counts. Pure."""

import re
import unicodedata

from chappe.core import gsm7, transliterate
from chappe.core.graphemes import clusters

LIST: tuple[tuple[str, str], ...] = (
    ("ą", "à"),
    ("’‘“`", "'"),
    ("«»”", '"'),  # the list forgets ”; it goes with its like
    ("ÿ", "y"),
    ("ç", "Ç"),
    ("ûü", "u"),
    ("ïî", "i"),
    ("ôöó", "o"),
    ("ëê", "e"),
    ("äáâã", "a"),
    ("[{", "("),
    ("]}", ")"),
    ("ÄÀÁÂÃ", "A"),
    ("ÈÊË", "E"),
    ("Î", "I"),
    ("ÜÙÚÛ", "U"),
    ("Ý", "Y"),
    ("ÖÔ", "O"),
    ("œ", "oe"),
    ("ñ", "n"),
    ("Ñ", "N"),
    ("°", "."),
    ("µ", "u"),
    ("^~|\\¨§", ""),
)
"""The provider's list of replaced characters (documentation of 2024), as (from, to). `é è à ù ì ò É` and the other
letters of the GSM alphabet stay."""
_REPLACED = str.maketrans(transliterate.REPLACEMENTS | {character: to for group, to in LIST for character in group})

_MARKS = {":br:": "\r\n", ":euro:": "€", "\\r\\n": "\r\n"}
_MARK = re.compile(r":br:|:euro:|\\r\\n")


def read_marks(text: str) -> str:
    """Turn SMS Partner's marks into what they stand for: CR LF for `:br:` and for the four typed characters `\\r\\n`, €
    for `:euro:`.

    Real line breaks stay as they are. A typed `\\n` alone is not a mark: no document names it, and it occurs in
    ordinary text. Wanted for Unicode messages too.
    """
    if ":" not in text and "\\" not in text:
        return text
    return _MARK.sub(lambda found: _MARKS[found[0]], text)


def replace(text: str) -> str:
    """Replace characters as SMS Partner does before counting, so that the result always fits the GSM alphabet.

    Marks first (`read_marks`), then the provider's list; what the list does not name and the GSM alphabet lacks becomes
    what a reader expects (core/transliterate.py), and what has no such form one `?` per visible character: a joined
    emoji or a flag is one `?`. Accents typed apart are put together before.
    """
    text = read_marks(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = text.translate(_REPLACED)
    if gsm7.expressible(text):
        return text
    return "".join(cluster if gsm7.expressible(cluster) else _substitute(cluster) for cluster in clusters(text))


def _substitute(cluster: str) -> str:
    """Another writing of a visible character, its first code point if only the rest is foreign (the `5` of a keycap),
    or `?`."""
    written = transliterate.plain(cluster)
    if written is not None:
        return written.translate(_REPLACED)
    return cluster[0] if gsm7.expressible(cluster[0]) else "?"
