"""What a carrier sends us, as the worker stores it: receipts and messages of subscribers. Pure."""

from __future__ import annotations

from chappe.carriers import MessageIn, ReceiptIn
from chappe.core import numbers
from chappe.core.lifecycle import State
from chappe.smpp import receipts
from chappe.smpp.message_ids import canonical, without_prefix
from chappe.smpp.pdu import DataSm, DeliverSm
from chappe.smpp.profile import Profile
from chappe.smpp.taxonomy import ReceiptState

STATES = {
    ReceiptState.DELIVERED: State.DELIVERED,
    ReceiptState.UNDELIVERED: State.UNDELIVERED,
    ReceiptState.EXPIRED: State.EXPIRED,
    ReceiptState.REJECTED: State.REJECTED,
    ReceiptState.DELETED: State.UNDELIVERED,  # nobody here asks a carrier to delete
}


def read(token: int, pdu: DeliverSm | DataSm, frame: bytes, profile: Profile) -> ReceiptIn | MessageIn:
    """A receipt, or whatever is none; token: what acknowledges it; frame: the PDU as it came."""
    text = pdu.short_message if isinstance(pdu, DeliverSm) else b""
    kind = receipts.kind_of(pdu.esm_class, pdu.tlvs, text, profile)
    if kind in (receipts.Kind.MESSAGE, receipts.Kind.SME_ACK):
        return MessageIn(
            token, _latin(pdu.source_addr), _latin(pdu.destination_addr), pdu.esm_class, pdu.data_coding, frame
        )
    found = receipts.read(text, pdu.tlvs, profile)
    state = STATES.get(found.state) if kind is not receipts.Kind.INTERMEDIATE else None
    reference = canonical(without_prefix(found.id, profile.receipt_id_prefix), profile.receipt_id_format)
    return ReceiptIn(
        token,
        reference.replace("\x00", ""),
        numbers.digits(_latin(pdu.source_addr)) if pdu.source_addr else "",
        int(state) if state is not None else None,
        found.state_word.replace("\x00", ""),
        found.error_code.replace("\x00", ""),
        frame,
    )


def response_id(message_id: bytes, profile: Profile) -> str:
    """The carrier's id of a part from its answer, in the form in which receipts are compared; empty without one."""
    text = message_id.decode("latin-1")
    return canonical(without_prefix(text, profile.response_id_prefix), profile.response_id_format) if text else ""


def _latin(octets: bytes) -> str:
    return octets.decode("latin-1").replace("\x00", "")
