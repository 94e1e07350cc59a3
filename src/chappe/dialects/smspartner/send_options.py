"""The options that every SMS Partner send has alike: text, sender, tag, where to report, what it costs.

Nothing here raises for one wrong option: what is wrong is a value, since the order of checks is the request's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from chappe.core import foreign_stop, numbers, segments, senders
from chappe.core.callback_url import is_callback_url
from chappe.core.compose import Composed, TooLong, compose
from chappe.core.errors import Refusal
from chappe.core.model import Account, AccountSettings, Range, Recipient, Send, Skipped
from chappe.core.pricelist import PriceList, french_list, price_list
from chappe.dialects.smspartner import characters
from chappe.dialects.smspartner.refusals import Violation
from chappe.dialects.smspartner.request_parser import Values, flag, text
from chappe.dialects.smspartner.schedule import Schedule

SENDER_CHARACTERS_MIN: Final = 3
SENDER_CHARACTERS_MAX: Final = 11
PARTS_MAX: Final = 10
PLACES_PER_NUMBER_MAX: Final = 10  # a list may have empty places, but millions of commas are no list
TAG_CHARACTERS_MAX: Final = 20
WHOLE_TAG_CHARACTERS_MAX: Final = 255  # of one that may be cut: it is stored with each submission

_SENDER: Final = re.compile(rf"[A-Za-z0-9 ]{{{SENDER_CHARACTERS_MIN},{SENDER_CHARACTERS_MAX}}}").fullmatch
_FRENCH_MOBILE: Final = re.compile(r"(?:0|33)[67][0-9]{8}").fullmatch
_LIST_ENDS: Final = re.compile(r"[,\r\n]")
_NOT_DIGITS: Final = re.compile(r"[^0-9]")


def has_later_rules(settings: AccountSettings) -> bool:
    """Whether the provider's pages of 2024 rule the account: a schedule outside the sending window is refused, a low
    cost message has one part, and a sender has a letter. With the pages of 2019 the message is held, every part
    counts, and a sender may have digits only."""
    return settings.provider == "2024"


class Sender(NamedTuple):
    """Who sends: a name or number, empty for the default one, or what is wrong with it."""

    name: str = ""
    violations: tuple[Violation, ...] = ()
    refusal: str = ""


class Extras(NamedTuple):
    """What travels with a message without changing it."""

    tag: str = ""
    whole_tag: str = ""  # where it was cut
    report_url: str = ""
    reply_url: str = ""
    violations: tuple[Violation, ...] = ()


_DEFAULT_SENDER: Final = Sender()
_NO_EXTRAS: Final = Extras()
_EXTRA_NAMES: Final = frozenset(("tag", "urlDlr", "urlResponse", "webhookUrl"))


def written_numbers(value: Any, limit: int) -> list[str]:
    """The single numbers of a comma list or an array, blanks and empty places left out.

    Raises Refusal recipients_too_many for so many places that even empty ones are too many.
    """
    if isinstance(value, str) and "," not in value and "\n" not in value and "\r" not in value:
        value = value.strip()
        return [value] if value else []
    places = value if isinstance(value, list) else [value]
    places_max = PLACES_PER_NUMBER_MAX * limit
    if len(places) > places_max:
        raise Refusal("recipients_too_many")
    found = []
    for place in places:
        written = text(place)
        if written.count(",") + written.count("\n") + written.count("\r") > places_max:
            raise Refusal("recipients_too_many")
        for piece in _LIST_ENDS.split(written):
            piece = piece.strip()
            if piece:
                found.append(piece)
        if len(found) > limit:
            break
    return found


def compose_text(
    message: Any, values: Values, settings: AccountSettings, lowcost: bool, unicode: bool
) -> Composed | None:
    """The text as it will be sent; None when it is so long that it need not be counted."""
    if not isinstance(message, str):
        message = "" if isinstance(message, list | dict) else text(message)
    message = foreign_stop.with_own(message, settings)
    wanted = settings.stop_mention_automatic or ("isStopSms" in values and flag(values["isStopSms"]))
    mention = settings.stop_mention if wanted and not lowcost else ""
    replace: Callable[[str], str] = characters.read_marks if unicode else characters.replace
    try:
        return compose(message, mention=mention, replace=replace, unicode=unicode)
    except TooLong:
        return None


def prices(settings: AccountSettings, lowcost: bool) -> PriceList:
    """What a part costs the account, by destination."""
    # Own prices are of the premium range; low cost is a product for the French zone alone.
    if lowcost:
        return french_list(settings.price_lowcost_micros)
    return price_list(settings.price_premium_micros, settings.prices)


def named_sender(values: Values, settings: AccountSettings) -> Sender:
    """The sender of /send: 3 to 11 letters, digits and spaces.

    Digits alone may be a short code. As many as a telephone number has are somebody's number: it is refused unless the
    account has shown it to be its own.
    """
    name = text(values.get("sender"))
    if not name:
        return _DEFAULT_SENDER
    if len(name) > SENDER_CHARACTERS_MAX:
        return Sender(violations=(Violation("sender", "too_long", name),))
    # 06 and 07 numbers may not send application traffic (ARCEP 2018-0881); a long number of one's own is /vn/send.
    if not _SENDER(name) or _FRENCH_MOBILE(name.replace(" ", "")):
        return Sender(refusal="sender_invalid")
    digits = "" if senders.has_letter(name) else name.replace(" ", "")
    is_unproven = has_later_rules(settings) or len(digits) >= senders.NUMBER_DIGITS_MIN
    if digits and is_unproven and name != settings.sender and name not in settings.senders_allowed:
        return Sender(refusal="sender_invalid")
    if senders.is_forbidden(name, settings):
        return Sender(refusal="sender_refused")
    if settings.senders_allowed:
        allowed = {allowed.strip().casefold() for allowed in settings.senders_allowed}
        if name.casefold() not in allowed:
            return Sender(refusal="sender_refused")
    return Sender(name)


def virtual_sender(values: Values, home: str) -> Sender:
    """The sender of /vn/send: a long number; whose it is, the action knows."""
    written = text(values.get("from"))
    if not written:
        return Sender(refusal="sender_missing")
    number = e164(written, home)
    return Sender(number) if number else Sender(violations=(Violation("sender", "invalid", written),))


def read_extras(values: Values, settings: AccountSettings) -> Extras:
    """The tag and the addresses, with what is wrong with them."""
    if values.keys().isdisjoint(_EXTRA_NAMES):
        return _NO_EXTRAS
    tag, whole_tag = segments.clean(text(values.get("tag"))), ""
    if settings.tag_cut and TAG_CHARACTERS_MAX < len(tag) <= WHOLE_TAG_CHARACTERS_MAX:
        tag, whole_tag = tag[:TAG_CHARACTERS_MAX], tag
    report_url = _url(values.get("urlDlr", values.get("webhookUrl")))
    reply_url = _url(values.get("urlResponse"))
    violations = []
    if len(tag) > TAG_CHARACTERS_MAX:
        violations.append(Violation("tag", "too_long", tag))
    if report_url is None:
        violations.append(Violation("report_url", "invalid"))
    if reply_url is None:
        violations.append(Violation("reply_url", "invalid"))
    return Extras(tag, whole_tag, report_url or "", reply_url or "", tuple(violations))


def build_send(
    account: Account,
    values: Values,
    sender: Sender,
    schedule: Schedule,
    extras: Extras,
    text: str,
    recipients: tuple[Recipient, ...],
    skipped: list[Skipped],
    warnings: tuple[str, ...],
    lowcost: bool,
    unicode: bool,
    virtual_number: bool = False,
    answer: object = None,
) -> Send:
    """The command of a request whose rules have all been checked; what it does not say comes from the account."""
    settings = account.settings
    return Send(
        account=account,
        dialect="smspartner",
        text=text,
        recipients=recipients,
        skipped=tuple(skipped),
        sender=sender.name or settings.sender,
        range=Range.LOWCOST if lowcost else Range.PREMIUM,
        transactional=settings.transactional,
        unicode=unicode,
        sandbox="sandbox" in values and flag(values["sandbox"]),
        scheduled_at=schedule.at,
        schedule_strict=has_later_rules(settings),
        tag=extras.tag,
        client_reference=extras.whole_tag,
        report_url=extras.report_url or settings.reports_url,
        reply_url=extras.reply_url or settings.replies_url,
        report_taken=settings.reports_waiting,
        report_skipped=True,
        virtual_number=virtual_number,
        warnings=warnings,
        answer=answer,
    )


def e164(written: str, home: str) -> str:
    """A number in E.164, whether a numbering plan knows it or not; empty when it is not written like one."""
    number = numbers.read(written, home)
    if isinstance(number, numbers.Number):
        return number.e164
    return unplanned(written, home) if number.has_form else ""


def unplanned(written: str, home: str) -> str:
    """The E.164 form of a number that no plan contains: national writing is taken for French, and nine digits at home
    for one that lost its zero."""
    international = written.lstrip().startswith("+")
    digits = _NOT_DIGITS.sub("", written)
    if not international:
        if digits.startswith("00"):
            digits = digits[2:]
        elif digits.startswith("0"):
            digits = "33" + digits[1:]
        elif home == numbers.HOME and len(digits) == 9:
            digits = "33" + digits
    return "+" + digits


def _url(value: Any) -> str | None:
    """Where to report: the URL, empty when none was given, None when it is none. `http://` may be left out."""
    written = text(value)
    if not written:
        return ""
    if "://" not in written:
        written = "http://" + written
    return written if is_callback_url(written) else None
