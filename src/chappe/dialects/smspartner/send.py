"""From the values of an SMS Partner send to the command: every rule of the provider, in the order in which it checks.

The order: recipients present and not too many; then all violated constraints at once (code 9); then single rules, the
first one that is broken; then number by number.
"""

from __future__ import annotations

from typing import NamedTuple

from chappe.core import numbers
from chappe.core.compose import Composed, warnings_of
from chappe.core.errors import Refusal
from chappe.core.model import RECIPIENTS_MAX, Account, AccountSettings, Moment, Range, Recipient, Send, Skipped
from chappe.core.pricelist import PriceList
from chappe.dialects.smspartner import schedule as smspartner_schedule
from chappe.dialects.smspartner.refusals import SmsPartnerRefusal, Violation, Violations
from chappe.dialects.smspartner.request_parser import Values, flag, text
from chappe.dialects.smspartner.send_options import (
    PARTS_MAX,
    UNREACHABLE,
    compose_text,
    named_sender,
    prices,
    read_extras,
    unplanned,
    virtual_sender,
    written_numbers,
)


class _Recipients(NamedTuple):
    usable: list[tuple[str, numbers.Number]]
    skipped: list[Skipped]
    violations: list[Violation]


def read(verb: str, values: Values, account: Account, moment: Moment) -> Send:
    """The command of /send and /vn/send. Raises Refusal; its subclass Violations with all that code 9 stands for."""
    settings = account.settings
    virtual = verb == "vn/send"
    limit = min(settings.numbers_per_request_max, RECIPIENTS_MAX)
    written = written_numbers(values.get("to" if virtual else "phoneNumbers"), limit)
    if not written:
        raise Refusal("recipients_missing")
    if len(written) > limit:
        raise Refusal("recipients_too_many")

    lowcost = not virtual and text(values.get("gamme")) == "2"
    unicode = "isUnicode" in values and flag(values["isUnicode"])
    composed = compose_text(values.get("message", ""), values, settings, lowcost, unicode)
    recipients = _recipients(written, prices(settings, lowcost), settings.home)
    sender = virtual_sender(values, settings.home) if virtual else named_sender(values, settings)
    schedule = smspartner_schedule.read(values, settings, moment.now)
    extras = read_extras(values, settings)

    blank = composed is not None and composed.parts == 0
    if blank or recipients.violations or sender.violations or schedule.violations or extras.violations:
        raise Violations(
            (
                *((Violation("message", "required"),) if blank else ()),
                *recipients.violations,
                *sender.violations,
                *schedule.violations,
                *extras.violations,
            )
        )
    if refusal := sender.refusal or schedule.refusal:
        raise SmsPartnerRefusal(refusal)
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
        client_reference=extras.whole_tag,
        report_url=extras.report_url or settings.reports_url,
        reply_url=extras.reply_url or settings.replies_url,
        report_taken=settings.reports_waiting,
        report_skipped=True,
        virtual_number=virtual,
        warnings=(
            *(warnings_of(composed, unicode=unicode) if composed.lost else ()),
            *numbers.warnings_of_numbers(one.warnings for one in priced),
        ),
    )


def _recipients(written: list[str], served: PriceList, home: str) -> _Recipients:
    """Each number once: those that an SMS can reach, those that it cannot, and what is no number at all.

    A number of a destination without a price is not judged: that takes a hundred times as long.
    """
    found = _Recipients([], [], [])
    seen: set[str] = set()
    for piece in written:
        e164 = numbers.foreign(piece, home)
        if e164 is not None and served.price(e164) is None:
            if e164 not in seen:
                seen.add(e164)
                found.skipped.append(Skipped(piece, "price_missing", e164))
            continue
        number = numbers.read(piece, home)
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
            written_as = unplanned(piece, home)
            if written_as not in seen:
                seen.add(written_as)
                found.skipped.append(Skipped(piece, UNREACHABLE[number], written_as))
    return found


def _priced(
    recipients: _Recipients, parts: int, settings: AccountSettings, lowcost: bool
) -> tuple[tuple[Recipient, ...], tuple[Skipped, ...]]:
    """Those who get the message and what each costs. Raises Refusal when nobody is left."""
    list_of_prices = prices(settings, lowcost)
    priced, skipped = [], recipients.skipped
    for piece, number in recipients.usable:
        price_micros = list_of_prices.price(number.e164)
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


def _check_length(composed: Composed | None, settings: AccountSettings, lowcost: bool, unicode: bool) -> None:
    """Codes 42, 51, 40 and 52, in this order."""
    if lowcost and (composed is None or composed.parts > 1):
        raise SmsPartnerRefusal("lowcost_too_long")
    if lowcost and not settings.lowcost_enabled:
        raise SmsPartnerRefusal("lowcost_unavailable")
    if unicode and not settings.unicode_enabled:
        raise SmsPartnerRefusal("unicode_unavailable")
    if composed is None or composed.parts > PARTS_MAX:
        raise SmsPartnerRefusal("text_too_long")
