"""Answer: the commands that ask, and the small ones that change something; one function each, in a visible table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from chappe.actions import optouts, replies, statuses
from chappe.actions.cancel import cancel
from chappe.actions.costs import read_costs
from chappe.actions.simulate import simulate
from chappe.core.model import (
    AddOptOut,
    Balance,
    Cancel,
    Moment,
    Outcome,
    ReadBalance,
    ReadCosts,
    ReadMessage,
    ReadMessages,
    ReadOptOuts,
    ReadReplies,
    ReadTagged,
    RemoveOptOut,
    Simulate,
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
}


async def answer(database: Database, command: object, moment: Moment) -> Outcome:
    """The outcome of any command that is no Send; raises Refusal."""
    return await ANSWERERS[type(command)](database, command, moment)
