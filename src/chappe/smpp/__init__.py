"""SMPP 3.3, 3.4 and 5.0 without I/O: PDUs, sessions, long messages, receipts. README.md beside this file says how.

The public names are those of `__all__`. Each is imported when it is first asked for, so that a program pays only for
what it uses. Functions that read best with their module in front (`concatenation.cut`, `receipts.read`,
`profile.profile`) stay there: these modules are public as well.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chappe.smpp.broadcasts import (
        BroadcastSm,
        BroadcastSmResp,
        CancelBroadcastSm,
        CancelBroadcastSmResp,
        QueryBroadcastSm,
        QueryBroadcastSmResp,
    )
    from chappe.smpp.commands import CommandId, Status, command_name, status_name
    from chappe.smpp.concatenation import Cut, Joined, Piece
    from chappe.smpp.error_codes import ErrorClass, ReceiptState
    from chappe.smpp.events import (
        Answered,
        AnsweredLate,
        BindRefused,
        BindRequested,
        Bound,
        Closed,
        Congestion,
        EnquiryAnswered,
        Event,
        Nacked,
        Odd,
        Oddity,
        Reason,
        Received,
        TimedOut,
        Unbound,
    )
    from chappe.smpp.fields import Destination, DistributionList, Failure
    from chappe.smpp.framer import Framer
    from chappe.smpp.header import DecodeError, EncodeError, Pdu, Request, Response
    from chappe.smpp.pdu import (
        AlertNotification,
        BindReceiver,
        BindReceiverResp,
        BindTransceiver,
        BindTransceiverResp,
        BindTransmitter,
        BindTransmitterResp,
        CancelSm,
        CancelSmResp,
        DataSm,
        DataSmResp,
        DeliverSm,
        DeliverSmResp,
        EnquireLink,
        EnquireLinkResp,
        GenericNack,
        Outbind,
        QuerySm,
        QuerySmResp,
        ReplaceSm,
        ReplaceSmResp,
        SubmitMulti,
        SubmitMultiResp,
        SubmitSm,
        SubmitSmResp,
        Unbind,
        UnbindResp,
        Unknown,
        decode,
    )
    from chappe.smpp.profile import LongMethod, Profile
    from chappe.smpp.receipts import Receipt
    from chappe.smpp.session import Session
    from chappe.smpp.session_core import SessionError, StateError, TlvsRefused, WindowFull
    from chappe.smpp.settings import Settings, Timers
    from chappe.smpp.states import Mode, Role, State
    from chappe.smpp.tlv import Tag, tag_name

_MODULES = {
    "broadcasts": (
        "BroadcastSm",
        "BroadcastSmResp",
        "CancelBroadcastSm",
        "CancelBroadcastSmResp",
        "QueryBroadcastSm",
        "QueryBroadcastSmResp",
    ),
    "commands": (
        "CommandId",
        "Status",
        "command_name",
        "status_name",
    ),
    "events": (
        "Answered",
        "AnsweredLate",
        "BindRefused",
        "BindRequested",
        "Bound",
        "Closed",
        "Congestion",
        "EnquiryAnswered",
        "Event",
        "Nacked",
        "Odd",
        "Oddity",
        "Reason",
        "Received",
        "TimedOut",
        "Unbound",
    ),
    "fields": (
        "Destination",
        "DistributionList",
        "Failure",
    ),
    "framer": ("Framer",),
    "header": (
        "DecodeError",
        "EncodeError",
        "Pdu",
        "Request",
        "Response",
    ),
    "session_core": (
        "SessionError",
        "StateError",
        "TlvsRefused",
        "WindowFull",
    ),
    "concatenation": (
        "Cut",
        "Joined",
        "Piece",
    ),
    "pdu": (
        "AlertNotification",
        "BindReceiver",
        "BindReceiverResp",
        "BindTransceiver",
        "BindTransceiverResp",
        "BindTransmitter",
        "BindTransmitterResp",
        "CancelSm",
        "CancelSmResp",
        "DataSm",
        "DataSmResp",
        "DeliverSm",
        "DeliverSmResp",
        "EnquireLink",
        "EnquireLinkResp",
        "GenericNack",
        "Outbind",
        "QuerySm",
        "QuerySmResp",
        "ReplaceSm",
        "ReplaceSmResp",
        "SubmitMulti",
        "SubmitMultiResp",
        "SubmitSm",
        "SubmitSmResp",
        "Unbind",
        "UnbindResp",
        "Unknown",
        "decode",
    ),
    "profile": (
        "LongMethod",
        "Profile",
    ),
    "receipts": ("Receipt",),
    "session": ("Session",),
    "settings": (
        "Settings",
        "Timers",
    ),
    "states": (
        "Mode",
        "Role",
        "State",
    ),
    "error_codes": (
        "ErrorClass",
        "ReceiptState",
    ),
    "tlv": (
        "Tag",
        "tag_name",
    ),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AlertNotification",
    "Answered",
    "AnsweredLate",
    "BindReceiver",
    "BindReceiverResp",
    "BindRefused",
    "BindRequested",
    "BindTransceiver",
    "BindTransceiverResp",
    "BindTransmitter",
    "BindTransmitterResp",
    "Bound",
    "BroadcastSm",
    "BroadcastSmResp",
    "CancelBroadcastSm",
    "CancelBroadcastSmResp",
    "CancelSm",
    "CancelSmResp",
    "Closed",
    "CommandId",
    "Congestion",
    "Cut",
    "DataSm",
    "DataSmResp",
    "DecodeError",
    "DeliverSm",
    "DeliverSmResp",
    "Destination",
    "DistributionList",
    "EncodeError",
    "EnquireLink",
    "EnquireLinkResp",
    "EnquiryAnswered",
    "ErrorClass",
    "Event",
    "Failure",
    "Framer",
    "GenericNack",
    "Joined",
    "LongMethod",
    "Mode",
    "Nacked",
    "Odd",
    "Oddity",
    "Outbind",
    "Pdu",
    "Piece",
    "Profile",
    "QueryBroadcastSm",
    "QueryBroadcastSmResp",
    "QuerySm",
    "QuerySmResp",
    "Reason",
    "Receipt",
    "ReceiptState",
    "Received",
    "ReplaceSm",
    "ReplaceSmResp",
    "Request",
    "Response",
    "Role",
    "Session",
    "SessionError",
    "Settings",
    "State",
    "StateError",
    "Status",
    "SubmitMulti",
    "SubmitMultiResp",
    "SubmitSm",
    "SubmitSmResp",
    "Tag",
    "TimedOut",
    "Timers",
    "TlvsRefused",
    "Unbind",
    "UnbindResp",
    "Unbound",
    "Unknown",
    "WindowFull",
    "command_name",
    "decode",
    "status_name",
    "tag_name",
]


def __getattr__(name: str) -> object:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
    return value
