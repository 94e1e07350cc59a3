"""What any dialect may be asked and answered, for the tests of all of them: requests, accounts, outcomes."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

import msgspec

from chappe.core.contacts import (
    AddContacts,
    AddGroup,
    ChangeContact,
    Contact,
    ContactFound,
    ContactResult,
    Contacts,
    ContactsAdded,
    ContactsRemoved,
    Group,
    GroupAdded,
    Groups,
    NewContact,
    ReadContact,
    ReadContacts,
    ReadGroups,
    RemoveContact,
    RemoveContacts,
    RemoveGroup,
)
from chappe.core.http import Request
from chappe.core.lifecycle import State
from chappe.core.model import (
    Accepted,
    Account,
    AccountSettings,
    AddOptOut,
    Balance,
    Cancel,
    Cancelled,
    Command,
    Costs,
    MessagesFound,
    MessageStatus,
    Moment,
    MonthCost,
    OfSubAccount,
    OptOut,
    OptOutAdded,
    OptOuts,
    Outcome,
    ReadBalance,
    ReadCosts,
    ReadMessage,
    ReadMessages,
    ReadOptOuts,
    ReadReplies,
    ReadTagged,
    Ready,
    Removed,
    RemoveOptOut,
    Replies,
    Reply,
    Send,
    Simulate,
    Simulated,
    Skipped,
)
from chappe.core.publicid import public_id
from chappe.core.subaccounts import (
    ChangeSubAccount,
    CreateSubAccount,
    CreditMoved,
    MoveCredit,
    ReadSubAccounts,
    RemoveSubAccount,
    SubAccount,
    SubAccountChanged,
    SubAccountMade,
    SubAccountRemoved,
    SubAccounts,
)
from chappe.dialects import Call, Dialect

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOW = Moment(AT, secret=b"secret")
SMS_ID = public_id(b"secret", 4587 << 16)
ACCOUNTS = (
    Account(1, "demo", balance_micros=1_000_000),
    Account(2, "demo", settings=AccountSettings(message_language="en", errors_as_http_200=True, sender_strict=True)),
    Account(3, "demo", settings=AccountSettings(stop_mention=" STOP au 36180", stop_mention_automatic=True)),
)

# A request of each dialect that asks for one message, in both forms of answer; a new dialect brings its own.
SENDS: dict[str, dict[str, Request]] = {
    "smspartner": {
        form: Request(
            "POST",
            "/v1/send",
            query,
            {"content-type": "application/json"},
            b'{"apiKey":"KEY","phoneNumbers":"+33612345678","message":"Bonjour"}',
        )
        for form, query in (("json", b""), ("xml", b"_format=xml"))
    },
    "allmysms": {
        form: Request(
            "POST",
            "/http/9.0/",
            b"",
            {"content-type": "application/x-www-form-urlencoded"},
            urlencode(
                {"login": "demo", "apiKey": "KEY", "message": "Bonjour", "mobile": "0612345678", "returnformat": form}
            ).encode(),
        )
        for form in ("json", "xml")
    },
}

_BASIC = {"authorization": "Basic ZGVtbzpLRVk="}  # demo:KEY

NEW_SUB_ACCOUNT = '"FIRSTNAME":"A","LASTNAME":"B","EMAIL":"a@x.fr","LOGIN":"a","PASSWORD":"secret"'

# Everything else that the dialects understand: path, parameters, headers; a new method brings its line.
ASKS: dict[str, tuple[tuple[str, dict[str, object], dict[str, str]], ...]] = {
    "smspartner": (
        ("/v1/me", {}, {}),
        ("/v1/message-cancel", {"messageId": 4587}, {}),
        ("/v1/message-status", {"messageId": 4587, "phoneNumber": "0612345678"}, {}),
        ("/v1/multi-status", {"SMSStatut_List": [{"messageId": 4587, "phoneNumber": "0612345678"}]}, {}),
        ("/v1/bulk-status", {"messageId": 4587}, {}),
        ("/v1/bulk-status-by-tag", {"tag": "t"}, {}),
        ("/v1/statistics/cost-resume", {"interval": "last_month"}, {}),
        ("/v1/stop-sms/list", {}, {}),
        ("/v1/stop-sms/add", {"phoneNumber": "0612345678"}, {}),
        ("/v1/stop-sms/delete", {"id": 7}, {}),
        ("/v1/lookup", {"phoneNumbers": "0612345678"}, {}),
        ("/v1/group/add", {"name": "Clients"}, {}),
        ("/v1/group/list", {}, {}),
        ("/v1/groupe/delete", {"groupId": 7}, {}),
        ("/v1/contact/add", {"groupId": 7, "contact": {"phoneNumber": "0612345678"}}, {}),
        ("/v1/contact/multiple/add", {"groupId": 7, "contactsList": [{"phoneNumber": "0612345678"}, {}]}, {}),
        ("/v1/contact/update", {"contactId": 7, "contact": {"firstname": "Ana"}}, {}),
        ("/v1/contact/delete", {"contactId": 7}, {}),
        ("/v1/contact/list", {"groupId": 7}, {}),
        ("/v1/contact/detail", {"contactId": 7}, {}),
        ("/v1/subaccount/create", {"type": "simple", "parameters": {"email": "a@x.fr"}}, {}),
        ("/v1/subaccount/remove", {"token": "0" * 32}, {}),
        ("/v1/subaccount/list", {}, {}),
        ("/v1/subaccount/credit/add", {"credit": "5", "tokenSubaccount": "0" * 32}, {}),
        ("/v1/subaccount/credit/remove", {"credit": "5", "tokenSubaccount": "0" * 32}, {}),
        ("/v1/rcs/send", {"phoneNumbers": "0612345678", "failover": {"message": "Bonjour"}}, {}),
        ("/v1/bulk-send", {"SMSList": [{"phoneNumber": "0612345678", "message": "Bonjour"}]}, {}),
    ),
    "allmysms": (
        ("/http/9.0/getAcks", {"campId": 4587}, {}),
        ("/http/9.0/getAckBySmsId", {"smsId": SMS_ID}, {}),
        ("/http/9.0/getPulls", {"limit": 10}, {}),
        ("/http/9.0/getPull", {"campId": 4587}, {}),
        ("/http/9.0/getPullBySmsId", {"smsId": SMS_ID}, {}),
        ("/http/9.0/getBlacklist", {}, {}),
        ("/http/9.0/getInfo", {}, {}),
        ("/http/9.0/getInfo", {"subAccount": "shop"}, {}),
        ("/http/9.0/getCreditsByCountryIsoCode", {"countryIsoCode": "FR"}, {}),
        ("/http/9.0/getPrices", {}, {}),
        ("/http/9.0/deleteCampaign", {"campId": 4587}, {}),
        ("/http/9.0/getCampaignStats", {"campId": 4587}, {}),
        (
            "/http/9.0/simulateCampaign",
            {"smsData": '{"DATA":{"MESSAGE":"Bonjour","SMS":[{"MOBILEPHONE":"0612345678"}]}}'},
            {},
        ),
        (
            "/http/9.0/createSubAccount",
            {"accountData": f'{{"DATA":{{{NEW_SUB_ACCOUNT}}}}}'},
            {},
        ),
        ("/http/9.0/updateSubAccount", {"subAccount": "a", "accountData": '{"DATA":{"CITY":"Metz"}}'}, {}),
        ("/http/9.0/getSubAccounts", {}, {}),
        ("/http/9.0/manageSubAccountCredits", {"subAccount": "a", "credits": "-5"}, {}),
        ("/http/9.0/deleteSubAccount", {"loginToDelete": "a"}, {}),
        ("/http/9.0/createList", {"listData": '{"DATA":{"LISTNAME":"L","STRUCTURE":[{"FIELDNAME":"CITY"}]}}'}, {}),
        ("/http/9.0/populateList", {"populateData": '{"DATA":{"LISTNAME":"L","CONTACTS":[{"MOBILEPHONE":"06"}]}}'}, {}),
        ("/http/9.0/deleteContacts", {"deleteData": '{"DATA":{"LISTNAME":"L","CONTACTS":[{"MOBILEPHONE":"6"}]}}'}, {}),
        ("/http/9.0/deleteList", {"listName": "L"}, {}),
        ("/http/9.0/getLists", {}, {}),
        ("/http/9.0/getContacts", {"listName": "L"}, {}),
        ("/sms/send", {"to": "0612345678", "text": "Bonjour"}, _BASIC),
        ("/sms/send", {"to": "0612345678", "text": "Bonjour", "simulate": 1}, _BASIC),
        ("/sms/send/bulk", {"to": ["0612345678"], "text": "Bonjour"}, _BASIC),
        ("/sms/send/bulk", {"to": ["0612345678"], "text": "Bonjour", "simulate": 1}, _BASIC),
        ("/report/campaign/4587", {}, _BASIC),
        ("/account", {}, _BASIC),
        ("/voice/send/bulk", {"to": ["0612345678"]}, _BASIC),
    ),
}


def opened(dialect: Dialect, request: Request) -> Call:
    call = dialect.open(request)
    assert isinstance(call, Call)
    return call


def outcomes_of_contacts(command: Command) -> list[Outcome]:
    """The outcomes that the actions of contacts may have."""
    hard = 'é"<&>😀\0'
    group = Group(7, hard, AT, 1, locked=True, structure=("CITY",))
    contact = Contact(9, 7, "+33612345678", AT, {"firstname": hard, "CITY": hard}, opted_out=True)
    new = NewContact("+33612345678", {"firstname": hard}, "", hard)
    match command:
        case AddGroup():
            return [GroupAdded(group)]
        case ReadGroups():
            return [Groups(()), Groups((group,))]
        case AddContacts():
            reasons = ("", "known") if len(command.contacts) == 1 else ("", "known", "repeated", "empty", "url", "date")
            count = len(command.contacts)
            return [ContactsAdded(group, (ContactResult(new, 9, reason, True),) * count, AT) for reason in reasons]
        case RemoveGroup() | RemoveContact() | RemoveContacts():
            return [ContactsRemoved(0), ContactsRemoved(1)]
        case ChangeContact() | ReadContact():
            return [ContactFound(contact)]
        case ReadContacts():
            return [Contacts(group, (), 0), Contacts(group, (contact,), 200_000)]
    raise AssertionError(command)


def outcomes_of_sub_accounts(command: Command) -> list[Outcome]:
    """The outcomes that the actions of sub-accounts may have; none for other commands."""
    hard = 'é"<&>😀\0'
    own = AccountSettings(email=hard, company=hard, details={"CITY": hard}, is_buyer=True)
    sub = SubAccount(Account(7, hard, balance_micros=-1, settings=own), "0" * 32, hard, AT)
    match command:
        case CreateSubAccount():
            return [SubAccountMade(sub)]
        case ChangeSubAccount():
            return [SubAccountChanged(sub)]
        case RemoveSubAccount():
            return [SubAccountRemoved(hard, 0), SubAccountRemoved(hard, 123_456)]
        case ReadSubAccounts():
            return [SubAccounts((), 0), SubAccounts((sub,), 200_000)]
        case MoveCredit():
            return [CreditMoved(-1, sub)]
    return []


def outcomes(command: Command) -> list[Outcome]:
    """What the actions may answer to a command: something, nothing, and what is hard to write."""
    hard = 'é"<&>😀\0'
    status = MessageStatus(4587, 4587 << 16, "+33612345678", "delivered", AT, AT, 45_000, 1)
    statuses = tuple(
        msgspec.structs.replace(status, state=state.word, reason=hard, tag=hard, client_reference=hard)
        for state in State
    )
    reply = Reply(7, "+33612345678", "36180", hard, AT)
    match command:
        case Send():
            ids = (SMS_ID,) * len(command.recipients) if command.public_ids else ()
            skipped = (*command.skipped, Skipped(hard, "opted_out", "+33612345678"))
            return [
                Accepted(4587, command, 0, ids),
                Accepted(4587, msgspec.structs.replace(command, skipped=skipped), -1, ids),
            ]
        case Simulate():
            return [Simulated(command.send, -1)]
        case ReadBalance():
            return [Balance(command.account, balance_micros, 3) for balance_micros in (-1, 0, 123_456_789_012)]
        case Ready():
            return [command]
        case OfSubAccount():
            return outcomes(command.command)
        case ReadMessages():
            one = msgspec.structs.replace(status, opted_out=True)
            return [MessagesFound((group,) * len(command.selectors)) for group in (None, (), (one,), statuses)]
        case ReadMessage():
            return [MessagesFound(((one,),)) for one in statuses]
        case ReadTagged():
            return [MessagesFound((group,), len(group)) for group in ((), statuses)]
        case Cancel():
            return [
                Cancelled(command.submission_id, word, 1, 45_000)
                for word in ("cancelled", "already", "too_late", "sent")
            ]
        case ReadOptOuts():
            return [
                OptOuts(()),
                OptOuts(tuple(OptOut(7, "+33612345678", AT, word) for word in ("stop", "refused", "manual"))),
            ]
        case AddOptOut():
            return [OptOutAdded(7), OptOutAdded(7, known=True)]
        case RemoveOptOut():
            return [Removed(found=True), Removed(found=False), Removed(found=False, protected=True)]
        case ReadReplies():
            return [Replies(()), Replies((reply, msgspec.structs.replace(reply, submission_id=4587)), hard)]
        case ReadCosts():
            return [Costs(()), Costs((MonthCost(datetime(2026, 1, 31, 23, 0, tzinfo=UTC), 123_456, 3),))]
    return outcomes_of_sub_accounts(command) or outcomes_of_contacts(command)
