"""Optional parameters: the table of known tags, and reading and writing them (SMPP 3.4, 5.3.2; SMPP 5.0, 4.8.4).

Unknown and vendor tags (0x1400 to 0x3FFF) pass through as octets. Lengths are checked when writing known tags only.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from chappe.smpp.header import EncodeError, Tlvs

_HEAD = struct.Struct(">HH")


class Tag(enum.IntEnum):
    """Tags of SMPP 3.4, then those that 5.0 adds."""

    DEST_ADDR_SUBUNIT = 0x0005
    DEST_NETWORK_TYPE = 0x0006
    DEST_BEARER_TYPE = 0x0007
    DEST_TELEMATICS_ID = 0x0008
    SOURCE_ADDR_SUBUNIT = 0x000D
    SOURCE_NETWORK_TYPE = 0x000E
    SOURCE_BEARER_TYPE = 0x000F
    SOURCE_TELEMATICS_ID = 0x0010
    QOS_TIME_TO_LIVE = 0x0017
    PAYLOAD_TYPE = 0x0019
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    MS_MSG_WAIT_FACILITIES = 0x0030
    PRIVACY_INDICATOR = 0x0201
    SOURCE_SUBADDRESS = 0x0202
    DEST_SUBADDRESS = 0x0203
    USER_MESSAGE_REFERENCE = 0x0204
    USER_RESPONSE_CODE = 0x0205
    SOURCE_PORT = 0x020A
    DESTINATION_PORT = 0x020B
    SAR_MSG_REF_NUM = 0x020C
    LANGUAGE_INDICATOR = 0x020D
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    CALLBACK_NUM_PRES_IND = 0x0302
    CALLBACK_NUM_ATAG = 0x0303
    NUMBER_OF_MESSAGES = 0x0304
    CALLBACK_NUM = 0x0381
    DPF_RESULT = 0x0420
    SET_DPF = 0x0421
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MORE_MESSAGES_TO_SEND = 0x0426
    MESSAGE_STATE = 0x0427
    CONGESTION_STATE = 0x0428
    USSD_SERVICE_OP = 0x0501
    DISPLAY_TIME = 0x1201
    SMS_SIGNAL = 0x1203
    MS_VALIDITY = 0x1204
    ALERT_ON_MESSAGE_DELIVERY = 0x130C
    ITS_REPLY_TYPE = 0x1380
    ITS_SESSION_INFO = 0x1383
    BROADCAST_CHANNEL_INDICATOR = 0x0600
    BROADCAST_CONTENT_TYPE = 0x0601
    BROADCAST_CONTENT_TYPE_INFO = 0x0602
    BROADCAST_MESSAGE_CLASS = 0x0603
    BROADCAST_REP_NUM = 0x0604
    BROADCAST_FREQUENCY_INTERVAL = 0x0605
    BROADCAST_AREA_IDENTIFIER = 0x0606
    BROADCAST_ERROR_STATUS = 0x0607
    BROADCAST_AREA_SUCCESS = 0x0608
    BROADCAST_END_TIME = 0x0609
    BROADCAST_SERVICE_GROUP = 0x060A
    BILLING_IDENTIFICATION = 0x060B
    SOURCE_NETWORK_ID = 0x060D
    DEST_NETWORK_ID = 0x060E
    SOURCE_NODE_ID = 0x060F
    DEST_NODE_ID = 0x0610
    DEST_ADDR_NP_RESOLUTION = 0x0611
    DEST_ADDR_NP_INFORMATION = 0x0612
    DEST_ADDR_NP_COUNTRY = 0x0613


# Tag -> (least, most) octets of the value; a tag that is not here has no limit but the 65,535 of the length field.
LENGTHS: Mapping[int, tuple[int, int]] = {
    Tag.DEST_ADDR_SUBUNIT: (1, 1),
    Tag.DEST_NETWORK_TYPE: (1, 1),
    Tag.DEST_BEARER_TYPE: (1, 1),
    Tag.DEST_TELEMATICS_ID: (2, 2),
    Tag.SOURCE_ADDR_SUBUNIT: (1, 1),
    Tag.SOURCE_NETWORK_TYPE: (1, 1),
    Tag.SOURCE_BEARER_TYPE: (1, 1),
    Tag.SOURCE_TELEMATICS_ID: (1, 1),
    Tag.QOS_TIME_TO_LIVE: (4, 4),
    Tag.PAYLOAD_TYPE: (1, 1),
    Tag.ADDITIONAL_STATUS_INFO_TEXT: (1, 256),
    Tag.RECEIPTED_MESSAGE_ID: (1, 65),
    Tag.MS_MSG_WAIT_FACILITIES: (1, 1),
    Tag.PRIVACY_INDICATOR: (1, 1),
    Tag.SOURCE_SUBADDRESS: (2, 23),
    Tag.DEST_SUBADDRESS: (2, 23),
    Tag.USER_MESSAGE_REFERENCE: (2, 2),
    Tag.USER_RESPONSE_CODE: (1, 1),
    Tag.SOURCE_PORT: (2, 2),
    Tag.DESTINATION_PORT: (2, 2),
    Tag.SAR_MSG_REF_NUM: (2, 2),
    Tag.LANGUAGE_INDICATOR: (1, 1),
    Tag.SAR_TOTAL_SEGMENTS: (1, 1),
    Tag.SAR_SEGMENT_SEQNUM: (1, 1),
    Tag.SC_INTERFACE_VERSION: (1, 1),
    Tag.CALLBACK_NUM_PRES_IND: (1, 1),
    Tag.CALLBACK_NUM_ATAG: (0, 65),
    Tag.NUMBER_OF_MESSAGES: (1, 1),
    Tag.CALLBACK_NUM: (4, 19),
    Tag.DPF_RESULT: (1, 1),
    Tag.SET_DPF: (1, 1),
    Tag.MS_AVAILABILITY_STATUS: (1, 1),
    Tag.NETWORK_ERROR_CODE: (3, 3),
    Tag.DELIVERY_FAILURE_REASON: (1, 1),
    Tag.MORE_MESSAGES_TO_SEND: (1, 1),
    Tag.MESSAGE_STATE: (1, 1),
    Tag.CONGESTION_STATE: (1, 1),
    Tag.USSD_SERVICE_OP: (1, 1),
    Tag.DISPLAY_TIME: (1, 1),
    Tag.SMS_SIGNAL: (2, 2),
    Tag.MS_VALIDITY: (1, 4),  # 1 in 3.4; 5.0 adds the form with a unit and a count
    Tag.ALERT_ON_MESSAGE_DELIVERY: (0, 1),  # 0 in 3.4; 5.0 adds a value
    Tag.ITS_REPLY_TYPE: (1, 1),
    Tag.ITS_SESSION_INFO: (2, 2),
    Tag.BROADCAST_CHANNEL_INDICATOR: (1, 1),
    Tag.BROADCAST_CONTENT_TYPE: (3, 3),
    Tag.BROADCAST_CONTENT_TYPE_INFO: (1, 255),
    Tag.BROADCAST_MESSAGE_CLASS: (1, 1),
    Tag.BROADCAST_REP_NUM: (2, 2),
    Tag.BROADCAST_FREQUENCY_INTERVAL: (3, 3),
    Tag.BROADCAST_ERROR_STATUS: (4, 4),
    Tag.BROADCAST_AREA_SUCCESS: (1, 1),
    Tag.BROADCAST_END_TIME: (16, 17),
    Tag.BROADCAST_SERVICE_GROUP: (1, 255),
    Tag.BILLING_IDENTIFICATION: (1, 1024),
    Tag.SOURCE_NETWORK_ID: (7, 65),
    Tag.DEST_NETWORK_ID: (7, 65),
    Tag.SOURCE_NODE_ID: (6, 6),
    Tag.DEST_NODE_ID: (6, 6),
    Tag.DEST_ADDR_NP_RESOLUTION: (1, 1),
    Tag.DEST_ADDR_NP_INFORMATION: (10, 10),
    Tag.DEST_ADDR_NP_COUNTRY: (1, 5),
}

# Tags that tell more about a message without changing it: for a peer that takes no TLVs they may be left out.
INFORMATIVE: frozenset[int] = frozenset(
    {
        Tag.ADDITIONAL_STATUS_INFO_TEXT,
        Tag.RECEIPTED_MESSAGE_ID,
        Tag.USER_MESSAGE_REFERENCE,
        Tag.SC_INTERFACE_VERSION,
        Tag.NETWORK_ERROR_CODE,
        Tag.DELIVERY_FAILURE_REASON,
        Tag.MORE_MESSAGES_TO_SEND,
        Tag.MESSAGE_STATE,
        Tag.CONGESTION_STATE,
        Tag.DPF_RESULT,
        Tag.SOURCE_NETWORK_TYPE,
        Tag.SOURCE_BEARER_TYPE,
        Tag.SOURCE_TELEMATICS_ID,
        Tag.SOURCE_NETWORK_ID,
        Tag.SOURCE_NODE_ID,
    }
)


@dataclass(frozen=True, slots=True)
class NetworkError:
    """network_error_code: the network (1 ANSI-136, 2 IS-95, 3 GSM) and its own code (SMPP 3.4, 5.3.2.31)."""

    network_type: int
    code: int


def network_error(value: bytes) -> NetworkError | None:
    """Reads a network_error_code; None when it has not its three octets."""
    return NetworkError(value[0], int.from_bytes(value[1:], "big")) if len(value) == 3 else None


def text(value: bytes) -> bytes:
    """A C-octet string TLV (receipted_message_id, ...) without its NUL, which some peers leave out or repeat."""
    return value.split(b"\0", 1)[0]


def tag_name(tag: int) -> str:
    """The standard's name of a tag, as `message_payload`, or its hexadecimal form."""
    try:
        return Tag(tag).name.lower()
    except ValueError:
        return f"0x{tag:04x}"


def read(frame: bytes, position: int) -> tuple[Tlvs, bool]:
    """The TLVs from `position` to the end of the frame, and whether they fill it exactly."""
    tlvs: list[tuple[int, bytes]] = []
    end = len(frame)
    head = _HEAD.unpack_from
    try:
        while position < end:
            tag, length = head(frame, position)
            value_at = position + 4
            position = value_at + length
            if position > end:
                return tuple(tlvs), False
            tlvs.append((tag, frame[value_at:position]))
    except struct.error:  # one to three octets are left
        return tuple(tlvs), False
    return tuple(tlvs), True


def write(tlvs: Tlvs) -> bytes:
    """The TLVs as octets. Raises EncodeError for a tag out of range or a length that a known tag cannot have."""
    pieces: list[bytes] = []
    for tag, value in tlvs:
        least, most = LENGTHS.get(tag, (0, 0xFFFF))
        if not least <= len(value) <= most:
            raise EncodeError(f"{tag_name(tag)}: {len(value)} octets, {least} to {most} allowed")
        if not 0 <= tag <= 0xFFFF:
            raise EncodeError("tlvs: a tag has two octets")
        pieces += (_HEAD.pack(tag, len(value)), value)
    return b"".join(pieces)
