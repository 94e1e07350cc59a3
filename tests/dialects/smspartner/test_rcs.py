"""/rcs/send: the SMS that stands in for it goes out, and without one the call is denied."""

from __future__ import annotations

import json
from typing import Any

import pytest
from smspartner_desk import PROLOG, account, ask, code_of, get, never, post, read

from chappe.core.model import Accepted, Send

RICH = {"conversation": {"text": "Bonjour", "suggestions": [{"reply": {"text": "Oui", "postbackData": "yes"}}]}}
FAILOVER = {"sender": "SHOP", "message": "Bonjour", "isStopSms": 1, "isUnicode": None}


def wish(**values: Any) -> dict[str, Any]:
    return {"phoneNumbers": ["0612345678", "+33612345679"], "richContent": RICH, "failover": FAILOVER, **values}


def accepted(command: Send) -> Accepted:
    return Accepted(7, command, 0)


def test_the_fallback_is_an_sms_like_any_other() -> None:
    command = read(post("rcs/send", wish(tag="promo", urlDlr="https://d.example/")))
    assert [recipient.number for recipient in command.recipients] == ["+33612345678", "+33612345679"]
    assert (command.text, command.sender, command.tag) == ("Bonjour STOP 36111", "SHOP", "promo")
    assert (command.report_url, command.unicode, command.cost_micros) == ("https://d.example/", False, 76_000)


def test_the_answer_says_that_there_was_no_rcs() -> None:
    body = {"success": True, "code": 200, "message_id": 7, "nb_rcs": 0, "cost": 0.076, "currency": "EUR", "nb_sms": 2}
    assert json.loads(ask(post("rcs/send", wish()), accepted).body) == body
    xml = ask(post("rcs/send", wish(_format="xml")), accepted).body.decode()
    entries = ["true", "200", "7", "0", "0.076", "<![CDATA[EUR]]>", "2"]
    assert xml == PROLOG + "<result>" + "".join(f"<entry>{entry}</entry>" for entry in entries) + "</result>"


def test_a_scheduled_one_tells_its_time() -> None:
    when = {"scheduledDeliveryDate": "21/10/2030", "time": 9, "minute": 0}
    told = json.loads(ask(post("rcs/send", wish(**when)), accepted).body)
    assert told["scheduledDeliveryDate"] == "2030-10-21 09:00:00"


def test_in_a_query_the_fallback_is_json_text() -> None:
    request = get("rcs/send", phoneNumbers="0612345678", failover=json.dumps({"Message": "Salut"}))
    assert read(request).text == "Salut"


@pytest.mark.parametrize("failover", [None, "", {}, [], "x", "{", 7])
def test_without_a_fallback_it_is_denied(failover: object) -> None:
    assert code_of(ask(post("rcs/send", wish(failover=failover)), never)) == 40


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"phoneNumbers": None}, 2),
        ({"phoneNumbers": ["06"] * 501}, 50),
        ({"failover": {"sender": "a&b", "message": "x"}}, 44),
        ({"failover": {"message": "x" * 1_600}}, 52),
    ],
)
def test_it_is_refused_as_a_send_is(values: dict[str, Any], code: int) -> None:
    assert code_of(ask(post("rcs/send", wish(**values)), never)) == code


def test_a_fallback_without_a_text_breaks_the_rules_of_its_field() -> None:
    body = json.loads(ask(post("rcs/send", wish(failover={"sender": "SHOP"})), never, account()).body)
    assert (body["code"], body["errors"][0]["elementId"]) == (9, "children[message].data")
