"""How dear a question is to the database: what one row answers, or what has to walk through many."""

from __future__ import annotations

from chappe.core.contacts import (
    AddContacts,
    AddGroup,
    ChangeContact,
    ReadContact,
    ReadContacts,
    ReadGroups,
    RemoveContact,
    RemoveContacts,
    RemoveGroup,
)
from chappe.core.model import (
    AddOptOut,
    Cancel,
    Command,
    OfSubAccount,
    ReadBalance,
    ReadCosts,
    ReadMessage,
    ReadMessages,
    ReadOptOuts,
    ReadReplies,
    ReadTagged,
    Ready,
    RemoveOptOut,
    Send,
    Simulate,
)
from chappe.core.subaccounts import (
    ChangeSubAccount,
    CreateSubAccount,
    MoveCredit,
    ReadSubAccounts,
    RemoveSubAccount,
)

DEAR: dict[type, bool] = {
    Send: False,
    Ready: False,
    ReadBalance: False,
    ReadMessage: False,
    RemoveOptOut: False,
    Simulate: True,  # looks each recipient up in the STOP list
    ReadTagged: True,  # counts all messages of the tag
    ReadOptOuts: True,  # the whole list
    AddOptOut: True,  # searches the queue for what has to be stopped
    ReadReplies: True,
    ReadCosts: True,  # sums what has not been summed up yet
    Cancel: True,  # of a submission all messages
    CreateSubAccount: False,
    ChangeSubAccount: False,
    RemoveSubAccount: False,
    MoveCredit: False,
    ReadSubAccounts: True,
    AddGroup: False,
    ReadContact: False,
    ChangeContact: False,
    RemoveContact: False,
    ReadGroups: True,
    ReadContacts: True,  # a page, or a whole group
    AddContacts: True,
    RemoveContacts: True,
    RemoveGroup: True,  # with its contacts
}


_QUESTIONS = (
    ReadBalance,
    ReadMessage,
    ReadMessages,
    ReadTagged,
    ReadOptOuts,
    ReadReplies,
    ReadCosts,
    ReadSubAccounts,
    ReadContact,
    ReadGroups,
    ReadContacts,
    Simulate,
)


def is_question(command: Command | object) -> bool:
    """Whether the command changes nothing; pure. Such a command can be dropped when its client no longer waits."""
    return isinstance(command.command if isinstance(command, OfSubAccount) else command, _QUESTIONS)


def is_dear(command: Command | object) -> bool:
    """Whether the answer takes more than a few rows; pure."""
    if isinstance(command, OfSubAccount):
        return is_dear(command.command)
    if isinstance(command, ReadMessages):
        return len(command.selectors) > 1 or any(not selector.number for selector in command.selectors)
    return DEAR[type(command)]
