"""The notes on a send that was changed: callers that ask get them in every form of the API, other callers do not."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from chappe.core.http import Request, Response
from chappe.core.model import Accepted, Account, AccountSettings, Command, Moment, Send, Simulate, Simulated
from chappe.dialects import Call
from chappe.dialects.allmysms import dialect, notes
from chappe.store.flags import WARNINGS

MOMENT = Moment(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
BASIC = {"authorization": "Basic bWU6a2V5"}  # me:key
FLOW = {"MESSAGE": "Où êtes-vous", "TPOA": "L'Atelier", "STOP": "1", "SMS": [{"MOBILEPHONE": "0612345678"}]}


def outcome_of(command: Command) -> Accepted | Simulated:
    if isinstance(command, Simulate):
        return Simulated(command.send, 1_000_000)
    assert isinstance(command, Send)
    return Accepted(4587, command, 1_000_000, ("id",) * len(command.recipients))


def answer(request: Request, **settings: Any) -> Response:
    account = Account(1, "me", settings=AccountSettings(**settings))
    call = dialect.open(request)
    assert isinstance(call, Call)
    return dialect.write(outcome_of(dialect.read(call, account, MOMENT)), call, account)


def flow(method: str = "sendSms", **parameters: str) -> Request:
    values = {"login": "me", "apiKey": "key", "smsData": json.dumps({"DATA": FLOW}), **parameters}
    return Request("POST", f"/http/9.0/{method}", body=urlencode(values).encode())


def simple(**parameters: str) -> Request:
    values = {"login": "me", "apiKey": "key", "message": "Bonjour", "mobile": "0612345678", **parameters}
    return Request("GET", "/http/9.0/", urlencode(values).encode())


def rest(path: str = "/sms/send", **body: object) -> Request:
    values = {"to": "0612345678", "text": "Bonjour", **body}
    return Request("POST", path, headers=BASIC, body=json.dumps(values).encode())


def codes(response: Response) -> list[str]:
    listed: list[dict[str, str]] = json.loads(response.body)["warnings"]
    assert all(entry["description"] for entry in listed)
    return [entry["code"] for entry in listed]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (flow(verbose="1"), ["sender_malformed", "unicode_forced", "ignored"]),
        (flow("simulateCampaign", verbose="1"), ["sender_malformed", "unicode_forced", "ignored"]),
        (flow(verbose="1", campaign="spring"), ["sender_malformed", "unicode_forced", "ignored", "ignored"]),
        (simple(verbose="true"), []),
        (simple(verbose="1", tpoa="a&b", mobile="612345678"), ["sender_malformed", "numbers_completed"]),
        (simple(verbose="1", stop="1"), ["ignored"]),
        (rest(verbose=1), []),
        (rest(verbose=1, mailNotif=1, simulate=1), ["ignored"]),
        (rest("/sms/send/bulk", verbose=True, **{"from": "a&b"}), ["sender_malformed"]),
    ],
)
def test_who_asks_is_told_what_became_otherwise(request_: Request, expected: list[str]) -> None:
    assert codes(answer(request_)) == expected


@pytest.mark.parametrize("request_", [flow(), flow(verbose="0"), simple(), rest(), rest(verbose=0, odd=1)])
def test_who_does_not_ask_gets_the_answer_of_the_provider(request_: Request) -> None:
    assert b"warnings" not in answer(request_).body


def test_notes_stand_in_xml_too_and_name_what_was_ignored() -> None:
    root = ET.fromstring(answer(flow(verbose="1", returnformat="xml")).body)
    assert [item.findtext("code") for item in root.findall("warnings/item")][-1] == "ignored"
    assert root.findall("warnings/item")[-1].findtext("description") == "STOP est inconnu ici et a été ignoré"


def test_notes_are_in_the_language_of_the_account() -> None:
    found = json.loads(answer(simple(verbose="1", stop="1"), message_language="en").body)["warnings"]
    assert found == [{"code": "ignored", "description": "stop is unknown here and was ignored"}]


def test_every_warning_of_a_send_has_its_sentence() -> None:
    of_others = {"stop_foreign"}  # found when the send is placed, behind the dialect
    assert set(WARNINGS) - of_others <= set(notes.SENTENCES)
