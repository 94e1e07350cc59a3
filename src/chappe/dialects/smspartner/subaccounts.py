"""SMS Partner's sub-accounts: making, listing, funding and removing them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from chappe.core import localtime, pricing, segments
from chappe.core.http import Response
from chappe.core.model import Account, AccountSettings, Moment
from chappe.core.subaccounts import (
    CreateSubAccount,
    CreditMoved,
    MoveCredit,
    ReadSubAccounts,
    RemoveSubAccount,
    SubAccountKey,
    SubAccountMade,
    SubAccountRemoved,
    SubAccounts,
)
from chappe.dialects.smspartner.refusals import Violation, Violations
from chappe.dialects.smspartner.render import CData, money, respond
from chappe.dialects.smspartner.request_parser import Values, flag, text

PAGE_SIZE: Final = 20
PAGE_MAX: Final = 1_000_000
TYPES: Final = ("simple", "advanced")
CREDIT_EUROS_MAX: Final = 10**9
TEXT_CHARACTERS_MAX: Final = 200
TOKEN_CHARACTERS_MAX: Final = 64
# An address that is also a login.
_EMAIL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9.-]+", re.ASCII).fullmatch
_EMAIL_CHARACTERS_MAX: Final = 64
_PAGE: Final = re.compile(r"[0-9]{1,9}", re.ASCII).fullmatch


def read_create(values: Values, account: Account, moment: Moment) -> CreateSubAccount:
    """/subaccount/create. Raises Violations: of several the first, in the order of the provider's codes."""
    given = _parameters(values)
    kind = text(values.get("type"))
    if not kind:
        raise _wrong("type", "required")
    if kind not in TYPES:
        raise _wrong("type", "invalid", kind)
    advanced = kind == "advanced"
    if advanced and "isbuyer" not in given:
        raise _wrong("is_buyer", "required")
    email = text(given.get("email"))
    if (advanced and not email) or (email and not (_EMAIL(email) and len(email) <= _EMAIL_CHARACTERS_MAX)):
        raise _wrong("email", "required", email)
    written = text(given.get("credittoattribute"))
    credit_micros = _micros(written) if written else 0
    if credit_micros is None or credit_micros < 0:
        raise _wrong("credit", "invalid", written)
    own: dict[str, Any] = {"email": email, "sub_account_type": kind, "is_buyer": flag(given.get("isbuyer"))}
    for name in ("firstname", "lastname"):
        own[name] = _words(given, name)
    if title := _words(given, "title"):
        own["details"] = {"TITLE": title}
    return CreateSubAccount(account, email, own, credit_micros)


def created(outcome: SubAccountMade, values: Values, settings: AccountSettings, xml: bool) -> Response:
    made = outcome.sub_account
    body = {
        "success": True,
        "code": 200,
        "subaccount": {"email": CData(made.account.login), "token": CData(made.token)},
        "sendConfirmMailTo": CData(""),  # nobody is written to
        "parent_email": CData(settings.email),
    }
    return respond(200, body, xml=xml)


def read_remove(values: Values, account: Account, moment: Moment) -> RemoveSubAccount:
    return RemoveSubAccount(account, _key(values, "token"))


def removed(outcome: SubAccountRemoved, values: Values, settings: AccountSettings, xml: bool) -> Response:
    return respond(200, {"success": True, "code": 200}, xml=xml)


def read_list(values: Values, account: Account, moment: Moment) -> ReadSubAccounts:
    return ReadSubAccounts(account, _page(values), PAGE_SIZE)


def listed(outcome: SubAccounts, values: Values, settings: AccountSettings, xml: bool) -> Response:
    data = [
        {
            "id": entry.account.id,
            "email": CData(entry.account.settings.email or entry.account.login),
            "type": CData(entry.account.settings.sub_account_type),
            "token": CData(entry.token),
            "apiKey": CData(entry.key),
            "createdAt": CData(localtime.written(entry.created_at)),
            "credits": {
                "balance": CData(pricing.euros(entry.account.balance_micros)),
                "currency": CData("EUR"),
            },
        }
        for entry in outcome.entries
    ]
    body = {
        "success": True,
        "code": 200,
        "total": outcome.total,
        "nb_per_page": PAGE_SIZE,
        "page": _page(values),
        "data": data,
    }
    return respond(200, body, xml=xml)


def read_add_credit(values: Values, account: Account, moment: Moment) -> MoveCredit:
    return _move(values, account, 1)


def read_remove_credit(values: Values, account: Account, moment: Moment) -> MoveCredit:
    return _move(values, account, -1)


def credit_moved(outcome: CreditMoved, values: Values, settings: AccountSettings, xml: bool) -> Response:
    body = {
        "success": True,
        "code": 200,
        "credit": money(outcome.balance_micros),
        "subaccountCredit": money(outcome.sub_account.account.balance_micros),
        "currency": CData("EUR"),
    }
    return respond(200, body, xml=xml)


def _move(values: Values, account: Account, sign: int) -> MoveCredit:
    written = text(values.get("credit"))
    if not written:
        raise _wrong("credit", "required")
    key = _key(values, "tokenSubaccount")
    amount_micros = _micros(written)
    if amount_micros is None or amount_micros <= 0:
        raise _wrong("credit", "invalid", written)
    return MoveCredit(account, key, sign * amount_micros)


def _key(values: Values, name: str) -> SubAccountKey:
    token = text(values.get(name))
    if not token:
        raise _wrong("token", "required")
    return SubAccountKey(token=token[:TOKEN_CHARACTERS_MAX])


def _parameters(values: Values) -> Mapping[str, Any]:
    """The object `parameters` by names in lower case; in a query or a form it is JSON text. Empty where it is none."""
    given = values.get("parameters")
    if isinstance(given, str) and given.lstrip()[:1] == "{":
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = None
    if not isinstance(given, dict):
        return {}
    return {name.lower(): value for name, value in given.items() if value not in (None, "")}


def _words(given: Mapping[str, Any], name: str) -> str:
    """A name or a title; raises Violations where it cannot be stored."""
    written = segments.clean(text(given.get(name)))
    if len(written) > TEXT_CHARACTERS_MAX or not written.isprintable():
        raise _wrong("parameters", "invalid", name)
    return written


def _micros(written: str) -> int | None:
    """Euros as clients write them, also as `1e2` or with a comma, in micro-euros; None for what is no amount."""
    try:
        amount = Decimal(written.replace(",", "."))
        if not amount.is_finite() or abs(amount) > CREDIT_EUROS_MAX:
            return None
        whole = amount * pricing.MICROS_PER_EURO
        return int(whole) if whole == int(whole) else None
    except InvalidOperation:
        return None


def _page(values: Values) -> int:
    written = text(values.get("page")) or "1"
    page = int(written) if _PAGE(written) else 0
    if not 1 <= page <= PAGE_MAX:
        raise _wrong("page", "invalid", written)
    return page


def _wrong(field: str, rule: str, value: str = "") -> Violations:
    return Violations((Violation(field, rule, value),))
