"""Upkeep against a real database: what is due leaves, what is stuck moves, what is stray finds home, silence ends."""

from __future__ import annotations

from datetime import timedelta

import pytest
from shop import NOW, Bind, Shop, later, opened

from chappe.actions import upkeep
from chappe.actions.budget import Budget
from chappe.actions.upkeep import SILENCE, Book
from chappe.core.lifecycle import State
from chappe.core.model import message_id
from chappe.embedded.server import ConnectionParameters
from chappe.store import carriers, outcomes, queue
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of
from chappe.store.outcomes import Doubt, Requeue

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def book_of(shop: Shop, *down: int) -> Book:
    """What upkeep knows, every carrier up but those."""
    await shop.database.execute(
        """update bind set state = 'bound', expires_at = now() + interval '1 hour',
                  state_at = now() - interval '1 day'"""
    )
    await shop.database.execute("update bind set state = 'down' where carrier_id = any ($1::int[])", list(down))
    book = Book()
    await upkeep.look(shop.database, NOW, book)
    assert book.down == set(down)
    return book


async def test_what_is_due_leaves_and_what_is_not_stays(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        soon = await shop.messages(account, 1, scheduled_at=later(minutes=5))
        bulk = await shop.messages(account, 60, scheduled_at=later(minutes=5))
        code = await shop.messages(account, 1, scheduled_at=later(minutes=5), transactional=True)
        tomorrow = await shop.messages(account, 1, scheduled_at=later(days=1))
        book = await book_of(shop)
        assert not await upkeep.release(shop.database, later(minutes=4), book)
        assert await upkeep.release(shop.database, later(minutes=5), book)
        lanes = {row["message_id"]: row["lane"] for row in await shop.outbox()}
        assert {lanes[m] for m in soon} == {lane(red, LaneClass.COMMERCIAL)}
        assert {lanes[m] for m in bulk} == {lane(red, LaneClass.BULK)}
        assert {lanes[m] for m in code} == {lane(red, LaneClass.TRANSACTIONAL)}
        assert {lanes[m] for m in tomorrow} == {lane(red, LaneClass.WAITING)}
        assert await shop.states([*soon, *tomorrow]) == [State.QUEUED, State.SCHEDULED]
        assert await shop.events(soon[0]) == ["released"]
        await shop.books_balance()


async def test_what_nobody_takes_waits_for_a_route(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        (sent,) = await shop.messages(account)
        assert not await upkeep.release(shop.database, later(seconds=1), await book_of(shop))
        assert [(row["lane"], row["key"]) for row in await shop.outbox()] == [(7, key_of(later(seconds=301)))]
        red = await shop.carrier()
        assert await upkeep.release(shop.database, later(seconds=302), await book_of(shop))
        assert [(row["lane"], row["message_id"]) for row in await shop.outbox()] == [(lane(red, 1), sent)]


async def test_a_doubt_is_sent_once_more_when_its_time_comes(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        again, answered = await shop.messages(account, 2, transactional=True, parts=2)
        await bind.turn(2)
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.doubt(
                tx, NOW, red, [Doubt(one, key_of(later(seconds=10)), 0b10, "cut") for one in (again, answered)]
            )
        await bind.turn(0, receipts=[("x", "", 6)])
        await bind.turn(0, taken=[(answered, 0, "x")])
        assert await shop.state(answered) is State.DELIVERED
        assert await upkeep.release(shop.database, later(seconds=10), await book_of(shop))
        (row,) = await bind.turn(5)
        assert (row.message_id, row.doubts, row.parts_done) == (again, 1, 0b10)
        assert await shop.state(again) is State.QUEUED
        assert await shop.database.value("select count(*) from uncertain") == 0


async def test_a_carrier_that_is_down_loses_its_queue_to_the_next(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier("red")
        blue = await shop.carrier("blue", prefix="33", priority=5)
        del blue
        await carriers.add_route(shop.database, "red", "33", None, 0)
        blue = next(c.id for c in await carriers.all_carriers(shop.database) if c.name == "blue")
        stuck = await shop.messages(account, 3, numbers=["+352621000001", "+352621000002", "+352621000003"])
        await shop.messages(account, 5)
        assert {row["lane"] // 8 for row in await shop.outbox()} == {red}
        old = upkeep.BATCH
        upkeep.BATCH = 2  # the head of the queue cannot move: it must not hold the others up
        try:
            assert await upkeep.fail_over(shop.database, later(seconds=60), await book_of(shop, red))
        finally:
            upkeep.BATCH = old
        rows = await shop.outbox()
        assert sorted(row["message_id"] for row in rows if row["lane"] // 8 == red) == stuck
        assert sum(row["lane"] // 8 == blue for row in rows) == 5
        assert not await upkeep.fail_over(shop.database, later(seconds=70), await book_of(shop, red))
        await shop.books_balance()


async def places(shop: Shop) -> list[tuple[object, ...]]:
    """Where each row of the queue stands, and which transaction wrote it."""
    return [
        tuple(row)
        for row in await shop.database.fetch("select message_id, lane, xmin::text, ctid::text from outbox order by 1")
    ]


@pytest.mark.parametrize("other", [None, "352"])
async def test_a_queue_that_nobody_else_takes_is_not_touched(database: ConnectionParameters, other: str | None) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier("red")
        if other is not None:
            await carriers.add_route(shop.database, "red", other, None, 0)
            await shop.carrier("blue", prefix=other, priority=5)
        await shop.messages(account, 5)
        before = await places(shop)
        book = await book_of(shop, red)
        for seconds in (60, 70, 200):
            assert not await upkeep.fail_over(shop.database, later(seconds=seconds), book)
        assert await places(shop) == before


async def test_a_carrier_that_is_down_as_well_is_no_way_out(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier("red", priority=5)
        await shop.messages(account, 5)
        blue = await shop.carrier("blue")
        before = await places(shop)
        assert not await upkeep.fail_over(shop.database, later(seconds=60), await book_of(shop, red, blue))
        assert await places(shop) == before


async def test_fail_over_goes_on_where_its_time_was_over_and_begins_anew_when_routes_change(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 2)
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier("red")
        await carriers.add_route(shop.database, "red", "352", None, 0)
        await shop.carrier("blue", prefix="352", priority=5)
        await shop.messages(account, 5)
        luxembourg = await shop.messages(account, numbers=["+352621000001"])
        book = await book_of(shop, red)
        for moved in (False, False, True):  # three batches of two
            budget = Budget(lambda: False)
            assert await upkeep.fail_over(shop.database, later(seconds=60), book, budget) is moved
            assert budget.spent
        blue = next(c.id for c in book.carriers.values() if c.name == "blue")
        assert [row["message_id"] for row in await shop.outbox() if row["lane"] // 8 == blue] == luxembourg
        assert not await upkeep.fail_over(shop.database, later(seconds=61), book)
        assert not await upkeep.fail_over(shop.database, later(seconds=62), book)
        await carriers.add_route(shop.database, "blue", "33", None, 9)
        assert await upkeep.fail_over(shop.database, later(seconds=63), book)
        assert {row["lane"] // 8 for row in await shop.outbox()} == {blue}
        await shop.books_balance()


async def test_a_message_that_cannot_be_placed_is_put_aside_and_holds_up_nobody(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = upkeep._destination

    def strange(row: queue.Due, book: Book) -> int | None:
        if row.recipient.endswith("1"):
            raise KeyError("what nobody thought of")
        return real(row, book)

    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier()
        sent = await shop.messages(account, 3, scheduled_at=later(hours=1))
        book = await book_of(shop)
        with monkeypatch.context() as patch:
            patch.setattr(upkeep, "_destination", strange)
            assert await upkeep.release(shop.database, later(hours=2), book)
        waiting = [row["message_id"] for row in await shop.outbox() if row["lane"] % 8 == LaneClass.WAITING]
        assert waiting == [sent[1]]
        assert await shop.events(sent[1]) == ["put_aside"]
        assert not await upkeep.release(shop.database, later(hours=2, minutes=59), book)
        assert await upkeep.release(shop.database, later(hours=3, minutes=1), book)
        assert await shop.queued() == [sent[0], sent[2], sent[1]]


async def test_no_route_leads_to_a_carrier_that_is_not_understood(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier("odd", settings={"knob_of_tomorrow": "1"})
        await shop.carrier("odder", priority=1)
        await shop.database.execute(
            """update carrier set settings = settings || '{"field_of_tomorrow": 1}'::jsonb where name = 'odder'"""
        )
        red = await shop.carrier("red", priority=9)
        await shop.messages(account, 2)  # to the first of the routes, whoever understands it
        await shop.messages(account, 2, scheduled_at=later(hours=1))
        book = await book_of(shop)
        await upkeep.fail_over(shop.database, later(seconds=60), book)
        await upkeep.release(shop.database, later(hours=2), book)
        assert {row["lane"] // 8 for row in await shop.outbox()} == {red}


async def test_a_message_of_which_parts_are_there_stays_with_its_carrier(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier("red")
        await shop.carrier("blue", priority=5)
        bind = await shop.bind(red)
        (sent,) = await shop.messages(account, parts=2)
        (row,) = await bind.turn(1)
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.requeue(tx, NOW, [Requeue(sent, row.lane, row.key, 1, 0b10, State.QUEUED)])
        await bind.turn(0)
        await upkeep.fail_over(shop.database, later(seconds=60), await book_of(shop, red))
        assert [(r["lane"] // 8, r["parts_done"]) for r in await shop.outbox()] == [(red, 0b10)]


async def test_a_removed_carriers_queue_goes_to_whoever_takes_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier("red")
        bind = await shop.bind(red)
        sent = await shop.messages(account, 4)
        rows = await bind.turn(2)
        assert await carriers.remove(shop.database, "red")
        assert not await carriers.remove(shop.database, "red")
        assert {row["lane"] for row in await shop.outbox()} == {7}
        # the bind was still ending: what it gives back goes to a lane that nobody serves
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.requeue(tx, NOW, [Requeue(r.message_id, r.lane, r.key, 0, 0, State.QUEUED) for r in rows])
        await bind.turn(0)
        await upkeep.fail_over(shop.database, later(seconds=5), await book_of(shop))
        assert {row["lane"] for row in await shop.outbox()} == {7}, "nobody else takes them: they wait"
        blue = await shop.carrier("blue")
        assert await upkeep.release(shop.database, later(seconds=60), await book_of(shop))
        assert {row["lane"] // 8 for row in await shop.outbox()} == {blue}
        assert await shop.queued() == sent


async def test_a_disabled_carriers_queue_moves_to_the_next(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        await shop.carrier("red")
        blue = await shop.carrier("blue", priority=3)
        await shop.messages(account, 3)
        await shop.messages(account, 1, scheduled_at=later(hours=1))
        await shop.database.execute("update carrier set enabled = false where name = 'red'")
        assert await upkeep.fail_over(shop.database, NOW, await book_of(shop))
        assert [(row["lane"] // 8, row["lane"] % 8) for row in await shop.outbox()] == [(blue, 1)] * 3 + [(blue, 7)]


async def test_settings_of_another_version_stop_one_carrier_only(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        red = await shop.carrier("red")
        await shop.carrier("odd", settings={"knob_of_tomorrow": "1"})
        await shop.carrier("odder")
        await shop.database.execute(
            """update carrier set settings = settings || '{"field_of_tomorrow": 1}'::jsonb where name = 'odder'"""
        )
        book = Book()
        await upkeep.look(shop.database, NOW, book)
        assert set(book.carriers) == {red}
        for task in upkeep.TASKS:
            await task.run(shop.database, NOW, book, Budget())


async def _stray(shop: Shop, bind: Bind, ref: str, source: str, state: int = 6) -> None:
    await bind.turn(0, receipts=[(ref, source, state)], now=NOW)


@pytest.mark.parametrize("written", ["{:X}", "{:x}", "{:010d}", "{:08X}"])
async def test_other_readings_of_an_id_are_tried_and_learnt(database: ConnectionParameters, written: str) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        sent = await shop.messages(account, 30)
        await bind.turn(30)
        await bind.turn(0, taken=[(one, 0, written.format(place + 0xA000)) for place, one in enumerate(sent)])
        for place, one in enumerate(sent):
            await _stray(shop, bind, str(place + 0xA000), (await shop.message(one))["recipient"][1:])
        await _stray(shop, bind, str(0xA000), "33699999999")
        book = await book_of(shop)
        await upkeep.infer(shop.database, later(seconds=2), book)
        assert await shop.states(sent) == [State.QUEUED] * 30, "the answer may still come"
        await upkeep.infer(shop.database, later(seconds=10), book)
        assert await shop.states(sent) == [State.DELIVERED] * 30
        assert await shop.events(sent[0]) == ["receipt_inferred"]
        assert book.learnt[red].rule != ("learn", "learn")
        assert await shop.database.value("select count(*) from receipt_unmatched") == 1, "another number's stays"
        await shop.books_balance()


@pytest.mark.parametrize(("doubts", "state"), [(1, State.DELIVERED), (2, State.UNCERTAIN)])
async def test_the_only_message_in_doubt_to_a_number_is_meant(
    database: ConnectionParameters, doubts: int, state: State
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        sent = await shop.messages(account, doubts, numbers=["+33612345678"] * doubts)
        await bind.turn(doubts)
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.doubt(tx, NOW, red, [Doubt(one, 0, 0, "cut") for one in sent])
        await bind.turn(0)
        await _stray(shop, bind, "unknown-1", "33612345678")
        await upkeep.infer(shop.database, later(seconds=10), await book_of(shop))
        assert await shop.states(sent) == [state] * doubts


async def test_what_is_on_its_way_is_not_sent_once_more(database: ConnectionParameters) -> None:
    """A receipt that ends nothing still tells that the carrier has the message that was in doubt."""
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (sent,) = await shop.messages(account, numbers=["+33612345678"], transactional=True)
        await bind.turn(1)
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.doubt(tx, NOW, red, [Doubt(sent, key_of(later(seconds=60)), 0, "cut")])
        await bind.turn(0, receipts=[("unknown-1", "33612345678", None)])
        await upkeep.infer(shop.database, later(seconds=10), await book_of(shop))
        assert await shop.state(sent) is State.SUBMITTED
        assert await shop.queued() == []
        assert await shop.database.value("select count(*) from uncertain") == 0


@pytest.mark.parametrize(
    ("done", "outcome", "state", "events"),
    [
        (0b100, 6, State.DELIVERED, ["receipt_inferred"]),  # the second part is at the carrier: this is the first
        (0b100, None, State.SUBMITTED, ["receipt_inferred", "answered_late"]),
        (0b000, 6, State.UNCERTAIN, []),  # of two missing parts nobody knows which one it is
        (0b000, None, State.UNCERTAIN, []),
    ],
)
async def test_a_receipt_without_a_known_id_is_of_the_one_part_that_is_missing(
    database: ConnectionParameters, done: int, outcome: int | None, state: State, events: list[str]
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (sent,) = await shop.messages(account, numbers=["+33612345678"], transactional=True, parts=2)
        await bind.turn(1)
        if done:
            await bind.turn(0, taken=[(sent, 2, "known-2")], still=[sent])
            await bind.turn(0, receipts=[("known-2", "33612345678", 6)], still=[sent])
        async with shop.database.transaction(hot=True) as tx:
            await outcomes.doubt(tx, NOW, red, [Doubt(sent, key_of(later(seconds=60)), done, "cut")])
        await bind.turn(0, receipts=[("unknown-1", "33612345678", outcome)])
        await upkeep.infer(shop.database, later(seconds=10), await book_of(shop))
        assert (await shop.state(sent), await shop.events(sent)) == (state, ["uncertain_resend", *events])
        assert bool(await shop.queued()) == (state is State.UNCERTAIN), "only a part in doubt is sent once more"


async def test_silence_ends_what_was_never_heard_of(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        silent = await shop.messages(account, 2, report_url="https://h/")
        planned = await shop.messages(account, 1, scheduled_at=later(days=5))
        heard = await shop.messages(account, 1)
        flying = await shop.messages(account, 1)
        queued = await shop.messages(account, 1)
        rows = await bind.turn(4)
        await bind.turn(0, taken=[(r.message_id, 0, f"r{r.message_id}") for r in rows[:3]], still=flying)
        await bind.turn(0, receipts=[(f"r{heard[0]}", "", 6)], still=flying)
        young = await shop.messages(account, 1, now=later(days=2))
        book = await book_of(shop)
        await upkeep.silence(shop.database, NOW + SILENCE - timedelta(minutes=1), book)
        assert await shop.states(silent) == [State.QUEUED] * 2
        await upkeep.silence(shop.database, NOW + SILENCE + timedelta(minutes=1), book)
        assert await shop.states([*silent, *heard, *flying, *queued, *planned, *young]) == [
            State.NO_RECEIPT,
            State.NO_RECEIPT,
            State.DELIVERED,
            State.QUEUED,
            State.QUEUED,
            State.SCHEDULED,
            State.QUEUED,
        ]
        assert [state for _, state in await shop.webhooks()] == [State.NO_RECEIPT] * 2
        # what the walk passed is not forgotten
        at = later(days=5)
        await upkeep.release(shop.database, at, book)
        last = [row.message_id for row in await bind.turn(9)]
        assert set(last) == {*planned, *queued, *young}
        await bind.turn(0, taken=[(one, 0, f"s{one}") for one in (*last, *flying)])
        await upkeep.silence(shop.database, at + timedelta(hours=1), book)
        assert await shop.states([*flying, *planned]) == [State.NO_RECEIPT, State.QUEUED], "sent an hour ago"
        await upkeep.silence(shop.database, at + SILENCE + timedelta(hours=1), book)
        assert await shop.states([*planned, *queued]) == [State.NO_RECEIPT] * 2
        assert await shop.database.value("select count(*) from silence_later") == 0
        await shop.books_balance()


async def test_a_step_of_silence_ends_a_bounded_number_and_what_was_noted_takes_its_turns(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MESSAGES_MAX", 5)
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        sent = [one for _ in range(4) for one in await shop.messages(account, 3)]
        planned = [one for _ in range(4) for one in await shop.messages(account, 3, scheduled_at=later(hours=1))]
        await bind.turn(12)
        await bind.turn(0, taken=[(one, 0, f"r{one}") for one in sent])
        book = await book_of(shop)
        at = NOW + SILENCE + timedelta(minutes=1)
        ended = []
        while (step := await queue.silence(shop.database, at, SILENCE, 100)).more:
            ended.append(step.ended)
        assert ended == [3, 3, 3, 3, 0, 0, 0][: len(ended)]
        assert await shop.states(sent) == [State.NO_RECEIPT] * 12
        assert await shop.database.value("select count(*) from silence_later") == 4
        await upkeep.release(shop.database, at, book)
        await bind.turn(12)
        await bind.turn(0, taken=[(one, 0, f"r{one}") for one in planned])
        positions = [0]
        while last := await queue.silence_later(shop.database, at + timedelta(days=3), SILENCE, positions[-1], 2):
            positions.append(last)
        assert len(positions) == 4, "each of more than half of what one step may end"
        assert await shop.states(planned) == [State.NO_RECEIPT] * 12
        assert await shop.database.value("select count(*) from silence_later") == 0
        await shop.books_balance()


async def test_the_walk_does_not_stop_where_nothing_is_silent(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        stored = await shop.accept(*(shop.send(account) for _ in range(50)))
        sent = [message_id(one.submission_id or 0, 0) for one in stored]
        await bind.turn(50)
        await bind.turn(0, taken=[(one, 0, f"r{one}") for one in sent])
        await bind.turn(0, receipts=[(f"r{one}", "", 6) for one in sent[:-1]])
        steps = 0
        while (await queue.silence(shop.database, later(days=9), SILENCE, 10)).more:
            steps += 1
        assert steps == 5
        assert await shop.state(sent[-1]) is State.NO_RECEIPT


async def test_a_step_of_the_walk_reads_no_more_where_much_is_stored(database: ConnectionParameters) -> None:
    async with opened(database, ordinary=1, hot=1) as shop:
        account = await shop.account(balance_micros=10**12)
        await shop.carrier()
        await shop.accept(*(shop.send(account) for _ in range(20_000)))
        await shop.database.execute("update message set state = 6")
        for table in ("message", "submission", "outbox"):
            await shop.database.execute(f"analyze {table}")
        before = await rows_read(shop)
        assert (await queue.silence(shop.database, later(days=9), SILENCE, 1000)).more
        assert 0 < await rows_read(shop) - before < 5_000


async def rows_read(shop: Shop) -> int:
    """How many rows of messages have been read so far, in whatever way."""
    for hot in (True, False):
        async with shop.database.connection(hot=hot) as connection:
            await connection.execute("select pg_stat_force_next_flush()")
    found: int = await shop.database.value(
        "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = 'message'"
    )
    return found


async def test_what_a_lost_bind_holds_is_not_in_flight_for_ever(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        (sent,) = await shop.messages(account)
        await bind.turn(1)
        await carriers.remove(shop.database, "red")
        await shop.database.execute("update bind set expires_at = '-infinity'")
        await upkeep.silence(shop.database, later(days=9), Book())
        assert await shop.state(sent) is State.NO_RECEIPT


async def test_strays_are_looked_for_and_then_forgotten(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        await _stray(shop, bind, "nobody's", "33612345678")
        book = await book_of(shop)
        await upkeep.silence(shop.database, later(days=6), book)
        assert await shop.database.value("select count(*) from receipt_unmatched") == 1
        await upkeep.silence(shop.database, later(days=8), book)
        assert await shop.database.value("select count(*) from receipt_unmatched") == 0
        assert await shop.database.value("select count(*) from receipt") == 1, "it is never dropped"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("settings", "hours"),
    [({}, 54), ({"receipt_margin_s": "86400"}, 72), ({"validity_s": "604800"}, 174), ({"validity_s": "3600"}, 7)],
)
async def test_a_message_is_given_up_after_its_carriers_validity_and_margin(
    database: ConnectionParameters, settings: dict[str, str], hours: int
) -> None:
    async with opened(database) as shop:
        red = await shop.carrier("red", settings=settings)
        await shop.carrier("blue", prefix=None, settings={"validity_s": "7200"})
        bind = await shop.bind(red)
        account = await shop.account()
        (sent,) = await shop.messages(account)
        await bind.turn(1)
        await bind.turn(0, taken=[(sent, 0, "77")])
        book = await book_of(shop)
        await upkeep.silence(shop.database, later(hours=hours - 1), book)
        assert await shop.state(sent) is State.QUEUED
        await upkeep.silence(shop.database, later(hours=hours + 1), book)
        assert await shop.state(sent) is State.NO_RECEIPT
