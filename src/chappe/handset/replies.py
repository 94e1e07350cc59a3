"""What a phone writes: a text as deliver_sm, long ones in parts with a UDH."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from chappe.core import segments
from chappe.handset.chaos import ReplyParts
from chappe.smpp.concatenation import Cut, cut
from chappe.smpp.pdu import DeliverSm
from chappe.smpp.profile import LongMethod

REPLY_PARTS_MAX = 20
_TON_INTERNATIONAL, _TON_ALPHANUMERIC, _NPI_ISDN = 1, 5, 1
_DATA_CODING = {"gsm7": 0x00, "ucs2": 0x08}


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A message of a phone: `source` is its number, `destination` who gets it, both as people write them."""

    source: str
    destination: str
    text: str


def parts_of(text: str) -> int:
    """How many SMS a reply takes."""
    return segments.count(segments.clean(text))[1]


def deliver_sms(reply: Reply, number: int, parts: ReplyParts, reference: int | None, random: Random) -> list[DeliverSm]:
    """The deliver_sm of a reply, in the order of sending."""
    cuts = cut_reply(reply.text, number % 256 if reference is None else reference)
    coding = _DATA_CODING[segments.count(segments.clean(reply.text))[0]]
    if len(cuts) > 1:
        if parts is ReplyParts.SHUFFLED:
            random.shuffle(cuts)
        elif parts is ReplyParts.REPEATED:
            cuts = [piece for piece in cuts for _ in range(2)]
        elif parts is ReplyParts.MISSING:
            cuts.pop(random.randrange(len(cuts)))
    source_ton, source_npi, source = numbering(reply.source)
    destination_ton, destination_npi, destination = numbering(reply.destination)
    return [
        DeliverSm(
            source_addr_ton=source_ton,
            source_addr_npi=source_npi,
            source_addr=source,
            dest_addr_ton=destination_ton,
            dest_addr_npi=destination_npi,
            destination_addr=destination,
            esm_class=piece.esm_class,
            data_coding=coding,
            short_message=piece.short_message,
        )
        for piece in cuts
    ]


def cut_reply(text: str, reference: int) -> list[Cut]:
    """The parts of a text, as a phone sends them."""
    return cut(segments.encode_parts(segments.split(segments.clean(text))), LongMethod.UDH8, reference)


def numbering(address: str) -> tuple[int, int, bytes]:
    """(ton, npi, octets) of an address as people write it: international, unknown (short codes), or alphanumeric."""
    if address.startswith("+"):
        return _TON_INTERNATIONAL, _NPI_ISDN, address[1:].encode("latin-1")
    if address.isascii() and address.isdigit():
        return 0, _NPI_ISDN, address.encode()
    return _TON_ALPHANUMERIC, 0, address.encode("latin-1")
