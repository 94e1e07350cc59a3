"""Settling: a batch whose connection was lost is answered by what was stored of it, and the rest may be tried again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from shop import NOW, opened

from chappe.actions import accept as accept_action
from chappe.actions.lost_commits import settle
from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Moment
from chappe.embedded.server import ConnectionParameters
from chappe.store.database import CONNECTION_ERRORS

pytestmark = pytest.mark.asyncio

MOMENT = Moment(NOW, secret=b"secret")


@pytest.mark.every_postgres
async def test_what_was_stored_is_told_as_it_would_have_been(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, poor = await shop.account("rich"), await shop.account("poor", balance_micros=38_000)
        batch = [
            await shop.placed(shop.send(account, 2, text="one", public_ids=True)),
            await shop.placed(shop.send(poor, 1, text="same")),
            await shop.placed(shop.send(poor, 1, text="same")),
            await shop.placed(shop.send(account, 1, text="two", skipped=[("junk", "invalid")])),
        ]
        told = await accept_action.accept(shop.database, batch, MOMENT)
        assert [isinstance(one, Accepted) for one in told] == [True, True, False, True]
        found = await settle(shop.database, batch, MOMENT)
        assert [one and one.submission_id for one in found] == [
            one.submission_id if isinstance(one, Accepted) else None for one in told
        ]
        assert found[0] is not None
        assert isinstance(told[0], Accepted)
        assert found[0].public_ids == told[0].public_ids


@pytest.mark.parametrize(
    "own",
    [
        {"tag": "spring"},
        {"campaign": "spring"},
        {"client_reference": "c-1"},
        {"report_url": "https://a.example/"},
        {"reply_url": "https://a.example/"},
        {"scheduled_at": NOW + timedelta(days=1)},
        {"flash": True},
        {"transactional": True},
        {"dialect": "allmysms"},
        {"price": 20_000},
        {"skipped": [("+33699999999", "number_invalid")]},
        {"numbers": ["+33600010000"]},
    ],
)
async def test_a_refused_send_does_not_take_the_row_of_a_later_one_that_looks_like_it(
    database: ConnectionParameters, own: dict[str, Any]
) -> None:
    """The first lacks credit, the second is nearly the same and was stored: only that one may hear yes."""
    async with opened(database) as shop:
        account = await shop.account(balance_micros=100_000)
        numbers = [f"+336000{account.id}000{place}" for place in range(3)]
        dear = await shop.placed(shop.send(account, numbers=numbers, price=40_000))
        cheap = await shop.placed(shop.send(account, **{"numbers": numbers[:1], "price": 40_000} | own))
        batch = [dear, cheap]
        told = await accept_action.accept(shop.database, batch, MOMENT)
        assert [isinstance(one, Accepted) for one in told] == [False, True]
        found = await settle(shop.database, batch, MOMENT)
        assert found[0] is None
        assert found[1] is not None
        assert found[1].command == cheap.send


async def test_a_repetition_does_not_take_the_row_of_the_same_send_under_another_identifier(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await accept_action.accept(
            shop.database,
            [await shop.placed(shop.send(account, unique_identifier="a"))],
            Moment(NOW - timedelta(hours=1)),
        )
        batch = [await shop.placed(shop.send(account, unique_identifier=name)) for name in ("a", "b", "b")]
        told = await accept_action.accept(shop.database, batch, MOMENT)
        assert [isinstance(one, Accepted) for one in told] == [False, True, False]
        assert [one is not None for one in await settle(shop.database, batch, MOMENT)] == [False, True, False]


async def test_repeated_numbers_of_which_all_have_opted_out_are_told_so(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        numbers = ["+33600000001", "+33600000002", "+33600000001"]
        placed = await shop.placed(shop.send(account, numbers=numbers))
        await shop.database.execute(
            "insert into opt_out (account_id, number, at, source) values ($1, $2, $3, 'api')",
            account.id,
            numbers[0],
            NOW,
        )
        await accept_action.accept(shop.database, [placed], MOMENT)
        (found,) = await settle(shop.database, [placed], MOMENT)
        assert found is not None
        assert [one.number for one in found.command.recipients] == numbers[1:2]
        assert len(found.command.skipped) == 2


async def test_what_was_not_stored_is_none_whatever_else_is_there(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        send = shop.send(account, 1)
        await shop.accept(send, now=NOW + timedelta(microseconds=1))
        await shop.accept(shop.send(account, 1, numbers=["+33699999999"]))
        assert await settle(shop.database, [await shop.placed(send)], MOMENT) == [None]


async def test_recipients_who_had_opted_out_meanwhile_are_told_as_skipped(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        placed = await shop.placed(shop.send(account, 3))
        gone = placed.send.recipients[1].number
        await shop.database.execute(
            "insert into opt_out (account_id, number, at, source) values ($1, $2, $3, 'api')",
            account.id,
            gone,
            NOW,
        )
        await accept_action.accept(shop.database, [placed], MOMENT)
        (found,) = await settle(shop.database, [placed], MOMENT)
        assert found is not None
        assert [recipient.number for recipient in found.command.recipients] == [
            recipient.number for recipient in placed.send.recipients if recipient.number != gone
        ]
        assert [(one.written, one.reason) for one in found.command.skipped] == [(gone, "opted_out")]


async def test_a_batch_that_is_still_on_its_way_is_stopped_before_it_is_looked_for(
    database: ConnectionParameters,
) -> None:
    """The connection is lost on our side only, while the server waits for a lock: it must not store it later."""
    async with opened(database) as shop, opened(database) as other:
        account = await shop.account()
        placed = await shop.placed(shop.send(account, 1))
        async with other.database.transaction() as tx:
            await tx.execute("select from balance where account_id = $1 for update", account.id)

            async def lose() -> None:
                async with shop.database.connection(hot=True) as connection:
                    accepting = asyncio.ensure_future(
                        connection.fetchval(
                            "update balance set balance_micros = 0 where account_id = $1 returning 1", account.id
                        )
                    )
                    waiting = "select count(*) from pg_locks where not granted and pid = $1"
                    while not await other.database.value(waiting, connection.get_server_pid()):  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                    connection._transport.abort()  # what a network does that has gone
                    await accepting

            with pytest.raises(CONNECTION_ERRORS):
                await lose()
            assert await settle(shop.database, [placed], MOMENT) == [None]
        assert await other.database.value("select balance_micros from balance where account_id = $1", account.id) > 0
        assert isinstance((await accept_action.accept(shop.database, [placed], MOMENT))[0], Accepted | Refusal)
