"""SMS Partner's /rcs/send: no carrier here speaks RCS, so the SMS that the request names for that case goes out."""

from __future__ import annotations

import json
from typing import Any, Final

from chappe.core import localtime
from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import Accepted, Account, AccountSettings, Moment, Send
from chappe.dialects.smspartner import send
from chappe.dialects.smspartner.render import CData, money, respond
from chappe.dialects.smspartner.request_parser import Values

# The fields that the SMS takes from the request, and the fields of its own.
_COMMON: Final = (
    *("phoneNumbers", "scheduledDeliveryDate", "time", "minute", "sandbox", "tag"),
    *("urlDlr", "urlResponse", "webhookUrl"),
)
_OWN: Final = {name.lower(): name for name in ("sender", "message", "isStopSms", "isUnicode")}


def read(values: Values, account: Account, moment: Moment) -> Send:
    """The SMS of `failover`. Raises Refusal access_denied where there is none, and what send.read() raises."""
    given = _failover(values.get("failover"))
    if given is None:
        raise Refusal("access_denied")  # as to an account of the provider that has not ordered RCS
    wanted: Values = {name: values[name] for name in _COMMON if name in values}
    for name, value in given.items():
        known = _OWN.get(name.lower())
        if known is not None and value not in (None, False, ""):
            wanted[known] = value
    return send.read("send", wanted, account, moment)


def sent(outcome: Accepted, values: Values, settings: AccountSettings, xml: bool) -> Response:
    """No RCS, and how many SMS in their place."""
    command = outcome.command
    body: dict[str, object] = {
        "success": True,
        "code": 200,
        "message_id": outcome.submission_id,
        "nb_rcs": 0,
        "cost": money(command.cost_micros),
        "currency": CData("EUR"),
        "nb_sms": command.parts,
    }
    if command.scheduled_at is not None:
        body["scheduledDeliveryDate"] = CData(localtime.written(command.scheduled_at))
    return respond(200, body, xml=xml)


def _failover(given: object) -> dict[str, Any] | None:
    """The object; in a query or a form it is JSON text. None where there is none."""
    if isinstance(given, str) and given.lstrip()[:1] == "{":
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    return given if isinstance(given, dict) and given else None
