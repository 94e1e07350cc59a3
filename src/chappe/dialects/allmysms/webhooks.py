"""What AllMySMS tells its customers unasked: receipts and replies, as flat fields; and its words for delivery."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from chappe.core import localtime
from chappe.core.model import MessageStatus, Reply, Report
from chappe.dialects import WebhookCall

FORM_TYPE: Final = "application/x-www-form-urlencoded"

# Delivery states that clients know, and the words that go with them (contract 8.2).
_DELIVERED, _NOT_DELIVERED, _WAITING, _REFUSED, _REJECTED = (
    (1, "Delivered"),
    (2, "Not delivered"),
    (3, "Waiting"),
    (4, "Refused"),
    (5, "Rejected"),
)
DELIVERY: Final[dict[str, tuple[int, str]]] = {
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
# Reasons of a rejection that mean "probably an unknown number, or an absent subscriber": customers delete the contact.
# Words of ours only: SMPP 3.4, 5.1.3 (0x0B), and what the carrier's own table of receipt errors says. A bare code of a
# receipt means nothing here: 006 is an absent subscriber on one carrier and spam on the next.
_NOBODY_THERE: Final = frozenset({"unknown_subscriber", "absent_subscriber", "rinvdstadr"})
_NO_NUMBER: Final = frozenset({"number_malformed", "number_invalid", "number_not_mobile"})


def delivery(state: str, reason: str) -> tuple[int, str]:
    """The provider's number and word for a state of ours, and why it came to that."""
    if state == "rejected" and reason in _NOBODY_THERE:
        return _REJECTED
    return DELIVERY[state]


def acknowledged(found: Iterable[MessageStatus]) -> list[MessageStatus]:
    """Those messages of a campaign that have a receipt.

    What was given as a number and is none was told as such when it was sent; it has no smsId, and clients that look up
    the number of a receipt among those would not find it.
    """
    return [status for status in found if status.reason not in _NO_NUMBER]


def receipt(report: Report) -> WebhookCall:
    """A receipt in the provider's names: GET with a query added to the target's own, or POST with a form."""
    status, status_text = delivery(report.state, report.reason)
    fields = [
        ("smsId", report.public_id),
        ("receptionDate", localtime.written(report.at)),
        ("phoneNumber", report.recipient.removeprefix("+")),
        ("campaignId", str(report.submission_id)),
        ("status", str(status)),
        ("statusText", status_text),
    ]
    if report.client_reference:
        fields.append(("cliMsgId", report.client_reference))
    return _call(report.target, report.method, fields)


def reply(event: Reply) -> WebhookCall:
    """A subscriber's reply, whole; a STOP is a reply like others. What it answers is empty where that is unknown."""
    fields = [
        ("smsMoId", str(event.id)),
        ("smsId", event.public_id),
        ("receptionDate", localtime.written(event.at)),
        ("phoneNumber", event.number.removeprefix("+")),
        ("campaignId", "" if event.submission_id is None else str(event.submission_id)),
        ("message", event.text),
    ]
    if event.client_reference:
        fields.append(("cliMsgId", event.client_reference))
    return _call(event.target, event.method, fields)


def _call(target: str, method: str, fields: Sequence[tuple[str, str]]) -> WebhookCall:
    encoded = urlencode(fields, quote_via=quote, safe="", errors="replace")
    if method.upper() == "POST":
        return WebhookCall("POST", target, FORM_TYPE, encoded.encode())
    target, hash_, fragment = target.partition("#")
    joint = "" if target.endswith(("?", "&")) else "&" if "?" in target else "?"
    return WebhookCall("GET", f"{target}{joint}{encoded}{hash_}{fragment}")
