"""Every tolerance of SMS Partner's requests: bodies, labels, queries, spellings, kinds of values."""

import json
from typing import Any

import pytest

from chappe.core.errors import Refusal
from chappe.core.http import Request
from chappe.dialects.smspartner.request_parser import flag, format_of, read, text, wanted_format

BODY = b'{"apiKey":"KEY","message":"Hello"}'
VALUES = {"apiKey": "KEY", "message": "Hello"}


def values(body: bytes = b"", query: bytes = b"", label: str = "") -> dict[str, Any]:
    return read(Request("POST", "/v1/send", query, {"content-type": label} if label else {}, body))


@pytest.mark.parametrize(
    "label",
    [
        "",
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "nonsense",
    ],
)
def test_a_json_object_is_json_whatever_the_label(label: str) -> None:
    assert values(BODY, label=label) == VALUES


@pytest.mark.parametrize("before", [b"", b" ", b"\r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf "])
@pytest.mark.parametrize("after", [b"", b"\n", b"  \r\n"])
def test_blanks_and_a_byte_order_mark_around_the_object_are_skipped(before: bytes, after: bytes) -> None:
    assert values(before + BODY + after) == VALUES


@pytest.mark.parametrize(
    ("body", "label"),
    [
        (b"apiKey=KEY&message=Hello", "application/x-www-form-urlencoded"),
        (b"apiKey=KEY&message=Hello", ""),
        (b"apiKey=KEY&message=Hello", "application/json"),
        (b"\r\napiKey=KEY&message=%48ello", ""),
        (
            b'--b\r\nContent-Disposition: form-data; name="apiKey"\r\n\r\nKEY\r\n'
            b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nHello\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="apiKey"\r\n\r\nKEY\r\n'
            b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nHello\r\n--b--\r\n',
            "",
        ),
    ],
)
def test_a_form_is_read_as_leniency(body: bytes, label: str) -> None:
    assert values(body, label=label) == VALUES


@pytest.mark.parametrize(
    "body",
    [
        b'{"apiKey":"KEY",',
        b'{"apiKey":"KEY"}x',
        b"{apiKey:1}",
        b"{'apiKey':'KEY'}",
        b'{"message":"say "hello""}',
        b'{"message":"two\nlines"}',
        b'{"message":NaN}',
        b'{"message":' + b"9" * 5_000 + b"}",
        b'{"a":' * 5_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        json.dumps(dict.fromkeys(map(str, range(1_001)), 1)).encode(),
        b"[1,2]",
        b'["apiKey=KEY"]',
        b'"apiKey=KEY"',
        b"<apiKey>KEY</apiKey>",
        b"hello",
        b"\x00\xff\xfe",
        b"--",
    ],
)
def test_what_is_neither_an_object_nor_a_form_is_unreadable(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        values(body)
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_not_malformed(body: bytes) -> None:
    assert values(body, b"apiKey=KEY", "application/json") == {"apiKey": "KEY"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"apiKey=KEY", {"apiKey": "KEY"}),
        (b"?apiKey=KEY", {"apiKey": "KEY"}),
        (b"??apiKey=KEY", {"apiKey": "KEY"}),
        (b"apiKey=KEY&message=a+b%20c", {"apiKey": "KEY", "message": "a b c"}),
        (b"message=caf%C3%A9", {"message": "café"}),
        (b"message=caf%E9", {"message": "café"}),
        (b"apiKey=&message=", {}),
        (b"other=1", {}),
    ],
)
def test_the_query_is_read(query: bytes, expected: dict[str, str]) -> None:
    assert values(query=query) == expected


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (b"phoneNumbers=+33612345678", "+33612345678"),
        (b"phoneNumbers=%2B33612345678", "+33612345678"),
        (b"phoneNumbers=+33612345678,+4915112345678", "+33612345678,+4915112345678"),
        (b"phoneNumbers=++33612345678", "+33612345678"),
        (b"phoneNumbers=0612345678,+0612345679", "0612345678, 0612345679"),
        (b"PHONENUMBERS=+33612345678", "+33612345678"),
    ],
)
def test_a_plus_lost_in_the_query_is_put_back(query: bytes, numbers: str) -> None:
    assert values(query=query) == {"phoneNumbers": numbers}
    assert values(query) == {"phoneNumbers": numbers}, "a form body loses it just so"


@pytest.mark.parametrize("name", ["to", "from"])
def test_a_plus_lost_is_put_back_in_every_number_parameter(name: str) -> None:
    assert values(query=f"{name}=+33612345678".encode()) == {name: "+33612345678"}


def test_a_blank_in_a_message_is_no_plus() -> None:
    assert values(query=b"message=+33") == {"message": " 33"}


def test_query_and_body_are_merged_and_the_body_wins() -> None:
    assert values(b'{"message":"body"}', b"message=query&tag=t") == {"message": "body", "tag": "t"}


@pytest.mark.parametrize("nothing", ["null", '""', "false"])
def test_what_is_not_given_in_the_body_does_not_hide_the_query(nothing: str) -> None:
    assert values(f'{{"message":{nothing}}}'.encode(), b"message=query") == {"message": "query"}


def test_zero_is_given() -> None:
    assert values(b'{"minute":0,"time":"0"}') == {"minute": 0, "time": "0"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"APIKey":"K","To":"1","From":"2","Message":"m"}', {"apiKey": "K", "to": "1", "from": "2", "message": "m"}),
        (b'{"message":"exact","MESSAGE":"loose"}', {"message": "exact"}),
        (b'{"MESSAGE":"loose","message":"exact"}', {"message": "exact"}),
        (b'{"unknown":1,"virtualNumber":"336"}', {}),
    ],
)
def test_names_are_read_in_any_case_the_exact_one_first(body: bytes, expected: dict[str, str]) -> None:
    assert values(body) == expected


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        ('{"message":"é€"}'.encode(), "é€"),
        ('{"message":"é€"}'.encode("cp1252"), "é€"),
        (b'{"message":"\\u00e9\\ud83d\\ude00"}', "é\U0001f600"),
        (b'{"message":"\\ud83d"}', "\ud83d"),
        (b'{"message":"\x81"}', "\x81"),
    ],
)
def test_text_comes_in_utf_8_windows_1252_or_escapes(octets: bytes, message: str) -> None:
    assert values(octets) == {"message": message}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        ("  a ", "a"),
        (1, "1"),
        (33612345678, "33612345678"),
        (3.3612345678e10, "33612345678"),
        (2.5, "2.5"),
        (True, "true"),
        ([1], "[]"),
        ({"a": 1}, "{}"),
        (1e300, "1e+300"),
    ],
)
def test_values_become_text(value: object, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize("value", [1, "1", True, "true", "TRUE", " 1 ", 1.0])
def test_a_flag_is_on(value: object) -> None:
    assert flag(value) is True


@pytest.mark.parametrize("value", [0, "0", False, "false", None, "", 2, "abc", [1], "01"])
def test_a_flag_is_off(value: object) -> None:
    assert flag(value) is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [("xml", "xml"), ("XML", "xml"), ("json", "json"), ("JSON", "json"), ("yaml", "json"), (1, "json"), (None, "json")],
)
def test_the_form_of_the_answer(value: object, expected: str) -> None:
    assert format_of({"_format": value}) == expected


def test_the_form_is_found_in_the_query_when_the_body_is_unreadable() -> None:
    assert wanted_format(Request("POST", "/v1/send", b"?_format=xml", body=b"{")) == "xml"
    assert wanted_format(Request("POST", "/v1/send", body=json.dumps({"_format": "xml"}).encode())) == "xml"
