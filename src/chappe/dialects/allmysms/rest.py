"""The REST API of AllMySMS, at the root of the host: what its requests ask for.

Bodies are JSON whatever their label says; names in any case. Sending differs from 9.0 in its variables: they are
`#param1#` of recipients that are objects.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import (
    RECIPIENTS_MAX,
    Account,
    Command,
    Moment,
    ReadBalance,
    ReadMessages,
    Ready,
    Selector,
    Send,
    Simulate,
)
from chappe.dialects import Call, forms
from chappe.dialects.allmysms import flow
from chappe.dialects.allmysms.flow import Block
from chappe.dialects.allmysms.methods import submission_id
from chappe.dialects.allmysms.refusals import AllMySmsRefusal
from chappe.dialects.allmysms.rest_answers import ACCOUNT, BULK, ONE, REPORT, VOICE, pong
from chappe.dialects.allmysms.send import Wish, credentials, is_yes, label, message_of, scheduled_at, send, sender_of
from chappe.dialects.allmysms.subaccounts import of_sub_account

FORMAT: Final = "rest"
PING: Final = "ping"

# What else a REST client may ask below these names is answered in its own words: it does not exist.
_BELOW: Final = re.compile(r"/+(?:sms|report|account|ping|voice)(?:/|$)", re.IGNORECASE)
_PATHS: Final = (
    (ONE, re.compile(r"/+sms/+send/*", re.IGNORECASE)),
    (BULK, re.compile(r"/+sms/+send/+bulk/*", re.IGNORECASE)),
    (REPORT, re.compile(r"/+report/+campaign/+([^/]+)/*", re.IGNORECASE)),
    (ACCOUNT, re.compile(r"/+account/*", re.IGNORECASE)),
    (VOICE, re.compile(r"/+voice/+send/+bulk/*", re.IGNORECASE)),
    (PING, re.compile(r"/+ping/*", re.IGNORECASE)),
)

Values = Mapping[str, object]


def matches(path: str) -> bool:
    """Whether a path is a resource of the REST API."""
    return any(form.fullmatch(path) for _, form in _PATHS)


def is_below(path: str) -> bool:
    """Whether what asks for this path is a client of the REST API, whether the resource exists or not."""
    return _BELOW.match(path) is not None


def call_of(request: Request) -> Call | Response:
    """The call that a request makes, or the answer to a ping.

    values: of a send what the body says, by names in lower case, None where it is no JSON; of a report the campaign id;
    of the account the sub-account asked for. Raises Refusal not_found, unreadable, key_missing, key_unknown.
    """
    verb, inner = _verb(request.path)
    if verb == PING:
        return pong()
    body = _body(request.body)
    login, key = _basic(request.headers.get("authorization", ""))
    if not login and not key:
        if body is None and request.body:
            # A form has the credentials elsewhere: to say that they are missing would send its author the wrong way.
            raise Refusal("unreadable")
        login, key = (flow.scalar((body or {}).get(name)) or "" for name in ("login", "apikey"))
    values: object = body
    if verb == REPORT:
        values = inner
    elif verb == ACCOUNT:
        asked = {name.lower(): value for name, value in forms.parse_query(request.query).items()}
        values = asked.get("subaccount", "").strip()
    return Call(credentials(login, key), verb, FORMAT, values)


def read(call: Call, account: Account, moment: Moment) -> Command:
    """What the call asks for. Raises Refusal."""
    if call.verb == REPORT:
        assert isinstance(call.values, str)
        return ReadMessages(account, (Selector(submission_id(call.values)),))
    if call.verb == ACCOUNT:
        assert isinstance(call.values, str)
        return of_sub_account(ReadBalance(account, waiting=False), call.values, account)
    if call.values is None:
        raise Refusal("unreadable")
    assert isinstance(call.values, dict)
    if call.verb == VOICE:
        return Ready(account)  # there is no carrier of voice to simulate either
    command = _read_send(call.values, _one if call.verb == ONE else _many, account, moment)
    return Simulate(command) if is_yes(_text(call.values, "simulate")) else command


def _verb(path: str) -> tuple[str, str]:
    for verb, form in _PATHS:
        if found := form.fullmatch(path):
            return verb, found[1] if verb == REPORT else ""
    raise Refusal("not_found")


def _body(octets: bytes) -> dict[str, object] | None:
    """The names in lower case and the values of a JSON object; None for anything else."""
    try:
        decoded: Any = msgspec.json.decode(forms.text(octets))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    if not isinstance(decoded, dict):
        return None
    return {name.strip().lower(): value for name, value in decoded.items()}


def _basic(header: str) -> tuple[str, str]:
    """Login and key of RFC 7617; both empty where the header is another or none."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        whole = forms.text(base64.b64decode(token.strip(), validate=True))
    except (binascii.Error, ValueError):
        raise Refusal("key_unknown") from None
    login, _, key = whole.partition(":")
    return login, key


def _read_send(
    values: Values, blocks_of: Callable[[object], tuple[Block, ...]], account: Account, moment: Moment
) -> Send:
    message = message_of(_text(values, "text"))
    blocks = blocks_of(values.get("to"))
    if not blocks:
        raise Refusal("recipients_missing")
    if not all(block.numbers for block in blocks):
        raise AllMySmsRefusal("recipient_absent")
    instant = scheduled_at(_text(values, "date").strip(), moment)
    sender, warnings = sender_of(_text(values, "from").strip(), account.settings)
    wish = Wish(
        message=message,
        blocks=blocks,
        dynamic=any(block.parameters for block in blocks),
        sender=sender,
        warnings=warnings,
        scheduled_at=instant,
        campaign=label(_text(values, "campaignname").strip(), "campaignName"),
        client_reference=label(_text(values, "climsgid").strip(), "cliMsgId"),
        unique_identifier=label(_text(values, "uniqueidentifier").strip(), "uniqueIdentifier"),
    )
    return send(wish, account)


def _one(to: object) -> tuple[Block, ...]:
    """One number as text; a list of one is read as that one. Raises Refusal recipients_too_many."""
    if isinstance(to, list):
        if len(to) > 1:
            raise Refusal("recipients_too_many")
        to = to[0] if to else None
    written = (flow.scalar(to) or "").strip()
    return (Block((written,), {}),) if written else ()


def _many(to: object) -> tuple[Block, ...]:
    """Numbers, or objects with `mobilePhone` and `param1`, `param2`, ...; one alone needs no list. Raises Refusal
    recipients_too_many."""
    if isinstance(to, list) and len(to) > RECIPIENTS_MAX:
        raise Refusal("recipients_too_many")
    return tuple(_block(item) for item in (to if isinstance(to, list) else [] if to is None else [to]))


def _block(item: object) -> Block:
    if isinstance(item, dict):
        return flow.block_of(item)
    written = (flow.scalar(item) or "").strip()
    return Block((written,) if written else (), {})


def _text(values: Values, name: str) -> str:
    """A single value as text, empty where it is not given. Raises Refusal flow_invalid: a list or an object."""
    value = values.get(name)
    text = flow.scalar(value)
    if text is None and value is not None:
        raise AllMySmsRefusal("flow_invalid", tag=name)  # a date that cannot be read is no wish to send now
    return text or ""
