"""AllMySMS 9.0: which requests are its, what they ask for, and how they are answered.

Built: sendSms, its old name sendSms_v8.php, and sending by simple parameters. Flows are read in allmysms_flow.py, texts
and replies are in allmysms_answers.py. Sources: the provider's API page for names, statuses and texts; public client
code for what the page does not show.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from chappe.core import segments
from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Account, Command, Moment, Outcome, Report, Send
from chappe.dialects import Call, Credentials, Request, Response, WebhookCall, allmysms_answers, allmysms_flow, forms
from chappe.dialects.allmysms_flow import Block
from chappe.dialects.allmysms_send import NAME as NAME
from chappe.dialects.allmysms_send import Wish, scheduled_at, send, sender_of

SEND: Final = "sendSms"
SIMPLE: Final = "send"

CREDENTIAL_CHARACTERS_MAX: Final = 200
LINK_CHARACTERS_MAX: Final = 80
LABEL_CHARACTERS_MAX: Final = 255  # CAMPAIGN_NAME, CLIMSGID: stored with each submission

_OURS: Final = re.compile(r"/+http(?:/|$)", re.IGNORECASE)
# The provider's Python sample forgets the `?` before its parameters, so what follows `.php` may be a query.
_VERSION_8: Final = re.compile(r"/+http/+sendSms_v8\.php", re.IGNORECASE)
_VERSION_9: Final = re.compile(r"/+http/+([^/]+)(?:/+([^/]+))?/*", re.IGNORECASE)
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_BETWEEN_NUMBERS: Final = re.compile(r"[;,\r\n]+")
_YES: Final = frozenset({"1", "true", "yes", "oui"})
_NOBODY: Final = Account(0, "")
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def matches(path: str) -> bool:
    """Whether a path is this API's: everything below /http."""
    return _OURS.match(path) is not None


def open(request: Request) -> Call:
    """The call that a request makes: 9.0's and version 8's sendSms, or simple parameters at /http/<version>/.

    Raises Refusal not_found, unreadable, key_missing, key_unknown.
    """
    verb = _verb(request.path)
    values = _values(request)
    login = values.get("login") or values.get("clientcode", "")
    key = values.get("apikey") or values.get("passcode", "")
    if not login or not key:
        raise Refusal("key_missing")
    if max(len(login), len(key)) > CREDENTIAL_CHARACTERS_MAX or not (login + key).isprintable():
        raise Refusal("key_unknown")  # no account has such a key, and no database would take it
    return Call(Credentials(key=key, login=login), verb, _format(values), values)


def read(call: Call, account: Account, moment: Moment) -> Command:
    """What the call asks for.

    Checks come in the order of the contract: the flow, the client code, the message, the recipients, the date, the
    sender, links, the master account, the length, the numbers. Raises Refusal.
    """
    values = call.values
    assert isinstance(values, dict)
    return (_read_simple if call.verb == SIMPLE else _read_flow)(values, account, moment)


def write(outcome: Outcome, call: Call, account: Account | None = None) -> Response:
    """The reply to an accepted send: status 100, 101 or 113 with everything clients read."""
    assert isinstance(outcome, Accepted)  # read() makes no other command
    return allmysms_answers.accepted(outcome, call.format)


def refuse(refusal: Refusal, request: Request, call: Call | None = None, account: Account | None = None) -> Response:
    """The reply to a refusal, in the form that the request asked for; total."""
    settings = (account or _NOBODY).settings
    return allmysms_answers.refused(
        refusal,
        _format_wanted(request) if call is None else call.format,
        settings.message_language,
        settings.message_characters_max,
    )


def tell(report: Report) -> WebhookCall:
    """A receipt for the customer's webhook."""
    return allmysms_answers.webhook(report)


def _verb(path: str) -> str:
    if _VERSION_8.match(path):
        return SEND
    found = _VERSION_9.fullmatch(path)
    if found is None or found[1].lower().endswith(".php"):
        raise Refusal("not_found")
    # Without a version `sendSms` is the only segment; it is no version.
    method = found[2] or (found[1] if found[1].lower() == "sendsms" else "")
    if not method:
        return SIMPLE
    if method.lower() == "sendsms":
        return SEND
    raise Refusal("not_found")


def _values(request: Request) -> dict[str, str]:
    """Parameters by name in lower case, query first, body over it; trimmed but for the message. Raises unreadable."""
    pairs: dict[str, str] = {}
    query = request.query
    if swallowed := _VERSION_8.match(request.path):
        tail = request.path[swallowed.end() :].strip("/")
        if tail:
            # The path came percent-decoded; a percent sign in it is one.
            query = tail.replace("%", "%25").encode(errors="replace") + (b"?" + query if query else b"")
    if query:
        pairs.update(forms.parse_query(query))
    if request.body:
        pairs.update(_from_body(request))
    return {
        name: value if name == "message" else value.strip()
        for name, value in ((name.strip().lower(), value) for name, value in pairs.items())
    }


def _from_body(request: Request) -> dict[str, str]:
    body = request.body
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        return forms.parse_form(request.headers.get("content-type", ""), body)
    values: dict[str, str] = {}
    try:
        for name, raw in _OBJECT.decode(forms.text(body)).items():
            text = allmysms_flow.scalar(msgspec.json.decode(raw))
            if text is not None:
                values[name] = text
            elif name.lower() == "smsdata":
                values[name] = bytes(raw).decode()
            elif name.upper() == "DATA":  # the flow itself, next to the credentials
                values["smsData"] = f'{{"DATA":{bytes(raw).decode()}}}'
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal("unreadable") from error
    return values


def _format(values: Mapping[str, str]) -> str:
    wanted = values.get("returnformat", "").lower()
    if wanted in ("json", "xml"):
        return wanted
    return "xml" if values.get("smsdata", "").lstrip("\ufeff \t\r\n").startswith("<") else "json"


def _format_wanted(request: Request) -> str:
    """The format for a request that could not be opened: as far as it can be read."""
    try:
        return _format(_values(request))
    except Refusal:
        return "json"


def _read_flow(values: Mapping[str, str], account: Account, moment: Moment) -> Send:
    flow = allmysms_flow.read(values.get("smsdata", ""))
    fields = flow.fields
    for name in ("CLIENT", "CLIENTCODE"):
        if name in fields:
            _check_client(fields[name], account)
    if "MESSAGE" not in fields:
        raise Refusal("text_absent")
    message = _message(fields["MESSAGE"])
    if not flow.blocks:
        raise Refusal("recipients_missing")
    if not all(block.numbers for block in flow.blocks):
        raise Refusal("recipient_absent")
    count = _COUNT.match(fields.get("DYNAMIC", ""))  # the provider's own sample has words behind the figure
    instant = scheduled_at(fields.get("DATE", ""), moment)
    sender, warnings = sender_of(fields.get("TPOA", ""), account.settings)
    if any(len(fields.get(name, "")) > LINK_CHARACTERS_MAX for name in ("URL", "LINK", "LIEN")):
        raise Refusal("link_too_long")
    master = fields.get("MASTERACCOUNT", "")
    if master and master.casefold() != account.settings.master.casefold():
        raise Refusal("master_unknown")
    wish = Wish(
        message=message,
        blocks=flow.blocks,
        dynamic=count is not None and int(count[0]) > 0,
        sender=sender,
        warnings=warnings,
        scheduled_at=instant,
        flash=_is_yes(fields.get("FLASH", "")),
        campaign=_label(fields.get("CAMPAIGN_NAME", ""), "CAMPAIGN_NAME"),
        client_reference=_label(fields.get("CLIMSGID", ""), "CLIMSGID"),
    )
    return send(wish, account)


def _read_simple(values: Mapping[str, str], account: Account, moment: Moment) -> Send:
    message = _message(values.get("message", ""))
    written = tuple(w for w in (w.strip() for w in _BETWEEN_NUMBERS.split(values.get("mobile", ""))) if w)
    if not written:
        raise Refusal("recipients_missing")
    instant = scheduled_at(values.get("date", ""), moment)
    sender, warnings = sender_of(values.get("tpoa", ""), account.settings)
    wish = Wish(
        message=message,
        blocks=(Block(written, {}),),
        sender=sender,
        warnings=warnings,
        scheduled_at=instant,
        flash=_is_yes(values.get("flash", "")),
        campaign=_label(values.get("campaign", ""), "CAMPAIGN_NAME"),
        unicode=values.get("coding") == "2",
        lowcost=_is_yes(values.get("lowcost", "")),
    )
    return send(wish, account)


def _message(written: str) -> str:
    if not written or written.isspace():
        raise Refusal("text_missing")
    return written


def _check_client(written: str, account: Account) -> None:
    if not written:
        raise Refusal("client_empty")
    if written != account.login.upper():
        raise Refusal("client_wrong")


def _label(written: str, tag: str) -> str:
    written = segments.clean(written)  # a control character in a label is an accident, and no database takes NUL
    # Cutting it would give back another reference than the caller's.
    if len(written) > LABEL_CHARACTERS_MAX:
        raise Refusal("flow_invalid", tag=tag)
    return written


def _is_yes(written: str) -> bool:
    return written.lower() in _YES
