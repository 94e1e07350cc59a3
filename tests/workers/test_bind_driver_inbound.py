"""Messages of subscribers that a carrier sends again, since its connection was gone before our answer: told once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from scripted_smsc import Smsc, listening
from shop import Shop, eventually, opened

from chappe.actions import inbound
from chappe.carriers.registry import kind_of, policy_of, rules_of
from chappe.embedded.server import ConnectionParameters
from chappe.smpp.pdu import DeliverSm
from chappe.store import binds, carriers
from chappe.store.binds import BindKey
from chappe.workers.bind_driver import Pump
from chappe.workers.in_flight import Rules

pytestmark = pytest.mark.asyncio

PHONE, CODE = "+33612345678", "36180"


@asynccontextmanager
async def pumping(shop: Shop, smsc: Smsc) -> AsyncIterator[None]:
    quick = {"reconnect_delay_s_min": "0.01", "reconnect_delay_s_max": "0.05"}
    red = await shop.carrier(port=smsc.port, settings=quick)
    (carrier,) = await carriers.all_carriers(shop.database)
    taken = await binds.take(shop.database, BindKey(red, 0), "me", 60)
    assert taken is not None
    pump = Pump(
        shop.database,
        BindKey(red, 0),
        taken,
        lambda wake: kind_of(carrier).link(carrier, wake),
        Rules(red, *rules_of(carrier)),
        policy_of(carrier).receipts,
        carrier.name,
        lambda: None,
    )
    task = asyncio.create_task(pump.run())
    try:
        await smsc.until(lambda: smsc.bound)
        yield
    finally:
        await pump.stop()
        await asyncio.wait([task])


async def sorted_replies(shop: Shop, seconds: float = 3) -> list[str]:
    known = {carrier.id: carrier for carrier in await carriers.all_carriers(shop.database)}
    await inbound.sort(shop.database, datetime.now(UTC) + timedelta(seconds=seconds), known)
    return [row["text"] for row in await shop.database.fetch("select text from reply order by id")]


def said(text: bytes) -> DeliverSm:
    return DeliverSm(source_addr=PHONE[1:].encode(), destination_addr=CODE.encode(), short_message=text)


async def stored(shop: Shop, count: int) -> None:
    await eventually(lambda: shop.database.value("select count(*) = $1 from inbound", count))


async def test_what_was_not_answered_comes_again_and_is_one_reply(database: ConnectionParameters) -> None:
    async with opened(database) as shop, listening() as smsc:
        account = await shop.account()
        async with pumping(shop, smsc):
            await shop.messages(account, numbers=[PHONE], sender=CODE, now=datetime.now(UTC))
            async with shop.database.transaction() as holding:
                await holding.execute("lock table inbound in access exclusive mode")
                smsc.deliver(said(b"oui"), "first")
                await eventually(lambda: shop.database.value("select true from pg_locks where not granted limit 1"))
                smsc.wires[0].cut()
                await smsc.until(lambda: len(smsc.wires) == 2 and smsc.bound)
            await stored(shop, 1)
            assert smsc.answers == [], "the connection that it came by was gone"
            smsc.deliver(said(b"oui"), "again")
            await smsc.until(lambda: smsc.answers == [("again", 0)])
            assert await sorted_replies(shop) == ["oui"]
            states = await shop.database.fetch(
                "select state, answered_at is not null as known from inbound order by id"
            )
            assert [tuple(row) for row in states] == [(2, False), (4, True)]


async def test_what_was_answered_and_is_said_once_more_are_two(database: ConnectionParameters) -> None:
    async with opened(database) as shop, listening() as smsc:
        account = await shop.account()
        async with pumping(shop, smsc):
            await shop.messages(account, numbers=[PHONE], sender=CODE, now=datetime.now(UTC))
            for place in range(2):
                smsc.deliver(said(b"1"), place)
                await smsc.until(lambda place=place: (place, 0) in smsc.answers)
            known = "select count(*) = 2 from inbound where answered_at >= received_at"
            await eventually(lambda: shop.database.value(known))
            assert await sorted_replies(shop) == ["1", "1"]


async def test_what_follows_was_not_received_earlier_however_long_storing_takes(database: ConnectionParameters) -> None:
    async with opened(database) as shop, listening() as smsc:
        account = await shop.account()
        async with pumping(shop, smsc):
            await shop.messages(account, numbers=[PHONE], sender=CODE, now=datetime.now(UTC))
            smsc.deliver(said(b"merci"), "first")
            await stored(shop, 1)
            async with shop.database.transaction() as holding:
                await holding.execute("lock table inbound in access exclusive mode")
                smsc.deliver(said(b"Fin."), "second")
                await eventually(lambda: shop.database.value("select true from pg_locks where not granted limit 1"))
                cut = "select pg_terminate_backend(pid) from pg_locks where not granted"
                await holding.execute(cut)  # the turn is written again, half a second later
            await stored(shop, 2)
            assert await sorted_replies(shop) == ["merci", "Fin."]
            received = [row["at"] for row in await shop.database.fetch("select at from reply order by id")]
            assert received == sorted(received)
