"""The parts of messages as one carrier takes them: what is the same for many messages is made once. Pure.

Most messages have one part and differ from others in number and text, or, sent to a list, in the number alone. Such a
part is put together of octets that the strict encoder has written before (smpp/submitting); whatever is not so plain
goes the whole way through `submission.pdus`. Both ways write the same octets.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from chappe.carriers import Outgoing
from chappe.carriers.smpp.submission import Body, destination, encode, pdus, validity
from chappe.smpp import submit_template
from chappe.smpp.pdu import EncodeError, SubmitSm
from chappe.smpp.profile import FlashMethod, LongMethod, Profile, ValidityFormat

K = TypeVar("K")
V = TypeVar("V")

KEPT_MAX = 256
"""Texts, and senders, of which what was made is kept; then all are forgotten, and every second anyway."""


class Part(msgspec.Struct, gc=False):
    """One submit_sm on its way: as octets behind the header where it is plain, else as a PDU.

    part: 0 for the only one, else from 1. order: its place among all that were ever made.
    """

    message: Outgoing
    part: int
    parts: int
    order: int
    octets: bytes = b""
    pdu: SubmitSm | None = None


def without_tlvs(profile: Profile) -> Profile:
    """The profile as a peer without TLVs needs it: what a TLV would have said is said inside the message.

    SAR, payload and `udh8` cut a text at the same places, so a message that was begun one way can go on the other.
    """
    needs_tlvs = profile.long_method in (LongMethod.SAR, LongMethod.PAYLOAD)
    return replace(
        profile,
        tlvs_allowed=False,
        long_method=LongMethod.UDH8 if needs_tlvs else profile.long_method,
        flash=FlashMethod.CLASS if profile.flash is FlashMethod.SUBUNIT else profile.flash,
    )


class Parts:
    """Makes the parts of one carrier's messages."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._made = 0
        self._second = 0
        self._validities: dict[float, bytes] = {}
        self._frames: dict[tuple[str, int, bytes], tuple[bytes, bytes]] = {}
        self._texts: dict[tuple[str, str, bool, bool, bytes], tuple[bytes, bytes] | Body] = {}
        self._is_relative = profile.validity_format is ValidityFormat.RELATIVE
        self._is_whole_way = profile.long_method is LongMethod.PAYLOAD
        self._flashes_by_tlv = profile.flash is FlashMethod.SUBUNIT

    def of(self, message: Outgoing, wall_s: float) -> list[Part]:
        """The parts that are still to be sent, in the order of sending. wall_s: seconds since 1970. Raises
        CannotCarry."""
        if int(wall_s) != self._second:
            self._forget(int(wall_s))
        validity_period = self._validities.get(message.valid_until)
        if validity_period is None:
            validity_period = self._validity_period(message, wall_s)
        key = (message.text, message.sender, message.unicode, message.flash, validity_period)
        found = self._texts.get(key)
        if found is None:
            found = self._found(message, validity_period)
            _keep(self._texts, key, found)
        if type(found) is tuple and not message.parts_done and not (message.valid_until and self._is_relative):
            to = destination(message, self._profile)
            if len(to) <= submit_template.DESTINATION_OCTETS_MAX and 0 not in to:
                self._made += 1
                return [Part(message, 0, 1, self._made, found[0] + to + found[1])]
        return self._whole(message, validity_period, found if type(found) is Body else None)

    def renewed(self, part: Part, wall_s: float) -> SubmitSm:
        """The PDU of a part that is not plain, as it is to be written now: a relative validity counts from now on."""
        assert part.pdu is not None
        if part.message.valid_until and self._is_relative:
            part.pdu.validity_period = self._validity_period(part.message, wall_s)
        return part.pdu

    def _whole(self, message: Outgoing, validity_period: bytes, body: Body | None) -> list[Part]:
        made = pdus(message, self._profile, validity_period, body)
        parts = []
        order = list(enumerate(made, 1))
        if self._profile.parts_reversed:
            order.reverse()
        for seqnum, pdu in order:
            if not message.parts_done >> seqnum & 1:
                self._made += 1
                parts.append(Part(message, seqnum if len(made) > 1 else 0, len(made), self._made, pdu=pdu))
        return parts

    def _forget(self, second: int) -> None:
        self._second = second
        for kept in (self._validities, self._frames, self._texts):
            kept.clear()

    def _validity_period(self, message: Outgoing, wall_s: float) -> bytes:
        until = message.valid_until
        seconds = min(until - wall_s, self._profile.validity_s) if until else self._profile.validity_s
        made = validity(datetime.fromtimestamp(wall_s, UTC), seconds, self._profile)
        if not (until and self._is_relative):  # such a one is different in each moment
            _keep(self._validities, until, made)
        return made

    def _found(self, message: Outgoing, validity_period: bytes) -> tuple[bytes, bytes] | Body:
        """What is written before a destination and behind it; the encoded text where there is more than that."""
        profile = self._profile
        body = encode(message.text, unicode=message.unicode, flash=message.flash, profile=profile)
        if self._is_whole_way or len(body.parts) > 1 or body.packed or (message.flash and self._flashes_by_tlv):
            return body
        (octets,) = body.parts
        if len(octets) > submit_template.TEXT_OCTETS_MAX:
            return body
        try:
            head, tail = self._frame(message, body, validity_period)
        except EncodeError:
            return body  # the whole way will say what cannot be written, when its turn comes
        return head, b"%b%c%b" % (tail, len(octets), octets)

    def _frame(self, message: Outgoing, body: Body, validity_period: bytes) -> tuple[bytes, bytes]:
        key = (message.sender, body.data_coding, validity_period)
        frame = self._frames.get(key)
        if frame is None:
            (pdu,) = pdus(message, self._profile, validity_period, body)
            frame = submit_template.around(pdu)
            _keep(self._frames, key, frame)
        return frame


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    if len(kept) >= KEPT_MAX:
        kept.clear()
    kept[key] = value
