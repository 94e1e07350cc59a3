"""Packed GSM-7: seven-bit characters in eight-bit octets (3GPP TS 23.038 section 6.1.2)."""

from __future__ import annotations

from typing import Final

_CR: Final = 0x0D


def fill_bits(header_octets: int) -> int:
    """The zero bits between a UDH of `header_octets` (its length octet included) and the first septet after it.

    Septets start on a septet boundary counted from the first octet of the header (3GPP TS 23.040 section 9.2.3.24).
    """
    return -header_octets * 8 % 7


def pack(septets: bytes, fill: int = 0) -> bytes:
    """Pack septets, one per octet, behind `fill` zero bits.

    Seven spare bits at the end would read as an `@`, since SMPP counts octets and not septets: a CR stands there, as
    section 6.1.2.3.1 asks where the same doubt arises. Raises ValueError for an octet above 0x7F.
    """
    if any(septet > 0x7F for septet in septets):
        raise ValueError("a septet is 0 to 0x7f")
    if (fill + 7 * len(septets)) % 8 == 1:
        septets += bytes([_CR])
    packed, bits, held = bytearray(), fill, 0
    for septet in septets:
        held |= septet << bits
        bits += 7
        while bits >= 8:
            packed.append(held & 0xFF)
            held >>= 8
            bits -= 8
    if bits:
        packed.append(held & 0xFF)
    return bytes(packed)


def unpack(octets: bytes, fill: int = 0) -> bytes:
    """Unpack octets into septets, one per octet, after `fill` bits (0 to 7).

    A last septet that ends on the octet boundary may be padding: an `@` (0) or CR there is taken out. A text of such a
    length that truly ends so loses that character; nothing on the wire tells the two apart.
    """
    septets, bits, held = bytearray(), -fill, 0
    for octet in octets:
        # Until the fill bits are behind us, `bits` is negative and they are shifted out to the right.
        held |= octet << bits if bits >= 0 else octet >> -bits
        bits += 8
        while bits >= 7:
            septets.append(held & 0x7F)
            held >>= 7
            bits -= 7
    if bits == 0 and septets and septets[-1] in (0, _CR):
        septets.pop()
    return bytes(septets)
