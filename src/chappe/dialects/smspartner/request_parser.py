"""The values of an SMS Partner request: JSON, form and query merged under the documented names, with all tolerances.

Reading never guesses: a body that is neither a JSON object nor a form is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chappe.core.errors import Refusal
from chappe.core.http import Request
from chappe.dialects import forms

Values = dict[str, Any]
"""Documented name -> value as it came: text, number, true, array or object; never null, false or the empty text."""

# Every name that an endpoint here reads. Other spellings are matched without case.
NAMES: Final = frozenset(
    (
        "apiKey",
        "_format",
        "phoneNumbers",
        "to",
        "from",
        "message",
        "gamme",
        "sender",
        "scheduledDeliveryDate",
        "time",
        "minute",
        "isStopSms",
        "isUnicode",
        "sandbox",
        "tag",
        "urlDlr",
        "urlResponse",
        "webhookUrl",
        "SMSList",
        "failover",
        "phoneNumber",
        "messageId",
        "SMSStatut_List",
        "SMSStatus_List",
        "page",
        "interval",
        "id",
        "name",
        "groupId",
        "contact",
        "contactsList",
        "contactId",
        "type",
        "parameters",
        "token",
        "credit",
        "tokenSubaccount",
    )
)
_BY_LOWER: Final[Mapping[str, str]] = {name.lower(): name for name in NAMES}
_NUMBER_NAMES: Final = ("phoneNumbers", "phoneNumber", "to", "from")
# `+33...` unescaped in a query arrives as ` 33...`; a blank before a 0 is only a blank.
_LOST_PLUS: Final = re.compile(r"(^|,)\s+(?=[1-9])")
_FORM_START: Final = re.compile(rb"\s*[A-Za-z_%][\w%.+\[\]-]*=")
_BLANKS: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


def read(request: Request) -> Values:
    """Query and body merged, the body wins. Raises Refusal unreadable."""
    values: Values = {}
    if request.query:
        _merge(values, _with_plus(query(request)))
    if request.body:
        _merge(values, _body(request))
    return values


def query(request: Request) -> dict[str, str]:
    """The query alone; a second `?`, which a common PHP client sends, is skipped. Raises Refusal unreadable."""
    return forms.parse_query(request.query.lstrip(b"?"))


def wanted_format(request: Request) -> str:
    """`json` or `xml`, as far as it can be told from a request that may be unreadable. Total."""
    try:
        return format_of(read(request))
    except Refusal:
        pass
    try:
        values: Values = {}
        _merge(values, query(request))
    except Refusal:
        return "json"
    return format_of(values)


def format_of(values: Values) -> str:
    written = values.get("_format")
    return "xml" if isinstance(written, str) and written.strip().lower() == "xml" else "json"


def text(value: object) -> str:
    """A value as text: numbers as they are written, nothing for what was not given.

    Arrays and objects are `[]` and `{}`, whatever is in them: where text is wanted they are wrong, and must not pass.
    """
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return "[]" if isinstance(value, list) else "{}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return json.dumps(value)


def items(value: object) -> list[dict[str, Any]] | None:
    """A list of objects with the names of their fields in lower case; None for anything else.

    In a query or a form the list is JSON text. Fields are as read() leaves them: null, false and "" are not given.
    """
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            value = json.loads(value, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list):
        return None
    found = []
    for item in value:
        if not isinstance(item, dict):
            return None
        fields: Values = {}
        for name, written in item.items():
            if not (written is None or written is False or written == ""):
                fields.setdefault(name.lower(), written)
        found.append(fields)
    return found


def flag(value: object) -> bool:
    """Whether a 0/1 option is on: 1 or true, as number, text or JSON word."""
    return value is True or text(value).lower() in ("1", "true")


def _body(request: Request) -> Mapping[str, Any]:
    body = request.body
    if body[:1] == b"{":
        return _json_object(body)
    shown = body.removeprefix(_BOM).lstrip(_BLANKS)
    if shown[:1] == b"{":
        return _json_object(shown)
    if not shown:
        return {}
    content_type = request.headers.get("content-type", "")
    if content_type[:10].lower() == "multipart/" or b"form-data" in shown[:500].lower() or _FORM_START.match(shown):
        return _with_plus(forms.parse_form(content_type, body))
    raise Refusal("unreadable")


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = _lenient_json(body)
    except RecursionError as trouble:
        raise Refusal("unreadable") from trouble
    assert isinstance(found, dict)  # it begins with a brace
    if len(found) > forms.FIELDS_MAX:
        raise Refusal("unreadable")
    return found


def _lenient_json(body: bytes) -> object:
    """JSON that is no UTF-8, or that holds half a surrogate pair as an escape: some clients cut emoji in two."""
    try:
        return json.loads(forms.text(body), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as trouble:
        raise Refusal("unreadable") from trouble


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON (RFC 8259, 6)


def _with_plus(source: dict[str, str]) -> dict[str, str]:
    for name, value in source.items():
        if " " in value and _BY_LOWER.get(name.lower()) in _NUMBER_NAMES:
            source[name] = _LOST_PLUS.sub(r"\1+", value)
    return source


def _merge(values: Values, source: Mapping[str, Any]) -> None:
    """Puts what was given into values, exact names before other spellings of the same source."""
    loose: Values = {}
    for name, value in source.items():
        if not value and (value is None or value is False or value == ""):
            continue
        if name in NAMES:
            values[name] = value
        elif (known := _BY_LOWER.get(name.lower())) is not None and known not in source:
            loose[known] = value
    if loose:
        values.update(loose)
