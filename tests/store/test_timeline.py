"""What is known of one message is found without reading what is known of the others, however things came about."""

from datetime import timedelta

import msgspec
import pytest
from shop import NOW, Shop, opened

from chappe.embedded.server import ConnectionParameters
from chappe.store import retention
from chappe.store.timeline import ATTEMPTS, BY_RANGE, RECEIPTS, REFERENCES

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

MANY = 30_000
PAGES_MAX = 60  # of many hundreds: the range in which it stands, and the index

RECEIVED = f"""insert into receipt (id, carrier_id, received_at, message_id, part, state, word, error, carrier_ref,
                                    source, raw)
    select g, 1, '2026-03-01', g << 16, 0, 6, 'DELIVRD', '000', 'r' || g, '33600000001',
           decode(repeat('ab', 300 + g % 90), 'hex')
    from generate_series(1, {MANY}) g"""
ATTEMPTED = """insert into webhook_attempt (webhook_id, message_id, at, state, status, took_ms, outcome)
    select g, {message}, '2026-03-01', 6, 200, 20, repeat('told ', 30) from generate_series(1, 30000) g"""
SUBMITTED = """insert into reference (carrier_id, carrier_ref, message_id, part, submitted_at)
    select 1, repeat('r', 150) || g, {message}, 0, '2026-03-01' from generate_series(1, 30000) g"""


async def pages_read(shop: Shop, statement: str, message: int) -> int:
    async with shop.database.connection() as connection, connection.transaction():
        await connection.execute(BY_RANGE)
        told = await connection.fetchval(f"explain (analyze, buffers, format json) {statement}", message, message)
    (plan,) = msgspec.json.decode(told)
    assert plan["Plan"]["Actual Rows"] == 1
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])


async def test_receipts_that_were_blanked_stand_in_nobodys_way(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.database.execute(RECEIVED)
        await shop.database.execute("vacuum receipt")
        assert await retention.blank_receipts(shop.database, NOW + timedelta(days=400))
        await shop.database.execute("vacuum receipt")
        assert await pages_read(shop, RECEIPTS, MANY // 2 << 16) < PAGES_MAX


async def test_calls_about_replies_stand_in_nobodys_way(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.database.execute(ATTEMPTED.format(message="case when g % 100 = 0 then -g else g << 16 end"))
        await shop.database.execute("vacuum webhook_attempt")
        assert await pages_read(shop, ATTEMPTS, (MANY // 2 + 1) << 16) < PAGES_MAX


async def test_messages_of_long_ago_that_leave_now_stand_in_nobodys_way(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.database.execute(SUBMITTED.format(message="case when g % 100 = 0 then g else g << 16 end"))
        await shop.database.execute("vacuum reference")
        assert await pages_read(shop, REFERENCES, (MANY // 2 + 1) << 16) < PAGES_MAX
