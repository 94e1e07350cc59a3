"""One bind of an SMPP carrier against a scripted SMSC: whatever the peer does, every part comes back."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted_smsc import Smsc, listening

from chappe.carriers import TAKEN, LinkState, Outgoing, PartResult
from chappe.carriers.smpp import unacknowledged as module
from chappe.carriers.smpp.link import SmppLink
from chappe.carriers.smpp.transport import Wire
from chappe.core.errors import FaultKind
from chappe.core.lifecycle import State
from chappe.smpp import concatenation
from chappe.smpp.commands import Status
from chappe.smpp.pdu import DataSm, DeliverSm, DeliverSmResp, SubmitSm
from chappe.smpp.profile import LongMethod, profile
from chappe.smpp.states import Mode
from chappe.smpp.tlv import Tag
from chappe.workers.in_flight import Rules

pytestmark = pytest.mark.asyncio

QUICK = {"reconnect_delay_s_min": "0.01", "reconnect_delay_s_max": "0.02", "throttle_pause_s": "0.05"}


class Owner:
    """Whoever drives a link: keeps what it gave."""

    def __init__(self, link: SmppLink, woken: asyncio.Event) -> None:
        self.link = link
        self.woken = woken
        self.results: list[PartResult] = []
        self.receipts: list[Any] = []
        self.messages: list[Any] = []

    def take(self) -> None:
        self.results += self.link.take_results()
        self.receipts += self.link.take_receipts()
        self.messages += self.link.take_messages()

    async def until(self, is_so: Any, timeout_s: float = 60.0) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self.woken.clear()
                    self.take()
                    if is_so():
                        return
                    try:
                        async with asyncio.timeout(0.05):  # states change without a call
                            await self.woken.wait()
                    except TimeoutError:
                        continue
        except TimeoutError:
            raise AssertionError(f"not in time: {self.link.state} {self.link.detail} {self.results}") from None

    async def bound(self) -> None:
        await self.until(lambda: self.link.state is LinkState.BOUND and self.link.free() > 0)

    def send(self, number: int, text: str = "hello", **given: Any) -> None:
        self.link.send([Outgoing(number, f"+3360000{number:04d}", "SHOP", text, **given)])

    def faults(self) -> list[tuple[int, FaultKind | None]]:
        return [(result.message_id, result.fault) for result in self.results]


@asynccontextmanager
async def linked(
    smsc: Smsc,
    *,
    window: int = 10,
    rate: float = 0,
    password: str = "secret",
    host: str = "127.0.0.1",
    system_id: str = "me",
    **knobs: str,
) -> AsyncIterator[Owner]:
    woken = asyncio.Event()
    link = SmppLink(
        "red", host, smsc.port, system_id, password, window, rate, profile("generic", QUICK | knobs), woken.set
    )
    owner = Owner(link, woken)
    await link.start()
    try:
        yield owner
    finally:
        await link.stop(0.5)


async def test_it_binds_and_every_part_is_answered_once() -> None:
    async with listening() as smsc, linked(smsc, window=3) as owner:
        await owner.bound()
        assert owner.link.free() == 3
        assert (smsc.binds[0].request.system_id, smsc.binds[0].request.password) == (b"me", b"secret")
        for number in range(10):
            owner.send(number)
        await owner.until(lambda: len(owner.results) == 10)
        assert owner.faults() == [(number, TAKEN) for number in range(10)]
        assert [result.carrier_ref for result in owner.results] == [f"id{number}" for number in range(1, 11)]
        assert owner.link.figures()["submitted"] == 10


@pytest.mark.parametrize(
    ("status", "fault", "reason"),
    [
        (Status.RINVDSTADR, FaultKind.PERMANENT, "rinvdstadr"),
        (Status.RSYSERR, FaultKind.TEMPORARY, "rsyserr"),
        (Status.RINVSERTYP, FaultKind.BLOCKED, "rinvsertyp"),
        (Status.RINVCMDLEN, FaultKind.UNSENDABLE, "rinvcmdlen"),
        (Status.RINVBNDSTS, FaultKind.UNSENT, "rinvbndsts"),
    ],
)
async def test_an_error_means_what_the_table_says(status: Status, fault: FaultKind | None, reason: str) -> None:
    async with listening() as smsc, linked(smsc) as owner:
        smsc.on_submit = lambda wire, pdu: smsc.answer(wire, pdu, int(status))
        await owner.bound()
        owner.send(1)
        await owner.until(lambda: owner.results)
        assert [(r.fault, r.reason, r.attempts_max) for r in owner.results] == [(fault, reason, None)]


async def test_a_carriers_own_table_comes_first_and_the_unknown_gets_few_attempts() -> None:
    async with listening() as smsc, linked(smsc, statuses="0x401:number:absent:Nobody there") as owner:
        codes = iter([0x401, 0x402, int(Status.RSUBMITFAIL)])
        smsc.on_submit = lambda wire, pdu: smsc.answer(wire, pdu, next(codes))
        await owner.bound()
        for number in range(3):
            owner.send(number)
        await owner.until(lambda: len(owner.results) == 3)
        assert [(r.fault, r.attempts_max) for r in owner.results] == [
            (FaultKind.PERMANENT, None),
            (FaultKind.TEMPORARY, 3),
            (FaultKind.TEMPORARY, 3),
        ]
        assert "Nobody there" in owner.results[0].detail


async def test_an_unusable_session_is_bound_anew() -> None:
    async with listening() as smsc, linked(smsc) as owner:
        smsc.on_submit = lambda wire, pdu: smsc.answer(wire, pdu, int(Status.RINVBNDSTS))
        await owner.bound()
        owner.send(1)
        await owner.until(lambda: owner.results)
        await smsc.until(lambda: len(smsc.binds) == 2)


async def test_a_cut_connection_tells_doubt_from_unsent_and_binds_again() -> None:
    async with listening() as smsc, linked(smsc, window=2) as owner:
        smsc.on_submit = lambda wire, pdu: None
        await owner.bound()
        for number in range(5):
            owner.send(number)
        await smsc.until(lambda: len(smsc.submits) == 2)
        smsc.on_submit = smsc.take
        smsc.wires[0].cut()
        await owner.until(lambda: len(owner.results) == 5)
        assert sorted(owner.faults()) == [
            (0, FaultKind.IN_DOUBT),
            (1, FaultKind.IN_DOUBT),
            (2, FaultKind.UNSENT),
            (3, FaultKind.UNSENT),
            (4, FaultKind.UNSENT),
        ]
        await owner.bound()
        owner.send(9)
        await owner.until(lambda: owner.faults()[-1] == (9, TAKEN))


async def test_no_answer_is_a_doubt_and_a_late_one_says_so() -> None:
    async with listening() as smsc, linked(smsc, response_timeout_s="0.05") as owner:
        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        await owner.bound()
        for number in range(2):
            owner.send(number)
        await owner.until(lambda: owner.faults() == [(0, FaultKind.IN_DOUBT), (1, FaultKind.IN_DOUBT)])
        smsc.answer(*held[0], message_id=b"late")
        smsc.answer(*held[1], status=int(Status.RINVDSTADR))
        await owner.until(lambda: len(owner.results) == 4)
        assert [(r.fault, r.late, r.carrier_ref) for r in owner.results[2:]] == [
            (TAKEN, True, "late"),
            (FaultKind.IN_DOUBT, True, ""),
        ]


@pytest.mark.parametrize("status", [0, int(Status.RSYSERR), int(Status.RTHROTTLED), int(Status.RINVDSTADR)])
@pytest.mark.parametrize("is_nack", [True, False])
async def test_whatever_comes_late_changes_nothing_but_the_pace(is_nack: bool, status: int) -> None:
    """Policy may have sent the part again meanwhile: nothing that comes late may put it back into the queue."""
    async with listening() as smsc, linked(smsc, rate=1000, response_timeout_s="0.05") as owner:
        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        await owner.bound()
        owner.send(1, "x" * 200)
        await owner.until(lambda: owner.faults() == [(1, FaultKind.IN_DOUBT)] * 2)
        for wire, pdu in held:
            if is_nack:
                wire.session.nack(pdu.sequence, status)
                wire.flush()
            else:
                smsc.answer(wire, pdu, status, b"" if status else b"id")
        await owner.until(lambda: len(owner.results) == 4)
        expected = TAKEN if not is_nack and not status else FaultKind.IN_DOUBT
        assert [(r.fault, r.late) for r in owner.results[2:]] == [(expected, True)] * 2
        assert owner.link.figures()["queued"] == 0
        assert (owner.link.figures()["rate"] < 1000) is (status == Status.RTHROTTLED)
        assert len(smsc.submits) == 2


async def test_a_generic_nack_without_a_status_is_no_success() -> None:
    async with listening() as smsc, linked(smsc) as owner:

        def nack(wire: Wire, pdu: SubmitSm) -> None:
            wire.session.nack(pdu.sequence, 0)
            wire.flush()

        smsc.on_submit = nack
        await owner.bound()
        owner.send(1)
        await owner.until(lambda: owner.results)
        assert [(r.fault, r.reason) for r in owner.results] == [(FaultKind.TEMPORARY, "runknownerr")]


async def test_deliveries_that_share_one_sequence_number_are_all_taken_and_all_answered() -> None:
    async with listening() as smsc, linked(smsc) as owner:
        await owner.bound()
        answers: list[bytes] = []
        wire = smsc.bound[-1]
        received = wire.data_received
        wire.data_received = lambda data: (answers.append(data), received(data))[1]  # type: ignore[method-assign]
        text = b"id:%d stat:DELIVRD err:000"
        wire.session.inject(
            b"".join(
                DeliverSm(source_addr=b"33600000001", esm_class=4, short_message=text % number, sequence=0).encode()
                for number in range(10)
            )
        )
        wire.flush()
        await owner.until(lambda: len(owner.receipts) == 10)
        assert [receipt.carrier_ref for receipt in owner.receipts] == [str(number) for number in range(10)]
        assert len(owner.link.acknowledge([receipt.token for receipt in owner.receipts])) == 10
        await owner.until(lambda: len(b"".join(answers)) >= 170)
        assert b"".join(answers) == DeliverSmResp(sequence=0).encode() * 10


async def test_throttling_pauses_the_carrier_and_sends_again_in_order() -> None:
    async with listening() as smsc, linked(smsc, window=4, rate=1000) as owner:
        complaints = 4

        def answer(wire: Wire, pdu: SubmitSm) -> None:
            nonlocal complaints
            if complaints:
                complaints -= 1
                smsc.answer(wire, pdu, int(Status.RMSGQFUL))
            else:
                smsc.take(wire, pdu)

        smsc.on_submit = answer
        await owner.bound()
        for number in range(6):
            owner.send(number)
        await owner.until(lambda: len(owner.results) == 6, 8)
        assert owner.faults() == [(number, TAKEN) for number in range(6)]
        assert owner.link.figures()["throttled"] == 4
        assert owner.link.figures()["rate"] == 500, "complaints at once are one complaint: half the rate"


async def test_the_pace_is_kept() -> None:
    async with listening() as smsc, linked(smsc, window=50, rate=100, burst="5") as owner:
        await owner.bound()
        assert owner.link.free() == 5
        began = asyncio.get_running_loop().time()
        for number in range(25):
            owner.send(number)
        assert owner.link.free() == 0
        await owner.until(lambda: len(owner.results) == 25)
        assert 0.15 < asyncio.get_running_loop().time() - began < 2


async def test_nothing_is_submitted_beyond_the_time_that_is_allowed_and_all_of_it_when_it_is_again() -> None:
    async with listening() as smsc, linked(smsc, window=5) as owner:
        await owner.bound()
        now = asyncio.get_running_loop().time()
        owner.link.allow(now)
        assert owner.link.free() == 0
        for number in range(3):
            owner.send(number)
        assert owner.link.figures()["queued"] == 3
        owner.link.allow(now - 1.0)  # still over
        assert owner.link.figures()["submitted"] == 0
        owner.link.allow(now + 60.0)
        await owner.until(lambda: len(owner.results) == 3)
        assert owner.faults() == [(0, TAKEN), (1, TAKEN), (2, TAKEN)]
        assert len(smsc.submits) == 3


async def test_a_pace_that_would_outlast_the_time_allowed_stops_with_it() -> None:
    """What was claimed and waits for its pace must not leave when another process drives the bind."""
    async with listening() as smsc, linked(smsc, rate=20, burst="1") as owner:
        await owner.bound()
        loop = asyncio.get_running_loop()
        owner.link.allow(loop.time() + 0.2)
        for number in range(10):
            owner.send(number)
        await smsc.until(lambda: len(smsc.submits) >= 2)
        over = asyncio.Event()
        loop.call_later(0.6, over.set)
        await over.wait()
        left = len(smsc.submits)
        assert 2 <= left <= 6
        owner.link.allow(math.inf)
        await smsc.until(lambda: len(smsc.submits) == 10)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system's TCP has no such option")
async def test_what_a_dead_network_holds_of_ours_is_thrown_away_before_it_is_sent_again() -> None:
    async with listening() as smsc, linked(smsc) as owner:
        await owner.bound()
        raw = owner.link._wires[0]._transport.get_extra_info("socket")
        patience_ms = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert 0 < patience_ms < Rules(1).grace_s * 1000


async def test_receipts_and_messages_wait_for_their_acknowledgement() -> None:
    async with listening() as smsc, linked(smsc) as owner:
        await owner.bound()
        smsc.receipt("abc", "33600000001", context="receipt")
        smsc.deliver(DeliverSm(source_addr=b"33612345678", short_message=b"hello"), "message")
        await owner.until(lambda: owner.receipts and owner.messages)
        assert smsc.answers == []
        (receipt,), (message,) = owner.receipts, owner.messages
        assert (receipt.carrier_ref, receipt.source, receipt.state, receipt.word) == (
            "abc",
            "33600000001",
            State.DELIVERED,
            "DELIVRD",
        )
        owner.link.acknowledge([message.token], stored=False)
        await smsc.until(lambda: smsc.answers == [("message", int(Status.RX_T_APPN))])
        assert owner.link.acknowledge([receipt.token, receipt.token, 999]) == [receipt.token]
        await smsc.until(lambda: ("receipt", 0) in smsc.answers)


async def test_an_acknowledgement_after_the_connection_is_gone_is_nothing() -> None:
    async with listening() as smsc, linked(smsc) as owner:
        await owner.bound()
        smsc.receipt("abc", "33600000001")
        await owner.until(lambda: owner.receipts)
        smsc.wires[0].cut()
        await smsc.until(lambda: len(smsc.binds) == 2)
        await owner.bound()
        assert owner.link.acknowledge([owner.receipts[0].token]) == [], "it could not be written"
        smsc.receipt("abc", "33600000001", context="again")
        await owner.until(lambda: len(owner.receipts) == 2)
        owner.link.acknowledge([owner.receipts[1].token])
        await smsc.until(lambda: smsc.answers == [("again", 0)])


async def test_reading_stops_while_too_much_is_unstored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNSTORED_MAX", 10)
    async with listening() as smsc, linked(smsc) as owner:
        await owner.bound()
        for number in range(10):
            smsc.receipt(f"r{number}", "33600000001", context=number)
        await owner.until(lambda: len(owner.receipts) == 10)
        smsc.receipt("r10", "33600000001", context=10)
        owner.send(1)  # its answer waits behind the receipt: nothing is read
        await smsc.until(lambda: smsc.submits)
        owner.take()
        assert len(owner.receipts) == 10
        assert owner.results == []
        owner.link.acknowledge([receipt.token for receipt in owner.receipts])
        await owner.until(lambda: len(owner.receipts) == 11 and owner.results)


@pytest.mark.parametrize(
    ("knobs", "asked"),
    [({"mode": "tx+rx"}, [Mode.TX, Mode.RX]), ({"mode": "tx"}, [Mode.TX]), ({"mode": "trx"}, [Mode.TRX])],
)
async def test_binds_come_in_the_mode_asked(knobs: dict[str, str], asked: list[Mode]) -> None:
    async with listening() as smsc, linked(smsc, **knobs) as owner:
        await smsc.until(lambda: len(smsc.binds) == len(asked))
        assert [event.mode for event in smsc.binds] == asked
        await owner.bound()
        owner.send(1)
        await owner.until(lambda: owner.faults() == [(1, TAKEN)])
        if len(asked) == 2:
            smsc.receipt("id1", "33600000001", wire=smsc.bound[-1])
            await owner.until(lambda: owner.receipts)
            smsc.wires[1].cut()  # one of a pair is of no use without the other
            await smsc.until(lambda: len(smsc.binds) == 4)


async def test_refused_credentials_are_shown_and_tried_slowly() -> None:
    async with listening() as smsc:
        smsc.on_bind = lambda _: int(Status.RINVPASWD)
        async with linked(smsc) as owner:
            await owner.until(lambda: owner.link.state is LinkState.REFUSED)
            assert "credentials" in owner.link.detail
            assert owner.link.free() == 0
            assert len(smsc.binds) == 1


@pytest.mark.parametrize(
    ("password", "host"), [("x" * 100, "127.0.0.1"), ("secret", "bad..name"), ("secret", "nowhere.invalid")]
)
async def test_what_cannot_even_be_tried_is_shown(password: str, host: str) -> None:
    async with listening() as smsc, linked(smsc, password=password, host=host) as owner:
        await owner.until(lambda: owner.link.state in (LinkState.REFUSED, LinkState.DOWN) and owner.link.detail)
        assert smsc.binds == []
        assert owner.link._task is not None
        assert not owner.link._task.done(), "it goes on trying"


async def test_long_credentials_and_every_bit_of_registered_delivery_reach_the_carrier() -> None:
    long = {"system_type": "t" * 64, "address_range": "r" * 64, "service_type": "s" * 64}
    asked = {"registered_delivery_single": "0x21", "priority_flag": "4"}
    async with listening() as smsc, linked(smsc, password="p" * 64, system_id="i" * 64, **long, **asked) as owner:
        await owner.bound()
        request = smsc.binds[0].request
        assert (request.system_id, request.password) == (b"i" * 64, b"p" * 64)
        assert (request.system_type, request.address_range) == (b"t" * 64, b"r" * 64)
        owner.send(1)
        await owner.until(lambda: owner.results)
        (pdu,) = smsc.submits
        assert (pdu.service_type, pdu.registered_delivery, pdu.priority_flag) == (b"s" * 64, 0x21, 4)


async def test_a_carrier_that_wants_a_pause_between_sessions_gets_it() -> None:
    """The delay of the reconnection has jitter, and is short; this pause is exact, and after sessions only."""
    async with listening() as smsc, linked(smsc, rebind_delay_s="0.4") as owner:
        await owner.bound()
        loop = asyncio.get_running_loop()
        for sessions in (2, 3):
            smsc.wires[-1].session.unbind(loop.time())
            smsc.wires[-1].flush()
            await smsc.until(lambda: smsc.wires[-1].gone.is_set())
            ended_at = loop.time()
            await smsc.until(lambda count=sessions: len(smsc.binds) == count)  # type: ignore[misc]
            assert loop.time() - ended_at >= 0.39


async def test_an_older_session_is_given_time() -> None:
    async with listening() as smsc:
        answers = iter([int(Status.RALYBND), 0])
        smsc.on_bind = lambda _: next(answers)
        async with linked(smsc, already_bound_delay_s="0.05") as owner:
            await owner.until(lambda: "older session" in owner.link.detail)
            await owner.bound()


@pytest.mark.parametrize("knobs", [{"bind_timeout_s": "0.05"}, {}], ids=["no answer", "closed"])
async def test_a_bind_without_an_answer_is_tried_again(knobs: dict[str, str]) -> None:
    async with listening() as smsc:
        if knobs:
            smsc.on_bind = lambda _: None
        else:

            def close(event: object) -> None:
                smsc.wires[-1].cut()

            smsc.on_bind = close
        async with linked(smsc, **knobs):
            await smsc.until(lambda: len(smsc.binds) >= 3)


async def test_an_unbind_of_the_peer_loses_nothing() -> None:
    async with listening() as smsc, linked(smsc, window=2) as owner:
        held: list[tuple[Wire, SubmitSm]] = []
        smsc.on_submit = lambda wire, pdu: held.append((wire, pdu))
        await owner.bound()
        for number in range(4):
            owner.send(number)
        await smsc.until(lambda: len(held) == 2)
        smsc.on_submit = smsc.take
        smsc.wires[0].session.unbind(smsc.wires[0].now())
        for wire, pdu in held:
            smsc.take(wire, pdu)
        await owner.until(lambda: len(owner.results) == 4)
        assert sorted(owner.faults()) == [(0, TAKEN), (1, TAKEN), (2, FaultKind.UNSENT), (3, FaultKind.UNSENT)]
        await owner.bound()


async def test_stopping_gives_everything_back() -> None:
    async with listening() as smsc:
        smsc.on_submit = lambda wire, pdu: None
        async with linked(smsc, window=2) as owner:
            await owner.bound()
            for number in range(4):
                owner.send(number)
            await smsc.until(lambda: len(smsc.submits) == 2)
            await owner.link.stop(0.05)
            owner.take()
            assert sorted(owner.faults()) == [
                (0, FaultKind.IN_DOUBT),
                (1, FaultKind.IN_DOUBT),
                (2, FaultKind.UNSENT),
                (3, FaultKind.UNSENT),
            ]
            assert owner.link.free() == 0


async def test_a_refused_part_takes_the_others_back() -> None:
    async with listening() as smsc, linked(smsc, window=1) as owner:
        smsc.on_submit = lambda wire, pdu: smsc.answer(wire, pdu, int(Status.RINVDSTADR))
        await owner.bound()
        owner.send(1, "x" * 400)
        await owner.until(lambda: len(owner.results) == 3)
        assert [(r.part, r.parts, r.fault) for r in owner.results] == [
            (1, 3, FaultKind.PERMANENT),
            (2, 3, FaultKind.UNSENT),
            (3, 3, FaultKind.UNSENT),
        ]
        assert len(smsc.submits) == 1


@pytest.mark.parametrize(
    ("knobs", "resp", "receipt"),
    [
        ({"response_id_format": "hex", "receipt_id_format": "dec"}, "00FF", "255"),
        ({"response_id_format": "dec", "receipt_id_format": "hex"}, "0255", "ff"),
        ({"response_id_format": "hex-string", "receipt_id_format": "hex-string"}, "ABcd", "abCD"),
        ({"response_id_prefix": "A-", "receipt_id_prefix": "B-"}, "A-17", "B-17"),
    ],
)
async def test_ids_meet_in_one_form(knobs: dict[str, str], resp: str, receipt: str) -> None:
    async with listening() as smsc, linked(smsc, **knobs) as owner:
        smsc.on_submit = lambda wire, pdu: smsc.answer(wire, pdu, message_id=resp.encode())
        await owner.bound()
        owner.send(1)
        await owner.until(lambda: owner.results)
        smsc.receipt(receipt, "33600000001")
        await owner.until(lambda: owner.receipts)
        assert owner.results[0].carrier_ref == owner.receipts[0].carrier_ref != ""


async def test_what_no_esme_serves_is_refused_and_the_session_lives() -> None:
    async with listening() as smsc, linked(smsc) as owner:
        await owner.bound()
        wire = smsc.bound[0]
        data = DataSm(
            source_addr=b"33600000001",
            esm_class=0x04,
            tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"tlv-id\x00"), (Tag.MESSAGE_STATE, b"\x02")),
        )
        wire.session.request(data, "data", wire.now())
        wire.flush()
        await owner.until(lambda: owner.receipts)
        assert (owner.receipts[0].carrier_ref, owner.receipts[0].state) == ("tlv-id", State.DELIVERED)
        owner.link.acknowledge([owner.receipts[0].token])
        await smsc.until(lambda: smsc.answers == [("data", 0)])


async def test_tls_is_checked_and_spoken(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", "/CN=smsc.test", "-addext", "subjectAltName=DNS:smsc.test"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    smsc = Smsc()
    await smsc.start(tls=context)
    good = {"tls": "yes", "tls_ca_file": str(certificate), "tls_server_name": "smsc.test"}
    try:
        async with linked(smsc, **good) as owner:
            await owner.bound()
            owner.send(1)
            await owner.until(lambda: owner.faults() == [(1, TAKEN)])
        async with linked(smsc, **(good | {"tls_server_name": "another.test"})) as owner:
            await owner.until(lambda: owner.link.state is LinkState.DOWN and "cannot connect" in owner.link.detail)
        async with linked(smsc, tls="yes") as owner:
            await owner.until(lambda: owner.link.state is LinkState.DOWN and "cannot connect" in owner.link.detail)
    finally:
        await smsc.stop()


@pytest.mark.parametrize("says", [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail.example ESMTP\r\n", b"\x00\x00\x00\x00" * 4])
async def test_a_server_that_speaks_first_and_no_smpp_is_tried_again(says: bytes) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.write(says)
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    smsc = Smsc()
    smsc.port = server.sockets[0].getsockname()[1]
    async with server, linked(smsc) as owner:
        await owner.until(lambda: len(connections) >= 3)
        await owner.until(lambda: owner.link.detail == "what came is not SMPP")


@pytest.mark.parametrize(
    ("host", "knobs", "said"),
    [
        ("no-such-host.invalid", {}, "cannot connect: the host's name cannot be resolved"),
        ("127.0.0.1", {}, "cannot connect: Connection refused"),
        ("127.0.0.1", {"tls": "yes", "tls_ca_file": "/nowhere"}, "cannot connect: tls_ca_file cannot be read"),
        ("a" * 70 + ".example", {}, "cannot connect: the host"),
    ],
)
async def test_what_is_wrong_is_said_without_names_of_exceptions(host: str, knobs: dict[str, str], said: str) -> None:
    smsc = Smsc()
    with socket.create_server(("127.0.0.1", 0)) as free:
        smsc.port = free.getsockname()[1]
    async with linked(smsc, host=host, **knobs) as owner:
        await owner.until(lambda: owner.link.detail.startswith(said))


async def test_a_link_on_trial_has_one_part_under_way_until_it_is_answered() -> None:
    async with listening() as smsc, linked(smsc, window=5) as owner:
        await owner.bound()
        smsc.on_submit = lambda wire, pdu: None
        for number in range(5):
            owner.send(number)
        await smsc.until(lambda: len(smsc.submits) == 5)
        smsc.bound[-1].cut()
        await owner.until(lambda: len(owner.results) == 5 and owner.link.free() > 0)
        assert owner.link.free() == 1
        owner.send(5)
        assert owner.link.free() == 0
        await smsc.until(lambda: len(smsc.submits) == 6)
        smsc.take(smsc.bound[-1], smsc.submits[-1])
        await owner.until(lambda: owner.link.free() == 5)


LONG = "Wir schreiben lange Texte. " * 12
OLD, NEW = [0x00, 0x33], [None, 0x34, 0x50, 0xFF]


def _text(pdus: list[SubmitSm]) -> str:
    pieces = [concatenation.read(pdu.esm_class, pdu.short_message, pdu.tlvs) for pdu in pdus]
    return concatenation.join(pieces).octets.decode("ascii") if len(pieces) > 1 else pieces[0].body.decode("ascii")


@pytest.mark.parametrize("method", list(LongMethod))
@pytest.mark.parametrize("version", OLD + NEW)
async def test_long_messages_go_as_the_peer_s_version_allows(version: int | None, method: LongMethod) -> None:
    async with listening() as smsc, linked(smsc, long_method=method.value) as owner:
        smsc.version = version
        await owner.bound()
        owner.send(1, LONG)
        needs_tlvs = method in (LongMethod.SAR, LongMethod.PAYLOAD)
        expected = LongMethod.UDH8 if needs_tlvs and version in OLD else method
        parts = 1 if expected is LongMethod.PAYLOAD else 3
        await owner.until(lambda: len(owner.results) == parts)
        assert {result.fault for result in owner.results} == {TAKEN}
        assert _text(smsc.submits) == LONG
        assert any(pdu.tlvs for pdu in smsc.submits) is (needs_tlvs and version not in OLD)
        assert all(
            bool(pdu.esm_class & 0x40) is (expected in (LongMethod.UDH8, LongMethod.UDH16)) for pdu in smsc.submits
        )


@pytest.mark.parametrize(("version", "data_coding", "tlvs"), [(0x33, 0xF0, ()), (0x34, 0x00, ((0x0005, b"\x01"),))])
async def test_a_flash_message_flashes_on_every_version(version: int, data_coding: int, tlvs: object) -> None:
    async with listening() as smsc, linked(smsc, flash="subunit") as owner:
        smsc.version = version
        await owner.bound()
        owner.send(1, flash=True)
        await owner.until(lambda: owner.results)
        assert [(pdu.data_coding, pdu.tlvs) for pdu in smsc.submits] == [(data_coding, tlvs)]


async def test_a_peer_of_another_version_after_a_reconnection_gets_what_it_can_read() -> None:
    async with listening() as smsc, linked(smsc, long_method="sar") as owner:
        for version, by_udh in ((0x34, False), (0x33, True), (0x34, False)):
            smsc.version = version
            if smsc.bound:
                smsc.bound[-1].cut()
            await owner.until(lambda: owner.link.state is not LinkState.BOUND or not smsc.binds)
            await owner.bound()
            smsc.submits.clear()
            owner.results.clear()
            owner.send(1, LONG)
            await owner.until(lambda: len(owner.results) == 3)
            assert {result.fault for result in owner.results} == {TAKEN}
            assert {bool(pdu.esm_class & 0x40) for pdu in smsc.submits} == {by_udh}
