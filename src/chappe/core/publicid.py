"""Public ids of messages: UUIDs that carry the message id and a proof that we made them, so that none must be stored.

Layout (RFC 9562, 5.8, version 8): custom_a and custom_b, 48 + 12 bits, are the message id; custom_c, 62 bits, is a tag
keyed with the installation's secret. Guessing one that verifies takes 2^62 tries for each message id.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

MESSAGE_ID_MAX: Final = (1 << 60) - 1
_TAG_MASK: Final = (1 << 62) - 1
_PURPOSE: Final = b"chappe public id "  # the secret has other uses; a tag of one must not be valid in another
_FORM: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-8([0-9a-f]{3})-([89ab][0-9a-f]{3})-([0-9a-f]{12})", re.ASCII)


def public_id(secret: bytes, message_id: int) -> str:
    """The public id of a message: UUID text in lower case, the same whenever it is asked for.

    message_id: 0 to MESSAGE_ID_MAX.
    """
    assert 0 <= message_id <= MESSAGE_ID_MAX
    whole = message_id >> 12 << 80 | 8 << 76 | (message_id & 0xFFF) << 64 | 2 << 62 | _tag(secret, message_id)
    text = f"{whole:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def message_id_of(secret: bytes, text: str) -> int | None:
    """The message id in a public id, in either case and with white space around; None unless we made it."""
    found = _FORM.fullmatch(text.strip().lower())
    if found is None:
        return None
    message_id = int(found[1] + found[2] + found[3], 16)
    tag = int(found[4] + found[5], 16) & _TAG_MASK
    expected = _tag(secret, message_id)
    return message_id if hmac.compare_digest(tag.to_bytes(8), expected.to_bytes(8)) else None


def _tag(secret: bytes, message_id: int) -> int:
    return int.from_bytes(hmac.digest(secret, _PURPOSE + message_id.to_bytes(8), "sha256")[:8]) & _TAG_MASK
