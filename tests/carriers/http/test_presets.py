"""Each preset against what public clients of that service send and expect."""
# ruff: noqa: E501 - calls as they come over the wire

from __future__ import annotations

import hashlib
import json
from urllib.parse import parse_qs

import pytest

from chappe.carriers import Outgoing
from chappe.carriers.http.answers import Verdict, judge
from chappe.carriers.http.callbacks import Receipt, Reply, raw_of, receipts, replies
from chappe.carriers.http.options import OPTIONS, HttpProfile, Meaning
from chappe.carriers.http.presets import PRESETS
from chappe.carriers.http.profiles import profile
from chappe.carriers.http.requests import Account, request
from chappe.core.lifecycle import State

SECRET = "abcdefghijklmnopqrstuvwx"
MESSAGE = Outgoing(message_id=65_537, recipient="+33600000001", sender="Chappe", text="Votre code : 123 €")
CHINESE = Outgoing(message_id=65_538, recipient="+33600000001", sender="Chappe", text="你好", flash=True)
HERE = {"public_url": "https://sms.example.com/", "callback_secret": SECRET}
NEEDED = {"ovh": {"service": "sms-ab1234-1", "consumer_key": "CK"}, "custom": {"url": "https://gateway.example/send"}}
AT_S = 1_900_000_000.0


def made(preset: str, **settings: str) -> HttpProfile:
    return profile(preset, {**NEEDED.get(preset, {}), **settings})


def sent(preset: str, message: Outgoing = MESSAGE, **settings: str):
    return request(message, made(preset, **settings), Account("net", "USER", "KEY"), AT_S)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_profile(preset):
    assert made(preset).url.startswith("https://")


@pytest.mark.parametrize("name", OPTIONS)
def test_every_setting_has_a_help_and_says_what_is_allowed(name):
    assert OPTIONS[name].help
    assert OPTIONS[name].allowed


def test_smspartner_gets_json_with_the_key_in_it():
    out = sent("smspartner", **HERE)
    assert (out.method, out.url, out.content_type) == ("POST", "https://api.smspartner.fr/v1/send", "application/json")
    assert json.loads(out.body) == {
        "apiKey": "KEY",
        "phoneNumbers": "+33600000001",
        "message": "Votre code : 123 €",
        "sender": "Chappe",
        "gamme": 1,
        "urlDlr": f"https://sms.example.com/carriers/net/{SECRET}/receipt",
        "urlResponse": f"https://sms.example.com/carriers/net/{SECRET}/reply",
    }
    assert json.loads(sent("smspartner", CHINESE).body)["isUnicode"] == 1
    assert json.loads(sent("smspartner", service="2").body)["gamme"] == 2
    assert "urlDlr" not in json.loads(sent("smspartner").body)


def test_allmysms_gets_json_and_basic_authentication():
    out = sent("allmysms")
    assert (out.method, out.url) == ("POST", "https://api.allmysms.com/sms/send/")
    assert out.headers["Authorization"] == "Basic VVNFUjpLRVk="
    assert json.loads(out.body) == {
        "from": "Chappe",
        "to": "33600000001",
        "text": "Votre code : 123 €",
        "cliMsgId": "65537",
    }


def test_twilio_gets_a_form_and_basic_authentication():
    out = sent("twilio", **HERE)
    assert out.url == "https://api.twilio.com/2010-04-01/Accounts/USER/Messages.json"
    assert out.content_type == "application/x-www-form-urlencoded"
    assert out.headers["Authorization"] == "Basic VVNFUjpLRVk="
    assert parse_qs(out.body.decode()) == {
        "To": ["+33600000001"],
        "From": ["Chappe"],
        "Body": ["Votre code : 123 €"],
        "ValidityPeriod": ["36000"],
        "StatusCallback": [f"https://sms.example.com/carriers/net/{SECRET}/receipt"],
    }
    service = parse_qs(sent("twilio", service="MG0123", sender="+33700000000").body.decode())
    assert (service["MessagingServiceSid"], service["From"]) == (["MG0123"], ["+33700000000"])


def test_ovh_gets_a_signed_job():
    out = sent("ovh")
    url = "https://eu.api.ovh.com/1.0/sms/sms-ab1234-1/jobs"
    assert (out.method, out.url) == ("POST", url)
    assert json.loads(out.body) == {
        "receivers": ["+33600000001"],
        "message": "Votre code : 123 €",
        "sender": "Chappe",
        "charset": "UTF-8",
        "coding": "7bit",
        "class": "phoneDisplay",
        "noStopClause": True,
        "priority": "high",
        "senderForResponse": False,
        "validityPeriod": 2_880,
    }
    assert (out.headers["X-Ovh-Application"], out.headers["X-Ovh-Consumer"]) == ("USER", "CK")
    assert out.headers["X-Ovh-Timestamp"] == "1900000000"
    signed = hashlib.sha1(f"KEY+CK+POST+{url}+{out.body.decode()}+1900000000".encode()).hexdigest()
    assert out.headers["X-Ovh-Signature"] == "$1$" + signed
    chinese = json.loads(sent("ovh", CHINESE).body)
    assert (chinese["coding"], chinese["class"]) == ("8bit", "flash")


def test_smsgate_gets_one_number_and_asks_for_a_report():
    out = sent("smsgate")
    assert out.url == "https://api.sms-gate.app/3rdparty/v1/messages"
    assert json.loads(out.body) == {
        "textMessage": {"text": "Votre code : 123 €"},
        "phoneNumbers": ["+33600000001"],
        "withDeliveryReport": True,
        "ttl": 86_400,
    }
    assert json.loads(sent("smsgate", service="2").body)["simNumber"] == 2
    assert sent("smsgate", url="http://192.168.1.10:8080/messages").url == "http://192.168.1.10:8080/messages"


@pytest.mark.parametrize(("preset", "name"), [("smspartner", "sender"), ("allmysms", "from"), ("ovh", "sender")])
def test_a_number_as_sender_is_left_to_services_that_put_their_short_code(preset, name):
    nameless = Outgoing(message_id=1, recipient="+33600000001", sender="36111", text="x")
    fields = json.loads(sent(preset, nameless).body)
    assert name not in fields
    assert fields.get("senderForResponse", True)
    assert json.loads(sent(preset, nameless, sender="Shop").body)[name] == "Shop"


def test_a_sending_window_that_closes_bounds_the_validity():
    closing = Outgoing(1, "+33600000001", "Chappe", "x", valid_until=AT_S + 90)
    assert json.loads(sent("smsgate", closing).body)["ttl"] == 90
    assert json.loads(sent("ovh", closing).body)["validityPeriod"] == 1
    assert json.loads(sent("smsgate", Outgoing(1, "+33600000001", "C", "x", valid_until=AT_S - 5)).body)["ttl"] == 1


# What services answer: preset, status, body, verdict.
ANSWERS = [
    ("smspartner", 200, {"success": True, "code": 200, "message_id": 95_000_001, "cost": 0.045}, ("taken", "95000001")),
    (
        "smspartner",
        200,
        {"success": False, "code": 10, "message": "Clef API incorrecte"},
        ("config", "credentials_refused"),
    ),
    ("smspartner", 400, {"success": False, "code": 11, "message": "Crédit insuffisant"}, ("config", "credit")),
    (
        "smspartner",
        400,
        {"success": False, "code": 9, "error": [{"elementId": "x", "message": "y"}]},
        ("refused", "request_refused"),
    ),
    ("smspartner", 400, {"success": False, "code": 44, "message": "émetteur"}, ("refused", "sender")),
    ("smspartner", 500, {"success": False, "code": 500, "message": "file d'attente"}, ("retry", "service_unavailable")),
    ("smspartner", 429, {"success": False, "code": 429}, ("throttle", "too_many_requests")),
    ("allmysms", 201, {"code": 100, "description": "ok", "smsId": "5f1c-2a", "nbSms": 1}, ("taken", "5f1c-2a")),
    ("allmysms", 201, {"code": "101", "description": "scheduled", "smsId": "5f1c"}, ("taken", "5f1c")),
    ("allmysms", 401, {"code": 102, "description": "Invalid credentials"}, ("config", "credentials_refused")),
    ("allmysms", 400, {"code": 114, "description": "No valid phone number"}, ("refused", "number")),
    ("twilio", 201, {"sid": "SM1", "status": "queued", "error_code": None}, ("taken", "SM1")),
    ("twilio", 400, {"code": 21211, "message": "Invalid 'To'", "status": 400}, ("refused", "number")),
    ("twilio", 400, {"code": 21610, "message": "unsubscribed", "status": 400}, ("refused", "opted_out")),
    ("twilio", 401, {"code": 20003, "message": "Authenticate", "status": 401}, ("config", "credentials_refused")),
    ("twilio", 429, {"code": 20429, "message": "Too Many Requests"}, ("throttle", "too_many_requests")),
    ("twilio", 400, {"code": 99_999, "message": "unknown to us"}, ("refused", "request_refused")),
    (
        "ovh",
        200,
        {"ids": [1234], "validReceivers": ["+336"], "invalidReceivers": [], "totalCreditsRemoved": 1},
        ("taken", "1234"),
    ),
    ("ovh", 200, {"ids": [], "validReceivers": [], "invalidReceivers": ["+336"]}, ("refused", "request_refused")),
    (
        "ovh",
        403,
        {"message": "This credential is not valid", "errorCode": "INVALID_CREDENTIAL"},
        ("config", "access_refused"),
    ),
    ("ovh", 400, {"message": "sender is not valid"}, ("refused", "request_refused")),
    ("smsgate", 202, {"id": "PyDmBQZZXYmyxMwED8Fzy", "state": "Pending"}, ("taken", "PyDmBQZZXYmyxMwED8Fzy")),
    ("smsgate", 401, {"message": "Unauthorized"}, ("config", "credentials_refused")),
    ("smsgate", 400, {"message": "invalid phone number"}, ("refused", "request_refused")),
    # Whoever: the service failed in the middle, and may have taken the message.
    ("twilio", 500, {"message": "oops"}, ("doubt", "service_failed")),
    ("twilio", 502, None, ("doubt", "service_failed")),
    ("twilio", 503, None, ("retry", "service_unavailable")),
    ("twilio", 201, None, ("doubt", "unreadable_answer")),
    ("twilio", 302, None, ("config", "redirected")),
    ("twilio", 404, None, ("config", "address_unknown")),
]


@pytest.mark.parametrize(("preset", "status", "body", "expected"), ANSWERS)
def test_what_an_answer_means(preset, status, body, expected):
    octets = b"<html>" if body is None else json.dumps(body).encode()
    verdict = judge(status, octets, made(preset))
    meaning, word = expected
    assert verdict.meaning == Meaning(meaning), verdict
    assert (verdict.reference if verdict.meaning is Meaning.TAKEN else verdict.reason) == word


def test_a_service_that_answers_no_json_is_taken_by_its_status_alone():
    assert judge(200, b"OK", made("custom")) == Verdict(Meaning.TAKEN)
    assert judge(200, b"OK", made("custom", id_path="id")).meaning is Meaning.DOUBT


def posted(values: object) -> bytes:
    return raw_of("application/json", b"", json.dumps(values).encode())


def form(fields: str) -> bytes:
    return raw_of("application/x-www-form-urlencoded", b"", fields.encode())


def got(query: str) -> bytes:
    return raw_of("", query.encode(), b"")


D, U, R = int(State.DELIVERED), int(State.UNDELIVERED), int(State.REJECTED)
RECEIPTS = [
    (
        "smspartner",
        posted({"status": "delivered", "msgId": "95000001", "date": 1771941463, "phone": "+33600000001", "cost": "0.049"}),
        Receipt("95000001", "33600000001", D, "delivered", "", True),
    ),
    ("smspartner", posted({"status": "not delivered", "msgId": "7", "phone": "+336"}), Receipt("7", "336", U, "not delivered", "", True)),
    ("smspartner", posted({"status": "waiting", "msgId": "7", "phone": "+336"}), Receipt("7", "336", None, "waiting", "", True)),
    ("smspartner", posted({"status": "ko", "msgId": 7}), Receipt("7", "", R, "ko", "", True)),
    (
        "allmysms",
        got("smsId=5f1c&receptionDate=2030-01-31%2008%3A30%3A12&phoneNumber=33612345678&campaignId=4587&status=1&statusText=Delivered"),
        Receipt("5f1c", "33612345678", D, "1", "Delivered", True),
    ),
    ("allmysms", form("smsId=5f1c&phoneNumber=33612345678&status=5&statusText=Rejected"), Receipt("5f1c", "33612345678", R, "5", "Rejected", True)),
    (
        "twilio",
        form("SmsSid=SM1&SmsStatus=delivered&MessageStatus=delivered&To=%2B33600000001&MessageSid=SM1&AccountSid=AC1&From=%2B1555&ApiVersion=2010-04-01"),
        Receipt("SM1", "33600000001", D, "delivered", "", True),
    ),
    (
        "twilio",
        form("MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30003&To=%2B336"),
        Receipt("SM1", "336", U, "undelivered", "30003", True, "absent_subscriber"),
    ),
    ("twilio", form("MessageSid=SM1&MessageStatus=sent&To=%2B336"), Receipt("SM1", "336", None, "sent", "", True)),
    ("twilio", form("MessageSid=SM1&MessageStatus=partially_delivered"), Receipt("SM1", "", None, "partially_delivered", "", False)),
    ("ovh", got("id=1234&ptt=4&date=2026-01-02&description=1&descriptionDlr=Success"), Receipt("1234", "", D, "1", "4", True)),
    ("ovh", got("id=1234&ptt=23&description=2&descriptionDlr=Failed"), Receipt("1234", "", U, "2", "23", True, "unknown_subscriber")),
    ("ovh", got("id=1234&ptt=3&description=8"), Receipt("1234", "", None, "8", "3", True)),
    (
        "smsgate",
        posted({"event": "sms:delivered", "id": "e", "webhookId": "w", "deviceId": "d",
                "payload": {"messageId": "Py", "phoneNumber": "+33600000001", "simNumber": 1, "deliveredAt": "2026"}}),
        Receipt("Py", "33600000001", D, "sms:delivered", "", True),
    ),
    (
        "smsgate",
        posted({"event": "sms:failed", "payload": {"messageId": "Py", "phoneNumber": "+336", "reason": "RESULT_ERROR_LIMIT_EXCEEDED"}}),
        Receipt("Py", "336", U, "sms:failed", "RESULT_ERROR_LIMIT_EXCEEDED", True),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("preset", "raw", "expected"), RECEIPTS)
def test_how_a_receipt_is_read(preset, raw, expected):
    assert receipts(raw, made(preset)) == [expected]


REPLIES = [
    (
        "smspartner",
        posted({"type": "response", "phone_number": "+33600000001", "text": "test", "message_id": 1111111}),
        Reply("33600000001", "36000", "test", ""),
    ),
    ("smspartner", posted({"type": "stop", "phone_number": "+33600000001", "text": "Stop", "message_id": None}), Reply("33600000001", "36000", "Stop", "")),
    (
        "smspartner",
        posted({"msisdn": "33600000001", "to": "33700000001", "messageId": "02", "text": "Ça", "type": "text", "keyword": "ÇA",
                "concat": "true", "concat-ref": "171", "concat-total": "2", "concat-part": "1"}),
        Reply("33600000001", "33700000001", "Ça", "02", "171", 2, 1),
    ),
    (
        "allmysms",
        got("smsMoId=12&smsId=5f1c&receptionDate=x&phoneNumber=33612345678&campaignId=4587&message=STOP%20merci"),
        Reply("33612345678", "36000", "STOP merci", "12"),
    ),
    (
        "twilio",
        form("MessageSid=SM9&From=%2B33600000001&To=%2B33700000000&Body=Oui+%C3%A0+midi&NumMedia=0&NumSegments=1"),
        Reply("33600000001", "33700000000", "Oui à midi", "SM9"),
    ),
    ("twilio", form("MessageSid=SM9&From=%2B336&To=%2B337&Body="), Reply("336", "337", "", "SM9")),
    (
        "ovh",
        form("id=77&senderid=%2B33600000001&shortcode=38069&message=oui&tag=t"),
        Reply("33600000001", "38069", "oui", "77"),
    ),
    (
        "smsgate",
        posted({"event": "sms:received", "payload": {"messageId": "abc123", "message": "Android!", "phoneNumber": "+33600000001",
                                                     "simNumber": 1, "receivedAt": "2024-06-22T15:46:11.000+07:00"}}),
        Reply("33600000001", "36000", "Android!", "abc123"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("preset", "raw", "expected"), REPLIES)
def test_how_a_reply_is_read(preset, raw, expected):
    assert replies(raw, made(preset, number="36000")) == [expected]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n",
        posted([]),
        posted([[[]]]),
        posted({"payload": []}),
        posted(12),
        raw_of("application/json", b"", b"{" * 50_000),
        raw_of("application/json", b"", b"[" * 50_000),
        form("a=1&" * 2_000),
        form("%ff%fe=%00&smsId=%00"),
        raw_of("text/xml", b"x" * 10, b"<a/>"),
    ],
)
def test_a_call_that_says_nothing_is_no_receipt_and_no_reply(preset, raw):
    assert receipts(raw, made(preset)) == []
    assert replies(raw, made(preset)) == []
