"""What a carrier sends us, as the worker stores it: receipts and messages of subscribers. Pure."""

from __future__ import annotations

from chappe.carriers import MessageIn, ReceiptIn
from chappe.core import numbers
from chappe.core.lifecycle import State
from chappe.smpp import longtext, receipts
from chappe.smpp.message_ids import bounded, canonical, trimmed, without_prefix
from chappe.smpp.pdu import DataSm, DeliverSm
from chappe.smpp.profile import IdFormat, Profile
from chappe.smpp.receipts import Kind
from chappe.smpp.taxonomy import ReceiptState

STATES = {
    ReceiptState.DELIVERED: State.DELIVERED,
    ReceiptState.UNDELIVERED: State.UNDELIVERED,
    ReceiptState.EXPIRED: State.EXPIRED,
    ReceiptState.REJECTED: State.REJECTED,
    ReceiptState.DELETED: State.UNDELIVERED,  # nobody here asks a carrier to delete
}
_AS_IT_IS = (IdFormat.RAW, IdFormat.LEARN)
_WORDS_KEPT_MAX = 100


class Reader:
    """Reads what one carrier sends, as its profile says."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._has_plain_ids = profile.response_id_format in _AS_IT_IS and not profile.response_id_prefix
        self._has_plain_receipt_ids = profile.receipt_id_format in _AS_IT_IS and not profile.receipt_id_prefix
        self._states: dict[str, int | None] = {}

    def read(self, token: int, pdu: DeliverSm | DataSm, frame: bytes) -> ReceiptIn | MessageIn:
        """A receipt, or whatever is none; token: what acknowledges it; frame: the PDU as it came."""
        profile = self._profile
        text = pdu.short_message if isinstance(pdu, DeliverSm) else b""
        kind = receipts.kind_of(pdu.esm_class, pdu.tlvs, text, profile)
        source = numbers.digits(_address(pdu.source_addr))
        # Anybody can write what looks like a receipt: it is one of a message to that very number, or none.
        nobodys = kind is Kind.CLAIMED_RECEIPT and not source.isdecimal()
        if kind is Kind.MESSAGE or kind is Kind.SME_ACK or nobodys:
            return _message(token, pdu, frame)
        usual = receipts.read_usual(text, pdu.tlvs, profile)
        if usual is None:
            if pdu.esm_class & longtext.UDHI:
                text = longtext.read(pdu.esm_class, text, ()).body
            if not receipts.says_something(text, pdu.tlvs):
                return MessageIn(
                    token,
                    _address(pdu.source_addr),
                    _address(pdu.destination_addr),
                    pdu.esm_class,
                    pdu.data_coding,
                    frame,
                )
            found = receipts.read(text, pdu.tlvs, profile)
            reference, word, error = (
                written.replace("\x00", "") for written in (found.id, found.state_word, found.error_code)
            )
        else:
            reference, word, error = usual
        if not self._has_plain_receipt_ids:
            reference = canonical(without_prefix(reference, profile.receipt_id_prefix), profile.receipt_id_format)
        state = self._state(word) if kind is not Kind.INTERMEDIATE else None
        return ReceiptIn(token, bounded(reference), source, state, word, error, frame)

    def response_id(self, message_id: bytes) -> str:
        """The carrier's id of a part from its answer, in the form in which receipts are compared; empty without one."""
        text = message_id.decode("latin-1")
        if self._has_plain_ids:
            return bounded(trimmed(text))
        if not text:
            return ""
        profile = self._profile
        return bounded(canonical(without_prefix(text, profile.response_id_prefix), profile.response_id_format))

    def _state(self, word: str) -> int | None:
        """The lifecycle's state that a word means on this carrier."""
        if word in self._states:
            return self._states[word]
        state = STATES.get(receipts.state_of(word, self._profile))
        if len(self._states) < _WORDS_KEPT_MAX:
            self._states[word] = int(state) if state is not None else None
        return int(state) if state is not None else None


def _message(token: int, pdu: DeliverSm | DataSm, frame: bytes) -> MessageIn:
    source, destination = _address(pdu.source_addr), _address(pdu.destination_addr)
    return MessageIn(token, source, destination, pdu.esm_class, pdu.data_coding, frame)


def _address(octets: bytes) -> str:
    """An address as text. It has 20 octets at most (SMPP 3.4, 5.2.8); a peer that sends more must not pass the limit of
    an index."""
    return bounded(octets.decode("latin-1").replace("\x00", ""))
