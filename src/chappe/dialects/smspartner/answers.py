"""What SMS Partner v1 answers to sends, to /me and to everything that is refused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from chappe.core import localtime, pricing
from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import Accepted, AccountSettings, Balance, Skipped
from chappe.dialects.smspartner.endpoints import PAGES, page_answer
from chappe.dialects.smspartner.error_catalogue import (
    ANSWERS,
    FIELD_NAMES,
    FIELD_NAMES_BULK,
    FIELD_NAMES_VIRTUAL,
    FIELD_TEXT_OTHER,
    FIELD_TEXTS,
    SKIPPED_TEXTS,
    WRITTEN_MAX,
    Answer,
)
from chappe.dialects.smspartner.refusals import Violation
from chappe.dialects.smspartner.render import (
    JSON_TYPE,
    XML_TYPE,
    CData,
    Named,
    Number,
    json_body,
    respond,
    xml_body,
)
from chappe.dialects.smspartner.request_parser import Values

CREDITS_MAX: Final = 2_147_483_647  # clients read credits as 32-bit integers; what is free is affordable this often


def sent(outcome: Accepted, values: Values, settings: AccountSettings, xml: bool) -> Response:
    """The answer to an accepted send; a scheduled one tells its local time as the last value."""
    command = outcome.command
    cost = pricing.json_number(command.cost_micros)
    scheduled = "" if command.scheduled_at is None else localtime.written(command.scheduled_at)
    if xml:
        entries = [True, 200, outcome.submission_id, command.parts, Number(cost), CData("EUR")]
        return Response(200, XML_TYPE, xml_body([*entries, CData(scheduled)] if scheduled else entries))
    tail = f',"scheduledDeliveryDate":"{scheduled}"}}' if scheduled else "}"
    body = (
        f'{{"success":true,"code":200,"message_id":{outcome.submission_id},"nb_sms":{command.parts},'
        f'"cost":{cost},"currency":"EUR"{tail}'
    )
    return Response(200, JSON_TYPE, body.encode("ascii"))


def balance(outcome: Balance, values: Values, settings: AccountSettings, xml: bool) -> Response:
    """The answer to /me: JSON has every key that any edition had, XML the seven entries of the oldest."""
    account, settings = outcome.account, outcome.account.settings
    user = Named(username=settings.email or account.login, firstname=settings.firstname, lastname=settings.lastname)
    premium = _credits(outcome.balance_micros, settings.price_premium_micros)
    lowcost = _credits(outcome.balance_micros, settings.price_lowcost_micros)
    lookups = _credits(outcome.balance_micros, settings.price_hlr_micros)
    money = CData(pricing.euros(outcome.balance_micros))
    if xml:
        credits = [premium, lowcost, lookups, outcome.to_send, money, CData("EUR"), money]
        return Response(200, XML_TYPE, xml_body([True, 200, user, credits]))
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
    return respond(200, body, xml=False)


def refused(refusal: Refusal, *, xml: bool, verb: str, date_written: str, settings: AccountSettings) -> Response:
    """The answer to any refusal, in the shape that its code has.

    verb: gives codes their meaning, and names the fields in a list of violations. date_written: the date as the
    customer wrote it, quoted by code 23.
    """
    if verb in PAGES and (of_page := page_answer(verb, refusal)) is not None:
        return told(*of_page, xml=xml, settings=settings)
    answer = ANSWERS[refusal.code]
    language = settings.message_language
    if refusal.code == "violations":
        body, form = _violations(refusal.values.get("items", ()), language, xml=xml, verb=verb)
    elif refusal.code in ("recipients_unusable", "price_missing"):
        body, form = _none_left(answer, refusal.values.get("skipped", ()), language, xml=xml)
    else:
        text = answer.text(language)
        if "{" in text:
            text = text.format(
                limit=refusal.values.get("limit", settings.numbers_per_request_max), date=date_written[:WRITTEN_MAX]
            )
        body, form = _simple(answer.code, text, xml)
    wait_s = refusal.values.get("retry_after_s")
    headers = () if wait_s is None else (("Retry-After", str(wait_s)),)
    return Response(_status(answer, settings), form, body, headers)


def told(answer: Answer, value: str = "", *, xml: bool, settings: AccountSettings) -> Response:
    """Shape A of an answer that one page has for itself; value: what was written, where its text quotes it."""
    text = answer.text(settings.message_language)
    body, form = _simple(answer.code, text.replace("{value}", value[:WRITTEN_MAX]), xml)
    return Response(_status(answer, settings), form, body)


def _status(answer: Answer, settings: AccountSettings) -> int:
    """Only the 400 is a matter of taste; 404, 413, 429 and 500 also speak to proxies and to retries."""
    return 200 if answer.status == 400 and settings.errors_as_http_200 else answer.status


def _credits(balance_micros: int, price_micros: int) -> int:
    return pricing.affordable(balance_micros, price_micros) if price_micros > 0 else CREDITS_MAX


@lru_cache(maxsize=512)
def _simple(code: int, text: str, xml: bool) -> tuple[bytes, str]:
    """Shape A."""
    if xml:
        return xml_body([False, code, text]), XML_TYPE
    return json_body({"success": False, "code": code, "message": text}), JSON_TYPE


def _violations(items: Sequence[Violation], language: str, *, xml: bool, verb: str) -> tuple[bytes, str]:
    """Shape B: the list once in XML, under both keys in JSON, since each key has its clients."""
    names = FIELD_NAMES
    if verb == "vn/send":
        names = FIELD_NAMES_VIRTUAL
    elif verb == "bulk-send" and not xml:
        names = FIELD_NAMES_BULK
    listed = []
    for item in items:
        words = FIELD_TEXTS.get((item.field, item.rule), FIELD_TEXT_OTHER).text(language, xml=xml)
        element = f"children[{names.get(item.field, item.field)}].data"
        listed.append({"elementId": element, "message": words.replace("{value}", item.value[:WRITTEN_MAX])})
    if xml:
        return xml_body([False, 9, [list(entry.values()) for entry in listed]]), XML_TYPE
    return json_body({"success": False, "code": 9, "error": listed, "errors": listed}), JSON_TYPE


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
        entries = [[False, Number(entry["code"]), entry["message"]] for entry in listed]
        return xml_body([False, answer.code, text, entries]), XML_TYPE
    return json_body({"success": False, "code": answer.code, "message": text, "errors": listed}), JSON_TYPE
