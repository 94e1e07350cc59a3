"""The kinds of mandatory fields a PDU can have, and the names by which PDU classes declare them.

A PDU class annotates each field with one of the aliases below, in wire order; `codec.py` reads the annotations once and
builds the encoder and decoder. Sizes are those of the standard and include the final NUL of C-octet strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class CString:
    """A NUL-terminated string of at most `size` octets with its NUL; `written_max`: what we write if that is more."""

    size: int
    written_max: int = 0


@dataclass(frozen=True, slots=True)
class Time:
    """A C-octet string of 1 or 17 octets: empty, or `YYMMDDhhmmsstnnp` (SMPP 3.4, 7.1.1)."""


@dataclass(frozen=True, slots=True)
class Octet:
    """An integer of one octet."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Octets behind a one-octet count (`sm_length` and `short_message`)."""

    size_max: int


@dataclass(frozen=True, slots=True)
class DestinationList:
    """The destinations of submit_multi behind a one-octet count (SMPP 3.4, 4.5.1)."""


@dataclass(frozen=True, slots=True)
class FailureList:
    """The refused destinations of submit_multi_resp behind a one-octet count (SMPP 3.4, 4.5.2)."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One SME address of submit_multi (dest_flag 1)."""

    ton: int
    npi: int
    address: bytes

    def __repr__(self) -> str:
        return f"<Destination ton={self.ton} npi={self.npi}>"


@dataclass(frozen=True, slots=True)
class DistributionList:
    """One distribution list of submit_multi (dest_flag 2)."""

    name: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """One destination that submit_multi_resp reports as refused, with its command_status."""

    ton: int
    npi: int
    address: bytes
    status: int

    def __repr__(self) -> str:
        return f"<Failure ton={self.ton} npi={self.npi} status=0x{self.status:08x}>"


Kind = CString | Time | Octet | Counted | DestinationList | FailureList

C21 = Annotated[bytes, CString(21)]
C65 = Annotated[bytes, CString(65)]
# Empty by the standard, yet filled by some peers: reading keeps it with a flag, writing refuses it.
C1 = Annotated[bytes, CString(1)]
# Carriers hand out longer names and passwords than the standard knows (16 and 9 octets), and put names of routes and
# profiles into the types (13 and 6 octets), so writing allows 64 octets and a NUL. Addresses stay at the standard's 20:
# no number is longer.
LONG_OCTETS_MAX = 64
SystemId = Annotated[bytes, CString(16, LONG_OCTETS_MAX + 1)]
Password = Annotated[bytes, CString(9, LONG_OCTETS_MAX + 1)]
SystemType = Annotated[bytes, CString(13, LONG_OCTETS_MAX + 1)]
AddressRange = Annotated[bytes, CString(41, LONG_OCTETS_MAX + 1)]
ServiceType = Annotated[bytes, CString(6, LONG_OCTETS_MAX + 1)]
T17 = Annotated[bytes, Time()]
U8 = Annotated[int, Octet()]
Octets = Annotated[bytes, Counted(254)]
Destinations = Annotated[tuple[Destination | DistributionList, ...], DestinationList()]
Failures = Annotated[tuple[Failure, ...], FailureList()]
