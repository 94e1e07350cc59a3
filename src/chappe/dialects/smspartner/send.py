"""From the values of an SMS Partner send to the command: every rule of the provider, in the order in which it checks.

The order: recipients present and not too many; then all violated constraints at once (code 9); then single rules, the
first one that is broken; then number by number.
"""

from __future__ import annotations

import msgspec

from chappe.core import numbers
from chappe.core.compose import Composed, warnings_of
from chappe.core.errors import Refusal
from chappe.core.model import RECIPIENTS_MAX, Account, AccountSettings, Moment, Recipient, Send, Skipped
from chappe.core.pricelist import PriceList
from chappe.dialects.recipients import Numbers, Unreachable, none_left
from chappe.dialects.smspartner import schedule as smspartner_schedule
from chappe.dialects.smspartner.refusals import SmsPartnerRefusal, Violation, Violations
from chappe.dialects.smspartner.request_parser import Values, flag, text
from chappe.dialects.smspartner.send_options import (
    PARTS_MAX,
    build_send,
    compose_text,
    has_later_rules,
    named_sender,
    prices,
    read_extras,
    unplanned,
    virtual_sender,
    written_numbers,
)


class _Recipients(msgspec.Struct):
    usable: list[tuple[str, numbers.Number, int]]  # as written, the number, the price of a part
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
    recipients = _recipients(written, prices(settings, lowcost), settings)
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
    priced = _priced(recipients, composed.parts)
    return build_send(
        account,
        values,
        sender,
        schedule,
        extras,
        composed.text,
        priced,
        recipients.skipped,
        (
            *(warnings_of(composed, unicode=unicode) if composed.lost else ()),
            *numbers.warnings_of_numbers([one.warnings for one in priced if one.warnings]),
        ),
        lowcost,
        unicode,
        virtual,
    )


def _recipients(written: list[str], served: PriceList, settings: AccountSettings) -> _Recipients:
    """Each number once: those that an SMS can reach, those that it cannot, and what is no number at all."""
    found = _Recipients([], [], [])
    unpriced: list[Skipped] = []  # told last
    seen: set[str] = set()
    home = settings.home
    read = Numbers(served, settings).read
    for piece in written:
        number = read(piece)
        if not isinstance(number, Unreachable):
            e164 = number[0].e164
            if e164 not in seen:
                seen.add(e164)
                found.usable.append((piece, *number))
        elif number.reason == "number_malformed":
            found.violations.append(Violation("recipients", "invalid", piece))
        else:
            e164 = number.e164 or unplanned(piece, home)
            if e164 not in seen:
                seen.add(e164)
                at_home = number.reason == "price_missing" and number.judged
                (unpriced if at_home else found.skipped).append(Skipped(piece, number.reason, e164))
    found.skipped.extend(unpriced)
    return found


def _priced(recipients: _Recipients, parts: int) -> tuple[Recipient, ...]:
    """Those who get the message and what each costs. Raises Refusal when nobody is left."""
    if not recipients.usable:
        raise none_left(recipients.skipped)
    return tuple(
        [
            Recipient(number.e164, parts, parts * price_micros, piece, None, number.warnings)
            for piece, number, price_micros in recipients.usable
        ]
    )


def _check_length(composed: Composed | None, settings: AccountSettings, lowcost: bool, unicode: bool) -> None:
    """Codes 42, 51, 40 and 52, in this order."""
    if lowcost and has_later_rules(settings) and (composed is None or composed.parts > 1):
        raise SmsPartnerRefusal("lowcost_too_long")
    if lowcost and not settings.lowcost_enabled:
        raise SmsPartnerRefusal("lowcost_unavailable")
    if unicode and not settings.unicode_enabled:
        raise SmsPartnerRefusal("unicode_unavailable")
    if composed is None or composed.parts > PARTS_MAX:
        raise SmsPartnerRefusal("text_too_long")
