"""The first API's own samples, from their programs to the phone: sends, long numbers, credits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from clients import ask_raw, run_sample
from program import ask

if TYPE_CHECKING:
    from program import Program

PHONE = "33612345678"
NUMBER = "33700000001"
ACCEPTED = ["success", "code", "message_id", "nb_sms", "cost", "currency"]


@pytest.fixture(scope="module")
def key(program: Program) -> str:
    """The key of a customer whose /me reads like the provider's sample."""
    return program.account(
        "samples", "--email", "exemple@email.com", "--firstname", "John", "--lastname", "Doe", balance="10225.119"
    )


def balance(program: Program, key: str) -> float:
    return float(ask(f"{program.url}/v1/me?apiKey={key}").json()["credits"]["balance"])


def check_accepted(program: Program, key: str, before: float, printed: str) -> None:
    answer: dict[str, Any] = json.loads(printed)
    assert list(answer) == ACCEPTED
    assert isinstance(answer.pop("message_id"), int)
    assert answer == {"success": True, "code": 200, "nb_sms": 1, "cost": 0.038, "currency": "EUR"}
    assert round(before - balance(program, key), 6) == 0.038


def check_phone(program: Program, sender: str, text: str, to: str = "+" + PHONE) -> None:
    (shown,) = program.phones.wait_for(to)
    assert (shown["from"], shown["text"], shown["parts"]) == (sender, text, 1)


def test_the_request_of_the_introduction_is_sent(phones: Program, key: str) -> None:
    before = balance(phones, key)
    body = (
        b'{\n    "apiKey": "%s",\n    "phoneNumbers": "+33600000000",\n    "message": "Hello world"\n}\n' % key.encode()
    )
    head = f"""POST /v1/send HTTP/1.1
        Host: api.smspartner.fr
        Content-Type: application/json
        Content-Length: {len(body)}"""
    answer = ask_raw(phones.url, head, body)
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, "application/json")
    check_accepted(phones, key, before, answer.text)
    check_phone(phones, "36111", "Hello world", "+33600000000")


@pytest.mark.parametrize(
    ("sample", "arguments", "text"),
    [
        ("smspartner_vn_send.php", (), "This is your message"),
        ("smspartner_vn_send.sh", (), "test"),
        ("smspartner.py", ("send",), "a message by requests"),
    ],
)
def test_the_sample_sends_from_a_long_number(
    sample: str, arguments: tuple[str, ...], text: str, phones: Program, key: str, tmp_path: Path
) -> None:
    before = balance(phones, key)
    replacements = {
        "https://api.smspartner.fr": phones.url,
        "YOUR API KEY": key,
        "336xxxxxxxx": PHONE,
        "337xxxxxxxx": NUMBER,
    }
    check_accepted(phones, key, before, run_sample(sample, tmp_path, replacements, *arguments))
    check_phone(phones, "+" + NUMBER, text)


def test_the_request_of_the_visual_basic_sample_sends_from_a_long_number(phones: Program, key: str) -> None:
    before = balance(phones, key)
    body = f'{{"apiKey":"{key}","to":"{PHONE}","from":"{NUMBER}","message":"message de test"}}'.encode()
    head = f"""POST /v1/vn/send HTTP/1.1
        Content-Type: application/json; charset=utf-8
        Host: api.smspartner.fr
        Content-Length: {len(body)}
        Expect: 100-continue
        Connection: Keep-Alive"""
    check_accepted(phones, key, before, ask_raw(phones.url, head, body).text)
    check_phone(phones, "+" + NUMBER, "message de test")


# -- credits


def check_credits(printed: str) -> None:
    """The provider's own sample has 10225.119 EUR; what the other tests of this module spent is some cents."""
    answer: dict[str, Any] = json.loads(printed)
    assert list(answer) == ["success", "code", "user", "credits"]
    assert answer["success"] is True
    assert answer["code"] == 200
    assert answer["user"] == {"username": "exemple@email.com", "firstname": "John", "lastname": "Doe"}
    credits_shown = answer["credits"]
    balance_micros = round(float(credits_shown["balance"]) * 1_000_000)
    assert 10_220_000_000 < balance_micros <= 10_225_119_000
    assert credits_shown == {
        "creditSms": balance_micros // 38_000,
        "creditSmsLowCost": balance_micros // 23_000,
        "creditHlr": balance_micros // 5_000,
        "toSend": 0,
        "solde": f"{balance_micros / 1_000_000:.3f}",
        "currency": "EUR",
        "balance": f"{balance_micros / 1_000_000:.3f}",
        "creditSmsECO": balance_micros // 23_000,
    }


@pytest.mark.parametrize(
    ("sample", "arguments", "placeholder"),
    [
        ("smspartner_me.php", (), "YOUR API KEY"),
        ("smspartner_me.sh", (), "YOUR_API_KEY"),
        ("smspartner.py", ("me",), "YOUR API KEY"),
    ],
)
def test_the_sample_reads_the_credits(
    sample: str, arguments: tuple[str, ...], placeholder: str, phones: Program, key: str, tmp_path: Path
) -> None:
    replacements = {"https://api.smspartner.fr": phones.url, placeholder: key}
    check_credits(run_sample(sample, tmp_path, replacements, *arguments))


@pytest.mark.parametrize("length", ["", "Content-Length: 0"], ids=["no length", "length 0"])
def test_the_request_of_the_visual_basic_sample_reads_the_credits(length: str, phones: Program, key: str) -> None:
    head = f"""GET /v1/me?apiKey={key} HTTP/1.1
        Content-Type: application/json; charset=utf-8
        Host: api.smspartner.fr
        {length}"""
    answer = ask_raw(phones.url, head)
    assert answer.status == 200
    check_credits(answer.text)


def test_credits_in_xml_are_the_entries_of_the_sample(program: Program) -> None:
    key = program.account(
        "samples-xml", "--email", "exemple@email.com", "--firstname", "John", "--lastname", "Doe", balance="10224.688"
    )
    answer = ask(f"{program.url}/v1/me?apiKey={key}&_format=xml")
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, "application/xml")
    assert "".join(line.strip() for line in answer.text.splitlines()) == (
        "<?xml version='1.0' encoding='UTF-8'?><result><entry>true</entry><entry>200</entry><entry>"
        "<username>exemple@email.com</username><firstname>John</firstname><lastname>Doe</lastname></entry><entry>"
        "<entry>269070</entry><entry>444551</entry><entry>2044937</entry><entry>0</entry>"
        "<entry><![CDATA[10224.688]]></entry><entry><![CDATA[EUR]]></entry><entry><![CDATA[10224.688]]></entry>"
        "</entry></result>"
    )


def test_a_wrong_key_reads_no_credits(program: Program) -> None:
    answer = ask(f"{program.url}/v1/me?apiKey=nobody-has-this-key")
    assert answer.status == 400
    assert answer.json() == {"success": False, "code": 10, "message": "Clef API incorrecte"}
