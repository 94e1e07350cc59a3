"""The chaos switches: what may be asked of them, and each at work over a real session."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from typing import Any

import pytest

from chappe.handset.chaos import CALM, SWITCHES, BindError, Chaos, ChaosError, change
from chappe.smpp import receipts
from chappe.smpp.commands import Status
from chappe.smpp.error_codes import ReceiptState
from chappe.smpp.events import Answered, BindRefused, Bound, Closed, Event, Nacked, Odd, Oddity, Received, Unbound
from chappe.smpp.pdu import SubmitSm
from chappe.smpp.profile import profile
from chappe.smpp.session import Mode

PROFILE = profile("generic")


def receipt(pdu: Any) -> receipts.Receipt:
    return receipts.read(pdu.short_message, pdu.tlvs, PROFILE)


def of(kind: type[Event], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize(
    ("wishes", "key", "value"),
    [
        ({"error_rate": 1}, "error_rate", 1.0),
        ({"error_status": "0x58"}, "error_status", 0x58),
        ({"error_status": "RTHROTTLED"}, "error_status", 0x58),
        ({"error_status": 0x401}, "error_status", 0x401),
        ({"receipt_delay_ms": None}, "receipt_delay_ms", None),
        ({"bind_error": {"status": 5, "for_s": 60}}, "bind_error", BindError(5, None, 60.0)),
        ({"id_format": "hex"}, "response_id_format", "hex"),
        ({"id_format": "hex"}, "receipt_id_format", "hex"),
        ({"seed": 42}, "seed", 42),
    ],
)
def test_good_wishes_are_taken(wishes: dict[str, object], key: str, value: object) -> None:
    assert asdict(change(CALM, wishes))[key] == (asdict(value) if isinstance(value, BindError) else value)


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"eror_rate": 1}, "did you mean error_rate"),
        ({"error_rate": 1.5}, "error_rate wants a number from 0 to 1"),
        ({"error_rate": -0.1}, "error_rate wants a number from 0 to 1"),
        ({"error_rate": True}, "error_rate wants a number"),
        ({"error_rate": "1"}, "error_rate wants a number"),
        ({"error_rate": float("nan")}, "error_rate wants a number"),
        ({"error_status": 0}, "error_status wants a command_status"),
        ({"error_status": "0x1FFFFFFFFF"}, "error_status wants a command_status"),
        ({"error_status": "often"}, "error_status wants a command_status"),
        ({"latency_ms": 600_001}, "latency_ms wants a whole number from 0 to 600000"),
        ({"latency_ms": 1.5}, "latency_ms wants a whole number"),
        ({"latency_ms": None}, "latency_ms wants a whole number"),
        ({"queue_full": 1}, "queue_full wants true or false"),
        ({"receipt_outcome": "deliverd"}, "did you mean delivered"),
        ({"receipt_outcome": []}, "receipt_outcome wants one of"),
        ({"bind_error": 14}, "bind_error wants null or an object"),
        ({"bind_error": {"status": 14, "time": 1}}, "bind_error wants null or an object"),
        ({"bind_error": {"status": 14, "times": 0}}, "bind_error.times wants a whole number from 1"),
        ({"seed": -1}, "seed wants a whole number"),
        ({"reply_reference": 256}, "reply_reference wants a whole number from 0 to 255"),
    ],
)
def test_bad_wishes_are_refused_in_words(wishes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ChaosError, match=re.escape(sentence)):
        change(CALM, wishes)


def test_every_switch_takes_back_its_own_value_and_has_words() -> None:
    for spec in fields(Chaos):
        assert SWITCHES[spec.name]
        assert change(CALM, {spec.name: getattr(CALM, spec.name)}) == CALM


@pytest.mark.parametrize(
    ("switches", "status"),
    [
        ({"error_rate": 1}, Status.RSYSERR),
        ({"error_rate": 1, "error_status": 0x401}, 0x401),
        ({"error_every": 1, "error_status": "0x45"}, Status.RSUBMITFAIL),
        ({"throttle_rate": 1}, Status.RTHROTTLED),
        ({"throttle_for_s": 3}, Status.RTHROTTLED),
        ({"queue_full": True}, Status.RMSGQFUL),
    ],
)
@pytest.mark.asyncio
async def test_refusing_switches_refuse_and_take_nothing(
    running: Any, switches: dict[str, object], status: int
) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(**switches)
        assert (await client.submit())[0] == status
        assert await bench.get("/handset/messages") == []
        await bench.http("DELETE", "/handset/chaos")
        assert (await client.submit())[0] == 0


@pytest.mark.asyncio
async def test_throttle_for_s_ends_and_begins_again_when_named_again(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        statuses = []
        for pause_s, named in ((0, True), (2.9, False), (0.2, False), (0, True)):
            bench.turn(pause_s)
            if named:
                await bench.chaos(throttle_for_s=3)
            statuses.append((await client.submit())[0])
        assert statuses == [0x58, 0x58, 0, 0x58]


@pytest.mark.asyncio
async def test_error_every_counts(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(error_every=3)
        assert [(await client.submit())[0] for _ in range(6)] == [0, 0, 8, 0, 0, 8]


@pytest.mark.asyncio
async def test_a_seed_repeats_all_chance(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        rounds = []
        for _ in range(2):
            await bench.chaos(seed=99, error_rate=0.5, throttle_rate=0.3)
            rounds.append([(await client.submit())[0] for _ in range(40)])
        assert rounds[0] == rounds[1]
        assert len(set(rounds[0])) == 3


@pytest.mark.asyncio
async def test_latency_holds_the_response_back(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(latency_ms=500)
        client.send(SubmitSm(destination_addr=b"33612345678", registered_delivery=1))
        assert of(Answered, await client.quiet()) == []
        bench.turn(0.499)
        assert of(Answered, await client.quiet()) == []
        bench.turn(0.002)
        answered = await client.next(Answered)
        bench.turn(1)
        assert receipt(await client.deliver()).id == answered.message_id.decode()


@pytest.mark.asyncio
async def test_jitter_mixes_the_responses(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(latency_jitter_ms=1000)
        sequences = [client.send(SubmitSm(destination_addr=b"33612345678")) for _ in range(20)]
        await client.ask_nothing()
        for _ in range(100):
            bench.turn(0.01)
        answered = [(await client.next(Answered)).sequence for _ in sequences]
        assert answered != sequences
        assert sorted(answered) == sequences


@pytest.mark.asyncio
async def test_a_dropped_response_leaves_the_message_on_the_phone(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(drop_response_rate=1)
        client.send(SubmitSm(destination_addr=b"33612345678"))
        assert of(Answered, await client.quiet()) == []
        assert len(await bench.get("/handset/messages")) == 1


@pytest.mark.asyncio
async def test_disconnect_takes_the_message_and_cuts(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(disconnect_rate=1)
        client.send(SubmitSm(destination_addr=b"33612345678"))
        closed = await client.next(Closed)
        assert len(closed.outstanding) == 1
        assert len(await bench.get("/handset/messages")) == 1


@pytest.mark.asyncio
async def test_unbind_follows_the_response(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(unbind_rate=1)
        assert (await client.submit())[0] == 0
        assert (await client.next(Unbound)).by_peer


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("sequence_zero", Odd, Oddity.UNEXPECTED_RESPONSE),
        ("sequence_unknown", Odd, Oddity.UNEXPECTED_RESPONSE),
        ("wrong_type", Odd, Oddity.UNEXPECTED_RESPONSE),
        ("nack_without_sequence", Odd, Oddity.NACK_WITHOUT_REQUEST),
        ("error_body", Odd, Oddity.FLAGGED),
    ],
)
@pytest.mark.asyncio
async def test_response_faults_are_seen_as_odd(running: Any, fault: str, kind: type[Event], reason: Oddity) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(response_fault=fault)
        client.send(SubmitSm(destination_addr=b"33612345678"))
        odd = await client.next(Odd)
        assert odd.reason is reason


@pytest.mark.asyncio
async def test_a_nack_and_a_repeated_response(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(response_fault="nack", error_status="0x08")
        client.send(SubmitSm(destination_addr=b"33612345678"))
        assert (await client.next(Nacked)).status == 8
        await bench.chaos(response_fault="repeated")
        assert (await client.submit())[0] == 0
        assert (await client.next(Odd)).reason is Oddity.UNEXPECTED_RESPONSE


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("decimal", r"\d{16}"),
        ("hex", r"[0-9a-f]{13}"),
        ("upper", r"[0-9A-F]{13}"),
        ("padded", r"0000\d{16}"),
        ("hex_padded", r"000[0-9a-f]{13}"),
        ("uuid", r"[0-9a-f-]{36}"),
        ("uuid_upper", r"[0-9A-F-]{36}"),
    ],
)
@pytest.mark.asyncio
async def test_ids_have_the_form_that_is_asked_for(running: Any, form: str, pattern: str) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(response_id_format=form)
        _, id = await client.submit(registered_delivery=1)
        assert re.fullmatch(pattern, id.decode())
        bench.turn(1)
        decimal = receipt(await client.deliver()).id
        assert re.fullmatch(r"\d{16}", decimal)
        await bench.chaos(response_id_format="decimal", receipt_id_format=form)
        _, id = await client.submit(registered_delivery=1)
        assert re.fullmatch(r"\d{16}", id.decode())
        bench.turn(1)
        assert re.fullmatch(pattern, receipt(await client.deliver()).id)


@pytest.mark.asyncio
async def test_ids_come_again_in_a_cycle(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(id_cycle=2)
        ids = [(await client.submit())[1] for _ in range(4)]
        assert ids[:2] == ids[2:]
        assert len(set(ids)) == 2


@pytest.mark.asyncio
async def test_receipts_before_the_response(running: Any) -> None:
    async with running() as bench:
        other, client = await bench.bound(Mode.RX), await bench.bound(Mode.TX)
        await bench.chaos(receipt_before_response=True, latency_ms=100)
        client.send(SubmitSm(destination_addr=b"33612345678", registered_delivery=1))
        early = await other.next(Received)
        assert of(Answered, await client.quiet()) == []
        bench.turn(0.2)
        assert (await client.next(Answered)).message_id.decode() == receipt(early.pdu).id


@pytest.mark.parametrize(
    ("switches", "states"),
    [
        ({"receipt_outcome": "undelivered"}, ["undelivered"]),
        ({"receipt_outcome": "expired"}, ["expired"]),
        ({"receipt_outcome": "rejected"}, ["rejected"]),
        ({"receipt_outcome": "deleted"}, ["deleted"]),
        ({"receipt_outcome": "unknown"}, ["unknown"]),
        ({"receipt_outcome": "none"}, []),
        ({"receipt_fail_rate": 1}, ["undelivered"]),
        ({"receipt_duplicate_rate": 1}, ["delivered", "delivered"]),
        ({"receipt_outcome": "expired", "receipt_then": "delivered"}, ["expired", "delivered"]),
        ({"intermediate": "always"}, ["in_transit", "delivered"]),
        ({"intermediate": "only"}, ["in_transit"]),
        ({"receipt_delay_ms": 0}, ["delivered"]),
    ],
)
@pytest.mark.asyncio
async def test_what_receipts_say(running: Any, switches: dict[str, object], states: list[str]) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(**switches)
        await client.submit(registered_delivery=1)
        bench.turn(5)
        said = [receipt(event.pdu).state.value for event in of(Received, await client.quiet())]
        assert said == states


@pytest.mark.asyncio
async def test_jitter_mixes_the_receipts(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(receipt_jitter_ms=1000)
        ids = [(await client.submit(registered_delivery=1))[1].decode() for _ in range(20)]
        bench.turn(3)
        said = [receipt(event.pdu).id for event in of(Received, await client.quiet())]
        assert said != ids
        assert sorted(said) == ids


@pytest.mark.asyncio
async def test_receipts_for_unknown_ids_and_unasked_ones(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(receipt_unknown_id_rate=1, receipt_unasked=True)
        _, id = await client.submit()
        bench.turn(1)
        assert receipt(await client.deliver()).id != id.decode()


@pytest.mark.parametrize(("which", "seqnums"), [("all", [1, 2, 3]), ("first", [1]), ("last", [3])])
@pytest.mark.asyncio
async def test_which_parts_get_receipts(running: Any, which: str, seqnums: list[int]) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(receipt_parts=which)
        ids = []
        for part in (1, 2, 3):
            text = bytes([5, 0, 3, 9, 3, part]) + b"x"
            ids.append((await client.submit(text, esm_class=0x40, registered_delivery=1))[1].decode())
        bench.turn(1)
        said = [receipt(event.pdu).id for event in of(Received, await client.quiet())]
        assert said == [ids[seqnum - 1] for seqnum in seqnums]


@pytest.mark.parametrize(
    ("switches", "has_text", "has_tlvs", "has_payload", "esm_class"),
    [
        ({"receipt_shape": "text+tlv"}, True, True, False, 0x04),
        ({"receipt_shape": "text"}, True, False, False, 0x04),
        ({"receipt_shape": "tlv"}, False, True, False, 0x04),
        ({"receipt_shape": "payload"}, False, True, True, 0x04),
        ({"esm_class_zero": True}, True, True, False, 0x00),
        ({"receipt_udhi": True}, True, True, False, 0x44),
    ],
)
@pytest.mark.asyncio
async def test_where_receipts_say_it(
    running: Any, switches: dict[str, object], has_text: bool, has_tlvs: bool, has_payload: bool, esm_class: int
) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(**switches)
        await client.submit(registered_delivery=1)
        bench.turn(1)
        pdu = await client.deliver()
        tags = {tag for tag, _ in pdu.tlvs}
        assert (b"stat:DELIVRD" in pdu.short_message, 0x1E in tags, 0x424 in tags, pdu.esm_class) == (
            has_text,
            has_tlvs,
            has_payload,
            esm_class,
        )


@pytest.mark.asyncio
async def test_contradicting_receipts(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(receipt_contradicting=True)
        await client.submit(registered_delivery=1)
        bench.turn(1)
        said = receipt(await client.deliver())
        assert (said.contradictions, said.state) == (("state",), ReceiptState.UNDELIVERED)


@pytest.mark.parametrize(
    ("mode", "seqnums"), [("ordered", {(1, 2, 3)}), ("repeated", {(1, 1, 2, 2, 3, 3)}), ("missing", None)]
)
@pytest.mark.asyncio
async def test_parts_of_replies(running: Any, mode: str, seqnums: set[tuple[int, ...]] | None) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(reply_parts=mode, reply_reference=77)
        body = {"from": "+33612345678", "to": "36111", "text": "x" * 400}
        assert (await bench.http("POST", "/handset/replies", body)).status == 201
        headers = [event.pdu.short_message[:6] for event in of(Received, await client.quiet())]
        assert {(header[3], header[4]) for header in headers} == {(77, 3)}
        found = tuple(header[5] for header in headers)
        assert found in seqnums if seqnums is not None else len(found) == 2


@pytest.mark.asyncio
async def test_shuffled_replies_have_all_parts(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(reply_parts="shuffled", seed=1)
        body = {"from": "+33612345678", "to": "36111", "text": "x" * 1500}
        await bench.http("POST", "/handset/replies", body)
        found = [event.pdu.short_message[5] for event in of(Received, await client.quiet())]
        assert found != sorted(found)
        assert sorted(found) == list(range(1, 11))


@pytest.mark.asyncio
async def test_bind_errors_by_count_and_by_time(running: Any) -> None:
    async with running() as bench:
        await bench.chaos(bind_error={"status": "0x0E", "times": 1})
        refused = await (await bench.connect()).bind(Mode.TRX)
        assert isinstance(refused, BindRefused)
        assert refused.status == Status.RINVPASWD
        assert isinstance(await (await bench.connect()).bind(Mode.TRX), Bound)
        await bench.chaos(bind_error={"status": 5, "for_s": 60})
        assert isinstance(await (await bench.connect()).bind(Mode.TRX), BindRefused)
        bench.turn(59)
        assert isinstance(await (await bench.connect()).bind(Mode.TRX), BindRefused)
        bench.turn(2)
        assert isinstance(await (await bench.connect()).bind(Mode.TRX), Bound)
        await bench.chaos(bind_error={"status": 13})
        assert isinstance(await (await bench.connect()).bind(Mode.TRX), BindRefused)
        await bench.http("DELETE", "/handset/chaos")
        assert isinstance(await (await bench.connect()).bind(Mode.TRX), Bound)


@pytest.mark.asyncio
async def test_a_bind_that_is_not_answered(running: Any) -> None:
    async with running() as bench:
        await bench.chaos(bind_unanswered=True)
        client = await bench.connect()
        client.session.bind(Mode.TRX, b"client", b"secret", client.wire.now())
        client.wire.flush()
        await bench.until(lambda: any(link.session._core.bind_asked for link in bench.smsc.links.values()))
        assert client.events.empty()


@pytest.mark.asyncio
async def test_a_bind_that_is_accepted_then_closed(running: Any) -> None:
    async with running() as bench:
        await bench.chaos(bind_then_close=True)
        client = await bench.connect()
        assert isinstance(await client.bind(Mode.TRX), Bound)
        await client.closed()


@pytest.mark.asyncio
async def test_enquire_link_without_an_answer(running: Any) -> None:
    from chappe.smpp.pdu import EnquireLink

    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(enquire_unanswered=True)
        client.session.inject(EnquireLink(sequence=4242).encode())
        assert (await client.submit())[0] == 0
        assert of(Odd, await client.quiet()) == []
        await bench.http("DELETE", "/handset/chaos")
        client.session.inject(EnquireLink(sequence=4243).encode())
        client.wire.flush()
        # The session did not ask by itself, so an answer is odd to it.
        assert (await client.next(Odd)).reason is Oddity.UNEXPECTED_RESPONSE


@pytest.mark.asyncio
async def test_stop_reading_leaves_submits_unread_until_reset(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.chaos(stop_reading=True)
        client.send(SubmitSm(destination_addr=b"33612345678"))
        other = await bench.connect()
        assert isinstance(await other.bind(Mode.TRX), Bound)  # new connections are read until they are bound
        assert await bench.get("/handset/messages") == []
        await bench.http("DELETE", "/handset/chaos")
        assert (await client.next(Answered)).status == 0
