"""A TLV found among others, however the caller holds them: a mapping, or (tag, value) pairs as a PDU has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Tlvs = Mapping[int, bytes] | Sequence[tuple[int, bytes]]


def find(tlvs: Tlvs, tag: int) -> bytes | None:
    """The value of the first TLV with this tag, or None."""
    if isinstance(tlvs, Mapping):
        return tlvs.get(tag)
    return next((value for known, value in tlvs if known == tag), None)


def find_uint(tlvs: Tlvs, tag: int, octets: int) -> int | None:
    """The unsigned value of the first TLV with this tag, or None when absent or not of `octets` octets."""
    value = find(tlvs, tag)
    return int.from_bytes(value, "big") if value is not None and len(value) == octets else None
