"""Statuses at scale: a page of a tag is found by keys, however many messages have it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shop import NOW, Shop, opened

from chappe.core.model import Account, Selector, submission_of
from chappe.embedded.server import ConnectionParameters
from chappe.store import statuses
from chappe.store.messages import numbers, texts

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

MANY = 3_000


async def many(shop: Shop, account: Account, tag: str) -> None:
    """So many submissions of one message each, which no statistics know of; between them those of another tag."""
    await shop.database.execute(
        """insert into submission (id, account_id, created_at, cost_micros, recipients, parts, flags, dialect, sender,
                                   text, tag, campaign, client_reference, report_url, reply_url)
           select g, $1, $2, 38000, 1, 1, 0, 'smspartner', 'SHOP', '', case when g % 2 = 0 then $3 else 'else' end,
                  '', '', '', '' from generate_series(1, 2 * $4::int) as g""",
        account.id,
        NOW,
        tag,
        MANY,
    )
    await shop.database.execute(
        """insert into message (id, account_id, price_micros, key, lane, parts, state, recipient)
           select g::bigint << 16, $1, 38000, 0, 0, 1, 6, '+336' || lpad(g::text, 8, '0')
           from generate_series(1, 2 * $2::int) as g""",
        account.id,
        MANY,
    )


def reads(plan: dict[str, Any], table: str) -> float:
    """How many rows of a table a plan has read."""
    seen = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    own = seen * plan["Actual Loops"] if plan.get("Relation Name") == table else 0
    return float(own) + sum(reads(part, table) for part in plan.get("Plans", ()))


async def test_a_page_of_a_tag_reads_no_more_than_what_is_before_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await many(shop, account, "otp")
        for offset in (0, 500, MANY - 100):
            rows, total = await statuses.tagged(shop.database, account.id, "otp", offset, 500)
            assert total == MANY
            wanted = range(2 * (offset + 1), 2 * min(offset + 500, MANY) + 1, 2)
            assert [row.submission_id for row in rows] == list(wanted)
        async with shop.database.connection() as connection, connection.transaction():
            await connection.execute(statuses.BY_KEYS)
            (found,) = await connection.fetch(
                f"explain (analyze, format json) {statuses.PAGE}", account.id, "otp", 1_000_000, 500, 500
            )
        plan = json.loads(found[0])[0]["Plan"]
        assert 1_000 <= reads(plan, "message") <= 1_001
        assert 1_000 <= reads(plan, "submission") <= 1_100


async def test_a_submission_is_read_once_however_many_of_its_numbers_are_asked_for(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        sent = await shop.messages(account, 1_000)
        wanted = [(await shop.message(number))["recipient"] for number in sent[::20]]
        submission = submission_of(sent[0])
        rows = await statuses.selected(shop.database, account.id, [Selector(submission, number) for number in wanted])
        assert [row.recipient for row in rows] == wanted
        async with shop.database.connection(hot=True) as connection:
            (found,) = await connection.fetch(
                f"explain (analyze, format json) {statuses.SELECTED}",
                account.id,
                numbers([submission] * len(wanted)),
                texts(wanted),
            )
        assert reads(json.loads(found[0])[0]["Plan"], "message") == 1_000


async def test_opt_outs_of_others_are_not_read(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await many(shop, account, "otp")
        await shop.database.execute(
            """insert into opt_out (account_id, number, at, source)
               select 1000 + g % 50, '+336' || lpad(g::text, 8, '0'), now(), 'reply' from generate_series(1, 5000) g"""
        )
        await shop.database.execute("analyze opt_out, message, submission")
        async with shop.database.connection(hot=True) as connection:
            (found,) = await connection.fetch(
                f"explain (analyze, format json) {statuses.SELECTED}",
                account.id,
                numbers([1]),
                texts(["+33600000001"]),
            )
        plan = json.loads(found[0])[0]["Plan"]
        assert reads(plan, "message") == 1
        assert reads(plan, "opt_out") <= 1
