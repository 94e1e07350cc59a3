"""Simulate: it tells what a send would be, and leaves everything as it was."""

from __future__ import annotations

import pytest
from shop import NOW, opened

from chappe.actions.queries import answer
from chappe.core.errors import Refusal
from chappe.core.model import Account, Moment, Recipient, Send, Simulate, Simulated, Skipped
from chappe.embedded.server import ConnectionParameters
from chappe.store import optouts

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

MOMENT = Moment(NOW, secret=b"secret")
STOPPED = Recipient("+33612345678", 1, 45_000, "0612345678")
OTHER = Recipient("+33687654321", 2, 90_000, "0687654321")
INVALID = Skipped("12", "number_invalid")
OPTED_OUT = Skipped("0612345678", "opted_out", "+33612345678")


def _send(account: Account, *recipients: Recipient, transactional: bool = False) -> Send:
    return Send(account, "allmysms", "x", recipients, (INVALID,), transactional=transactional)


@pytest.mark.parametrize("balance_micros", [0, 1_000_000])
async def test_nothing_is_stored_or_charged_and_no_credit_is_needed(
    database: ConnectionParameters, balance_micros: int
) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=balance_micros)
        send = _send(account, STOPPED, OTHER)
        assert await answer(shop.database, Simulate(send), MOMENT) == Simulated(send, balance_micros)
        for table in ("submission", "message", "outbox"):
            assert await shop.database.value(f"select count(*) from {table}") == 0


async def test_who_has_opted_out_is_skipped_but_for_transactional_messages_that_may_pass(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account, neighbour = await shop.account(stop_blocks_transactional=False), await shop.account("neighbour")
        async with shop.database.transaction() as tx:
            await optouts.add(tx, account.id, STOPPED.number, NOW, "api", "stop")
            await optouts.add(tx, neighbour.id, OTHER.number, NOW, "api", "stop")
        outcome = await answer(shop.database, Simulate(_send(account, STOPPED, OTHER)), MOMENT)
        assert isinstance(outcome, Simulated)
        assert (outcome.command.recipients, outcome.command.skipped) == ((OTHER,), (INVALID, OPTED_OUT))
        with pytest.raises(Refusal) as refused:
            await answer(shop.database, Simulate(_send(account, STOPPED)), MOMENT)
        assert refused.value.code == "recipients_unusable"
        assert refused.value.values["skipped"] == (INVALID, OPTED_OUT)
        alert = _send(account, STOPPED, transactional=True)
        assert await answer(shop.database, Simulate(alert), MOMENT) == Simulated(alert, 100_000_000)
