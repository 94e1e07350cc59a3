"""Sub-accounts of AllMySMS 9.0: making, changing, listing, funding and removing them; and asking what one of them would
be answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from chappe.core import localtime
from chappe.core.contacts import AddContacts, AddGroup, ReadContacts, ReadGroups, RemoveContacts, RemoveGroup
from chappe.core.errors import Refusal
from chappe.core.model import (
    Account,
    Command,
    Moment,
    OfSubAccount,
    ReadBalance,
    ReadMessage,
    ReadMessages,
    ReadOptOuts,
    ReadReplies,
    Ready,
)
from chappe.core.subaccounts import (
    ChangeSubAccount,
    CreateSubAccount,
    CreditMoved,
    MoveCredit,
    ReadSubAccounts,
    RemoveSubAccount,
    SubAccount,
    SubAccountChanged,
    SubAccountKey,
    SubAccountMade,
    SubAccountRemoved,
    SubAccounts,
)
from chappe.dialects import Call
from chappe.dialects.allmysms import data
from chappe.dialects.allmysms.credits import CREDIT_MICROS, credits_left
from chappe.dialects.allmysms.data import Data
from chappe.dialects.allmysms.refusals import AllMySmsRefusal
from chappe.dialects.allmysms.render import Fields, Row
from chappe.dialects.allmysms.send import CREDENTIAL_CHARACTERS_MAX, is_yes

# fmt: off
_OF_OTHERS: Final = (
    Ready, ReadBalance, ReadMessages, ReadMessage, ReadOptOuts, ReadReplies,
    AddGroup, ReadGroups, RemoveGroup, AddContacts, RemoveContacts, ReadContacts,
)
# fmt: on

DONE: Final = "1"
PASSWORD_CHARACTERS_MIN: Final = 6
TEXT_CHARACTERS_MAX: Final = 200
CREDITS_MAX: Final = 10**12
_LOGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII).fullmatch
_CREDITS: Final = re.compile(r"[+-]?[0-9]{1,13}", re.ASCII).fullmatch
# Key of DATA -> setting of the account; the others are kept as they came.
_SETTINGS: Final = {"FIRSTNAME": "firstname", "LASTNAME": "lastname", "SOCIETY": "company", "EMAIL": "email"}
_REQUIRED: Final = ("FIRSTNAME", "LASTNAME", "EMAIL", "LOGIN", "PASSWORD")
_KEPT: Final = (
    *("MOBILE", "PHONE", "WEBSITE", "ADDRESS", "ZIP", "CITY", "COUNTRY"),
    *("BILLFIRSTNAME", "BILLLASTNAME", "BILLSOCIETY", "BILLADDRESS", "BILLZIP", "BILLCITY", "BILLCOUNTRY"),
    *("BILLEMAIL", "BILLMOBILE", "BILLPHONE", "PROFILE"),
)
# Key of an answer -> where its value is kept.
_TOLD: Final[Mapping[str, str]] = {
    "LastName": "lastname",
    "FirstName": "firstname",
    "ClientType": "PROFILE",
    "Company": "company",
    "Phone": "PHONE",
    "Mobile": "MOBILE",
    "Fax": "",
    "Email": "email",
    "Address": "ADDRESS",
    "Zip": "ZIP",
    "City": "CITY",
    "Country": "COUNTRY",
    "CreationDate": "",
    "LastVisit": "",
    "LastActivity": "",
    "BillLastName": "BILLLASTNAME",
    "BillFirstName": "BILLFIRSTNAME",
    "BillCompany": "BILLSOCIETY",
    "BillPhone": "BILLPHONE",
    "BillMobile": "BILLMOBILE",
    "BillEmail": "BILLEMAIL",
    "BillAddress": "BILLADDRESS",
    "BillZip": "BILLZIP",
    "BillCity": "BILLCITY",
    "BillCountry": "BILLCOUNTRY",
}

Values = Mapping[str, str]


def of_sub_account(command: Command, wanted: str, account: Account) -> Command:
    """The command, or the same asked of a sub-account; raises Refusal not_found where it cannot be asked of one."""
    if not wanted or wanted.casefold() == account.login.casefold():
        return command
    if len(wanted) <= CREDENTIAL_CHARACTERS_MAX and wanted.isprintable() and isinstance(command, _OF_OTHERS):
        return OfSubAccount(account, wanted, command)
    raise Refusal("not_found", text="account_unknown")


def read_create(values: Values, account: Account, moment: Moment) -> Command:
    given = data.read(values.get("accountdata", ""))
    for name in _REQUIRED:
        data.required(given, name, TEXT_CHARACTERS_MAX)
    login = data.text(given, "LOGIN")
    if not _LOGIN(login):
        raise AllMySmsRefusal("flow_invalid", tag="LOGIN")
    if len(data.text(given, "PASSWORD")) < PASSWORD_CHARACTERS_MIN:
        raise AllMySmsRefusal("flow_invalid", tag="PASSWORD")
    active = data.text(given, "ACTIVE")
    return CreateSubAccount(account, login, _own(given), active=not active or is_yes(active))


def read_change(values: Values, account: Account, moment: Moment) -> Command:
    given = data.read(values.get("accountdata", ""))
    active = data.text(given, "ACTIVE")
    return ChangeSubAccount(account, _key(values, "subaccount"), _own(given), active=is_yes(active) if active else None)


def read_list(values: Values, account: Account, moment: Moment) -> Command:
    return ReadSubAccounts(account)


def read_credits(values: Values, account: Account, moment: Moment) -> Command:
    written = values.get("credits", "").replace(" ", "")
    credits = int(written) if _CREDITS(written) else 0
    if not 0 < abs(credits) <= CREDITS_MAX:
        raise AllMySmsRefusal("flow_invalid", tag="CREDITS")
    return MoveCredit(account, _key(values, "subaccount"), credits * CREDIT_MICROS)


def read_remove(values: Values, account: Account, moment: Moment) -> Command:
    return RemoveSubAccount(account, _key(values, "logintodelete"))


def created(outcome: SubAccountMade, call: Call) -> Fields:
    made = outcome.sub_account
    return {"status": DONE, "statusText": "OK", "text": "OK", "login": made.account.login, "apiKey": made.key}


def changed(outcome: SubAccountChanged, call: Call) -> Fields:
    return {"status": DONE, "statusText": "OK", "text": "OK"}


def listed(outcome: SubAccounts, call: Call) -> Fields:
    return {"total": outcome.total, "subAccounts": [_told(entry) for entry in outcome.entries]}


def credited(outcome: CreditMoved, call: Call) -> Fields:
    return {"status": "OK", "subAccount": [_credits(outcome.sub_account.account)]}


def removed(outcome: SubAccountRemoved, call: Call) -> Fields:
    """Credits: what came back to the master."""
    row = {"Login": outcome.login, "Credits": str(credits_left(outcome.returned_micros))}
    return {"status": DONE, "subAccount": [row]}


def _key(values: Values, name: str) -> SubAccountKey:
    """Raises Refusal not_found for what is no login."""
    login = values.get(name, "")
    if not _LOGIN(login):
        raise Refusal("not_found", text="account_unknown")
    return SubAccountKey(login=login)


def _own(given: Data) -> dict[str, Any]:
    """The settings that the data give. Raises Refusal flow_invalid."""
    own: dict[str, Any] = {}
    details = {}
    for name in given:
        if name in _SETTINGS or name in _KEPT:
            value = data.text(given, name)
            if len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
                raise AllMySmsRefusal("flow_invalid", tag=name)
            if name in _SETTINGS:
                own[_SETTINGS[name]] = value
            else:
                details[name] = value
    if details:
        own["details"] = details
    return own


def _told(entry: SubAccount) -> Row:
    settings = entry.account.settings
    kept = {
        **{name: getattr(settings, name) for name in ("firstname", "lastname", "company", "email")},
        **settings.details,
    }
    row = {"Login": entry.account.login, **{name: kept.get(key, "") for name, key in _TOLD.items()}}
    row["CreationDate"] = localtime.written(entry.created_at)
    return {**row, "Credits": str(credits_left(entry.account.balance_micros))}


def _credits(account: Account) -> Row:
    return {"Login": account.login, "Credits": str(credits_left(account.balance_micros))}
