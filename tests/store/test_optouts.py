"""Opt-outs: nothing leaves to who does not want it, whenever that was said, and the money comes back once."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shop import NOW, PRICE, Shop, later, opened

from chappe.actions import accept as action
from chappe.actions import upkeep
from chappe.actions.queries import answer
from chappe.core.errors import Refusal
from chappe.core.lifecycle import State
from chappe.core.model import Accepted, Account, AccountSettings, Moment, Removed, RemoveOptOut, Send, message_id
from chappe.embedded.server import ConnectionParameters
from chappe.store import cancel, optouts, outcomes
from chappe.store.messages import key_of
from chappe.store.outcomes import Doubt, Requeue

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]

WANTS = ("+33600000001", "+33600000002")
STOPPED = "+33600000009"


async def opt_out(shop: Shop, account: Account, number: str = STOPPED, *, sweep: bool = False) -> int:
    async with shop.database.transaction() as tx:
        entry, _ = await optouts.add(tx, account.id, number, NOW, "api", "manual")
        if sweep:
            await optouts.sweep(tx, [account.id], number, NOW, "why")
    return entry


async def accept(shop: Shop, *sends: Send) -> list[Accepted | Refusal]:
    return await action.accept(shop.database, [await shop.placed(send) for send in sends], Moment(NOW))


async def test_who_opted_out_is_skipped_and_not_charged_and_the_dialect_sees_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=2 * PRICE)
        await shop.carrier()
        await opt_out(shop, account)
        send = shop.send(account, numbers=[WANTS[0], STOPPED, WANTS[1]], public_ids=True)
        (outcome,) = await accept(shop, send)
        assert isinstance(outcome, Accepted)
        assert [recipient.number for recipient in outcome.command.recipients] == list(WANTS)
        assert [(s.written, s.reason, s.number) for s in outcome.command.skipped] == [(STOPPED, "opted_out", STOPPED)]
        assert (outcome.command.cost_micros, outcome.balance_micros, len(outcome.public_ids)) == (2 * PRICE, 0, 2)
        ids = [message_id(outcome.submission_id, place) for place in range(3)]
        assert await shop.states(ids) == [State.QUEUED, State.QUEUED, State.SUPPRESSED]
        skipped = await shop.message(ids[2])
        assert (skipped["recipient"], skipped["price_micros"], skipped["reason"]) == (STOPPED, 0, "opted_out")
        assert await shop.queued() == ids[:2]
        await shop.books_balance()


async def test_when_none_is_left_the_request_is_refused_and_nothing_is_stored(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        other = await shop.account("other")
        await shop.carrier()
        await opt_out(shop, account)
        outcomes = await accept(
            shop,
            shop.send(account, numbers=[WANTS[0]]),
            shop.send(account, numbers=[STOPPED], skipped=[("+33100000000", "number_not_mobile")]),
            shop.send(other, numbers=[STOPPED]),
        )
        refused = outcomes[1]
        assert isinstance(refused, Refusal)
        assert refused.code == "recipients_unusable"
        assert [s.reason for s in refused.values["skipped"]] == ["number_not_mobile", "opted_out"]
        assert isinstance(outcomes[0], Accepted)
        assert isinstance(outcomes[2], Accepted), "the list is the account's own"
        assert await shop.database.value("select count(*) from submission") == 2
        assert await shop.balance(account) == 100_000_000 - PRICE
        await shop.books_balance()


async def test_who_has_opted_out_gets_no_transactional_message_either(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        (waits,) = await shop.messages(account, numbers=[STOPPED], transactional=True)
        await opt_out(shop, account)
        (outcome,) = await accept(shop, shop.send(account, numbers=[STOPPED], transactional=True))
        assert isinstance(outcome, Refusal)
        assert await bind.turn(5) == []
        assert await shop.state(waits) is State.SUPPRESSED
        assert await shop.balance(account) == 100_000_000
        await shop.books_balance()


async def test_an_account_may_let_transactional_messages_pass(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(stop_blocks_transactional=False)
        bind = await shop.bind(await shop.carrier())
        await opt_out(shop, account)
        (sent,) = await shop.messages(account, numbers=[STOPPED], transactional=True)
        assert [row.message_id for row in await bind.turn(5)] == [sent]


async def test_a_sandbox_request_is_answered_as_a_real_one_would_be(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await opt_out(shop, account)
        (outcome,) = await accept(shop, shop.send(account, numbers=[WANTS[0], STOPPED], sandbox=True))
        assert isinstance(outcome, Accepted)
        assert outcome.command.cost_micros == PRICE
        assert [s.reason for s in outcome.command.skipped] == ["opted_out"]
        assert await shop.balance(account) == 100_000_000


async def test_the_list_is_asked_again_when_the_turn_comes(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        sent = await shop.messages(
            account, 3, numbers=[WANTS[0], STOPPED, WANTS[1]], report_url="https://h/", price=PRICE
        )
        await opt_out(shop, account)
        claimed = await bind.turn(3)
        assert [row.message_id for row in claimed] == [sent[0], sent[2]]
        assert await shop.in_flight() == [sent[0], sent[2]]
        assert await shop.queued() == []
        assert await shop.state(sent[1]) is State.SUPPRESSED
        assert (await shop.message(sent[1]))["reason"] == "opted_out"
        assert await shop.events(sent[1]) == ["suppressed"]
        assert await shop.webhooks() == [(sent[1], State.SUPPRESSED)]
        assert await shop.balance(account) == 100_000_000 - 2 * PRICE
        await bind.turn(3, still=[sent[0]])
        assert len(await shop.events(sent[1])) == 1, "what one turn met is not met again by the next"
        await shop.books_balance()


async def test_parts_that_have_left_stay_charged_when_the_rest_is_stopped(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        (sent,) = await shop.messages(account, numbers=[STOPPED], parts=3)
        (row,) = await bind.turn(1)
        async with shop.database.transaction() as tx:
            await outcomes.requeue(tx, NOW, [Requeue(sent, row.lane, row.key, 1, 0b10, State.QUEUED)])
        await bind.turn(0)
        await opt_out(shop, account)
        assert await bind.turn(1) == []
        assert await shop.state(sent) is State.SUPPRESSED
        assert await shop.balance(account) == 100_000_000 - PRICE
        await shop.books_balance()


@pytest.mark.parametrize("given_", [{}, {"scheduled_at": later(days=3)}], ids=["queued", "scheduled"])
async def test_opting_out_ends_at_once_what_waits(database: ConnectionParameters, given_: dict[str, Any]) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(stop_blocks_transactional=False), await shop.account("other")
        await shop.carrier()
        mine = await shop.messages(account, 2, numbers=[WANTS[0], STOPPED], report_url="https://h/", **given_)
        urgent = await shop.messages(account, numbers=[STOPPED], transactional=True, **given_)
        theirs = await shop.messages(other, numbers=[STOPPED], **given_)
        await opt_out(shop, account, sweep=True)
        assert await shop.state(mine[1]) is State.SUPPRESSED
        assert sorted(await shop.queued()) == sorted([mine[0], *urgent, *theirs])
        assert await shop.webhooks() == [(mine[1], State.SUPPRESSED)]
        assert await shop.balance(account) == 100_000_000 - 2 * PRICE
        await shop.books_balance()


async def test_an_entry_is_known_the_second_time_and_its_account_alone_takes_it_off(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account, other = await shop.account(), await shop.account("other")
        entry = await opt_out(shop, account)
        async with shop.database.transaction() as tx:
            assert await optouts.add(tx, account.id, STOPPED, later(days=1), "api", "stop") == (entry, True)
        (row,) = await optouts.listed(shop.database, account.id)
        assert (row.id, row.number, row.at, row.comment) == (entry, STOPPED, NOW, "manual")
        assert await optouts.listed(shop.database, other.id) == []
        async with shop.database.transaction() as tx:
            assert await optouts.remove_by_id(tx, other.id, entry, NOW, "api") is False
            assert await optouts.remove_by_id(tx, account.id, entry, NOW, "api") is True
            assert await optouts.remove_by_id(tx, account.id, entry, NOW, "api") is False
        (outcome,) = await accept(shop, shop.send(account, numbers=[STOPPED]))
        assert isinstance(outcome, Accepted)


SOURCES = [("api", True), ("import", True), ("reply", False), ("command", False)]


@pytest.mark.parametrize(("source", "own"), SOURCES)
async def test_a_customer_s_program_undoes_only_what_is_his_own_doing_and_leaves_a_trace(
    database: ConnectionParameters, source: str, own: bool
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        async with shop.database.transaction() as tx:
            entry, _ = await optouts.add(tx, account.id, STOPPED, NOW, source, "stop", "why")
        command = RemoveOptOut(account, entry)
        moment = Moment(later(days=1))
        outcome = await answer(shop.database, command, moment)
        assert outcome == Removed(own, protected=not own)
        assert bool(await optouts.listed(shop.database, account.id)) is not own
        if not own:
            (refused,) = await accept(shop, shop.send(account, numbers=[STOPPED]))
            assert isinstance(refused, Refusal)
            trusted = msgspec.structs.replace(account, settings=AccountSettings(stops_removable=True))
            assert await answer(shop.database, RemoveOptOut(trusted, entry), moment) == Removed(True)
        assert await answer(shop.database, command, moment) == Removed(False)
        (trace,) = await optouts.removed(shop.database, account.id, 10)
        assert trace == optouts.OptOutRemoved(STOPPED, NOW, source, "stop", moment.now, "api")


async def test_what_a_subscriber_says_is_his_own_word_whoever_listed_him_first(database: ConnectionParameters) -> None:
    """Else a customer would list all his numbers himself, and take off whoever opts out."""
    async with opened(database) as shop:
        account = await shop.account()
        async with shop.database.transaction() as tx:
            entry, _ = await optouts.add(tx, account.id, STOPPED, NOW, "api", "manual")
            assert await optouts.add(tx, account.id, STOPPED, later(days=1), "import", "manual") == (entry, True)
            assert await optouts.add(tx, account.id, STOPPED, later(days=2), "reply", "stop", "in reply") == (
                entry,
                True,
            )
            assert await optouts.add(tx, account.id, STOPPED, later(days=3), "api", "manual") == (entry, True)
        (row,) = await shop.database.fetch("select source, comment, detail, at from opt_out")
        assert tuple(row) == ("reply", "stop", "in reply", NOW)
        outcome = await answer(shop.database, RemoveOptOut(account, entry), Moment(NOW))
        assert outcome == Removed(False, protected=True)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
async def test_whatever_happens_no_opted_out_number_gets_anything(database: ConnectionParameters, seed: int) -> None:
    chance = random.Random(seed)
    numbers = [f"+3360000{n:04d}" for n in range(6)]
    async with opened(database) as shop:
        login = f"account {seed} {await shop.database.value('select count(*) from account')}"
        account = await shop.account(login)
        bind = await shop.bind(await shop.carrier(login))
        gone: set[str] = set()
        for _ in range(25):
            number = chance.choice(numbers)
            match chance.randrange(4):
                case 0:
                    await opt_out(shop, account, number, sweep=chance.random() < 0.5)
                    gone.add(number)
                case 1:
                    async with shop.database.transaction() as tx:
                        assert await optouts.remove(tx, account.id, number, NOW, "reply") == (number in gone)
                    gone.discard(number)
                case 2:
                    await accept(shop, shop.send(account, numbers=chance.sample(numbers, 3)))
                case 3:
                    for row in await bind.turn(chance.randrange(1, 4)):
                        assert row.recipient not in gone
        await shop.books_balance()


@pytest.mark.parametrize("sweep", [True, False], ids=["swept", "claimed"])
async def test_what_is_in_doubt_stays_so_when_its_number_opts_out(database: ConnectionParameters, sweep: bool) -> None:
    """It may have arrived: it is not sent again, and nobody says that it was never sent."""
    async with opened(database) as shop:
        account = await shop.account()
        carrier_id = await shop.carrier()
        (number,) = await shop.messages(account, numbers=[STOPPED], transactional=True)
        bind = await shop.bind(carrier_id)
        await bind.turn(5)
        async with shop.database.transaction() as tx:
            await outcomes.doubt(tx, NOW, carrier_id, [Doubt(number, key_of(later(seconds=10)), 0, "no answer")])
        await bind.turn()
        if sweep:
            await opt_out(shop, account, sweep=True)
        else:
            await opt_out(shop, account)
            book = upkeep.Book()
            await upkeep.look(shop.database, later(seconds=11), book)
            await upkeep.release(shop.database, later(seconds=11), book)
            assert await shop.state(number) is State.QUEUED
            assert await bind.turn(5, now=later(seconds=12)) == []
        assert await shop.state(number) is State.UNCERTAIN
        assert await shop.queued() == []
        assert await shop.in_flight() == []
        assert await shop.balance(account) == 100_000_000 - PRICE
        assert await shop.database.value("select count(*) from uncertain where carrier_id = $1", carrier_id) == 1
        await shop.books_balance()


async def test_what_is_in_doubt_cannot_be_taken_back(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        carrier_id = await shop.carrier()
        (number,) = await shop.messages(account, transactional=True)
        bind = await shop.bind(carrier_id)
        await bind.turn(5)
        async with shop.database.transaction() as tx:
            await outcomes.doubt(tx, NOW, carrier_id, [Doubt(number, key_of(later(seconds=10)), 0, "no answer")])
        await bind.turn()
        book = upkeep.Book()
        await upkeep.look(shop.database, later(seconds=11), book)
        await upkeep.release(shop.database, later(seconds=11), book)
        async with shop.database.transaction() as tx:
            assert await cancel.take_back(tx, number >> 16, later(seconds=12), later(seconds=12)) == []
        assert await shop.state(number) is State.QUEUED
        assert await shop.queued() == [number]
