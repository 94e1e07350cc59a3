"""How the REST API of AllMySMS answers: 201 for sends, 200 for what is read, and for every refusal both `code` and
`description`, without which its clients break. Texts are English, as the provider's are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from chappe.core import localtime, pricing
from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import Accepted, Balance, MessagesFound, Outcome, Ready, Send, Simulated
from chappe.dialects import Call
from chappe.dialects.allmysms import flow, notes
from chappe.dialects.allmysms.answers import SCHEDULED, SENT, all_for, invalid_numbers, retry_after
from chappe.dialects.allmysms.methods import key_of
from chappe.dialects.allmysms.prices import HOME, price_at_home_micros
from chappe.dialects.allmysms.render import Row, Value, money, respond
from chappe.dialects.allmysms.send import is_yes
from chappe.dialects.allmysms.webhooks import acknowledged, delivery

ONE: Final = "sms/send"
BULK: Final = "sms/send/bulk"
VOICE: Final = "voice/send/bulk"
REPORT: Final = "report/campaign"
ACCOUNT: Final = "account"

# The names that a send reads, in lower case; `verbose` reports the others.
KEYS: Final = frozenset(
    (
        "login",
        "apikey",
        "to",
        "text",
        "from",
        "date",
        "campaignname",
        "climsgid",
        "simulate",
        "uniqueidentifier",
        "verbose",
    )
)

JSON: Final = "rest"
SUCCESS: Final = 100
SUCCESS_TEXT: Final = "Success"
SIMULATED_TEXT: Final = "Simulation done, no message has been sent"
# A simulated message has no id, but clients take an answer without one for a failure. RFC 9562, 5.9: the nil UUID.
NO_ID: Final = "00000000-0000-0000-0000-000000000000"
AFFORDABLE_MAX: Final = 2_147_483_647  # clients read 32 bits; what is free is affordable this often


class Error(NamedTuple):
    """One row of the refusal table: the code in the body, the HTTP status, the description."""

    code: int
    http: int
    text: str


_LOGIN: Final = Error(102, 401, "Invalid credentials: no account has this login and API key")
_CLOSED: Final = Error(102, 403, "The account is disabled")
_CONTENT: Final = Error(1005, 400, "body content is invalid")
_NO_TEXT: Final = Error(110, 400, "The text is empty")
_LONG: Final = Error(111, 400, "The text is longer than {limit} characters")
_NO_NUMBER: Final = Error(112, 400, "The recipient is missing")
_NONE_VALID: Final = Error(114, 400, "No valid phone number")
_DATE: Final = Error(115, 400, "The date is invalid: it is written YYYY-MM-DD HH:MM:SS")
_WINDOW: Final = Error(115, 400, "Commercial messages may not be sent at this date or hour")
_SENDER: Final = Error(116, 400, "Invalid sender")

# By the one reason for which nobody is left, where the numbers are good.
_NONE_LEFT: Final[Mapping[str, str]] = {
    "opted_out": f"{_NONE_VALID.text}: the recipient has opted out",
    "price_missing": "The phone number is valid, but this account has no price for its destination",
}

ERRORS: Final[Mapping[str, Error]] = {
    "unreadable": _CONTENT,
    "body_too_large": Error(413, 413, "The body is too large"),
    "key_missing": _LOGIN,
    "key_unknown": _LOGIN,
    "account_disabled": _CLOSED,
    "account_blocked": Error(102, 403, "The account is blocked"),
    "access_denied": Error(102, 403, "The account has no access to the API"),
    "address_refused": Error(102, 403, "The account may not be used from this address"),
    "recipients_missing": _NO_NUMBER,
    "recipients_too_many": Error(112, 400, "Too many recipients"),
    "recipients_unusable": _NONE_VALID,
    "price_missing": _NONE_VALID,
    "text_missing": _NO_TEXT,
    "text_absent": _NO_TEXT,
    "text_too_long": _LONG,
    "sender_invalid": _SENDER,
    "sender_refused": _SENDER,
    "date_invalid": _DATE,
    "window_hour": _WINDOW,
    "window_day": _WINDOW,
    "credit_none": Error(103, 400, "No credit left"),
    "credit_short": Error(104, 400, "Not enough credit: {needed} EUR needed, {left} EUR available"),
    "flow_empty": _CONTENT,
    "flow_invalid": _CONTENT,
    "client_empty": _CONTENT,
    "client_wrong": _CONTENT,
    "recipient_absent": Error(112, 400, "A recipient has no number"),
    "link_too_long": Error(117, 400, "The link is longer than 80 characters"),
    "list_unknown": Error(112, 400, "The list does not exist"),
    "master_unknown": Error(118, 400, "The master account does not exist"),
    "repeated": Error(121, 400, "Request already transmitted"),
    "not_found": Error(404, 404, "Not found"),
    "too_many_requests": Error(429, 429, "Too many requests"),
    "number_limit": Error(429, 429, "Safety limit: too many messages to one number within an hour"),
    "country_limit": Error(429, 429, "Safety limit: too many messages to one country within a day"),
    "spend_limit": Error(429, 429, "Safety limit: the most that may be spent within an hour or a day is reached"),
    "sandbox_limit": Error(429, 429, "Safety limit: too many sandbox messages within a day"),
    "contact_limit": Error(429, 429, "Safety limit: too many lists or contacts"),
    "sub_accounts_denied": Error(403, 403, "Sub-accounts are not authorised for this account"),
    "sub_account_limit": Error(429, 429, "Safety limit: too many sub-accounts"),
    "known": Error(409, 409, "There is one of that name already"),
    "locked": Error(409, 409, "The list is locked"),
    "opt_out_limit": Error(429, 429, "Safety limit: too many opt-outs within a day"),
    "queue_failed": Error(500, 500, "Internal error"),
}


def write(outcome: Outcome, call: Call) -> Response:
    """The answer to an outcome of what the REST API asks for. Raises Refusal not_found: no such campaign."""
    return _WRITERS[type(outcome)](outcome, call)


def refused(refusal: Refusal) -> Response:
    """The answer to any refusal. Total."""
    error = ERRORS[refusal.code]
    text = error.text
    if "{" in text:
        text = text.format(
            limit=refusal.values.get("limit", "the allowed number of"),
            needed=pricing.json_number(refusal.values.get("needed_micros", 0)),
            left=pricing.json_number(refusal.values.get("balance_micros", 0)),
        )
    elif error is _NONE_VALID:
        text = _NONE_LEFT.get(all_for(refusal), text)
    elif error is _CONTENT and "tag" in refusal.values:
        text = f"{text}: {refusal.values['tag']}"
    headers = retry_after(refusal)
    if error.http == 401:
        headers += (("WWW-Authenticate", 'Basic realm="sms", charset="UTF-8"'),)  # RFC 9110, 11.6.1
    return respond({"code": error.code, "description": text}, JSON, error.http, headers)


def pong() -> Response:
    """The answer to a ping."""
    return respond({"code": SUCCESS, "description": "pong"}, JSON)


def _accepted(outcome: Accepted, call: Call) -> Response:
    fields = _sent(
        outcome.command,
        call.verb,
        str(outcome.submission_id),
        outcome.public_ids,
        outcome.balance_micros,
        held=outcome.held,
    )
    return respond(fields | _warnings(outcome.command, call), JSON, 201)


def _simulated(outcome: Simulated, call: Call) -> Response:
    ids = (NO_ID,) * len(outcome.command.recipients)
    fields = _sent(outcome.command, call.verb, "", ids, outcome.balance_micros)
    told = {"description": SIMULATED_TEXT, "simulate": 1, **_warnings(outcome.command, call)}
    return respond(fields | told, JSON, 201)


def _warnings(command: Send, call: Call) -> dict[str, Value]:
    """The notes on what differs from the request, if the request asks for them."""
    assert isinstance(call.values, dict)
    if not is_yes(flow.scalar(call.values.get("verbose")) or ""):
        return {}
    return {"warnings": notes.of_send(command, sorted(call.values.keys() - KEYS), "en")}


def _sent(
    command: Send, verb: str, campaign: str, public_ids: tuple[str, ...], balance_micros: int, *, held: bool = False
) -> dict[str, Value]:
    scheduled = held or command.scheduled_at is not None
    fields: dict[str, Value] = {
        "code": SCHEDULED if scheduled else SENT,
        "description": "Your messages have been scheduled" if scheduled else "Your messages have been sent",
    }
    contacts, parts = len(command.recipients), command.parts
    balance, cost = money(balance_micros), money(command.cost_micros)
    if verb == ONE:
        fields |= {
            "smsId": public_ids[0],
            "invalidNumbers": invalid_numbers(command),
            "nbContacts": contacts,
            "nbSms": parts,
            "balance": balance,
            "cost": cost,
        }
    else:
        fields |= {
            "invalidNumbers": invalid_numbers(command),
            "campaignId": campaign,
            "smsIds": [
                {"smsId": public_id, "phoneNumber": recipient.number[1:]}
                for recipient, public_id in zip(command.recipients, public_ids, strict=True)
            ],
            "nbContacts": contacts,
            "nbSms": parts,
            "cost": cost,
            "balance": balance,
        }
    if command.client_reference:
        fields["cliMsgId"] = command.client_reference
    return fields


def _report(outcome: MessagesFound, call: Call) -> Response:
    found = outcome.groups[0] if outcome.groups else None
    if found is None:
        raise Refusal("not_found")
    reports: list[Row] = []
    for status in acknowledged(found):
        code, description = delivery(status.state, status.reason)
        reports.append(
            {
                "phoneNumber": status.recipient.removeprefix("+"),
                "code": code,
                "description": description,
                "receptionDate": localtime.written(status.at),
            }
        )
    return respond({"code": SUCCESS, "description": SUCCESS_TEXT, "reports": reports}, JSON)


def _account(outcome: Balance, call: Call) -> Response:
    settings = outcome.account.settings
    return respond(
        {
            "code": SUCCESS,
            "description": SUCCESS_TEXT,
            "balance": money(outcome.balance_micros),
            "nbSms": _affordable(outcome.balance_micros, price_at_home_micros(settings)),
            "referenceCountryIso": HOME,
            "apiKey": key_of(call, outcome.account),
            "lastName": settings.lastname,
            "firstName": settings.firstname,
            "company": settings.company,
            "email": settings.email,
            "alerting": 0,
        },
        JSON,
    )


def _affordable(balance_micros: int, price_micros: int | None) -> int:
    if price_micros is None:
        return 0
    return min(pricing.affordable(balance_micros, price_micros), AFFORDABLE_MAX) if price_micros else AFFORDABLE_MAX


def _voice(outcome: Ready, call: Call) -> Response:
    return respond({"code": 501, "description": "Voice is not available on this server"}, JSON, 501)


_WRITERS: Final[Mapping[type, Callable[[Any, Call], Response]]] = {
    Accepted: _accepted,
    Simulated: _simulated,
    MessagesFound: _report,
    Balance: _account,
    Ready: _voice,
}
