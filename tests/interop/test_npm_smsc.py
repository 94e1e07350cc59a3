"""Our link to a carrier against the SMSC of the npm package smpp."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from peers import certificates
from peers.carrier import Carrier
from peers.npm import Json, NpmPeer, octets

from chappe.carriers import TAKEN, LinkState
from chappe.core import gsm7
from chappe.core.errors import FaultKind
from chappe.core.lifecycle import State
from chappe.smpp import pdu
from chappe.smpp.commands import Status
from chappe.smpp.data_coding import decode

pytestmark = [pytest.mark.needs("npm smpp"), pytest.mark.asyncio]


@pytest_asyncio.fixture
async def smsc() -> AsyncIterator[NpmPeer]:
    async with NpmPeer() as peer:
        yield peer


async def listening(smsc: NpmPeer, **behaviour: Any) -> int:
    await smsc.do("behave", behaviour=behaviour)
    port: int = (await smsc.do("listen"))["port"]
    return port


async def deliver(smsc: NpmPeer, session: int, **fields: Any) -> Json:
    """A deliver_sm of the SMSC; gives our answer as it read it."""
    return await smsc.request(
        session,
        "deliver_sm",
        **{
            "source_addr_ton": 1,
            "source_addr_npi": 1,
            "source_addr": "33639980001",
            "destination_addr": "CHAPPE",
            **fields,
        },
    )


@pytest.mark.parametrize(
    ("presets", "settings", "binds"),
    [
        ("generic", {}, ["bind_transceiver"]),
        ("generic", {"mode": "tx"}, ["bind_transmitter"]),
        ("generic", {"mode": "tx+rx"}, ["bind_receiver", "bind_transmitter"]),
        ("smpp33", {}, ["bind_receiver", "bind_transmitter"]),
        ("generic", {"interface_version": "5.0"}, ["bind_transceiver"]),
    ],
)
async def test_binds_in_every_mode_and_version(
    smsc: NpmPeer, presets: str, settings: dict[str, str], binds: list[str]
) -> None:
    port = await listening(smsc, credentials=["chappe", "secret"])
    async with Carrier(port, presets, settings={**settings, "system_type": "sms"}) as carrier:
        await carrier.bound()
        asked = await smsc.until(
            lambda: (
                len(found := [row["pdu"] for row in smsc.happened("pdu") if row["pdu"]["command"].startswith("bind_")])
                == len(binds)
                and found
            )
        )
        assert sorted(row["command"] for row in asked) == binds
        for row in asked:
            assert (row["system_id"], row["password"], row["system_type"]) == ("chappe", "secret", "sms")
            assert row["interface_version"] == carrier.profile.interface_version
        assert [result.fault for result in await carrier.sent("Bonjour")] == [TAKEN]
    await smsc.received("unbind", len(binds))


@pytest.mark.parametrize(
    ("behaviour", "state", "detail"),
    [
        ({"credentials": ["chappe", "other"]}, LinkState.REFUSED, "credentials"),
        ({"bind_status": Status.RINVSYSID}, LinkState.REFUSED, "credentials"),
        ({"bind_status": Status.RALYBND}, LinkState.DOWN, "older session"),
        ({"bind_status": Status.RBINDFAIL}, LinkState.DOWN, "0xd"),
    ],
)
async def test_a_refused_bind_says_why(smsc: NpmPeer, behaviour: Json, state: LinkState, detail: str) -> None:
    port = await listening(smsc, **behaviour)
    async with Carrier(port, settings={"reconnect_delay_s_min": "60", "reconnect_delay_s_max": "60"}) as carrier:
        await carrier.until(lambda: carrier.link.state is state and detail in carrier.link.detail)
        assert carrier.link.free() == 0
    assert len(smsc.happened("session")) == 1


async def test_a_refused_bind_is_tried_again_and_then_works(smsc: NpmPeer) -> None:
    port = await listening(smsc, credentials=["chappe", "other"])
    async with Carrier(port, settings={"auth_retry_delay_s_min": "0.05", "auth_retry_delay_s_max": "0.05"}) as carrier:
        await smsc.until(lambda: len(smsc.happened("session")) > 1)
        await smsc.do("behave", behaviour={"credentials": ["chappe", "secret"]})
        await carrier.bound()


async def test_both_sides_ask_whether_the_link_lives(smsc: NpmPeer) -> None:
    port = await listening(smsc)
    async with Carrier(port, settings={"enquire_link_interval_s": "0.05"}) as carrier:
        await carrier.bound()
        await smsc.received("enquire_link", 3)
        assert (await smsc.request(1, "enquire_link"))["command_status"] == 0
        assert carrier.link.state is LinkState.BOUND


async def test_a_link_that_does_not_answer_is_given_up(smsc: NpmPeer) -> None:
    port = await listening(smsc, mute=["enquire_link"])
    async with Carrier(port, settings={"enquire_link_interval_s": "0.05"}) as carrier:
        await carrier.bound()
        await smsc.until(lambda: len(smsc.happened("session")) > 1)


TEXTS = [
    pytest.param("generic", "Bonjour @£$¥èéùìòÇ Øø ÅåΔ_ΦΓ ÄÖÑÜ§ [10€] ~{}|\\^", False, 0, id="GSM-7"),
    pytest.param("latin1-default", "Bonjour à ê î ô û ç", False, 0, id="Latin-1"),
    pytest.param("ascii-default", "Hello, world!", False, 0, id="ASCII"),
    pytest.param("generic", "Ça coûte 10 € à l’œuvre", True, 8, id="UCS-2"),
    pytest.param("generic", "Bravo 😀👩‍👩‍👧‍👦!", True, 8, id="emoji"),
    pytest.param("dcs1-text", "Bonjour é", False, 1, id="GSM-7 marked 1"),
]
METHODS = ["generic", "udh16", "sar", "payload-only"]


@pytest.mark.parametrize(("presets", "text", "unicode", "data_coding"), TEXTS)
async def test_a_text_arrives_as_it_was_written(
    smsc: NpmPeer, presets: str, text: str, unicode: bool, data_coding: int
) -> None:
    port = await listening(smsc)
    if presets == "latin1-default":
        await smsc.do("encoding", default="LATIN1")
    async with Carrier(port, presets) as carrier:
        await carrier.bound()
        (result,) = await carrier.sent(text, unicode=unicode)
        assert (result.fault, result.carrier_ref, result.part, result.parts) == (TAKEN, "1", 0, 1)
    (submit,) = smsc.pdus("submit_sm")
    assert submit["data_coding"] == data_coding
    assert submit["short_message"]["message"] == text
    assert (submit["source_addr_ton"], submit["source_addr"]) == (5, "CHAPPE")
    assert (submit["dest_addr_ton"], submit["dest_addr_npi"]) == (1, 1)
    assert (submit["destination_addr"], submit["registered_delivery"]) == ("33639980001", 1)


@pytest.mark.parametrize("presets", METHODS)
@pytest.mark.parametrize(("parts", "unicode"), [(2, False), (10, False), (2, True), (10, True)])
async def test_a_long_text_arrives_whole(smsc: NpmPeer, presets: str, parts: int, unicode: bool) -> None:
    port = await listening(smsc)
    unit = "Où ça ? À l’œuvre 😀. " if unicode else "Bonjour, ceci est [un] test à 10 €. "
    each = (66 if unicode else 152) * (parts - 1) + 10
    text = _of_units(unit * 100, each)
    async with Carrier(port, presets) as carrier:
        await carrier.bound()
        results = await carrier.sent(text, unicode=unicode)
        assert {result.fault for result in results} == {TAKEN}
        assert len({result.carrier_ref for result in results}) == len(results)
    submits = smsc.pdus("submit_sm")
    assert len(submits) == len(results) == (1 if presets == "payload-only" else parts)
    assert joined(submits, presets, unicode) == text


def _of_units(text: str, units: int) -> str:
    """The beginning of a text, at most so many UTF-16 units long."""
    sizes = itertools.accumulate(2 if ord(character) > 0xFFFF else 1 for character in text)
    return text[: sum(1 for size in sizes if size <= units)]


def joined(submits: list[Json], presets: str, unicode: bool) -> str:
    """The text as the npm package read it, put together by what it says of the parts."""
    if presets == "payload-only":
        (submit,) = submits
        whole: str = submit["message_payload"]["message"]
        return whole
    if presets == "sar":
        assert {submit["sar_total_segments"] for submit in submits} == {len(submits)}
        assert len({submit["sar_msg_ref_num"] for submit in submits}) == 1
        ordered = sorted(submits, key=lambda submit: int(submit["sar_segment_seqnum"]))
        return "".join(submit["short_message"]["message"] for submit in ordered)
    headers = [octets(submit["short_message"]["udh"][0]) for submit in submits]
    assert {header[:2] for header in headers} == {b"\x00\x03" if presets == "generic" else b"\x08\x04"}
    assert {header[-2] for header in headers} == {len(submits)}
    assert len({header[2:-2] for header in headers}) == 1
    ordered = [submit for _, submit in sorted(zip(headers, submits, strict=True), key=lambda row: row[0][-1])]
    return "".join(submit["short_message"]["message"] for submit in ordered)


async def test_a_window_of_fifty_is_filled_and_never_passed(smsc: NpmPeer) -> None:
    port = await listening(smsc, mute=["submit_sm"])
    async with Carrier(port, window=50, settings={"response_timeout_s": "30"}) as carrier:
        await carrier.bound()
        assert carrier.link.free() == 50
        for number in range(120):
            carrier.send(f"message {number}")
        submits = await smsc.received("submit_sm", 50)
        await smsc.request(1, "enquire_link")  # whatever we had written before has arrived with its answer
        assert len(smsc.pdus("submit_sm")) == 50
        assert carrier.link.free() == 0
        await smsc.do("behave", behaviour={"mute": []})
        for submit in reversed(submits):  # in any order
            await smsc.do(
                "post",
                session=1,
                command="submit_sm_resp",
                fields={"sequence_number": submit["sequence_number"], "message_id": f"late{submit['sequence_number']}"},
            )
        await carrier.until(lambda: len(carrier.results) == 120)
        assert set(carrier.faults()) == {TAKEN}
        assert len({result.carrier_ref for result in carrier.results}) == 120


async def test_a_throttled_carrier_is_slowed_and_nothing_is_lost(smsc: NpmPeer) -> None:
    port = await listening(smsc, statuses={"submit_sm": [0x58, 0x58, 0x14]})
    async with Carrier(port, settings={"throttle_pause_s": "0.05"}) as carrier:
        await carrier.bound()
        numbers = [carrier.send(f"message {number}") for number in range(10)]
        await carrier.until(lambda: len(carrier.results) == 10)
        assert carrier.faults() == [TAKEN] * 10
        assert {result.message_id for result in carrier.results} == set(numbers)
        assert carrier.link.figures()["throttled"] == 3
    assert len(smsc.pdus("submit_sm")) == 13


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (Status.RINVDSTADR, FaultKind.PERMANENT),
        (Status.RINVSRCADR, FaultKind.PERMANENT),
        (Status.RINVMSGLEN, FaultKind.PERMANENT),
        (Status.RSYSERR, FaultKind.TEMPORARY),
        (Status.RSUBMITFAIL, FaultKind.TEMPORARY),
        (0x401, FaultKind.TEMPORARY),
        (Status.RINVESMCLASS, FaultKind.BLOCKED),
    ],
)
async def test_an_error_answer_is_judged(smsc: NpmPeer, status: int, fault: FaultKind | None) -> None:
    port = await listening(smsc, statuses={"submit_sm": [int(status)]})
    async with Carrier(port) as carrier:
        await carrier.bound()
        (result,) = await carrier.sent("Bonjour")
        assert result.fault is fault
        assert hex(status) in result.detail


RECEIPT = "id:{id} sub:001 dlvrd:001 submit date:2602010830 done date:2602010831 stat:{stat} err:{err} text:Bonjour"


@pytest.mark.parametrize(
    ("fields", "state", "word", "error"),
    [
        (
            {"short_message": RECEIPT.format(id="ab12", stat="DELIVRD", err="000")},
            State.DELIVERED,
            "DELIVRD",
            "000",
        ),
        (
            {"short_message": RECEIPT.format(id="ab12", stat="UNDELIV", err="01b")},
            State.UNDELIVERED,
            "UNDELIV",
            "01b",
        ),
        ({"receipted_message_id": "ab12", "message_state": 3}, State.EXPIRED, "EXPIRED", ""),
        (
            {
                "receipted_message_id": "ab12",
                "message_state": 2,
                "short_message": RECEIPT.format(id="ab12", stat="DELIVRD", err="000"),
            },
            State.DELIVERED,
            "DELIVRD",
            "000",
        ),
        (
            {"message_payload": RECEIPT.format(id="ab12", stat="REJECTD", err="012")},
            State.REJECTED,
            "REJECTD",
            "012",
        ),
        (
            {"receipted_message_id": "ab12", "message_state": 1, "esm_class": 0x20},
            None,
            "ENROUTE",
            "",
        ),
    ],
    ids=["text", "text undelivered", "TLVs", "both", "payload", "intermediate"],
)
async def test_a_receipt_is_read_and_acknowledged_when_it_is_stored(
    smsc: NpmPeer, fields: Json, state: State | None, word: str, error: str
) -> None:
    port = await listening(smsc)
    async with Carrier(port) as carrier:
        await carrier.bound()
        answer = await deliver(smsc, 1, **{"esm_class": 4, **fields})
        assert (answer["command"], answer["command_status"]) == ("deliver_sm_resp", 0)
        (receipt,) = carrier.receipts
        assert (receipt.carrier_ref, receipt.source) == ("ab12", "33639980001")
        assert (receipt.state, receipt.word, receipt.error) == (state, word, error)


async def test_what_is_not_stored_is_not_acknowledged(smsc: NpmPeer) -> None:
    port = await listening(smsc)
    async with Carrier(port, acknowledging=False) as carrier:
        await carrier.bound()
        for _ in range(2):
            await smsc.do(
                "post",
                session=1,
                command="deliver_sm",
                fields={"esm_class": 4, "short_message": RECEIPT.format(id="1", stat="DELIVRD", err="000")},
            )
        await carrier.until(lambda: len(carrier.receipts) == 2)
        await smsc.request(1, "enquire_link")
        assert smsc.pdus("deliver_sm_resp") == []
        first, second = (receipt.token for receipt in carrier.receipts)
        carrier.link.acknowledge([second])
        carrier.link.acknowledge([first], stored=False)
        answers = await smsc.received("deliver_sm_resp", 2)
        assert [(row["sequence_number"], row["command_status"]) for row in answers] == [
            (2, 0),
            (1, Status.RX_T_APPN),
        ]


@pytest.mark.parametrize(
    ("text", "data_coding"), [("STOP", 1), ("Où est l’œuvre ? 😀", 8), ("Ça va ? Très bien, merci", 3)]
)
async def test_a_message_of_a_subscriber_arrives(smsc: NpmPeer, text: str, data_coding: int) -> None:
    port = await listening(smsc)
    async with Carrier(port, settings={"charsets": "1:gsm7"}) as carrier:
        await carrier.bound()
        answer = await deliver(smsc, 1, short_message=text, data_coding=data_coding)
        assert answer["command_status"] == 0
        (message,) = carrier.messages
        assert (message.source, message.destination) == ("33639980001", "CHAPPE")
        assert read(message.raw, carrier) == text


def read(raw: bytes, carrier: Carrier) -> str | None:
    delivery = pdu.decode(raw)
    assert isinstance(delivery, pdu.DeliverSm)
    return decode(delivery.short_message, delivery.data_coding, carrier.profile, gsm7.decode).text


@pytest.mark.parametrize("method", ["udh", "sar"])
async def test_a_long_message_of_a_subscriber_arrives_in_any_order(smsc: NpmPeer, method: str) -> None:
    port = await listening(smsc)
    async with Carrier(port) as carrier:
        await carrier.bound()
        pieces = ["Première partie, ", "deuxième, ", "et fin."]
        for number, piece in reversed(list(enumerate(pieces, 1))):
            fields: Json = {"short_message": piece, "data_coding": 3}
            if method == "udh":
                header = bytes([5, 0, 3, 77, 3, number])
                fields["short_message"] = {"udh": {"hex": header.hex()}, "message": piece}
            else:
                fields |= {"sar_msg_ref_num": 77, "sar_total_segments": 3, "sar_segment_seqnum": number}
            assert (await deliver(smsc, 1, **fields))["command_status"] == 0
        whole = carrier.joined()
        assert whole.missing == ()
        assert whole.octets.decode("latin-1") == "".join(pieces)


async def test_our_unbind_is_answered_after_all_answers(smsc: NpmPeer) -> None:
    port = await listening(smsc)
    async with Carrier(port, window=50) as carrier:
        await carrier.bound()
        for number in range(50):
            carrier.send(f"message {number}")
        await carrier.link.stop()
        carrier.take()
        assert carrier.faults() == [TAKEN] * 50
    assert len(smsc.pdus("unbind")) == 1
    await smsc.until(lambda: smsc.happened("close"))


async def test_their_unbind_is_answered_and_the_link_comes_back(smsc: NpmPeer) -> None:
    port = await listening(smsc)
    async with Carrier(port) as carrier:
        await carrier.bound()
        answer = await smsc.request(1, "unbind")
        assert (answer["command"], answer["command_status"]) == ("unbind_resp", 0)
        await smsc.until(lambda: smsc.happened("close", 1))
        await smsc.until(lambda: len(smsc.happened("session")) == 2)
        await carrier.bound()


async def test_a_connection_cut_with_a_full_window_leaves_exactly_that_in_doubt(smsc: NpmPeer) -> None:
    port = await listening(smsc, mute=["submit_sm"])
    async with Carrier(port, window=50) as carrier:
        await carrier.bound()
        for number in range(80):
            carrier.send(f"message {number}")
        await smsc.received("submit_sm", 50)
        await smsc.do("behave", behaviour={"mute": []})
        await smsc.do("destroy", session=1)
        await carrier.until(lambda: len(carrier.results) == 80)
        assert carrier.faults().count(FaultKind.IN_DOUBT) == 50
        assert carrier.faults().count(FaultKind.UNSENT) == 30
        await carrier.bound()
        assert [result.fault for result in await carrier.sent("again")] == [TAKEN]


async def test_an_answer_that_comes_too_late_is_told_as_late(smsc: NpmPeer) -> None:
    port = await listening(smsc, mute=["submit_sm"])
    async with Carrier(port, settings={"response_timeout_s": "0.1"}) as carrier:
        await carrier.bound()
        carrier.send("Bonjour")
        await carrier.until(lambda: carrier.faults() == [FaultKind.IN_DOUBT])
        (submit,) = smsc.pdus("submit_sm")
        await smsc.do(
            "post",
            session=1,
            command="submit_sm_resp",
            fields={"sequence_number": submit["sequence_number"], "message_id": "late"},
        )
        await carrier.until(lambda: len(carrier.results) == 2)
        late = carrier.results[1]
        assert (late.fault, late.carrier_ref, late.late) == (TAKEN, "late", True)


async def test_requests_that_no_esme_serves_are_refused_and_the_link_stays(smsc: NpmPeer) -> None:
    port = await listening(smsc)
    async with Carrier(port) as carrier:
        await carrier.bound()
        answer = await smsc.request(1, "submit_sm", destination_addr="33639980001", short_message="a")
        assert answer["command_status"] == Status.RINVBNDSTS
        await smsc.do("post", session=1, command="alert_notification", fields={"source_addr": "33639980001"})
        assert [result.fault for result in await carrier.sent("Bonjour")] == [TAKEN]


@pytest.mark.needs("openssl")
class TestTls:
    async def test_everything_works_over_tls(self, smsc: NpmPeer, tmp_path: Path) -> None:
        made = certificates.make(tmp_path)
        port = (await smsc.do("listen", key=str(made.key), cert=str(made.certificate)))["port"]
        settings = {"tls": "yes", "tls_ca_file": str(made.authority), "tls_server_name": "localhost"}
        async with Carrier(port, window=50, settings=settings) as carrier:
            await carrier.bound()
            for number in range(100):
                carrier.send(f"message {number}")
            await carrier.until(lambda: len(carrier.results) == 100)
            assert set(carrier.faults()) == {TAKEN}
            await deliver(smsc, 1, esm_class=4, short_message=RECEIPT.format(id="1", stat="DELIVRD", err="000"))
            assert len(carrier.receipts) == 1
            await smsc.request(1, "unbind")
            await smsc.until(lambda: len(smsc.happened("session")) == 2)
            await carrier.bound()
            await smsc.do("behave", behaviour={"mute": ["submit_sm"]})
            for number in range(60):
                carrier.send(f"message {number}")
            await smsc.received("submit_sm", 150)
            await smsc.do("destroy", session=2)
            await carrier.until(lambda: len(carrier.results) == 160)
            assert carrier.faults().count(FaultKind.IN_DOUBT) == 50
            assert carrier.faults().count(FaultKind.UNSENT) == 10
            await carrier.bound()
        assert len(smsc.pdus("unbind", 3)) == 1

    @pytest.mark.parametrize("settings", [{"tls_server_name": "example.com"}, {"tls_ca_file": ""}])
    async def test_a_stranger_is_not_trusted(self, smsc: NpmPeer, tmp_path: Path, settings: dict[str, str]) -> None:
        made = certificates.make(tmp_path)
        port = (await smsc.do("listen", key=str(made.key), cert=str(made.certificate)))["port"]
        trust = {"tls": "yes", "tls_ca_file": str(made.authority), "tls_server_name": "localhost", **settings}
        async with Carrier(port, settings=trust) as carrier:
            await carrier.until(lambda: "cannot connect" in carrier.link.detail)
        assert smsc.pdus("bind_transceiver") == []
