"""Many submit_sm that differ in their destinations and texts: what they share is written once, and checked once.

A PDU's body is its octets before the destination, the destination, the octets up to the text, and the text. The strict
encoder of `pdu.py` writes a PDU without destination and text; cut at these two places, it serves for all others.
"""

from __future__ import annotations

from dataclasses import replace

from chappe.smpp.header import HEADER
from chappe.smpp.pdu import SubmitSm

DESTINATION_OCTETS_MAX = 20
TEXT_OCTETS_MAX = 254


def around(pdu: SubmitSm) -> tuple[bytes, bytes]:
    """What all PDUs share that differ from this one in destination and text: the octets of the body before the
    destination, and from there to sm_length. TLVs are none of it. Raises EncodeError."""
    written = replace(pdu, destination_addr=b"", short_message=b"", tlvs=(), sequence=0).encode()
    # service_type with its NUL, two octets and source_addr with its NUL, two octets (SMPP 3.4, 4.4.1)
    place = HEADER.size + len(pdu.service_type) + 1 + 2 + len(pdu.source_addr) + 1 + 2
    return written[HEADER.size : place], written[place:-1]  # the last octet is the length of no text
