"""The README's journey: start on an empty folder, paste the printed line, see the SMS, be told of its delivery."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from program import Program, until

if TYPE_CHECKING:
    from receivers import Receiver


def test_the_printed_line_sends_an_sms_that_the_phone_shows_and_the_webhook_reports(
    tmp_path: Path, receive: Callable[[], Receiver]
) -> None:
    with Program(tmp_path / "var", demo=True) as program:
        until(lambda: "curl" in program.output, "the greeting")
        printed = [line.strip() for line in program.output.splitlines()]
        (line,) = (line for line in printed if line.startswith("curl"))
        key = next(line for line in printed if line.startswith("account")).rpartition(" ")[2]

        pasted = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30)
        assert pasted.stdout == (
            '{"success":true,"code":200,"message_id":1,"nb_sms":1,"cost":0.038,"currency":"EUR"}'
        ), pasted.stderr
        (shown,) = program.phones.wait_for("+33600000001")
        assert (shown["from"], shown["text"], shown["parts"]) == ("36111", "Hello from Chappe", 1)

        receiver = receive()
        began = int(time())
        answer = program.send(
            key, "06 00 00 00 02", "Votre colis est là", urlDlr=f"{receiver.url}/dlr?secret=s%26t", tag="promo"
        )
        assert answer.json()["message_id"] == 2
        hooks = receiver.wait_for(count=2)
        (shown,) = program.phones.wait_for("+33600000002")
        assert shown["text"] == "Votre colis est là"

    assert [hook.json()["status"] for hook in hooks] == ["waiting", "delivered"]
    for hook in hooks:
        assert (hook.method, hook.path, hook.query) == ("POST", "/dlr", {"secret": "s&t"})
        assert hook.content_type.partition(";")[0] == "application/json"
        told = hook.json()
        assert began <= told["date"] <= time() + 1
        del told["status"], told["date"]
        assert told == {"msgId": "2", "phone": "+33600000002", "cost": "0.038", "currency": "EUR", "tag": "promo"}


def test_what_was_made_is_there_after_a_restart(tmp_path: Path) -> None:
    with Program(tmp_path / "var", demo=True) as program:
        key = program.account("shop", balance="1.000")
        assert program.send(key, "+33600000001", "before").json()["message_id"] == 1
        program.phones.wait_for("+33600000001")
    with program:
        assert program.send(key, "+33600000001", "after").json()["message_id"] == 2
        texts = until(
            lambda: [shown["text"] for shown in program.phones.messages("+33600000001") if shown["text"] == "after"],
            "the second message",
        )
        assert texts == ["after"]
        (account,) = (one for one in program.json("account", "list") if one["login"] == "shop")
        assert float(account["balance"]) == 0.924
