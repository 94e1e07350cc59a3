"""Two Chappes: the first sends through the second over the SMS Partner preset, as over the provider itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from program import Program, ask, until

if TYPE_CHECKING:
    from receivers import Receiver


def test_messages_receipts_replies_and_stop_go_through_two_chappes(
    phones: Program, tmp_path: Path, receive: Callable[[], Receiver]
) -> None:
    receiver = receive()
    key = phones.account("reseller")
    phones.command("number", "add", "+33700000099", "--account", "reseller")
    with Program(tmp_path / "first") as first:
        first.command(
            "carrier", "add", "provider", "--kind", "http", "--profile", "smspartner", "--password", key,
            "--set", f"url={phones.url}/v1/send", "--set", f"public_url={first.url}", "--rate", "50",
        )  # fmt: skip
        first.command("route", "add", "--carrier", "provider", "--prefix", "33")
        addresses = first.json("carrier", "addresses", "provider")
        assert addresses["receipt"].startswith(f"{first.url}/carriers/provider/")
        shown = first.command("carrier", "list").stdout + first.command("carrier", "list", "--json").stdout
        assert key not in shown
        assert addresses["receipt"].split("/")[5] not in shown
        assert first.json("carrier", "doctor", "provider")["healthy"]

        shop = first.account("shop")
        long = "Bonjour, ceci est un message plus long que les autres. " * 4
        urls = {"urlDlr": f"{receiver.url}/dlr", "urlResponse": f"{receiver.url}/replies"}
        sent = first.send(shop, "+33612370001", long, **urls).json()
        assert sent["success"], sent
        (message,) = phones.phones.wait_for("+33612370001")
        assert message["text"].strip() == long.strip()
        told = receiver.wait_for(lambda hook: hook.path == "/dlr" and hook.json()["status"] == "delivered")
        assert told[0].json()["msgId"] == str(sent["message_id"])

        phones.phones.reply("+33612370001", message["from"], "Oui, à midi")
        (heard,) = receiver.wait_for(lambda hook: hook.path == "/replies")
        assert (heard.json()["phone_number"], heard.json()["text"]) == ("+33612370001", "Oui, à midi")
        assert heard.json()["message_id"] == sent["message_id"]

        # A STOP reaches both: neither sends to that number again.
        phones.phones.reply("+33612370001", message["from"], "STOP")
        receiver.wait_for(lambda hook: hook.path == "/replies" and hook.json()["type"] == "stop")
        listed = ask(
            f"{first.url}/v1/stop-sms/list",
            "POST",
            json.dumps({"apiKey": shop}).encode(),
            {"Content-Type": "application/json"},
        ).json()
        assert [entry["phoneNumber"] for entry in listed["data"]] == ["+33612370001"]

        # A refusal of the provider ends the message; a wrong key holds all of them.
        first.command("carrier", "set", "provider", "password=" + "0" * 40)
        waits = first.send(shop, "+33612370002", "x").json()["message_id"]
        until(
            lambda: any(entry["what"] == "retry" for entry in entries(first, waits)),
            "the refused key to be told",
        )
        first.command("carrier", "set", "provider", f"password={key}")
        phones.phones.wait_for("+33612370002", timeout_s=120)


def entries(program: Program, submission_id: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = program.json("message", str(submission_id))["messages"][0]["entries"]
    return found
