"""Accepting by action: a request that repeats another is refused, and fails nobody else."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest
from shop import NOW, PRICE, SECRET, Shop, later, opened

from chappe.actions import accept as action
from chappe.actions import timeline
from chappe.core.errors import Refusal
from chappe.core.lifecycle import State
from chappe.core.model import Accepted, Account, Moment, Send
from chappe.core.window_profiles import PROFILES
from chappe.dialects.allmysms import send as allmysms_send
from chappe.embedded.server import ConnectionParameters
from chappe.store import idempotency, optouts
from chappe.store.webhook_hosts import host_of

MOMENT = Moment(NOW, secret=SECRET)
pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def codes(shop: Shop, *sends: Send, **after: float) -> list[str]:
    moment = Moment(later(**after) if after else NOW, secret=SECRET)
    outcomes = await action.accept(shop.database, [await shop.placed(send, moment.now) for send in sends], moment)
    return [outcome.code if isinstance(outcome, Refusal) else "accepted" for outcome in outcomes]


def named(shop: Shop, account: Account, identifier: str, **given: object) -> Send:
    return shop.send(account, unique_identifier=identifier, **given)


async def test_warnings_stay_with_the_submission(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        send = shop.send(account, warnings=(allmysms_send.SENDER_WITHOUT_STOP, allmysms_send.LOWCOST_UNAVAILABLE))
        (stored,) = await shop.accept(send)
        found = await timeline.find(shop.database, str(stored.submission_id))
        assert found is not None
        assert found.options == ["sender_without_stop", "lowcost_unavailable"]


async def test_every_warning_of_a_dialect_is_known(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        for warning in (allmysms_send.SENDER_MALFORMED, allmysms_send.SENDER_NOT_ALLOWED):
            assert (await shop.placed(shop.send(account, warnings=(warning,)))).flags


async def test_a_repeated_request_is_refused_for_a_day(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        await shop.carrier()
        assert await codes(
            shop,
            named(shop, account, "a"),
            shop.send(account),
            named(shop, account, "a"),
            named(shop, other, "a"),
            named(shop, account, "b"),
        ) == ["accepted", "accepted", "repeated", "accepted", "accepted"]
        assert await codes(shop, named(shop, account, "a"), hours=23) == ["repeated"]
        assert await codes(shop, named(shop, account, "a"), hours=24) == ["accepted"]
        assert await codes(shop, named(shop, account, "a"), hours=25) == ["repeated"]
        assert await shop.balance(account) == 100_000_000 - 4 * PRICE
        await idempotency.forget(shop.database, later(hours=49), 10)
        assert await shop.database.value("select count(*) from unique_identifier") == 0
        await shop.books_balance()


async def test_what_is_refused_does_not_use_its_identifier_up(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=PRICE)
        await shop.carrier()
        assert await codes(shop, named(shop, account, "a", count=2)) == ["credit_short"]
        async with shop.database.transaction() as tx:
            await optouts.add(tx, account.id, "+33600000009", NOW, "api", "manual")
        assert await codes(shop, named(shop, account, "a", numbers=["+33600000009"])) == ["recipients_unusable"]
        assert await codes(shop, named(shop, account, "a")) == ["accepted"]


async def test_of_the_same_request_at_once_on_many_connections_one_is_accepted(database: ConnectionParameters) -> None:
    async with opened(database, hot=4) as shop:
        account = await shop.account()
        await shop.carrier()
        found = await asyncio.gather(
            *(codes(shop, named(shop, account, "x"), named(shop, account, "y")) for _ in range(4))
        )
        assert sorted(found) == [["accepted", "accepted"]] + [["repeated", "repeated"]] * 3
        assert await shop.balance(account) == 100_000_000 - 2 * PRICE


@pytest.mark.parametrize(
    ("days", "hours", "code"),
    [(1, 0, None), (1, 13, "window_hour"), (6, 0, "window_day")],  # from a Monday, 11:00 in Paris
)
async def test_a_sandbox_schedule_is_refused_as_a_real_one_would_be(
    database: ConnectionParameters, days: int, hours: int, code: str | None
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        send = shop.send(account, sandbox=True, schedule_strict=True, scheduled_at=later(days=days, hours=hours))
        router = await shop.router()
        for moment in (NOW, later(hours=12)):  # now, or at night: what is scheduled does not leave now anyway
            with nullcontext() if code is None else pytest.raises(Refusal) as refused:
                assert action.place(send, moment, router, PROFILES["fr-seed"]).charge_micros == 0
            assert (refused.value.code if refused else None) == code
        transactional = shop.send(account, sandbox=True, scheduled_at=send.scheduled_at, transactional=True)
        assert action.place(transactional, NOW, router, PROFILES["fr-seed"]).charge_micros == 0


async def test_a_sandbox_send_is_reported_as_delivered_where_the_account_wants_that(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        silent, told = await shop.account("silent"), await shop.account("told", sandbox_reports=True)
        stopped = "+33600000009"
        async with shop.database.transaction() as tx:
            await optouts.add(tx, told.id, stopped, NOW, "api", "manual")
        sends = [
            shop.send(silent, sandbox=True, report_url="https://hooks.example/x"),
            shop.send(told, sandbox=True, numbers=["+33600000001", stopped, "+33600000002"], report_url="https://r/"),
            shop.send(told, sandbox=True),
            shop.send(told, report_url="https://r/"),
        ]
        outcomes = await action.accept(shop.database, [await shop.placed(send) for send in sends], MOMENT)
        accepted = outcomes[1]
        assert isinstance(accepted, Accepted)
        rows = await shop.database.fetch("select host, message_id, at, state from webhook order by message_id")
        first = accepted.submission_id << 16
        ends = (State.DELIVERED, State.DELIVERED, State.SUPPRESSED)
        assert [tuple(row) for row in rows] == [
            (host_of(told.id, "https://r/", SECRET), first + place, NOW, state) for place, state in enumerate(ends)
        ]
        await shop.books_balance()


@pytest.mark.parametrize("told", [True, False])
async def test_who_is_skipped_is_reported_where_the_answer_does_not_name_him(
    database: ConnectionParameters, told: bool
) -> None:
    async with opened(database) as shop:
        account, stopped = await shop.account(), "+33600000009"
        async with shop.database.transaction() as tx:
            await optouts.add(tx, account.id, stopped, NOW, "api", "manual")
        skipped = [("+33140000001", "number_not_mobile")]
        given = {"report_skipped": told, "numbers": ["+33600000001", stopped], "skipped": skipped}
        sends = [
            shop.send(account, report_url="https://r/", **given),
            shop.send(account, **given),  # nobody to tell
            shop.send(account, sandbox=True, report_url="https://r/", **given),  # sandbox sends are not reported
        ]
        outcomes = await action.accept(shop.database, [await shop.placed(send) for send in sends], MOMENT)
        accepted = outcomes[0]
        assert isinstance(accepted, Accepted)
        rows = await shop.database.fetch(
            """select w.message_id, w.state, m.recipient, m.state as message_state, w.reason
               from webhook w join message m on m.id = w.message_id order by w.message_id"""
        )
        first = accepted.submission_id << 16
        found = [
            (first + 1, State.FAILED, "+33140000001", State.FAILED, "number_not_mobile"),
            (first + 2, State.SUPPRESSED, stopped, State.SUPPRESSED, "opted_out"),
        ]
        assert [tuple(row) for row in rows] == (found if told else [])
        await shop.books_balance()
