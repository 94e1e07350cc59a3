"""The GSM 7-bit default alphabet (3GPP TS 23.038, 6.2.1): encode, decode, count septets.

Octets here are unpacked, one septet each, as SMPP carries them under data_coding 0.
"""

import codecs
import re

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
