"""SMS Partner v1, unchanged for its clients: /v1/send, /v1/vn/send, /v1/me, in JSON and XML, and its webhooks.

Any method on every path; query and body are one set of values; errors are answered in the provider's codes.
"""

from __future__ import annotations

from typing import Final

from chappe.core.errors import Refusal
from chappe.core.model import (
    Accepted,
    Account,
    AccountSettings,
    Balance,
    Command,
    Moment,
    Outcome,
    ReadBalance,
    Reply,
    Report,
)
from chappe.dialects import Call, Credentials, Request, Response, WebhookCall
from chappe.dialects import smspartner_answers as answers
from chappe.dialects import smspartner_send as send
from chappe.dialects import smspartner_values as request_values
from chappe.dialects import smspartner_webhooks as webhooks

NAME = "smspartner"
PREFIX: Final = "/v1/"
ROUTES: Final = frozenset(("send", "vn/send", "me"))
KEY_CHARACTERS_MAX: Final = 200

_DEFAULTS: Final = AccountSettings()


def matches(path: str) -> bool:
    """Everything below /v1/ is this dialect's, also what it does not know."""
    return path.startswith(PREFIX) or path == "/v1"


def open(request: Request) -> Call:
    """The request with its key. Raises Refusal not_found, unreadable, key_missing, key_unknown."""
    verb = _verb(request.path)
    if verb not in ROUTES:
        raise Refusal("not_found")
    values = request_values.read(request)
    key = request_values.text(values.get("apiKey"))
    if not key:
        raise Refusal("key_missing")
    if len(key) > KEY_CHARACTERS_MAX or not key.isprintable():
        raise Refusal("key_unknown")  # no account has such a key, and no database would take it
    return Call(Credentials(key), verb, request_values.format_of(values), values)


def read(call: Call, account: Account, moment: Moment) -> Command:
    """What is asked for. Raises Refusal."""
    if call.verb == "me":
        return ReadBalance(account)
    assert isinstance(call.values, dict)
    return send.read(call.verb, call.values, account, moment)


def write(outcome: Outcome, call: Call, account: Account | None = None) -> Response:
    """The answer to an outcome, in the form that the call wants."""
    xml = call.format == "xml"
    if isinstance(outcome, Balance):
        return answers.balance(outcome, xml=xml)
    assert isinstance(outcome, Accepted)
    return answers.sent(outcome, xml=xml)


def refuse(refusal: Refusal, request: Request, call: Call | None = None, account: Account | None = None) -> Response:
    """The answer to a refusal of any code; without a call the form is found in the request, as far as it goes."""
    wanted = request_values.wanted_format(request) if call is None else call.format
    date_written = ""
    if call is not None and isinstance(call.values, dict):
        date_written = request_values.text(call.values.get("scheduledDeliveryDate"))
    return answers.refused(
        refusal,
        xml=wanted == "xml",
        verb=_verb(request.path),
        date_written=date_written,
        settings=_DEFAULTS if account is None else account.settings,
    )


def tell(report: Report) -> WebhookCall:
    """A delivery report: POST of JSON to the target, whose query is kept as it is."""
    return webhooks.report(report)


def tell_reply(reply: Reply) -> tuple[WebhookCall, ...]:
    """A reply or a STOP: POST of JSON; a long reply on a long number is one call a part."""
    return webhooks.reply(reply)


def _verb(path: str) -> str:
    return path.removeprefix(PREFIX).rstrip("/")
