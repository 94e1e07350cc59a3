"""Every magic number, over a real session."""

from __future__ import annotations

from typing import Any

import pytest

from chappe.core import numbers
from chappe.core.pricelist import price_list
from chappe.handset.magic_numbers import MAGIC, MAGIC_PREFIXES, fate_of
from chappe.smpp import receipts
from chappe.smpp.commands import Status
from chappe.smpp.error_codes import ReceiptState
from chappe.smpp.events import Answered, Closed, Received
from chappe.smpp.pdu import SubmitSm
from chappe.smpp.profile import profile
from chappe.smpp.session import Mode

PROFILE = profile("generic")
DELIVERED, UNDELIVERED, EXPIRED = ReceiptState.DELIVERED, ReceiptState.UNDELIVERED, ReceiptState.EXPIRED
# key: (seconds to wait, state, err) of each receipt; one second is what the SMSC of the tests is started with
RECEIPTS = {
    "11": [(0, DELIVERED, "000")],
    "12": [(60, DELIVERED, "000")],
    "13": [(1, UNDELIVERED, "001")],
    "14": [(1, UNDELIVERED, "027")],
    "15": [(1, EXPIRED, "000")],
    "16": [(1, ReceiptState.REJECTED, "000")],
    "24": [(0, DELIVERED, "000"), (1, UNDELIVERED, "027")],
    "25": [(0, ReceiptState.IN_TRANSIT, "000"), (5, DELIVERED, "000")],
    "27": [(0, EXPIRED, "000"), (1, DELIVERED, "000")],
}
BY_OTHER_TESTS = {"17", "18", "19", "20", "21", "22", "23", "26"}


def receipt(pdu: Any) -> receipts.Receipt:
    return receipts.read(pdu.short_message, pdu.tlvs, PROFILE)


def number(key: str) -> bytes:
    return f"{MAGIC_PREFIXES[-1]}{key}".encode()


def test_every_magic_number_is_proved_here() -> None:
    assert set(MAGIC) == set(RECEIPTS) | BY_OTHER_TESTS


@pytest.mark.parametrize("prefix", MAGIC_PREFIXES)
def test_every_magic_number_is_taken_as_mobile(prefix: str) -> None:
    for key in MAGIC:
        read = numbers.read_mobile(f"+{prefix}{key}")
        assert isinstance(read, numbers.Number), (prefix, key)
        assert fate_of(numbers.digits(read.e164)) is not None


@pytest.mark.parametrize(
    "written", ["0639980013", "06 39 98 00 13", "+33639980013", "0033639980013", "33639980013", "639980013"]
)
def test_every_account_can_send_to_the_french_ones_however_they_are_written(written: str) -> None:
    read = numbers.read_mobile(written, numbers.HOME)
    assert isinstance(read, numbers.Number)
    assert (read.e164, read.region) == ("+33639980013", "FR")
    assert price_list(38_000).price(read.e164) == 38_000


@pytest.mark.parametrize("digits", ["33612345678", "46701740610", "46701740628", "4670174061", "467017406111", ""])
def test_other_numbers_are_not_magic(digits: str) -> None:
    assert fate_of(digits) is None


@pytest.mark.parametrize("key", RECEIPTS)
@pytest.mark.parametrize("prefix", ["", "+", "00"])
@pytest.mark.asyncio
async def test_the_receipts_say_what_the_table_says(running: Any, key: str, prefix: str) -> None:
    async with running() as bench:
        client = await bench.bound()
        status, id = await client.submit(to=prefix.encode() + number(key), registered_delivery=1)
        assert status == 0
        passed_s = 0.0
        for at_s, state, error_code in RECEIPTS[key]:
            if at_s > passed_s:
                bench.turn(at_s - passed_s - 0.001)
                assert not [event for event in await client.quiet() if isinstance(event, Received)]
                bench.turn(0.002)
            else:
                bench.turn(0.0)
            passed_s = at_s + 0.001
            said = receipt(await client.deliver())
            assert (said.state, said.error_code, said.id) == (state, error_code, id.decode())
        await client.ask_nothing()
        assert bench.smsc.exchange.pending == 0


@pytest.mark.asyncio
async def test_17_is_rejected_in_the_response(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        assert await client.submit(to=number("17"), registered_delivery=1) == (Status.RINVDSTADR, b"")
        assert await bench.get("/handset/messages") == []


@pytest.mark.asyncio
async def test_18_gets_no_receipt_ever(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        assert (await client.submit(to=number("18"), registered_delivery=1))[0] == 0
        assert bench.smsc.exchange.pending == 0
        bench.turn(100_000)
        assert not [event for event in await client.quiet() if isinstance(event, Received)]


@pytest.mark.asyncio
async def test_19_gets_the_receipt_before_the_response(running: Any) -> None:
    async with running() as bench:
        sender, receiver = await bench.bound(Mode.TX), await bench.bound(Mode.RX)
        await bench.chaos(latency_ms=1000)
        sender.send(SubmitSm(destination_addr=number("19"), registered_delivery=1))
        early = receipt(await receiver.deliver())
        assert early.state is DELIVERED
        assert not [event for event in await sender.quiet() if isinstance(event, Answered)]
        bench.turn(1)
        assert (await sender.next(Answered)).message_id.decode() == early.id


@pytest.mark.asyncio
async def test_20_is_delivered_without_a_response(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        client.send(SubmitSm(destination_addr=number("20"), registered_delivery=1))
        assert not [event for event in await client.quiet() if isinstance(event, Answered)]
        assert len(await bench.get("/handset/messages")) == 1
        bench.turn(1)
        assert receipt(await client.deliver()).state is DELIVERED


@pytest.mark.asyncio
async def test_21_throttles_for_five_seconds(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        statuses = []
        for pause_s in (0, 4, 1.5, 10):
            bench.turn(pause_s)
            statuses.append((await client.submit(to=number("21")))[0])
        assert statuses == [Status.RTHROTTLED, Status.RTHROTTLED, 0, 0]
        bench.turn(60)
        assert (await client.submit(to=number("21")))[0] == Status.RTHROTTLED


@pytest.mark.parametrize(("key", "text"), [("22", "STOP"), ("23", "Bien reçu, merci !")])
@pytest.mark.asyncio
async def test_22_and_23_write_back(running: Any, key: str, text: str) -> None:
    async with running() as bench:
        client = await bench.bound()
        await client.submit(to=number(key), source_addr=b"36111", source_addr_ton=0)
        bench.turn(2)
        pdu = await client.deliver()
        assert (pdu.esm_class, pdu.source_addr, pdu.destination_addr) == (0, number(key), b"36111")
        expected = text.encode("utf-16-be") if pdu.data_coding == 8 else text.encode()
        assert pdu.short_message == expected


@pytest.mark.asyncio
async def test_22_answers_a_long_message_once(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        for part in (1, 2):
            text = bytes([5, 0, 3, 9, 2, part]) + b"x"
            await client.submit(text, to=number("22"), esm_class=0x40)
        bench.turn(2)
        await client.deliver()
        assert not [event for event in await client.quiet() if isinstance(event, Received)]


@pytest.mark.asyncio
async def test_26_breaks_the_connection_once(running: Any) -> None:
    async with running() as bench:
        client = await bench.bound()
        client.send(SubmitSm(destination_addr=number("26")))
        assert isinstance(await client.next(Closed), Closed)
        assert await bench.get("/handset/messages") == []
        again = await bench.bound()
        assert (await again.submit(to=number("26")))[0] == 0
