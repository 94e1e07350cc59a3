"""From the values of an SMS Partner send to the command: every rule of the provider, in the order in which it checks.

The order: recipients present and not too many; then all violated constraints at once (code 9); then single rules, the
first one that is broken; then number by number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from chappe.core import gsm7, numbers, segments
from chappe.core.compose import Composed, TooLong, compose
from chappe.core.errors import Refusal, Violation, Violations
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
from chappe.core.pricelist import price_list
from chappe.dialects import smspartner_schedule
from chappe.dialects.smspartner_values import Values, flag, text

PARTS_MAX: Final = 10
PLACES_PER_NUMBER_MAX: Final = 10  # a list may have empty places, but millions of commas are no list
SENDER_CHARACTERS_MIN: Final = 3
SENDER_CHARACTERS_MAX: Final = 11
TAG_CHARACTERS_MAX: Final = 20
URL_CHARACTERS_MAX: Final = 2_000

_SENDER: Final = re.compile(rf"[A-Za-z0-9 ]{{{SENDER_CHARACTERS_MIN},{SENDER_CHARACTERS_MAX}}}").fullmatch
_FRENCH_MOBILE: Final = re.compile(r"(?:0|33)[67][0-9]{8}").fullmatch
_LIST_ENDS: Final = re.compile(r"[,\r\n]")
_NOT_DIGITS: Final = re.compile(r"[^0-9]")
_UNREACHABLE: Final[dict[numbers.Unfit, str]] = {
    numbers.Unfit.UNASSIGNED: "number_invalid",
    numbers.Unfit.NOT_MOBILE: "number_not_mobile",
}


class _Sender(NamedTuple):
    """Who sends: a name or number, empty for the default one, or what is wrong with it."""

    name: str = ""
    violations: tuple[Violation, ...] = ()
    refusal: str = ""


class _Extras(NamedTuple):
    """What travels with a message without changing it."""

    tag: str = ""
    report_url: str = ""
    reply_url: str = ""
    violations: tuple[Violation, ...] = ()


class _Recipients(NamedTuple):
    usable: list[tuple[str, numbers.Number]]
    skipped: list[Skipped]
    violations: list[Violation]


_DEFAULT_SENDER: Final = _Sender()
_NO_EXTRAS: Final = _Extras()
_EXTRA_NAMES: Final = frozenset(("tag", "urlDlr", "urlResponse", "webhookUrl"))


def read(verb: str, values: Values, account: Account, moment: Moment) -> Send:
    """The command of /send and /vn/send. Raises Refusal; its subclass Violations with all that code 9 stands for."""
    settings = account.settings
    virtual = verb == "vn/send"
    limit = min(settings.numbers_per_request_max, RECIPIENTS_MAX)
    written = _written_numbers(values.get("to" if virtual else "phoneNumbers"), limit)
    if not written:
        raise Refusal("recipients_missing")
    if len(written) > limit:
        raise Refusal("recipients_too_many")

    lowcost = not virtual and text(values.get("gamme")) == "2"
    unicode = "isUnicode" in values and flag(values["isUnicode"])
    composed = _composed(values, settings, lowcost, unicode)
    recipients = _recipients(written)
    sender = _virtual_sender(values) if virtual else _named_sender(values, settings)
    schedule = smspartner_schedule.read(values, settings, moment.now)
    extras = _extras(values)

    violations = (
        *((Violation("message", "required"),) if composed is not None and composed.parts == 0 else ()),
        *recipients.violations,
        *sender.violations,
        *schedule.violations,
        *extras.violations,
    )
    if violations:
        raise Violations(violations)
    if refusal := sender.refusal or schedule.refusal:
        raise Refusal(refusal)
    _check_length(composed, settings, lowcost, unicode)
    assert composed is not None
    priced, skipped = _priced(recipients, composed.parts, settings, lowcost)
    return Send(
        account=account,
        dialect="smspartner",
        text=composed.text,
        recipients=priced,
        skipped=skipped,
        sender=sender.name or settings.sender,
        range=Range.LOWCOST if lowcost else Range.PREMIUM,
        transactional=settings.transactional,
        unicode=unicode,
        sandbox="sandbox" in values and flag(values["sandbox"]),
        scheduled_at=schedule.at,
        schedule_strict=True,
        tag=extras.tag,
        report_url=extras.report_url or settings.reports_url,
        reply_url=extras.reply_url or settings.replies_url,
        virtual_number=virtual,
    )


def _written_numbers(value: Any, limit: int) -> list[str]:
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


def _composed(values: Values, settings: AccountSettings, lowcost: bool, unicode: bool) -> Composed | None:
    """The text as it will be sent; None when it is so long that it need not be counted."""
    message = values.get("message", "")
    if not isinstance(message, str):
        message = "" if isinstance(message, list | dict) else text(message)
    wanted = settings.stop_mention_automatic or ("isStopSms" in values and flag(values["isStopSms"]))
    mention = settings.stop_mention if wanted and not lowcost else ""
    replace: Callable[[str], str] = gsm7.read_marks_smspartner if unicode else gsm7.replace_smspartner
    try:
        return compose(message, mention=mention, replace=replace, unicode=unicode)
    except TooLong:
        return None


def _recipients(written: list[str]) -> _Recipients:
    """Each number once: those that an SMS can reach, those that it cannot, and what is no number at all."""
    found = _Recipients([], [], [])
    seen: set[str] = set()
    for piece in written:
        number = numbers.read(piece)
        if isinstance(number, numbers.Number):
            if number.e164 in seen:
                continue
            seen.add(number.e164)
            if number.kind is numbers.Kind.MOBILE:
                found.usable.append((piece, number))
            else:
                found.skipped.append(Skipped(piece, "number_not_mobile", number.e164))
        elif number is numbers.Unfit.FORM:
            found.violations.append(Violation("recipients", "invalid", piece))
        else:
            e164 = _e164(piece)
            if e164 not in seen:
                seen.add(e164)
                found.skipped.append(Skipped(piece, _UNREACHABLE[number], e164))
    return found


def _priced(
    recipients: _Recipients, parts: int, settings: AccountSettings, lowcost: bool
) -> tuple[tuple[Recipient, ...], tuple[Skipped, ...]]:
    """Those who get the message and what each costs. Raises Refusal when nobody is left."""
    # Own prices are of the premium range; low cost is a product for the French zone alone.
    prices = (
        price_list(settings.price_lowcost_micros)
        if lowcost
        else price_list(settings.price_premium_micros, settings.prices)
    )
    priced, skipped = [], recipients.skipped
    for piece, number in recipients.usable:
        price_micros = prices.price(number.e164)
        if price_micros is None:
            skipped.append(Skipped(piece, "price_missing", number.e164))
        else:
            priced.append(
                Recipient(
                    number=number.e164,
                    parts=parts,
                    price_micros=parts * price_micros,
                    written=piece,
                    warnings=number.warnings,
                )
            )
    if not priced:
        only_prices = all(recipient.reason == "price_missing" for recipient in skipped)
        raise Refusal("price_missing" if only_prices else "recipients_unusable", skipped=tuple(skipped))
    return tuple(priced), tuple(skipped)


def _named_sender(values: Values, settings: AccountSettings) -> _Sender:
    """The sender of /send: 3 to 11 letters, digits and spaces."""
    name = text(values.get("sender"))
    if not name:
        return _DEFAULT_SENDER
    if len(name) > SENDER_CHARACTERS_MAX:
        return _Sender(violations=(Violation("sender", "too_long", name),))
    # 06 and 07 numbers may not send application traffic (ARCEP 2018-0881); a long number of one's own is /vn/send.
    if not _SENDER(name) or _FRENCH_MOBILE(name.replace(" ", "")):
        return _Sender(refusal="sender_invalid")
    if settings.senders_allowed:
        allowed = {allowed.strip().casefold() for allowed in settings.senders_allowed}
        if name.casefold() not in allowed:
            return _Sender(refusal="sender_refused")
    return _Sender(name)


def _virtual_sender(values: Values) -> _Sender:
    """The sender of /vn/send: a long number; whose it is, the action knows."""
    written = text(values.get("from"))
    if not written:
        return _Sender(refusal="sender_missing")
    number = _long_number(written)
    return _Sender(number) if number else _Sender(violations=(Violation("sender", "invalid", written),))


def _extras(values: Values) -> _Extras:
    if values.keys().isdisjoint(_EXTRA_NAMES):
        return _NO_EXTRAS
    tag = segments.clean(text(values.get("tag")))
    report_url = _url(values.get("urlDlr", values.get("webhookUrl")))
    reply_url = _url(values.get("urlResponse"))
    violations = []
    if len(tag) > TAG_CHARACTERS_MAX:
        violations.append(Violation("tag", "too_long", tag))
    if report_url is None:
        violations.append(Violation("report_url", "invalid"))
    if reply_url is None:
        violations.append(Violation("reply_url", "invalid"))
    return _Extras(tag, report_url or "", reply_url or "", tuple(violations))


def _check_length(composed: Composed | None, settings: AccountSettings, lowcost: bool, unicode: bool) -> None:
    """Codes 42, 51, 40 and 52, in this order."""
    if lowcost and (composed is None or composed.parts > 1):
        raise Refusal("lowcost_too_long")
    if lowcost and not settings.lowcost_enabled:
        raise Refusal("lowcost_unavailable")
    if unicode and not settings.unicode_enabled:
        raise Refusal("unicode_unavailable")
    if composed is None or composed.parts > PARTS_MAX:
        raise Refusal("text_too_long")


def _long_number(written: str) -> str:
    """A long number in E.164, whether a numbering plan knows it or not; empty when it is not written like one."""
    number = numbers.read(written)
    if isinstance(number, numbers.Number):
        return number.e164
    return _e164(written) if number.has_form else ""


def _e164(written: str) -> str:
    """The E.164 form of a number that no plan contains: national writing is taken for French."""
    international = written.lstrip().startswith("+")
    digits = _NOT_DIGITS.sub("", written)
    if not international:
        if digits.startswith("00"):
            digits = digits[2:]
        elif digits.startswith("0"):
            digits = "33" + digits[1:]
    return "+" + digits


def _url(value: Any) -> str | None:
    """Where to report: the URL, empty when none was given, None when it is none. `http://` may be left out."""
    written = text(value)
    if not written:
        return ""
    if "://" not in written:
        written = "http://" + written
    usable = written.isprintable() and " " not in written and len(written) <= URL_CHARACTERS_MAX
    return written if usable and written[:8].lower().startswith(("http://", "https://")) else None
