"""Settings of carriers over HTTP: what is refused, and how they combine."""

from __future__ import annotations

import pytest

from chappe.carriers.http.options import Meaning, Rule
from chappe.carriers.http.profiles import address, callback_url, profile

URL = {"url": "https://gateway.example/send"}


@pytest.mark.parametrize(
    ("preset", "settings", "words"),
    [
        ("twillio", {}, "did you mean twilio"),
        ("custom", {}, "url: expected a URL"),
        ("custom", {"url": "ftp://x/"}, "url: expected a URL"),
        ("custom", {"url": "https://{user}/"}, "url: expected a URL"),
        ("custom", {"url": "https://u:p@host/"}, "user and password do not belong here"),
        ("custom", {"url": "https://[::1/"}, "url: expected a URL"),
        ("custom", {**URL, "tiemout_s": "3"}, "did you mean timeout_s"),
        ("custom", {**URL, "timeout_s": "0"}, "timeout_s: '0' is not usable; expected a number from 1 to 300"),
        ("custom", {**URL, "timeout_s": "nan"}, "timeout_s: 'nan' is not usable"),
        ("custom", {**URL, "timeout_s": "x"}, "'x' is not usable; expected a number"),
        ("custom", {**URL, "breaker_failures": "1.5"}, "expected a whole number from 1 to 1000"),
        ("custom", {**URL, "method": "DELETE"}, "method: 'DELETE' is not one of"),
        ("custom", {**URL, "body": "{"}, "body: expected a JSON object"),
        ("custom", {**URL, "body": "[]"}, "body: expected a JSON object"),
        ("custom", {**URL, "body": '{"a":"{phone}"}'}, "unknown variable {phone}"),
        ("custom", {**URL, "body": '{"a":' * 20 + "1" + "}" * 20}, "levels"),
        ("custom", {**URL, "codes": "1=maybe"}, "codes: 'maybe' is not one of"),
        ("custom", {**URL, "codes": "nonsense"}, "expected KEY=WORD"),
        ("custom", {**URL, "receipt_states": "ok=done"}, "'done' is not one of"),
        ("custom", {**URL, "id_path": "a b"}, "id_path: expected a path"),
        ("custom", {**URL, "taken_status": "2xx"}, "taken_status: expected statuses"),
        ("custom", {**URL, "taken_status": "200-99"}, "taken_status: expected statuses"),
        ("custom", {**URL, "callback_secret": "short"}, "callback_secret: expected at least 16"),
        ("custom", {**URL, "callback_secret": "a/b" * 10}, "callback_secret: expected at least 16"),
        ("custom", {**URL, "public_url": "sms.example.com"}, "public_url: expected a URL"),
        ("custom", {**URL, "sender": "a\nb"}, "sender: expected at most"),
        ("ovh", {"service": "sms-1"}, "consumer_key is missing"),
    ],
)
def test_what_is_refused(preset, settings, words):
    with pytest.raises(ValueError) as found:  # noqa: PT011 - the words are compared below
        profile(preset, settings)
    assert words in str(found.value)


def test_tables_add_to_those_of_the_preset_and_other_settings_replace():
    made = profile("twilio", {"codes": "21211=retry:later", "statuses": "500=retry", "validity_s": "600"})
    assert made.codes["21211"] == Rule(Meaning.RETRY, "later")
    assert made.codes["21610"] == Rule(Meaning.REFUSED, "opted_out")
    assert made.statuses["500"].meaning is Meaning.RETRY
    assert made.statuses["429"].meaning is Meaning.THROTTLE
    assert made.validity_s == 600


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x", ("a.example", 443, True)),
        ("http://a.example", ("a.example", 80, False)),
        ("http://[::1]:8080/{user}", ("::1", 8080, False)),
    ],
)
def test_where_a_url_leads(url, expected):
    assert address(url) == expected


def test_the_addresses_that_the_service_calls_need_the_public_url_and_the_secret():
    secret = "x" * 24
    assert callback_url(profile("custom", URL), "net", "receipt") == ""
    assert callback_url(profile("custom", {**URL, "public_url": "https://c.example"}), "net", "receipt") == ""
    made = profile("custom", {**URL, "public_url": "https://c.example/", "callback_secret": secret})
    assert callback_url(made, "net", "reply") == f"https://c.example/carriers/net/{secret}/reply"
