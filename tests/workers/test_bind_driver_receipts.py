"""Receipts as carriers really send them, over a scripted SMSC, the worker's pump and a real database."""

from __future__ import annotations

from itertools import count

import pytest
from scripted_smsc import Smsc
from shop import eventually
from stage import Stage, staged

from chappe.actions import carrier_views
from chappe.carriers.smpp.transport import Wire
from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.smpp.pdu import DeliverSm, SubmitSm
from chappe.workers import bind_driver as module

pytestmark = pytest.mark.asyncio

PHONE = "+33612345678"
SENDER = "36111"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SELDOM_S", 0.02)


def told(
    smsc: Smsc,
    id: str,
    stat: str = "DELIVRD",
    *,
    source: bytes = PHONE[1:].encode(),
    destination: bytes = SENDER.encode(),
    err: str = "000",
    dates: str = "2603021000",
    tlvs: tuple[tuple[int, bytes], ...] = (),
) -> None:
    """A receipt with anything in it."""
    text = f"id:{id} sub:001 dlvrd:001 submit date:{dates} done date:{dates} stat:{stat} err:{err} text:"
    pdu = DeliverSm(source_addr=source, destination_addr=destination, esm_class=4, short_message=text.encode())
    pdu.tlvs = tlvs
    smsc.deliver(pdu, "receipt")


def giving(smsc: Smsc, ids: list[bytes]) -> None:
    """The SMSC answers with these ids, in their order."""
    places = count()

    def answer(wire: Wire, pdu: SubmitSm) -> None:
        smsc.answer(wire, pdu, message_id=ids[next(places) % len(ids)])

    smsc.on_submit = answer


async def one_sent(stage: Stage, id: bytes = b"77", **given: object) -> int:
    giving(stage.smsc, [id])
    await stage.start(await stage.carrier(**{key: str(value) for key, value in given.items()}))
    (sent,) = await stage.send(numbers=[PHONE], sender=SENDER, report_url="https://h/")
    await stage.submitted([sent])
    return sent


async def oddity(stage: Stage) -> str | None:
    found: str | None = await stage.shop.database.value("select oddity from receipt order by id desc limit 1")
    return found


@pytest.mark.parametrize(
    ("ids", "receipts"),
    [
        ([b"A", b"A", b"A"], ["A"]),
        ([b"A", b"A", b"A"], ["A", "A", "A"]),
        ([b"A", b"", b""], ["A"]),
        ([b"A", b"", b""], ["A", "A", "A"]),
        ([b"", b"", b"A"], ["A"]),
        ([b"A", b"A", b"B"], ["B", "A"]),
        ([b"A", b"", b"B"], ["A", "B"]),
        ([b"A", b"B", b"C"], ["C", "A", "B"]),
    ],
)
async def test_parts_may_share_an_id_and_a_receipt(
    database: ConnectionParameters, ids: list[bytes], receipts: list[str]
) -> None:
    async with staged(database) as stage:
        giving(stage.smsc, ids)
        await stage.start(await stage.carrier())
        (sent,) = await stage.send(numbers=[PHONE], text="x" * 400, parts=3, report_url="https://h/")
        await stage.smsc.until(lambda: len(stage.smsc.submits) == 3)
        await eventually(
            lambda: stage.shop.database.value(
                "select count(distinct part) = 3 from reference where message_id = $1", sent
            )
        )
        for place, id in enumerate(receipts):
            assert await stage.shop.state(sent) is not State.DELIVERED or len(set(receipts)) == 1
            told(stage.smsc, id)
            await stage.smsc.until(lambda place=place: len(stage.smsc.answers) == place + 1)
        await stage.in_state(sent, State.DELIVERED)
        states = [state for _, state in await stage.shop.webhooks()]
        assert states == [State.SUBMITTED, State.DELIVERED], "told once"
        assert await stage.shop.database.value("select count(*) from receipt_unmatched") == 0


async def test_a_failure_of_a_shared_id_is_the_messages(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        giving(stage.smsc, [b"A"])
        await stage.start(await stage.carrier())
        (sent,) = await stage.send(numbers=[PHONE], text="x" * 400, parts=3)
        await eventually(lambda: stage.shop.database.value("select count(*) = 3 from reference"))
        told(stage.smsc, "A", "UNDELIV")
        await stage.in_state(sent, State.UNDELIVERED)
        told(stage.smsc, "A", "DELIVRD")
        await stage.in_state(sent, State.DELIVERED)


async def test_a_receipt_of_a_shared_id_that_comes_before_the_last_part_counts_for_it(
    database: ConnectionParameters,
) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc
        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        await stage.start(await stage.carrier())
        (sent,) = await stage.send(numbers=[PHONE], text="x" * 400, parts=3)
        await smsc.until(lambda: len(held) == 3)
        smsc.answer(*held[0], message_id=b"A")
        await stage.in_references(sent, 1)
        told(smsc, "A")
        await smsc.until(lambda: len(smsc.answers) == 1)
        smsc.answer(*held[1], message_id=b"A")
        await stage.in_references(sent, 2)
        assert await stage.shop.state(sent) is not State.DELIVERED
        smsc.answer(*held[2], message_id=b"A")
        await stage.in_state(sent, State.DELIVERED)


async def test_after_a_crash_between_parts_of_one_id_only_the_missing_part_goes_again(
    database: ConnectionParameters,
) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc
        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        red = await stage.carrier(uncertain_grace_s="0")
        await stage.start(red)
        (sent,) = await stage.send(numbers=[PHONE], text="x" * 400, parts=3, transactional=True)
        await smsc.until(lambda: len(held) == 3)
        for place in range(2):
            smsc.answer(*held[place], message_id=b"A")
        await stage.in_references(sent, 2)
        stage.tasks[0].cancel()
        await eventually(lambda: _true(stage.tasks[0].done()))
        giving(smsc, [b"A"])
        await stage.start(red, owner="me")
        await eventually(lambda: stage.shop.database.value("select true from outbox where lane % 8 = 7"))
        assert await stage.shop.database.value("select parts_done from outbox") == 0b110
        await stage.shop.database.execute("update outbox set lane = $1", red * 8 + 1)
        await smsc.until(lambda: len(smsc.submits) == 4)
        assert smsc.submits[3].short_message == held[2][1].short_message
        await stage.in_references(sent, 3)
        told(smsc, "A")
        await stage.in_state(sent, State.DELIVERED)


async def _true(value: bool) -> bool:
    return value


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        (SENDER.encode(), PHONE[1:].encode()),  # not swapped
        (b"3361234****", SENDER.encode()),
        (b"33612XXXXXX", SENDER.encode()),
        (b"SHOP", SENDER.encode()),
        (b"99#33612345678", SENDER.encode()),
        (b"", b""),
    ],
)
async def test_an_id_that_is_unique_needs_no_address(
    database: ConnectionParameters, source: bytes, destination: bytes
) -> None:
    async with staged(database) as stage:
        sent = await one_sent(stage)
        told(stage.smsc, "77", source=source, destination=destination)
        await stage.in_state(sent, State.DELIVERED)
        fits = source == b"" or source.endswith(b"12345678")
        assert await oddity(stage) == (None if fits else "address")


async def test_a_long_number_may_be_unswapped_and_somebody_elses_is_not_taken(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        giving(stage.smsc, [b"77"])
        await stage.start(await stage.carrier())
        (sent,) = await stage.send(numbers=[PHONE], sender="+33700000001")
        await stage.submitted([sent])
        told(stage.smsc, "77", source=b"33699999999", destination=b"33700000001")
        await eventually(lambda: stage.shop.database.value("select count(*) = 1 from receipt_unmatched"))
        told(stage.smsc, "77", source=b"33700000001", destination=PHONE[1:].encode())
        await stage.in_state(sent, State.DELIVERED)


async def test_of_an_id_that_two_messages_have_the_number_decides(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        giving(stage.smsc, [b"77"])
        await stage.start(await stage.carrier())
        first, second = await stage.send(2, numbers=[PHONE, "+33687654321"])
        await stage.submitted([first, second])
        told(stage.smsc, "77", source=b"36111", destination=b"SHOP")
        await eventually(lambda: stage.shop.database.value("select count(*) = 1 from receipt_unmatched"))
        told(stage.smsc, "77")
        await stage.in_state(first, State.DELIVERED)
        assert await stage.shop.state(second) is not State.DELIVERED


async def test_a_receipt_that_anybody_can_write_needs_the_number(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        sent = await one_sent(stage, receipts_by_text="yes")
        text = b"id:77 sub:001 dlvrd:001 submit date:2603021000 done date:2603021000 stat:DELIVRD err:000 text:"
        for source in (b"33699999999", b"36111"):
            stage.smsc.deliver(DeliverSm(source_addr=source, destination_addr=b"36111", short_message=text))
        await stage.smsc.until(lambda: len(stage.smsc.answers) == 2)
        assert await stage.shop.state(sent) is not State.DELIVERED
        stage.smsc.deliver(DeliverSm(source_addr=PHONE[1:].encode(), destination_addr=b"36111", short_message=text))
        await stage.in_state(sent, State.DELIVERED)


@pytest.mark.parametrize(
    ("answered", "by_tlv", "by_text"),
    [
        (b"305419896", b"A1B2C3D412345678", "305419896"),
        (b"A1B2C3D412345678", b"A1B2C3D412345678", "305419896"),
        (b"77", b"78", "77"),
        (b"77", b"77", "78"),
    ],
)
async def test_of_two_ids_of_one_receipt_either_will_do(
    database: ConnectionParameters, answered: bytes, by_tlv: bytes, by_text: str
) -> None:
    async with staged(database) as stage:
        sent = await one_sent(stage, answered)
        told(stage.smsc, by_text, tlvs=((0x001E, by_tlv + b"\0"), (0x0427, b"\2")))
        await stage.in_state(sent, State.DELIVERED)
        assert "id_contradicts" in str(await oddity(stage))


@pytest.mark.parametrize(
    ("stat", "err", "dates", "state", "reason"),
    [
        ("DELIVERD", "000", "20260905143012", State.DELIVERED, "000"),
        ("UNDELIVRD", "007", "20260905143012", State.UNDELIVERED, "007"),
        ("EXPIRD", "000", "2026-09-05 14:30:12", State.EXPIRED, "000"),
        ("DND_REJECTED", "1", "2609051430", State.REJECTED, "1"),
        ("FAILED:Mob. Abst.|nt ext|out ser", "100", "2026-09-05 14:30:12", State.UNDELIVERED, "100"),
        ("REJECTD", "006", "2609051430", State.REJECTED, "spam"),
        ("REJECTD", "0005", "2609051430", State.REJECTED, "unknown_subscriber"),
    ],
)
async def test_words_dates_and_errors_of_carriers_are_understood(
    database: ConnectionParameters, stat: str, err: str, dates: str, state: State, reason: str
) -> None:
    async with staged(database) as stage:
        sent = await one_sent(stage, receipt_errors="006:message:spam;5:number")
        told(stage.smsc, "77", stat, err=err, dates=dates)
        await stage.in_state(sent, state)
        assert (await stage.shop.message(sent))["reason"] == reason
        assert await stage.shop.database.value("select error from receipt") == err


async def test_an_early_receipts_error_is_read_by_the_same_table(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        smsc = stage.smsc
        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        await stage.start(await stage.carrier(receipt_errors="006:message:spam"))
        (sent,) = await stage.send(numbers=[PHONE])
        await smsc.until(lambda: held)
        told(smsc, "77", "REJECTD", err="6", source=b"masked")
        await smsc.until(lambda: smsc.answers)
        smsc.answer(*held[0], message_id=b"77")
        await stage.in_state(sent, State.REJECTED)
        assert (await stage.shop.message(sent))["reason"] == "spam"
        assert await oddity(stage) == "address"


async def test_a_word_in_no_table_ends_nothing_and_is_kept_as_odd(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        sent = await one_sent(stage)
        told(stage.smsc, "77", "HAPPILY")
        await stage.smsc.until(lambda: stage.smsc.answers)
        assert await stage.shop.state(sent) is not State.DELIVERED
        assert await oddity(stage) == "word_unknown"
        told(stage.smsc, "77", "UNDELIV", tlvs=((0x0427, b"\1"),))
        await stage.in_state(sent, State.UNDELIVERED)
        assert await oddity(stage) == "state_contradicts"


async def test_receipts_that_all_have_one_sequence_number_are_all_taken(database: ConnectionParameters) -> None:
    async with staged(database) as stage:
        await stage.start(await stage.carrier())
        sent = await stage.send(10)
        await stage.submitted(sent)
        (wire,) = stage.smsc.bound
        for place, number in enumerate(sent, 1):
            source = (await stage.shop.message(number))["recipient"][1:].encode()
            text = f"id:id{place} stat:DELIVRD err:000".encode()
            body = b"\0\1\1" + source + b"\0\0\0" + b"36111\0" + b"\4" + bytes(8) + bytes([len(text)]) + text
            wire.session.inject((16 + len(body)).to_bytes(4, "big") + (5).to_bytes(4, "big") + bytes(8) + body)
        wire.flush()
        for number in sent:
            await stage.in_state(number, State.DELIVERED)


@pytest.mark.parametrize(("setting", "state"), [("yes", State.DELIVERED), ("no", State.QUEUED)])
async def test_receipts_on_a_transmitter_are_taken_or_refused_as_set(
    database: ConnectionParameters, setting: str, state: State
) -> None:
    async with staged(database) as stage:
        sent = await one_sent(stage, mode="tx", receipts_on_tx=setting)
        (wire,) = stage.smsc.wires
        text = b"id:77 stat:DELIVRD err:000"
        addresses = b"\0\1\1" + PHONE[1:].encode() + b"\0\0\0" + b"36111\0"
        body = addresses + b"\4" + bytes(8) + bytes([len(text)]) + text
        for sequence in (b"\0\0\0\7", b"\0\0\0\x08"):
            wire.session.inject(
                (16 + len(body)).to_bytes(4, "big") + (5).to_bytes(4, "big") + bytes(4) + sequence + body
            )
        wire.flush()
        if state is State.DELIVERED:
            await stage.in_state(sent, state)
        else:  # the next answer comes after the refusal
            more = await stage.send(numbers=["+33687654321"])
            await stage.submitted(more)
            assert await stage.shop.state(sent) is state
            assert await stage.shop.database.value("select count(*) from receipt") == 0


async def test_what_is_odd_about_receipts_and_which_words_nobody_knows_is_shown(
    database: ConnectionParameters,
) -> None:
    words = ["DELVRD", "DELVRD", "QWXZ", "DELIVRD"]
    async with staged(database) as stage:
        await stage.start(await stage.carrier())
        await stage.carrier("blue")
        sent = await stage.send(len(words))
        await stage.submitted(sent)
        numbers = [(await stage.shop.message(one))["recipient"].removeprefix("+") for one in sent]
        for place, word in enumerate(words):
            stage.smsc.receipt(f"id{place + 1}", numbers[place], word)
        await eventually(lambda: stage.shop.database.value("select count(*) = 4 from receipt"))
        views, _ = await carrier_views.read(stage.shop.database)
        red, other = sorted(views, key=lambda view: view.name == "blue")
        assert (other.oddities, other.unknown_words) == ({}, [])
        assert red.oddities["word_unknown"] == 3
        shown = [(one.word, one.receipts, one.resembles) for one in red.unknown_words]
        assert shown == [("DELVRD", 2, "DELIVRD"), ("QWXZ", 1, "")]
