"""Signatures against values that the services publish."""

from __future__ import annotations

from chappe.carriers.http import signatures

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
# The example of Twilio's page "Security: validating requests".
FIELDS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675310"),
    ("Digits", "1234"),
    ("From", "+14158675310"),
    ("To", "+18005551212"),
]
TWILIO = "GvWf1cFY/Q7PnoempGyD5oXAezc="  # of the older example, whose form is the above and whose key is 12345


def test_twilios_own_example():
    assert signatures.twilio(URL, FIELDS, "12345") == TWILIO
    assert signatures.is_twilio(URL, FIELDS, {"x-twilio-signature": TWILIO}, "12345")
    assert not signatures.is_twilio(URL, FIELDS, {"x-twilio-signature": TWILIO}, "12346")
    assert not signatures.is_twilio(URL, FIELDS[:-1], {"x-twilio-signature": TWILIO}, "12345")
    assert not signatures.is_twilio(URL, FIELDS, {}, "12345")
    assert not signatures.is_twilio(URL, FIELDS, {"x-twilio-signature": "é"}, "12345")


def test_smsgate_signs_body_and_time():
    body, key = b'{"event":"sms:received"}', "signing key"
    signed = signatures.smsgate(body, "1900000000", key)
    headers = {"x-signature": signed, "x-timestamp": "1900000000"}
    assert len(signed) == 64
    assert signatures.is_smsgate(body, headers, key, 1_900_000_100)
    assert not signatures.is_smsgate(body + b" ", headers, key, 1_900_000_100)
    assert not signatures.is_smsgate(body, {**headers, "x-timestamp": "1900000001"}, key, 1_900_000_100)
    assert not signatures.is_smsgate(body, headers, key, 1_900_000_000 + signatures.AGE_S_MAX + 1)
    assert not signatures.is_smsgate(body, {}, key, 1_900_000_000)
