"""TLVs are found in mappings and in pairs alike."""

from __future__ import annotations

import pytest

from chappe.smpp.tlv_lookup import Tlvs, find, find_uint


@pytest.mark.parametrize("tlvs", [{1: b"", 2: b"\x01\x02"}, [(1, b""), (2, b"\x01\x02")], ((1, b""), (2, b"\x01\x02"))])
def test_values_are_found_by_tag(tlvs: Tlvs) -> None:
    assert (find(tlvs, 1), find(tlvs, 2), find(tlvs, 3)) == (b"", b"\x01\x02", None)
    assert [find_uint(tlvs, tag, 2) for tag in (1, 2, 3)] == [None, 0x0102, None]
    assert find_uint(tlvs, 2, 1) is None


def test_of_repeated_tlvs_the_first_counts() -> None:
    assert find([(2, b"a"), (2, b"b")], 2) == b"a"
