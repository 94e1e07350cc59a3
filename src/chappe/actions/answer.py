"""Answer: the commands that ask, and the small ones that change something; one function each, in a visible table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from chappe.actions import optouts, statuses
from chappe.actions.cancel import cancel
from chappe.core.model import (
    AddOptOut,
    Balance,
    Cancel,
    Moment,
    Outcome,
    ReadBalance,
    ReadMessage,
    ReadMessages,
    ReadOptOuts,
    ReadTagged,
    RemoveOptOut,
)
from chappe.store import accounts
from chappe.store.database import Database

Answerer = Callable[[Database, Any, Moment], Awaitable[Outcome]]


async def read_balance(database: Database, command: ReadBalance, moment: Moment) -> Balance:
    """The balance, and how many parts wait to leave."""
    balance_micros, to_send = await accounts.balance(database, command.account.id)
    return Balance(command.account, balance_micros, to_send)


ANSWERERS: dict[type, Answerer] = {
    ReadBalance: read_balance,
    ReadMessages: statuses.read_messages,
    ReadTagged: statuses.read_tagged,
    ReadMessage: statuses.read_message,
    Cancel: cancel,
    ReadOptOuts: optouts.read_opt_outs,
    AddOptOut: optouts.add_opt_out,
    RemoveOptOut: optouts.remove_opt_out,
}


async def answer(database: Database, command: object, moment: Moment) -> Outcome:
    """The outcome of any command that is no Send; raises Refusal."""
    return await ANSWERERS[type(command)](database, command, moment)
