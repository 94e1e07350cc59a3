"""Octets to text: data_coding, packed septets, UCS-2. GSM-7 tables come in as a function, since smpp knows no core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chappe.smpp.longtext import Joined
from chappe.smpp.profile import Charset, Profile

Gsm7Decode = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A received text; `text` is None for binary and for what cannot be decoded (the octets stay with the caller)."""

    text: str | None
    charset: Charset
    oddities: tuple[str, ...] = ()


def charset_of(data_coding: int, profile: Profile) -> tuple[Charset, tuple[str, ...]]:
    """The charset of a data_coding on this carrier, and oddities ("unknown_data_coding")."""
    raise NotImplementedError


def decode(
    octets: bytes, data_coding: int, profile: Profile, gsm7_decode: Gsm7Decode, *, header_octets: int = 0
) -> Decoded:
    """Decode one body; never raises. `gsm7_decode` takes one septet per octet and may raise ValueError."""
    raise NotImplementedError


def decode_joined(joined: Joined, data_coding: int, profile: Profile, gsm7_decode: Gsm7Decode) -> Decoded:
    """Decode a joined message; a gap shows as "[…]" and is flagged."""
    raise NotImplementedError


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Pack septets (one per octet) into octets after `fill_bits` zero bits (GSM 03.38 section 6.1.2.1)."""
    raise NotImplementedError


def unpack(octets: bytes, fill_bits: int = 0, septets_max: int | None = None) -> bytes:
    """Unpack octets into septets (one per octet), skipping `fill_bits` first."""
    raise NotImplementedError
