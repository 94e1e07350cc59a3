"""Stray receipts: whose number they name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from chappe.core import numbers

SUFFIX_DIGITS: Final = 8  # national and international forms of a number end alike
_MASKED: Final = re.compile(r"\+?([0-9]{6,})[*xX#?.]+[0-9]*")


def fits(recipient: str, addresses: Iterable[str]) -> bool:
    """Whether one of the addresses is this number, in any form, or a masked form of it."""
    ours = recipient.removeprefix("+")
    for address in addresses:
        digits = numbers.digits(address)
        if digits.isdecimal() and len(digits) >= SUFFIX_DIGITS and digits[-SUFFIX_DIGITS:] == ours[-SUFFIX_DIGITS:]:
            return True
        masked = _MASKED.fullmatch(address)
        if masked is not None and ours.startswith(masked[1].removeprefix("00")):
            return True
    return False
