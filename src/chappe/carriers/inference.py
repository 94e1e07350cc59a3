"""Stray receipts: the ids that a carrier may have answered for them, and whose number they name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from chappe.core import numbers
from chappe.smpp import pdu, receipts
from chappe.smpp.header import DecodeError
from chappe.smpp.message_ids import bounded, variants
from chappe.smpp.pdu import DataSm, DeliverSm
from chappe.smpp.profile import Profile

PADDED_WIDTH_MAX: Final = 20  # to which carriers fill ids with zeros
SUFFIX_DIGITS: Final = 8  # national and international forms of a number end alike
_MASKED: Final = re.compile(r"\+?([0-9]{6,})[*xX#?.]+[0-9]*")


class Stray(NamedTuple):
    """What the PDU of a receipt says: its ids as written, and its addresses."""

    ids: tuple[str, ...]
    addresses: tuple[str, ...]


def read(raw: bytes, profile: Profile) -> Stray:
    """The ids and addresses of a stored PDU; none of those that nobody can read."""
    try:
        found = pdu.decode(raw)
    except DecodeError:
        return Stray((), ())
    if not isinstance(found, DeliverSm | DataSm):
        return Stray((), ())
    text = found.short_message if isinstance(found, DeliverSm) else b""
    receipt = receipts.read(text, found.tlvs, profile)
    ids = tuple(id.replace("\x00", "") for id in (receipt.id, receipt.other_id) if id)
    addresses = (found.source_addr.decode("latin-1"), found.destination_addr.decode("latin-1"))
    return Stray(ids, addresses)


def forms(ids: Iterable[str]) -> set[str]:
    """What a carrier may have answered for an id that it writes so in receipts: another base, case or padding."""
    bare = {form for id in ids for _, form in variants(id) if form}
    cased = bare | {form.upper() for form in bare}
    padded = {form.zfill(width) for form in cased for width in range(len(form), PADDED_WIDTH_MAX + 1)}
    return {bounded(form) for form in cased | padded}


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
