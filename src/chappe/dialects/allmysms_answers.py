"""How AllMySMS answers: its status table, its replies as JSON and XML, and its webhook for receipts."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quoted
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from chappe.core import pricing
from chappe.core.errors import Refusal, Violations
from chappe.core.model import Accepted, Report
from chappe.dialects import Response, WebhookCall
from chappe.dialects.xmlflow import escape

PARIS: Final = ZoneInfo("Europe/Paris")  # the provider's clock

SENT: Final = 100
SCHEDULED: Final = 101
SOME_INVALID: Final = 113

# Every text names "XML" for JSON flows too, as the provider does.
_FRENCH: Final[dict[str, str]] = {
    "sent": "Le message a été envoyé",
    "scheduled": "Le message a été programmé pour un envoi différé",
    "login": "Problème de connexion – Aucun compte ne correspond aux clientcode et passcode spécifiés",
    "credit_none": "Crédit SMS épuisé. Veuillez re-créditer votre compte sur AllMySMS.com",
    "credit_short": "Crédit insuffisant pour traiter cet envoi. A utiliser: {needed} Crédits, "
    "Disponibles: {left} Crédits. Veuillez re-créditer votre compte sur AllMySMS.com",
    "flow_empty": "Flux XML Vide",
    "incomplete": "Flux XML invalide ou incomplet après la balise <{tag}>",
    "client_wrong": "Le code CLIENT donné dans le flux XML est incorrect, "
    "il doit correspondre au clientcode en majuscule",
    "message_empty": "Message non défini (vide) dans le flux XML",
    "message_long": "Le message dépasse {limit} caractères",
    "some_invalid": "Certains numéros de téléphone sont invalides ou non pris en charge",
    "none_valid": "Aucun numéro de téléphone valide dans le flux. Veuillez-vous référer à la documentation "
    "en ligne pour connaitre les formats valides.",
    "date": "Flux XML invalide ou date mal formatée entre les balises <DATE> et </DATE>",
    "window": "Envoi commercial non autorisé à cette date ou à cette heure",
    "link": "Balise <URL> – Lien trop long, dépasse les 80 caractères",
    "master": "Le compte maître spécifié n’existe pas",
}
_ENGLISH: Final[dict[str, str]] = {
    "sent": "Your messages have been sent",
    "scheduled": "Your messages have been scheduled",
    "login": "Connection problem: no account has this clientcode and passcode",
    "credit_none": "No SMS credit left. Please add credit to your account",
    "credit_short": "Not enough credit for this send. Needed: {needed} credits, available: {left} credits. "
    "Please add credit to your account",
    "flow_empty": "The XML flow is empty",
    "incomplete": "The XML flow is invalid or incomplete after the tag <{tag}>",
    "client_wrong": "The CLIENT code in the XML flow is wrong: it must be the clientcode in upper case",
    "message_empty": "The message in the XML flow is empty",
    "message_long": "The message is longer than {limit} characters",
    "some_invalid": "Some phone numbers are invalid or not supported",
    "none_valid": "No valid phone number in the flow. See the online documentation for the accepted formats.",
    "date": "The XML flow is invalid or the date between <DATE> and </DATE> is badly formatted",
    "window": "Commercial messages may not be sent at this date or hour",
    "link": "Tag <URL>: the link is too long, over 80 characters",
    "master": "The master account given does not exist",
}
TEXTS: Final = {"fr": _FRENCH, "en": _ENGLISH}
LANGUAGE_DEFAULT: Final = "fr"


class Status(NamedTuple):
    """One row of the refusal table: the status in the reply, its text's key (or the text itself), the HTTP status."""

    number: int
    text: str
    http: int = 200
    tag: str = ""


# Contract of the provider's page, "tabla de estado"; what it has no number for (404, 413, 429, 500) is HTTP's.
REFUSED: Final[dict[str, Status]] = {
    "unreadable": Status(106, "incomplete", tag="DATA"),
    "body_too_large": Status(413, "Request too large", 413),
    "key_missing": Status(102, "login"),
    "key_unknown": Status(102, "login"),
    "account_disabled": Status(102, "login"),
    "account_blocked": Status(102, "login"),
    "access_denied": Status(102, "login"),
    "address_refused": Status(102, "login"),
    "recipients_missing": Status(112, "incomplete", tag="SMS"),
    "recipients_too_many": Status(413, "Too many recipients", 413),
    "recipients_unusable": Status(114, "none_valid"),
    "price_missing": Status(114, "none_valid"),
    "violations": Status(106, "incomplete", tag="DATA"),
    "text_missing": Status(110, "message_empty"),
    "text_absent": Status(109, "incomplete", tag="MESSAGE"),
    "text_too_long": Status(111, "message_long"),
    "lowcost_too_long": Status(111, "message_long"),
    "lowcost_unavailable": Status(106, "incomplete", tag="DATA"),
    "sender_missing": Status(116, "incomplete", tag="TPOA"),
    "sender_invalid": Status(116, "incomplete", tag="TPOA"),
    "sender_refused": Status(116, "incomplete", tag="TPOA"),
    "time_invalid": Status(115, "date"),
    "minute_invalid": Status(115, "date"),
    "minute_step": Status(115, "date"),
    "date_invalid": Status(115, "date"),
    "window_hour": Status(115, "window"),
    "window_day": Status(115, "window"),
    "unicode_unavailable": Status(109, "incomplete", tag="MESSAGE"),
    "credit_none": Status(103, "credit_none"),
    "credit_short": Status(104, "credit_short"),
    "flow_empty": Status(105, "flow_empty"),
    "flow_invalid": Status(106, "incomplete", tag="DATA"),
    "client_empty": Status(107, "incomplete", tag="CLIENT"),
    "client_wrong": Status(108, "client_wrong"),
    "recipient_absent": Status(112, "incomplete", tag="MOBILEPHONE"),
    "link_too_long": Status(117, "link"),
    "master_unknown": Status(118, "master"),
    "not_found": Status(404, "Unknown method", 404),
    "too_many_requests": Status(429, "Too many requests", 429),
    "queue_failed": Status(500, "Internal error", 500),
}

# Several broken fields at once is another provider's notion: the first one is told.
_VIOLATED: Final[dict[str, str]] = {
    "message": "text_missing",
    "recipients": "recipients_missing",
    "sender": "sender_invalid",
    "date": "date_invalid",
    "time": "time_invalid",
    "minute": "minute_invalid",
}

# Delivery states that clients know, and the words that go with them (contract 8.2).
_DELIVERED, _NOT_DELIVERED, _WAITING, _REFUSED, _REJECTED = (
    ("1", "Delivered"),
    ("2", "Not delivered"),
    ("3", "Waiting"),
    ("4", "Refused"),
    ("5", "Rejected"),
)
DELIVERY: Final[dict[str, tuple[str, str]]] = {
    "scheduled": _WAITING,
    "held": _WAITING,
    "queued": _WAITING,
    "submitting": _WAITING,
    "submitted": _WAITING,
    "uncertain": _WAITING,
    "delivered": _DELIVERED,
    "undelivered": _NOT_DELIVERED,
    "expired": _NOT_DELIVERED,
    "no_receipt": _NOT_DELIVERED,
    "rejected": _REFUSED,
    "failed": _REFUSED,
    "suppressed": _REFUSED,
    "cancelled": _REFUSED,
}
_NOBODY_THERE: Final = ("unknown", "absent")  # in reasons: unknown number, absent subscriber


def accepted(outcome: Accepted, form: str) -> Response:
    """The reply to a send that was accepted: status 100, 101 when deferred, 113 when some numbers were left out."""
    command = outcome.command
    texts = TEXTS.get(command.account.settings.message_language, _FRENCH)
    if command.skipped:
        status, status_text = SOME_INVALID, texts["some_invalid"]
    elif command.scheduled_at is not None:
        status, status_text = SCHEDULED, texts["scheduled"]
    else:
        status, status_text = SENT, texts["sent"]
    assert len(outcome.public_ids) == len(command.recipients)
    ids = [(r.number.removeprefix("+"), i) for r, i in zip(command.recipients, outcome.public_ids, strict=True)]
    fields = (
        ("invalidNumbers", ";".join([skipped.written for skipped in command.skipped])),
        ("campaignId", str(outcome.submission_id)),
        ("credits", str(max(0, pricing.credits_of(outcome.balance_micros)))),
        ("creditsUsed", str(_credits_needed(command.cost_micros))),
        ("nbContacts", str(len(command.recipients))),
        ("nbSms", str(command.parts)),
    )
    balance = pricing.json_number(outcome.balance_micros)
    reference = command.client_reference
    if form == "xml":
        items = [f"<item><phoneNumber>{n}</phoneNumber><smsId>{i}</smsId></item>" for n, i in ids]
        inner = "".join([f"<{name}>{escape(value)}</{name}>" for name, value in fields])
        tail = f"<cliMsgId>{escape(reference)}</cliMsgId>" if reference else ""
        return _xml(
            200, status, status_text, f"{inner}<smsIds>{''.join(items)}</smsIds><balance>{balance}</balance>{tail}"
        )
    objects = [f'{{"phoneNumber":"{n}","smsId":"{i}"}}' for n, i in ids]
    inner = "".join([f',"{name}":{quoted(value)}' for name, value in fields])
    tail = f',"cliMsgId":{quoted(reference)}' if reference else ""
    return _json(200, status, status_text, f'{inner},"smsIds":[{",".join(objects)}],"balance":{balance}{tail}')


def refused(refusal: Refusal, form: str, language: str, characters_max: int) -> Response:
    """The reply to a refusal: status and statusText only, HTTP 200 unless the table says otherwise. Total."""
    code = refusal.code
    if isinstance(refusal, Violations) and refusal.items:
        first = refusal.items[0]
        code = _VIOLATED.get(first.field, code)
        if code == "text_missing" and first.rule == "too_long":
            code = "text_too_long"
    row = REFUSED[code]
    text = TEXTS.get(language, _FRENCH).get(row.text, row.text)
    if "{" in text:
        text = text.format(
            tag=refusal.values.get("tag", row.tag),
            limit=refusal.values.get("limit", characters_max),
            needed=_credits_needed(refusal.values.get("needed_micros", 0)),
            left=max(0, pricing.credits_of(refusal.values.get("balance_micros", 0))),
        )
    return (_xml if form == "xml" else _json)(row.http, row.number, text, "")


def webhook(report: Report) -> WebhookCall:
    """A receipt in the provider's names: GET with a query added to the target's own, or POST with a form."""
    status, status_text = DELIVERY[report.state]
    if report.state == "rejected" and any(word in report.reason for word in _NOBODY_THERE):
        status, status_text = _REJECTED
    fields = [
        ("smsId", report.public_id),
        ("receptionDate", report.at.astimezone(PARIS).strftime("%Y-%m-%d %H:%M:%S")),
        ("phoneNumber", report.recipient.removeprefix("+")),
        ("campaignId", str(report.submission_id)),
        ("status", status),
        ("statusText", status_text),
    ]
    if report.client_reference:
        fields.append(("cliMsgId", report.client_reference))
    encoded = urlencode(fields, quote_via=quote, safe="", errors="replace")
    if report.method.upper() == "POST":
        return WebhookCall("POST", report.target, "application/x-www-form-urlencoded", encoded.encode())
    target, hash_, fragment = report.target.partition("#")
    joint = "" if target.endswith(("?", "&")) else "&" if "?" in target else "?"
    return WebhookCall("GET", f"{target}{joint}{encoded}{hash_}{fragment}")


def _credits_needed(cost_micros: int) -> int:
    """Credits that pay for a cost: rounded up, so that nobody is told to need what he has."""
    return -pricing.credits_of(-cost_micros)


def _json(http: int, status: int, status_text: str, inner: str) -> Response:
    body = f'{{"status":{status},"statusText":{quoted(status_text)}{inner}}}'
    return Response(http, "application/json", body.encode("ascii"))


def _xml(http: int, status: int, status_text: str, inner: str) -> Response:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<response><status>{status}</status><statusText>{escape(status_text)}</statusText>{inner}</response>"
    )
    return Response(http, "text/xml; charset=utf-8", body.encode())
