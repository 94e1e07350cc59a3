"""Delivery receipts: is this deliver_sm one, what does it say, and how an SMSC writes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chappe.smpp.profile import Profile
from chappe.smpp.taxonomy import ReceiptState

Tlvs = Mapping[int, bytes] | Sequence[tuple[int, bytes]]


class Kind(StrEnum):
    """What a deliver_sm or data_sm is."""

    RECEIPT = "receipt"
    INTERMEDIATE = "intermediate"
    SME_ACK = "sme_ack"
    MESSAGE = "message"
    CLAIMED_RECEIPT = "claimed_receipt"  # by its text alone: a receipt only if the id is ours, see kind_of


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt says, as given; nothing in it is guessed.

    `id` is trimmed but not converted ("" when absent), dates are SMSC local time as written, `text` is b"" unless the
    profile keeps it, `contradictions` names the fields where TLV and text differ, `oddities` what was unusual.
    """

    id: str
    state: ReceiptState
    state_word: str
    final: bool
    error_code: str = ""
    network_error: tuple[int, int] | None = None
    submit_date: str = ""
    done_date: str = ""
    sub: str = ""
    dlvrd: str = ""
    text: bytes = b""
    id_source: str = ""  # "tlv", "text" or ""
    state_source: str = ""  # "tlv", "text" or ""
    contradictions: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """How an SMSC writes its receipts: as TLVs, as text, or both; and where the text goes."""

    text: bool = True
    tlvs: bool = True
    in_payload: bool = False


def kind_of(esm_class: int, tlvs: Tlvs, text: bytes, profile: Profile) -> Kind:
    """What a deliver_sm is: esm_class decides, then the TLV or the text if this carrier's profile says so.

    CLAIMED_RECEIPT (text alone, opt-in) is a receipt only if the caller also finds that the id was issued by this
    carrier, that the source is the original destination and that the part is not final; otherwise it is a MESSAGE.
    """
    raise NotImplementedError


def read(text: bytes, tlvs: Tlvs, profile: Profile) -> Receipt:
    """Read a receipt from its octets and TLVs; TLVs win, nothing raises, an unknown word is UNKNOWN."""
    raise NotImplementedError


def write(
    id: str,
    state: ReceiptState,
    *,
    submitted_at: datetime,
    done_at: datetime,
    error_code: str = "000",
    text: bytes = b"",
    state_word: str = "",
    shape: Shape = Shape(),
) -> tuple[bytes, tuple[tuple[int, bytes], ...]]:
    """The (short_message, tlvs) of a receipt as an SMSC sends it (SMPP 3.4 Appendix B)."""
    raise NotImplementedError
