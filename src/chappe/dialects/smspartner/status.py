"""SMS Partner's questions about messages, by id or by tag, and taking one back: /message-cancel and the status calls.

The keys and types of each page are its own (`statut` and `status`, `stopSms` and `stopSMS`, ids as number and as text):
clients depend on them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from chappe.core import localtime, numbers, segments
from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import (
    Account,
    AccountSettings,
    Cancel,
    Cancelled,
    MessagesFound,
    MessageStatus,
    Moment,
    ReadMessages,
    ReadTagged,
    Selector,
)
from chappe.dialects.smspartner.answers import told
from chappe.dialects.smspartner.endpoints import PAGES
from chappe.dialects.smspartner.error_catalogue import WRITTEN_MAX
from chappe.dialects.smspartner.refusals import Violation, Violations
from chappe.dialects.smspartner.render import CData, money, respond
from chappe.dialects.smspartner.request_parser import Values, items, text
from chappe.dialects.smspartner.send_options import TAG_CHARACTERS_MAX, e164
from chappe.dialects.smspartner.webhooks import STATE_WORDS

ITEMS_MAX: Final = 500
ROWS_A_PAGE: Final = 500
PAGE_MAX: Final = 1_000_000
ID_MAX: Final = (1 << 47) - 1  # so that the ids of its messages fit the database

_WHOLE: Final = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch
_WORDS: Final = {
    "capital": {state: "ko" if word == "ko" else word.capitalize() for state, word in STATE_WORDS.items()},
    "lower": STATE_WORDS,
    "upper": {state: word.upper() for state, word in STATE_WORDS.items()},
}
_NOT_FOUND: Final = ("Numéro introuvable", "Number not found")


class _Asked(NamedTuple):
    """One item of /multi-status: as it was written, and what to look up, if it can be looked up."""

    number: str
    submission_id: int
    selector: Selector | None


def read_cancel(values: Values, account: Account, moment: Moment) -> Cancel:
    """Take back a submission. Raises Refusal."""
    return Cancel(account, _submission_id(values))


def cancelled(outcome: Cancelled, values: Values, settings: AccountSettings, xml: bool) -> Response:
    if outcome.result != "cancelled":
        return told(PAGES["message-cancel"][outcome.result], xml=xml, settings=settings)
    english = settings.message_language == "en"
    sentence = "The SMS sending has been canceled." if english else "L'envoi du SMS a été annulé."
    return respond(200, {"success": True, "code": 200, "message": CData(sentence)}, xml=xml)


def read_one(values: Values, account: Account, moment: Moment) -> ReadMessages:
    """/message-status: the message of one submission to one number. Raises Refusal."""
    written = text(values.get("phoneNumber"))
    if not written:
        raise Refusal("recipients_missing")
    submission_id = _submission_id(values)
    number = e164(written, account.settings.home)
    if not number:
        raise Violations((Violation("recipients", "invalid", written),))
    return ReadMessages(account, (Selector(submission_id, number),))


def one(outcome: MessagesFound, values: Values, settings: AccountSettings, xml: bool) -> Response:
    messages = outcome.groups[0]
    if not messages:
        return _unknown("message-status", settings, xml=xml)
    message = messages[0]  # those that were never sent come last
    body = {
        "success": True,
        "code": 200,
        "number": CData(message.recipient),
        "messageId": CData(message.submission_id),
        "stopSms": message.opted_out,
        "date": _date(message, settings),
        "statut": CData(_WORDS[settings.status_words][message.state]),
        "cost": money(message.cost_micros),
        "countryCode": CData(_region(message.recipient)),
        "currency": CData("EUR"),
    }
    return respond(200, body, xml=xml)


def read_many(values: Values, account: Account, moment: Moment) -> ReadMessages:
    """/multi-status: messages of several submissions. Raises Refusal."""
    return ReadMessages(
        account, tuple(asked.selector for asked in _asked(values, account.settings.home) if asked.selector is not None)
    )


def many(outcome: MessagesFound, values: Values, settings: AccountSettings, xml: bool) -> Response:
    groups = iter(outcome.groups)
    listed: list[dict[str, object]] = []
    for asked in _asked(values, settings.home):
        found = None if asked.selector is None else next(groups)
        if not found:
            sentence = _NOT_FOUND[settings.message_language == "en"]
            listed.append(
                {
                    "success": False,
                    "code": 4,
                    "phoneNumber": CData(asked.number[:WRITTEN_MAX]),
                    "messageId": asked.submission_id,
                    "status": sentence,
                }
            )
            continue
        message = found[0]
        listed.append(
            {
                "success": True,
                "code": 200,
                "phoneNumber": CData(message.recipient),
                "messageId": message.submission_id,
                "status": CData(_WORDS[settings.status_words][message.state]),
                "date": _date(message, settings),
                "stopSms": CData("1" if message.opted_out else "0"),
                "isSpam": CData("0"),
            }
        )
    return respond(200, {"success": True, "code": 200, "StatutResponse_List": listed}, xml=xml)


def read_submission(values: Values, account: Account, moment: Moment) -> ReadMessages:
    """/bulk-status: all messages of one submission. Raises Refusal."""
    return ReadMessages(account, (Selector(_submission_id(values)),))


def submission(outcome: MessagesFound, values: Values, settings: AccountSettings, xml: bool) -> Response:
    messages = outcome.groups[0]
    if messages is None:
        return _unknown("bulk-status", settings, xml=xml)
    body = {
        "success": True,
        "code": 200,
        "message_id": CData(_submission_id(values)),
        "StatutResponse_List": _rows(messages, settings, xml=xml),
    }
    return respond(200, body, xml=xml)


def read_tagged(values: Values, account: Account, moment: Moment) -> ReadTagged:
    """/bulk-status-by-tag: one page of all messages with a tag. Raises Refusal."""
    tag = segments.clean(text(values.get("tag")))
    if not tag:
        raise Violations((Violation("tag", "required"),))
    if len(tag) > TAG_CHARACTERS_MAX:
        if not account.settings.tag_cut:
            raise Refusal("not_found")  # no send could have had it
        tag = tag[:TAG_CHARACTERS_MAX]
    return ReadTagged(account, tag, _page(values), ROWS_A_PAGE)


def tagged(outcome: MessagesFound, values: Values, settings: AccountSettings, xml: bool) -> Response:
    messages = [message for group in outcome.groups for message in group or ()]
    if not messages and not outcome.total:
        return _unknown("bulk-status-by-tag", settings, xml=xml)
    body = {
        "success": True,
        "code": 200,
        "currentPage": _page(values),
        "total": outcome.total,
        "StatutResponse_List": _rows(messages, settings, xml=xml),
    }
    return respond(200, body, xml=xml)


def _submission_id(values: Values) -> int:
    """Raises Refusal not_found for what no submission has as its id, Violations when it is missing."""
    written = text(values.get("messageId"))
    if not written:
        raise Violations((Violation("message_id", "required"),))
    submission_id = _id(written)
    if not submission_id:
        raise Refusal("not_found")
    return submission_id


def _id(written: str) -> int:
    """A submission's id, 0 when it is none."""
    found = int(written) if _WHOLE(written) else 0
    return found if found <= ID_MAX else 0


def _page(values: Values) -> int:
    written = text(values.get("page")) or "1"
    page = int(written) if _WHOLE(written) else 0
    if not 1 <= page <= PAGE_MAX:
        raise Violations((Violation("page", "invalid", written),))
    return page


def _asked(values: Values, home: str) -> list[_Asked]:
    """Raises Refusal recipients_missing, recipients_too_many; Violations when it is no list of objects."""
    value = values.get("SMSStatut_List", values.get("SMSStatus_List"))
    if value is None:
        raise Refusal("recipients_missing")
    listed = items(value)
    if listed is None:
        raise Violations((Violation("list", "invalid"),))
    if not listed:
        raise Refusal("recipients_missing")
    if len(listed) > ITEMS_MAX:
        raise Refusal("recipients_too_many", limit=ITEMS_MAX)
    found = []
    for fields in listed:
        written = text(fields.get("phonenumber"))
        submission_id = _id(text(fields.get("messageid")))
        number = e164(written, home) if submission_id else ""
        selector = Selector(submission_id, number) if number else None
        found.append(_Asked(number or written, submission_id, selector))
    return found


def _rows(messages: Sequence[MessageStatus], settings: AccountSettings, *, xml: bool) -> list[dict[str, object]]:
    rows = []
    for message in messages:
        row: dict[str, object] = {
            "phoneNumber": CData(message.recipient),
            "status": CData(_WORDS[settings.status_words][message.state]),
            "stopSMS": message.opted_out,
            "date": _date(message, settings),
        }
        if not xml:
            row["cost"] = money(message.cost_micros)  # looked for by clients, in no documentation
        rows.append(row)
    return rows


def _date(message: MessageStatus, settings: AccountSettings) -> CData:
    """When it came to its state: seconds since 1970 as text, or local time where the account wants that."""
    return CData(localtime.written(message.at) if settings.status_date_as_text else int(message.at.timestamp()))


def _region(e164: str) -> str:
    """The country as two letters, empty for numbers of none."""
    number = numbers.read(e164)
    return number.region if isinstance(number, numbers.Number) and number.region.isalpha() else ""


def _unknown(page: str, settings: AccountSettings, *, xml: bool) -> Response:
    return told(PAGES[page]["not_found"], xml=xml, settings=settings)
