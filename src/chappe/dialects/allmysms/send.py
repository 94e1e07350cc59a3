"""From a wish to a Send: the texts, the numbers, the sender and the date of AllMySMS, checked in its order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from chappe.core import foreign_stop, localtime, numbers, segments, senders, stop
from chappe.core.compose import Composed, TooLong, compose, tidy, warnings_of
from chappe.core.errors import Refusal
from chappe.core.model import (
    RECIPIENTS_MAX,
    Account,
    AccountSettings,
    Moment,
    Range,
    Recipient,
    Send,
    Skipped,
)
from chappe.core.pricelist import FRENCH_ZONE
from chappe.core.segments import UDH8
from chappe.dialects import Credentials
from chappe.dialects.allmysms.flow import Block
from chappe.dialects.allmysms.prices import price_list_of
from chappe.dialects.allmysms.refusals import AllMySmsRefusal
from chappe.dialects.recipients import Numbers, Unreachable, none_left

NAME: Final = "allmysms"

VARIABLES_MAX: Final = 100  # in one text; a hundred markers alone are longer than the longest text
SENDER_CHARACTERS_MAX: Final = 11
CREDENTIAL_CHARACTERS_MAX: Final = 200
PARTS_MAX: Final = 10  # of one message, as with every other API
UNICODE_CHARACTERS_MAX: Final = PARTS_MAX * UDH8.ucs2_part  # in ten parts; an emoji counts twice
LABEL_CHARACTERS_MAX: Final = 255  # CAMPAIGN_NAME, CLIMSGID: stored with each submission

# What goes with an accepted send that is not sent exactly as asked; stable reason codes.
SENDER_MALFORMED: Final = "sender_malformed"
SENDER_NOT_ALLOWED: Final = "sender_not_allowed"
SENDER_WITHOUT_STOP: Final = "sender_without_stop"
LOWCOST_UNAVAILABLE: Final = "lowcost_unavailable"

_YES: Final = frozenset({"1", "true", "yes", "oui"})
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})", re.ASCII)
_VARIABLE: Final = re.compile(r"#param_?([0-9]{1,4})#", re.IGNORECASE | re.ASCII)
# Letters, digits and spaces with a letter among them: an all-digit sender would pose as a telephone number.
_SENDER: Final = re.compile(r"(?=[0-9 ]*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)
_FRENCH: Final = tuple("+" + code for code in FRENCH_ZONE)


class Wish(NamedTuple):
    """A send as it was asked for, in either form of the request.

    sender and scheduled_at are checked: see sender_of() and scheduled_at(); message is not blank.
    """

    message: str
    blocks: tuple[Block, ...]
    dynamic: bool = False
    sender: str = ""
    warnings: tuple[str, ...] = ()
    scheduled_at: datetime | None = None
    flash: bool = False
    campaign: str = ""
    client_reference: str = ""
    unicode: bool = False
    lowcost: bool = False
    unique_identifier: str = ""


def credentials(login: str, key: str) -> Credentials:
    """Who the caller says to be. Raises Refusal key_missing, key_unknown."""
    if not login or not key:
        raise Refusal("key_missing")
    if max(len(login), len(key)) > CREDENTIAL_CHARACTERS_MAX or not (login + key).isprintable():
        raise Refusal("key_unknown")  # no account has such a key, and no database would take it
    return Credentials(key=key, login=login)


def message_of(written: str) -> str:
    """A message that says something. Raises Refusal text_missing."""
    if not written or written.isspace():
        raise AllMySmsRefusal("text_missing")
    return written


def label(written: str, tag: str) -> str:
    """A label or reference of the caller's, stored with the submission. Raises Refusal flow_invalid: too long."""
    written = segments.clean(written)  # a control character in a label is an accident, and no database takes NUL
    # Cutting it would give back another reference than the caller's.
    if len(written) > LABEL_CHARACTERS_MAX:
        raise AllMySmsRefusal("flow_invalid", tag=tag)
    return written


def is_yes(written: str) -> bool:
    return written.lower() in _YES


def scheduled_at(written: str, moment: Moment) -> datetime | None:
    """The instant of a DATE in Europe/Paris; None for an empty one, and for a past one: then it is sent now.

    Raises Refusal date_invalid.
    """
    if not written:
        return None
    found = _DATE.fullmatch(written)
    if found is None:
        raise AllMySmsRefusal("date_invalid")
    try:
        local = datetime(*map(int, found.groups()))  # type: ignore[arg-type] # six figures, no zone
    except ValueError as error:
        raise AllMySmsRefusal("date_invalid") from error
    if local.year < moment.now.year - 1:
        return None  # without a zone: the first years of the calendar have no UTC
    at = localtime.instant(local, moment.now)
    return at if at > moment.now else None


def sender_of(wanted: str, settings: AccountSettings) -> tuple[str, tuple[str, ...]]:
    """The sender to use and the warnings that go with it.

    The status table of 9.0 has no refusal for a sender, so a sender that cannot be used gives way to the account's own,
    in REST as well, and the timeline says why. With `sender_strict` Refusal sender_invalid or sender_refused is raised.
    """
    if not wanted or wanted == settings.sender:
        return settings.sender, ()
    # A listed sender may have any form, a long number for instance, and goes out as it is listed.
    listed = senders.listed(wanted, settings.senders_allowed)
    if senders.is_forbidden(wanted, settings):
        return _replaced("sender_refused", SENDER_NOT_ALLOWED, settings)
    if settings.senders_allowed and not listed:
        return _replaced("sender_refused", SENDER_NOT_ALLOWED, settings)
    if listed:
        malformed = len(listed.removeprefix("+")) > (15 if listed[1:].isdecimal() else SENDER_CHARACTERS_MAX)
    else:
        malformed = _SENDER.fullmatch(wanted) is None
    return _replaced("sender_invalid", SENDER_MALFORMED, settings) if malformed else (listed or wanted, ())


def _replaced(code: str, warning: str, settings: AccountSettings) -> tuple[str, tuple[str, ...]]:
    if settings.sender_strict:
        raise AllMySmsRefusal(code)
    return settings.sender, (warning,)


def _is_stop_missing(wish: Wish, recipients: Iterable[Recipient], settings: AccountSettings) -> bool:
    """Whether a French number would get a text without opt-out: neither written in it, in any case, nor added by us."""
    mention = settings.stop_mention.strip()
    if mention and (_adds_mention(settings) or mention.casefold() in wish.message.casefold()):
        return False
    if stop.contains_mention(wish.message):
        return False
    # A submission has one sender, so one French number is enough.
    return any(recipient.number.startswith(_FRENCH) for recipient in recipients)


def _adds_mention(settings: AccountSettings) -> bool:
    """The provider adds nothing to a text; we do for accounts of which the operator says so."""
    return settings.stop_mention_automatic and not settings.transactional


def send(wish: Wish, account: Account) -> Send:
    """The command for a wish.

    Raises Refusal recipients_too_many, text_too_long, text_missing, recipients_unusable, price_missing, sender_refused.
    """
    settings = account.settings
    sender, warnings = wish.sender, wish.warnings
    most = min(settings.numbers_per_request_allmysms_max, RECIPIENTS_MAX)
    if sum(len(block.numbers) for block in wish.blocks) > most:
        raise Refusal("recipients_too_many")
    texts = _Texts(wish, settings)
    recipients, skipped = _recipients(wish.blocks, texts, settings)
    if not recipients:
        raise none_left(skipped)
    if settings.sender_needs_stop and sender != settings.sender and _is_stop_missing(wish, recipients, settings):
        sender, more = _replaced("sender_refused", SENDER_WITHOUT_STOP, settings)
        warnings += more
    lowcost = wish.lowcost and settings.lowcost_enabled
    if wish.lowcost and not lowcost:
        warnings += (LOWCOST_UNAVAILABLE,)
    return Send(
        account=account,
        dialect=NAME,
        text=texts.common.text,
        recipients=recipients,
        skipped=skipped,
        sender=sender,
        range=Range.LOWCOST if lowcost else Range.PREMIUM,
        transactional=settings.transactional,
        unicode=wish.unicode,
        flash=wish.flash,
        scheduled_at=wish.scheduled_at,
        campaign=wish.campaign,
        client_reference=wish.client_reference,
        report_url=settings.reports_url,
        reply_url=settings.replies_url,
        public_ids=True,
        warnings=(*warnings, *texts.warnings, *numbers.warnings_of_numbers(one.warnings for one in recipients)),
        unique_identifier=wish.unique_identifier,
    )


class _Texts:
    """The text for each block: one for all, or the message with its variables replaced.

    common: what Send.text is: the text, or the message with its markers. Raises Refusal text_too_long, text_missing.
    """

    def __init__(self, wish: Wish, settings: AccountSettings) -> None:
        self.limit = settings.message_characters_max
        self.unicode = wish.unicode
        self.mention = settings.stop_mention if _adds_mention(settings) else ""
        message = foreign_stop.with_own(tidy(wish.message), settings)
        pieces = _VARIABLE.split(message) if wish.dynamic else [message]
        self.literals, self.places = pieces[::2], [int(digits) for digits in pieces[1::2]]
        self.literal_characters = sum(map(len, self.literals))
        if len(self.places) > VARIABLES_MAX:
            raise AllMySmsRefusal("text_too_long", limit=self.limit)
        self.warnings: tuple[str, ...] = ()
        self.common = Composed(message, "gsm7", 1) if self.places else self._composed(message)

    def of(self, block: Block) -> Composed:
        """What the numbers of a block are sent."""
        if not self.places:
            return self.common
        values = [tidy(block.parameters.get(place, "")) for place in self.places]
        # Measured before it is built: a small flow may not unfold into a huge text.
        if self.literal_characters + sum(map(len, values)) > self.limit:
            raise AllMySmsRefusal("text_too_long", limit=self.limit)
        return self._composed("".join([a + b for a, b in zip(self.literals, [*values, ""], strict=True)]))

    def _composed(self, text: str) -> Composed:
        if len(text) > self.limit:
            raise AllMySmsRefusal("text_too_long", limit=self.limit)
        try:
            composed = compose(text, mention=self.mention, unicode=self.unicode)
        except TooLong:
            raise AllMySmsRefusal("text_too_long", limit=self.limit) from None
        if not composed.parts:
            raise AllMySmsRefusal("text_missing")
        if composed.parts > PARTS_MAX:
            most = UNICODE_CHARACTERS_MAX if composed.encoding == "ucs2" else PARTS_MAX * UDH8.gsm7_part
            raise AllMySmsRefusal("text_too_long", limit=most)
        if not self.warnings:
            self.warnings = warnings_of(composed, unicode=self.unicode)
        return composed


def _recipients(
    blocks: Iterable[Block], texts: _Texts, settings: AccountSettings
) -> tuple[tuple[Recipient, ...], tuple[Skipped, ...]]:
    """Who gets the message and who does not; a number given twice gets it twice, since parameters may differ."""
    read = Numbers(price_list_of(settings), settings).read
    recipients: list[Recipient] = []
    skipped: list[Skipped] = []
    for block in blocks:
        composed = texts.of(block)
        parts, own_text = composed.parts, None if composed is texts.common else composed.text
        for written in block.numbers:
            found = read(written)
            if isinstance(found, Unreachable):
                skipped.append(_skipped(written, found))
                continue
            number, price_micros = found
            recipients.append(Recipient(number.e164, parts, price_micros * parts, written, own_text, number.warnings))
    return tuple(recipients), tuple(skipped)


def _skipped(written: str, why: Unreachable) -> Skipped:
    """A number is invalid here in whatever way it is none, and is told as it was written."""
    if why.reason == "price_missing":
        return Skipped(written, why.reason, why.e164)
    return Skipped(written, "number_invalid" if why.reason == "number_malformed" else why.reason)
