"""The TLVs that receipts and long messages use, and how to look one up (SMPP 3.4 section 5.3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

Tlvs = Mapping[int, bytes] | Sequence[tuple[int, bytes]]

RECEIPTED_MESSAGE_ID: Final = 0x001E
SAR_MSG_REF_NUM: Final = 0x020C
SAR_TOTAL_SEGMENTS: Final = 0x020E
SAR_SEGMENT_SEQNUM: Final = 0x020F
DESTINATION_PORT: Final = 0x020B
SOURCE_PORT: Final = 0x020A
NETWORK_ERROR_CODE: Final = 0x0423
MESSAGE_PAYLOAD: Final = 0x0424
MESSAGE_STATE: Final = 0x0427


def find(tlvs: Tlvs, tag: int) -> bytes | None:
    """The value of the first TLV with this tag, or None."""
    if isinstance(tlvs, Mapping):
        return tlvs.get(tag)
    return next((value for known, value in tlvs if known == tag), None)


def find_uint(tlvs: Tlvs, tag: int, octets: int) -> int | None:
    """The unsigned value of the first TLV with this tag, or None when absent or not of `octets` octets."""
    value = find(tlvs, tag)
    return int.from_bytes(value, "big") if value is not None and len(value) == octets else None
