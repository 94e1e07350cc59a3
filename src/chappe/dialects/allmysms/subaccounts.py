"""Sub-accounts of AllMySMS: asking what a sub-account would be answered."""

from __future__ import annotations

from typing import Final

from chappe.core.contacts import AddContacts, AddGroup, ReadContacts, ReadGroups, RemoveContacts, RemoveGroup
from chappe.core.errors import Refusal
from chappe.core.model import (
    Account,
    Command,
    OfSubAccount,
    ReadBalance,
    ReadMessage,
    ReadMessages,
    ReadOptOuts,
    ReadReplies,
    Ready,
)
from chappe.dialects.allmysms.send import CREDENTIAL_CHARACTERS_MAX

# fmt: off
_OF_OTHERS: Final = (
    Ready, ReadBalance, ReadMessages, ReadMessage, ReadOptOuts, ReadReplies,
    AddGroup, ReadGroups, RemoveGroup, AddContacts, RemoveContacts, ReadContacts,
)
# fmt: on


def of_sub_account(command: Command, wanted: str, account: Account) -> Command:
    """The command, or the same asked of a sub-account; raises Refusal not_found where it cannot be asked of one."""
    if not wanted or wanted.casefold() == account.login.casefold():
        return command
    if len(wanted) <= CREDENTIAL_CHARACTERS_MAX and wanted.isprintable() and isinstance(command, _OF_OTHERS):
        return OfSubAccount(account, wanted, command)
    raise Refusal("not_found", text="account_unknown")
