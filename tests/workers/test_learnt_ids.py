"""Ids that are written otherwise in receipts than in answers: the rule is learnt, stored, used and shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from scripted_smsc import Smsc, listening
from shop import Shop, eventually, opened

from chappe.actions import carrier_views, upkeep
from chappe.actions import carriers as configured
from chappe.carriers.smpp.transport import Wire
from chappe.embedded.server import ConnectionParameters
from chappe.smpp.pdu import SubmitSm
from chappe.workers import bind_leases as module
from chappe.workers.bind_leases import Deliver

pytestmark = pytest.mark.asyncio

QUICK = {"reconnect_delay_s_min": "0.01", "reconnect_delay_s_max": "0.05", "unbind_timeout_s": "0.2"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUND_S", 0.05)


@asynccontextmanager
async def delivering(shop: Shop, owner: str = "me") -> AsyncIterator[Deliver]:
    deliver = Deliver(shop.database, owner, lambda: None)
    task = asyncio.create_task(deliver.run())
    try:
        yield deliver
    finally:
        await deliver.stop()
        await asyncio.wait_for(task, 10)


async def referred(shop: Shop, numbers: list[int]) -> None:
    await eventually(
        lambda: shop.database.value(
            """select count(distinct message_id) = cardinality($1::bigint[])
               from reference where message_id = any ($1)""",
            numbers,
        )
    )


async def bound(shop: Shop, count: int) -> None:
    await eventually(lambda: shop.database.value("select count(*) = $1 from bind where state = 'bound'", count))


def _numbered(smsc: Smsc, written: str, first: int = 0xA0_1000) -> dict[str, int]:
    """Answers with numbers written so; gives the number of each destination."""
    places, given = count(first), {}

    def answer(wire: Wire, pdu: SubmitSm) -> None:
        given[pdu.destination_addr.decode()] = number = next(places)
        smsc.answer(wire, pdu, message_id=written.format(number).encode())

    smsc.on_submit = answer
    return given


async def _sent(shop: Shop, login: str, number: int) -> list[int]:
    account = await shop.account(login, 1_000_000_000)
    sent = await shop.messages(account, number, now=datetime.now(UTC))
    await referred(shop, sent)
    return sent


async def _receipts(shop: Shop, smsc: Smsc, sent: list[int], given: dict[str, int], written: str) -> None:
    before = len(smsc.answers)
    rows = await shop.database.fetch("select recipient from message where id = any ($1::bigint[]) order by id", sent)
    for row in rows:
        recipient = row["recipient"][1:]
        smsc.receipt(written.format(given[recipient]), recipient, context=recipient)
    await smsc.until(lambda: len(smsc.answers) == before + len(sent))


@pytest.mark.parametrize(
    ("answered", "received", "rule"),
    [
        ("{:x}", "{:013d}", ("hex", "dec")),
        ("{:X}", "{:d}", ("hex", "dec")),
        ("{:d}", "{:X}", ("dec", "hex")),
        ("{:013d}", "{:d}", ("dec", "dec")),
        ("{:017d}", "{:013d}", ("dec", "dec")),
        ("{:012X}", "{:x}", ("hex", "hex")),
        ("{:X}-A", "{:x}-a", ("hex-string", "hex-string")),
    ],
)
async def test_the_rule_is_learnt_after_a_few_and_then_no_receipt_is_stray(
    database: ConnectionParameters, answered: str, received: str, rule: tuple[str, str]
) -> None:
    async with opened(database, hot=6) as shop, listening() as smsc, delivering(shop) as deliver:
        given = _numbered(smsc, answered)
        red = await shop.carrier("red", port=smsc.port, settings=QUICK, window=100)
        deliver.changed()
        await bound(shop, 1)
        book = upkeep.Book()
        before = await _sent(shop, "one", 300)
        await _receipts(shop, smsc, before, given, received)
        assert await shop.database.value("select count(*) from receipt_unmatched") == 300
        await upkeep.look(shop.database, datetime.now(UTC), book)
        first = int(await shop.database.value("select pg_current_xact_id()::text"))
        await upkeep.infer(shop.database, datetime.now(UTC) + timedelta(seconds=6), book)
        last = int(await shop.database.value("select pg_current_xact_id()::text"))
        assert last - first < 60, "one for each batch, beside those of the leases; not one for each of 300 strays"
        assert await shop.database.value("select count(*) from message where state = 6") == 300
        assert await shop.database.value("select count(*) from receipt_unmatched") == 0

        (view,), _ = await carrier_views.read(shop.database)
        assert view.learnt == {"response_id_format": rule[0], "receipt_id_format": rule[1]}
        deliver.changed()
        await eventually(lambda: _follows(deliver, rule))
        after = await _sent(shop, "two", 300)
        await _receipts(shop, smsc, after, given, received)
        assert await shop.database.value("select count(*) from receipt_unmatched") == 0, "matched as they came"
        assert await shop.database.value("select count(*) from message where state = 6") == 600
        assert len(smsc.binds) == 1, "without a new session"
        assert red == 1


async def _follows(deliver: module.Deliver, rule: tuple[str, str]) -> bool:
    return all(running.carrier.learnt == rule for running in deliver._running.values())


async def test_what_was_learnt_is_forgotten_when_the_operator_says_otherwise(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        red = await shop.carrier("red", settings={"response_id_format": "learn"})
        await configured.carriers.learn(shop.database, red, "hex", "dec")
        await configured.change(shop.database, "red", ["window=5"])
        (view,), _ = await carrier_views.read(shop.database)
        assert view.learnt == {"response_id_format": "hex", "receipt_id_format": "dec"}
        await configured.change(shop.database, "red", ["receipt_id_format=raw"])
        (view,), _ = await carrier_views.read(shop.database)
        assert view.learnt == {}


async def test_a_stray_is_looked_at_three_times_and_no_more(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        bind = await shop.bind(await shop.carrier())
        now = datetime.now(UTC)
        await bind.turn(0, receipts=[(f"nobody{place}", "33612345678", 6) for place in range(600)], now=now)
        book = upkeep.Book()
        await upkeep.look(shop.database, now, book)
        looked = []
        for seconds in (1, 6, 7, 30, 61, 62, 901, 902, 5000):
            before = dict(book.inferred)
            await upkeep.infer(shop.database, now + timedelta(seconds=seconds), book)
            looked.append(book.inferred != before)
        assert looked == [False, True, False, False, True, False, True, False, False]
