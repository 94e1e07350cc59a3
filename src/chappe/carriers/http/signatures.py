"""Signatures of services: how we sign for OVHcloud, and whether a call was signed by Twilio or SMSGate. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

AGE_S_MAX: Final = 86_400 * 3
"""SMSGate signs with the time of the event and repeats a call for two days."""


def ovh(method: str, url: str, body: bytes, secret: str, consumer_key: str, at_s: int) -> dict[str, str]:
    """The fields of a signed request (OVHcloud API, "First steps": the SHA-1 of secret, consumer key, method, URL, body
    and time, with + between them)."""
    text = "+".join((secret, consumer_key, method, url, body.decode("utf-8"), str(at_s)))
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return {"X-Ovh-Timestamp": str(at_s), "X-Ovh-Signature": f"$1${digest}"}


def twilio(url: str, fields: Sequence[tuple[str, str]], key: str) -> str:
    """X-Twilio-Signature of a call: the HMAC-SHA1 of its URL, followed by the names and values of its form, sorted."""
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def is_twilio(url: str, fields: Sequence[tuple[str, str]], headers: Mapping[str, str], key: str) -> bool:
    """Whether the call was signed with this key."""
    given = headers.get("x-twilio-signature", "")
    return hmac.compare_digest(twilio(url, fields, key).encode(), given.encode("utf-8", "replace"))


def smsgate(body: bytes, timestamp: str, key: str) -> str:
    """X-Signature of a call: the HMAC-SHA256 of its body followed by its X-Timestamp, in hexadecimal."""
    return hmac.new(key.encode(), body + timestamp.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def is_smsgate(body: bytes, headers: Mapping[str, str], key: str, now_s: float) -> bool:
    """Whether the call was signed with this key, not longer ago than AGE_S_MAX."""
    timestamp = headers.get("x-timestamp", "")
    given = headers.get("x-signature", "").lower()
    if not hmac.compare_digest(smsgate(body, timestamp, key).encode(), given.encode("utf-8", "replace")):
        return False
    return timestamp.isascii() and timestamp.isdecimal() and abs(now_s - int(timestamp[:15])) <= AGE_S_MAX
