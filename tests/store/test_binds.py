"""Leases of binds: who has one, how it is renewed, given back and fenced; what a bind holds is never forgotten."""

from __future__ import annotations

import asyncio

import pytest
from shop import eventually, opened

from chappe.embedded.server import ConnectionParameters
from chappe.store import binds, carriers, queue
from chappe.store.binds import BindKey, Lease, LeaseLost, Renewed

pytestmark = [pytest.mark.asyncio, pytest.mark.every_postgres]


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
