"""One message as one HTTP request: the templates with its values, authentication, signature. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode

from chappe.carriers import Outgoing
from chappe.carriers.http import signatures, template
from chappe.carriers.http.options import Auth, Form, HttpProfile, Sign
from chappe.carriers.http.profiles import callback_url
from chappe.core import gsm7

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"


class Account(NamedTuple):
    """Who we are at the service: the carrier's name here, its system_id and its password."""

    name: str
    user: str
    password: str


class Request(NamedTuple):
    """What net sends."""

    method: str
    url: str
    content_type: str
    body: bytes
    headers: Mapping[str, str]


def request(message: Outgoing, made: HttpProfile, account: Account, wall_s: float) -> Request:
    """The request for one message. wall_s: seconds since 1970. Raises ValueError for what cannot be written."""
    values = values_of(message, made, account, wall_s)
    url = template.render(made.url, values, lambda value: quote(value, safe=""))
    content_type, body = "", b""
    if made.format is Form.JSON:
        content_type = JSON_TYPE
        body = json.dumps(template.build(made.body, values), ensure_ascii=False, separators=(",", ":")).encode()
    elif made.format is Form.FORM:
        content_type = FORM_TYPE
        body = urlencode(template.flat(made.body, values)).encode()
    else:
        joint = "&" if "?" in url else "?"
        url += joint + urlencode(template.flat(made.body, values), quote_via=quote)
    headers = {name: template.render(str(text), values) for name, text in made.headers.items()}
    if made.auth is Auth.BASIC:
        token = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    elif made.auth is Auth.BEARER:
        headers["Authorization"] = f"Bearer {account.password}"
    if made.sign is Sign.OVH:
        headers |= signatures.ovh(made.method.value, url, body, account.password, made.consumer_key, int(wall_s))
    return Request(made.method.value, url, content_type, body, headers)


def values_of(message: Outgoing, made: HttpProfile, account: Account, wall_s: float) -> dict[str, object]:
    """The variables of template.VARIABLES for one message."""
    unicode = message.unicode or gsm7.cost(message.text) is None
    validity_s = int(made.validity_s)
    if message.valid_until:
        validity_s = max(1, min(validity_s, int(message.valid_until - wall_s)))
    digits = message.recipient.removeprefix("+")
    sender = made.sender or message.sender
    named = any(character.isalpha() for character in sender)
    return {
        "to": "+" + digits,
        "to_digits": digits,
        "to_00": "00" + digits,
        "sender": sender,
        "sender_name": sender if named else "",
        "nameless": not named,
        "text": message.text,
        "id": str(message.message_id),
        "user": account.user,
        "password": account.password,
        "service": made.service,
        "consumer_key": made.consumer_key,
        "unicode": unicode,
        "unicode_1": 1 if unicode else None,
        "coding": "8bit" if unicode else "7bit",
        "flash": message.flash,
        "flash_1": 1 if message.flash else None,
        "class": "flash" if message.flash else "phoneDisplay",
        "validity_s": validity_s,
        "validity_min": max(1, validity_s // 60),
        "receipt_url": callback_url(made, account.name, "receipt"),
        "reply_url": callback_url(made, account.name, "reply"),
    }
