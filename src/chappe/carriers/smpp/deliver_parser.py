"""What a carrier sends us, as the worker stores it: receipts and messages of subscribers. Pure."""

from __future__ import annotations

from chappe.carriers import MessageIn, ReceiptIn
from chappe.carriers.smpp import replies
from chappe.core import numbers
from chappe.core.lifecycle import State
from chappe.smpp import concatenation, receipts, status_words
from chappe.smpp.error_codes import ReceiptState
from chappe.smpp.message_ids import bounded, canonical, trimmed, without_prefix
from chappe.smpp.pdu import DataSm, DeliverSm
from chappe.smpp.profile import IdFormat, Profile, receipt_verdict
from chappe.smpp.receipts import Kind, Receipt

STATES = {
    ReceiptState.DELIVERED: State.DELIVERED,
    ReceiptState.UNDELIVERED: State.UNDELIVERED,
    ReceiptState.EXPIRED: State.EXPIRED,
    ReceiptState.REJECTED: State.REJECTED,
    ReceiptState.DELETED: State.UNDELIVERED,  # nobody here asks a carrier to delete
}
# What of a receipt's oddities is kept and counted: it may mean that a carrier is read wrongly.
ODDITIES = {
    "unknown_state": "word_unknown",
    "no_state": "no_state",
    "no_id": "no_id",
    "id_too_long": "id_too_long",
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
            if pdu.esm_class & concatenation.UDHI:
                text = concatenation.read(pdu.esm_class, text, ()).body
            if not receipts.says_something(text, pdu.tlvs):
                return _message(token, pdu, frame)
            return self._odd(token, receipts.read(text, pdu.tlvs, profile), kind, source, frame)
        reference, word, error = usual
        if not self._has_plain_receipt_ids:
            reference = self._reference(reference)
        state = self._state(word) if kind is not Kind.INTERMEDIATE else None
        reason = self._reason(error) if profile.receipt_errors else ""
        oddities: tuple[str, ...] = ("by_text",) if kind is Kind.CLAIMED_RECEIPT else ()
        if state is None and status_words.state_of(word, profile.status_words) is None:
            oddities += ("word_unknown",)
        return ReceiptIn(token, reference, source, state, word, error, frame, "", reason, oddities)

    def _odd(self, token: int, found: Receipt, kind: Kind, source: str, frame: bytes) -> ReceiptIn:
        """A receipt that is not written as Appendix B shows it."""
        word, error = found.state_word.replace("\x00", ""), found.error_code.replace("\x00", "")
        oddities = [ODDITIES[name] for name in found.oddities if name in ODDITIES]
        oddities += [f"{field}_contradicts" for field in found.contradictions]
        if kind is Kind.CLAIMED_RECEIPT:
            oddities.append("by_text")
        return ReceiptIn(
            token,
            self._reference(found.id),
            source,
            self._state(word) if kind is not Kind.INTERMEDIATE else None,
            word,
            error,
            frame,
            self._reference(found.other_id) if found.other_id else "",
            self._reason(error),
            tuple(oddities),
        )

    def _reference(self, written: str) -> str:
        """The id of a receipt in the form in which it is compared."""
        profile = self._profile
        plain = without_prefix(written.replace("\x00", ""), profile.receipt_id_prefix)
        return bounded(canonical(plain, profile.receipt_id_format))

    def _reason(self, error: str) -> str:
        """Our word for an error code, by the carrier's own table; empty where that does not have it."""
        found = receipt_verdict(error, self._profile) if error else None
        return found.reason if found is not None else ""

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
    return MessageIn(token, source, destination, frame, replies.key(frame), replies.message(replies.piece_of(pdu)))


def _address(octets: bytes) -> str:
    """An address as text. It has 20 octets at most (SMPP 3.4, 5.2.8); a peer that sends more must not pass the limit of
    an index."""
    return bounded(octets.decode("latin-1").replace("\x00", ""))
