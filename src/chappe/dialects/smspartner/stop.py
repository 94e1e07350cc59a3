"""SMS Partner's STOP list: reading it, adding a number, taking an entry off."""

from __future__ import annotations

import re
from typing import Final

from chappe.core import localtime, numbers
from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import (
    Account,
    AccountSettings,
    AddOptOut,
    Moment,
    OptOutAdded,
    OptOuts,
    ReadOptOuts,
    Removed,
    RemoveOptOut,
)
from chappe.dialects.smspartner.answers import told
from chappe.dialects.smspartner.endpoints import PAGES
from chappe.dialects.smspartner.refusals import Violation, Violations
from chappe.dialects.smspartner.render import CData, respond
from chappe.dialects.smspartner.request_parser import Values, text
from chappe.dialects.smspartner.send_options import written_numbers

_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch


def read_list(values: Values, account: Account, moment: Moment) -> ReadOptOuts:
    return ReadOptOuts(account)


def listed(outcome: OptOuts, values: Values, settings: AccountSettings, xml: bool) -> Response:
    data = [
        {"id": entry.id, "phoneNumber": CData(entry.number), "createdAt": CData(localtime.written(entry.at))}
        for entry in outcome.entries
    ]
    return respond(200, {"success": True, "code": 200, "nbData": len(data), "data": data}, xml=xml)


def read_add(values: Values, account: Account, moment: Moment) -> AddOptOut:
    """One number, under either of its names. Raises Refusal recipients_missing, Violations when it does not exist."""
    written = written_numbers(values.get("phoneNumber", values.get("phoneNumbers")), 1)
    if not written:
        raise Refusal("recipients_missing")
    number = numbers.read(written[0], account.settings.home)
    if len(written) > 1 or not isinstance(number, numbers.Number):
        raise Violations((Violation("recipients", "invalid", ",".join(written)),))
    return AddOptOut(account, number.e164)


def added(outcome: OptOutAdded, values: Values, settings: AccountSettings, xml: bool) -> Response:
    if outcome.known:
        return told(PAGES["stop-sms/add"]["known"], xml=xml, settings=settings)
    return respond(200, {"success": True, "code": 200, "stopId": outcome.id}, xml=xml)


def read_delete(values: Values, account: Account, moment: Moment) -> RemoveOptOut:
    """Raises Refusal not_found for what no entry has as its id, Violations when it is missing."""
    written = text(values.get("id"))
    if not written:
        raise Violations((Violation("id", "required"),))
    if not _ID(written):
        raise Refusal("not_found")
    return RemoveOptOut(account, int(written))


def deleted(outcome: Removed, values: Values, settings: AccountSettings, xml: bool) -> Response:
    if outcome.protected:
        return told(PAGES["stop-sms/delete"]["protected"], xml=xml, settings=settings)
    if not outcome.found:
        return told(PAGES["stop-sms/delete"]["not_found"], xml=xml, settings=settings)
    return respond(200, {"success": True, "code": 200}, xml=xml)
