"""The SMSC over real sockets: binds, submits, receipts, limits."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chappe.handset.smsc import tls_context
from chappe.smpp import receipts
from chappe.smpp.commands import Status
from chappe.smpp.error_codes import ReceiptState
from chappe.smpp.events import Answered, BindRefused, Bound, Received
from chappe.smpp.fields import Destination, DistributionList
from chappe.smpp.pdu import (
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
)
from chappe.smpp.profile import profile
from chappe.smpp.session import Mode
from chappe.smpp.tlv import Tag

PROFILE = profile("generic")
REGISTERED = {"registered_delivery": 1}


def receipt(pdu: Any) -> receipts.Receipt:
    return receipts.read(pdu.short_message, pdu.tlvs, PROFILE)


@pytest.mark.parametrize("version", [0x33, 0x34, 0x50])
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.asyncio
async def test_every_mode_and_version_binds(running: Any, mode: Mode, version: int) -> None:
    async with running() as bench:
        client = await bench.connect(interface_version=version)
        bound = await client.bind(mode)
        assert isinstance(bound, Bound)
        assert bound.system_id == b"handset"
        assert bound.peer_version == (None if version == 0x33 else 0x50)


@pytest.mark.parametrize(
    ("system_id", "password", "status"),
    [
        (b"right", b"secret", None),
        (b"right", b"wrong", Status.RINVPASWD),
        (b"wrong", b"secret", Status.RINVPASWD),
        (b"", b"", Status.RINVPASWD),
    ],
)
@pytest.mark.asyncio
async def test_unknown_user_and_wrong_password_get_the_same_status(
    running: Any, system_id: bytes, password: bytes, status: int | None
) -> None:
    async with running(system_id="right", password="secret") as bench:
        client = await bench.connect()
        answer = await client.bind(Mode.TRX, system_id, password)
        assert (answer.status if isinstance(answer, BindRefused) else None) == status


@pytest.mark.asyncio
async def test_octets_of_the_standard_are_answered_as_the_standard_says(running: Any) -> None:
    async with running() as bench:
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)

        def pdu(command_id: int, sequence: int, body: bytes) -> bytes:
            return struct.pack(">IIII", 16 + len(body), command_id, 0, sequence) + body

        async def answer() -> tuple[int, int, int, bytes]:
            length, command_id, status, sequence = struct.unpack(">IIII", await reader.readexactly(16))
            return command_id, status, sequence, await reader.readexactly(length - 16)

        writer.write(pdu(0x02, 1, b"me\0pw\0\0\x34\0\0\0"))
        assert await answer() == (0x80000002, 0, 1, b"handset\0\x02\x10\x00\x01\x50")
        writer.write(pdu(0x15, 2, b""))
        assert await answer() == (0x80000015, 0, 2, b"")
        submit = b"\0\x05\0Chappe\0\x01\x0133612345678\0\0\0\0\0\0\0\0\0\0\x02Hi"
        octets = pdu(0x04, 3, submit)
        for octet in octets:
            writer.write(bytes([octet]))
            await writer.drain()
        command_id, status, sequence, body = await answer()
        [message] = await bench.get("/handset/messages")
        assert (command_id, status, sequence, body) == (0x80000004, 0, 3, message["id"].encode() + b"\0")
        assert message["text"] == "Hi"
        writer.write(pdu(0x07, 4, b"1\0\0\0\0\0\0\0\0\0\0"))
        assert await answer() == (0x80000007, Status.RREPLACEFAIL, 4, b"")
        writer.write(pdu(0x99, 5, b""))
        assert await answer() == (0x80000000, Status.RINVCMDID, 5, b"")
        writer.write(pdu(0x06, 6, b""))
        assert await answer() == (0x80000006, 0, 6, b"")
        assert await reader.read() == b""
        writer.close()


STATES = {b"46701740611": ReceiptState.DELIVERED, b"46701740613": ReceiptState.UNDELIVERED}


@pytest.mark.parametrize(
    ("registered", "to", "comes"),
    [
        (0, b"46701740611", False),
        (1, b"46701740611", True),
        (1, b"46701740613", True),
        (2, b"46701740611", False),
        (2, b"46701740613", True),
        (3, b"46701740611", True),
        (3, b"46701740613", False),
    ],
)
@pytest.mark.asyncio
async def test_registered_delivery_decides_about_the_receipt(
    running: Any, registered: int, to: bytes, comes: bool
) -> None:
    async with running() as bench:
        client = await bench.bound()
        status, id = await client.submit(to=to, registered_delivery=registered)
        assert status == 0
        bench.turn(2)
        if comes:
            pdu = await client.deliver()
            assert pdu.esm_class == 0x04
            assert (pdu.source_addr, pdu.destination_addr) == (to, b"Chappe")
            assert receipt(pdu).id == id.decode()
            assert receipt(pdu).state is STATES[to]
        else:
            assert [event for event in await client.quiet() if isinstance(event, Received)] == []
        assert bench.smsc.exchange.pending == 0 or comes


@pytest.mark.asyncio
async def test_an_intermediate_notification_comes_when_asked_for(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await client.submit(registered_delivery=0x11)
        bench.turn(0)
        first = await client.deliver()
        bench.turn(1)
        second = await client.deliver()
        assert (first.esm_class, receipt(first).state) == (0x20, ReceiptState.IN_TRANSIT)
        assert (second.esm_class, receipt(second).state) == (0x04, ReceiptState.DELIVERED)


@pytest.mark.asyncio
async def test_receipts_go_to_receivers_of_the_same_system_id_only(running: Any) -> None:
    async with running() as bench:
        sender = await bench.bound(Mode.TX)
        receiver = await bench.bound(Mode.RX)
        stranger = await bench.bound(Mode.TRX, b"stranger")
        await sender.submit(**REGISTERED)
        bench.turn(1)
        assert receipt(await receiver.deliver()).state is ReceiptState.DELIVERED
        assert await stranger.quiet() == []
        assert [event for event in await sender.quiet() if isinstance(event, Received)] == []


@pytest.mark.asyncio
async def test_receipts_wait_for_a_receiver_in_their_order(running: Any) -> None:
    async with running() as bench:
        sender = await bench.bound(Mode.TX)
        ids = [(await sender.submit(**REGISTERED))[1].decode() for _ in range(5)]
        bench.turn(1)
        receiver = await bench.bound(Mode.RX)
        assert [receipt(await receiver.deliver()).id for _ in ids] == ids


@pytest.mark.asyncio
async def test_receipts_without_an_answer_go_to_the_next_session(running: Any) -> None:
    async with running() as bench:
        sender = await bench.bound(Mode.TX)
        first = await bench.bound(Mode.RX)
        ids = [(await sender.submit(**REGISTERED))[1].decode() for _ in range(3)]
        bench.turn(1)
        await first.deliver()
        await bench.until(lambda: bench.smsc.exchange.pending == 2)
        await first.next(Received)
        first.wire.cut()
        await first.wire.gone.wait()
        second = await bench.bound(Mode.RX)
        assert [receipt(await second.deliver()).id for _ in range(2)] == ids[1:]


@pytest.mark.asyncio
async def test_a_refused_receipt_comes_again_ever_later(running: Any) -> None:
    async with running(retry_s_min=1.0, retry_s_max=4.0, attempts_max=6) as bench:
        client = await bench.bound()
        _, id = await client.submit(**REGISTERED)
        bench.turn(1)
        for delay_s in (1, 2, 4, 4):
            assert receipt(await client.deliver(Status.RX_T_APPN)).id == id.decode()
            await client.ask_nothing()
            bench.turn(delay_s - 0.001)
            assert [event for event in await client.quiet() if isinstance(event, Received)] == []
            bench.turn(0.002)
        await client.deliver(Status.RX_T_APPN)
        await client.ask_nothing()
        bench.turn(5)
        await client.deliver(Status.RX_T_APPN)  # the sixth and last
        await client.ask_nothing()
        assert bench.smsc.exchange.pending == 0
        assert bench.smsc.exchange.counters.deliveries_dropped == 1


@pytest.mark.asyncio
async def test_a_receipt_that_is_not_answered_in_time_comes_again(running: Any) -> None:
    async with running(response_s=0.05) as bench:
        client = await bench.bound()
        await client.submit(**REGISTERED)
        bench.turn(1)
        received = await client.next(Received)
        await bench.until(lambda: len(bench.smsc.exchange.agenda) == 1)  # the session's own timer is of the real clock
        bench.turn(1)
        again = await client.deliver()
        assert receipt(again).id == receipt(received.pdu).id
        await client.ask_nothing()
        assert bench.smsc.exchange.pending == 0


@pytest.mark.asyncio
async def test_parts_join_in_any_order_over_any_session(running: Any) -> None:
    async with running() as bench:
        one, two = await bench.bound(), await bench.bound()
        await two.submit(b"\x05\0\x03\x07\x03\x03!", esm_class=0x40)
        await one.submit(b"\x05\0\x03\x07\x03\x01Hel", esm_class=0x40)
        assert await bench.get("/handset/messages") == []
        await two.submit(b"\x05\0\x03\x07\x03\x02lo", esm_class=0x40)
        [message] = await bench.get("/handset/messages")
        assert (message["text"], message["parts"]) == ("Hello!", 3)


@pytest.mark.asyncio
async def test_a_message_with_missing_parts_is_shown_after_a_while(running: Any) -> None:
    async with running(join_timeout_s=120.0) as bench:
        client = await bench.bound()
        await client.submit(b"\x05\0\x03\x07\x02\x02world", esm_class=0x40)
        bench.turn(119)
        assert await bench.get("/handset/messages") == []
        bench.turn(1)
        [message] = await bench.get("/handset/messages")
        assert message["text"].endswith("world")
        assert (await bench.get("/handset/feed"))["messages"][0]["missing"] == [1]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"to": b""}, Status.RINVDSTADR),
        ({"to": b"Chappe"}, Status.RINVDSTADR),
        ({"to": b"+"}, Status.RINVDSTADR),
        ({"replace_if_present_flag": 1}, Status.RINVREPFLAG),
        ({"sm_default_msg_id": 3}, Status.RINVDFTMSGID),
        ({"schedule_delivery_time": b"990101000000000+"}, Status.RINVSCHED),
        ({"validity_period": b"999999999999999+"}, Status.RINVEXPIRY),
        ({"text": b""}, 0),
        ({"esm_class": 0x40, "text": b"\xff"}, 0),
        ({"data_coding": 0xF7}, 0),
    ],
)
@pytest.mark.asyncio
async def test_what_the_smsc_does_not_do_is_refused_by_its_status(
    running: Any, fields: dict[str, Any], status: int
) -> None:
    async with running() as bench:
        client = await bench.bound()
        assert (await client.submit(**fields))[0] == status
        assert len(await bench.get("/handset/messages")) == (1 if status == 0 else 0)


@pytest.mark.asyncio
async def test_a_message_that_is_late_for_its_validity_expires(running: Any) -> None:
    async with running(receipt_delay_ms=60_000) as bench:
        client = await bench.bound()
        await client.submit(validity_period=b"000000000010000R", **REGISTERED)
        bench.turn(10)
        assert receipt(await client.deliver()).state is ReceiptState.EXPIRED


@pytest.mark.asyncio
async def test_data_sm_carries_a_payload(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        payload = b"A" * 400
        answer = await client.ask(
            DataSm(source_addr=b"36111", destination_addr=b"33612345678", tlvs=((Tag.MESSAGE_PAYLOAD, payload),))
        )
        assert isinstance(answer, DataSmResp)
        [message] = await bench.get("/handset/messages")
        assert (message["text"], message["parts"], message["id"]) == ("A" * 400, 3, answer.message_id.decode())


@pytest.mark.asyncio
async def test_submit_multi_reaches_each_and_names_those_it_does_not(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        good, bad = Destination(1, 1, b"33612345678"), Destination(1, 1, b"46701740617")
        answer = await client.ask(
            SubmitMulti(source_addr=b"36111", destinations=(good, bad, DistributionList(b"all")), short_message=b"Hi")
        )
        assert isinstance(answer, SubmitMultiResp)
        assert [failure.status for failure in answer.failures] == [Status.RINVDSTADR, Status.RINVDLNAME]
        assert [message["to"] for message in await bench.get("/handset/messages")] == ["+33612345678"]


@pytest.mark.asyncio
async def test_query_sm_tells_the_state(running: Any) -> None:
    async with running() as bench:
        client, stranger = await bench.bound(), await bench.bound(system_id=b"stranger")
        _, id = await client.submit(to=b"46701740613", **REGISTERED)
        before = await client.ask(QuerySm(message_id=id))
        bench.turn(1)
        await client.deliver()
        after = await client.ask(QuerySm(message_id=id))
        assert isinstance(before, QuerySmResp)
        assert isinstance(after, QuerySmResp)
        assert (before.message_state, before.final_date, before.error_code) == (1, b"", 0)
        assert (after.message_state, len(after.final_date), after.error_code) == (5, 16, 1)
        assert (await stranger.ask(QuerySm(message_id=id))).status == Status.RQUERYFAIL


@pytest.mark.asyncio
async def test_cancel_sm_works_until_the_outcome_is_there(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        _, id = await client.submit(**REGISTERED)
        assert isinstance(await client.ask(CancelSm(message_id=id)), CancelSmResp)
        assert (await client.ask(CancelSm(message_id=id))).status == Status.RCANCELFAIL
        bench.turn(5)
        assert [event for event in await client.quiet() if isinstance(event, Received)] == []
        assert bench.smsc.exchange.pending == 0
        queried = await client.ask(QuerySm(message_id=id))
        assert isinstance(queried, QuerySmResp)
        assert queried.message_state == 4
        _, done = await client.submit()
        assert (await client.ask(CancelSm(message_id=done))).status == Status.RCANCELFAIL
        assert (await client.ask(ReplaceSm(message_id=done))).status == Status.RREPLACEFAIL


@pytest.mark.asyncio
async def test_full_of_pending_receipts_means_queue_full(running: Any) -> None:
    async with running(pending_max=2) as bench:
        client = await bench.bound()
        statuses = [(await client.submit(**REGISTERED))[0] for _ in range(3)]
        assert statuses == [0, 0, Status.RMSGQFUL]
        bench.turn(1)
        await client.deliver()
        await client.deliver()
        await client.ask_nothing()
        assert (await client.submit(**REGISTERED))[0] == 0


@pytest.mark.parametrize(("limit", "taken"), [({"sessions_max": 2}, 2), ({"sessions_per_address_max": 1}, 1)])
@pytest.mark.asyncio
async def test_connections_beyond_a_limit_are_closed(running: Any, limit: dict[str, int], taken: int) -> None:
    async with running(**limit) as bench:
        good = [await bench.connect() for _ in range(taken)]
        await (await bench.connect()).closed()
        assert isinstance(await good[0].bind(Mode.TRX), Bound)
        good[0].wire.cut()
        await good[0].wire.gone.wait()
        await bench.until(lambda: len(bench.smsc.links) < taken)  # the server's side of the end
        assert isinstance(await (await bench.connect()).bind(Mode.TRX), Bound)


@pytest.mark.asyncio
async def test_silent_connections_keep_no_new_bind_out(running: Any) -> None:
    async with running(unbound_max=3) as bench:
        silent = [await bench.connect() for _ in range(3)]
        client = await bench.connect()
        assert isinstance(await client.bind(Mode.TRX), Bound)
        await silent[0].closed()
        for _ in range(3):
            silent.append(await bench.connect())
        await silent[1].closed()
        assert (await client.submit())[0] == 0, "those that are bound stay"


@pytest.mark.asyncio
async def test_a_silent_connection_ends(running: Any) -> None:
    async with running(session_init_s=0.05) as bench:
        await (await bench.connect()).closed()


@pytest.mark.asyncio
async def test_past_the_window_of_a_session_submits_are_throttled(running: Any) -> None:
    async with running(window=3) as bench:
        client = await bench.bound()
        await bench.chaos(latency_ms=1000)
        for _ in range(4):
            client.send(SubmitSm(destination_addr=b"33612345678"))
        assert (await client.next(Answered)).status == Status.RTHROTTLED
        bench.turn(1)
        assert [(await client.next(Answered)).status for _ in range(3)] == [0, 0, 0]


@pytest.mark.asyncio
async def test_a_receiver_gets_no_more_than_its_window_at_once(running: Any) -> None:
    async with running(delivery_window=2) as bench:
        client = await bench.bound()
        for _ in range(5):
            await client.submit(**REGISTERED)
        bench.turn(1)
        received = [event.pdu for event in await client.quiet() if isinstance(event, Received)]
        assert len(received) == 2
        for pdu in received:
            client.session.answer(pdu.sequence)
        client.wire.flush()
        assert len([await client.deliver() for _ in range(3)]) == 3


@pytest.mark.asyncio
async def test_the_oldest_messages_leave_the_store(running: Any) -> None:
    async with running(messages_max=3) as bench:
        client = await bench.bound()
        ids = [(await client.submit(str(number).encode()))[1] for number in range(5)]
        assert [message["text"] for message in await bench.get("/handset/messages")] == ["4", "3", "2"]
        assert (await client.ask(QuerySm(message_id=ids[0]))).status == Status.RQUERYFAIL


@pytest.mark.asyncio
async def test_a_peer_of_3_3_gets_receipts_without_tlvs(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound(interface_version=0x33)
        _, id = await client.submit(**REGISTERED)
        bench.turn(1)
        pdu = await client.deliver()
        assert pdu.tlvs == ()
        assert receipt(pdu).id == id.decode()


@pytest.mark.asyncio
async def test_stop_unbinds_in_good_order(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        await bench.smsc.stop()
        assert (await client.closed()).reason == "unbound by peer"


@pytest.mark.asyncio
async def test_tls_carries_the_same_session(running: Any, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    making: list[str | Path] = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    subprocess.run([openssl, *making, *subject], check=True, capture_output=True)
    async with running(tls=tls_context(certificate, key)) as bench:
        client = await bench.bound(ssl=ssl.create_default_context(cafile=str(certificate)))
        assert (await client.submit())[0] == 0


@pytest.mark.asyncio
async def test_who_does_not_read_is_not_read_and_hinders_nobody(running: Any) -> None:
    async with running() as bench:
        slow = await bench.bound(system_id=b"slow")
        [link] = bench.smsc.links.values()
        transport, other_end = slow.wire._transport, link.wire._transport
        assert transport is not None
        assert other_end is not None
        transport.pause_reading()
        # Small buffers of the kernel, so that little has to be sent to fill them.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        other_end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        count = 100_000
        body = SubmitSm(destination_addr=b"33612345678").encode()[16:]
        head = struct.Struct(">IIII")
        transport.write(b"".join(head.pack(16 + len(body), 4, 0, 10 + number) + body for number in range(count)))
        await bench.until(lambda: not link.wire.writable)
        quick = await bench.bound(system_id=b"quick")
        before = bench.smsc.exchange.counters.submitted
        assert before < count
        assert (await quick.submit())[0] == 0
        assert bench.smsc.exchange.counters.submitted == before + 1
        transport.resume_reading()
        await bench.until(lambda: bench.smsc.exchange.counters.submitted > before + 1)
