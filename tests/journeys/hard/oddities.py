"""Scenarios with carriers and phones as they are: ids in other forms, receipts of every shape, STOP in any writing."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from networks import MESSAGES, RATE, receipts
from program import until
from stage import WINDOW, Scenario, Stage

VOLUME, FAST = 2_000, 400.0
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
OTHERS = ("Je ne stoppe rien", "A quelle heure ?", "Bus stop 12", "ok", "🙂", "Ça va à 18h")


def ids(form: Mapping[str, object], stage: Stage) -> None:
    """Receipts name a message by its id in another form than the answer gave, at volume."""
    stage.start(window=200)
    stage.network.misbehave(receipt_delay_ms=0, receipt_jitter_ms=300, **form)
    stage.settle_s = 120.0
    load = stage.load(VOLUME, FAST).run()
    stage.settle()
    states = {row["state"]: row["n"] for row in stage.rows("select state, count(*) as n from message group by state")}
    stage.check(states == {6: len(load.accepted)}, f"not all are delivered: {states}")
    waiting = stage.value("select count(*) from receipt_unmatched")
    stage.check(not waiting, f"{waiting} receipts found no message")


def repeated_ids(stage: Stage) -> None:
    """The carrier gives an id again soon after the message that had it has ended."""
    stage.start()
    stage.network.misbehave(id_cycle=4 * WINDOW, receipt_delay_ms=0)
    load = stage.load(MESSAGES, RATE).run()
    stage.settle()
    states = {row["state"]: row["n"] for row in stage.rows("select state, count(*) as n from message group by state")}
    stage.check(states == {6: len(load.accepted)}, f"not all are delivered: {states}")


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


def stop(stage: Stage) -> None:
    """Phones answer STOP in every writing while messages arrive: who said it is on the list once, and nobody else."""
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
    listed = {row["number"] for row in stage.rows("select number from opt_out")}
    wanted = {number for number, text in said.items() if text in STOPS}
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
    "receipts-contradict": functools.partial(receipts, {"receipt_then": "undelivered"}),
    "receipts-tlv": functools.partial(receipts, {"receipt_shape": "tlv"}),
    "receipts-payload": functools.partial(receipts, {"receipt_shape": "payload"}),
    "receipts-as-messages": functools.partial(receipts, {"esm_class_zero": True}, knobs={"receipts_by_tlv": "yes"}),
    "receipts-with-udh": functools.partial(receipts, {"receipt_udhi": True}),
    "receipts-intermediate": functools.partial(receipts, {"intermediate": "always"}),
    "carrier-set": settings_change,
    "stop-writings": stop,
}
