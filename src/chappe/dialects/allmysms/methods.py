"""The methods of AllMySMS 9.0 that ask for something and send nothing: what they read, and what they answer.

One row of METHODS each. All values of the answers are strings but for money and prices; times are the provider's,
Europe/Paris.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, NoReturn

from chappe.core import localtime
from chappe.core.errors import Refusal
from chappe.core.http import Response
from chappe.core.model import (
    Account,
    Balance,
    Cancel,
    Cancelled,
    Command,
    MessagesFound,
    MessageStatus,
    Moment,
    OptOuts,
    Outcome,
    ReadBalance,
    ReadMessage,
    ReadMessages,
    ReadOptOuts,
    ReadReplies,
    Ready,
    Replies,
    Reply,
    Selector,
)
from chappe.core.publicid import message_id_of
from chappe.dialects import Call
from chappe.dialects.allmysms import lists, subaccounts
from chappe.dialects.allmysms.credits import credits_left
from chappe.dialects.allmysms.prices import credits_of_country, prices
from chappe.dialects.allmysms.render import Fields, Row, money, respond
from chappe.dialects.allmysms.subaccounts import of_sub_account
from chappe.dialects.allmysms.webhooks import acknowledged, delivery

REPLIES_DEFAULT: Final = 1_000  # the provider's
REPLIES_MAX: Final = 10_000  # what is left comes with the next call
SUBMISSION_ID_END: Final = 1 << 44  # public ids carry 60 bits of message id, 16 of them the place

_DIGITS: Final = re.compile(r"[0-9]{1,14}", re.ASCII)
_COMMENTS: Final = {"stop": "stop", "refused": "refused", "manual": "manual unsubscribe"}

Values = Mapping[str, str]


class Method(NamedTuple):
    """One method: what it asks for; the object that answers an outcome; the text for what is not found.

    answer gives None where the outcome is that there is nothing of that name.
    """

    name: str
    read: Callable[[Values, Account, Moment], Command]
    answer: Callable[[Any, Call], Fields | None]
    unknown: str = "account_unknown"
    has_text: bool = False  # errors have the sentence under `text` as well


def read(verb: str, values: Values, account: Account, moment: Moment) -> Command:
    """What a method asks for. Raises Refusal not_found."""
    wanted = "" if verb in (CHANGE_SUB_ACCOUNT, MANAGE_CREDITS) else values.get("subaccount", "")
    return of_sub_account(METHODS[verb].read(values, account, moment), wanted, account)


def write(outcome: Outcome, call: Call) -> Response:
    """The answer of a method. Raises Refusal not_found where the outcome is that there is nothing of that name."""
    fields = METHODS[call.verb].answer(outcome, call)
    if fields is None:
        gone = isinstance(outcome, Cancelled)
        raise Refusal("not_found", text="campaign_gone") if gone else Refusal("not_found")
    return respond(fields, call.format)


def submission_id(written: str) -> int:
    """The submission that a campaign id names. Raises Refusal not_found."""
    if not _DIGITS.fullmatch(written) or not 0 < int(written) < SUBMISSION_ID_END:
        raise Refusal("not_found")
    return int(written)


# -- what is asked


def _campaign(values: Values) -> int:
    return submission_id(values.get("campid") or values.get("campaignid", ""))


def _message(values: Values, moment: Moment) -> int:
    message_id = message_id_of(moment.secret, values.get("smsid", ""))
    if message_id is None:
        raise Refusal("not_found")
    return message_id


def _limit(values: Values) -> int:
    written = values.get("limit", "")
    wanted = int(written) if _DIGITS.fullmatch(written) else 0
    return min(wanted or REPLIES_DEFAULT, REPLIES_MAX)


def _read_acks(values: Values, account: Account, moment: Moment) -> Command:
    return ReadMessages(account, (Selector(_campaign(values)),))


def _read_ack(values: Values, account: Account, moment: Moment) -> Command:
    return ReadMessage(account, _message(values, moment))


def _read_pulls(values: Values, account: Account, moment: Moment) -> Command:
    return ReadReplies(account, new=True, limit=_limit(values))


def _read_pull(values: Values, account: Account, moment: Moment) -> Command:
    return ReadReplies(account, submission_id=_campaign(values), limit=REPLIES_MAX)


def _read_pull_of_message(values: Values, account: Account, moment: Moment) -> Command:
    return ReadReplies(account, message_id=_message(values, moment), limit=REPLIES_MAX)


def _read_blacklist(values: Values, account: Account, moment: Moment) -> Command:
    return ReadOptOuts(account)


def _read_info(values: Values, account: Account, moment: Moment) -> Command:
    return ReadBalance(account, waiting=False)


def _read_prices(values: Values, account: Account, moment: Moment) -> Command:
    return Ready(account)


def _not_served(values: Values, account: Account, moment: Moment) -> NoReturn:
    """MMS, e-mail and short links: nothing here does them."""
    raise Refusal("not_found", text="service_missing")


def _read_deletion(values: Values, account: Account, moment: Moment) -> Command:
    # This API states no time before which it must be asked: whatever has not left is taken back.
    return Cancel(account, _campaign(values), lead_s=0)


# -- what is answered


def _acks(outcome: MessagesFound, call: Call) -> Fields | None:
    found = outcome.groups[0] if outcome.groups else None
    if found is None:
        return None
    return {
        "acks": [_ack_fields(status) for status in acknowledged(found)],
        "cliMsgId": found[0].client_reference if found else "",
    }


def _ack(outcome: MessagesFound, call: Call) -> Fields | None:
    found = outcome.groups[0] if outcome.groups else None
    if not found:
        return None
    return {**_ack_fields(found[0]), "cliMsgId": found[0].client_reference}


def _ack_fields(status: MessageStatus) -> Row:
    number, comment = delivery(status.state, status.reason)
    return {
        "phoneNumber": status.recipient.removeprefix("+"),
        "statut": str(number),  # one edition of the manual has this name, another the next
        "status": str(number),
        "comment": comment,
        "receptionDate": localtime.written(status.at),
    }


def _statistics(outcome: MessagesFound, call: Call) -> Fields | None:
    found = outcome.groups[0] if outcome.groups else None
    if found is None:
        return None
    numbers = [delivery(status.state, status.reason)[0] for status in acknowledged(found)]
    delivered, pending = numbers.count(1), numbers.count(3)
    errors = len(numbers) - delivered - pending
    counts = {"sent": len(numbers), "delivered": delivered, "pending": pending, "errors": errors, "clicks": 0}
    return {"campaign": counts}


def _pulls(outcome: Replies, call: Call) -> Fields:
    return {"mos": [_reply_fields(reply) for reply in outcome.entries]}


def _pull(outcome: Replies, call: Call) -> Fields:
    return {**_pulls(outcome, call), "cliMsgId": outcome.client_reference}


def _pull_of_message(outcome: Replies, call: Call) -> Fields | None:
    if not outcome.entries:
        return None
    # There is room for one: the last word counts.
    fields = dict(_reply_fields(outcome.entries[-1]))
    del fields["id"]
    return fields


def _reply_fields(reply: Reply) -> Row:
    return {
        "phoneNumber": reply.number.removeprefix("+"),
        "id": str(reply.id),
        "campaignId": "" if reply.submission_id is None else str(reply.submission_id),
        "message": reply.text,
        "receptionDate": localtime.written(reply.at),
    }


def _blacklist(outcome: OptOuts, call: Call) -> Fields:
    return {"blacklist": [_opt_out_fields(entry.number, entry.comment, entry.at) for entry in outcome.entries]}


def _opt_out_fields(number: str, comment: str, at: datetime) -> Row:
    return {
        "phoneNumber": number.removeprefix("+"),
        "comment": _COMMENTS.get(comment, comment),
        "receptionDate": localtime.written(at),
    }


def key_of(call: Call, account: Account) -> str:
    """The key of the account that is told of: the caller's own, or nothing, since keys are not stored."""
    return call.credentials.key if call.credentials.login.casefold() == account.login.casefold() else ""


def _info(outcome: Balance, call: Call) -> Fields:
    settings = outcome.account.settings
    return {
        "status": "Active Account",  # no other is let in
        "credits": str(credits_left(outcome.balance_micros)),
        "apiKey": key_of(call, outcome.account),
        "lastName": settings.lastname,
        "firstName": settings.firstname,
        "society": settings.company,
        "email": settings.email,
        "balance": money(outcome.balance_micros),
    }


def _credits(outcome: Ready, call: Call) -> Fields:
    return credits_of_country(_country(call), outcome.account.settings)


def _prices(outcome: Ready, call: Call) -> Fields:
    return prices(_country(call), outcome.account.settings)


def _country(call: Call) -> str:
    assert isinstance(call.values, dict)
    written: str = call.values.get("countryisocode", "")
    return written


def _nothing(outcome: Outcome, call: Call) -> None:
    """The answer to what is never asked."""


def _deletion(outcome: Cancelled, call: Call) -> Fields | None:
    # Asked twice, for instance because the first answer was lost, it is still what was wanted.
    return {"status": "OK"} if outcome.result in ("cancelled", "already") else None


INFO: Final = "getInfo"
# To these methods `subAccount` says what they change, not in whose name.
CHANGE_SUB_ACCOUNT: Final = "updateSubAccount"
MANAGE_CREDITS: Final = "manageSubAccountCredits"
CREATE_LIST: Final = "createList"
# One client calls createList for what other methods do: the parameter says which is meant.
MEANT_BY: Final = {"populatedata": "populateList", "deletedata": "deleteContacts"}
UNSERVED: Final = (*("sendMms", "sendEmail", "shortenUrl"),)
_TABLE: Final = (
    Method("getAcks", _read_acks, _acks, "campaign_unknown"),
    Method("getAckBySmsId", _read_ack, _ack, "sms_unknown"),
    Method("getPulls", _read_pulls, _pulls),
    Method("getPull", _read_pull, _pull, "campaign_unknown"),
    Method("getPullBySmsId", _read_pull_of_message, _pull_of_message, "reply_unknown"),
    Method("getBlacklist", _read_blacklist, _blacklist),
    Method(INFO, _read_info, _info),
    Method("getCreditsByCountryIsoCode", _read_prices, _credits, "country_unknown"),
    Method("getPrices", _read_prices, _prices, "country_unknown"),
    Method("getCampaignStats", _read_acks, _statistics, "campaign_unknown"),
    *(Method(name, _not_served, _nothing) for name in UNSERVED),
    Method("createSubAccount", subaccounts.read_create, subaccounts.created, has_text=True),
    Method(CHANGE_SUB_ACCOUNT, subaccounts.read_change, subaccounts.changed, has_text=True),
    Method("getSubAccounts", subaccounts.read_list, subaccounts.listed, has_text=True),
    Method(MANAGE_CREDITS, subaccounts.read_credits, subaccounts.credited, has_text=True),
    Method("deleteSubAccount", subaccounts.read_remove, subaccounts.removed, has_text=True),
    Method(CREATE_LIST, lists.read_create, lists.created, "account_unknown", has_text=True),
    Method("populateList", lists.read_populate, lists.populated, "list_unknown", has_text=True),
    Method("deleteContacts", lists.read_delete_contacts, lists.contacts_deleted, "list_unknown", has_text=True),
    Method("deleteList", lists.read_delete_list, lists.removed, "list_unknown", has_text=True),
    Method("getLists", lists.read_lists, lists.lists, "account_unknown", has_text=True),
    Method("getContacts", lists.read_contacts, lists.contacts, "list_unknown", has_text=True),
    Method("deleteCampaign", _read_deletion, _deletion, "campaign_unknown"),
)
METHODS: Final[Mapping[str, Method]] = {method.name: method for method in _TABLE}
