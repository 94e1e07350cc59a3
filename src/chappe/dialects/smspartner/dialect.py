"""SMS Partner v1, unchanged for its clients: sending, status, STOP list, contacts, statistics, look-up.

Any method on every path; query and body are one set of values; answers in JSON or XML; errors in the
provider's codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NoReturn

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.model import Account, AccountSettings, Command, Moment, Outcome, ReadBalance, Reply, Report
from chappe.core.pricelist import PriceList
from chappe.dialects import Call, Credentials, WebhookCall
from chappe.dialects.smspartner import (
    answers,
    bulk,
    contacts,
    lookup,
    rcs,
    send_options,
    statistics,
    status,
    stop,
    subaccounts,
    webhooks,
)
from chappe.dialects.smspartner import request_parser as request_values
from chappe.dialects.smspartner.refusals import SmsPartnerRefusal
from chappe.dialects.smspartner.request_parser import Values

NAME = "smspartner"
REFUSAL: Final = SmsPartnerRefusal
PUBLIC_IDS: Final = False
CALLS_PER_MINUTE: Final[Mapping[str, int]] = {"statistics/cost-resume": 5, "lookup": 360}  # documentation of 2024
PREFIX: Final = "/v1/"
KEY_CHARACTERS_MAX: Final = 200
UNSERVED: Final = "(unserved)"  # no path can be it: parentheses are in none of the names below

_DEFAULTS: Final = AccountSettings()

# What the provider has and we do not: single pages, and all pages below a name.
PAGES_ELSEWHERE: Final = frozenset(("hlr/notify", "vn/callforward", "sondage/to/send"))
FAMILIES: Final = frozenset(("contact", "group", "groupe", "subaccount", "location"))

# The provider misspells, its clients may not; and its pages of 2025 say delete.
ALIASES: Final[Mapping[str, str]] = {"group/delete": "groupe/delete", "subaccount/delete": "subaccount/remove"}

Reader = Callable[[Values, Account, Moment], Command]
Writer = Callable[[Any, Values, AccountSettings, bool], Response]


def _not_served(values: Values, account: Account, moment: Moment) -> NoReturn:
    """The answer for calls that do not exist here: surveys, call forwarding, and every unknown name.

    Access is denied, as to accounts of the provider that have not ordered it. 404 means in this API that a contact, a
    group or a sub-account does not exist, and a program that keeps two lists alike takes it for a deletion.
    """
    raise Refusal("access_denied")


# Page -> how its request is read, how its outcome is told.
PAGES: Final[Mapping[str, tuple[Reader, Writer]]] = {
    "send": (partial(contacts.read_send, "send"), answers.sent),
    "vn/send": (partial(contacts.read_send, "vn/send"), answers.sent),
    "bulk-send": (bulk.read, bulk.sent),
    "rcs/send": (rcs.read, rcs.sent),
    "me": (lambda values, account, moment: ReadBalance(account), answers.balance),
    "message-cancel": (status.read_cancel, status.cancelled),
    "message-status": (status.read_one, status.one),
    "multi-status": (status.read_many, status.many),
    "bulk-status": (status.read_submission, status.submission),
    "bulk-status-by-tag": (status.read_tagged, status.tagged),
    "statistics/cost-resume": (statistics.read, statistics.summed),
    "stop-sms/list": (stop.read_list, stop.listed),
    "stop-sms/add": (stop.read_add, stop.added),
    "stop-sms/delete": (stop.read_delete, stop.deleted),
    "lookup": (lookup.read, lookup.found),
    "subaccount/create": (subaccounts.read_create, subaccounts.created),
    "subaccount/remove": (subaccounts.read_remove, subaccounts.removed),
    "subaccount/list": (subaccounts.read_list, subaccounts.listed),
    "subaccount/credit/add": (subaccounts.read_add_credit, subaccounts.credit_moved),
    "subaccount/credit/remove": (subaccounts.read_remove_credit, subaccounts.credit_moved),
    "group/add": (contacts.read_add_group, contacts.group_added),
    "group/list": (contacts.read_groups, contacts.groups),
    "groupe/delete": (contacts.read_remove_group, contacts.removed),
    "contact/add": (contacts.read_add, contacts.added),
    "contact/multiple/add": (contacts.read_add_many, contacts.added_many),
    "contact/update": (contacts.read_change, contacts.changed),
    "contact/delete": (contacts.read_remove, contacts.removed),
    "contact/list": (contacts.read_list, contacts.listed),
    "contact/detail": (contacts.read_detail, contacts.detail),
    UNSERVED: (_not_served, answers.sent),
}


def matches(path: str) -> bool:
    """Whether the provider has such a page, served here or not. What else is below /v1/ may be another API's."""
    if not path.startswith(PREFIX):
        return False
    verb = _verb(path)
    return (verb in PAGES and verb != UNSERVED) or verb in PAGES_ELSEWHERE or verb.partition("/")[0] in FAMILIES


def open(request: Request) -> Call:
    """The request with its key. Raises Refusal unreadable, key_missing, key_unknown."""
    verb = _verb(request.path)
    if verb not in PAGES:
        verb = ALIASES.get(verb, UNSERVED)
    values = request_values.read(request)
    key = request_values.text(values.get("apiKey"))
    if not key:
        raise Refusal("key_missing")
    if len(key) > KEY_CHARACTERS_MAX or not key.isprintable():
        raise Refusal("key_unknown")  # no account has such a key, and no database would take it
    if verb == "send" and "phoneNumbers" not in values and "SMSList" in values:
        verb = "bulk-send"  # some pages of the provider print that path for it
    elif verb == "contact/add" and "contactsList" in values:
        verb = "contact/multiple/add"  # likewise
    return Call(Credentials(key), verb, request_values.format_of(values), values)


def read(call: Call, account: Account, moment: Moment) -> Command:
    """What is asked for. Raises Refusal."""
    assert isinstance(call.values, dict)
    return PAGES[call.verb][0](call.values, account, moment)


def write(outcome: Outcome, call: Call, account: Account | None = None) -> Response:
    """The answer to an outcome, in the form that the call wants, in the language of the account."""
    assert isinstance(call.values, dict)
    settings = _DEFAULTS if account is None else account.settings
    xml = call.format == "xml"
    try:
        return PAGES[call.verb][1](outcome, call.values, settings, xml)
    except Refusal as refusal:  # the outcome is that it cannot be
        return answers.refused(refusal, xml=xml, verb=call.verb, date_written="", settings=settings)


def refuse(refusal: Refusal, request: Request, call: Call | None = None, account: Account | None = None) -> Response:
    """The answer to a refusal of any code; without a call the form is found in the request, as far as it goes."""
    wanted = request_values.wanted_format(request) if call is None else call.format
    date_written = ""
    if call is not None and isinstance(call.values, dict):
        date_written = request_values.text(call.values.get("scheduledDeliveryDate"))
    return answers.refused(
        refusal,
        xml=wanted == "xml",
        verb=_verb(request.path) if call is None else call.verb,
        date_written=date_written,
        settings=_DEFAULTS if account is None else account.settings,
    )


def prices(settings: AccountSettings) -> PriceList:
    """What a part costs the account where nothing says otherwise: of the premium range."""
    return send_options.prices(settings, lowcost=False)


def tell(report: Report) -> WebhookCall:
    """A delivery report: POST of JSON to the target, whose query is kept as it is."""
    return webhooks.report(report)


def tell_reply(reply: Reply) -> tuple[WebhookCall, ...]:
    """A reply or a STOP: POST of JSON; a long reply on a long number is one call a part."""
    return webhooks.reply(reply)


def _verb(path: str) -> str:
    return path.removeprefix(PREFIX).rstrip("/")
