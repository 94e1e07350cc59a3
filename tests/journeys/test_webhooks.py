"""Webhooks when receivers misbehave: a slow, dead or refusing one delays nobody else; private ones are not called."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from program import Program, Smsc, ask, free_port, until

if TYPE_CHECKING:
    from receivers import Receiver

SLOW, QUICK = 60, 20


def told(program: Program, submission_id: int) -> list[str]:
    """What the timeline says of the webhooks of a submission's first message."""
    entries = program.json("message", str(submission_id))["messages"][0]["entries"]
    return [entry["detail"] for entry in entries if entry["what"] == "webhook"]


def test_a_receiver_that_does_not_answer_delays_nobody_else(phones: Program, receive: Callable[[], Receiver]) -> None:
    slow, quick = receive(), receive()
    slow.hold()
    patient, hasty = phones.account("patient"), phones.account("hasty")
    for number in range(SLOW):
        phones.send(patient, f"+336123401{number:02d}", "slow", urlDlr=f"{slow.url}/dlr")
    dead = phones.send(patient, "+33612340200", "dead", urlDlr=f"http://127.0.0.1:{free_port()}/dlr").json()
    until(lambda: slow.open_calls > 0, "the slow receiver to be called")

    began = monotonic()
    for number in range(QUICK):
        phones.send(hasty, f"+336123403{number:02d}", "quick", urlDlr=f"{quick.url}/dlr")
    delivered = quick.wait_for(lambda hook: hook.json()["status"] == "delivered", QUICK, 8.0)
    assert len({hook.json()["phone"] for hook in delivered}) == QUICK
    assert monotonic() - began < 8
    assert slow.hooks == []  # still nobody was answered there
    assert slow.open_calls <= 20  # and no more than its share is open to it

    until(lambda: any("retry" in detail for detail in told(phones, dead["message_id"])), "the dead one's retry")
    slow.release()
    slow.wait_for(lambda hook: hook.json()["status"] == "delivered", SLOW, 30.0)


def test_a_receiver_that_says_gone_is_told_no_more(phones: Program, receive: Callable[..., Receiver]) -> None:
    gone = receive(410)
    key = phones.account("gone")
    number = phones.send(key, "+33612340400", "gone", urlDlr=f"{gone.url}/dlr").json()["message_id"]
    gone.wait_for(lambda hook: hook.json()["status"] == "delivered")
    until(lambda: len(told(phones, number)) == 2, "both attempts")
    assert all("given up" in detail for detail in told(phones, number))


def test_a_webhook_to_a_private_address_is_refused_when_strangers_can_reach_us(
    tmp_path: Path, receive: Callable[[], Receiver]
) -> None:
    """Listening beyond loopback, a customer's URL must not become our hand in the operator's network."""
    receiver = receive()
    with Program(tmp_path / "var", host="0.0.0.0") as program, Smsc(tmp_path) as smsc:
        program.add_carrier(smsc)
        key = program.account("stranger")
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433"):
            url = receiver.url.replace("127.0.0.1", host) + "/dlr"
            answer = program.send(key, "+33612340500", "private", urlDlr=url).json()
            if answer["success"]:  # some are refused at once
                details = until(partial(told, program, answer["message_id"]), f"an attempt to call {host}")
                assert all("given up" in detail for detail in details), details
    assert receiver.hooks == []


@pytest.mark.parametrize("mode", ["demo", "alone"])
def test_a_webhook_reaches_this_machine_until_a_request_comes_through_a_proxy(
    tmp_path: Path, receive: Callable[[], Receiver], mode: str
) -> None:
    """Behind nginx on the same host a server on loopback is as public as any, and learns it by the first request."""
    receiver = receive()
    program = Program(tmp_path / "var", demo=mode == "demo")
    with program, Smsc(tmp_path) as smsc:
        program.add_carrier(smsc)
        key = program.account("shop")

        def sent(headers: dict[str, str]) -> list[str]:
            wish = {"apiKey": key, "phoneNumbers": "+33612340600", "message": "x", "urlDlr": f"{receiver.url}/dlr"}
            fields = {"Content-Type": "application/json"} | headers
            answer = ask(f"{program.url}/v1/send", "POST", json.dumps(wish).encode(), fields).json()
            return until(partial(told, program, answer["message_id"]), "an attempt to call the receiver")

        sent({})
        receiver.wait_for(lambda hook: hook.json()["status"] == "delivered")
        before = len(receiver.hooks)
        for headers in ({"X-Forwarded-For": "203.0.113.9"}, {}):
            assert all("given up" in detail for detail in sent(headers))
        assert len(receiver.hooks) == before
        assert program.errors.count(" undeclared_proxy ") == 1
    with program:
        assert "private_webhooks_end" in program.errors[len(program.errors) // 2 :], "nor after a restart"
        waits = program.send(key, "+33612340600", "x", urlDlr=f"{receiver.url}/dlr").json()["message_id"]
        assert program.json("message", str(waits))
        assert "proxy" in {finding["about"] for finding in program.json("doctor")["findings"]}
    assert len(receiver.hooks) == before


def test_a_webhook_reaches_nothing_of_this_machine_once_there_is_a_carrier_elsewhere(
    tmp_path: Path, receive: Callable[[], Receiver]
) -> None:
    receiver = receive()
    with Program(tmp_path / "var") as program, Smsc(tmp_path) as smsc:
        program.add_carrier(smsc)
        key = program.account("shop")
        program.command(
            "carrier", "add", "acme", "--host", "192.0.2.1", "--port", "2775", "--system-id", "us", "--password", "p"
        )
        until(lambda: "private_webhooks_end" in program.errors, "the worker to know")
        number = program.send(key, "+33612340700", "x", urlDlr=f"{receiver.url}/dlr").json()["message_id"]
        details = until(partial(told, program, number), "an attempt to call the receiver")
        assert all("given up" in detail for detail in details)
    assert receiver.hooks == []
