"""Packed septets: known octets, round trips, and the doubt about the last septet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.smpp.septets import fill_bits, pack, unpack

septets = st.binary(max_size=200).map(lambda octets: bytes(octet & 0x7F for octet in octets))


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        (b"", ""),
        (b"a", "61"),
        (b"hello", "e8329bfd06"),
        (b"hellohello", "e8329bfd4697d9ec37"),
        (b"12345678", "31d98c56b3dd70"),
        (b"1234567", "31d98c56b3dd1a"),  # seven spare bits hold a CR, not an @
    ],
)
def test_known_texts_pack_to_known_octets(text: bytes, packed: str) -> None:
    assert pack(text).hex() == packed
    assert unpack(bytes.fromhex(packed)) == text


@pytest.mark.parametrize(("header_octets", "fill"), [(0, 0), (6, 1), (7, 0), (3, 4), (8, 6), (4, 3), (12, 2), (5, 2)])
def test_septets_start_on_a_septet_boundary_behind_a_header(header_octets: int, fill: int) -> None:
    assert fill_bits(header_octets) == fill
    assert (header_octets * 8 + fill) % 7 == 0


@given(septets=septets, header_octets=st.integers(0, 20))
def test_what_is_packed_is_unpacked_behind_any_header(septets: bytes, header_octets: int) -> None:
    fill = fill_bits(header_octets)
    packed = pack(septets, fill)
    back = unpack(packed, fill)
    full = (fill + 7 * len(septets)) % 8 == 0
    expected = septets[:-1] if full and septets and septets[-1] in (0x00, 0x0D) else septets
    assert back == expected
    assert len(packed) <= (fill + 7 * len(septets)) // 8 + 1


@given(octets=st.binary(max_size=300), fill=st.integers(0, 7))
def test_any_octets_unpack_to_septets(octets: bytes, fill: int) -> None:
    unpacked = unpack(octets, fill)
    assert all(septet < 0x80 for septet in unpacked)
    count = max(0, (8 * len(octets) - fill) // 7)
    assert len(unpacked) in (count, count - 1)


def test_zero_padding_of_others_is_no_at_sign() -> None:
    assert unpack(bytes.fromhex("31d98c56b3dd00")) == b"1234567"


def test_an_octet_above_a_septet_is_refused() -> None:
    with pytest.raises(ValueError, match="0x7f"):
        pack(b"\x80")
