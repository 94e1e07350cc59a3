"""Subscribers who write what no phone writes: noise under every data coding, headers that lie, parts without end.

Whatever comes is stored before it is understood, sorted or put aside, and holds up nobody's STOP.
"""

from __future__ import annotations

import random
from collections import Counter
from time import process_time

import pytest
from shop import Shop, later, opened

from chappe.actions import inbound as receive
from chappe.carriers import MessageIn, ReceiptIn
from chappe.carriers.smpp import deliver_parser
from chappe.embedded.server import ConnectionParameters
from chappe.smpp.pdu import DeliverSm
from chappe.smpp.profile import profile
from chappe.smpp.tlv import Tag
from chappe.store import carriers, conversations, inbound

pytestmark = pytest.mark.asyncio

PHONE = "+33600000001"
TEXTS = (
    "STOP",
    "stop\x00", "\x1b[2J", "<script>alert(1)</script>", "id:1 sub:001 dlvrd:001 submit date:", "é" * 160, "\ud83d",
    "\u202eSTOP", "'; drop table reply; --", "{0.__class__}%s%n", "\x00" * 70,
)  # fmt: skip


def noise(chance: random.Random, sequence: int) -> DeliverSm:
    """A deliver_sm that the codec can write, of fields as no phone fills them."""
    body = chance.choice(
        [
            chance.randbytes(chance.randrange(0, 255)),
            chance.choice(TEXTS).encode("utf-16-be", "surrogatepass")[:254],
            chance.choice(TEXTS).encode("utf-8", "surrogatepass")[:254],
            bytes([chance.randrange(8)]) + chance.randbytes(6),
            b"\x05\x00\x03" + chance.randbytes(3) + b"part",
            b"\x06\x08\x04" + chance.randbytes(4) + b"part",
        ]
    )
    tlvs: tuple[tuple[int, bytes], ...] = ()
    if chance.random() < 0.3:
        lengths = {Tag.MESSAGE_PAYLOAD: 5, Tag.SAR_MSG_REF_NUM: 2, Tag.SAR_TOTAL_SEGMENTS: 1, Tag.SAR_SEGMENT_SEQNUM: 1}
        tlvs = tuple((tag, chance.randbytes(length)) for tag, length in lengths.items() if chance.random() < 0.8)
    return DeliverSm(
        sequence=sequence,
        source_addr=chance.choice([PHONE[1:].encode(), b"", b"\xff\xfe", b"+33600000001", b"%s", b"'\"", b"0" * 20]),
        destination_addr=chance.choice([b"36111", b"", b"\x80", b"33700000001"]),
        source_addr_ton=chance.randrange(8),
        esm_class=chance.choice([0, 0x40, 0x04, 0x08, 0x20, 0xFF, chance.randrange(256)]),
        data_coding=chance.choice([0, 1, 3, 4, 8, 0xF5, chance.randrange(256)]),
        short_message=body,
        tlvs=tlvs,
    )


async def arrive(shop: Shop, carrier_id: int, pdus: list[DeliverSm], seconds: float = 0) -> Counter[str]:
    """Stores them as the pump does: messages before receipts are matched; what kinds they were."""
    reader = deliver_parser.Reader(profile("generic"))
    read = [reader.read(pdu.sequence, pdu, pdu.encode()) for pdu in pdus]
    messages = [one for one in read if isinstance(one, MessageIn)]
    assert all(isinstance(one, ReceiptIn) for one in read if one not in messages)
    async with shop.database.transaction() as tx:
        await inbound.store_inbound(tx, carrier_id, messages, [later(seconds=seconds)] * len(messages))
    return Counter(type(one).__name__ for one in read)


async def sort(shop: Shop, seconds: float = 0) -> None:
    known = {carrier.id: carrier for carrier in await carriers.all_carriers(shop.database)}
    while await inbound.anything(shop.database, later(seconds=seconds) - receive.PARTS_WAIT):
        await receive.sort(shop.database, later(seconds=seconds), known)


async def states(shop: Shop) -> Counter[int]:
    rows = await shop.database.fetch("select state, count(*) as count from inbound group by 1")
    return Counter({row["state"]: row["count"] for row in rows})


async def spoken(shop: Shop) -> int:
    """A carrier, and a message to PHONE that a reply answers."""
    carrier_id = await shop.carrier()
    account = await shop.account(transactional=True)
    await shop.messages(account, numbers=[PHONE], sender="36111")
    await conversations.follow(shop.database, later(hours=1))
    return carrier_id


def stop(sequence: int) -> DeliverSm:
    return DeliverSm(
        sequence=sequence, source_addr=PHONE[1:].encode(), destination_addr=b"36111", short_message=b"STOP"
    )


async def test_noise_of_every_kind_is_sorted_and_a_stop_among_it_is_obeyed(database: ConnectionParameters) -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    async with opened(database) as shop:
        carrier_id = await spoken(shop)
        pdus = [noise(chance, number) for number in range(1, 301)]
        kinds = await arrive(shop, carrier_id, [*pdus[:200], stop(9_000), *pdus[200:]], 3600)
        assert kinds["MessageIn"] > 100, (seed, kinds)
        await sort(shop, 3600)
        assert inbound.NEW not in await states(shop), seed
        await sort(shop, 3600 + 3 * receive.PARTS_WAIT.total_seconds())
        assert set(await states(shop)) <= {inbound.SORTED, inbound.NOBODYS}, seed
        assert await shop.database.value("select count(*) from opt_out where number = $1", PHONE) == 1, seed


async def test_parts_without_end_wait_a_while_and_cost_little(database: ConnectionParameters) -> None:
    """A phone that sends first parts only: each would wait for 254 others."""
    async with opened(database) as shop:
        carrier_id = await spoken(shop)
        pdus = [
            DeliverSm(
                sequence=number,
                source_addr=PHONE[1:].encode(),
                destination_addr=b"36111",
                esm_class=0x40,
                short_message=b"\x06\x08\x04" + number.to_bytes(2, "big") + b"\xff\x02" + b"bomb",
            )
            for number in range(1, 601)
        ]
        await arrive(shop, carrier_id, pdus[:100], 3600)
        began = process_time()
        await sort(shop, 3600)
        few_s = process_time() - began
        await arrive(shop, carrier_id, pdus[100:], 3600)
        await sort(shop, 3600)
        began = process_time()
        await arrive(shop, carrier_id, [stop(9_000)], 3600)
        await sort(shop, 3600)
        assert process_time() - began < max(few_s, 0.5), "a STOP behind the bomb takes no longer than the first of it"
        assert await shop.database.value("select count(*) from opt_out where number = $1", PHONE) == 1
        assert (await states(shop))[inbound.WAITING] == 600
        await sort(shop, 3600 + 3 * receive.PARTS_WAIT.total_seconds())
        assert (await states(shop))[inbound.WAITING] == 0
