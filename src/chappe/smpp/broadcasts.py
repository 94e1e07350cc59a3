"""The PDUs of cell broadcast, which SMPP 5.0 adds: part of the table in `pdu.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chappe.smpp.fields import C21, C65, T17, U8, ServiceType
from chappe.smpp.header import Request, Response


@dataclass(slots=True, repr=False)
class BroadcastSm(Request):
    """broadcast_sm (SMPP 5.0, 4.4.1)."""

    command_id: ClassVar[int] = 0x00000111

    service_type: ServiceType = b""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C21 = b""
    message_id: C65 = b""
    priority_flag: U8 = 0
    schedule_delivery_time: T17 = b""
    validity_period: T17 = b""
    replace_if_present_flag: U8 = 0
    data_coding: U8 = 0
    sm_default_msg_id: U8 = 0


@dataclass(slots=True, repr=False)
class BroadcastSmResp(Response):
    """broadcast_sm_resp (SMPP 5.0, 4.4.1)."""

    command_id: ClassVar[int] = 0x80000111

    message_id: C65 = b""


@dataclass(slots=True, repr=False)
class QueryBroadcastSm(Request):
    """query_broadcast_sm (SMPP 5.0, 4.6.1)."""

    command_id: ClassVar[int] = 0x00000112

    message_id: C65 = b""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C21 = b""


@dataclass(slots=True, repr=False)
class QueryBroadcastSmResp(Response):
    """query_broadcast_sm_resp; state and areas are TLVs (SMPP 5.0, 4.6.1)."""

    command_id: ClassVar[int] = 0x80000112

    message_id: C65 = b""


@dataclass(slots=True, repr=False)
class CancelBroadcastSm(Request):
    """cancel_broadcast_sm (SMPP 5.0, 4.6.2)."""

    command_id: ClassVar[int] = 0x00000113

    service_type: ServiceType = b""
    message_id: C65 = b""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: C21 = b""


@dataclass(slots=True, repr=False)
class CancelBroadcastSmResp(Response):
    """cancel_broadcast_sm_resp (SMPP 5.0, 4.6.2)."""

    command_id: ClassVar[int] = 0x80000113
