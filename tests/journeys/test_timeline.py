"""The timeline on the running program: why a message was held and until when, its parts, receipts, reports and replies,
the confirmation of a STOP, money back; and what operators change takes effect at once."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from program import ask, until

if TYPE_CHECKING:
    from pathlib import Path

    from program import Program
    from receivers import Receiver

ALICE = "+33612345601"
BOB = "+33612345602"
SOON_S = 30.0  # long before a morning, or the next look at what has no route
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat")


def shut_today() -> str:
    """A window that is closed yesterday, today and tomorrow, whatever day it is, as the configuration takes it."""
    today = datetime.now(UTC).weekday()
    shut = {(today + shift) % 7 for shift in (-1, 0, 1)}
    days = [day for number, day in enumerate(WEEKDAYS) if number not in shut]
    rules = {"days": days, "open": "00:00", "close": "24:00", "sundays": "closed", "holidays": "open"}
    return json.dumps({"shut": rules})


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program of its own, with a window of the operator's."""
    from program import Program

    folder: Path = tmp_path_factory.mktemp("timeline")
    started = Program(folder / "var", demo=True, environment={"CHAPPE_WINDOWS": shut_today()}).start()
    yield started
    status = started.stop()
    shutil.rmtree(folder / "var", ignore_errors=True)
    assert status == 0, started.errors[-3000:]
    assert started.tracebacks == []


def shop(program: Program, login: str, *settings: str) -> str:
    key = program.account(login)
    program.command("account", "set", login, "transactional=off", *settings)
    return key


def late_s(shown: dict[str, Any], since: datetime) -> float:
    return (datetime.fromisoformat(shown["received_at"]) - since).total_seconds()


def timeline(program: Program, submission: int) -> dict[str, Any]:
    (message,) = program.json("message", str(submission))["messages"]
    assert isinstance(message, dict)
    return message


def details(message: dict[str, Any], what: str) -> list[str]:
    return [entry["detail"] for entry in message["entries"] if entry["what"] == what]


def test_a_held_message_tells_its_whole_life(strict: Program, receive: Callable[[], Receiver]) -> None:
    receiver = receive()
    key = shop(
        strict, "life", "window=shut", f"replies_url={receiver.url}/replies", "stop_words=fin",
        "stop_confirmation=Bien reçu, adieu.",
    )  # fmt: skip
    answer = strict.send(key, ALICE, "a" * 200, urlDlr=f"{receiver.url}/reports").json()
    number = answer["message_id"]
    held = timeline(strict, number)
    assert (held["state"], held["queue"]["lane"]) == ("held", "waiting")
    (why,) = details(held, "held")
    assert why.startswith("hold.")
    assert f" by shut, until {held['queue']['due_at'][:10]} " in why
    assert strict.phones.messages(ALICE) == []

    strict.command("account", "set", "life", "window=none")
    opened_at = datetime.now(UTC)
    (shown,) = strict.phones.wait_for(ALICE)
    assert late_s(shown, opened_at) < SOON_S, "it does not wait for the morning"
    receiver.wait_for(lambda hook: hook.path == "/reports", 2)

    strict.phones.reply(ALICE, shown["from"], "merci")
    strict.phones.reply(ALICE, shown["from"], "Fin.")
    told = receiver.wait_for(lambda hook: hook.path == "/replies", 2)
    assert [hook.json()["text"] for hook in told] == ["merci", "Fin."]
    (confirmation,) = [one for one in strict.phones.wait_for(ALICE, 2) if one["id"] != shown["id"]]
    assert (confirmation["text"], confirmation["from"]) == ("Bien reçu, adieu.", shown["from"])
    attempts = "select message_id from webhook_attempt where message_id = $1 << 16 or message_id < 0"
    until(lambda: len(asyncio.run(strict.rows(attempts, number))) == 4 or None, "the attempts to be recorded")
    life = timeline(strict, number)
    assert life["state"] == "delivered"
    assert details(life, "held") == [why]
    (changed,) = details(life, "window_changed")
    assert changed.startswith("may leave now, by none; held before: hold.")
    order = [entry["what"] for entry in life["entries"]]
    assert order[:5] == ["accepted", "charged", "held", "window_changed", "released"]
    parts = [(entry["what"], entry["part"]) for entry in life["entries"] if entry["what"] in ("submitted", "receipt")]
    assert sorted(parts) == [("receipt", 1), ("receipt", 2), ("submitted", 1), ("submitted", 2)]
    assert details(life, "state") == ["delivered"]
    assert [detail.partition(":")[0] for detail in details(life, "webhook")] == ["submitted", "delivered"]
    merci, fin = details(life, "reply")
    assert merci == "response: 'merci'"
    assert fin.startswith("stop: 'Fin.', confirmed by submission ")
    assert timeline(strict, int(fin.rpartition(" ")[2]))["recipient"] == ALICE
    for line in ("held", "window changed", "part 2: ", "reply webhook"):
        assert line in strict.command("message", str(number)).stdout

    refused = strict.send(key, ALICE, "encore").json()
    assert refused["success"] is False
    both = strict.send(key, f"{ALICE},{BOB}", "encore").json()
    messages = strict.json("message", str(both["message_id"]))["messages"]
    assert {one["recipient"]: (one["state"], one["price"] == "0") for one in messages}[ALICE] == ("suppressed", True)


def test_what_was_taken_back_says_what_came_back(strict: Program) -> None:
    key = shop(strict, "regret", "window=none")
    tomorrow = datetime.now(ZoneInfo("Europe/Paris")) + timedelta(days=1)
    day = tomorrow.strftime("%d/%m/%Y")
    number = strict.send(key, BOB, "demain", scheduledDeliveryDate=day, time=12, minute=30).json()["message_id"]
    me = ask(f"{strict.url}/v1/me?apiKey={key}").json()
    assert me["credits"]["toSend"] == 1
    assert ask(f"{strict.url}/v1/message-cancel?apiKey={key}&messageId={number}").json()["success"] is True
    message = timeline(strict, number)
    assert (message["state"], details(message, "refunded")) == ("cancelled", ["0.038 EUR"])
    assert ask(f"{strict.url}/v1/me?apiKey={key}").json()["credits"]["toSend"] == 0


def test_what_has_no_route_leaves_as_soon_as_there_is_one(strict: Program) -> None:
    key = shop(strict, "routeless", "window=none")
    (route,) = strict.json("route", "list")
    strict.command("route", "remove", str(route["id"]))
    strict.phones.clear()
    asked_in_vain = "select from outbox where lane = 7 and to_timestamp(key / 1e6) > now() + interval '1 min'"

    def sent_in_vain() -> bool | None:
        """More than one, since a process may not have heard of it yet."""
        assert strict.send(key, BOB, "par où ?").status == 200
        return bool(asyncio.run(strict.rows(asked_in_vain))) or None

    until(sent_in_vain, "a message that upkeep found no route for")
    arrived = {one["id"] for one in strict.phones.messages(BOB)}
    strict.command("route", "add", "--carrier", route["carrier"])
    added_at = datetime.now(UTC)
    until(lambda: asyncio.run(strict.rows(asked_in_vain)) == [] or None, "all of them to leave")
    shown = until(
        lambda: [one for one in strict.phones.messages(BOB) if one["id"] not in arrived], "a message to arrive"
    )
    assert all(late_s(one, added_at) < SOON_S for one in shown)
