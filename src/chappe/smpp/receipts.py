"""Delivery receipts: is this deliver_sm one, what does it say, and how an SMSC writes one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from chappe.smpp import status_words
from chappe.smpp.error_codes import MESSAGE_STATE_WORDS, ReceiptState
from chappe.smpp.message_ids import without_prefix
from chappe.smpp.profile import Profile
from chappe.smpp.tlv import Tag
from chappe.smpp.tlv_lookup import Tlvs, find

RECEIPT_TEXT_OCTETS_MAX: Final = 4096
VALUE_OCTETS_MAX: Final = 256
ID_OCTETS_MAX: Final = 65  # SMPP 3.4, 5.2.23; a longer one is read whole, and is odd

# The message type of esm_class in deliver_sm and data_sm (SMPP 3.4 section 5.2.12).
_TYPE_BITS: Final = 0x3C
_RECEIPT: Final = 0x04
_INTERMEDIATE: Final = 0x20
_SME_ACKS: Final = (0x08, 0x10)

# A field is a word, perhaps with "date" after it, and a colon; before it stands a blank, a control octet (padding, or
# the end of a user data header) or a comma or semicolon. The quantifiers are bounded, so the search is linear.
_LABEL: Final = re.compile(rb"(?:(?<=[\x00-\x20,;])|^)([A-Za-z]{1,16}(?:[ _]?date)?)[\x00 ]{0,4}:", re.IGNORECASE)
_KNOWN: Final = {
    b"id": "id",
    b"sub": "sub",
    b"dlvrd": "dlvrd",
    b"submitdate": "submit date",
    b"donedate": "done date",
    b"stat": "stat",
    b"status": "stat",
    b"err": "err",
    b"error": "err",
    b"text": "text",
}
# The form of Appendix B with values that need no trimming; behind `text:` are a customer's words, which nobody reads.
_USUAL: Final = re.compile(
    rb"id:([0-9A-Za-z._-]{1,64}) sub:[0-9]{3} dlvrd:[0-9]{3} submit date:[0-9]{10,14} done date:[0-9]{10,14}"
    rb" stat:([A-Z]{1,16}) err:([0-9A-Za-z]{1,16})(?: [Tt]ext:|\Z)"
)
_RECEIPT_TLVS: Final = (Tag.RECEIPTED_MESSAGE_ID, Tag.MESSAGE_STATE, Tag.NETWORK_ERROR_CODE)
_PADDING: Final = " \t\r\n\x00,;"


class Kind(StrEnum):
    """What a deliver_sm or data_sm is."""

    RECEIPT = "receipt"
    INTERMEDIATE = "intermediate"
    SME_ACK = "sme_ack"
    MESSAGE = "message"
    CLAIMED_RECEIPT = "claimed_receipt"  # by its text alone: a receipt only if the id is ours, see kind_of


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt says, as given; nothing in it is guessed.

    `id` is trimmed but not converted ("" when absent), dates are SMSC local time as written, `text` is b"" unless the
    profile keeps it, `contradictions` names the fields where TLV and text differ, `oddities` what was unusual.
    """

    id: str
    state: ReceiptState
    state_word: str
    final: bool
    error_code: str = ""
    network_error: tuple[int, int] | None = None
    submit_date: str = ""
    done_date: str = ""
    sub: str = ""
    dlvrd: str = ""
    text: bytes = b""
    other_id: str = ""  # the one that TLV or text says as well, where they differ
    id_source: str = ""  # "tlv", "text" or ""
    state_source: str = ""  # "tlv", "text" or ""
    contradictions: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # The excerpt is the customer's text, which never reaches a log.
        return f"<Receipt id={self.id!r} state={self.state} word={self.state_word!r} error={self.error_code!r}>"


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of a receipt's text, by known name, in the order of their labels."""

    values: dict[str, bytes]
    order: tuple[str, ...]
    leading: bytes
    oddities: tuple[str, ...]


def kind_of(esm_class: int, tlvs: Tlvs, text: bytes, profile: Profile) -> Kind:
    """What a deliver_sm is: esm_class decides, then the TLV or the text if this carrier's profile says so.

    CLAIMED_RECEIPT (text alone, opt-in) is a receipt only if the caller also finds that the id was issued by this
    carrier, that the source is the original destination and that the part is not final; otherwise it is a MESSAGE. A
    subscriber can type that text, but cannot set esm_class or TLVs. (SMPP 3.4 section 5.2.12)
    """
    message_type = esm_class & _TYPE_BITS
    if message_type == _RECEIPT and profile.receipts_by_esm_class:
        return Kind.RECEIPT
    if message_type == _INTERMEDIATE:
        return Kind.INTERMEDIATE
    if message_type in _SME_ACKS:
        return Kind.SME_ACK
    if profile.receipts_by_tlv and find(tlvs, Tag.RECEIPTED_MESSAGE_ID):
        return Kind.RECEIPT
    if profile.receipts_by_text and _has_the_shape(find(tlvs, Tag.MESSAGE_PAYLOAD) or text, profile):
        return Kind.CLAIMED_RECEIPT
    return Kind.MESSAGE


def says_something(text: bytes, tlvs: Tlvs) -> bool:
    """Whether there is anything of a receipt in a deliver_sm that esm_class calls one: a TLV or fields.

    False for a text without them: some carriers mark a subscriber's message as a receipt, and a STOP must not get
    lost. An empty text is not a message, so it stays a receipt that says nothing.
    """
    if any(find(tlvs, tag) is not None for tag in _RECEIPT_TLVS):
        return True
    octets = find(tlvs, Tag.MESSAGE_PAYLOAD) or text
    fields = _split(_narrowed(octets)[:RECEIPT_TEXT_OCTETS_MAX])
    known = set(fields.order) - {"text", "?"}
    if len(fields.order) > 1 and known:
        return True
    # A single field counts only at the start: in "my id: 1234, stop" it is a word of the subscriber's.
    if known and not fields.leading.strip(b" \x00"):
        return True
    return not octets.strip(b" \x00\r\n\t")


def _has_the_shape(text: bytes, profile: Profile) -> bool:
    """Whether the whole text is a receipt of this carrier: its fields, all of them, in order, and nothing before."""
    fields = _split(_narrowed(text)[:RECEIPT_TEXT_OCTETS_MAX])
    expected = tuple(profile.receipt_fields)
    found = tuple(name for name in fields.order if name != "text" or name in expected)
    whole = all(_text(fields.values.get(name, b"")) for name in expected if name != "text")
    known = status_words.state_of(_text(fields.values.get("stat", b"")), profile.status_words) is not None
    return found == expected and whole and known and not fields.leading.strip(b" \x00") and not fields.oddities


def read_usual(text: bytes, tlvs: Sequence[tuple[int, bytes]], profile: Profile) -> tuple[str, str, str] | None:
    """The id, the status word and the error code of a receipt written as Appendix B shows it, whose TLVs say the same;
    None for any other, which `read` reads. Where both read, they agree."""
    match = _USUAL.match(text)
    if match is None or profile.receipt_id_prefix:
        return None
    id, stat, err = match.groups()
    word = stat.decode("ascii")
    has_id = has_state = False
    for tag, value in tlvs:
        if tag == Tag.RECEIPTED_MESSAGE_ID:
            if has_id or value.removesuffix(b"\x00") != id:
                return None
            has_id = True
        elif tag == Tag.MESSAGE_STATE:
            if has_state or len(value) != 1 or value[0] not in MESSAGE_STATE_WORDS:
                return None
            has_state = True
            if MESSAGE_STATE_WORDS[value[0]] != word:
                return None
        elif tag == Tag.MESSAGE_PAYLOAD or (tag == Tag.NETWORK_ERROR_CODE and any(value[1:])):
            return None
    return id.decode("ascii"), word, err.decode("ascii")


def read(text: bytes, tlvs: Tlvs, profile: Profile) -> Receipt:
    """Read a receipt from its octets (without UDH) and TLVs; TLVs win, nothing raises, an unknown word is UNKNOWN.

    message_payload, when there, is read in place of `text`. Source: SMPP 3.4 Appendix B and sections 5.3.2.12,
    5.3.2.31, 5.3.2.35; tolerant of any order, case, length and padding of the fields.
    """
    payload = find(tlvs, Tag.MESSAGE_PAYLOAD)
    octets = payload or text
    oddities = ["payload_and_text"] if payload and text else []
    if len(octets) > RECEIPT_TEXT_OCTETS_MAX:
        oddities.append("text_too_long")
    fields = _split(_narrowed(octets)[:RECEIPT_TEXT_OCTETS_MAX])
    oddities.extend(fields.oddities)
    contradictions: list[str] = []

    id, other_id, id_source = _id(fields, tlvs, profile, contradictions, oddities)
    word, state_source = _state_word(fields, tlvs, profile, contradictions, oddities)
    state = state_of(word, profile)
    if status_words.state_of(word, profile.status_words) is None:
        oddities.append("unknown_state" if word else "no_state")
    network_error = _network_error(tlvs, oddities)
    return Receipt(
        id=id,
        state=state,
        state_word=word,
        final=state.final,
        error_code=_error_code(_text(fields.values.get("err", b"")), network_error),
        network_error=network_error,
        submit_date=_text(fields.values.get("submit date", b"")),
        done_date=_text(fields.values.get("done date", b"")),
        sub=_text(fields.values.get("sub", b"")),
        dlvrd=_text(fields.values.get("dlvrd", b"")),
        text=fields.values.get("text", b"") if profile.receipt_text_kept else b"",
        other_id=other_id,
        id_source=id_source,
        state_source=state_source,
        contradictions=tuple(contradictions),
        oddities=tuple(dict.fromkeys(oddities)),
    )


def _narrowed(octets: bytes) -> bytes:
    """Receipt text in UCS-2 (seen with data_coding 8) as Latin-1; anything else as it is."""
    if len(octets) >= 8 and not any(octets[:8:2]) and all(octets[1:8:2]):
        return octets.decode("utf-16-be", "replace").encode("latin-1", "replace")
    return octets


def _split(octets: bytes) -> _Fields:
    """Cut the text into its fields. The excerpt after `text:` is a customer's words: no field is read from there.

    Should the text come before id and stat, the fields are behind it, and the last of each name counts, since those
    written by the SMSC follow those a customer may have typed.
    """
    labels = list(_LABEL.finditer(octets))
    values: dict[str, bytes] = {}
    order: list[str] = []
    oddities: list[str] = []
    text_first = False
    kept: list[tuple[str | None, int, int]] = []  # name (None: a field we do not know), start of label, start of value
    for label in labels:
        name = _KNOWN.get(label[1].lower().replace(b" ", b"").replace(b"_", b""))
        if name is None and kept and not octets[kept[-1][2] : label.start()].strip(b" \x00"):
            continue  # "id: abc:77" - a word right behind a label belongs to the value
        kept.append((name, label.start(), label.end()))
        if name == "text":
            if any(known in ("id", "stat") for known, _, _ in kept):
                break
            text_first = True
    for position, (name, _, start) in enumerate(kept):
        end = kept[position + 1][1] if position + 1 < len(kept) else len(octets)
        order.append(name or "?")
        if name is None:
            continue
        if name in values:
            oddities.append("repeated_field")
            if not text_first:
                continue
        values[name] = octets[start:end]
    if text_first:
        oddities.append("text_first")
    leading = octets[: kept[0][1]] if kept else octets
    return _Fields(values, tuple(order), leading, tuple(dict.fromkeys(oddities)))


def _text(value: bytes) -> str:
    """A field's value as text, without padding and NULs (no store takes those); Latin-1, so that no octet raises."""
    return value[:VALUE_OCTETS_MAX].decode("latin-1").replace("\x00", "").strip(_PADDING)


def _id_text(value: bytes, oddities: list[str]) -> str:
    """An id as text, however long: padding cut, and blanks and NULs that some SMSCs leave inside it taken out."""
    if len(value) > ID_OCTETS_MAX:
        oddities.append("id_too_long")
    text = value.decode("latin-1").strip(_PADDING)
    squeezed = "".join(text.replace("\x00", " ").split(" "))
    if squeezed != text:
        oddities.append("blank_in_id")
    return squeezed


def _id(
    fields: _Fields, tlvs: Tlvs, profile: Profile, contradictions: list[str], oddities: list[str]
) -> tuple[str, str, str]:
    """The id, the other one if there are two, and where the first comes from."""
    tlv = find(tlvs, Tag.RECEIPTED_MESSAGE_ID)
    by_tlv = without_prefix(_id_text((tlv or b"").split(b"\x00")[0], oddities), profile.receipt_id_prefix)
    by_text = without_prefix(_id_text(fields.values.get("id", b""), oddities), profile.receipt_id_prefix)
    # The case differs on many links and says nothing; ids in two bases are a contradiction worth counting.
    if by_tlv and by_text and by_tlv.lower() != by_text.lower():
        contradictions.append("id")
    if not by_tlv and not by_text:
        oddities.append("no_id")
        return "", "", ""
    if by_tlv and (profile.tlv_wins or not by_text):
        return by_tlv, by_text if "id" in contradictions else "", "tlv"
    return by_text, by_tlv if "id" in contradictions else "", "text"


def _state_word(
    fields: _Fields, tlvs: Tlvs, profile: Profile, contradictions: list[str], oddities: list[str]
) -> tuple[str, str]:
    """The status word and where it comes from; a message_state outside the standard is the word STATE_n."""
    tlv = find(tlvs, Tag.MESSAGE_STATE)
    by_tlv = ""
    if tlv is not None:
        if len(tlv) == 1:
            by_tlv = MESSAGE_STATE_WORDS.get(tlv[0], f"STATE_{tlv[0]}")
        else:
            oddities.append("message_state_length")
    by_text = _text(fields.values.get("stat", b""))
    # Two states may share a word's meaning (ENROUTE and BUFFERED): only different states contradict each other.
    said_by_tlv, said_by_text = state_of(by_tlv, profile), state_of(by_text, profile)
    if by_tlv and by_text and said_by_tlv is not said_by_text:
        contradictions.append("state")
        # What ends a message is news; beside it, "on its way" and "unknown" say nothing.
        if said_by_tlv.final != said_by_text.final:
            return (by_tlv, "tlv") if said_by_tlv.final else (by_text, "text")
    if by_tlv and (profile.tlv_wins or not by_text):
        return by_tlv, "tlv"
    return by_text, "text" if by_text else ""


def state_of(word: str, profile: Profile) -> ReceiptState:
    """The state a word means on this carrier; a word in no table is UNKNOWN."""
    return status_words.state_of(word, profile.status_words) or ReceiptState.UNKNOWN


def _error_code(by_text: str, network_error: tuple[int, int] | None) -> str:
    """The text's code; where it has none, or zeros, that of the TLV."""
    if network_error is None or not network_error[1] or by_text.strip("0"):
        return by_text
    return str(network_error[1])


def _network_error(tlvs: Tlvs, oddities: list[str]) -> tuple[int, int] | None:
    """(network type, code) of the network_error_code TLV."""
    value = find(tlvs, Tag.NETWORK_ERROR_CODE)
    if value is None:
        return None
    if len(value) != 3:
        oddities.append("network_error_length")
        return None
    return value[0], int.from_bytes(value[1:], "big")


class IdForm(StrEnum):
    """How an SMSC writes the number that is its message id; each is met on some carrier."""

    DEC = "dec"
    DEC_PADDED = "dec-padded"
    HEX = "hex"
    HEX_UPPER = "hex-upper"
    HEX_PADDED = "hex-padded"


@dataclass(frozen=True, slots=True)
class Shape:
    """How an SMSC writes its receipts: as TLVs, as text, or both; and where the text goes."""

    text: bool = True
    tlvs: bool = True
    in_payload: bool = False


BOTH: Final = Shape()
TEXT_ONLY: Final = Shape(tlvs=False)
TLVS_ONLY: Final = Shape(text=False)
IN_PAYLOAD: Final = Shape(in_payload=True)

# What an SMSC writes for a state: the word of Appendix B and the message_state of section 5.2.28.
_WRITTEN: Final = {
    ReceiptState.DELIVERED: ("DELIVRD", 2),
    ReceiptState.EXPIRED: ("EXPIRED", 3),
    ReceiptState.DELETED: ("DELETED", 4),
    ReceiptState.UNDELIVERED: ("UNDELIV", 5),
    ReceiptState.REJECTED: ("REJECTD", 8),
    ReceiptState.IN_TRANSIT: ("ENROUTE", 1),
    ReceiptState.UNKNOWN: ("UNKNOWN", 7),
}
_TOKEN: Final = re.compile(r"[!-~]{1,64}")


def write_id(number: int, form: IdForm) -> str:
    """The message id of a number; padded forms have the 10 characters of Appendix B. Raises ValueError below 0."""
    if number < 0:
        raise ValueError("a message id is not negative")
    return {
        IdForm.DEC: f"{number}",
        IdForm.DEC_PADDED: f"{number:010}",
        IdForm.HEX: f"{number:x}",
        IdForm.HEX_UPPER: f"{number:X}",
        IdForm.HEX_PADDED: f"{number:010X}",
    }[form]


def write(
    id: str,
    state: ReceiptState,
    *,
    submitted_at: datetime,
    done_at: datetime,
    error_code: str = "000",
    text: bytes = b"",
    state_word: str = "",
    shape: Shape = BOTH,
    tlv_id: str = "",
    tlv_state: ReceiptState | None = None,
    network_error: tuple[int, int] | None = None,
) -> tuple[bytes, tuple[tuple[int, bytes], ...]]:
    """The (short_message, tlvs) of a receipt as an SMSC sends it (SMPP 3.4 Appendix B).

    Dates are written in the zone the datetimes are in, the excerpt has the first 20 octets of `text`. `tlv_id` and
    `tlv_state` make TLVs that contradict the text, for tests. Raises ValueError for an id or word that is no token of
    1 to 64 printable ASCII characters, or a shape with nothing in it.
    """
    word, message_state = state_word or _WRITTEN[state][0], _WRITTEN[tlv_state or state][1]
    for token in (id, tlv_id or id, error_code, word):
        if not _TOKEN.fullmatch(token):
            raise ValueError("ids, status words and error codes are 1 to 64 printable ASCII characters without blanks")
    if not (shape.text or shape.tlvs):
        raise ValueError("a receipt has a text, TLVs, or both")
    delivered = int(state is ReceiptState.DELIVERED)
    fields = (
        f"id:{id} sub:001 dlvrd:{delivered:03} submit date:{submitted_at:%y%m%d%H%M} "
        f"done date:{done_at:%y%m%d%H%M} stat:{word} err:{error_code} text:"
    )
    body = fields.encode("ascii") + text[:20] if shape.text else b""
    written: list[tuple[int, bytes]] = []
    if shape.tlvs:
        written.append((Tag.RECEIPTED_MESSAGE_ID, (tlv_id or id).encode("ascii") + b"\x00"))
        written.append((Tag.MESSAGE_STATE, bytes([message_state])))
    if network_error is not None:
        network_type, code = network_error
        written.append((Tag.NETWORK_ERROR_CODE, bytes([network_type]) + code.to_bytes(2, "big")))
    if shape.in_payload and shape.text:
        return b"", (*written, (Tag.MESSAGE_PAYLOAD, body))
    return body, tuple(written)
