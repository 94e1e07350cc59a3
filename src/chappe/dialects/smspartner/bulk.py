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
    Recipient,
    Send,
    Skipped,
)
from chappe.dialects.recipients import Numbers, Unreachable, none_left
from chappe.dialects.smspartner import schedule as smspartner_schedule
from chappe.dialects.smspartner.error_catalogue import SKIPPED_TEXTS, WRITTEN_MAX
from chappe.dialects.smspartner.refusals import SmsPartnerRefusal, Violation, Violations
from chappe.dialects.smspartner.render import CData, money, respond
from chappe.dialects.smspartner.request_parser import Values, flag, items, text
from chappe.dialects.smspartner.send_options import (
    PARTS_MAX,
    build_send,
    compose_text,
    has_later_rules,
    named_sender,
    prices,
    read_extras,
    unplanned,
)


class _Items(NamedTuple):
    """The items of a request: those that can be sent, and why others cannot; whether one says nothing, whatever else is
    wrong with it; and for the answer, of each item in its order, why it gets nothing and its number."""

    usable: list[tuple[str, numbers.Number, int, Composed]]  # as written, the number, the price of a part, the text
    skipped: list[Skipped]
    is_wordless: bool
    listed: tuple[tuple[str, str], ...]


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
    if not found.usable:
        found.skipped.sort(key=lambda skipped: skipped.place)
        raise none_left(found.skipped)
    whole = found.usable[0][3].text
    recipients = _priced(found, whole)
    return build_send(
        account,
        values,
        sender,
        schedule,
        extras,
        whole,
        recipients,
        found.skipped,
        (
            *warnings_of(*(composed for *_, composed in found.usable), unicode=unicode),
            *numbers.warnings_of_numbers(one.warnings for one in recipients),
        ),
        lowcost,
        unicode,
        answer=found.listed,
    )


def sent(outcome: Accepted, values: Values, settings: AccountSettings, xml: bool) -> Response:
    """The answer to an accepted bulk send: the sums, then each item in the order of the request."""
    command = outcome.command
    assert isinstance(command.answer, tuple)
    opted_out = {skipped.number for skipped in command.skipped if skipped.reason == "opted_out"}
    recipients = iter(command.recipients)
    listed: list[dict[str, object]] = []
    for reason, number in command.answer:
        if not reason and number in opted_out:
            reason = "opted_out"
        listed.append(_failed(reason, number, settings) if reason else _told(next(recipients)))
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
    usable: list[tuple[str, numbers.Number, int, Composed]] = []
    skipped: list[Skipped] = []
    unpriced: list[Skipped] = []  # stored behind the others
    answer: list[tuple[str, str]] = []
    is_wordless = False
    seen: set[tuple[str, str]] = set()
    one_part = lowcost and has_later_rules(settings)
    read_number = Numbers(prices(settings, lowcost), settings).read
    for place, fields in enumerate(listed):
        written = _written(fields)
        number = read_number(written)
        e164, reason = _judged(number, written, settings.home)
        composed = compose_text(fields.get("message", ""), values, settings, lowcost, unicode)
        is_wordless = is_wordless or (composed is not None and composed.parts == 0)
        if reason == "price_missing":  # what else is wrong with the item comes first
            reason = _text_reason(composed, one_part) or reason
        else:
            reason = reason or _text_reason(composed, one_part)
        key = e164, text(fields.get("message"))  # what two items have alike that are the same
        if reason in ("", "price_missing"):
            if key in seen:
                answer.append(("repeated", e164))
                continue
            seen.add(key)
        answer.append((reason, e164 or written if reason else e164))
        if not isinstance(number, Unreachable) and not reason:
            assert composed is not None
            usable.append((written, *number, composed))
        else:
            at_home = reason == "price_missing" and isinstance(number, Unreachable) and number.judged
            (unpriced if at_home else skipped).append(Skipped(written, reason, e164, place))
    return _Items(usable, skipped + unpriced, is_wordless, tuple(answer))


def _judged(number: tuple[numbers.Number, int] | Unreachable, written: str, home: str) -> tuple[str, str]:
    """The E.164 form of a number, as far as it has one, and why it gets nothing."""
    if not isinstance(number, Unreachable):
        return number[0].e164, ""
    if number.reason == "number_malformed":
        return "", number.reason
    return number.e164 or unplanned(written, home), number.reason


def _written(fields: dict[str, Any]) -> str:
    """The number of an item as it was written, fit to be stored and quoted: it may be anything."""
    return segments.clean(text(fields.get("phonenumber"))[:WRITTEN_MAX])


def _text_reason(composed: Composed | None, one_part: bool) -> str:
    if composed is not None and composed.parts == 0:
        return "text_missing"
    if one_part and (composed is None or composed.parts > 1):
        return "lowcost_too_long"
    return "text_too_long" if composed is None or composed.parts > PARTS_MAX else ""


def _violated(found: _Items) -> list[Violation]:
    """What is wrong with items in the list of a request that is refused anyway: texts first, and those once."""
    violations = [Violation("message", "required")] if found.is_wordless else []
    wrong = [item.written for item in found.skipped if item.reason == "number_malformed"]
    return [*violations, *(Violation("recipients", "invalid", written) for written in wrong)]


def _priced(found: _Items, whole: str) -> tuple[Recipient, ...]:
    """What each usable item costs."""
    return tuple(
        [
            Recipient(
                number.e164,
                composed.parts,
                composed.parts * price_micros,
                written,
                None if composed.text == whole else composed.text,
                number.warnings,
            )
            for written, number, price_micros, composed in found.usable
        ]
    )


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
