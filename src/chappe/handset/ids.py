"""The forms in which an SMSC writes the number of a message: each is met on some carrier (field rule of receipts)."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

_PADDED_DIGITS = 20
_PADDED_HEX = 16
# Odd, so that multiplying by it modulo 2**128 gives every number a UUID of its own.
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
_MASK = (1 << 128) - 1


class IdFormat(StrEnum):
    """A form of message id."""

    DECIMAL = "decimal"
    HEX = "hex"
    PADDED = "padded"
    UPPER = "upper"
    HEX_PADDED = "hex_padded"
    UUID = "uuid"
    UUID_UPPER = "uuid_upper"


def write(number: int, form: IdFormat) -> str:
    """The id of a number, always the same: decimal, hex (lower case), upper (hex), padded with zeros, or a UUID."""
    if form is IdFormat.DECIMAL:
        return str(number)
    if form is IdFormat.HEX:
        return f"{number:x}"
    if form is IdFormat.UPPER:
        return f"{number:X}"
    if form is IdFormat.PADDED:
        return f"{number:0{_PADDED_DIGITS}}"
    if form is IdFormat.HEX_PADDED:
        return f"{number:0{_PADDED_HEX}x}"
    text = str(UUID(int=number * _SPREAD & _MASK))
    return text.upper() if form is IdFormat.UUID_UPPER else text
