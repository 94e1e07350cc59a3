"""Answer: what is asked of sub-accounts is asked of the caller's own ones only."""

from __future__ import annotations

import pytest
from shop import NOW, opened

from chappe.actions.queries import answer
from chappe.core.errors import Refusal
from chappe.core.model import (
    Account,
    Balance,
    MessagesFound,
    Moment,
    OfSubAccount,
    ReadBalance,
    ReadMessages,
    Ready,
    Selector,
    submission_of,
)
from chappe.embedded.server import ConnectionParameters
from chappe.store.database import Database

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

MOMENT = Moment(NOW, secret=b"secret")


async def _asked(database: Database, account: Account, login: str) -> str:
    """Whose data is answered, or the refusal's code."""
    try:
        outcome = await answer(database, OfSubAccount(account, login, Ready(account)), MOMENT)
    except Refusal as refusal:
        return refusal.code
    assert isinstance(outcome, Ready)
    return outcome.account.login


async def test_a_master_reads_its_sub_accounts_and_nobody_else_does(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        master, stranger = await shop.account("Master"), await shop.account("stranger")
        below = await shop.account("below", balance_micros=7, master="master")
        assert await _asked(shop.database, master, "BELOW") == "below"
        for account, login in ((stranger, "below"), (below, "master"), (master, "stranger"), (master, "nobody")):
            assert await _asked(shop.database, account, login) == "not_found"
        outcome = await answer(shop.database, OfSubAccount(master, "below", ReadBalance(master)), MOMENT)
        assert isinstance(outcome, Balance)
        assert (outcome.account.id, outcome.balance_micros) == (below.id, 7)


async def test_an_account_without_a_master_is_nobody_s(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.account("alone")
        assert await _asked(shop.database, Account(9, ""), "alone") == "not_found"


async def test_messages_are_those_of_the_sub_account(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        master = await shop.account("master")
        below = await shop.account("below", master="master")
        await shop.carrier()
        (sent,) = await shop.messages(below)
        asked = ReadMessages(master, (Selector(submission_of(sent)),))
        assert await answer(shop.database, asked, MOMENT) == MessagesFound((None,))
        found = await answer(shop.database, OfSubAccount(master, "below", asked), MOMENT)
        assert isinstance(found, MessagesFound)
        (group,) = found.groups
        assert group is not None
        assert [status.message_id for status in group] == [sent]
