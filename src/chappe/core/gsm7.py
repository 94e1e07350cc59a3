"""The GSM 7-bit default alphabet (3GPP TS 23.038, 6.2.1): encode, decode, count septets, replace what it cannot say.

Octets here are unpacked, one septet each, as SMPP carries them under data_coding 0.
"""

import codecs
import re
import unicodedata

from chappe.core.clusters import clusters

ESCAPE = 0x1B

# 3GPP TS 23.038, 6.2.1: position is the septet. ESC keeps its place so that positions are right; it is no character.
ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)

# 3GPP TS 23.038, 6.2.1.1: reached through ESC, so two septets each. 0x0A is the page break.
EXTENSION: dict[int, str] = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

# A charmap of 256 positions does the work in C: a basic character has 128 + its septet, an extension character its
# septet. The charmap wants NUL at 0, where no extension character is; a NUL in the text is recognised by that.
_BASIC = 128
_POSITIONS = ["\x00"] + ["\ufffe"] * 255  # U+FFFE is how a charmap says "undefined"
for _septet, _character in enumerate(ALPHABET):
    if _septet != ESCAPE:
        _POSITIONS[_BASIC + _septet] = _character
for _septet, _character in EXTENSION.items():
    _POSITIONS[_septet] = _character
_TO_POSITIONS = codecs.charmap_build("".join(_POSITIONS))
_BASIC_POSITIONS = bytes(range(_BASIC, 256))
_POSITION_TO_SEPTET = bytes(position % _BASIC for position in range(256))

_FROM_OCTETS = ALPHABET + "\ufffe" * 128
_AFTER_ESCAPE = {ALPHABET[septet]: character for septet, character in EXTENSION.items()} | {chr(ESCAPE): " ", "": " "}
_ESCAPED = re.compile("\x1b(.?)", re.DOTALL)


def septets(text: str) -> bytes | None:
    """Encode text as `encode` does, or give None if the alphabet cannot say it."""
    positions = _positions(text)
    if positions is None:
        return None
    for extension in set(positions.translate(None, _BASIC_POSITIONS)):
        positions = positions.replace(bytes((extension,)), bytes((_BASIC + ESCAPE, extension)))
    return positions.translate(_POSITION_TO_SEPTET)


def encode(text: str) -> bytes:
    """Encode text as unpacked septets, one per octet, extension characters as ESC and another.

    Raises UnicodeEncodeError if the alphabet cannot say a character; ask `cost` or `expressible` first, or use
    `septets`.
    """
    written = septets(text)
    if written is None:
        at = next(index for index, character in enumerate(text) if not expressible(character))
        raise UnicodeEncodeError("gsm7", text, at, at + 1, "not in the GSM 7-bit alphabet")
    return written


def decode(octets: bytes) -> str:
    """Decode unpacked septets, liberally, since they come from networks.

    An escape that means nothing gives the character of the default table, ESC ESC and a lone ESC at the end a space
    (3GPP TS 23.038, 6.2.1 and 6.2.1.1); an octet over 0x7F gives U+FFFD.
    """
    text = codecs.charmap_decode(octets, "replace", _FROM_OCTETS)[0]
    if "\x1b" not in text:
        return text
    return _ESCAPED.sub(lambda found: _AFTER_ESCAPE.get(found[1], found[1]), text)


def cost(text: str) -> int | None:
    """Count the septets that the text takes, or None if the alphabet cannot say it."""
    positions = _positions(text)
    if positions is None:
        return None
    return len(positions) + len(positions.translate(None, _BASIC_POSITIONS))


def expressible(text: str) -> bool:
    """Tell whether the alphabet and its extension can say the whole text."""
    return _positions(text) is not None


def _positions(text: str) -> bytes | None:
    try:
        positions = codecs.charmap_encode(text, "strict", _TO_POSITIONS)[0]
    except UnicodeEncodeError:
        return None
    return None if 0 in positions else positions


# The provider's list of replaced characters (documentation of 2024), as (from, to). `é è à ù ì ò É` and the other
# letters
# of the GSM alphabet stay.
_SMSPARTNER_LIST: tuple[tuple[str, str], ...] = (
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
_SMSPARTNER = str.maketrans({character: to for group, to in _SMSPARTNER_LIST for character in group})

_SMSPARTNER_MARKS = {":br:": "\r\n", ":euro:": "€", "\\r\\n": "\r\n"}
_SMSPARTNER_MARK = re.compile(r":br:|:euro:|\\r\\n")


def read_marks_smspartner(text: str) -> str:
    """Turn SMS Partner's marks into what they stand for: CR LF for `:br:` and for the four typed characters `\\r\\n`, €
    for `:euro:`.

    Real line breaks stay as they are. A typed `\\n` alone is not a mark: no document names it, and it occurs in
    ordinary text. Wanted for Unicode messages too.
    """
    if ":" not in text and "\\" not in text:
        return text
    return _SMSPARTNER_MARK.sub(lambda found: _SMSPARTNER_MARKS[found[0]], text)


def replace_smspartner(text: str) -> str:
    """Replace characters as SMS Partner does before counting, so that the result always fits the GSM alphabet.

    Marks first (`read_marks_smspartner`), then the provider's list; what is still not expressible becomes one `?` per
    visible character, so a joined emoji or a flag is one `?`. Accents typed apart are put together before.
    """
    text = read_marks_smspartner(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = text.translate(_SMSPARTNER)
    if expressible(text):
        return text
    return "".join(cluster if expressible(cluster) else _question(cluster) for cluster in clusters(text))


def _question(cluster: str) -> str:
    """Say `?` for a visible character, or its first code point if only the rest is foreign (the `5` of a keycap)."""
    return cluster[0] if expressible(cluster[0]) else "?"
