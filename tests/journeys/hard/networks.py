"""Scenarios in which the carrier is at fault, or the road to it: all that SMSCs have been seen to do."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from program import until
from stage import WINDOW, Scenario, Stage

from chappe.core.lifecycle import State

MESSAGES, RATE = 200, 40.0
TIMES = 4


def _trouble(stage: Stage, times: int = TIMES) -> Any:
    """Moments under load: a generator that comes back `times` times, each at a share of the load."""
    load = stage.load(MESSAGES, RATE).start()
    for number in range(1, times + 1):
        load.reached(number / (times + 1))
        stage.pause(0.0, 0.3)
        yield number
    load.join()


def vanish(stage: Stage) -> None:
    """The SMSC's port closes and every connection is reset; a while later it is back."""
    stage.start()
    stage.network.misbehave(latency_ms=50, latency_jitter_ms=50)
    stage.doubts_max = WINDOW * TIMES
    for _ in _trouble(stage):
        stage.road.close()
        stage.pause(0.2, 1.5)
        stage.road.open()


def stall(stage: Stage) -> None:
    """The SMSC takes what we write, and nothing moves for longer than we wait for an answer."""
    stage.start()
    stage.doubts_max = WINDOW * 4  # a stall may outlast two windows: the second goes out when the first has timed out
    for _ in _trouble(stage, 2):
        stage.road.block()
        stage.pause(2.0, 3.5)
        stage.road.unblock()


def late(stage: Stage) -> None:
    """Answers come after we have stopped to wait for them."""
    stage.start()
    stage.network.misbehave(latency_ms=1200, latency_jitter_ms=900)
    stage.doubts_max = 80
    load = stage.load(80, 20.0).start()
    load.reached(0.9)
    stage.network.misbehave()
    load.join()
    stage.check(stage.value("select count(*) from message where doubts > 0"), "no answer was late: this proves nothing")


def throttle(stage: Stage) -> None:
    """Bursts of ESME_RTHROTTLED, and some in between: everything waits, and nothing is in doubt or sent twice."""
    stage.start()
    for _ in _trouble(stage):
        stage.network.misbehave(throttle_for_s=round(stage.chance.uniform(0.2, 1.0), 2), throttle_rate=0.05)
    stage.network.misbehave()
    stage.notes["throttled"] = stage.value("select (figures ->> 'throttled')::float from bind")


def queue_full(stage: Stage) -> None:
    """Every submit is answered with ESME_RMSGQFUL for a while."""
    stage.start()
    for _ in _trouble(stage, 2):
        stage.network.misbehave(queue_full=True)
        stage.pause(0.5, 1.0)
        stage.network.misbehave()


def reconnect_storm(stage: Stage) -> None:
    """The connection is reset again and again, mostly before the last one has done anything."""
    stage.start()
    stage.network.misbehave(latency_ms=20, latency_jitter_ms=20)
    stage.doubts_max = MESSAGES  # most resets find a window that is full
    load = stage.load(MESSAGES, RATE).start()
    while not load.has_begun(0.9):
        stage.road.reset()
        stage.pause(0.02, 0.4)
    load.join()
    stage.notes["connections"] = stage.road.passed


def drop_responses(stage: Stage) -> None:
    """One answer of twenty never comes."""
    stage.start()
    stage.network.misbehave(drop_response_rate=0.05, seed=stage.chance.randrange(1 << 30))
    stage.doubts_max = MESSAGES // 5
    for _ in _trouble(stage, 1):
        pass
    stage.network.misbehave()
    stage.check(stage.value("select count(*) from message where doubts > 0"), "no answer was dropped")


def disconnect(stage: Stage) -> None:
    """Some submits are taken, and then the connection ends instead of an answer."""
    stage.start()
    stage.network.misbehave(disconnect_rate=0.02, latency_ms=20, seed=stage.chance.randrange(1 << 30))
    stage.doubts_max = MESSAGES
    for _ in _trouble(stage, 1):
        pass
    stage.network.misbehave()


def cut_in_pdu(stage: Stage) -> None:
    """The connection ends in the middle of a PDU."""
    stage.start()
    stage.network.misbehave(latency_ms=30, latency_jitter_ms=30)
    stage.doubts_max = WINDOW * TIMES
    for number in _trouble(stage):
        stage.road.cut_in_answer()
        until(lambda: stage.road.faults >= number, "an answer to be cut")  # noqa: B023 - called in this turn only
    stage.notes["cut"] = stage.road.faults


def refuse_binds(error: Mapping[str, object], stage: Stage) -> None:
    """The link is reset, and the next binds are refused for a while."""
    stage.start({"auth_retry_delay_s_min": 0.5})
    stage.doubts_max = WINDOW * 2
    for _ in _trouble(stage, 2):
        stage.network.misbehave(**error)
        stage.road.reset()
        stage.pause(1.5, 2.5)
        stage.network.misbehave()


GARBAGE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    bytes(64),
    b"\xff\xff\xff\xff" + bytes(12),
    b"\x00\x00\x00\x04",
    b"\x00\x00\x00\x10\x77\x77\x77\x77\x00\x00\x00\x00\x00\x00\x00\x01",
)


def garbage(stage: Stage) -> None:
    """What comes from the SMSC is no SMPP: another protocol, zeros, absurd lengths, unknown commands, chance."""
    stage.start()
    kinds = [*GARBAGE, stage.chance.randbytes(48)]
    stage.doubts_max = WINDOW * len(kinds)
    for number in _trouble(stage, len(kinds)):
        stage.road.soil(kinds[number - 1])
        until(lambda: stage.road.faults >= number, "the garbage to be read")  # noqa: B023 - called in this turn only


def odd_answers(stage: Stage) -> None:
    """Answers with wrong sequence numbers or types, twice, with a body beside an error, or as generic_nack."""
    stage.start({"inactivity_timeout_s": 20})
    faults = ("sequence_zero", "sequence_unknown", "repeated", "wrong_type", "error_body", "nack_without_sequence")
    stage.doubts_max = MESSAGES
    for number in _trouble(stage, len(faults)):
        stage.network.misbehave(response_fault=faults[number - 1], response_fault_rate=0.1)
    stage.network.misbehave()


def receipts(switches: Mapping[str, object], stage: Stage, knobs: Mapping[str, object] | None = None) -> None:
    """Receipts come as no standard foresees."""
    stage.start(knobs)
    stage.network.misbehave(**switches)
    stage.load(MESSAGES, RATE).run()
    all_delivered(stage)


def all_delivered(stage: Stage) -> None:
    """Checks that every message of every load is delivered, told so once, and that no receipt waits for a message."""
    stage.settle()
    accepted = sum(len(load.accepted) for load in stage.loads)
    states = {row["state"]: row["n"] for row in stage.rows("select state, count(*) as n from message group by state")}
    stage.check(states == {int(State.DELIVERED): accepted}, f"not all are delivered: {states}")
    told = {key: count for key, count in stage.reports.times.items() if key[2] == "delivered"}
    again = sum(count > 1 for count in told.values())
    stage.check(not again, f"{again} messages were reported as delivered more than once")
    stage.check(len(told) == accepted, "reports are missing")
    waiting = stage.value("select count(*) from receipt_unmatched")
    stage.check(not waiting, f"{waiting} receipts found no message")


def receipts_after_restart(stage: Stage) -> None:
    """Both sides die between the answers and the receipts, which come when both are back."""
    program = stage.start()
    stage.network.misbehave(receipt_delay_ms=4000)
    load = stage.load(80, 80.0).run()
    until(lambda: stage.value("select count(*) from reference") >= len(load.accepted), "all to be submitted")
    stage.network.kill()
    program.kill("serve")
    stage.network.start()
    program.spawn()
    program.wait_ready()


SCENARIOS: dict[str, Scenario] = {
    "smsc-vanish": vanish,
    "smsc-stall": stall,
    "smsc-late": late,
    "smsc-throttle": throttle,
    "smsc-queue-full": queue_full,
    "smsc-reconnect-storm": reconnect_storm,
    "smsc-drop-responses": drop_responses,
    "smsc-disconnect": disconnect,
    "smsc-cut-in-pdu": cut_in_pdu,
    "smsc-refuse-bind": functools.partial(refuse_binds, {"bind_error": {"status": "0x0D"}}),
    "smsc-already-bound": functools.partial(refuse_binds, {"bind_error": {"status": "0x05"}}),
    "smsc-wrong-password": functools.partial(refuse_binds, {"bind_error": {"status": "0x0E"}}),
    "smsc-bind-unanswered": functools.partial(refuse_binds, {"bind_unanswered": True}),
    "smsc-bind-then-close": functools.partial(refuse_binds, {"bind_then_close": True}),
    "smsc-garbage": garbage,
    "smsc-odd-answers": odd_answers,
    "receipts-early": functools.partial(receipts, {"receipt_before_response": True, "latency_ms": 80}),
    "receipts-twice": functools.partial(receipts, {"receipt_duplicate_rate": 1.0}),
    "receipts-late": functools.partial(receipts, {"receipt_delay_ms": 6000, "receipt_jitter_ms": 3000}),
    "receipts-shuffled": functools.partial(receipts, {"receipt_delay_ms": 0, "receipt_jitter_ms": 1500}),
    "receipts-after-restart": receipts_after_restart,
}
