"""What all PDUs share: the header, the TLVs behind the body, and the two errors of writing and reading."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import ClassVar

HEADER = struct.Struct(">IIII")  # command_length, command_id, command_status, sequence_number (SMPP 3.4, 3.2)
Tlvs = tuple[tuple[int, bytes], ...]


class EncodeError(ValueError):
    """This PDU must not be written as it is; the message names the field and the problem, never the value."""


class DecodeError(ValueError):
    """A PDU cannot be read.

    `status` is the command_status to answer, `command_id` and `sequence` those of the PDU (0 when unreadable);
    `framing_lost` says that the stream cannot be read any further: answer generic_nack, then close.
    """

    def __init__(
        self, problem: str, status: int, command_id: int, sequence: int, *, framing_lost: bool = False
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.command_id = command_id
        self.sequence = sequence
        self.framing_lost = framing_lost


@dataclass(slots=True, repr=False)
class Pdu:
    """What all PDUs share; `sequence` is set by the session when it sends, `status` is 0 in requests."""

    command_id: ClassVar[int] = 0
    name: ClassVar[str] = ""

    sequence: int = field(default=0, kw_only=True)
    status: int = field(default=0, kw_only=True)
    tlvs: Tlvs = field(default=(), kw_only=True)
    flags: tuple[str, ...] = field(default=(), kw_only=True, compare=False)

    def encode(self) -> bytes:
        """The PDU as octets. Raises EncodeError."""
        raise NotImplementedError  # replaced for each class by codec.prepare

    def tlv(self, tag: int) -> bytes | None:
        """The octets of the first TLV of this tag, or None."""
        for known, value in self.tlvs:
            if known == tag:
                return value
        return None

    def tlv_int(self, tag: int) -> int | None:
        """The first TLV of this tag as a big-endian integer; None when absent, empty or longer than 4 octets."""
        value = self.tlv(tag)
        return int.from_bytes(value, "big") if value and len(value) <= 4 else None

    def __repr__(self) -> str:
        flags = f" flags={','.join(self.flags)}" if self.flags else ""
        return f"<{self.name} sequence={self.sequence} status=0x{self.status:08x} tlvs={len(self.tlvs)}{flags}>"


@dataclass(slots=True, repr=False)
class Request(Pdu):
    """A PDU that is not a response; all but outbind and alert_notification are answered."""


@dataclass(slots=True, repr=False)
class Response(Pdu):
    """The answer to a request, with its sequence; an error response (status not 0) is written without a body."""
