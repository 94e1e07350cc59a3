"""The turn of a bind: nothing claimed twice, nothing recorded under a stale lease, nothing ended is sent again."""

from __future__ import annotations

import asyncio
import random

import pytest
from shop import NOW, PRICE, Shop, eventually, later, opened

from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import binds, carriers, queue
from chappe.store.binds import BindKey, Doubt, Finish, Lease, LeaseLost, Renewed, Requeue
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


async def back(shop: Shop, *rows: Requeue) -> None:
    async with shop.database.transaction(hot=True) as tx:
        await binds.requeue(tx, later(seconds=1), rows)


async def test_a_turn_claims_in_order_no_more_than_asked_and_writes_it_down(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        sent = await shop.messages(account, 5, text="a text", transactional=True, report_url="https://h/")
        first = await bind.turn(2)
        assert [row.message_id for row in first] == sent[:2]
        assert (first[0].text, first[0].sender, first[0].parts, first[0].attempts, first[0].parts_done) == (
            "a text",
            "SHOP",
            1,
            0,
            0,
        )
        assert (first[0].account_id, first[0].due_at, first[0].dialect) == (account.id, NOW, "smspartner")
        assert await shop.in_flight() == sent[:2]
        assert await shop.queued() == sent[2:]
        second = await bind.turn(10, taken=[(sent[0], 0, "a")], still=[sent[1]])
        assert [row.message_id for row in second] == sent[2:]
        assert await shop.in_flight() == sent[1:]
        await bind.turn(0, still=[])
        assert await shop.in_flight() == []
        assert await shop.state(sent[0]) is State.QUEUED, "the row is not touched until its end: the reference says it"
        assert await shop.database.value("select carrier_ref from reference where message_id = $1", sent[0]) == "a"


async def test_an_idle_turn_writes_nothing_but_notices_a_lost_lease(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        before = await shop.database.value("select xmin::text from bind")
        assert await bind.turn(5) == []
        assert await shop.database.value("select xmin::text from bind") == before
        await shop.bind(bind.key.carrier_id, owner="me")
        with pytest.raises(LeaseLost):
            await bind.turn(5)


async def test_a_stale_token_records_and_takes_nothing(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        old = await shop.bind(red)
        sent = await shop.messages(account, 3, report_url="https://h/")
        await old.turn(1)
        new = await shop.bind(red)
        assert new.left == (sent[0],)
        with pytest.raises(LeaseLost):
            await old.turn(
                5, taken=[(sent[0], 0, "a")], waiting=[(sent[0], 7)], receipts=[("a", "", State.DELIVERED)], still=[]
            )
        assert await shop.database.value("select count(*) from reference") == 0
        assert await shop.database.value("select count(*) from receipt") == 0
        assert await shop.webhooks() == []
        assert await shop.in_flight() == [sent[0]]
        assert await shop.queued() == sent[1:]


async def test_a_bind_is_taken_by_one_and_only_when_it_is_free(database: ConnectionParameters) -> None:
    async with opened(database, ordinary=6) as shop:
        red = await shop.carrier(binds=2)
        key = BindKey(red, 0)
        taken = await asyncio.gather(*(binds.take(shop.database, key, f"owner {i}", 60) for i in range(5)))
        assert sum(one is not None for one in taken) == 1
        holder = next(i for i, one in enumerate(taken) if one is not None)
        assert await binds.free(shop.database, "another") == [BindKey(red, 1)]
        assert key in await binds.free(shop.database, f"owner {holder}"), "a restarted process of that name may"
        assert await binds.owners(shop.database) == [f"owner {holder}"]
        await binds.expire(shop.database, f"owner {holder}")
        assert key in await binds.free(shop.database, "another")
        again = await binds.take(shop.database, key, "another", 60)
        assert again is not None
        stale = Lease(key, again.token - 1, "bound", "", {})
        assert await binds.renew_all(shop.database, [stale], 60) == Renewed([], [stale], [])
        assert await binds.renew_waiting(shop.database, stale, 60, 0.1) is False
        fine = Lease(key, again.token, "bound", "fine", {"rate": 1.5})
        assert await binds.renew_waiting(shop.database, fine, 60, 0.1) is True
        assert await binds.renew_all(shop.database, [fine], 60) == Renewed([fine], [], [])
        (view, _) = await binds.views(shop.database)
        assert (view.owner, view.state, view.detail, view.alive, view.figures) == (
            "another",
            "bound",
            "fine",
            True,
            {"rate": 1.5},
        )
        await binds.release(shop.database, key, again.token - 1)
        assert key not in await binds.free(shop.database, "x")
        await binds.release(shop.database, key, again.token)
        assert key in await binds.free(shop.database, "x")
        assert await binds.renew_all(shop.database, [fine], 60) == Renewed([], [fine], []), "a late one changes nothing"
        assert key in await binds.free(shop.database, "x")


async def test_leases_are_renewed_together_and_one_whose_row_is_locked_holds_up_none(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        red = await shop.carrier(binds=4)
        taken = [await shop.bind(red, slot=slot, lease_s=0.001) for slot in range(4)]
        leases = [Lease(bind.key, bind.token, "bound", "", {}) for bind in taken]
        leases[3] = Lease(taken[3].key, taken[3].token - 1, "bound", "", {})
        gone = Lease(BindKey(red, 9), 1, "bound", "", {})
        async with shop.database.transaction() as tx:
            await tx.execute("select from bind where slot = 1 for update")
            outcome = await binds.renew_all(shop.database, [*leases, gone], 60)
            assert outcome == Renewed([leases[0], leases[2]], [leases[3], gone], [leases[1]])
            assert await binds.renew_waiting(shop.database, leases[1], 60, 0.05) is None
        assert [view.alive for view in await binds.views(shop.database)] == [True, False, True, False]
        assert await binds.renew_waiting(shop.database, leases[1], 60, 0.05) is True


async def test_a_carrier_that_is_gone_has_no_binds_but_what_is_in_flight_is_remembered(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red, blue = await shop.carrier(binds=3), await shop.carrier("blue", binds=2)
        bind = await shop.bind(red, slot=1)
        await shop.messages(account, 1)
        await bind.turn(1)
        await binds.expire(shop.database, "me")
        await carriers.remove(shop.database, "red")
        await binds.resize_all(shop.database, {blue: 4})
        found = [(view.carrier_id, view.slot) for view in await binds.views(shop.database)]
        assert found == [(red, 1), *((blue, slot) for slot in range(4))]
        await binds.resize_all(shop.database, {blue: 1})
        assert [view.carrier_id for view in await binds.views(shop.database)] == [red, blue]


async def test_a_bind_that_rests_is_nobodys_until_the_carrier_wants_it_again(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        red = await shop.carrier()
        key = BindKey(red, 0)
        taken = await binds.take(shop.database, key, "me", 60)
        assert taken is not None
        await binds.release(shop.database, key, taken.token, 600.0)
        await binds.shorten(shop.database)
        for owner in ("me", "x"):
            assert key not in await binds.free(shop.database, owner)
            assert await binds.take(shop.database, key, owner, 60) is None
        await shop.database.execute("update bind set expires_at = expires_at - interval '600 s'")
        assert key in await binds.free(shop.database, "x")
        await shop.database.execute("update bind set expires_at = now() + interval '1 day'")  # the clock was set back
        await binds.shorten(shop.database)
        await shop.database.execute("update bind set expires_at = expires_at - interval '13 s'")
        assert key in await binds.free(shop.database, "x")


async def test_binds_are_as_many_as_configured_but_never_forget_what_they_hold(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier(binds=3)
        bind = await shop.bind(red, slot=2)
        await shop.messages(account, 1)
        await bind.turn(1)
        await binds.expire(shop.database, "me")
        await binds.resize(shop.database, red, 1)
        assert [view.slot for view in await binds.views(shop.database)] == [0, 2]
        await binds.resize(shop.database, red, 2)
        assert [view.slot for view in await binds.views(shop.database)] == [0, 1, 2]


async def test_two_claimers_never_get_the_same_message(database: ConnectionParameters) -> None:
    async with opened(database, hot=4) as shop:
        account = await shop.account()
        red = await shop.carrier(binds=4)
        sent = await shop.messages(account, 300)
        claimers = [await shop.bind(red, slot=slot) for slot in range(4)]
        chance = random.Random(1)

        async def drain(bind_place: int) -> list[int]:
            mine: list[int] = []
            empty = 0
            while empty < 2:  # a neighbour's rows are skipped while it holds them
                got = [row.message_id for row in await claimers[bind_place].turn(chance.randint(1, 20), still=mine)]
                mine += got
                empty = 0 if got else empty + 1
            return mine

        shares = await asyncio.gather(*(drain(place) for place in range(4)))
        together = sorted(number for share in shares for number in share)
        assert together == sent
        assert await shop.in_flight() == sent
        await shop.books_balance()


async def test_lanes_come_in_the_order_asked(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        bulk = await shop.messages(account, 50)
        few = await shop.messages(account, 2)
        codes = await shop.messages(account, 2, transactional=True)
        assert [row.message_id for row in await bind.turn(5)] == [*codes, *few, bulk[0]]
        held = [*codes, *few, bulk[0]]
        turned = [row.message_id for row in await bind.turn(1, lanes=list(reversed(bind.lanes)), still=held)]
        assert turned == [bulk[1]]


async def test_put_back_keeps_its_place_and_its_count(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        sent = await shop.messages(account, 3, parts=3)
        rows = await bind.turn(3)
        waiting = lane(red, LaneClass.WAITING)
        await back(
            shop,
            Requeue(sent[0], rows[0].lane, rows[0].key, 0, 0, State.QUEUED),
            Requeue(sent[1], waiting, key_of(later(minutes=1)), 2, 0b10, State.QUEUED, "retry", "0x8"),
        )
        await bind.turn(0, still=[sent[2]])
        assert [(r["message_id"], r["lane"], r["attempts"], r["parts_done"]) for r in await shop.outbox()] == [
            (sent[0], rows[0].lane, 0, 0),
            (sent[1], waiting, 2, 0b10),
        ]
        assert (await shop.message(sent[0]))["updated_at"] is None, "its row is as it was"
        assert await shop.events(sent[1]) == ["retry"]
        assert await shop.in_flight() == [sent[2]]
        await shop.books_balance()


async def test_what_ended_in_flight_does_not_come_back(database: ConnectionParameters) -> None:
    """A resent message's first receipt, or a refused part's: the rest of the attempt must not wake the message."""
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        (sent,) = await shop.messages(account, 1, parts=2)
        (row,) = await bind.turn(1)
        await bind.turn(0, taken=[(sent, 1, "p1")], receipts=[("p1", "", State.UNDELIVERED)], still=[sent])
        assert await shop.state(sent) is State.UNDELIVERED
        await back(shop, Requeue(sent, row.lane, row.key, 1, 0b10, State.QUEUED, "retry"))
        assert await shop.state(sent) is State.UNDELIVERED
        assert await shop.queued() == []


async def test_what_ended_in_the_queue_is_not_handed_out(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        long, single = await shop.messages(account, 2, parts=2)
        rows = await bind.turn(1)
        await bind.turn(0, taken=[(long, 1, "p1")], still=[long])
        await back(shop, Requeue(long, rows[0].lane, rows[0].key, 1, 0b10, State.QUEUED, "retry"))
        await bind.turn(0, receipts=[("p1", "", State.EXPIRED)])
        assert long in await shop.queued()
        assert [row.message_id for row in await bind.turn(5)] == [single]
        assert await shop.in_flight() == [single]
        assert await shop.queued() == []


async def test_ends_give_back_the_parts_that_no_carrier_has(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account(balance_micros=30 * PRICE)
        bind = await shop.bind(await shop.carrier())
        whole, rest, kept, silent = await shop.messages(account, 4, parts=3, report_url="https://h/")
        await bind.turn(4)
        rows = [
            Finish(whole, State.REJECTED, 0, "number", "refused", "0xb"),
            Finish(rest, State.FAILED, 2, "attempts", "gave_up"),
            Finish(kept, State.FAILED, 3, "attempts", "gave_up"),
            Finish(silent, State.NO_RECEIPT, 0, "no_receipt", "no_receipt"),
        ]
        for _ in range(2):  # the second time is a turn that was written again
            async with shop.database.transaction(hot=True) as tx:
                await binds.finish(tx, later(minutes=1), rows)
        await bind.turn(0)
        assert await shop.balance(account) == (30 - 12 + 3 + 1) * PRICE
        assert await shop.states([whole, rest, kept, silent]) == [
            State.REJECTED,
            State.FAILED,
            State.FAILED,
            State.NO_RECEIPT,
        ]
        assert sorted(await shop.webhooks()) == sorted(
            [(whole, 9), (rest, 13), (kept, 13), (silent, 14)],
        )
        await shop.books_balance()


async def test_a_doubt_is_held_or_waits_for_its_time_and_a_late_answer_ends_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        held, again, released, gone = await shop.messages(account, 4)
        await bind.turn(4)
        due = key_of(later(seconds=10))
        async with shop.database.transaction(hot=True) as tx:
            await binds.doubt(
                tx,
                NOW,
                red,
                [Doubt(held, 0, 0, "cut"), *(Doubt(one, due, 0, "cut") for one in (again, released, gone))],
            )
        await bind.turn(0)
        assert await shop.states([held, again]) == [State.UNCERTAIN] * 2
        assert await shop.queued() == [again, released, gone]
        assert await shop.database.value("select count(*) from uncertain") == 4
        ready = lane(red, LaneClass.COMMERCIAL)
        await shop.database.execute("delete from outbox where message_id = any ($1::bigint[])", [released, gone])
        await back(shop, *(Requeue(one, ready, due, 1, 0, State.QUEUED, "sent_again") for one in (released, gone)))
        assert [row.message_id for row in await bind.turn(1)] == [released]
        async with shop.database.transaction(hot=True) as tx:
            await binds.resolve_doubt(tx, later(seconds=20), [held, again, gone, released])
        assert await shop.states([held, again, gone]) == [State.SUBMITTED] * 3
        assert await shop.state(released) is State.QUEUED, "on its way again: it stays so"
        assert await shop.queued() == []
        assert await shop.database.value("select count(*) from uncertain") == 0


async def test_an_ended_message_is_never_in_doubt(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (sent,) = await shop.messages(account, 1)
        await bind.turn(1)
        await bind.turn(0, taken=[(sent, 0, "a")], receipts=[("a", "", State.DELIVERED)])
        async with shop.database.transaction(hot=True) as tx:
            await binds.doubt(tx, NOW, red, [Doubt(sent, key_of(NOW), 0, "cut")])
        assert await shop.state(sent) is State.DELIVERED
        assert await shop.queued() == []


async def test_waiting_is_told_before_the_end_that_came_with_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        bind = await shop.bind(await shop.carrier())
        (sent,) = await shop.messages(account, 1, report_url="https://h/")
        (row,) = await bind.turn(1)
        assert row.report_host is not None
        await bind.turn(0, receipts=[("early", "", State.DELIVERED)], still=[sent])
        await bind.turn(0, taken=[(sent, 0, "early")], waiting=[(sent, row.report_host)])
        assert await shop.webhooks() == [(sent, State.SUBMITTED), (sent, State.DELIVERED)]


async def test_a_dead_owners_messages_are_found_with_the_parts_that_arrived(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier(binds=2)
        blue = await shop.carrier("blue")
        bind = await shop.bind(red)
        sent = await shop.messages(account, 3, parts=3, transactional=True)
        await bind.turn(3)
        await bind.turn(0, taken=[(sent[0], 1, "a"), (sent[0], 3, "b")], still=sent)
        await shop.database.execute("insert into reference values ($1, 'c', $2, 2, now())", blue, sent[0])
        taken = await binds.take(shop.database, bind.key, "me", 60)
        assert taken is not None
        assert list(taken.in_flight) == sent
        async with shop.database.transaction() as tx:
            left = await binds.left_in_flight(tx, red, taken.in_flight)
        assert [(one.message_id, one.parts_done) for one in left] == [(sent[0], 0b1010), (sent[1], 0), (sent[2], 0)]


async def test_parts_of_messages_far_apart_are_found(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        (old,) = await shop.messages(account, parts=2, transactional=True)
        await shop.database.execute("select setval('submission_number', 1000000)")
        (new,) = await shop.messages(account, parts=2, transactional=True)
        assert new - old > binds.NEAR_IDS
        await bind.turn(2)
        await bind.turn(0, taken=[(old, 1, "a"), (new, 2, "b")], still=[old, new])
        async with shop.database.transaction() as tx:
            left = await binds.left_in_flight(tx, red, [new, old])
            found = await binds.places(tx, red, [new, old])
        assert [(one.message_id, one.parts_done) for one in left] == [(old, 0b10), (new, 0b100)]
        assert {one.message_id: one.parts_done for one in found} == {old: 0b10, new: 0b100}


async def test_a_fence_shuts_out_a_turn_that_is_still_on_its_way(database: ConnectionParameters) -> None:
    """A cut connection does not stop the server: its turn may commit after we asked what was written."""
    async with opened(database, hot=3) as shop:
        account = await shop.account()
        red = await shop.carrier()
        bind = await shop.bind(red)
        sent = await shop.messages(account, 3)
        async with shop.database.transaction() as holding:
            await holding.execute("select from bind for update")
            turning = asyncio.create_task(bind.turn(2))
            await eventually(lambda: shop.database.value("select true from pg_locks where not granted"))
            fencing = asyncio.create_task(binds.fence(shop.database, bind.key, bind.token))
            await eventually(lambda: shop.database.value("select count(*) > 1 from pg_locks where not granted"))
        claimed = [row.message_id for row in await turning]
        fenced = await fencing
        assert fenced is not None
        assert list(fenced.in_flight) == claimed == sent[:2]
        with pytest.raises(LeaseLost):
            await bind.turn(2, still=claimed)
        assert await binds.fence(shop.database, bind.key, bind.token) is None, "the old token is worth nothing now"


async def test_a_carrier_is_away_since_it_was_not_reached_first_and_not_while_a_worker_starts_anew(
    database: ConnectionParameters,
) -> None:
    """Each try to connect is a state of its own; so are the end of a worker and the start of the next."""
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())

        async def told(state: str, detail: str = "") -> None:
            lease = Lease(bind.key, bind.token, state, detail, {})
            assert (await binds.renew_all(shop.database, [lease], 60)).renewed == [lease]

        async def silent() -> bool:
            return bool(await queue.silent_carriers(shop.database, 30))

        long_ago = "update bind set state_at = now() - interval '1 hour'"
        for state in ("down", "connecting", "refused", "down"):
            await told(state, "nobody is there" if state == "down" else "")
            await shop.database.execute(long_ago)
        await told("connecting")
        assert await silent()
        (view,) = await binds.views(shop.database)
        assert (view.state, view.detail) == ("connecting", "nobody is there")
        await told("bound")
        await shop.database.execute(long_ago)
        assert not await silent()
        await binds.release(shop.database, bind.key, bind.token)
        assert not await silent(), "the next worker has the time to connect"
        await shop.database.execute(long_ago)
        assert await silent()
        bind = await shop.bind(bind.key.carrier_id)
        await told("bound")
        await shop.database.execute(long_ago)
        await binds.expire(shop.database, "me")
        assert not await silent(), "nor while a dead one is replaced"
        bind = await shop.bind(bind.key.carrier_id)
        await told("bound")
        await shop.database.execute(long_ago)
        await shop.database.execute("update bind set expires_at = now() - interval '1 s'")
        assert not await silent(), "nor while the lease of one that was not heard of has just ended"
        await shop.database.execute("update bind set expires_at = now() - interval '31 s'")
        assert await silent()
