"""What SMS Partner v1 answers: the shapes of its JSON and XML, and the bodies of its webhooks.

JSON is ASCII only, with `\\u` escapes. XML loses the key names: each value is an `<entry>`, in JSON order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from chappe.core import localtime, pricing
from chappe.core.errors import Refusal, Violation
from chappe.core.model import Accepted, AccountSettings, Balance, Report, Skipped
from chappe.dialects import Response
from chappe.dialects.smspartner_texts import (
    ANSWERS,
    FIELD_NAMES,
    FIELD_NAMES_VIRTUAL,
    FIELD_TEXT_OTHER,
    FIELD_TEXTS,
    SKIPPED_TEXTS,
    Answer,
)

JSON_TYPE: Final = "application/json"
XML_TYPE: Final = "application/xml"
WRITTEN_MAX: Final = 64  # characters of a wrong value that are quoted back
CREDITS_MAX: Final = 2_147_483_647  # clients read credits as 32-bit integers; what is free is affordable this often

_PROLOG: Final = "<?xml version='1.0' encoding='UTF-8'?>\n"
# XML 1.0, 2.2 Char: what no document may contain, escaped or not.
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_WEBHOOK_WORDS: Final = {
    "scheduled": "waiting",
    "held": "waiting",
    "queued": "waiting",
    "submitting": "waiting",
    "submitted": "waiting",
    "uncertain": "waiting",
    "delivered": "delivered",
    "undelivered": "not delivered",
    "expired": "not delivered",
    "rejected": "not delivered",
    "no_receipt": "not delivered",
    "suppressed": "ko",
    "cancelled": "ko",
    "failed": "ko",
}


class CData(str):
    """Text that XML answers carry as CDATA; must not contain `]]>`."""

    __slots__ = ()


def sent(outcome: Accepted, *, xml: bool) -> Response:
    """The answer to an accepted send; a scheduled one tells its local time as the last value."""
    command = outcome.command
    cost = pricing.json_number(command.cost_micros)
    scheduled = "" if command.scheduled_at is None else localtime.written(command.scheduled_at)
    if xml:
        entries = [True, 200, outcome.submission_id, command.parts, _Number(cost), CData("EUR")]
        return _xml_response(200, [*entries, CData(scheduled)] if scheduled else entries)
    tail = f',"scheduledDeliveryDate":"{scheduled}"}}' if scheduled else "}"
    body = (
        f'{{"success":true,"code":200,"message_id":{outcome.submission_id},"nb_sms":{command.parts},'
        f'"cost":{cost},"currency":"EUR"{tail}'
    )
    return Response(200, JSON_TYPE, body.encode("ascii"))


def balance(outcome: Balance, *, xml: bool) -> Response:
    """The answer to /me: JSON has every key that any edition had, XML the seven entries of the oldest."""
    account, settings = outcome.account, outcome.account.settings
    user = {
        "username": settings.email or account.login,
        "firstname": settings.firstname,
        "lastname": settings.lastname,
    }
    premium = _credits(outcome.balance_micros, settings.price_premium_micros)
    lowcost = _credits(outcome.balance_micros, settings.price_lowcost_micros)
    lookups = _credits(outcome.balance_micros, settings.price_hlr_micros)
    money = CData(pricing.euros(outcome.balance_micros))
    if xml:
        credits = [premium, lowcost, lookups, outcome.to_send, money, CData("EUR"), money]
        return _xml_response(200, [True, 200, user, credits])
    body = {
        "success": True,
        "code": 200,
        "user": user,
        "credits": {
            "creditSms": premium,
            "creditSmsLowCost": lowcost,
            "creditHlr": lookups,
            "toSend": outcome.to_send,
            "solde": money,
            "currency": "EUR",
            "balance": money,
            "creditSmsECO": lowcost,
        },
    }
    return Response(200, JSON_TYPE, _json(body))


def refused(refusal: Refusal, *, xml: bool, verb: str, date_written: str, settings: AccountSettings) -> Response:
    """The answer to any refusal, in the shape that its code has.

    verb: names the fields in a list of violations. date_written: the date as the customer wrote it, quoted by code 23.
    """
    answer = ANSWERS[refusal.code]
    language = settings.message_language
    if refusal.code == "violations":
        body, form = _violations(refusal.values.get("items", ()), language, xml=xml, virtual=verb == "vn/send")
    elif refusal.code in ("recipients_unusable", "price_missing"):
        body, form = _none_left(answer, refusal.values.get("skipped", ()), language, xml=xml)
    else:
        text = answer.text(language)
        if "{" in text:
            text = text.format(limit=settings.numbers_per_request_max, date=date_written[:WRITTEN_MAX])
        body, form = _simple(answer.code, text, xml)
    # Only the 400 is a matter of taste; 404, 413, 429 and 500 also speak to proxies and to retries.
    status = 200 if answer.status == 400 and settings.errors_as_http_200 else answer.status
    wait_s = refusal.values.get("retry_after_s")
    return Response(status, form, body, () if wait_s is None else (("Retry-After", str(wait_s)),))


def report(event: Report) -> bytes:
    """The body of a delivery report: one number, one change of status."""
    tag = f',"tag":{json.dumps(event.tag)}' if event.tag else ""
    return (
        f'{{"status":"{_WEBHOOK_WORDS[event.state]}","msgId":"{event.submission_id}","date":{int(event.at.timestamp())},'
        f'"phone":{json.dumps(event.recipient)},"cost":"{_decimal(event.cost_micros)}","currency":"EUR"{tag}}}'
    ).encode("ascii")


class _Number(str):
    """A number that is already written, because a float would not be exact."""

    __slots__ = ()


def _credits(balance_micros: int, price_micros: int) -> int:
    return pricing.affordable(balance_micros, price_micros) if price_micros > 0 else CREDITS_MAX


def _decimal(amount_micros: int) -> str:
    """Money in text has three decimals (seed: `10225.119`), more only where three would not be exact."""
    return pricing.euros(amount_micros) if amount_micros % 1000 == 0 else pricing.json_number(amount_micros)


@lru_cache(maxsize=512)
def _simple(code: int, text: str, xml: bool) -> tuple[bytes, str]:
    """Shape A."""
    if xml:
        return _xml([False, code, text]), XML_TYPE
    return _json({"success": False, "code": code, "message": text}), JSON_TYPE


def _violations(items: Sequence[Violation], language: str, *, xml: bool, virtual: bool) -> tuple[bytes, str]:
    """Shape B: the list once in XML, under both keys in JSON, since each key has its clients."""
    names = FIELD_NAMES_VIRTUAL if virtual else FIELD_NAMES
    listed = []
    for item in items:
        words = FIELD_TEXTS.get((item.field, item.rule), FIELD_TEXT_OTHER).text(language, xml=xml)
        element = f"children[{names.get(item.field, item.field)}].data"
        listed.append({"elementId": element, "message": words.replace("{value}", item.value[:WRITTEN_MAX])})
    if xml:
        return _xml([False, 9, [list(entry.values()) for entry in listed]]), XML_TYPE
    return _json({"success": False, "code": 9, "error": listed, "errors": listed}), JSON_TYPE


def _none_left(answer: Answer, skipped: Sequence[Skipped], language: str, *, xml: bool) -> tuple[bytes, str]:
    """Shape C: why each number gets nothing."""
    listed = []
    for recipient in skipped:
        words = SKIPPED_TEXTS[recipient.reason]
        text = words.english if language == "en" else words.french
        number = (recipient.number or recipient.written)[:WRITTEN_MAX]
        listed.append({"success": False, "code": words.code, "message": text.replace("{number}", number)})
    text = answer.text(language)
    if xml:
        entries = [[False, _Number(entry["code"]), entry["message"]] for entry in listed]
        return _xml([False, answer.code, text, entries]), XML_TYPE
    return _json({"success": False, "code": answer.code, "message": text, "errors": listed}), JSON_TYPE


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _xml_response(status: int, entries: Iterable[object]) -> Response:
    return Response(status, XML_TYPE, _xml(entries))


def _xml(entries: Iterable[object]) -> bytes:
    return f"{_PROLOG}<result>{_entries(entries)}</result>".encode()


def _entries(values: Iterable[object]) -> str:
    return "".join(f"<entry>{_entry(value)}</entry>" for value in values)


def _entry(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, CData):
        return f"<![CDATA[{value}]]>"
    if isinstance(value, str):
        return _escaped(value)
    if isinstance(value, dict):  # only `user` of /me keeps its names
        return "".join(f"<{name}>{_escaped(text)}</{name}>" for name, text in value.items())
    if isinstance(value, list):
        return _entries(value)
    return str(value)


def _escaped(text: str) -> str:
    text = _NO_XML.sub("\ufffd", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
