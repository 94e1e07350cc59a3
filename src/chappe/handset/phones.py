"""The phones: parts that came, joined to messages as a phone shows them; a bounded store, pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chappe.core import gsm7, segments
from chappe.handset.magic_numbers import Report
from chappe.smpp.concatenation import UDHI, Joined, Piece, join, read
from chappe.smpp.data_coding import Decoded, decode_joined, message_class
from chappe.smpp.error_codes import ReceiptState
from chappe.smpp.pdu import SubmitSm
from chappe.smpp.profile import Charset, profile
from chappe.smpp.reassembly import Completed, Joiner, Key
from chappe.smpp.tlv import Tag

_PROFILE = profile("generic")
_TON_INTERNATIONAL = 1
_TON_ALPHANUMERIC = 5
_E164_DIGITS_MIN = 8  # below it a number without a type is a short code
_E164_DIGITS_MAX = 15
# Some libraries mark GSM 03.38 text as IA5 (ASCII), npm's smpp among them. No ASCII text has these octets, and as GSM
# 03.38 they are é, $, @ and the like.
_IA5 = 0x01
_NO_IA5_TEXT = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]")
_COPIES_MAX = 4  # of one part, of a message that waits
_OCTETS_SINGLE, _OCTETS_EACH = 140, 134  # one SMS alone, and behind a UDH of 6 octets


@dataclass(slots=True, repr=False, eq=False)
class Part:
    """One submit that was taken: `number` is its id, in whatever form it was told; `at` is seconds since 1970."""

    number: int
    id: str
    receipt_id: str
    system_id: str
    pdu: SubmitSm
    at: float
    reports: tuple[Report, ...] = ()
    asked: bool = False
    state: ReceiptState = ReceiptState.IN_TRANSIT
    final_at: float = 0.0  # when its outcome is due, seconds since 1970
    error_code: int = 0
    acknowledged: int = 0  # receipts that the peer took
    cancelled: bool = False
    message: Message | None = None

    def state_at(self, at: float) -> ReceiptState:
        """What query_sm tells: under way until the outcome is due."""
        if self.state is ReceiptState.IN_TRANSIT and at >= self.final_at:
            for report in self.reports:
                if not report.intermediate:
                    return report.state
            return ReceiptState.DELIVERED
        return self.state


@dataclass(slots=True, repr=False, eq=False)
class Message:
    """What a phone shows: `number` is its id, that of the part with which it was complete; `parts` in order of arrival.

    joined is None for a message of one part, which is read when somebody looks.
    """

    number: int
    parts: tuple[Part, ...]
    joined: Joined | None
    at: float
    revision: int = 0
    _decoded: Decoded | None = field(default=None, init=False)

    @property
    def first(self) -> SubmitSm:
        return self.parts[0].pdu

    @property
    def recipient(self) -> str:
        return address(self.first.dest_addr_ton, self.first.destination_addr)

    @property
    def sender(self) -> str:
        return address(self.first.source_addr_ton, self.first.source_addr)

    def pieces(self) -> Joined:
        """The parts as the standard reads them, in their own order."""
        if self.joined is None:
            self.joined = join([_piece(self.first)])
        return self.joined

    def decoded(self) -> Decoded:
        """The text, with the charset it came in."""
        if self._decoded is None:
            pieces, data_coding = self.pieces(), self.first.data_coding
            if data_coding == _IA5 and _NO_IA5_TEXT.search(pieces.octets):
                data_coding = 0
            self._decoded = decode_joined(pieces, data_coding, _PROFILE, gsm7.decode)
        return self._decoded

    @property
    def text(self) -> str:
        """The text as a phone shows it; hexadecimal octets for what is none."""
        text = self.decoded().text
        return self.pieces().octets.hex() if text is None else text

    @property
    def encoding(self) -> str:
        """gsm7, ucs2, latin1, binary, ...: see Charset."""
        decoded = self.decoded()
        return Charset.BINARY.value if decoded.text is None else decoded.charset.value

    @property
    def flash(self) -> bool:
        """Whether a phone shows it at once and keeps nothing (3GPP TS 23.038 section 4, dest_addr_subunit 1)."""
        subunit = self.first.tlv(Tag.DEST_ADDR_SUBUNIT)
        return message_class(self.first.data_coding) == 0 or subunit == b"\x01"

    @property
    def parts_total(self) -> int:
        """How many SMS it takes: as it was cut, or as the network would cut a long payload."""
        pieces = self.pieces().pieces
        if len(pieces) > 1:
            return len(pieces)
        decoded = self.decoded()
        if decoded.text is not None and decoded.charset is not Charset.BINARY:
            unicode = decoded.charset is Charset.UCS2
            return segments.count(segments.clean(decoded.text), unicode=unicode)[1]
        octets = len(self.pieces().octets)
        return 1 if octets <= _OCTETS_SINGLE else -(-octets // _OCTETS_EACH)


class Phones:
    """The last messages of all phones, and the parts that wait for their siblings."""

    def __init__(
        self, messages_max: int, join_timeout_s: float, next_number: Callable[[], int], octets_max: int = 67_108_864
    ) -> None:
        self.messages_max = messages_max
        self.octets_max = octets_max
        self._octets = 0  # of all messages, as they came
        self._next_number = next_number
        self.messages: dict[int, Message] = {}  # by number, in the order in which they were complete
        self.parts: dict[str, Part] = {}  # by the id in the response
        self.revision = 0
        self.cleared = 0  # the revision at which everything was deleted
        # One sender may have a whole campaign of long messages under way.
        self._joiner = Joiner(timeout_s=join_timeout_s, parts_per_source_max=100_000)
        self._waiting: dict[Key, list[Part]] = {}
        self._changes: dict[int, Message] = {}  # the last changed is the last

    def take(self, part: Part, piece: Piece | None, now: float) -> list[Message]:
        """Takes a part in; gives the messages that are now to be seen.

        piece: what `piece_of` says of it; `now` monotonic seconds, for those that wait.
        """
        self.parts[part.id] = part
        if piece is None or piece.total == 1:
            message = Message(part.number, (part,), None, part.at)
            self._show(message)
            return [message]
        pdu = part.pdu
        source, destination = address(pdu.source_addr_ton, pdu.source_addr), pdu.destination_addr.decode("latin-1")
        key = Key(part.system_id, source, destination, piece.reference, piece.total, piece.method)
        waiting = self._waiting.setdefault(key, [])
        if len(waiting) < _COPIES_MAX * piece.total:
            waiting.append(part)
        else:
            del self.parts[part.id]  # the same part again and again
        completed = self._joiner.add(now, part.system_id, source, destination, piece)
        return [self._shown(one, part.number if one.reason == "complete" else self._next_number()) for one in completed]

    def expire(self, now: float) -> list[Message]:
        """Shows what waited too long for its other parts."""
        return [self._shown(one, self._next_number()) for one in self._joiner.expire(now)]

    def deadline(self) -> float | None:
        """When expire has something to do next."""
        return self._joiner.deadline()

    def kept(self) -> Iterator[Part]:
        """Every part of a message, or of one that waits for its other parts."""
        for message in self.messages.values():
            yield from message.parts
        for parts in self._waiting.values():
            yield from parts

    def touch(self, part: Part) -> None:
        """Something changed that the page shows."""
        message = part.message
        if message is not None and message.number in self.messages:
            self._changed(message)

    def newest(self) -> Iterator[Message]:
        """All messages, the newest first."""
        return reversed(self.messages.values())

    def changed_since(self, revision: int) -> list[Message]:
        """Messages that are new or changed, the last changed first."""
        found = []
        for message in reversed(self._changes.values()):
            if message.revision <= revision:
                break
            found.append(message)
        return found

    def clear(self) -> None:
        """Deletes every message; what is under way stays under way."""
        self.messages.clear()
        self._octets = 0
        self._changes.clear()
        waiting = [part for parts in self._waiting.values() for part in parts]
        self.parts = {part.id: part for part in waiting}
        self.revision += 1
        self.cleared = self.revision

    def _shown(self, completed: Completed, number: int) -> Message:
        parts = self._waiting.pop(completed.key)
        message = Message(number, tuple(parts), completed.joined, parts[-1].at)
        self._show(message)
        return message

    def _show(self, message: Message) -> None:
        for part in message.parts:
            part.message = message
        self.messages[message.number] = message
        self._changed(message)
        self._octets += _octets(message)
        while len(self.messages) > self.messages_max or (self._octets > self.octets_max and len(self.messages) > 1):
            oldest = self.messages.pop(next(iter(self.messages)))
            self._octets -= _octets(oldest)
            self._changes.pop(oldest.number, None)
            for part in oldest.parts:
                if self.parts.get(part.id) is part:
                    del self.parts[part.id]

    def _changed(self, message: Message) -> None:
        self.revision += 1
        message.revision = self.revision
        self._changes.pop(message.number, None)
        self._changes[message.number] = message


def _octets(message: Message) -> int:
    """How much a message has brought along."""
    return sum(len(part.pdu.short_message) + sum(len(value) for _, value in part.pdu.tlvs) for part in message.parts)


def piece_of(pdu: SubmitSm) -> Piece | None:
    """What part of a long message this is; None for one that has neither UDH nor TLVs, and so stands alone."""
    return _piece(pdu) if pdu.esm_class & UDHI or pdu.tlvs else None


def _piece(pdu: SubmitSm) -> Piece:
    return read(pdu.esm_class, pdu.short_message, pdu.tlvs)


def address(ton: int, octets: bytes) -> str:
    """An address as people write it: E.164 with a plus where it is one, anything else as it came."""
    text = octets.decode("latin-1")
    digits = text.removeprefix("+")
    if ton == _TON_ALPHANUMERIC or not (digits.isascii() and digits.isdigit()):
        return text
    if ton == _TON_INTERNATIONAL or digits != text:
        return "+" + digits
    if digits.startswith("00") and ton != _TON_ALPHANUMERIC:
        return "+" + digits[2:]
    if ton == 0 and not digits.startswith("0") and _E164_DIGITS_MIN <= len(digits) <= _E164_DIGITS_MAX:
        return "+" + digits
    return text
