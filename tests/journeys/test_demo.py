"""Demo mode: chosen, never public; a customer's message never ends on a phone by accident."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from program import CHAPPE, Program, Smsc, ask, until

PHONE = "+33612345678"
ABROAD = "+4915112345678"
DEMO_KEY = "demo-key"


def demo_key(program: Program) -> str:
    return (program.data / DEMO_KEY).read_text().strip()


def test_the_phones_go_to_the_demo_account_when_a_carrier_is_added(tmp_path: Path) -> None:
    """The README's commands, on the server that `make run` started; then the carrier goes down."""
    with Program(tmp_path / "var", demo=True) as program:
        key = program.account("shop")
        until(lambda: "curl" in program.output, "the greeting")
        assert "all messages of all accounts come here" in program.output
        assert "every account" in program.command("carrier", "list").stdout
        program.send(key, PHONE, "there is nothing but phones")
        program.phones.wait_for(PHONE)

        with Smsc(tmp_path) as carrier:
            added = program.command(
                "carrier", "add", "acme", "--host", "127.0.0.1", "--port", str(carrier.port), "--system-id", "us",
                "--password", "secret",
            )  # fmt: skip
            assert "take the demo account's messages only" in added.stdout
            program.command("route", "add", "--carrier", "acme", "--prefix", "33")
            assert "the demo account's messages only" in program.command("carrier", "list").stdout
            notes = {row["about"]: row["sentence"] for row in program.json("doctor")["findings"]}
            assert "everybody else's to the other carriers" in notes["demo"]
            until(lambda: "phones_take_demo_account_only" in program.errors, "the terminal to say so")

            program.send(key, PHONE, "for a real phone")
            (real,) = carrier.phones.wait_for(PHONE)
            assert real["text"] == "for a real phone"
            program.send(demo_key(program), PHONE, "played with")
            (_, played) = program.phones.wait_for(PHONE, 2)
            assert played["text"] == "played with"

        waits = program.send(key, PHONE, "the carrier is down").json()["message_id"]
        program.command("account", "set", "shop", "price.49=0.07")
        abroad = program.json("send", "--account", "shop", "--to", ABROAD, "--text", "no route leads there")
        until(lambda: "down" in program.command("carrier", "list").stdout, "the carrier to be down")
        assert program.json("message", str(waits))["states"] in ({"queued": 1}, {"submitting": 1})
        assert program.json("message", str(abroad["submission"]))["states"] == {"queued": 1}
        assert program.phones.messages(ABROAD) == []
        assert len(program.phones.messages(PHONE)) == 2


def test_without_the_demo_there_is_nothing_of_it(tmp_path: Path) -> None:
    with Program(tmp_path / "var") as program:
        assert set(program.parts()) == {"api", "work", "postgres"}
        assert program.json("account", "list") == []
        assert program.json("carrier", "list")["carriers"] == []
        assert program.json("route", "list") == []
        for path in ("/", "/handset", "/handset/messages", "/handset/chaos"):
            assert ask(program.url + path).status == 404, path
        until(lambda: "chappe account create" in program.output, "the first steps")
        assert "curl" not in program.output
        assert not (program.data / DEMO_KEY).exists()


def test_data_of_a_demo_served_without_it_gives_nothing_to_whoever_listens_on_its_port(tmp_path: Path) -> None:
    with Program(tmp_path / "var", demo=True) as program:
        key, customer = demo_key(program), program.account("shop")
        (handset,) = program.json("carrier", "list")["carriers"]
        port = handset["port"]
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        thief.settimeout(5.0)  # longer than a round of the worker, which looks for binds without a driver
        with Program(tmp_path / "var", host="0.0.0.0") as program:
            refused = program.send(key, PHONE, "with the demo's key").json()
            assert (refused["success"], refused["code"]) == (False, 20)
            waits = program.send(customer, PHONE, "for whom there is no carrier yet").json()["message_id"]
            with pytest.raises(TimeoutError):
                thief.accept()
            assert program.json("message", str(waits))["states"] == {"queued": 1}
            assert "only `chappe serve --demo` uses" in program.command("carrier", "list").stdout
            until(lambda: "answers at" in program.output, "the greeting")
            assert key not in program.output[program.output.rindex("answers at") :]
    with Program(tmp_path / "var", demo=True) as program:
        assert demo_key(program) == key
        assert program.send(key, PHONE, "the demo is back").json()["success"] is True
        until(lambda: len(program.phones.messages(PHONE)) == 2, "both messages: there is no other carrier")


@pytest.mark.parametrize(
    "words", [["--host", "0.0.0.0"], ["--host", "::"], ["--trusted-proxies", "127.0.0.1"], ["--roles", "api"]]
)
def test_the_demo_refuses_to_be_public(tmp_path: Path, words: list[str]) -> None:
    done = subprocess.run(
        [str(CHAPPE), "serve", "--demo", "--data", str(tmp_path / "var"), *words], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("chappe: the demo ")
    assert "--no-demo" in done.stderr
    assert not (tmp_path / "var").exists()


def test_a_handset_that_one_adds_by_hand_is_a_carrier_like_any(tmp_path: Path) -> None:
    with Program(tmp_path / "var") as program, Smsc(tmp_path) as smsc:
        program.add_carrier(smsc, "handset")
        key = program.account("shop")
        program.send(key, PHONE, "to the phone of one's own")
        smsc.phones.wait_for(PHONE)
