"""Commercial messages and the sending window when they leave: held again, given back, never late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from scripted_smsc import listening
from shop import Shop, eventually, opened

from chappe.actions.windows import Windows
from chappe.carriers.registry import kind_of, policy_of, rules_of
from chappe.core.lifecycle import State
from chappe.core.window_profiles import PROFILES, WEEKDAYS, Profile
from chappe.embedded.server import ConnectionParameters
from chappe.store import binds, carriers
from chappe.store.binds import BindKey
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of
from chappe.workers import bind_driver as module
from chappe.workers.bind_driver import Pump
from chappe.workers.in_flight import Rules

pytestmark = pytest.mark.asyncio


def closed_today() -> Profile:
    """A profile that is open all day, but for yesterday, today and tomorrow, wherever the number is."""
    today = datetime.now(UTC).weekday()
    shut = {(today + shift) % 7 for shift in (-1, 0, 1)}
    days = tuple(day for number, day in enumerate(WEEKDAYS[:6]) if number not in shut)
    return Profile(name="not-today", days=days, open="00:00", close="24:00", sundays="closed", holidays="open")


def closing_in(seconds: float) -> tuple[Profile, datetime]:
    """A profile that closes in about that time, to the minute, and the instant; open on all days."""
    at = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(second=0, microsecond=0) + timedelta(minutes=1)
    local = at.astimezone(ZoneInfo("Europe/Paris"))
    close = f"{local:%H:%M}" if (local.hour, local.minute) > (0, 0) else "24:00"
    return Profile(name="closing", days=WEEKDAYS[:6], open="00:00", close=close, sundays="open", holidays="open"), at


@asynccontextmanager
async def pumping(shop: Shop, carrier_id: int, windows: Windows) -> AsyncIterator[Pump]:
    carrier = next(c for c in await carriers.all_carriers(shop.database) if c.id == carrier_id)
    taken = await binds.take(shop.database, BindKey(carrier_id, 0), "me", 60)
    assert taken is not None
    await windows.refresh(shop.database)
    pump = Pump(
        shop.database,
        BindKey(carrier_id, 0),
        taken,
        lambda wake: kind_of(carrier).link(carrier, wake),
        Rules(carrier_id, *rules_of(carrier)),
        policy_of(carrier).receipts,
        carrier.name,
        lambda: None,
        windows,
    )
    task = asyncio.create_task(pump.run())
    try:
        yield pump
    finally:
        await pump.stop()
        await asyncio.wait([task])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SELDOM_S", 0.02)


async def test_what_became_ready_and_may_not_leave_is_held_until_the_window_opens(
    database: ConnectionParameters,
) -> None:
    profile = closed_today()
    async with opened(database) as shop, listening() as smsc:
        carrier_id = await shop.carrier(port=smsc.port)
        account = await shop.account(window="not-today")
        (number,) = await shop.messages(account, now=datetime.now(UTC))
        async with pumping(shop, carrier_id, Windows({"not-today": profile})):

            async def held() -> bool:
                return await shop.state(number) == State.HELD

            await eventually(held)
        assert smsc.submits == []
        (row,) = await shop.outbox()
        assert row["lane"] == lane(carrier_id, LaneClass.WAITING)
        opens = datetime.fromtimestamp(row["key"] / 1_000_000, UTC)
        assert datetime.now(UTC) + timedelta(hours=20) < opens < datetime.now(UTC) + timedelta(days=4)
        assert "held" in await shop.events(number)
        why = await shop.database.value("select reason from message where id = $1", number)
        assert str(why).startswith("hold.")
        assert await shop.in_flight() == []
        await shop.books_balance()


async def test_a_transactional_message_leaves_when_the_window_is_closed(database: ConnectionParameters) -> None:
    async with opened(database) as shop, listening() as smsc:
        carrier_id = await shop.carrier(port=smsc.port)
        account = await shop.account(window="not-today")
        (number,) = await shop.messages(account, now=datetime.now(UTC), transactional=True)
        async with pumping(shop, carrier_id, Windows({"not-today": closed_today()})):
            await eventually(lambda: shop.database.value("select true from reference where message_id = $1", number))


async def test_the_carrier_may_not_try_beyond_closing(database: ConnectionParameters) -> None:
    profile, closes_at = closing_in(300)
    async with opened(database) as shop, listening() as smsc:
        carrier_id = await shop.carrier(port=smsc.port)
        account = await shop.account(window="closing")
        await shop.messages(account, now=datetime.now(UTC))
        async with pumping(shop, carrier_id, Windows({"closing": profile})):
            (pdu,) = await smsc.until(lambda: smsc.submits)
        until = datetime.strptime(pdu.validity_period[:12].decode(), "%y%m%d%H%M%S").replace(tzinfo=UTC)
        assert until <= closes_at


async def test_what_a_slow_carrier_has_not_taken_at_closing_stays_here(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link's own queue is looked at too: a part that waits there is given back when time is over."""
    loop = asyncio.get_running_loop()
    profile, closes_at = closing_in(300)
    async with opened(database) as shop, listening() as smsc:
        carrier_id = await shop.carrier(port=smsc.port, rate=0.01, settings={"burst": "1"})
        account = await shop.account(window="closing")
        numbers = await shop.messages(account, 2, now=datetime.now(UTC))
        shift = (closes_at - datetime.now(UTC)).total_seconds()
        async with pumping(shop, carrier_id, Windows({"closing": profile})) as pump:

            async def one_there() -> bool:
                return await shop.database.value("select count(*) from reference") == 1

            await eventually(one_there)
            monkeypatch.setattr(type(pump.link), "_now", lambda self: loop.time() + shift + 1)
            monkeypatch.setattr(module, "datetime", _Later(shift + 1))
        taken = await shop.database.value("select count(*) from reference where message_id = any ($1)", numbers)
        assert taken == 1


class _Later:
    """datetime, as much later as the test wants it to be."""

    def __init__(self, shift_s: float) -> None:
        self._shift = timedelta(seconds=shift_s)

    def now(self, zone: object = None) -> datetime:
        return datetime.now(UTC) + self._shift


async def test_the_default_profile_holds_for_an_account_that_names_none() -> None:
    """Closed rather than open: nobody has to remember to switch the law on."""
    windows = Windows({})
    sunday = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    verdict = windows.check(1, 0, "+33612345678", "36111", sunday)
    assert verdict is not None
    assert not verdict.allowed
    assert verdict.next_at == datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
    assert key_of(verdict.next_at) > key_of(sunday)
    assert PROFILES["fr-seed"].outside == "hold"
