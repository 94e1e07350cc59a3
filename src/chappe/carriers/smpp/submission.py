"""A message as submit_sm PDUs: encoded, cut, addressed as the carrier's profile says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from chappe.carriers import Outgoing
from chappe.core import gsm7, segments
from chappe.smpp import concatenation
from chappe.smpp.pdu import SubmitSm
from chappe.smpp.profile import Charset, FlashMethod, LongMethod, NumberForm, Profile, ValidityFormat
from chappe.smpp.tlv import Tag

_PYTHON_CODECS = {Charset.ASCII: "ascii", Charset.LATIN1: "latin-1"}
_FLASH_GSM7 = 0xF0
_FLASH_UCS2 = 0x18


class CannotCarry(Exception):
    """This carrier cannot carry this message; the reason is a stable word."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Body(msgspec.Struct, frozen=True, gc=False):
    """The text of a message in octets: each part's, and how they are marked."""

    parts: tuple[bytes, ...]
    data_coding: int
    ucs2: bool
    packed: bool


def address(sender: str, profile: Profile) -> tuple[int, int, bytes]:
    """TON, NPI and octets of a sender: a number, a short code or a name (field: SMPP 3.4, 5.2.5)."""
    plain = sender.removeprefix("+")
    if plain.isascii() and plain.isdigit():
        if len(plain) <= profile.source_short_digits_max:
            return profile.source_short_ton, profile.source_short_npi, plain.encode()
        return (
            profile.source_number_ton,
            profile.source_number_npi,
            _number(plain, profile.source_number_form, profile).encode(),
        )
    return profile.source_alpha_ton, profile.source_alpha_npi, sender.encode("ascii", "replace")


def _number(digits: str, form: NumberForm, profile: Profile) -> str:
    if form is NumberForm.PLUS:
        return "+" + digits
    if form is NumberForm.NATIONAL and digits.startswith(profile.country_code):
        return profile.national_prefix + digits[len(profile.country_code) :]
    return digits


def encode(text: str, *, unicode: bool, flash: bool, profile: Profile) -> Body:
    """The octets of each part. Text that the carrier's default alphabet can say travels in it, other text as UCS-2."""
    udh16 = profile.long_method is LongMethod.UDH16
    sizes = segments.UDH16 if udh16 else segments.UDH8
    charset = profile.default_charset
    flash_class = flash and profile.flash is FlashMethod.CLASS
    if not unicode:
        if charset in _PYTHON_CODECS:
            parts = _in_charset(text, _PYTHON_CODECS[charset], sizes)
            if parts is not None:
                return Body(parts, _FLASH_GSM7 if flash_class else profile.gsm7_data_coding, False, False)
            unicode = True
        else:
            septets = gsm7.septets(text)
            if septets is not None and len(septets) <= sizes.gsm7_single:
                packed = charset is Charset.GSM7_PACKED
                return Body((septets,), _FLASH_GSM7 if flash_class else profile.gsm7_data_coding, False, packed)
    split = segments.split(text, unicode=unicode, sizes=sizes)
    parts = tuple(segments.encode_parts(split))
    if split.encoding == "gsm7":
        packed = charset is Charset.GSM7_PACKED
        return Body(parts, _FLASH_GSM7 if flash_class else profile.gsm7_data_coding, False, packed)
    return Body(parts, _FLASH_UCS2 if flash_class else profile.ucs2_data_coding, True, False)


def _in_charset(text: str, codec: str, sizes: segments.Sizes) -> tuple[bytes, ...] | None:
    """The parts in an alphabet of one octet a character; None where it cannot say the text.

    Cut as it is priced: on air the text is GSM-7 or UCS-2 again, where `[` takes two septets and `ê` sixteen bits.
    """
    try:
        octets = text.encode(codec)
    except UnicodeEncodeError:
        return None
    if len(octets) <= sizes.ucs2_single:
        units = gsm7.cost(text)
        if units is None or units <= sizes.gsm7_single:
            return (octets,)
    return tuple(part.encode(codec) for part in segments.split(text, sizes=sizes).parts)


def reference_of(message_id: int, method: LongMethod) -> int:
    """The reference of a long message's parts: the same whenever and wherever it is sent again, different for messages
    that follow each other, over the full range."""
    return (message_id >> 16) + (message_id & 0xFFFF) & (0xFF if method is LongMethod.UDH8 else 0xFFFF)


def validity(now: datetime, seconds: float, profile: Profile) -> bytes:
    """validity_period as the profile writes it (SMPP 3.4, 7.1.1); b"" leaves it to the carrier."""
    if profile.validity_format is ValidityFormat.NONE:
        return b""
    if profile.validity_format is ValidityFormat.RELATIVE:
        whole = int(seconds)
        days, rest = divmod(whole, 86_400)
        return b"0000%02d%02d%02d%02d000R" % (min(days, 99), rest // 3600, rest // 60 % 60, rest % 60)
    return (now + timedelta(seconds=seconds)).strftime("%y%m%d%H%M%S000+").encode()


def destination(message: Outgoing, profile: Profile) -> bytes:
    """The octets of a message's number in the profile's form."""
    return _number(message.recipient.removeprefix("+"), profile.destination_form, profile).encode()


def pdus(message: Outgoing, profile: Profile, validity_period: bytes, body: Body | None = None) -> list[SubmitSm]:
    """The submit_sm of each part, in the order of the parts. body: of its text, if known. Raises CannotCarry."""
    if body is None:
        body = encode(message.text, unicode=message.unicode, flash=message.flash, profile=profile)
    if len(body.parts) > profile.parts_max:
        raise CannotCarry("too_many_parts", f"{len(body.parts)} parts, this carrier takes {profile.parts_max}")
    cuts: Sequence[concatenation.Cut]
    if len(body.parts) == 1 and not body.packed and profile.long_method is not LongMethod.PAYLOAD:
        cuts = (concatenation.Cut(0, body.parts[0]),)
    else:
        cuts = concatenation.cut(
            body.parts, profile.long_method, reference_of(message.message_id, profile.long_method), packed=body.packed
        )
    source_ton, source_npi, source = address(message.sender, profile)
    to = destination(message, profile)
    extra: tuple[tuple[int, bytes], ...] = ()
    if message.flash and profile.flash is FlashMethod.SUBUNIT:
        extra = ((Tag.DEST_ADDR_SUBUNIT, b"\x01"),)
    total = len(cuts)
    return [
        SubmitSm(
            service_type=profile.service_type.encode(),
            source_addr_ton=source_ton,
            source_addr_npi=source_npi,
            source_addr=source,
            dest_addr_ton=profile.destination_ton,
            dest_addr_npi=profile.destination_npi,
            destination_addr=to,
            esm_class=cut.esm_class | profile.esm_class_mode,
            protocol_id=profile.protocol_id,
            priority_flag=profile.priority_flag,
            validity_period=validity_period,
            registered_delivery=profile.registered_delivery(seqnum, total),
            data_coding=body.data_coding,
            short_message=cut.short_message,
            tlvs=cut.tlvs + extra,
        )
        for seqnum, cut in enumerate(cuts, 1)
    ]


__all__ = ["Body", "CannotCarry", "address", "destination", "encode", "pdus", "reference_of", "validity"]
