"""SMS Partner's /bulk-send: one text a number, one id for the lot; each item stands or fails alone.

What is wrong with the request as a whole refuses it, with all violations at once; what is wrong with one item is told
in that item's answer, and the others are sent. Only when no item is left the request fails.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chappe.core import localtime, numbers, segments
from chappe.core.compose import Composed, warnings_of
from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import (
    RECIPIENTS_MAX,
    Accepted,
    Account,
    AccountSettings,
    Moment,
    Range,
    Recipient,
    Send,
    Skipped,
)
from chappe.core.pricelist import PriceList
from chappe.dialects.smspartner import schedule as smspartner_schedule
from chappe.dialects.smspartner.error_catalogue import SKIPPED_TEXTS, WRITTEN_MAX
from chappe.dialects.smspartner.refusals import SmsPartnerRefusal, Violation, Violations
from chappe.dialects.smspartner.render import CData, money, respond
from chappe.dialects.smspartner.request_parser import Values, flag, items, text
from chappe.dialects.smspartner.send_options import (
    PARTS_MAX,
    UNREACHABLE,
    compose_text,
    e164,
    named_sender,
    prices,
    read_extras,
)


class _Items(NamedTuple):
    """The items of a request, in their order: those that can be sent, and why the others cannot; and the places of
    those that say nothing, whatever else is wrong with them."""

    usable: list[tuple[int, str, numbers.Number, Composed]]  # place, as written, number, text
    skipped: list[Skipped]
    wordless: list[int]


def read(values: Values, account: Account, moment: Moment) -> Send:
    """The command of a bulk send. Raises Refusal; its subclass Violations with all that code 9 stands for."""
    settings = account.settings
    listed = _listed(values, settings)
    lowcost = text(values.get("gamme")) == "2"
    unicode = "isUnicode" in values and flag(values["isUnicode"])
    found = _items(listed, values, settings, lowcost=lowcost, unicode=unicode)
    sender = named_sender(values, settings)
    schedule = smspartner_schedule.read(values, settings, moment.now)
    extras = read_extras(values, settings)

    of_request = (*sender.violations, *schedule.violations, *extras.violations)
    if of_request:
        raise Violations((*_violated(found), *of_request))
    if refusal := sender.refusal or schedule.refusal:
        raise SmsPartnerRefusal(refusal)
    if lowcost and not settings.lowcost_enabled:
        raise SmsPartnerRefusal("lowcost_unavailable")
    if unicode and not settings.unicode_enabled:
        raise SmsPartnerRefusal("unicode_unavailable")
    whole = found.usable[0][3].text if found.usable else ""
    recipients = _priced(found, whole, settings, lowcost)
    return Send(
        account=account,
        dialect="smspartner",
        text=whole,
        recipients=recipients,
        skipped=tuple(found.skipped),
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
        warnings=(
            *warnings_of(*(composed for _, _, _, composed in found.usable), unicode=unicode),
            *numbers.warnings_of_numbers(one.warnings for one in recipients),
        ),
    )


def sent(outcome: Accepted, values: Values, settings: AccountSettings, xml: bool) -> Response:
    """The answer to an accepted bulk send: the sums, then each item in the order of the request."""
    command = outcome.command
    answers = {skipped.place: skipped for skipped in command.skipped if skipped.reason != "opted_out"}
    opted_out = {skipped.number for skipped in command.skipped if skipped.reason == "opted_out"}
    recipients = iter(command.recipients)
    listed: list[dict[str, object]] = []
    seen: set[tuple[str, str]] = set()
    served = prices(settings, command.range is Range.LOWCOST)
    for place, fields in enumerate(items(values.get("SMSList")) or ()):
        written, key = _written(fields), _key(fields, served, settings.home)
        skipped = answers.get(place)
        if skipped is not None:
            listed.append(_failed(skipped.reason, skipped.number or written, settings))
            if skipped.reason == "price_missing":
                seen.add(key)
        elif key in seen:
            listed.append(_failed("repeated", key[0], settings))
        elif key[0] in opted_out:
            listed.append(_failed("opted_out", key[0], settings))
            seen.add(key)
        else:
            listed.append(_told(next(recipients)))
            seen.add(key)
    body: dict[str, object] = {
        "success": True,
        "code": 200,
        "message_id": outcome.submission_id,
        "currency": CData("EUR"),
        "cost": money(command.cost_micros),
        "nbSMS": command.parts,
        "SMSResponse_List": listed,
    }
    if command.scheduled_at is not None:
        body["scheduledDeliveryDate"] = CData(localtime.written(command.scheduled_at))
    return respond(200, body, xml=xml)


def _listed(values: Values, settings: AccountSettings) -> list[dict[str, Any]]:
    """The items as they came. Raises Refusal recipients_missing, recipients_too_many."""
    listed = items(values.get("SMSList"))
    if not listed:
        raise Refusal("recipients_missing")
    if len(listed) > min(settings.numbers_per_request_max, RECIPIENTS_MAX):
        raise Refusal("recipients_too_many")
    return listed


def _items(
    listed: list[dict[str, Any]], values: Values, settings: AccountSettings, *, lowcost: bool, unicode: bool
) -> _Items:
    """What can be sent and what cannot; the second of two equal items is in neither, since it is no message."""
    found = _Items([], [], [])
    seen: set[tuple[str, str]] = set()
    served = prices(settings, lowcost)
    for place, fields in enumerate(listed):
        written, key = _written(fields), _key(fields, served, settings.home)
        unserved = _unserved(written, served, settings.home)
        number = None if unserved else numbers.read(written, settings.home)
        composed = compose_text(fields.get("message", ""), values, settings, lowcost, unicode)
        if composed is not None and composed.parts == 0:
            found.wordless.append(place)
        reason = _number_reason(number) or _text_reason(composed, lowcost)
        if reason:
            found.skipped.append(Skipped(written, reason, key[0], place))
        elif key in seen:
            continue
        elif unserved:
            seen.add(key)
            found.skipped.append(Skipped(written, "price_missing", unserved, place))
        else:
            assert isinstance(number, numbers.Number)
            assert composed is not None
            seen.add(key)
            found.usable.append((place, written, number, composed))
    return found


def _written(fields: dict[str, Any]) -> str:
    """The number of an item as it was written, fit to be stored and quoted: it may be anything."""
    return segments.clean(text(fields.get("phonenumber"))[:WRITTEN_MAX])


def _key(fields: dict[str, Any], served: PriceList, home: str) -> tuple[str, str]:
    """What two items have alike that are the same: the number in E.164, and the text as it was written."""
    written = _written(fields)
    return _unserved(written, served, home) or e164(written, home), text(fields.get("message"))


def _unserved(written: str, served: PriceList, home: str) -> str:
    """The E.164 form of a number of a destination without a price, which is not judged: that takes a hundred times as
    long. Empty for all others."""
    number = numbers.foreign(written, home)
    return number if number is not None and served.price(number) is None else ""


def _number_reason(number: numbers.Number | numbers.Unfit | None) -> str:
    if number is None:
        return ""
    if isinstance(number, numbers.Unfit):
        return UNREACHABLE[number]
    return "" if number.kind is numbers.Kind.MOBILE else "number_not_mobile"


def _text_reason(composed: Composed | None, lowcost: bool) -> str:
    if composed is not None and composed.parts == 0:
        return "text_missing"
    if lowcost and (composed is None or composed.parts > 1):
        return "lowcost_too_long"
    return "text_too_long" if composed is None or composed.parts > PARTS_MAX else ""


def _violated(found: _Items) -> list[Violation]:
    """What is wrong with items in the list of a request that is refused anyway: texts first, and those once."""
    violations = [Violation("message", "required")] if found.wordless else []
    wrong = [item.written for item in found.skipped if item.reason == "number_malformed"]
    return [*violations, *(Violation("recipients", "invalid", written) for written in wrong)]


def _priced(found: _Items, whole: str, settings: AccountSettings, lowcost: bool) -> tuple[Recipient, ...]:
    """What each usable item costs; those without a price join the skipped. Raises Refusal when nobody is left."""
    list_of_prices = prices(settings, lowcost)
    recipients = []
    for place, written, number, composed in found.usable:
        price_micros = list_of_prices.price(number.e164)
        if price_micros is None:
            found.skipped.append(Skipped(written, "price_missing", number.e164, place))
            continue
        recipients.append(
            Recipient(
                number=number.e164,
                parts=composed.parts,
                price_micros=composed.parts * price_micros,
                written=written,
                text=None if composed.text == whole else composed.text,
                warnings=number.warnings,
            )
        )
    if not recipients:
        only_prices = all(skipped.reason == "price_missing" for skipped in found.skipped)
        found.skipped.sort(key=lambda skipped: skipped.place)
        raise Refusal("price_missing" if only_prices else "recipients_unusable", skipped=tuple(found.skipped))
    return tuple(recipients)


def _told(recipient: Recipient) -> dict[str, object]:
    return {
        "success": True,
        "code": 200,
        "nbSms": recipient.parts,
        "cost": money(recipient.price_micros),
        "phoneNumber": CData(recipient.number),
    }


def _failed(reason: str, number: str, settings: AccountSettings) -> dict[str, object]:
    words = SKIPPED_TEXTS[reason]
    number = number[:WRITTEN_MAX]
    sentence = words.english if settings.message_language == "en" else words.french
    return {
        "success": False,
        "code": int(words.code),
        "phoneNumber": CData(number),
        "message": sentence.replace("{number}", number),
    }
