"""A past that is filled in looks like one that came about: everything belongs together, and new messages follow it."""

import history
import pytest
from shop import NOW, Shop, opened

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import timeline

pytestmark = pytest.mark.asyncio

ROUNDS = 2
MESSAGES = ROUNDS * history.ROUND_MESSAGES


async def filled(shop: Shop, target: int = MESSAGES) -> int:
    account = await shop.account(balance_micros=1_000_000_000)
    carrier_id = await shop.carrier()
    async with shop.database.connection() as connection:
        return await history.fill(connection, target, [account.id], carrier_id)


async def test_every_message_has_what_its_way_leaves_behind(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        assert await filled(shop) == MESSAGES
        for table in ("message", "reference", "receipt", "webhook_attempt"):
            assert await shop.database.value(f"select count(*) from {table}") == MESSAGES, table
        submissions = await shop.database.value("select count(*) from submission")
        assert submissions == ROUNDS * history.CAMPAIGN_EVERY
        assert await shop.database.value("select sum(recipients) from submission") == MESSAGES
        assert await shop.database.value("select sum(messages) from daily_cost") == MESSAGES
        first = await shop.database.value("select min(id) from message")
        everything = await timeline.read(shop.database, first, first, 10)
        assert everything is not None
        assert [receipt.state for receipt in everything.receipts] == [everything.messages[0].state]
        assert everything.references[0].carrier_ref == everything.receipts[0].carrier_ref
        assert everything.messages[0].state in (State.DELIVERED, State.UNDELIVERED)
        assert len(everything.attempts) == 1


async def test_the_ledger_sums_up_to_the_balance(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await filled(shop)
        assert await shop.database.value(
            """select bool_and(b.balance_micros = (select sum(amount_micros) from ledger_entry l
                                                   where l.account_id = b.account_id)) from balance b"""
        )


async def test_a_filled_store_is_filled_further_and_not_again(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await filled(shop, 1)
        account = await shop.database.value("select id from account")
        async with shop.database.connection() as connection:
            assert await history.fill(connection, 1, [account], 1) == history.ROUND_MESSAGES
            assert await history.fill(connection, MESSAGES, [account], 1) == MESSAGES
        assert await shop.database.value("select count(distinct created_at) = count(*) from submission")


async def test_new_messages_come_behind_the_past(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await filled(shop)
        newest = await shop.database.value("select max(id) from message")
        account = await shop.account("other")
        (message,) = await shop.messages(account, numbers=["+33600000001"], now=NOW)
        assert message > newest
