"""Receipts in the database: early, twice, late, contradicting, of somebody else; the ledger always follows."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shop import NOW, PRICE, Bind, Shop, address_of, later, opened

from chappe.core.lifecycle import FINAL, State
from chappe.embedded.server import ConnectionParameters
from chappe.store import bind_turn, binds, outcomes, queue
from chappe.store.database import Database
from chappe.store.outcomes import Finish

pytestmark = pytest.mark.every_postgres

ALL, ANY, FIRST, LAST = range(4)


async def submitted(shop: Shop, bind: Bind, count: int = 1, **given: object) -> list[int]:
    """Messages that the carrier took, with ids r<message>, or r<message>.<part>."""
    known = await shop.database.value("select id from account order by id limit 1")
    account = await shop.account() if known is None else (await _account(shop))
    sent = await shop.messages(account, count, **given)
    rows = await bind.turn(count)
    taken = []
    for row in rows:
        if row.parts == 1:
            taken.append((row.message_id, 0, f"r{row.message_id}"))
        else:
            taken += [(row.message_id, part, f"r{row.message_id}.{part}") for part in range(1, row.parts + 1)]
    await bind.turn(0, taken=taken)
    return sent


async def _account(shop: Shop) -> object:
    from chappe.store import accounts

    return (await accounts.all_accounts(shop.database))[0]


async def number(shop: Shop, message: int) -> str:
    recipient: str = (await shop.message(message))["recipient"]
    return recipient[1:]


@pytest.mark.asyncio
@pytest.mark.parametrize("state", [State.DELIVERED, State.UNDELIVERED, State.EXPIRED, State.REJECTED])
async def test_a_receipt_ends_its_message_once(database: ConnectionParameters, state: State) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        (sent,) = await submitted(shop, bind, report_url="https://h/")
        source = await number(shop, sent)
        for _ in range(3):
            await bind.turn(0, receipts=[(f"r{sent}", source, state)], error="0af")
        row = await shop.message(sent)
        assert (State(row["state"]), row["reason"]) == (state, "0af")
        assert await shop.webhooks() == [(sent, state)], "told once"
        assert await shop.database.value("select count(*) from receipt where message_id = $1", sent) == 3
        back = await shop.database.value("select sum(amount_micros)::bigint from ledger_entry where kind = 2")
        assert back == (PRICE if state is State.REJECTED else None)
        await shop.books_balance()


@pytest.mark.asyncio
async def test_news_in_transit_ends_nothing_and_is_kept(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        (sent,) = await submitted(shop, bind)
        await bind.turn(0, receipts=[(f"r{sent}", "", None)])
        assert await shop.state(sent) is State.QUEUED
        assert await shop.database.value("select word from receipt where message_id = $1", sent) == "WORD"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("first", "then", "end"),
    [
        (State.UNDELIVERED, State.DELIVERED, State.DELIVERED),
        (State.EXPIRED, State.DELIVERED, State.DELIVERED),
        (State.NO_RECEIPT, State.EXPIRED, State.EXPIRED),
        (State.NO_RECEIPT, State.DELIVERED, State.DELIVERED),
        (State.DELIVERED, State.UNDELIVERED, State.DELIVERED),
        (State.EXPIRED, State.UNDELIVERED, State.EXPIRED),
        (State.REJECTED, State.DELIVERED, State.REJECTED),
    ],
)
async def test_of_contradicting_news_the_rules_choose(
    database: ConnectionParameters, first: State, then: State, end: State
) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        (sent,) = await submitted(shop, bind)
        if first is State.NO_RECEIPT:
            async with shop.database.transaction(hot=True) as tx:
                await outcomes.finish(tx, NOW, [Finish(sent, first, 0, "no_receipt", "no_receipt")])
        else:
            await bind.turn(0, receipts=[(f"r{sent}", "", first)])
        await bind.turn(0, receipts=[(f"r{sent}", "", then)])
        assert await shop.state(sent) is end
        await shop.books_balance()


@pytest.mark.asyncio
async def test_an_early_receipt_waits_for_its_answer_for_as_long_as_it_takes(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        sent = await shop.messages(account, 3)
        await bind.turn(3)
        await bind.turn(0, receipts=[("early", "", State.DELIVERED), ("stray", "", State.DELIVERED)], still=sent)
        assert await shop.states(sent) == [State.QUEUED] * 3
        await bind.turn(0, taken=[(sent[1], 0, "early")], still=[sent[0], sent[2]], now=later(hours=3))
        assert await shop.states(sent) == [State.QUEUED, State.DELIVERED, State.QUEUED]
        assert await shop.database.value("select count(*) from receipt_unmatched") == 1
        assert await shop.database.value("select message_id from receipt where carrier_ref = 'early'") == sent[1]


@pytest.mark.asyncio
async def test_an_id_is_the_carriers_own_and_the_number_must_fit(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        red = await shop.bind(await shop.carrier("red"))
        blue = await shop.bind(await shop.carrier("blue", prefix=None))
        (sent,) = await submitted(shop, red)
        await blue.turn(0, receipts=[(f"r{sent}", "", State.UNDELIVERED)])
        await red.turn(0, receipts=[(f"r{sent}", "33699999999", State.UNDELIVERED)])
        assert await shop.state(sent) is State.QUEUED
        assert await shop.database.value("select count(*) from receipt_unmatched") == 2
        national = "0" + (await number(shop, sent))[2:]
        await red.turn(0, receipts=[(f"r{sent}", national, State.DELIVERED)])
        assert await shop.state(sent) is State.DELIVERED, "a national form is the same number"


@pytest.mark.asyncio
async def test_of_a_reused_id_the_newest_message_to_that_number_is_meant(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        sent = await shop.messages(account, 3)
        await bind.turn(3)
        await bind.turn(0, taken=[(one, 0, "7") for one in sent])
        await bind.turn(0, receipts=[("7", await number(shop, sent[0]), State.DELIVERED)])
        await bind.turn(0, receipts=[("7", "", State.UNDELIVERED)])
        assert await shop.states(sent) == [State.DELIVERED, State.QUEUED, State.UNDELIVERED]


@pytest.mark.asyncio
async def test_of_two_receipts_of_one_message_at_once_the_good_one_counts(database: ConnectionParameters) -> None:
    """A message that was sent once more has two ids."""
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        sent = await shop.messages(account, 20, report_url="https://h/")
        await bind.turn(20)
        await bind.turn(0, taken=[(one, 0, f"{form}{one}") for one in sent for form in "ab"])
        news = [(f"{form}{one}", "", state) for one in sent for form, state in (("a", State.UNDELIVERED), ("b", 6))]
        random.Random(3).shuffle(news)
        await bind.turn(0, receipts=news)
        assert await shop.states(sent) == [State.DELIVERED] * 20
        assert len(await shop.webhooks()) == 20


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("policy", "news", "states"),
    [
        (ALL, [(1, 6), (2, 6), (3, 6)], [3, 3, 6]),
        (ALL, [(3, 6), (1, 6), (1, 6), (2, 6)], [3, 3, 3, 6]),
        (ALL, [(1, 6), (2, 7), (3, 6)], [3, 7, 7]),
        (ALL, [(2, 7), (1, 6), (3, 6), (2, 6)], [7, 7, 7, 6]),
        (ANY, [(2, 6)], [6]),
        (ANY, [(1, 7), (2, 6)], [7, 6]),
        (FIRST, [(2, 7), (3, 6), (1, 6)], [3, 3, 6]),
        (FIRST, [(1, 8), (2, 6)], [8, 8]),
        (LAST, [(1, 7), (2, 6), (3, 6)], [3, 3, 6]),
    ],
)
async def test_parts_make_the_message_by_the_carriers_policy(
    database: ConnectionParameters, policy: int, news: list[tuple[int, int]], states: list[int]
) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        (sent,) = await submitted(shop, bind, parts=3)
        seen = []
        for part, state in news:
            await bind.turn(0, receipts=[(f"r{sent}.{part}", "", state)], policy=policy)
            seen.append(int(await shop.state(sent)))
        assert seen == states
        await shop.books_balance()


@pytest.mark.asyncio
async def test_all_parts_in_one_turn_make_the_message_once(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        (sent,) = await submitted(shop, bind, parts=10, report_url="https://h/")
        await bind.turn(0, receipts=[(f"r{sent}.{part}", "", 6) for part in range(10, 0, -1)])
        assert await shop.state(sent) is State.DELIVERED
        assert await shop.webhooks() == [(sent, State.DELIVERED)]


@pytest.mark.asyncio
async def test_receipts_on_two_binds_in_one_instant_find_each_other(database: ConnectionParameters) -> None:
    """Neither transaction sees the other's row: upkeep brings them together."""
    async with opened(database, hot=4) as shop:
        account = await shop.account()
        red = await shop.carrier(binds=2)
        one, two = await shop.bind(red), await shop.bind(red, slot=1)
        (sent,) = await shop.messages(account)
        await one.turn(1)
        async with shop.database.transaction(hot=True) as tx:
            news = bind_turn.Turn(r_message=[sent], r_part=[0], r_ref=["x"])
            await bind_turn.turn(tx, one.key, one.token, NOW, 0, news, [], [], 0)
            await two.turn(0, receipts=[("x", "", State.DELIVERED)])
        assert await shop.state(sent) is State.QUEUED
        found = await queue.matchable(shop.database, later(minutes=-1), 10)
        assert found == {red: ["x"]}
        async with shop.database.transaction() as tx:
            assert await queue.match(tx, later(seconds=2), red, 0, ["x"]) == 1
            assert await queue.match(tx, later(seconds=2), red, 0, ["x"]) == 0
        assert await shop.state(sent) is State.DELIVERED


@pytest.mark.asyncio
async def test_refunds_and_charges_at_once_keep_the_books(database: ConnectionParameters) -> None:
    """Batches are accepted while two binds pay back: locks may wait for each other, the sums may not differ."""
    async with opened(database, hot=6) as shop:
        both = [await shop.account("a", 200 * PRICE), await shop.account("b", 200 * PRICE)]
        red = await shop.carrier(binds=2)
        pair = [await shop.bind(red), await shop.bind(red, slot=1)]
        for account in both:
            await shop.messages(account, 60)

        async def refuse(bind: Bind) -> None:
            held: list[int] = []
            for _ in range(12):
                rows = await bind.turn(6, taken=[(m, 0, f"q{m}") for m in held])
                receipts = [(f"q{m}", "", int(State.REJECTED)) for m in held]
                held = [row.message_id for row in rows]
                await bind.turn(0, receipts=receipts, still=held)
            await bind.turn(0, taken=[(m, 0, f"q{m}") for m in held])

        async def accept() -> None:
            for count in range(1, 12):
                await shop.accept(*(shop.send(account, count) for account in both))

        await asyncio.gather(refuse(pair[0]), refuse(pair[1]), accept())
        await shop.books_balance()
        refused = await shop.database.value("select count(*) from message where state = 9")
        assert refused > 50
        assert await shop.database.value("select count(*) from ledger_entry where kind = 2") == refused


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.integers(1, 4), st.integers(1, 3)),
        st.tuples(st.just("claim"), st.integers(1, 6), st.just(0)),
        st.tuples(st.just("take"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("receipt"), st.integers(0, 9), st.sampled_from([6, 7, 8, 9])),
        st.tuples(st.just("refuse"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("requeue"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.just("doubt"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("late"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("takeover"), st.just(0), st.just(0)),
    ),
    min_size=5,
    max_size=40,
)


class World:
    """Random turns of one bind, with a model of who holds what."""

    def __init__(self, shop: Shop, account: object, bind: Bind) -> None:
        self.shop, self.account, self.bind = shop, account, bind
        self.flying: dict[int, bind_turn.Claimed] = {}
        self.references: list[tuple[str, int]] = []
        self.ends: dict[int, State] = {}

    async def step(self, what: str, a: int, b: int) -> None:
        await getattr(self, f"_{what}")(a, b)
        await self.shop.books_balance()
        for row in await self.shop.database.fetch("select id, state from message"):
            state = State(row["state"])
            before = self.ends.get(row["id"])
            if before is not None and state is not before:
                assert state is State.DELIVERED, f"{before} became {state}"
                assert before in (State.UNDELIVERED, State.EXPIRED)
            if state in FINAL:
                self.ends[row["id"]] = state
        assert sorted(self.flying) == await self.shop.in_flight()

    def _one(self, place: int) -> bind_turn.Claimed | None:
        rows = list(self.flying.values())
        return rows[place % len(rows)] if rows else None

    async def _accept(self, count: int, parts: int) -> None:
        await self.shop.accept(self.shop.send(self.account, count, parts=parts, report_url="https://h/"))  # type: ignore[arg-type]

    async def _claim(self, want: int, _: int) -> None:
        for row in await self.bind.turn(want, still=list(self.flying)):
            assert row.message_id not in self.flying
            assert self.ends.get(row.message_id) is None, "what has ended is not sent again"
            self.flying[row.message_id] = row

    async def _take(self, place: int, parts: int) -> None:
        row = self._one(place)
        if row is None:
            return
        count = row.parts if parts == 0 else min(parts, row.parts)
        numbers = [0] if row.parts == 1 else list(range(1, count + 1))
        taken = [(row.message_id, part, f"{row.message_id}.{part}.{row.attempts}") for part in numbers]
        if count == row.parts:
            del self.flying[row.message_id]
        await self.bind.turn(0, taken=taken, still=list(self.flying))
        self.references += [(ref, message) for message, _, ref in taken]

    async def _receipt(self, place: int, state: int) -> None:
        if self.references:
            ref, _ = self.references[place % len(self.references)]
            await self.bind.turn(0, receipts=[(ref, "", state)], still=list(self.flying))

    async def _decided(self, place: int, decide: object) -> None:
        row = self._one(place)
        if row is None:
            return
        del self.flying[row.message_id]
        async with self.shop.database.transaction(hot=True) as tx:
            await decide(tx, row)  # type: ignore[operator]
            await bind_turn.turn(tx, self.bind.key, self.bind.token, NOW, 0, bind_turn.Turn(), list(self.flying), [], 0)

    async def _refuse(self, place: int, kept: int) -> None:
        await self._decided(
            place, lambda tx, row: outcomes.finish(tx, NOW, [Finish(row.message_id, State.REJECTED, kept, "no", "no")])
        )

    async def _requeue(self, place: int, attempts: int) -> None:
        await self._decided(
            place,
            lambda tx, row: outcomes.requeue(
                tx, NOW, [outcomes.Requeue(row.message_id, row.lane, row.key, attempts, row.parts_done, State.QUEUED)]
            ),
        )

    async def _doubt(self, place: int, resend: int) -> None:
        await self._decided(
            place,
            lambda tx, row: outcomes.doubt(
                tx, NOW, self.bind.key.carrier_id, [outcomes.Doubt(row.message_id, 5 if resend else 0, 0, "cut")]
            ),
        )

    async def _late(self, place: int, _: int) -> None:
        rows = await self.shop.database.fetch("select message_id from uncertain order by 1")
        if rows:
            message = rows[place % len(rows)]["message_id"]
            async with self.shop.database.transaction(hot=True) as tx:
                await outcomes.resolve_doubt(tx, NOW, [message])

    async def _takeover(self, _: int, __: int) -> None:
        taken = await binds.take(self.shop.database, self.bind.key, "me", 60)
        assert taken is not None
        assert sorted(taken.in_flight) == sorted(self.flying)
        self.bind = Bind(self.shop, self.bind.key, taken.token)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_the_books_balance_and_ends_are_ends(database: ConnectionParameters, steps: list) -> None:  # type: ignore[type-arg]
    async def play() -> None:
        own = Database(address_of(database), "chappe test")
        await own.open()
        try:
            await own.execute(
                """truncate account, balance, ledger_entry, submission, message, outbox, carrier, route, bind,
                   reference, receipt, receipt_unmatched, uncertain, webhook, event restart identity cascade"""
            )
            shop = Shop(own)
            account = await shop.account(balance_micros=40 * PRICE)
            world = World(shop, account, await shop.bind(await shop.carrier()))
            for what, a, b in steps:
                await world.step(what, a, b)
        finally:
            await own.close()

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(play())
    finally:
        loop.close()
