"""Scenarios with carriers and phones as they are: ids in other forms, receipts of every shape, STOP in any writing."""

from __future__ import annotations

import contextlib
import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from networks import MESSAGES, RATE, all_delivered, receipts
from program import until
from road import Road
from stage import OTHER_LOGIN, WINDOW, Scenario, Stage

from chappe.core import gsm7
from chappe.core.lifecycle import FINAL, State
from chappe.smpp.header import HEADER
from chappe.smpp.pdu import DeliverSm, SubmitSmResp, decode
from chappe.smpp.septets import pack

VOLUME, FAST = 2_000, 400.0
REPLIES = 10
SECOND_HALF = "336100001"  # of the numbers of a load, those from 100 on
# As subscribers write it, and what is no STOP although the word is in it.
STOPS = (
    "STOP",
    "stop",
    "Stop.",
    " STOP ",
    "STOP\n",
    "«STOP»",
    "STOP SMS",
    "Stop svp",
    "ＳＴＯＰ",
    "S T O P",
    "STOP!!!",
    "arret",
)
# data_coding, esm_class, octets, the text, whether it is a STOP
ANSWERS = (
    (0x00, 0x00, b"STOP", "STOP", True),
    (0x00, 0x04, b"STOP", "STOP", True),
    (0x00, 0x20, b"Stop svp", "Stop svp", True),
    (0x00, 0x00, pack(gsm7.encode("Stop svp")), "Stop svp", True),
    (0x00, 0x00, "ARRÊT".encode("latin-1"), "ARRÊT", True),
    (0x00, 0x00, "ARRÊT".encode(), "ARRÊT", True),
    (0x01, 0x00, "Arrêtez !".encode("cp1252"), "Arrêtez !", True),
    (0x03, 0x00, gsm7.encode("désabo"), "désabo", True),
    (0x08, 0x00, "arrêt".encode("utf-16-be"), "arrêt", True),
    (0x08, 0x00, "STOP".encode("utf-16-le"), "STOP", True),
    (0x08, 0x00, b"STOP", "STOP", True),
    (0x00, 0x00, "STOP".encode("utf-16-be"), "STOP", True),
    (0x04, 0x00, "ARRÊT".encode("latin-1"), "ARRÊT", True),
    (0xF1, 0x00, b"STOP", "STOP", True),
    (0x03, 0x00, "STOP\n> Répondez STOP".encode("latin-1"), "STOP\n> Répondez STOP", True),
    (0x00, 0x00, "Ça va à 18h".encode("latin-1"), "Ça va à 18h", False),
    (0x08, 0x00, "Arrêt de bus 8h".encode("utf-16-be"), "Arrêt de bus 8h", False),
    (0x00, 0x04, "Où est-ce ?".encode(), "Où est-ce ?", False),
    (0x08, 0x00, "🙂".encode("utf-16-be"), "🙂", False),
)
# What they end a message as, or None
WORDS = (
    (b"DELIVERD", State.DELIVERED),
    (b"DELIVERED_TO_HANDSET", State.DELIVERED),
    (b"delivrd", State.DELIVERED),
    (b"UNDELIVRD", State.UNDELIVERED),
    (b"FAILED:Mob. Abst.|nt ext|out ser err:100", State.UNDELIVERED),
    (b"EXPIRD", State.EXPIRED),
    (b"DND_REJECTED", State.REJECTED),
    (b"BUFFRED", None),
    (b"XYZZY", None),
)
OTHERS = ("Je ne stoppe rien", "A quelle heure ?", "Bus stop 12", "ok", "🙂", "Ça va à 18h")


def ids(form: Mapping[str, object], stage: Stage) -> None:
    """Receipts name a message by its id in another form than the answer gave, at volume."""
    stage.start(window=200)
    stage.network.misbehave(receipt_delay_ms=0, receipt_jitter_ms=300, **form)
    stage.settle_s = 120.0
    stage.load(VOLUME, FAST).run()
    all_delivered(stage)


def repeated_ids(stage: Stage) -> None:
    """The carrier gives an id again soon after the message that had it has ended."""
    stage.start()
    stage.network.misbehave(id_cycle=4 * WINDOW, receipt_delay_ms=0)
    stage.load(MESSAGES, RATE).run()
    all_delivered(stage)


def shared_ids(stage: Stage) -> None:
    """Two carriers give the same ids, to messages of two accounts to the same phones."""
    stage.start()
    other = stage.add_network()
    stage.add_carrier({}, name="second", port=other.port, prefix=SECOND_HALF)
    for network in stage.networks:
        network.misbehave(id_cycle=4 * WINDOW, receipt_delay_ms=0, receipt_jitter_ms=300)
    loads = [stage.load(MESSAGES, RATE).start(), stage.load(MESSAGES, RATE, login=OTHER_LOGIN, name="peer").start()]
    for load in loads:
        load.join()
    all_delivered(stage)
    twins = stage.value(
        """select count(*) from (select 1 from reference group by carrier_ref
                                 having count(distinct carrier_id) > 1) as shared"""
    )
    stage.check(twins, "no id was given by both carriers: this proves nothing")


def odd_ids(rename: Callable[[bytes], bytes], stage: Stage) -> None:
    """Ids are longer than the standard allows, of other alphabets, or of quotes and signs."""
    stage.road.retell = functools.partial(_renamed, rename)
    stage.start()
    stage.network.misbehave(receipt_shape="text")
    stage.load(MESSAGES, RATE).run()
    all_delivered(stage)
    plain = stage.value("select count(*) from reference where carrier_ref ~ '^[0-9]+$'")
    stage.check(not plain, f"{plain} ids came as the SMSC gave them: this proves nothing")


def empty_ids(stage: Stage) -> None:
    """Answers and receipts have an empty id: no receipt can be anybody's for certain, and each is kept."""
    stage.road.retell = functools.partial(_renamed, lambda id: b"")
    stage.start()
    stage.network.misbehave(receipt_shape="text", receipt_delay_ms=0)
    load = stage.load(MESSAGES, RATE, report_url="").run()
    stage.settle()

    def all_kept() -> bool:
        return int(stage.value("select count(*) from receipt_unmatched")) == len(load.accepted)

    until(all_kept, "all receipts to be kept")
    ended = [row["state"] for row in stage.rows("select distinct state from message") if row["state"] in FINAL]
    stage.check(not ended, f"guessed: {ended}")


def _renamed(rename: Callable[[bytes], bytes], frame: bytes) -> bytes:
    """A PDU of the SMSC with another id, in answers and in receipts."""
    pdu = decode(frame)
    if isinstance(pdu, SubmitSmResp) and not pdu.status:
        body = rename(pdu.message_id) + b"\0"
        return HEADER.pack(HEADER.size + len(body), pdu.command_id, 0, pdu.sequence) + body  # no limit of encode()
    if isinstance(pdu, DeliverSm):
        text = re.sub(rb"^id:(\S*)", lambda found: b"id:" + rename(found[1]), pdu.short_message)
        return replace(pdu, short_message=text).encode()
    return frame


def numberless(stage: Stage) -> None:
    """All PDUs that bring receipts and replies have the sequence number 0."""
    brought: list[bytes] = []

    def retell(frame: bytes) -> bytes:
        pdu = decode(frame)
        if not isinstance(pdu, DeliverSm):
            return frame
        brought.append(replace(pdu, sequence=0).encode())
        return brought[-1]

    stage.road.retell = retell
    stage.start()
    stage.network.misbehave(receipt_delay_ms=0, receipt_jitter_ms=300)
    load = stage.load(MESSAGES, RATE).start()
    load.reached(0.5)
    (message,) = until(functools.partial(_last, stage, load.to(0)), "a message on the phone")
    for number in range(REPLIES):
        stage.network.phones.reply(load.to(0), message["from"], f"reply {number}")
    load.join()
    all_delivered(stage)
    _check_replies(stage, [(load.to(0), f"reply {number}") for number in range(REPLIES)])
    stage.check(len(brought) >= MESSAGES + REPLIES, f"only {len(brought)} came so: this proves nothing")


def words(stage: Stage) -> None:
    """Receipts say it in words that no standard has; an unknown word ends nothing."""
    stage.road.retell = _reworded
    stage.start()
    stage.network.misbehave(receipt_shape="text", receipt_delay_ms=0, receipt_jitter_ms=300)
    load = stage.load(MESSAGES, RATE, report_url="").run()
    wanted = {load.to(number): WORDS[number % len(WORDS)][1] for number in load.accepted}

    def states() -> dict[str, State | None]:
        rows = stage.rows("select recipient, state from message")
        return {row["recipient"]: State(row["state"]) if row["state"] in FINAL else None for row in rows}

    with contextlib.suppress(AssertionError):
        until(lambda: states() == wanted, "all messages to have ended", 30.0)
    wrong = {WORDS[int(to[-7:]) % len(WORDS)][0] for to, state in states().items() if state != wanted.get(to)}
    stage.check(not wrong, f"read as something else: {sorted(wrong)}")
    odd = stage.value("select count(*) from receipt where oddity ~ 'word_unknown'")
    stage.check(odd, "no unknown word was noticed")


def _reworded(frame: bytes) -> bytes:
    """A receipt whose word depends on the phone's number."""
    pdu = decode(frame)
    if not isinstance(pdu, DeliverSm):
        return frame
    word = WORDS[int(pdu.source_addr[-7:]) % len(WORDS)][0]
    return replace(pdu, short_message=pdu.short_message.replace(b"stat:DELIVRD", b"stat:" + word)).encode()


def settings_change(stage: Stage) -> None:
    """The operator changes the carrier's window, rate, timers and number of binds under load."""
    program = stage.start()
    stage.doubts_max = WINDOW * 6
    load = stage.load(MESSAGES, RATE).start()
    changes = (
        ("window=5",),
        ("window=60", "rate=35"),
        ("response_timeout_s=2", "enquire_link_interval_s=1"),
        ("binds=2", "rate=100"),
        ("binds=1",),
    )
    for number, change in enumerate(changes, 1):
        load.reached(number / (len(changes) + 1))
        program.command("carrier", "set", "operator", *change)
    load.join()


def carriers_change(stage: Stage) -> None:
    """Under load a second carrier comes, the first one moves to another address and back, and the second one's route
    goes."""
    program = stage.start()
    other = stage.add_network()
    for network in stage.networks:
        network.misbehave(latency_ms=20, latency_jitter_ms=20)
    stage.doubts_max = WINDOW * 2
    load = stage.load(MESSAGES, RATE).start()
    load.reached(0.2)
    stage.add_carrier({}, name="second", port=other.port, prefix=SECOND_HALF)
    with Road(stage.network.port, stage.chance) as detour:
        load.reached(0.4)
        program.command("carrier", "set", "operator", f"port={detour.port}")
        load.reached(0.6)
        program.command("carrier", "set", "operator", f"port={stage.road.port}")
        stage.until_bound()
    load.reached(0.8)
    (route,) = [route for route in program.json("route", "list") if route["carrier"] == "second"]
    program.command("route", "remove", str(route["id"]))
    load.join()
    all_delivered(stage)
    stage.check(len(other.phones.messages()), "the second carrier got nothing: this proves nothing")


def stop(stage: Stage) -> None:
    """Phones answer STOP in every spelling while messages arrive: the list has these numbers, and no other."""
    stage.start()
    load = stage.load(MESSAGES, RATE).start()
    load.reached(0.5)
    said: dict[str, str] = {}
    for number, text in enumerate(STOPS + OTHERS):
        said[load.to(number)] = text
        (message,) = until(functools.partial(_last, stage, load.to(number)), "a message on the phone")
        stage.network.phones.reply(load.to(number), message["from"], text)
    load.join()
    stage.settle()
    until(lambda: stage.value("select count(*) from reply") >= len(said), "all replies", 30.0)
    _check_stops(stage, said, {number for number, text in said.items() if text in STOPS})


def stop_alphabets(stage: Stage) -> None:
    """STOP in alphabets that the carrier announces wrongly, in receipts that are none, and with the message quoted."""
    stage.road.retell = lambda frame: frame
    stage.start()
    load = stage.load(MESSAGES, RATE).start()
    load.reached(0.5)
    answers = [(load.to(number), *answer) for number, answer in enumerate(ANSWERS)]
    for to, *_ in answers:
        until(functools.partial(_last, stage, to), "a message on the phone")
    pdus = [
        DeliverSm(
            source_addr_ton=1, source_addr_npi=1, source_addr=to[1:].encode(), dest_addr_ton=5,
            destination_addr=load.sender(0).encode(), data_coding=coding, esm_class=esm_class, short_message=octets,
        )
        for to, coding, esm_class, octets, *_ in answers
    ]  # fmt: skip
    stage.road.say(*stage.chance.sample(pdus, len(pdus)))
    refused = Counter(stage.road.answered.values())
    stage.check(set(refused) == {0}, f"the carrier heard {refused}")
    load.join()
    stage.settle()
    _check_replies(stage, [(to, text) for to, *_, text, _ in answers])
    said = {to: text for to, *_, text, _ in answers}
    _check_stops(stage, said, {to for to, *_, is_stop in answers if is_stop})


def _check_replies(stage: Stage, wanted: list[tuple[str, str]]) -> None:
    """Checks that every reply is there once, with its text."""
    with contextlib.suppress(AssertionError):
        until(lambda: stage.value("select count(*) from reply") >= len(wanted), "all replies", 30.0)
    found = Counter((row["number"], row["text"]) for row in stage.rows("select number, text from reply"))
    stage.check(found == Counter(wanted), f"missing: {Counter(wanted) - found}, too many: {found - Counter(wanted)}")


def _check_stops(stage: Stage, said: Mapping[str, str], wanted: set[str]) -> None:
    """Checks that exactly these numbers are on the list."""
    listed = {row["number"] for row in stage.rows("select number from opt_out")}
    stage.check(listed >= wanted, f"not listed: {[said[number] for number in wanted - listed]}")
    stage.check(listed <= wanted, f"listed: {[said.get(number) for number in listed - wanted]}")


def _last(stage: Stage, number: str) -> list[dict[str, Any]]:
    return stage.network.phones.messages(number, 1)


HEX = {"response_id_format": "hex", "receipt_id_format": "decimal"}
DECIMAL = {"response_id_format": "decimal", "receipt_id_format": "hex"}
PADDED = {"response_id_format": "decimal", "receipt_id_format": "padded"}
HEX_PADDED = {"response_id_format": "hex_padded", "receipt_id_format": "upper"}

SCENARIOS: dict[str, Scenario] = {
    "ids-hex": functools.partial(ids, HEX),
    "ids-decimal": functools.partial(ids, DECIMAL),
    "ids-padded": functools.partial(ids, PADDED),
    "ids-hex-padded": functools.partial(ids, HEX_PADDED),
    "ids-repeated": repeated_ids,
    "ids-shared": shared_ids,
    "ids-long": functools.partial(odd_ids, lambda id: id + b"f" * 100),
    "ids-foreign": functools.partial(odd_ids, lambda id: b"\xe9" + id + b"\xdf\x80"),
    "ids-punctuation": functools.partial(odd_ids, lambda id: b"';" + id + b'--"%\\'),
    "ids-empty": empty_ids,
    "receipts-contradict": functools.partial(receipts, {"receipt_then": "undelivered"}),
    "receipts-tlv": functools.partial(receipts, {"receipt_shape": "tlv"}),
    "receipts-payload": functools.partial(receipts, {"receipt_shape": "payload"}),
    "receipts-as-messages": functools.partial(receipts, {"esm_class_zero": True}, knobs={"receipts_by_tlv": "yes"}),
    "receipts-with-udh": functools.partial(receipts, {"receipt_udhi": True}),
    "receipts-intermediate": functools.partial(receipts, {"intermediate": "always"}),
    "receipts-numberless": numberless,
    "receipts-words": words,
    "carrier-set": settings_change,
    "carrier-moves": carriers_change,
    "stop-writings": stop,
    "stop-alphabets": stop_alphabets,
}
