"""Answer: the commands that ask, and the small ones that change something; one function each, in a visible table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from chappe.actions import contacts, optouts, replies, statuses, subaccounts
from chappe.actions.cancel import cancel
from chappe.actions.costs import read_costs
from chappe.actions.simulate import simulate
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
from chappe.core.errors import Refusal
from chappe.core.model import (
    AddOptOut,
    Balance,
    Cancel,
    Moment,
    OfSubAccount,
    Outcome,
    ReadBalance,
    ReadCosts,
    ReadMessage,
    ReadMessages,
    ReadOptOuts,
    ReadReplies,
    ReadTagged,
    Ready,
    RemoveOptOut,
    Simulate,
)
from chappe.core.subaccounts import (
    ChangeSubAccount,
    CreateSubAccount,
    MoveCredit,
    ReadSubAccounts,
    RemoveSubAccount,
)
from chappe.store import accounts
from chappe.store.database import Database

Answerer = Callable[[Database, Any, Moment], Awaitable[Outcome]]


async def read_balance(database: Database, command: ReadBalance, moment: Moment) -> Balance:
    """The balance, and how many parts wait to leave where that is asked for."""
    if not command.waiting:
        return Balance(command.account, await accounts.balance_micros(database, command.account.id), 0)
    balance_micros, to_send = await accounts.balance(database, command.account.id)
    return Balance(command.account, balance_micros, to_send)


async def ready(database: Database, command: Ready, moment: Moment) -> Ready:
    """What the dialect knows of its account already."""
    return command


async def of_sub_account(database: Database, command: OfSubAccount, moment: Moment) -> Outcome:
    """What the sub-account would be answered. Raises Refusal not_found: it is none of the caller's."""
    found = await accounts.by_login(database, command.login)
    master = "" if found is None else found.settings.master.casefold()
    if found is None or found.settings.removed or not master or master != command.account.login.casefold():
        raise Refusal("not_found", text="account_unknown")
    return await answer(database, replace(command.command, account=found), moment)


ANSWERERS: dict[type, Answerer] = {
    Simulate: simulate,
    ReadBalance: read_balance,
    ReadMessages: statuses.read_messages,
    ReadTagged: statuses.read_tagged,
    ReadMessage: statuses.read_message,
    Cancel: cancel,
    ReadOptOuts: optouts.read_opt_outs,
    AddOptOut: optouts.add_opt_out,
    RemoveOptOut: optouts.remove_opt_out,
    ReadReplies: replies.read_replies,
    ReadCosts: read_costs,
    Ready: ready,
    OfSubAccount: of_sub_account,
    AddGroup: contacts.add_group,
    ReadGroups: contacts.read_groups,
    RemoveGroup: contacts.remove_group,
    AddContacts: contacts.add_contacts,
    RemoveContacts: contacts.remove_contacts,
    ChangeContact: contacts.change_contact,
    RemoveContact: contacts.remove_contact,
    ReadContact: contacts.read_contact,
    ReadContacts: contacts.read_contacts,
    CreateSubAccount: subaccounts.create,
    ChangeSubAccount: subaccounts.change,
    RemoveSubAccount: subaccounts.remove,
    ReadSubAccounts: subaccounts.read,
    MoveCredit: subaccounts.move_credit,
}


async def answer(database: Database, command: object, moment: Moment) -> Outcome:
    """The outcome of any command that is no Send; raises Refusal."""
    return await ANSWERERS[type(command)](database, command, moment)
