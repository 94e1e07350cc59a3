"""PyPI smpplib: its client against our SMSC, and its PDUs as an SMSC against our link."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from peers import certificates
from peers.carrier import Carrier
from peers.handset import QUICK, Handset, Json

from chappe.carriers import TAKEN, LinkState
from chappe.core.lifecycle import State
from chappe.handset.smsc import tls_context
from chappe.smpp.commands import Status

smpplib_client = pytest.importorskip("smpplib.client", reason="smpplib is not installed: run scripts/test-packages")

from peers.smpplib_peer import SmpplibEsme, SmpplibSmsc  # noqa: E402
from smpplib import consts, exceptions, gsm  # noqa: E402

pytestmark = [pytest.mark.needs("smpplib"), pytest.mark.asyncio]

T = TypeVar("T")
NUMBER = "33639980001"
SUBMIT: Json = {
    "source_addr_ton": consts.SMPP_TON_ALNUM,
    "source_addr": "CHAPPE",
    "dest_addr_ton": consts.SMPP_TON_INTL,
    "dest_addr_npi": consts.SMPP_NPI_ISDN,
    "destination_addr": NUMBER,
    "registered_delivery": True,
}


async def with_esme(
    handset: Handset,
    script: Callable[[SmpplibEsme], T],
    mode: str = "transceiver",
    tls: ssl.SSLContext | None = None,
) -> T:
    """Runs a script with a bound client, in a thread of its own, from bind to unbind."""

    def run() -> T:
        esme = SmpplibEsme(handset.port, tls=tls)
        answer = esme.bind(mode)
        assert (answer.command, int(answer.status)) == (f"bind_{mode}_resp", 0)
        try:
            return script(esme)
        finally:
            esme.close()

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("mode", ["transmitter", "receiver", "transceiver"])
async def test_binds_in_every_mode_and_unbinds(mode: str) -> None:
    async with Handset() as handset:
        await with_esme(handset, lambda esme: None, mode)
        assert await handset.sessions() == []


async def test_a_wrong_password_is_refused() -> None:
    async with Handset(replace(QUICK, system_id="smpplib", password="secret")) as handset:

        def script() -> int:
            esme = SmpplibEsme(handset.port, password="wrong")
            try:
                with pytest.raises(exceptions.PDUError) as caught:
                    esme.bind()
            finally:
                esme.client.disconnect()
            return int(caught.value.args[1])

        assert await asyncio.to_thread(script) == Status.RINVPASWD
        await with_esme(handset, lambda esme: None)


async def test_both_sides_ask_whether_the_link_lives() -> None:
    async with Handset(replace(QUICK, enquire_link_s=0.05)) as handset:

        def script(esme: SmpplibEsme) -> None:
            asked = iter(range(3))
            for _ in asked:  # each read answers one enquire_link of ours
                esme.client.read_once()
            esme.client.send_pdu(_make("enquire_link", esme))
            while esme.client.read_pdu().command != "enquire_link_resp":
                continue

        await with_esme(handset, script)


def _make(command: str, esme: SmpplibEsme, **fields: Any) -> Any:
    from smpplib import smpp

    return smpp.make_pdu(command, client=esme.client, **fields)


TEXTS = [
    pytest.param("Bonjour @£$¥èéùìòÇ ÄÖÑÜ [10€] ~{}|", consts.SMPP_ENCODING_DEFAULT, "gsm7", 1, id="GSM-7"),
    pytest.param("ê î ô û ç Ê", consts.SMPP_ENCODING_ISO88591, "latin1", 1, id="Latin-1"),
    pytest.param("Ça coûte 10 € à l’œuvre", consts.SMPP_ENCODING_ISO10646, "ucs2", 1, id="UCS-2"),
    pytest.param("Bravo 😀👩‍👩‍👧‍👦!", consts.SMPP_ENCODING_ISO10646, "ucs2", 1, id="emoji"),
    pytest.param("Bonjour, test. " * 13, consts.SMPP_ENCODING_DEFAULT, "gsm7", 2, id="2 parts of GSM-7"),
    pytest.param("x" * 152 + "€" + "y" * 100, consts.SMPP_ENCODING_DEFAULT, "gsm7", 2, id="a cut escape"),
    pytest.param("Bonjour, test. " * 100, consts.SMPP_ENCODING_DEFAULT, "gsm7", 10, id="10 parts of GSM-7"),
    pytest.param("œuvre " * 15, consts.SMPP_ENCODING_ISO10646, "ucs2", 2, id="2 parts of UCS-2"),
    pytest.param("x" * 66 + "😀" * 20, consts.SMPP_ENCODING_ISO10646, "ucs2", 2, id="a cut emoji"),
    pytest.param("œuvre " * 105, consts.SMPP_ENCODING_ISO10646, "ucs2", 10, id="10 parts of UCS-2"),
]


@pytest.mark.parametrize(("text", "data_coding", "encoding", "parts"), TEXTS)
@pytest.mark.parametrize("method", ["udh", "sar"])
async def test_a_text_is_shown_as_it_was_written(
    text: str, data_coding: int, encoding: str, parts: int, method: str
) -> None:
    # smpplib cuts where it wants, also through escapes and surrogate pairs; put together they are whole again.
    pieces, found, esm_class = gsm.make_parts(text, data_coding, use_udhi=method == "udh")
    assert (len(pieces), found) == (parts, data_coding)
    async with Handset() as handset:

        def script(esme: SmpplibEsme) -> list[bytes]:
            for number, piece in enumerate(pieces, 1):
                fields: Json = {"data_coding": data_coding, "esm_class": esm_class, "short_message": piece}
                if method == "sar" and parts > 1:
                    fields |= {"sar_msg_ref_num": 513, "sar_total_segments": parts, "sar_segment_seqnum": number}
                esme.client.send_message(**SUBMIT, **fields)
            esme.until(lambda: len(esme.sent) == parts and len(esme.received) == parts)
            assert {pdu.receipted_message_id for pdu in esme.received} == {pdu.message_id for pdu in esme.sent}
            return [pdu.message_id for pdu in esme.sent]

        ids = await with_esme(handset, script)
        (message,) = await handset.acknowledged()
        assert message["text"] == text
        assert (message["parts"], message["encoding"], message["missing"]) == (parts, encoding, [])
        assert [part["message_id"].encode() for part in message["details"]] == ids


async def test_octets_are_shown_as_octets() -> None:
    async with Handset() as handset:

        def script(esme: SmpplibEsme) -> None:
            esme.client.send_message(
                **SUBMIT, data_coding=consts.SMPP_ENCODING_BINARY, short_message=b"\x00\xff\x80\x01"
            )
            esme.until(lambda: esme.received)

        await with_esme(handset, script)
        (message,) = await handset.shown()
        assert (message["encoding"], message["text"].replace(" ", "").lower()) == ("binary", "00ff8001")


@pytest.mark.parametrize("shape", ["text+tlv", "text", "tlv", "payload"])
@pytest.mark.parametrize(("outcome", "stat", "state"), [("delivered", b"DELIVRD", 2), ("undelivered", b"UNDELIV", 5)])
async def test_a_receipt_is_understood(shape: str, outcome: str, stat: bytes, state: int) -> None:
    async with Handset() as handset:
        await handset.chaos(receipt_shape=shape, receipt_outcome=outcome)

        def script(esme: SmpplibEsme) -> tuple[Any, Any]:
            esme.client.send_message(**SUBMIT, short_message=b"Bonjour")
            esme.until(lambda: esme.sent and esme.received)
            return esme.sent[0], esme.received[0]

        sent, receipt = await with_esme(handset, script)
        assert (receipt.esm_class, receipt.source_addr, receipt.destination_addr) == (4, NUMBER.encode(), b"CHAPPE")
        if shape != "text":
            assert (receipt.receipted_message_id, receipt.message_state) == (sent.message_id, state)
        if shape != "tlv":
            text = receipt.message_payload if shape == "payload" else receipt.short_message
            assert text.startswith(b"id:" + sent.message_id + b" sub:001 ")
            assert b" stat:" + stat + b" " in text


async def test_a_refused_receipt_comes_again() -> None:
    async with Handset() as handset:

        def script(esme: SmpplibEsme) -> None:
            esme.deliver_status = int(Status.RX_T_APPN)
            esme.client.send_message(**SUBMIT, short_message=b"Bonjour")
            esme.until(lambda: esme.sent and esme.received)
            esme.deliver_status = 0
            esme.until(lambda: len(esme.received) == 2)

        await with_esme(handset, script)
        await handset.acknowledged()


async def test_a_phone_answers_in_one_part_and_in_several() -> None:
    async with Handset() as handset:
        await handset.reply("Oui")
        await handset.reply("Une très longue réponse. " * 20)

        def script(esme: SmpplibEsme) -> list[Any]:
            esme.until(lambda: len(esme.received) == 5)
            return esme.received

        first, *parts = await with_esme(handset, script, "receiver")
        assert (first.short_message, first.esm_class, first.source_addr) == (b"Oui", 0, NUMBER.encode())
        assert [part.esm_class for part in parts] == [0x40] * 4
        assert [part.short_message[4:6] for part in parts] == [bytes([4, number]) for number in range(1, 5)]


async def test_a_throttled_client_is_told() -> None:
    async with Handset() as handset:
        await handset.chaos(throttle_rate=1.0)

        def script(esme: SmpplibEsme) -> list[int]:
            esme.client.send_message(**SUBMIT, short_message=b"Bonjour")
            esme.until(lambda: esme.errors)
            return esme.errors

        assert await with_esme(handset, script) == [Status.RTHROTTLED]


async def test_a_query_is_answered() -> None:
    async with Handset() as handset:

        def script(esme: SmpplibEsme) -> tuple[Any, Any]:
            esme.client.send_message(**SUBMIT, short_message=b"Bonjour")
            esme.until(lambda: esme.sent and esme.received)
            id = esme.sent[0].message_id
            esme.client.query_message(message_id=id.decode(), source_addr_ton=5, source_addr="CHAPPE")
            esme.until(lambda: len(esme.sent) == 2)
            return id, esme.sent[1]

        id, answer = await with_esme(handset, script)
        assert (answer.message_id, int(answer.message_state)) == (id, 2)


async def test_a_window_of_fifty_is_answered() -> None:
    async with Handset() as handset:

        def script(esme: SmpplibEsme) -> None:
            for turn in range(1, 5):
                for number in range(50):
                    esme.client.send_message(**SUBMIT, short_message=b"message %d" % number)
                wanted = 50 * turn
                esme.until(lambda: len(esme.sent) >= wanted)  # noqa: B023 (it is called at once)
            esme.until(lambda: len(esme.received) == 200)
            assert {pdu.receipted_message_id for pdu in esme.received} == {pdu.message_id for pdu in esme.sent}

        await with_esme(handset, script)
        assert len(await handset.acknowledged(200)) == 200


async def test_a_client_that_goes_without_a_word_gets_its_receipts_later() -> None:
    async with Handset(replace(QUICK, receipt_delay_ms=100)) as handset:

        def cut() -> None:
            esme = SmpplibEsme(handset.port)
            esme.bind()
            for _ in range(50):
                esme.client.send_message(**SUBMIT, short_message=b"Bonjour")
            esme.until(lambda: len(esme.sent) == 50)
            esme.client.state = consts.SMPP_CLIENT_STATE_OPEN  # so that it does not complain about a missing unbind
            esme.client.disconnect()

        await asyncio.to_thread(cut)
        await handset.shown(50)
        # Whatever the first session read it has acknowledged; all the others come to the second.
        await handset.alone()
        missing = 50 - len(await handset.acknowledged(0))
        await with_esme(handset, lambda esme: esme.until(lambda: len(esme.received) >= missing))
        assert len(await handset.acknowledged(50)) == 50


@pytest.mark.needs("openssl")
async def test_everything_works_over_tls(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    trusting = ssl.create_default_context(cafile=made.authority)
    trusting.check_hostname = False  # smpplib tells no name
    async with Handset(tls=tls_context(made.certificate, made.key)) as handset:

        def script(esme: SmpplibEsme) -> None:
            esme.client.send_message(**SUBMIT, short_message=b"Bonjour")
            esme.until(lambda: esme.sent and esme.received)

        await with_esme(handset, script, tls=trusting)
        await handset.acknowledged()


# -- smpplib's PDUs as an SMSC


@pytest.mark.parametrize("settings", [{}, {"mode": "tx"}])
@pytest.mark.parametrize("presets", ["generic", "udh16", "sar", "payload-only"])
@pytest.mark.parametrize(
    ("text", "unicode"),
    [("Bonjour à tous", False), ("Bonjour. " * 100, False), ("œuvre 😀 " * 5, True), ("œuvre 😀 " * 60, True)],
    ids=["GSM-7", "long GSM-7", "UCS-2", "long UCS-2"],
)
async def test_what_our_link_writes_is_read_by_smpplib(
    presets: str, settings: dict[str, str], text: str, unicode: bool
) -> None:
    with SmpplibSmsc() as smsc:
        async with Carrier(smsc.port, presets, settings=settings) as carrier:
            await carrier.bound()
            results = await carrier.sent(text, unicode=unicode)
        assert {result.fault for result in results} == {TAKEN}
        assert [result.carrier_ref for result in results] == [f"{n:x}" for n in range(1, len(results) + 1)]
        assert [bind.command for bind in smsc.binds] == ["bind_transmitter" if settings else "bind_transceiver"]
        assert b"".join(_body(submit) for submit in smsc.submits) == _octets(text, unicode)
        for number, submit in enumerate(smsc.submits, 1):
            assert (submit.source_addr, submit.destination_addr) == (b"CHAPPE", NUMBER.encode())
            assert submit.data_coding == (8 if unicode else 0)
            if presets == "sar" and len(smsc.submits) > 1:
                assert (submit.sar_total_segments, submit.sar_segment_seqnum) == (len(smsc.submits), number)


def _body(submit: Any) -> bytes:
    """The text's octets of one submit_sm, as smpplib read it."""
    octets: bytes = submit.short_message or submit.message_payload
    return octets[octets[0] + 1 :] if submit.esm_class & 0x40 else octets


def _octets(text: str, unicode: bool) -> bytes:
    if unicode:
        return text.encode("utf-16-be")
    found: bytes = gsm.gsm_encode(text)
    return found


async def test_a_wrong_password_is_told_by_our_link() -> None:
    with SmpplibSmsc(password="other") as smsc:
        async with Carrier(smsc.port) as carrier:
            await carrier.state(LinkState.REFUSED)


@pytest.mark.parametrize(
    "fields",
    [
        {"short_message": b"id:1f sub:001 dlvrd:001 submit date:2602010830 done date:2602010831 stat:DELIVRD err:000"},
        {"receipted_message_id": "1f", "message_state": 2},
        {"message_payload": b"id:1f stat:DELIVRD"},
    ],
    ids=["text", "TLVs", "payload"],
)
async def test_our_link_reads_the_receipts_that_smpplib_writes(fields: Json) -> None:
    with SmpplibSmsc() as smsc:
        async with Carrier(smsc.port) as carrier:
            await carrier.bound()
            sequence = smsc.send(
                "deliver_sm", esm_class=4, source_addr_ton=1, source_addr=NUMBER, destination_addr="CHAPPE", **fields
            )
            await carrier.until(lambda: carrier.receipts and smsc.answers)
            (receipt,) = carrier.receipts
            assert (receipt.carrier_ref, receipt.state, receipt.source) == ("1f", State.DELIVERED, NUMBER)
            (answer,) = smsc.answers
            assert (answer.command, answer.sequence, int(answer.status)) == ("deliver_sm_resp", sequence, 0)


async def test_both_sides_ask_and_their_unbind_is_answered() -> None:
    with SmpplibSmsc() as smsc:
        async with Carrier(smsc.port, settings={"enquire_link_interval_s": "0.05"}) as carrier:
            await carrier.bound()
            smsc.send("enquire_link")
            await carrier.until(lambda: [answer.command for answer in smsc.answers] == ["enquire_link_resp"])
            smsc.send("unbind")
            await carrier.until(lambda: [answer.command for answer in smsc.answers][1:] == ["unbind_resp"])
            await carrier.until(lambda: len(smsc.binds) == 2)
            await carrier.bound()
