"""Kannel delivers through our SMSC: its customer gets every receipt and every answer of a phone back."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from peers import certificates
from peers.handset import QUICK, Handset
from peers.kannel import Fields, Kannel, free_ports

from chappe.handset.smsc import tls_context

pytestmark = [pytest.mark.needs("kannel"), pytest.mark.asyncio]

# Statuses of Kannel's reports (dlr-url, %d).
DELIVERED, UNDELIVERED, AT_SMSC, REFUSED = "1", "2", "8", "16"


async def finals(kannel: Kannel, count: int) -> list[Fields]:
    found: list[Fields] = await kannel.told(lambda: len(rows := kannel.finals()) >= count and rows)
    return found


def bound_as(handset: Handset) -> Counter[str]:
    return Counter(link.session.mode.value for link in handset.smsc.links.values() if link.session.mode)


@pytest.mark.parametrize(
    ("settings", "modes"),
    [
        ({}, {"trx": 1}),
        ({"transceiver_mode": "false"}, {"tx": 1, "rx": 1}),
        ({"interface_version": "33"}, {"trx": 1}),
        ({"interface_version": "50"}, {"trx": 1}),
    ],
    ids=["TRX", "TX and RX", "3.3", "5.0"],
)
async def test_binds_delivers_and_unbinds(settings: dict[str, str], modes: dict[str, int], tmp_path: Path) -> None:
    # Of a pair each bind has its thread in Kannel: a receipt must not come before the other has read the response.
    async with (
        Handset(replace(QUICK, receipt_delay_ms=200)) as handset,
        Kannel(handset.port, tmp_path, **settings) as kannel,
    ):
        await kannel.bound(len(modes))
        await kannel.send("Bonjour")
        (report,) = await finals(kannel, 1)
        (message,) = await handset.acknowledged()
        assert (report["status"], report["to"]) == (DELIVERED, "33639980001")
        assert (message["to"], message["from"], message["text"]) == ("+33639980001", "CHAPPE", "Bonjour")
        assert report["id"] == message["details"][0]["message_id"]
        assert bound_as(handset) == modes
        await kannel.stop()
        assert handset.smsc.links == {}


async def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    # Kannel starts before the SMSC: one that is refused while it starts may crash on an assertion of its own.
    async with (
        Kannel(port, tmp_path) as kannel,
        Handset(replace(QUICK, system_id="kannel", password="other"), port=port) as handset,
    ):
        await kannel.until_status("(dead")  # it gives up for good
        assert "Invalid Password" in kannel.log()
        assert bound_as(handset) == {}


async def test_both_sides_ask_whether_the_link_lives(tmp_path: Path) -> None:
    async with (
        Handset(replace(QUICK, enquire_link_s=0.2)) as handset,
        Kannel(handset.port, tmp_path, enquire_link_interval="1") as kannel,
    ):
        await kannel.bound()
        for name in ("enquire_link", "enquire_link_resp"):
            await kannel.logged(f"type_name: {name}\n", 4)  # sent and received, twice
        await kannel.send("Bonjour")
        await finals(kannel, 1)


TEXTS = [
    ("Bonjour @£$¥èéùìòÇ ÄÖÑÜ§ [10€] ~{}|\\^", {}, "gsm7", 1),
    ("Ça coûte 10 € à l’œuvre", {"coding": "2"}, "ucs2", 1),
    ("Ceci est un message long. " * 10, {}, "gsm7", 2),
    ("Prix : 10 €. " * 100, {}, "gsm7", 10),
    ("À l’œuvre. " * 10, {"coding": "2"}, "ucs2", 2),
    ("À l’œuvre. " * 58, {"coding": "2"}, "ucs2", 10),
    ("Bravo 😀👩‍👩‍👧‍👦!", {"coding": "2"}, "ucs2", 1),
    ("Flash", {"mclass": "0"}, "gsm7", 1),
]


async def test_texts_are_shown_as_they_were_written(tmp_path: Path) -> None:
    async with Handset() as handset, Kannel(handset.port, tmp_path) as kannel:
        await kannel.bound()
        for text, fields, encoding, parts in TEXTS:
            await kannel.send(text, **fields, key=str(parts))
            (message,) = await handset.acknowledged()
            assert (message["text"], message["encoding"], message["parts"]) == (text, encoding, parts)
            assert message["flash"] is ("mclass" in fields)
            asked = [part["registered_delivery"] & 3 for part in message["details"]]
            assert asked == [1] + [0] * (parts - 1)
            await handset.http("DELETE", "/handset/messages")
        # Of a long message Kannel wants the receipt of the first part only.
        assert [report["status"] for report in await finals(kannel, len(TEXTS))] == [DELIVERED] * len(TEXTS)


async def test_octets_are_shown_as_octets(tmp_path: Path) -> None:
    async with Handset() as handset, Kannel(handset.port, tmp_path) as kannel:
        await kannel.bound()
        await kannel.send(b"\x00\xff\x80\x01", coding="1", charset="ISO-8859-1")
        await finals(kannel, 1)
        (message,) = await handset.messages()
        assert (message["encoding"], message["text"].replace(" ", "").lower()) == ("binary", "00ff8001")


@pytest.mark.parametrize(
    ("response", "receipt", "settings"),
    [
        ("decimal", "decimal", {}),
        ("uuid", "uuid", {}),
        ("decimal", "decimal", {"msg_id_type": "0x00"}),
        ("padded", "decimal", {"msg_id_type": "0x00"}),
        ("hex", "decimal", {"msg_id_type": "0x01"}),
        ("decimal", "hex", {"msg_id_type": "0x02"}),
        ("hex", "upper", {"msg_id_type": "0x03"}),
        ("hex_padded", "hex", {"msg_id_type": "0x03"}),
    ],
)
async def test_ids_of_each_type_are_matched(
    response: str, receipt: str, settings: dict[str, str], tmp_path: Path
) -> None:
    async with Handset() as handset, Kannel(handset.port, tmp_path, **settings) as kannel:
        await handset.chaos(response_id_format=response, receipt_id_format=receipt)
        await kannel.bound()
        await kannel.send("Bonjour")
        (report,) = await finals(kannel, 1)
        assert report["status"] == DELIVERED


async def test_receipts_of_every_shape_and_outcome_reach_the_customer(tmp_path: Path) -> None:
    statuses = {"delivered": DELIVERED, "undelivered": UNDELIVERED, "expired": UNDELIVERED, "rejected": UNDELIVERED}
    async with Handset() as handset, Kannel(handset.port, tmp_path) as kannel:
        await kannel.bound()
        for shape in ("text+tlv", "text", "tlv", "payload"):
            for outcome, status in statuses.items():
                await handset.chaos(receipt_shape=shape, receipt_outcome=outcome)
                count = len(kannel.finals())
                await kannel.send("Bonjour", key=f"{shape} {outcome}")
                last = (await finals(kannel, count + 1))[-1]
                # 34 is undelivered and expired, which Kannel tells apart by the TLV only.
                told = UNDELIVERED if last["status"] == "34" and outcome == "expired" else last["status"]
                assert (last["key"], told) == (f"{shape} {outcome}", status)


async def test_a_refused_message_is_reported_as_refused(tmp_path: Path) -> None:
    async with Handset() as handset, Kannel(handset.port, tmp_path) as kannel:
        await handset.chaos(error_rate=1.0, error_status="RINVDSTADR")
        await kannel.bound()
        await kannel.send("Bonjour")
        (report,) = await kannel.told(lambda: kannel.reports)
        assert report["status"] == REFUSED


async def test_a_throttled_kannel_tries_again(tmp_path: Path) -> None:
    async with Handset() as handset, Kannel(handset.port, tmp_path) as kannel:
        await handset.chaos(throttle_for_s=0.2)
        await kannel.bound()
        await kannel.send("Bonjour")
        (report,) = await finals(kannel, 1)
        assert report["status"] == DELIVERED
        assert len(await handset.messages()) == 1


async def test_a_window_of_fifty_brings_every_receipt_back(tmp_path: Path) -> None:
    async with (
        Handset() as handset,
        Kannel(handset.port, tmp_path, max_pending_submits="50") as kannel,
    ):
        await handset.chaos(latency_ms=20, latency_jitter_ms=30)
        await kannel.bound()
        await asyncio.gather(*(kannel.send(f"message {number}", key=str(number)) for number in range(100)))
        reports = await finals(kannel, 100)
        assert Counter(report["key"] for report in reports) == Counter(map(str, range(100)))
        assert {report["status"] for report in reports} == {DELIVERED}
        assert len(await handset.acknowledged(100)) == 100


async def test_a_phone_answers_in_one_part_and_in_several(tmp_path: Path) -> None:
    long = "Une très longue réponse. " * 20
    async with Handset() as handset, Kannel(handset.port, tmp_path) as kannel:
        await kannel.bound()
        await handset.chaos(reply_parts="shuffled", seed=1)
        await handset.reply("Oui, d'accord")
        await handset.reply(long)
        await handset.reply("Où est l’œuvre ?")
        await kannel.told(lambda: len(kannel.replies) == 3)
        texts = {(reply["from"].lstrip("+"), reply["to"], _text(reply)) for reply in kannel.replies}
        assert texts == {
            ("33639980001", "CHAPPE", text) for text in ("Oui, d'accord", long.rstrip(), "Où est l’œuvre ?")
        }


def _text(reply: Fields) -> str:
    """%b is octets: UTF-8 for GSM-7 texts, UTF-16BE for the others."""
    octets = reply["text"].encode("latin-1")
    return octets.decode("utf-16-be" if reply["coding"] == "2" else "utf-8").rstrip()


async def test_kannel_comes_back_when_the_smsc_does(tmp_path: Path) -> None:
    async with Handset() as handset, Kannel(handset.port, tmp_path) as kannel:
        await kannel.bound()
        await kannel.send("before", key="before")
        await finals(kannel, 1)
        await handset.smsc.stop()  # unbinds
        await kannel.until_status("connecting")
        await kannel.send("meanwhile", key="meanwhile")
        async with Handset(port=handset.port) as second:
            await kannel.bound()
            await kannel.send("after", key="after")
            reports = await finals(kannel, 3)
            assert {report["key"] for report in reports} == {"before", "meanwhile", "after"}
            assert {message["text"] for message in await second.acknowledged(2)} == {"meanwhile", "after"}


async def test_a_cut_with_a_full_window_loses_nothing(tmp_path: Path) -> None:
    async with (
        Handset() as handset,
        Kannel(handset.port, tmp_path, max_pending_submits="10") as kannel,
    ):
        await kannel.bound()
        await handset.chaos(drop_response_rate=1.0)
        await asyncio.gather(*(kannel.send(f"message {number}", key=str(number)) for number in range(20)))
        await handset.shown(10)
        await handset.chaos(drop_response_rate=0.0)
        for link in handset.smsc.links.values():
            link.wire.cut()
        await kannel.told(lambda: len({report["key"] for report in kannel.finals()}) == 20)
        texts = Counter(message["text"] for message in await handset.messages())
        # What was in doubt Kannel sends again: ten messages are on the phone twice.
        assert sorted(texts.values()) == [1] * 10 + [2] * 10


@pytest.mark.needs("openssl")
async def test_everything_works_over_tls(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    async with (
        Handset(tls=tls_context(made.certificate, made.key)) as handset,
        Kannel(handset.port, tmp_path, use_ssl="true") as kannel,
    ):
        await kannel.bound()
        await kannel.send("Bonjour")
        (report,) = await finals(kannel, 1)
        assert report["status"] == DELIVERED
        await kannel.stop()
        assert handset.smsc.links == {}
