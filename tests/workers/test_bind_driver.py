"""The pump of one bind against a scripted SMSC and a real database, with links and connections that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from scripted_smsc import Smsc
from shop import PRICE, Shop, eventually
from stage import staged

from chappe.carriers.smpp.transport import Wire
from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.smpp.commands import Status
from chappe.smpp.pdu import DeliverSm, SubmitSm
from chappe.store import demo
from chappe.store.binds import LeaseLost
from chappe.store.database import CONNECTION_ERRORS, Address, Database
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of
from chappe.workers import bind_driver as module
from chappe.workers import writing

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SELDOM_S", 0.02)  # nobody rings in these tests
    monkeypatch.setattr(writing, "RETRY_S", 0.02)


def texts(smsc: Smsc) -> list[bytes]:
    return [pdu.short_message for pdu in smsc.submits]


@pytest.mark.every_postgres
async def test_messages_go_out_once_in_order_and_their_receipts_come_home(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        await stage.start(await stage.carrier(window=7))
        sent = await stage.send(60, report_url="https://h/")
        await stage.submitted(sent)
        await stage.smsc.until(lambda: len(stage.smsc.submits) == 60)
        rows = [await stage.shop.message(number) for number in sent]
        assert [pdu.destination_addr.decode() for pdu in stage.smsc.submits] == [r["recipient"][1:] for r in rows]
        for place, row in enumerate(rows, 1):
            stage.smsc.receipt(f"id{place}", row["recipient"][1:], context=place)
        for number in sent:
            await stage.in_state(number, State.DELIVERED)
        await stage.smsc.until(lambda: len(stage.smsc.answers) == 60)
        assert {status for _, status in stage.smsc.answers} == {0}
        told = await stage.shop.webhooks()
        assert len(told) == 120
        for number in sent:
            assert [state for message, state in told if message == number] == [State.SUBMITTED, State.DELIVERED]
        await stage.close()
        assert await stage.shop.in_flight() == []


async def test_receipts_that_overtake_answers_wait_for_them(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc

        def hasty(wire: Wire, pdu: SubmitSm) -> None:
            number = pdu.destination_addr.decode()
            smsc.receipt(f"h{number}", number, context=number, wire=wire)
            held.append((wire, pdu))

        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = hasty
        await stage.start(await stage.carrier())
        sent = await stage.send(3)
        await smsc.until(lambda: len(smsc.answers) == 3)
        assert await stage.shop.states(sent) == [State.QUEUED] * 3
        for wire, pdu in held:
            smsc.answer(wire, pdu, message_id=b"h" + pdu.destination_addr)
        for number in sent:
            await stage.in_state(number, State.DELIVERED)
        assert await stage.shop.database.value("select count(*) from receipt_unmatched") == 0


async def test_a_receipt_is_answered_only_when_it_is_stored(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        await stage.start(await stage.carrier())
        (sent,) = await stage.send(1)
        await stage.submitted([sent])
        recipient = (await stage.shop.message(sent))["recipient"][1:]
        async with stage.shop.database.transaction() as holding:
            await holding.execute("lock table receipt in access exclusive mode")
            stage.smsc.receipt("id1", recipient, context="held")
            await eventually(lambda: stage.shop.database.value("select true from pg_locks where not granted limit 1"))
            assert stage.smsc.answers == []
        await stage.smsc.until(lambda: stage.smsc.answers == [("held", 0)])
        assert await stage.shop.state(sent) is State.DELIVERED


async def test_replies_are_stored_before_they_are_answered(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        await stage.start(await stage.carrier())
        await stage.smsc.until(lambda: stage.smsc.bound)
        forged = b"id:1 sub:001 dlvrd:001 submit date:2603021000 done date:2603021000 stat:DELIVRD err:000 text:"
        for place, text in enumerate((b"STOP", forged)):
            stage.smsc.deliver(
                DeliverSm(source_addr=b"33612345678", destination_addr=b"36180", short_message=text), place
            )
        await stage.smsc.until(lambda: len(stage.smsc.answers) == 2)
        rows = await stage.shop.database.fetch("select source, destination, raw from inbound order by id")
        assert [(r["source"], r["destination"]) for r in rows] == [("33612345678", "36180")] * 2
        assert b"STOP" in rows[0]["raw"]
        assert await stage.shop.database.value("select count(*) from receipt") == 0, "only esm_class makes a receipt"


@pytest.mark.parametrize(
    ("status", "state", "event"),
    [
        (Status.RINVDSTADR, State.REJECTED, "refused"),
        (Status.RINVSRCADR, State.REJECTED, "refused"),
        (Status.RINVMSGLEN, State.REJECTED, "refused"),
        (Status.RINVCMDLEN, State.FAILED, "failed"),
    ],
)
async def test_a_refusal_ends_the_message_and_gives_the_money_back(
    database: ConnectionParameters, status: Status, state: State, event: str
) -> None:
    async with staged(database) as stage:
        stage.smsc.on_submit = lambda wire, pdu: stage.smsc.answer(wire, pdu, int(status))
        account = await stage.account()
        await stage.start(await stage.carrier())
        (sent,) = await stage.send(1)
        await stage.in_state(sent, state)
        assert await stage.shop.balance(account) == account.balance_micros
        assert await stage.shop.events(sent) == [event]
        assert (await stage.shop.message(sent))["reason"] == status.name.lower()


async def test_a_temporary_error_climbs_the_ladder(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        stage.smsc.on_submit = lambda wire, pdu: stage.smsc.answer(wire, pdu, int(Status.RSYSERR))
        red = await stage.carrier()
        await stage.start(red)
        before = datetime.now(UTC)
        (sent,) = await stage.send(1)
        (row,) = await eventually(
            lambda: stage.shop.database.fetch("select * from outbox where lane = $1", red * 8 + 7)
        )
        delay_s = row["key"] / 1e6 - before.timestamp()
        assert 3.9 < delay_s < 7.5, "five seconds, give or take a fifth, after the first"
        assert (row["message_id"], row["attempts"]) == (sent, 1)
        assert await stage.shop.state(sent) is State.QUEUED
        assert await stage.shop.in_flight() == []


async def test_an_unexplained_error_is_tried_three_times(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        stage.smsc.on_submit = lambda wire, pdu: stage.smsc.answer(wire, pdu, 0x401)
        red = await stage.carrier()
        account = await stage.account()
        await stage.start(red)
        (sent,) = await stage.send(1)
        for attempts in (1, 2):
            await eventually(
                lambda attempts=attempts: stage.shop.database.value(
                    "select true from outbox where lane % 8 = 7 and attempts = $1", attempts
                )
            )
            await stage.shop.database.execute("update outbox set lane = $1", red * 8 + 1)
        await stage.in_state(sent, State.FAILED)
        assert len(stage.smsc.submits) == 3
        assert await stage.shop.balance(account) == account.balance_micros


async def test_throttling_costs_no_attempt_and_keeps_the_order(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc
        throttled = 0

        def answer(wire: Wire, pdu: SubmitSm) -> None:
            nonlocal throttled
            if throttled < 5:
                throttled += 1
                smsc.answer(wire, pdu, int(Status.RTHROTTLED))
            else:
                smsc.take(wire, pdu)

        smsc.on_submit = answer
        await stage.start(await stage.carrier(window=5))
        sent = await stage.send(8)
        await stage.submitted(sent)
        rows = [(await stage.shop.message(number))["recipient"][1:].encode() for number in sent]
        assert [pdu.destination_addr for pdu in smsc.submits[5:]] == rows
        assert await stage.shop.events(sent[0]) == []


async def test_the_breaker_stops_a_carrier_where_everything_fails(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        stage.smsc.on_submit = lambda wire, pdu: stage.smsc.answer(wire, pdu, int(Status.RINVSERTYP))
        red = await stage.carrier(window=10, breaker_failures="5")
        pump = await stage.start(red)
        sent = await stage.send(30)
        await eventually(lambda: _true(pump.link.state.value == "paused"))
        assert pump.link.free() == 0
        await eventually(lambda: stage.shop.database.value("select count(*) = 30 from outbox"))
        assert len(stage.smsc.submits) <= 10, "no more than was on its way"
        parked = [row for row in await stage.shop.outbox() if row["lane"] % 8 == 7]
        assert len(parked) == len(stage.smsc.submits)
        assert all(row["attempts"] == 0 and row["key"] > key_of(datetime.now(UTC)) for row in parked)
        assert await stage.shop.states(sent) == [State.QUEUED] * 30
        assert await stage.shop.in_flight() == []


async def test_one_message_that_breaks_a_setting_does_not_stop_the_others(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc

        def answer(wire: Wire, pdu: SubmitSm) -> None:
            if b"bad" in pdu.short_message:
                smsc.answer(wire, pdu, int(Status.RINVESMCLASS))
            else:
                smsc.take(wire, pdu)

        smsc.on_submit = answer
        await stage.start(await stage.carrier(window=1))
        (bad,) = await stage.send(1, text="bad")
        good = await stage.send(5)
        await stage.submitted(good)
        assert len(smsc.submits) == 6
        assert await stage.shop.queued() == [bad]


async def test_what_is_too_old_is_given_up_and_paid_back(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        account = await stage.account()
        red = await stage.carrier()
        early = datetime.now(UTC) - timedelta(hours=49)
        old = await stage.shop.messages(account, 2, now=early, transactional=True)
        (recent,) = await stage.shop.messages(account, 1, now=datetime.now(UTC) - timedelta(hours=47))
        await stage.start(red)
        for number in old:
            await stage.in_state(number, State.FAILED)
        await stage.submitted([recent])
        assert len(stage.smsc.submits) == 1
        assert await stage.shop.balance(account) == account.balance_micros - PRICE
        await stage.close()
        assert await stage.shop.in_flight() == []


async def _true(value: bool) -> bool:
    return value


@pytest.mark.parametrize(("transactional", "event"), [(True, "uncertain_resend"), (False, "uncertain_held")])
async def test_a_cut_link_leaves_a_window_in_doubt_and_the_rest_in_the_queue(
    database: ConnectionParameters, transactional: bool, event: str
) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc
        smsc.on_submit = lambda wire, pdu: None
        pump = await stage.start(await stage.carrier(window=4))
        sent = await stage.send(10, transactional=transactional)
        await smsc.until(lambda: len(smsc.submits) == 4)
        smsc.on_bind = lambda _: Status.RBINDFAIL
        smsc.wires[-1].cut()
        for number in sent[:4]:
            await stage.in_state(number, State.UNCERTAIN)
            assert await stage.shop.events(number) == [event]
        assert await stage.shop.states(sent[4:]) == [State.QUEUED] * 6
        await eventually(lambda: _true(pump.link.state.value == "down"))
        waiting = [row["message_id"] for row in await stage.shop.outbox() if row["lane"] % 8 == 7]
        assert waiting == (sent[:4] if transactional else [])


async def test_a_late_answer_ends_a_doubt(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc
        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        await stage.start(await stage.carrier(response_timeout_s="0.1"))
        (sent,) = await stage.send(1, transactional=True)
        await stage.in_state(sent, State.UNCERTAIN)
        smsc.answer(*held[0], message_id=b"late")
        await stage.in_state(sent, State.SUBMITTED)
        assert await stage.shop.queued() == [], "it is not sent again"
        recipient = (await stage.shop.message(sent))["recipient"][1:]
        smsc.receipt("late", recipient)
        await stage.in_state(sent, State.DELIVERED)


@pytest.mark.parametrize("transactional", [True, False], ids=["to be sent again", "held"])
async def test_late_answers_to_parts_are_remembered_and_together_end_a_doubt(
    database: ConnectionParameters, transactional: bool
) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc
        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        await stage.start(await stage.carrier(response_timeout_s="0.2", uncertain_grace_s="60"))
        (sent,) = await stage.send(1, text="x" * 300, parts=2, transactional=transactional)
        await stage.in_state(sent, State.UNCERTAIN)
        assert len(held) == 2

        async def parts_done() -> int:
            rows = "select message_id, parts_done from outbox union all select message_id, parts_done from uncertain"
            found = await stage.shop.database.fetch(
                f"select distinct parts_done from ({rows}) r where message_id = {sent}"
            )
            assert len(found) < 2, "queue and list of doubts say the same"
            return found[0]["parts_done"] if found else 0

        async def first_is_known() -> bool:
            return await parts_done() == 1 << 1

        smsc.answer(*held[0], message_id=b"late1")
        await eventually(first_is_known)
        assert await stage.shop.state(sent) is State.UNCERTAIN
        smsc.answer(*held[1], message_id=b"late2")
        await stage.in_state(sent, State.SUBMITTED)
        assert await stage.shop.queued() == [], "nothing of it is sent again"
        assert await stage.shop.database.value("select count(*) from uncertain") == 0


@pytest.mark.parametrize(
    ("text", "priced", "wire"),
    [("x" * 305, 3, 2), ("\u00ea" * 200, 2, 3), ("[" * 200, 3, 3)],
    ids=["fewer than priced", "more than priced", "as priced"],
)
async def test_the_parts_that_were_sent_decide_when_all_have_arrived_not_those_priced(
    database: ConnectionParameters, text: str, priced: int, wire: int
) -> None:
    """They differ when a carrier's profile changes while messages wait."""
    async with staged(database) as stage:
        await stage.start(await stage.carrier(default_charset="latin1"))
        (sent,) = await stage.send(1, text=text, parts=priced)
        await stage.smsc.until(lambda: len(stage.smsc.submits) == wire)
        await stage.in_references(sent, wire)
        refs = await stage.shop.database.fetch(
            "select carrier_ref, part from reference where message_id = $1 order by part desc", sent
        )
        recipient = (await stage.shop.message(sent))["recipient"][1:]
        for place, row in enumerate(refs, 1):
            assert await stage.shop.state(sent) is not State.DELIVERED
            stage.smsc.receipt(row["carrier_ref"], recipient)
            await eventually(
                lambda n=place: stage.shop.database.value(
                    "select count(*) = $1 from receipt where message_id is not null", n
                )
            )
        await stage.in_state(sent, State.DELIVERED)


async def test_a_refused_part_stops_the_others_and_what_arrived_stays_charged(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc

        def answer(wire: Wire, pdu: SubmitSm) -> None:
            if len(smsc.submits) == 2:
                smsc.answer(wire, pdu, int(Status.RINVDSTADR))
            else:
                smsc.take(wire, pdu)

        smsc.on_submit = answer
        account = await stage.account()
        await stage.start(await stage.carrier(window=1))
        (sent,) = await stage.send(1, text="x" * 400, parts=3)
        await stage.in_state(sent, State.REJECTED)
        assert len(smsc.submits) == 2
        assert await stage.shop.balance(account) == account.balance_micros - PRICE


async def test_parts_go_in_order_over_one_bind_and_only_missing_ones_go_again(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc

        def answer(wire: Wire, pdu: SubmitSm) -> None:
            if len(smsc.submits) == 2:
                smsc.answer(wire, pdu, int(Status.RSYSERR))
            else:
                smsc.take(wire, pdu)

        smsc.on_submit = answer
        red = await stage.carrier()
        await stage.start(red)
        (sent,) = await stage.send(1, text="a" * 153 + "b" * 153 + "c" * 50, parts=3)
        (row,) = await eventually(lambda: stage.shop.database.fetch("select * from outbox where lane % 8 = 7"))
        assert row["parts_done"] == 0b1010
        await stage.shop.database.execute("update outbox set lane = $1", red * 8 + 1)
        await smsc.until(lambda: len(smsc.submits) == 4)
        assert [octets[6:7] for octets in texts(smsc)] == [b"a", b"b", b"c", b"b"]
        assert len({octets[3] for octets in texts(smsc)}) == 1, "the same reference, or a handset could not join them"
        recipient = (await stage.shop.message(sent))["recipient"][1:]
        await eventually(lambda: stage.shop.database.value("select count(*) = 3 from reference"))
        refs = await stage.shop.database.fetch("select carrier_ref from reference order by part desc")
        for place, ref in enumerate(refs):
            assert await stage.shop.state(sent) is State.QUEUED, place
            smsc.receipt(ref["carrier_ref"], recipient, context=place)
            await smsc.until(lambda place=place: len(smsc.answers) == place + 1)
        await stage.in_state(sent, State.DELIVERED)


async def test_a_text_the_carrier_cannot_take_fails_with_its_reason(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        await stage.start(await stage.carrier(parts_max="2"))
        (sent,) = await stage.send(1, text="x" * 400, parts=3)
        await stage.in_state(sent, State.FAILED)
        assert (await stage.shop.message(sent))["reason"] == "too_many_parts"
        assert stage.smsc.submits == []


async def test_a_dead_owners_messages_are_decided_before_anything_new(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        red = await stage.carrier(window=3)
        stage.smsc.on_submit = lambda wire, pdu: None
        first = await stage.start(red)
        sent = [*await stage.send(2, transactional=True), *await stage.send(1)]
        await stage.smsc.until(lambda: len(stage.smsc.submits) == 3)
        stage.tasks[0].cancel()  # as kill -9: nothing is written any more
        await asyncio.wait([stage.tasks[0]])
        del first
        assert await stage.shop.in_flight() == sent
        stage.smsc.on_submit = stage.smsc.take
        await stage.start(red, owner="me")
        for number in sent:
            await stage.in_state(number, State.UNCERTAIN)
        assert [row["message_id"] for row in await stage.shop.outbox()] == sent[:2]
        assert await stage.shop.in_flight() == []
        (new,) = await stage.send(1)
        await stage.submitted([new])


async def test_a_lost_lease_ends_the_pump_and_records_nothing(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        red = await stage.carrier()
        held: list[tuple[Wire, SubmitSm]] = []
        stage.smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        await stage.start(red)
        (sent,) = await stage.send(1)
        await stage.smsc.until(lambda: held)
        await stage.shop.database.execute("update bind set token = token + 1, owner = 'another'")
        stage.smsc.answer(*held[0], message_id=b"x")
        await asyncio.wait([stage.tasks[0]], timeout=5)
        assert isinstance(stage.tasks[0].exception(), LeaseLost)
        stage.tasks.clear()
        stage.pumps.clear()
        assert await stage.shop.database.value("select count(*) from reference") == 0
        assert await stage.shop.in_flight() == [sent]


async def test_stopping_waits_for_answers_and_stores_what_comes_meanwhile(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc
        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        pump = await stage.start(await stage.carrier(window=4))
        sent = await stage.send(6)
        await smsc.until(lambda: len(held) == 4)
        await pump.stop()
        smsc.receipt("early", "33600010000", context="r")
        for wire, pdu in held:
            smsc.answer(wire, pdu, message_id=b"r" + pdu.destination_addr)
        began = asyncio.get_running_loop().time()
        await asyncio.wait([stage.tasks[0]], timeout=8)
        assert stage.tasks[0].done()
        assert asyncio.get_running_loop().time() - began < 3, "the receipt is answered while it ends, not afterwards"
        assert smsc.answers == [("r", 0)]
        await stage.submitted(sent[:4])
        assert await stage.shop.queued() == sent[4:]
        assert await stage.shop.in_flight() == []


# -- the database's connection breaks


class Half(asyncio.Protocol):
    """One end of a way through the proxy."""

    def __init__(self, is_ours: bool = False) -> None:
        self.is_ours = is_ours
        self.transport: asyncio.Transport | None = None
        self.other: Half | None = None
        self.early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.early += data
        elif self.other.transport is not None:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if not self.is_ours and self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Proxy:
    """A TCP way to the database that can be cut without the server noticing."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._here: list[Half] = []
        self._there: list[Half] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self) -> Half:
        here = Half(is_ours=True)
        self._here.append(here)
        self._tasks.add(asyncio.create_task(self._join(here)))
        return here

    async def _join(self, here: Half) -> None:
        _, there = await asyncio.get_running_loop().create_unix_connection(Half, self._target)
        self._there.append(there)
        there.other, here.other = here, there
        there.transport.write(here.early)  # type: ignore[union-attr]

    def cut(self) -> None:
        """Our side is gone; the server's side of the connection stays open and knows nothing."""
        for here in self._here:
            if here.transport is not None:
                here.transport.abort()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for there in self._there:
            if there.transport is not None:
                there.transport.abort()
        await asyncio.wait(self._tasks)


@asynccontextmanager
async def way_to(database: ConnectionParameters, folder: Path) -> AsyncIterator[tuple[Database, Callable[[], None]]]:
    """The database by a way of its own, and what closes that way for good."""
    open_ends: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ends.append(writer)
        while octets := await reader.read(65_536):
            writer.write(octets)
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = f"{database.host}/.s.PGSQL.{database.port}"
        there_reader, there_writer = await asyncio.open_unix_connection(name)
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer), return_exceptions=True)

    server = await asyncio.start_unix_server(pass_on, folder / f".s.PGSQL.{database.port}")

    def shut() -> None:
        server.close()
        for writer in open_ends:
            writer.transport.abort()

    own = Database(Address(**database.arguments() | {"host": str(folder)}), "chappe pump", hot=2)
    await own.open()
    try:
        yield own, shut
    finally:
        shut()
        await own.close()


async def test_a_pump_told_to_end_while_the_database_is_away_gives_up(
    database: ConnectionParameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its supervisor may be dead, and the database with it: nobody else would end it."""
    monkeypatch.setattr(module, "STOP_S", 0.2)
    async with staged(database) as stage, way_to(database, tmp_path) as (own, shut):
        held: list[tuple[Wire, SubmitSm]] = []
        stage.smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        pump = await stage.start(await stage.carrier(), database=own)
        sent = await stage.send(1)
        await stage.smsc.until(lambda: held)
        shut()
        stage.smsc.answer(*held[0], message_id=b"x")
        await pump.stop()
        await asyncio.wait(stage.tasks, timeout=5)
        (ended,) = stage.tasks
        assert ended.done()
        assert isinstance(ended.exception(), CONNECTION_ERRORS)
        assert await stage.shop.in_flight() == sent, "in doubt for the next owner"
        stage.tasks.clear()
        stage.pumps.clear()


async def test_a_killed_backend_in_the_middle_of_turns_loses_and_doubles_nothing(
    database: ConnectionParameters,
) -> None:
    async with staged(database) as stage:
        own = Database(Address(**database.arguments()), "chappe pump", hot=2)
        await own.open()
        try:
            await stage.start(await stage.carrier(window=10), database=own)
            sent = await stage.send(400, report_url="https://h/")

            for target in range(20, 401, 20):
                await eventually(
                    lambda target=target: stage.shop.database.value(
                        "select count(distinct message_id) >= $1 from reference", target
                    ),
                )
                await stage.shop.database.fetch(
                    """select pg_terminate_backend(pid) from pg_stat_activity
                       where datname = current_database() and application_name = 'chappe pump'"""
                )
            await stage.submitted(sent)
            assert len(stage.smsc.submits) == 400, "each once"
            assert await stage.shop.database.value("select count(*) from uncertain") == 0
            told = await stage.shop.webhooks()
            assert sorted(message for message, _ in told) == sorted(sent)
            await stage.close()
        finally:
            await own.close()


async def test_a_turn_that_commits_after_its_connection_was_cut_claims_nothing_in_secret(
    database: ConnectionParameters,
) -> None:
    """The server goes on with a statement whose client is gone: what it claims must not vanish."""
    async with staged(database) as stage:
        arguments = database.arguments()
        proxy = Proxy(f"{arguments['host']}/.s.PGSQL.{arguments['port']}")
        await proxy.start()
        own = Database(Address(**(arguments | {"host": "127.0.0.1", "port": proxy.port})), "chappe pump", hot=1)
        await own.open()
        try:
            await stage.start(await stage.carrier(), database=own)
            first = await stage.send(1)
            await stage.submitted(first)
            async with stage.shop.database.transaction() as holding:
                await holding.execute("select from bind for update")
                sent = await stage.send(5)
                retries = [(message_id, datetime.now(UTC)) for message_id in sent * 2]
                await holding.executemany("insert into event (message_id, at, what) values ($1, $2, 'retry')", retries)
                await _waiting_for_a_lock(stage.shop, 1)
                proxy.cut()
                await _waiting_for_a_lock(stage.shop, 2)  # the pump asks again while its old turn still waits
                stage.smsc.on_submit = lambda wire, pdu: stage.smsc.answer(wire, pdu, int(Status.RSYSERR))
            await eventually(lambda: stage.shop.database.value("select count(*) = 5 from outbox where lane % 8 = 7"))
            rows = await stage.shop.database.fetch("select attempts from outbox")
            assert [row["attempts"] for row in rows] == [3] * 5, "what was tried before still counts"
            assert len(stage.smsc.submits) == 6
            await stage.close()
        finally:
            await own.close()
            await proxy.stop()


async def _waiting_for_a_lock(shop: Shop, count: int) -> None:
    await eventually(
        lambda: shop.database.value(
            """select count(*) >= $1 from pg_stat_activity
               where datname = current_database() and wait_event_type = 'Lock'""",
            count,
        )
    )


async def test_a_deadlock_or_a_lock_held_too_long_costs_nothing(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chappe.store import database as settings

    monkeypatch.setitem(settings.HOT_SETTINGS, "lock_timeout", "50ms")
    async with staged(database) as stage:
        await stage.start(await stage.carrier())
        first = await stage.send(1)
        await stage.submitted(first)
        stage.smsc.on_submit = lambda wire, pdu: None
        second = await stage.send(1)
        await stage.smsc.until(lambda: len(stage.smsc.submits) == 2)
        async with stage.shop.database.transaction() as holding:
            await holding.execute("select from bind for update")
            stage.smsc.take(stage.smsc.wires[-1], stage.smsc.submits[-1])
            await eventually(lambda: _rolled_back(stage.shop))
        await stage.submitted(second)
        assert not stage.tasks[0].done()
        assert len(stage.smsc.binds) == 1, "the carrier noticed nothing"


async def _rolled_back(shop: Shop) -> bool:
    return bool(
        await shop.database.value("select xact_rollback > 0 from pg_stat_database where datname = current_database()")
    )


async def test_a_full_disk_of_the_database_brings_nothing_into_doubt(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "ROOM_S", 0.02)
    async with staged(database) as stage:
        await stage.start(await stage.carrier())
        first = await stage.send(1)
        await stage.submitted(first)
        await stage.shop.database.execute(
            """create function no_room() returns trigger language plpgsql as $$
               begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$"""
        )
        await stage.shop.database.execute(
            "create trigger full_disk before insert on reference for each statement execute function no_room()"
        )
        sent = await stage.send(5)
        await stage.smsc.until(lambda: len(stage.smsc.submits) == 6)
        await eventually(lambda: _rolled_back(stage.shop))
        await stage.shop.database.execute("drop trigger full_disk on reference")
        await stage.submitted(sent)
        assert not stage.tasks[0].done()
        assert (len(stage.smsc.binds), len(stage.smsc.submits)) == (1, 6), "the carrier noticed nothing"
        assert await stage.shop.database.value("select count(*) from message where doubts > 0") == 0


async def test_the_phones_claim_nobody_elses_messages_once_there_is_a_carrier(database: ConnectionParameters) -> None:
    """Also when their worker has not heard of it yet: the database decides."""
    async with staged(database) as stage:
        phones, mine = await stage.carrier("phones"), await stage.shop.account("playground")
        async with stage.shop.database.transaction() as tx:
            assert await demo.save(tx, mine.id, phones)
        pump = await stage.start(phones)
        pump.serve_everyone(while_alone=True)
        await stage.submitted(await stage.send(2))
        await stage.carrier("operator")  # and nobody tells the pump
        waiting = await stage.send(2)  # by a process that has not heard of it either
        place = lane(phones, LaneClass.TRANSACTIONAL)
        await stage.shop.database.execute(
            "update outbox set lane = $1 where message_id = any ($2)", place, list(waiting)
        )
        pump.wake()
        turned = asyncio.get_running_loop().time()
        await eventually(lambda: asyncio.sleep(0, pump._turned_at > turned))
        assert await stage.shop.states(waiting) == [State.QUEUED] * 2
        assert len(stage.smsc.submits) == 2
