"""SMPP PDUs: one class for each command, a table of fields from which encoder and decoder are built at first use.

It is long because it is that table: one class of a few lines for each of the standard's commands.

Writing is strict: `Pdu.encode` raises `EncodeError` for whatever the standard does not allow, before an octet is made.
Reading is liberal: `decode` keeps what it can read, notes what was odd in `Pdu.flags`, and raises only `DecodeError`.

Addresses, ids and texts are octets, never decoded here. TLVs are a tuple of (tag, value) in wire order, repeats kept.
No `repr` shows an address, a text or a password.

Flags, each a stable string:
    unterminated:FIELD   a C-octet string ran into the end of the PDU without its NUL
    overlong:FIELD       a string longer than the standard allows, kept whole
    truncated:FIELD      a response ended before this field; it and those after it keep their defaults
    body_missing         a good response without its body
    body_in_error        an error response with a body
    tlv_tail             octets after the last readable TLV, dropped (the mandatory part and the TLVs before are kept)
    two_texts            short_message and message_payload are both present; message_payload is the text
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chappe.smpp import codec
from chappe.smpp.broadcasts import (
    BroadcastSm,
    BroadcastSmResp,
    CancelBroadcastSm,
    CancelBroadcastSmResp,
    QueryBroadcastSm,
    QueryBroadcastSmResp,
)
from chappe.smpp.commands import RESPONSE_BIT, Status
from chappe.smpp.fields import (
    C1,
    C21,
    C65,
    T17,
    U8,
    AddressRange,
    Destinations,
    Failures,
    Octets,
    Password,
    ServiceType,
    SystemId,
    SystemType,
)
from chappe.smpp.header import HEADER, DecodeError, EncodeError, Pdu, Request, Response, Tlvs

__all__ = [  # defined in header.py and broadcasts.py, meant to be had here
    "BroadcastSm",
    "BroadcastSmResp",
    "CancelBroadcastSm",
    "CancelBroadcastSmResp",
    "DecodeError",
    "EncodeError",
    "Pdu",
    "QueryBroadcastSm",
    "QueryBroadcastSmResp",
    "Request",
    "Response",
    "Tlvs",
]


@dataclass(slots=True, repr=False)
class BindRequest(Request):
    """The body that all three binds share (SMPP 3.4, 4.1)."""

    system_id: SystemId = b""
    password: Password = b""
    system_type: SystemType = b""
    interface_version: U8 = 0x34
    addr_ton: U8 = 0
    addr_npi: U8 = 0
    address_range: AddressRange = b""


@dataclass(slots=True, repr=False)
class BindResponse(Response):
    """The body that all three bind answers share; TLV sc_interface_version (SMPP 3.4, 4.1)."""

    system_id: SystemId = b""


@dataclass(slots=True, repr=False)
class BindReceiver(BindRequest):
    """bind_receiver (SMPP 3.4, 4.1.3)."""

    command_id: ClassVar[int] = 0x00000001


@dataclass(slots=True, repr=False)
class BindReceiverResp(BindResponse):
    """bind_receiver_resp (SMPP 3.4, 4.1.4)."""

    command_id: ClassVar[int] = 0x80000001


@dataclass(slots=True, repr=False)
class BindTransmitter(BindRequest):
    """bind_transmitter (SMPP 3.4, 4.1.1)."""

    command_id: ClassVar[int] = 0x00000002


@dataclass(slots=True, repr=False)
class BindTransmitterResp(BindResponse):
    """bind_transmitter_resp (SMPP 3.4, 4.1.2)."""

    command_id: ClassVar[int] = 0x80000002


@dataclass(slots=True, repr=False)
class BindTransceiver(BindRequest):
    """bind_transceiver (SMPP 3.4, 4.1.5)."""

    command_id: ClassVar[int] = 0x00000009


@dataclass(slots=True, repr=False)
class BindTransceiverResp(BindResponse):
    """bind_transceiver_resp (SMPP 3.4, 4.1.6)."""

    command_id: ClassVar[int] = 0x80000009


@dataclass(slots=True, repr=False)
class Outbind(Request):
    """outbind: the SMSC asks the ESME to bind as receiver; never answered (SMPP 3.4, 4.1.7)."""

    command_id: ClassVar[int] = 0x0000000B

    system_id: SystemId = b""
    password: Password = b""


@dataclass(slots=True, repr=False)
class Unbind(Request):
    """unbind (SMPP 3.4, 4.2.1)."""

    command_id: ClassVar[int] = 0x00000006


@dataclass(slots=True, repr=False)
class UnbindResp(Response):
    """unbind_resp (SMPP 3.4, 4.2.2)."""

    command_id: ClassVar[int] = 0x80000006


@dataclass(slots=True, repr=False)
class EnquireLink(Request):
    """enquire_link (SMPP 3.4, 4.11.1)."""

    command_id: ClassVar[int] = 0x00000015


@dataclass(slots=True, repr=False)
class EnquireLinkResp(Response):
    """enquire_link_resp (SMPP 3.4, 4.11.2)."""

    command_id: ClassVar[int] = 0x80000015


@dataclass(slots=True, repr=False)
class GenericNack(Response):
    """generic_nack; sequence 0 when the request could not be read (SMPP 3.4, 4.3.1)."""

    command_id: ClassVar[int] = 0x80000000


@dataclass(slots=True, repr=False)
class ShortMessage(Request):
    """The body of submit_sm and deliver_sm; sm_length is the length of short_message (SMPP 3.4, 4.4.1 and 4.6.1)."""

    service_type: ServiceType = b""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C21 = b""
    dest_addr_ton: U8 = 0
    dest_addr_npi: U8 = 0
    destination_addr: C21 = b""
    esm_class: U8 = 0
    protocol_id: U8 = 0
    priority_flag: U8 = 0
    schedule_delivery_time: T17 = b""
    validity_period: T17 = b""
    registered_delivery: U8 = 0
    replace_if_present_flag: U8 = 0
    data_coding: U8 = 0
    sm_default_msg_id: U8 = 0
    short_message: Octets = b""


@dataclass(slots=True, repr=False)
class SubmitSm(ShortMessage):
    """submit_sm (SMPP 3.4, 4.4.1)."""

    command_id: ClassVar[int] = 0x00000004


@dataclass(slots=True, repr=False)
class SubmitSmResp(Response):
    """submit_sm_resp (SMPP 3.4, 4.4.2)."""

    command_id: ClassVar[int] = 0x80000004

    message_id: C65 = b""


@dataclass(slots=True, repr=False)
class DeliverSm(ShortMessage):
    """deliver_sm (SMPP 3.4, 4.6.1)."""

    command_id: ClassVar[int] = 0x00000005


@dataclass(slots=True, repr=False)
class DeliverSmResp(Response):
    """deliver_sm_resp; message_id is written empty, and kept with a flag when a peer fills it (SMPP 3.4, 4.6.2)."""

    command_id: ClassVar[int] = 0x80000005

    message_id: C1 = b""


@dataclass(slots=True, repr=False)
class SubmitMulti(Request):
    """submit_multi, up to 254 destinations (SMPP 3.4, 4.5.1)."""

    command_id: ClassVar[int] = 0x00000021

    service_type: ServiceType = b""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C21 = b""
    destinations: Destinations = ()
    esm_class: U8 = 0
    protocol_id: U8 = 0
    priority_flag: U8 = 0
    schedule_delivery_time: T17 = b""
    validity_period: T17 = b""
    registered_delivery: U8 = 0
    replace_if_present_flag: U8 = 0
    data_coding: U8 = 0
    sm_default_msg_id: U8 = 0
    short_message: Octets = b""


@dataclass(slots=True, repr=False)
class SubmitMultiResp(Response):
    """submit_multi_resp with the destinations that were refused (SMPP 3.4, 4.5.2)."""

    command_id: ClassVar[int] = 0x80000021

    message_id: C65 = b""
    failures: Failures = ()


@dataclass(slots=True, repr=False)
class DataSm(Request):
    """data_sm; the text is the TLV message_payload (SMPP 3.4, 4.7.1)."""

    command_id: ClassVar[int] = 0x00000103

    service_type: ServiceType = b""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C65 = b""
    dest_addr_ton: U8 = 0
    dest_addr_npi: U8 = 0
    destination_addr: C65 = b""
    esm_class: U8 = 0
    registered_delivery: U8 = 0
    data_coding: U8 = 0


@dataclass(slots=True, repr=False)
class DataSmResp(Response):
    """data_sm_resp (SMPP 3.4, 4.7.2)."""

    command_id: ClassVar[int] = 0x80000103

    message_id: C65 = b""


@dataclass(slots=True, repr=False)
class QuerySm(Request):
    """query_sm (SMPP 3.4, 4.8.1)."""

    command_id: ClassVar[int] = 0x00000003

    message_id: C65 = b""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C21 = b""


@dataclass(slots=True, repr=False)
class QuerySmResp(Response):
    """query_sm_resp (SMPP 3.4, 4.8.2)."""

    command_id: ClassVar[int] = 0x80000003

    message_id: C65 = b""
    final_date: T17 = b""
    message_state: U8 = 0
    error_code: U8 = 0


@dataclass(slots=True, repr=False)
class CancelSm(Request):
    """cancel_sm (SMPP 3.4, 4.9.1)."""

    command_id: ClassVar[int] = 0x00000008

    service_type: ServiceType = b""
    message_id: C65 = b""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C21 = b""
    dest_addr_ton: U8 = 0
    dest_addr_npi: U8 = 0
    destination_addr: C21 = b""


@dataclass(slots=True, repr=False)
class CancelSmResp(Response):
    """cancel_sm_resp (SMPP 3.4, 4.9.2)."""

    command_id: ClassVar[int] = 0x80000008


@dataclass(slots=True, repr=False)
class ReplaceSm(Request):
    """replace_sm, which has no data_coding (SMPP 3.4, 4.10.1)."""

    command_id: ClassVar[int] = 0x00000007

    message_id: C65 = b""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C21 = b""
    schedule_delivery_time: T17 = b""
    validity_period: T17 = b""
    registered_delivery: U8 = 0
    sm_default_msg_id: U8 = 0
    short_message: Octets = b""


@dataclass(slots=True, repr=False)
class ReplaceSmResp(Response):
    """replace_sm_resp (SMPP 3.4, 4.10.2)."""

    command_id: ClassVar[int] = 0x80000007


@dataclass(slots=True, repr=False)
class AlertNotification(Request):
    """alert_notification: a handset can be reached again; never answered (SMPP 3.4, 4.12.1)."""

    command_id: ClassVar[int] = 0x00000102

    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C65 = b""
    esme_addr_ton: U8 = 0
    esme_addr_npi: U8 = 0
    esme_addr: C65 = b""


@dataclass(slots=True, repr=False)
class Unknown(Pdu):
    """A PDU whose command id we do not know: `command` is the id, `body` everything behind the header."""

    command: int = 0
    body: bytes = b""

    def encode(self) -> bytes:
        """The PDU as octets, its body as it is. Raises EncodeError."""
        try:
            return HEADER.pack(HEADER.size + len(self.body), self.command, self.status, self.sequence) + self.body
        except struct.error as error:
            raise EncodeError(f"header: {error}") from error


PDUS: tuple[type[Pdu], ...] = (
    BindReceiver,
    BindReceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    BindTransceiver,
    BindTransceiverResp,
    Outbind,
    Unbind,
    UnbindResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitSm,
    SubmitSmResp,
    DeliverSm,
    DeliverSmResp,
    SubmitMulti,
    SubmitMultiResp,
    DataSm,
    DataSmResp,
    QuerySm,
    QuerySmResp,
    CancelSm,
    CancelSmResp,
    ReplaceSm,
    ReplaceSmResp,
    AlertNotification,
    BroadcastSm,
    BroadcastSmResp,
    QueryBroadcastSm,
    QueryBroadcastSmResp,
    CancelBroadcastSm,
    CancelBroadcastSmResp,
)


class _Decoders(dict[int, codec.Decoder]):
    """By command_id; each is built when its first PDU comes: of all these commands a link sees six or seven, and
    building them takes longer than all else that is done at a start."""

    def __missing__(self, command_id: int) -> codec.Decoder:
        decoder = self[command_id] = codec.decoder(_BY_ID[command_id])
        return decoder


_BY_ID = {pdu.command_id: pdu for pdu in PDUS}
for _pdu in PDUS:
    codec.prepare(_pdu)
# command_id -> (octets of one whole PDU, command_status, sequence_number) -> PDU; KeyError for what is no command.
DECODERS: Mapping[int, codec.Decoder] = _Decoders()

# Request command_id -> the class of its answer; outbind and alert_notification have none.
RESPONSES: Mapping[int, type[Response]] = {
    pdu.command_id & ~RESPONSE_BIT: pdu for pdu in PDUS if issubclass(pdu, Response) and pdu is not GenericNack
}


def decode(frame: bytes) -> Pdu:
    """The PDU in one whole frame, header included, as `framer.Framer` cuts them. Raises DecodeError."""
    if len(frame) < HEADER.size:
        raise DecodeError("shorter than a header", Status.RINVCMDLEN, 0, 0, framing_lost=True)
    length, command_id, status, sequence = HEADER.unpack_from(frame)
    if length != len(frame):
        raise DecodeError(
            "command_length is not the frame's", Status.RINVCMDLEN, command_id, sequence, framing_lost=True
        )
    if command_id not in _BY_ID:
        return Unknown(command_id, frame[HEADER.size :], sequence=sequence, status=status)
    return DECODERS[command_id](frame, status, sequence)
