"""The ESME of the npm package smpp against our SMSC."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from peers import certificates
from peers.handset import QUICK, Handset
from peers.npm import Json, NpmError, NpmPeer, octets

from chappe.handset.smsc import tls_context
from chappe.smpp.commands import Status

pytestmark = [pytest.mark.needs("npm smpp"), pytest.mark.asyncio]

NUMBER = "33639980001"
SUBMIT = {
    "source_addr_ton": 5,
    "source_addr": "CHAPPE",
    "dest_addr_ton": 1,
    "dest_addr_npi": 1,
    "destination_addr": NUMBER,
    "registered_delivery": 1,
}


@pytest_asyncio.fixture
async def esme() -> AsyncIterator[NpmPeer]:
    async with NpmPeer() as peer:
        yield peer


async def bound(esme: NpmPeer, port: int, mode: str = "transceiver", **fields: Any) -> int:
    """A session of the ESME, bound; gives its number."""
    session: int = (await esme.do("connect", port=port))["session"]
    answer = await bind(esme, session, mode, **fields)
    assert (answer["command"], answer["command_status"]) == (f"bind_{mode}_resp", 0)
    return session


async def bind(esme: NpmPeer, session: int, mode: str = "transceiver", **fields: Any) -> Json:
    return await esme.request(
        session, f"bind_{mode}", **{"system_id": "npm", "password": "secret", "interface_version": 0x34, **fields}
    )


async def submit(esme: NpmPeer, session: int, **fields: Any) -> str:
    """Submits a message; gives its id."""
    answer = await esme.request(session, "submit_sm", **{**SUBMIT, **fields})
    assert (answer["command"], answer["command_status"]) == ("submit_sm_resp", 0)
    id: str = answer["message_id"]
    assert id
    return id


@pytest.mark.parametrize("mode", ["transmitter", "receiver", "transceiver"])
@pytest.mark.parametrize("version", [0x33, 0x34, 0x50])
async def test_binds_in_every_mode_and_version(esme: NpmPeer, mode: str, version: int) -> None:
    async with Handset() as handset:
        session = (await esme.do("connect", port=handset.port))["session"]
        answer = await bind(esme, session, mode, interface_version=version)
        assert (answer["command_status"], answer["system_id"]) == (0, "handset")
        assert answer.get("sc_interface_version") == (None if version < 0x34 else 0x50)
        answer = await esme.request(session, "submit_sm", **SUBMIT, short_message="a")
        assert answer["command_status"] == (Status.RINVBNDSTS if mode == "receiver" else 0)
        assert (await bind(esme, session))["command_status"] == Status.RALYBND
        assert (await esme.request(session, "unbind"))["command_status"] == 0


@pytest.mark.parametrize(("system_id", "password"), [("npm", "wrong"), ("nobody", "secret"), ("", "")])
async def test_wrong_credentials_all_get_the_same_answer(esme: NpmPeer, system_id: str, password: str) -> None:
    async with Handset(replace(QUICK, system_id="npm", password="secret")) as handset:
        session = (await esme.do("connect", port=handset.port))["session"]
        answer = await bind(esme, session, system_id=system_id, password=password)
        assert answer["command_status"] == Status.RINVPASWD
        assert (await esme.request(session, "submit_sm", **SUBMIT))["command_status"] == Status.RINVBNDSTS
        assert (await bind(esme, session))["command_status"] == 0


async def test_both_sides_ask_whether_the_link_lives(esme: NpmPeer) -> None:
    async with Handset(replace(QUICK, enquire_link_s=0.05)) as handset:
        session = await bound(esme, handset.port)
        await esme.received("enquire_link", 3)
        assert (await esme.request(session, "enquire_link"))["command_status"] == 0


async def test_a_session_that_does_not_answer_is_closed(esme: NpmPeer) -> None:
    await esme.do("behave", behaviour={"mute": ["enquire_link"]})
    async with Handset(replace(QUICK, enquire_link_s=0.05)) as handset:
        session = await bound(esme, handset.port)
        await esme.until(lambda: esme.happened("close", session))


TEXTS = [
    pytest.param({"short_message": "Bonjour @£$¥èéùìòÇ ÄÖÑÜ§ [10€] ~{}|", "data_coding": 0}, "gsm7", id="GSM-7"),
    pytest.param({"short_message": "What npm smpp chooses by itself is 1"}, "ascii", id="ASCII"),
    pytest.param({"short_message": "ê î ô û ç Ê", "data_coding": 3}, "latin1", id="Latin-1"),
    pytest.param({"short_message": "Ça coûte 10 € à l’œuvre", "data_coding": 8}, "ucs2", id="UCS-2"),
    pytest.param({"short_message": "Bravo 😀👩‍👩‍👧‍👦!"}, "ucs2", id="emoji"),
    pytest.param(
        {"short_message": "", "message_payload": "Dans message_payload", "data_coding": 0}, "gsm7", id="payload"
    ),
]


@pytest.mark.parametrize(("fields", "encoding"), TEXTS)
async def test_a_text_is_shown_as_it_was_written(esme: NpmPeer, fields: Json, encoding: str) -> None:
    async with Handset() as handset:
        session = await bound(esme, handset.port)
        id = await submit(esme, session, **fields)
        (message,) = await handset.shown()
        assert message["text"] == (fields.get("message_payload") or fields["short_message"])
        assert (message["to"], message["from"], message["parts"]) == (f"+{NUMBER}", "CHAPPE", 1)
        assert message["encoding"] == encoding
        assert (await handset.details(message))["details"][0]["message_id"] == id


async def test_octets_are_shown_as_octets(esme: NpmPeer) -> None:
    async with Handset() as handset:
        session = await bound(esme, handset.port)
        await submit(esme, session, short_message={"hex": "00ff8001"}, data_coding=4)
        (message,) = await handset.shown()
        assert message["encoding"] == "binary"
        assert message["text"].replace(" ", "").lower() == "00ff8001"


@pytest.mark.parametrize("parts", [2, 10])
@pytest.mark.parametrize("method", ["udh8", "udh16", "sar"])
@pytest.mark.parametrize("data_coding", [0, 8])
async def test_a_long_text_is_shown_whole_in_whatever_order_it_comes(
    esme: NpmPeer, method: str, parts: int, data_coding: int
) -> None:
    async with Handset() as handset:
        session = await bound(esme, handset.port)
        pieces = [f"[Partie {number} de l’œuvre] " if data_coding else f"[Part {number}] " for number in range(parts)]
        for number, piece in reversed(list(enumerate(pieces, 1))):
            fields: Json = {"data_coding": data_coding, "short_message": piece}
            if method == "sar":
                fields |= {"sar_msg_ref_num": 258, "sar_total_segments": parts, "sar_segment_seqnum": number}
            else:
                wide = method == "udh16"
                header = bytes([6, 8, 4, 1, 2, parts, number]) if wide else bytes([5, 0, 3, 7, parts, number])
                fields["short_message"] = {"udh": {"hex": header.hex()}, "message": piece}
            await submit(esme, session, **fields)
        (message,) = await handset.acknowledged()
        assert message["text"] == "".join(pieces)
        assert (message["parts"], message["missing"], message["oddities"]) == (parts, [], [])
        await esme.received("deliver_sm", parts)


@pytest.mark.parametrize("shape", ["text+tlv", "text", "tlv", "payload"])
@pytest.mark.parametrize(
    ("outcome", "stat", "state"),
    [("delivered", "DELIVRD", 2), ("undelivered", "UNDELIV", 5), ("expired", "EXPIRED", 3), ("rejected", "REJECTD", 8)],
)
async def test_a_receipt_is_understood_and_acknowledged(
    esme: NpmPeer, shape: str, outcome: str, stat: str, state: int
) -> None:
    async with Handset() as handset:
        await handset.chaos(receipt_shape=shape, receipt_outcome=outcome)
        session = await bound(esme, handset.port)
        id = await submit(esme, session, short_message="Bonjour")
        (receipt,) = await esme.received("deliver_sm")
        assert (receipt["esm_class"], receipt["source_addr"], receipt["destination_addr"]) == (4, NUMBER, "CHAPPE")
        if shape != "text":
            assert (receipt["receipted_message_id"], receipt["message_state"]) == (id, state)
        if shape != "tlv":
            text = receipt["message_payload" if shape == "payload" else "short_message"]["message"]
            assert text.startswith(f"id:{id} sub:001 ")
            assert f" stat:{stat} " in text
            assert text.endswith("text:Bonjour")
        await handset.acknowledged()


@pytest.mark.parametrize(
    ("id_format", "alike"),
    [
        ("decimal", lambda response, receipt: response == receipt and response.isdigit()),
        ("hex", lambda response, receipt: response == receipt and int(response, 16)),
        ("uuid", lambda response, receipt: response == receipt and len(response) == 36),
    ],
)
async def test_ids_of_each_format_come_back(esme: NpmPeer, id_format: str, alike: Any) -> None:
    async with Handset() as handset:
        await handset.chaos(id_format=id_format)
        session = await bound(esme, handset.port)
        id = await submit(esme, session, short_message="Bonjour")
        (receipt,) = await esme.received("deliver_sm")
        assert alike(id, receipt["receipted_message_id"])


async def test_receipts_come_to_the_receiver_of_a_pair(esme: NpmPeer) -> None:
    async with Handset() as handset:
        transmitter = await bound(esme, handset.port, "transmitter")
        receiver = await bound(esme, handset.port, "receiver")
        id = await submit(esme, transmitter, short_message="Bonjour")
        await esme.received("deliver_sm")
        (receipt,) = esme.pdus("deliver_sm", receiver)
        assert receipt["receipted_message_id"] == id


async def test_a_receipt_waits_for_the_next_bind_and_is_repeated_until_it_is_taken(esme: NpmPeer) -> None:
    async with Handset() as handset:
        transmitter = await bound(esme, handset.port, "transmitter")
        id = await submit(esme, transmitter, short_message="Bonjour")
        await esme.request(transmitter, "unbind")
        await esme.do("behave", behaviour={"statuses": {"deliver_sm": [int(Status.RX_T_APPN), int(Status.RSYSERR)]}})
        await bound(esme, handset.port)
        receipts = await esme.received("deliver_sm", 3)
        assert {receipt["receipted_message_id"] for receipt in receipts} == {id}
        await handset.acknowledged()
        assert [row["status"] for row in esme.happened("answered") if row["command"] == "deliver_sm"] == [
            Status.RX_T_APPN,
            Status.RSYSERR,
            0,
        ]


async def test_a_late_response_still_comes_before_its_receipt(esme: NpmPeer) -> None:
    async with Handset() as handset:
        await handset.chaos(latency_ms=20, latency_jitter_ms=20)
        session = await bound(esme, handset.port)
        ids = await asyncio.gather(*(submit(esme, session, short_message="Bonjour") for _ in range(20)))
        await esme.received("deliver_sm", 20)
        answered: set[str] = set()
        for pdu in (row["pdu"] for row in esme.happened("pdu", session)):
            if pdu["command"] == "submit_sm_resp":
                answered.add(pdu["message_id"])
            elif pdu["command"] == "deliver_sm":
                assert pdu["receipted_message_id"] in answered
        assert answered == set(ids)


async def test_no_receipt_comes_unasked(esme: NpmPeer) -> None:
    async with Handset() as handset:
        session = await bound(esme, handset.port)
        await submit(esme, session, short_message="no", registered_delivery=0)
        await submit(esme, session, short_message="failure only", registered_delivery=2)
        id = await submit(esme, session, short_message="yes")
        (receipt,) = await esme.received("deliver_sm")
        await esme.request(session, "enquire_link")
        assert len(esme.pdus("deliver_sm")) == 1
        assert receipt["receipted_message_id"] == id


@pytest.mark.parametrize(("text", "data_coding"), [("Oui, d'accord", 0), ("Où est l’œuvre ? 😀", 8)])
async def test_a_phone_answers(esme: NpmPeer, text: str, data_coding: int) -> None:
    async with Handset() as handset:
        await bound(esme, handset.port)
        await handset.reply(text)
        (message,) = await esme.received("deliver_sm")
        assert (message["esm_class"], message["data_coding"]) == (0, data_coding)
        assert (message["source_addr"], message["destination_addr"]) == (NUMBER, "CHAPPE")
        assert message["short_message"]["message"] == text


@pytest.mark.parametrize("order", ["ordered", "shuffled"])
async def test_a_long_answer_of_a_phone_comes_in_parts(esme: NpmPeer, order: str) -> None:
    text = "Une très longue réponse. " * 20
    async with Handset() as handset:
        await handset.chaos(reply_parts=order, seed=3)
        await bound(esme, handset.port)
        await handset.reply(text)
        pdus = await esme.received("deliver_sm", 4)
        headers = [octets(message["short_message"]["udh"][0]) for message in pdus]
        assert {message["esm_class"] for message in pdus} == {0x40}
        assert {(header[:2], header[3]) for header in headers} == {(b"\x00\x03", 4)}
        parts = sorted(zip(headers, pdus, strict=True), key=lambda row: row[0][4])
        assert "".join(message["short_message"]["message"] for _, message in parts) == text


async def test_a_window_of_fifty_is_kept_full(esme: NpmPeer) -> None:
    async with Handset() as handset:
        session = await bound(esme, handset.port)
        done = await esme.do(
            "flood",
            session=session,
            command="submit_sm",
            fields={**SUBMIT, "short_message": "Bonjour"},
            count=1000,
            window=50,
        )
        assert (len(set(done["ids"])), done["errors"], done["most"]) == (1000, [], 50)
        receipts = await esme.received("deliver_sm", 1000)
        assert {receipt["receipted_message_id"] for receipt in receipts} == set(done["ids"])
        assert len(await handset.acknowledged(1000)) == 1000


@pytest.mark.parametrize(
    ("switches", "statuses"),
    [
        ({"throttle_rate": 1.0}, {Status.RTHROTTLED}),
        ({"queue_full": True}, {Status.RMSGQFUL}),
        ({"error_rate": 1.0, "error_status": "0x401"}, {0x401}),
    ],
)
async def test_refusals_carry_their_status(esme: NpmPeer, switches: Json, statuses: set[int]) -> None:
    async with Handset() as handset:
        await handset.chaos(**switches)
        session = await bound(esme, handset.port)
        fields = {**SUBMIT, "short_message": "Bonjour"}
        done = await esme.do("flood", session=session, command="submit_sm", fields=fields, count=20, window=10)
        assert (done["ids"], set(done["errors"])) == ([], statuses)
        assert await handset.messages() == []


async def test_several_destinations_and_data_sm(esme: NpmPeer) -> None:
    async with Handset() as handset:
        session = await bound(esme, handset.port)
        address = {"dest_addr_ton": 1, "dest_addr_npi": 1}
        answer = await esme.request(
            session,
            "submit_multi",
            source_addr="CHAPPE",
            source_addr_ton=5,
            dest_address=[
                {**address, "destination_addr": NUMBER},
                {**address, "destination_addr": "33639980002"},
                {**address, "destination_addr": "nobody"},
            ],
            short_message="À plusieurs",
        )
        assert answer["command_status"] == 0
        (refused,) = answer["unsuccess_sme"]
        assert (refused["destination_addr"], refused["error_status_code"]) == ("nobody", Status.RINVDSTADR)
        fields = {key: value for key, value in SUBMIT.items() if key != "short_message"}
        answer = await esme.request(session, "data_sm", **fields, message_payload="Par data_sm", data_coding=0)
        assert (answer["command"], answer["command_status"]) == ("data_sm_resp", 0)
        texts = [(message["to"], message["text"]) for message in await handset.shown(3)]
        assert texts == [
            (f"+{NUMBER}", "À plusieurs"),
            ("+33639980002", "À plusieurs"),
            (f"+{NUMBER}", "Par data_sm"),
        ]


async def test_query_cancel_and_replace(esme: NpmPeer) -> None:
    async with Handset(replace(QUICK, receipt_delay_ms=600_000)) as handset:
        session = await bound(esme, handset.port)
        id = await submit(esme, session, short_message="Bonjour")
        source = {"source_addr_ton": 5, "source_addr": "CHAPPE"}
        answer = await esme.request(session, "query_sm", message_id=id, **source)
        assert (answer["command_status"], answer["message_id"], answer["message_state"]) == (0, id, 1)
        destination = {"dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": NUMBER}
        answer = await esme.request(session, "cancel_sm", message_id=id, **source, **destination)
        assert answer["command_status"] == 0
        answer = await esme.request(session, "query_sm", message_id=id, **source)
        assert answer["message_state"] == 4
        answer = await esme.request(session, "cancel_sm", message_id=id, **source, **destination)
        assert answer["command_status"] == Status.RCANCELFAIL
        answer = await esme.request(session, "replace_sm", message_id=id, **source, short_message="b")
        assert answer["command_status"] == Status.RREPLACEFAIL
        answer = await esme.request(session, "query_sm", message_id="unknown", **source)
        assert answer["command_status"] in (Status.RINVMSGID, Status.RQUERYFAIL)


async def test_our_unbind_is_answered(esme: NpmPeer) -> None:
    async with Handset() as handset:
        session = await bound(esme, handset.port)
        await handset.smsc.stop()
        (unbind,) = await esme.received("unbind")
        assert unbind["command_status"] == 0
        await esme.until(lambda: esme.happened("close", session))


async def test_a_client_that_is_cut_with_a_full_window_gets_its_receipts_later(esme: NpmPeer) -> None:
    await esme.do("behave", behaviour={"mute": ["deliver_sm"]})
    async with Handset(replace(QUICK, delivery_window=50)) as handset:
        session = await bound(esme, handset.port)
        fields = {**SUBMIT, "short_message": "Bonjour"}
        done = await esme.do("flood", session=session, command="submit_sm", fields=fields, count=80, window=50)
        await esme.received("deliver_sm", 50)
        await esme.request(session, "enquire_link")
        assert len(esme.pdus("deliver_sm", session)) == 50
        await esme.do("behave", behaviour={"mute": []})
        await esme.do("destroy", session=session)
        second = await bound(esme, handset.port)
        again = await esme.until(lambda: len(rows := esme.pdus("deliver_sm", second)) == 80 and rows)
        assert {row["receipted_message_id"] for row in again} == set(done["ids"])
        assert len(await handset.acknowledged(80)) == 80


async def test_several_sessions_share_one_user(esme: NpmPeer) -> None:
    async with Handset() as handset:
        sessions = [await bound(esme, handset.port) for _ in range(3)]
        await asyncio.gather(
            *(
                esme.do(
                    "flood",
                    session=session,
                    command="submit_sm",
                    fields={**SUBMIT, "short_message": "Bonjour"},
                    count=30,
                    window=10,
                )
                for session in sessions
            )
        )
        await esme.received("deliver_sm", 90)
        assert all(esme.pdus("deliver_sm", session) for session in sessions)
        assert [(row["mode"], row["submitted"]) for row in await handset.sessions()] == [("trx", 30)] * 3


@pytest.mark.needs("openssl")
async def test_everything_works_over_tls(esme: NpmPeer, tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    async with Handset(tls=tls_context(made.certificate, made.key)) as handset:
        session = (await esme.do("connect", port=handset.port, ca=str(made.authority)))["session"]
        assert (await bind(esme, session))["command_status"] == 0
        fields = {**SUBMIT, "short_message": "Bonjour"}
        done = await esme.do("flood", session=session, command="submit_sm", fields=fields, count=200, window=50)
        assert (len(set(done["ids"])), done["errors"]) == (200, [])
        await esme.received("deliver_sm", 200)
        assert (await esme.request(session, "unbind"))["command_status"] == 0
        await esme.until(lambda: esme.happened("close", session))
        with pytest.raises(NpmError):  # a client without our authority does not trust us
            await esme.do("connect", port=handset.port, ca=str(made.certificate))
