"""Accepting in batches: durable and paid whole or not at all, whoever else commits at the same time."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pytest
from shop import NOW, PRICE, SECRET, eventually, later, opened

from chappe.actions.accept import place
from chappe.core.lifecycle import State
from chappe.core.model import Account, Recipient, Send, Skipped, message_id
from chappe.core.pricing import REFUNDS
from chappe.embedded.server import ConnectionParameters
from chappe.store import messages
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import REFUND_STATES, key_of, numbers, texts
from chappe.store.webhook_hosts import host_of

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def test_a_submission_is_stored_as_it_was_said(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=1_000_000)
        red = await shop.carrier()
        send = Send(
            account=account,
            dialect="allmysms",
            text='quote " backslash \\ comma , brace {} null NULL\nend é€',
            recipients=(
                Recipient("+33600000001", 2, 2 * PRICE),
                Recipient("+33600000002", 1, PRICE, text='own "text"'),
            ),
            skipped=(),
            sender='A "B"',
            transactional=True,
            tag="t{,}",
            campaign="",
            client_reference='c"\\',
            report_url="https://example.org:8443/r?x=1",
        )
        (stored,) = await shop.accept(send)
        assert stored.submission_id is not None
        assert stored.balance_micros == 1_000_000 - 3 * PRICE
        (row,) = await shop.database.fetch("select * from submission")
        assert (row["text"], row["sender"], row["tag"], row["campaign"], row["client_reference"], row["reply_url"]) == (
            send.text,
            send.sender,
            send.tag,
            "",
            send.client_reference,
            "",
        )
        assert (row["cost_micros"], row["recipients"], row["parts"], row["created_at"]) == (3 * PRICE, 2, 3, NOW)
        assert row["report_host"] == host_of(account.id, "https://example.org:8443", SECRET)
        first, second = [await shop.message(message_id(stored.submission_id, place)) for place in (0, 1)]
        assert (first["text"], second["text"]) == (None, 'own "text"')
        assert (first["parts"], first["price_micros"]) == (2, 2 * PRICE)
        ready = lane(red, LaneClass.TRANSACTIONAL)
        assert [(r["lane"], r["key"], r["message_id"]) for r in await shop.outbox()] == [
            (ready, first["key"], first["id"]),
            (ready, second["key"], second["id"]),
        ]
        assert first["key"] == key_of(NOW) < second["key"]
        await shop.books_balance()


async def test_what_credit_does_not_cover_is_refused_alone_and_in_order(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        poor = await shop.account("poor", 3 * PRICE)
        rich = await shop.account("rich")
        await shop.carrier()
        outcome = await shop.accept(
            shop.send(poor, 2), shop.send(rich), shop.send(poor, 2), shop.send(poor), shop.send(poor)
        )
        assert [stored.submission_id is not None for stored in outcome] == [True, True, False, True, False]
        assert [s.balance_micros for s in outcome] == [PRICE, 100_000_000 - PRICE, PRICE, 0, 0]
        assert await shop.balance(poor) == 0
        assert len(await shop.queued()) == 4
        assert await shop.database.value("select count(*) from submission") == 3
        assert await shop.database.value("select count(*) from ledger_entry where kind = 1") == 3
        await shop.books_balance()


async def test_an_account_without_a_balance_row_has_nothing_and_spoils_nobody(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        first = await shop.account("first")
        bare = await shop.account("bare", 0)
        await shop.database.execute("delete from balance where account_id = $1", bare.id)
        await shop.carrier()
        outcome = await shop.accept(shop.send(first), shop.send(bare), shop.send(first), shop.send(bare, price=0))
        assert [stored.submission_id is not None for stored in outcome] == [True, False, True, True]
        assert outcome[1].balance_micros == 0
        await shop.books_balance()


async def test_sandbox_and_skipped_cost_nothing_and_leave_nothing_to_send(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=PRICE)
        await shop.carrier()
        skipped = (("+33611111111", "opted_out"), ("nonsense", "number_invalid"))
        sandbox, real = await shop.accept(
            shop.send(account, 3, sandbox=True), shop.send(account, 1, skipped=skipped, scheduled_at=later(hours=1))
        )
        assert sandbox.submission_id is not None
        assert real.submission_id is not None
        assert (
            await shop.states([message_id(sandbox.submission_id, place) for place in range(3)]) == [State.DELIVERED] * 3
        )
        assert await shop.states([message_id(real.submission_id, place) for place in range(3)]) == [
            State.SCHEDULED,
            State.SUPPRESSED,
            State.FAILED,
        ]
        assert [(row["key"], row["lane"] % 8) for row in await shop.outbox()] == [
            (key_of(later(hours=1)), LaneClass.WAITING)
        ]
        assert await shop.balance(account) == 0
        assert await shop.database.value("select sum(price_micros)::bigint from message") == PRICE
        await shop.books_balance()


@pytest.mark.parametrize(
    ("written", "stored"),
    [("12", "12"), ("", ""), ("1\x002", "12"), ("x" * 5000, "x" * 64), ('"é\\{', '"é\\{'), ("\x00", "")],
)
async def test_whatever_stood_where_a_number_belongs_spoils_nothing(
    database: ConnectionParameters, written: str, stored: str
) -> None:
    async with opened(database) as shop:
        recipients = (Recipient("+33612345678", 1, PRICE),)
        send = Send(await shop.account(), "allmysms", "Hello", recipients, (Skipped(written, "number_invalid"),))
        await messages.accept(shop.database, [place(send, NOW, await shop.router())], NOW, SECRET)
        rows = await shop.database.fetch("select recipient from message order by id")
        assert [row["recipient"] for row in rows] == ["+33612345678", stored]


async def test_turns_of_an_account_follow_each_other_and_let_a_newcomer_in(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        big, small = await shop.account("big"), await shop.account("small")
        red = await shop.carrier()
        campaign = await shop.messages(big, 40)
        again = await shop.messages(big, 1)
        single = await shop.messages(small, 1)
        bind = await shop.bind(red)
        order = [row.message_id for row in await bind.turn(100)]
        assert sorted(order) == sorted([*campaign, *again, *single])
        assert order.index(single[0]) <= 1, "a newcomer is served beside the first of a campaign"
        assert [m for m in order if m in campaign] == campaign
        assert order.index(again[0]) > order.index(campaign[-1])


async def test_one_charge_can_not_be_booked_twice(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        await shop.accept(shop.send(account))
        with pytest.raises(asyncpg.UniqueViolationError):
            await shop.database.execute("insert into ledger_entry select * from ledger_entry where kind = 1")
        with pytest.raises(asyncpg.CheckViolationError):
            await shop.database.execute("update balance set balance_micros = -1")


async def test_racing_committers_never_overdraw(database: ConnectionParameters) -> None:
    async with opened(database, hot=6) as shop:
        both = [await shop.account("a", 40 * PRICE), await shop.account("b", 25 * PRICE)]
        await shop.carrier()
        chance = random.Random(4)

        async def committer() -> list[tuple[Account, bool]]:
            seen = []
            for _ in range(8):
                batch = [shop.send(chance.choice(both), chance.randint(1, 4)) for _ in range(chance.randint(1, 5))]
                placed = [await shop.placed(send) for send in batch]
                for send, stored in zip(batch, await messages.accept(shop.database, placed, NOW, SECRET), strict=True):
                    assert stored.balance_micros >= 0
                    seen.append((send.account, stored.submission_id is not None))
            return seen

        answers = [one for many in await asyncio.gather(*(committer() for _ in range(4))) for one in many]
        assert any(not accepted for _, accepted in answers), "the credit was meant to run out"
        await shop.books_balance()
        charged = await shop.database.value("select -sum(amount_micros)::bigint from ledger_entry where kind = 1")
        stored = await shop.database.value("select sum(price_micros)::bigint from message")
        assert charged == stored


async def test_a_lost_connection_before_the_commit_leaves_nothing(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        async with shop.database.transaction() as holding:  # keeps the batch waiting for the balance's row
            await holding.execute("select from balance for update")
            accepting = asyncio.create_task(shop.accept(shop.send(account, 3)))
            blocked = """pid from pg_stat_activity
                         where wait_event_type = 'Lock' and datname = current_database()"""
            await eventually(lambda: shop.database.value(f"select {blocked}"))
            await shop.database.execute(f"select pg_terminate_backend(pid) from (select {blocked}) found")
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)):
                await accepting
        assert await shop.database.value("select count(*) from message") == 0
        assert await shop.balance(account) == account.balance_micros
        await shop.books_balance()


async def test_arrays_reach_the_database_as_they_are(database: ConnectionParameters) -> None:
    values = ["", "null", "NULL", '"', "\\", '","', "{", "}", "a,b", " ", "\n", "é€😀", '\\"', "it's"]
    async with opened(database) as shop:
        assert await shop.database.value("select $1::text::text[]", texts(values)) == values
        assert await shop.database.value("select $1::text::text[]", texts([None, *values])) == [None, *values]
        for value in values:
            assert await shop.database.value("select $1::text::text[]", texts([value])) == [value]
        assert await shop.database.value("select $1::text::text[]", texts([])) == []
        assert await shop.database.value("select $1::text::bigint[]", numbers([1, None, -(1 << 63)])) == [
            1,
            None,
            -(1 << 63),
        ]


async def test_the_states_that_give_money_back_are_those_of_the_rules() -> None:
    assert {State(number) for number in REFUND_STATES} == {state for state, back in REFUNDS.items() if back}
