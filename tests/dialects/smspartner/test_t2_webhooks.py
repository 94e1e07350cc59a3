"""What SMS Partner's dialect posts: reports, replies through short and long numbers, STOP events."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.lifecycle import State
from chappe.core.model import Reply, Report
from chappe.dialects.smspartner import dialect
from chappe.dialects.smspartner.webhooks import STATE_WORDS

TARGET = "https://client.example/hook?secret=a%20b"
AT = datetime(2016, 3, 10, 8, 51, 46, tzinfo=UTC)


def reply(text: str = "test", **more: Any) -> Reply:
    values = {
        "to": "36111",
        "submission_id": 1111111,
        "parts": (text,),
        "target": TARGET,
        "dialect": "smspartner",
        **more,
    }
    return Reply(7, "+33600000001", text=text, at=AT, **values)


def long_number(text: str = "Test", **more: Any) -> Reply:
    return reply(text, **{"to": "+33700000001", "long_number": True, **more})


def test_6_1_a_report_is_the_recorded_one() -> None:
    report = Report(
        dialect="smspartner",
        submission_id=95000001,
        message_id=95000001 << 16,
        public_id="",
        recipient="+33600000001",
        state="delivered",
        at=datetime.fromtimestamp(1771941463, UTC),
        cost_micros=49_000,
        target=TARGET,
        tag="promo",
    )
    call = dialect.tell(report)
    assert (call.method, call.url, call.content_type) == ("POST", TARGET, "application/json")
    assert call.body == (
        b'{"status":"delivered","msgId":"95000001","date":1771941463,"phone":"+33600000001","cost":"0.049",'
        b'"currency":"EUR","tag":"promo"}'
    )


def test_every_state_has_a_word() -> None:
    assert set(STATE_WORDS) == {state.word for state in State}
    assert set(STATE_WORDS.values()) == {"waiting", "delivered", "not delivered", "ko"}


def test_6_2_a_reply_through_a_short_number() -> None:
    (call,) = dialect.tell_reply(reply())
    assert (call.method, call.url, call.content_type) == ("POST", TARGET, "application/json")
    assert call.body == b'{"type":"response","phone_number":"+33600000001","text":"test","message_id":1111111}'


@pytest.mark.parametrize("made", [reply("Stop", kind="stop"), long_number("Stop", kind="stop")])
def test_6_2_a_stop_is_an_event_wherever_it_was_written(made: Reply) -> None:
    (call,) = dialect.tell_reply(made)
    assert call.body == b'{"type":"stop","phone_number":"+33600000001","text":"Stop","message_id":1111111}'


def test_a_start_is_a_response() -> None:
    assert json.loads(dialect.tell_reply(reply("START", kind="start"))[0].body)["type"] == "response"


def test_a_reply_to_nothing_known_has_no_message() -> None:
    assert json.loads(dialect.tell_reply(reply(submission_id=None))[0].body)["message_id"] is None


def test_a_long_reply_through_a_short_number_is_told_whole() -> None:
    (call,) = dialect.tell_reply(reply("ab", parts=("a", "b"), reference=171))
    assert json.loads(call.body)["text"] == "ab"


def test_6_3_a_reply_on_a_long_number() -> None:
    (call,) = dialect.tell_reply(long_number("Test de réponse"))
    body = json.loads(call.body)
    assert call.body.isascii()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", body.pop("messageId"))
    assert list(body.items()) == [
        ("msisdn", "33600000001"),
        ("to", "33700000001"),
        ("text", "Test de réponse"),
        ("type", "text"),
        ("keyword", "Test"),
        ("message-timestamp", "2016-03-10 09:51:46"),
    ]


def test_6_3_a_long_reply_is_one_call_a_part() -> None:
    calls = dialect.tell_reply(long_number("Voici la suite", parts=("Voici la ", "suite"), reference=171))
    bodies = [json.loads(call.body) for call in calls]
    assert [body["text"] for body in bodies] == ["Voici la ", "suite"]
    assert [[body[f"concat{name}"] for name in ("", "-ref", "-total", "-part")] for body in bodies] == [
        ["true", "171", "2", "1"],
        ["true", "171", "2", "2"],
    ]
    assert [body["keyword"] for body in bodies] == ["VOICI", "VOICI"]
    assert list(bodies[0]) == [
        "msisdn",
        "to",
        "messageId",
        "text",
        "type",
        "keyword",
        "message-timestamp",
        "concat",
        "concat-ref",
        "concat-total",
        "concat-part",
    ]


def test_ids_of_calls_stay_the_same_and_differ_from_each_other() -> None:
    event = long_number("ab", parts=("a", "b"))
    first = [json.loads(call.body)["messageId"] for call in dialect.tell_reply(event)]
    assert first == [json.loads(call.body)["messageId"] for call in dialect.tell_reply(event)]
    assert len(set(first)) == 2


@given(
    st.text(max_size=30),
    st.lists(st.text(max_size=5), max_size=4),
    st.booleans(),
    st.sampled_from(["response", "stop", "start"]),
    st.integers(1, (1 << 48) - 1),
)
def test_any_reply_is_told_and_nothing_of_it_is_lost(
    text: str, parts: list[str], is_long: bool, kind: str, reply_id: int
) -> None:
    event = Reply(
        reply_id, "+33600000001", "+33700000001", text, AT, kind, parts=tuple(parts), long_number=is_long, target=TARGET
    )
    calls = dialect.tell_reply(event)
    texts = [json.loads(call.body.decode("ascii"))["text"] for call in calls]
    assert texts == (parts if is_long and kind != "stop" and len(parts) > 1 else [text])
