"""AllMySMS 9.0 and its REST API: which requests are theirs, what they ask for, and how they are answered.

Built: sending by flow, under its older names too, and by simple parameters, simulating it, and the methods of
allmysms_methods.py that only ask; REST is in allmysms_rest.py. Flows are read in allmysms_flow.py. Sources: the
provider's API page for names, statuses and texts; public client code for what the page does not show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from chappe.core.contacts import GroupKey, SendToGroup
from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import (
    Accepted,
    Account,
    AccountSettings,
    Command,
    Moment,
    Outcome,
    Reply,
    Report,
    Send,
    Simulate,
    Simulated,
)
from chappe.core.pricelist import PriceList
from chappe.dialects import Call, WebhookCall, forms
from chappe.dialects.allmysms import (
    answers,
    lists,
    methods,
    rest,
    rest_answers,
    webhooks,
)
from chappe.dialects.allmysms import (
    flow as allmysms_flow,
)
from chappe.dialects.allmysms.flow import Block
from chappe.dialects.allmysms.methods import CREATE_LIST, INFO, MEANT_BY, METHODS
from chappe.dialects.allmysms.prices import price_list_of
from chappe.dialects.allmysms.refusals import AllMySmsRefusal
from chappe.dialects.allmysms.render import LINES
from chappe.dialects.allmysms.send import NAME as NAME
from chappe.dialects.allmysms.send import Wish, credentials, is_yes, label, message_of, scheduled_at, send, sender_of

REFUSAL: Final = AllMySmsRefusal
PUBLIC_IDS: Final = True
CALLS_PER_MINUTE: Final[Mapping[str, int]] = {}
SEND: Final = "sendSms"
SIMPLE: Final = "send"
SIMULATE: Final = "simulateCampaign"

LINK_CHARACTERS_MAX: Final = 80
PLACES_PER_NUMBER_MAX: Final = 10  # a list may have empty places, but millions of separators are no list

_VERSION_2: Final = re.compile(r"/+smsmod/+amsmodule\.sendsms\.v2\.php/*", re.IGNORECASE)
_VERSION_6: Final = re.compile(r"/+amsmodule\.sendsms\.v6\.php/*", re.IGNORECASE)
# The provider's Python sample forgets the `?` before its parameters, so what follows `.php` may be a query.
_VERSION_8: Final = re.compile(r"/+http/+(sendSms|getInfo|getPull)_v8\.php", re.IGNORECASE)
_VERSION_9: Final = re.compile(r"/+http/+([^/]+)(?:/+([^/]+))?/*", re.IGNORECASE)
# The names that each form of a send reads; `verbose` reports the others.
_TAGS: Final = frozenset(
    (
        "MESSAGE",
        "DYNAMIC",
        "CAMPAIGN_NAME",
        "DATE",
        "TPOA",
        "FLASH",
        "CLIMSGID",
        "MASTERACCOUNT",
        "LISTNAME",
        "LISTNAME",
        "CLIENT",
        "CLIENTCODE",
    )
)
_PARAMETERS: Final = frozenset(("login", "apikey", "clientcode", "passcode", "returnformat", "verbose"))
_FLOW_PARAMETERS: Final = frozenset(("smsdata", "xmlflow"))
_SIMPLE_PARAMETERS: Final = frozenset(("message", "mobile", "tpoa", "date", "flash", "campaign", "coding", "lowcost"))
_VERBS: Final = {verb.lower(): verb for verb in (SEND, SIMULATE, *METHODS)}
# The paths of version 9.0 and of older ones. All other paths of a host belong to the REST API, which answers in JSON.
_OLD_API: Final = re.compile(r"/+(?:http(?:/|$)|[^/]+\.php|smsmod/)", re.IGNORECASE)
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_BETWEEN_NUMBERS: Final = re.compile(r"[;,\r\n]+")
_DEFAULTS: Final = AccountSettings()
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def matches(path: str) -> bool:
    """Whether the provider has such a method, served here or not: of 9.0, of an older version, or of REST."""
    if rest.is_below(path):
        return rest.matches(path)
    return _method(path) is not None


def open(request: Request) -> Call | Response:
    """The call that a request makes; REST's ping is answered at once.

    Raises Refusal not_found, unreadable, key_missing, key_unknown.
    """
    if rest.is_below(request.path):
        return rest.call_of(request)
    verb = _verb(request.path)
    values = _values(request)
    login = values.get("login") or values.get("clientcode", "")
    key = values.get("apikey") or values.get("passcode", "")
    if verb == CREATE_LIST:
        verb = next((meant for name, meant in MEANT_BY.items() if name in values), verb)
    return Call(credentials(login, key), verb, _format(request.path, values), values)


def read(call: Call, account: Account, moment: Moment) -> Command:
    """What the call asks for.

    Checks of a send come in the order of the contract: the flow, the client code, the message, the recipients, the
    date, the sender, links, the master account, the length, the numbers. Raises Refusal.
    """
    if call.format == rest.FORMAT:
        return rest.read(call, account, moment)
    values = call.values
    assert isinstance(values, dict)
    if call.verb in METHODS:
        return methods.read(call.verb, values, account, moment)
    if call.verb == SIMULATE:
        return _read_flow(values, account, moment, simulate=True)
    return (_read_simple if call.verb == SIMPLE else _read_flow)(values, account, moment)


def write(outcome: Outcome, call: Call, account: Account | None = None) -> Response:
    """The reply to an outcome of what read() makes; account: whose language words what was not found."""
    try:
        if call.format == rest.FORMAT:
            return rest_answers.write(outcome, call)
        if isinstance(outcome, Accepted):
            return answers.accepted(outcome, call.format, _ignored(call, outcome.command))
        if isinstance(outcome, Simulated):
            return answers.simulated(outcome, call.format, _ignored(call, outcome.command))
        return methods.write(outcome, call)
    except Refusal as refusal:
        return _refuse(refusal, call.format, call.verb, account)


def refuse(refusal: Refusal, request: Request, call: Call | None = None, account: Account | None = None) -> Response:
    """The reply to a refusal, in the form that the request asked for; total."""
    if rest.is_below(request.path) or not _OLD_API.match(request.path):
        return rest_answers.refused(refusal)
    if call is None:
        return _refuse(refusal, _format_wanted(request), SIMPLE, account)
    return _refuse(refusal, call.format, call.verb, account)


def prices(settings: AccountSettings) -> PriceList:
    """What a part costs the account, by destination."""
    return price_list_of(settings)


def tell(report: Report) -> WebhookCall:
    """A receipt for the customer's webhook."""
    return webhooks.receipt(report)


def tell_reply(reply: Reply) -> tuple[WebhookCall, ...]:
    """A subscriber's reply for the customer's webhook, whole."""
    return (webhooks.reply(reply),)


def _refuse(refusal: Refusal, form: str, verb: str, account: Account | None) -> Response:
    if form == rest.FORMAT:
        return rest_answers.refused(refusal)
    settings = _DEFAULTS if account is None else account.settings
    method = METHODS.get(verb)
    unknown = None if method is None else method.unknown
    if verb == INFO and refusal.code == "not_found":
        refusal = Refusal("key_unknown")  # the one method whose unknown sub-account has a number
    elif verb in (SEND, SIMULATE) and refusal.code == "not_found":
        refusal = AllMySmsRefusal("list_unknown")  # a send names nothing else that may not be there
    return answers.refused(refusal, form, settings, unknown=unknown, has_text=method is not None and method.has_text)


def _verb(path: str) -> str:
    verb = _method(path)
    if verb is None:
        raise Refusal("not_found")
    return verb


def _method(path: str) -> str | None:
    """The method that a path names; None where the provider has none of that name."""
    if _VERSION_6.fullmatch(path) or _VERSION_2.fullmatch(path):
        return SEND
    if old := _VERSION_8.match(path):
        return _VERBS[old[1].lower()]
    found = _VERSION_9.fullmatch(path)
    if found is None or found[1].lower().endswith(".php"):
        return None
    # Without a version the method is the only segment; it is no version.
    method = found[2] or (found[1] if found[1].lower() in _VERBS else "")
    return _VERBS.get(method.lower()) if method else SIMPLE


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
    values = {
        name: value if name == "message" else value.strip()
        for name, value in ((name.strip().lower(), value) for name, value in pairs.items())
    }
    if "xmlflow" in values:
        values.setdefault("smsdata", values["xmlflow"])  # its name in version 6
    return values


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


def _format(path: str, values: Mapping[str, str]) -> str:
    if _VERSION_2.fullmatch(path):
        return LINES
    wanted = values.get("returnformat", "").lower()
    if wanted in ("json", "xml"):
        return wanted
    return "xml" if values.get("smsdata", "").lstrip("\ufeff \t\r\n").startswith("<") else "json"


def _format_wanted(request: Request) -> str:
    """The format for a request that could not be opened: as far as it can be read."""
    try:
        return _format(request.path, _values(request))
    except Refusal:
        return _format(request.path, {})


def _read_flow(
    values: Mapping[str, str], account: Account, moment: Moment, *, simulate: bool = False
) -> Send | Simulate | SendToGroup:
    flow = allmysms_flow.read(values.get("smsdata", ""))
    fields = flow.fields
    for name in ("CLIENT", "CLIENTCODE"):
        if name in fields:
            _check_client(fields[name], account)
    if "MESSAGE" not in fields:
        raise AllMySmsRefusal("text_absent")
    message = message_of(fields["MESSAGE"])
    to_list = fields.get("LISTNAME", "") if not flow.blocks else ""
    if not flow.blocks and not to_list:
        raise Refusal("recipients_missing")
    if not all(block.numbers for block in flow.blocks):
        raise AllMySmsRefusal("recipient_absent")
    count = _COUNT.match(fields.get("DYNAMIC", ""))  # the provider's own sample has words behind the figure
    instant = scheduled_at(fields.get("DATE", ""), moment)
    sender, warnings = sender_of(fields.get("TPOA", ""), account.settings)
    if any(len(fields.get(name, "")) > LINK_CHARACTERS_MAX for name in ("URL", "LINK", "LIEN")):
        raise AllMySmsRefusal("link_too_long")
    master = fields.get("MASTERACCOUNT", "")
    if master and master.casefold() != account.settings.master.casefold():
        raise AllMySmsRefusal("master_unknown")
    wish = Wish(
        message=message,
        blocks=flow.blocks,
        dynamic=count is not None and int(count[0]) > 0,
        sender=sender,
        warnings=warnings,
        scheduled_at=instant,
        flash=is_yes(fields.get("FLASH", "")),
        campaign=label(fields.get("CAMPAIGN_NAME", ""), "CAMPAIGN_NAME"),
        client_reference=label(fields.get("CLIMSGID", ""), "CLIMSGID"),
    )
    ignored = tuple(name for name in fields if name not in _TAGS) if is_yes(values.get("verbose", "")) else None

    def told(sent: Send) -> Send | Simulate:
        sent = sent if ignored is None else msgspec.structs.replace(sent, answer=ignored)
        return Simulate(sent) if simulate else sent

    if not to_list:
        return told(send(wish, account))
    return SendToGroup(
        account, GroupKey(name=to_list), lambda group, members: told(lists.complete(wish, account, group, members))
    )


def _read_simple(values: Mapping[str, str], account: Account, moment: Moment) -> Send:
    message = message_of(values.get("message", ""))
    listed = values.get("mobile", "")
    if sum(map(listed.count, ";,\r\n")) > PLACES_PER_NUMBER_MAX * account.settings.numbers_per_request_allmysms_max:
        raise Refusal("recipients_too_many")  # even empty places are too many
    written = tuple(w for w in (w.strip() for w in _BETWEEN_NUMBERS.split(listed)) if w)
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
        flash=is_yes(values.get("flash", "")),
        campaign=label(values.get("campaign", ""), "CAMPAIGN_NAME"),
        unicode=values.get("coding") == "2",
        lowcost=is_yes(values.get("lowcost", "")),
    )
    return send(wish, account)


def _ignored(call: Call, command: Send) -> Iterable[str] | None:
    """The names in a request that nothing reads, where it asks for them; None where it does not."""
    assert isinstance(call.values, dict)
    if not is_yes(call.values.get("verbose", "")):
        return None
    read = _PARAMETERS | (_SIMPLE_PARAMETERS if call.verb == SIMPLE else _FLOW_PARAMETERS)
    assert command.answer is None or isinstance(command.answer, tuple)
    return (*sorted(call.values.keys() - read), *(command.answer or ()))


def _check_client(written: str, account: Account) -> None:
    if not written:
        raise AllMySmsRefusal("client_empty")
    if written != account.login.upper():
        raise AllMySmsRefusal("client_wrong")
