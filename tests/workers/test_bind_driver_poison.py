"""One answer, receipt or reply that the database refuses: it goes into quarantine, and its neighbours are stored."""

from __future__ import annotations

import pytest
from shop import eventually
from stage import Stage, staged

from chappe.carriers.smpp.transport import Wire
from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.smpp.pdu import DeliverSm, SubmitSm
from chappe.workers import bind_driver as module

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SELDOM_S", 0.02)


def _tlv(tag: int, value: bytes) -> bytes:
    return tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def _deliver(
    wire: Wire,
    sequence: int,
    source: bytes,
    destination: bytes,
    *,
    esm_class: int = 0,
    text: bytes = b"STOP",
    tlvs: bytes = b"",
) -> None:
    """A deliver_sm in octets, since the strict encoder writes nothing that is too long."""
    addresses = b"\0\1\1" + source + b"\0\0\0" + destination + b"\0"
    body = addresses + bytes([esm_class]) + bytes(8) + bytes([len(text)]) + text + tlvs
    wire.session.inject((16 + len(body)).to_bytes(4, "big") + (5).to_bytes(4, "big") + bytes(4))
    wire.session.inject(sequence.to_bytes(4, "big") + body)
    wire.flush()


@pytest.mark.parametrize("length", [65, 66, 254, 3_000, 60_000])
async def test_an_id_of_any_length_is_taken_and_matched(database: ConnectionParameters, length: int) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc

        def answer(wire: Wire, pdu: SubmitSm) -> None:
            # The strict encoder writes no such id: these are the octets of a peer that knows no limit.
            body = ids[pdu.destination_addr.decode()].encode() + b"\0"
            header = (16 + len(body)).to_bytes(4, "big") + (0x80000004).to_bytes(4, "big") + bytes(4)
            wire.session.forget(pdu.sequence)
            wire.session.inject(header + pdu.sequence.to_bytes(4, "big") + body)
            wire.flush()

        ids: dict[str, str] = {}
        smsc.on_submit = answer
        account = await stage.account()
        recipients = [f"3361234500{place}" for place in range(6)]
        for place, number in enumerate(recipients):
            ids[number] = f"{place}".ljust(length, "f")
        await stage.start(await stage.carrier())
        sent = await stage.send(account=account, numbers=[f"+{number}" for number in recipients])
        await smsc.until(lambda: len(smsc.submits) == 6)
        every = await stage.shop.database.fetch("select id from message order by id")
        numbers = [row["id"] for row in every]
        await stage.submitted(numbers)
        (wire,) = smsc.bound
        for place, number in enumerate(recipients):
            tlvs = _tlv(0x001E, ids[number].encode() + b"\0") + _tlv(0x0427, b"\x02")
            _deliver(wire, 1000 + place, number.encode(), b"36111", esm_class=4, text=b"", tlvs=tlvs)
        for number in numbers:
            await stage.in_state(number, State.DELIVERED)
        assert sent[0] == numbers[0]
        assert len(smsc.submits) == 6, "nothing goes out twice"
        assert await stage.shop.database.value("select max(length(carrier_ref)) from reference") <= 65


@pytest.mark.parametrize("length", [21, 66, 4_000])
async def test_an_address_of_any_length_is_stored(database: ConnectionParameters, length: int) -> None:
    async with staged(database) as stage:
        await stage.start(await stage.carrier())
        await stage.smsc.until(lambda: stage.smsc.bound)
        (wire,) = stage.smsc.bound
        for place, (source, destination) in enumerate(((b"3" * length, b"36180"), (b"33612345678", b"3" * length)), 1):
            _deliver(wire, place, source, destination)
        await eventually(lambda: stage.shop.database.value("select count(*) = 2 from inbound"))
        await stage.close()


POISON = """
create function poison() returns trigger language plpgsql as $$
begin
    if to_jsonb(new)::text like '%poison%' then
        raise exception 'no';
    end if;
    return new;
end $$;
create trigger poison before insert on {table} for each row execute function poison();
"""


async def _poisoned(stage: Stage, table: str) -> None:
    await stage.shop.database.execute("drop function if exists poison() cascade")
    async with stage.shop.database.transaction() as tx:
        await tx.execute(POISON.format(table=table))


async def test_one_answer_that_is_refused_rolls_back_no_neighbour(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        await _poisoned(stage, "reference")
        smsc = stage.smsc
        held: list[tuple[Wire, SubmitSm]] = []

        def all_at_once(wire: Wire, pdu: SubmitSm) -> None:
            held.append((wire, pdu))
            if len(held) == 10:
                for place, (of, one) in enumerate(held):
                    smsc.answer(of, one, message_id=b"poison" if place == 3 else f"id{place}".encode())

        smsc.on_submit = all_at_once
        await stage.start(await stage.carrier(window=10))
        sent = await stage.send(10)
        await stage.submitted(sent[:3] + sent[4:])
        await eventually(lambda: stage.shop.database.value("select count(*) = 1 from quarantine"))
        assert await stage.shop.events(sent[3]) == ["quarantined"]
        (kept,) = await stage.shop.database.fetch("select kind, error, raw from quarantine")
        assert (kept["kind"], kept["error"]) == ("result", "RaiseError")
        assert b'"poison"' in kept["raw"]
        more = await stage.send(1)
        await smsc.until(lambda: len(smsc.submits) == 11)
        smsc.answer(held[-1][0], held[-1][1], message_id=b"last")
        await stage.submitted(more)
        assert len(smsc.submits) == 11, "the bind goes on, and nothing goes out twice"
        await stage.close()
        assert await stage.shop.in_flight() == []


async def test_one_receipt_that_is_refused_rolls_back_no_neighbour(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        await _poisoned(stage, "receipt")
        await stage.start(await stage.carrier())
        sent = await stage.send(8)
        await stage.submitted(sent)
        async with stage.shop.database.transaction() as holding:  # so that they come in one turn
            await holding.execute("lock table receipt in access exclusive mode")
            for place, number in enumerate(sent, 1):
                recipient = (await stage.shop.message(number))["recipient"][1:]
                stage.smsc.receipt(f"id{place}", recipient, "POISON" if place == 5 else "DELIVRD", context=place)
                stage.smsc.receipt(f"poison{place}", recipient, context=-place)
        for number in sent[:4] + sent[5:]:
            await stage.in_state(number, State.DELIVERED)
        await stage.smsc.until(lambda: len(stage.smsc.answers) == 16)
        assert {status for _, status in stage.smsc.answers} == {0}, "what is in quarantine is stored"
        raws = [
            row["raw"] for row in await stage.shop.database.fetch("select raw from quarantine where kind='receipt'")
        ]
        assert sorted(raw[raw.index(b"id:") + 3 :].split()[0] for raw in raws) == [
            f"poison{place}".encode() for place in range(1, 9)
        ]


async def test_one_reply_that_is_refused_rolls_back_no_neighbour(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        await _poisoned(stage, "inbound")
        await stage.start(await stage.carrier())
        (sent,) = await stage.send(1)
        await stage.submitted([sent])
        recipient = (await stage.shop.message(sent))["recipient"][1:]
        async with stage.shop.database.transaction() as holding:
            await holding.execute("lock table inbound, receipt in access exclusive mode")
            for source in (b"33611111111", b"poison", b"33622222222"):
                stage.smsc.deliver(
                    DeliverSm(source_addr=source, destination_addr=b"36180", short_message=b"oui"), source
                )
            stage.smsc.receipt("id1", recipient, context="receipt")
        await stage.smsc.until(lambda: len(stage.smsc.answers) == 4)
        assert {status for _, status in stage.smsc.answers} == {0}
        assert await stage.shop.state(sent) is State.DELIVERED
        rows = await stage.shop.database.fetch("select source from inbound order by id")
        assert [row["source"] for row in rows] == ["33611111111", "33622222222"]
        assert await stage.shop.database.value("select count(*) from quarantine where kind = 'message'") == 1
