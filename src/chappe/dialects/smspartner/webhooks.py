"""What SMS Partner v1 posts to its customers: delivery reports, replies, STOP events.

Always POST of JSON, whose field names are not those of its REST answers; the target's query is kept as it is.
"""

from __future__ import annotations

import json
from typing import Final

from chappe.core import localtime
from chappe.core.model import Reply, Report
from chappe.dialects import WebhookCall
from chappe.dialects.smspartner.render import JSON_TYPE, decimal, json_body

# The word of a state; REST answers write its first letter large, except of `ko`.
STATE_WORDS: Final = {
    "scheduled": "waiting",
    "held": "waiting",
    "queued": "waiting",
    "submitting": "waiting",
    "submitted": "waiting",
    "uncertain": "waiting",
    "delivered": "delivered",
    "undelivered": "not delivered",
    "expired": "not delivered",
    "rejected": "not delivered",
    "no_receipt": "not delivered",
    "suppressed": "ko",
    "cancelled": "ko",
    "failed": "ko",
}


def report(event: Report) -> WebhookCall:
    """A delivery report: one number, one change of status."""
    written = event.client_reference or event.tag  # a tag that was cut comes back whole
    tag = f',"tag":{json.dumps(written)}' if written else ""
    body = (
        f'{{"status":"{STATE_WORDS[event.state]}","msgId":"{event.submission_id}","date":{int(event.at.timestamp())},'
        f'"phone":{json.dumps(event.recipient)},"cost":"{decimal(event.cost_micros)}","currency":"EUR"{tag}}}'
    )
    return WebhookCall("POST", event.target, JSON_TYPE, body.encode("ascii"))


def reply(event: Reply) -> tuple[WebhookCall, ...]:
    """A reply, as its way decides: through a short number one call; on a long number one call a part.

    A STOP is a STOP event wherever it was written, because nothing in the words of long numbers says that it is one.
    """
    if not event.long_number or event.kind == "stop":
        bodies = [_short(event)]
    elif len(event.parts) > 1:
        bodies = [_long(event, number) for number in range(1, len(event.parts) + 1)]
    else:
        bodies = [_long(event)]
    return tuple(WebhookCall("POST", event.target, JSON_TYPE, json_body(body)) for body in bodies)


def _short(event: Reply) -> dict[str, object]:
    return {
        "type": "stop" if event.kind == "stop" else "response",
        "phone_number": event.number,
        "text": event.text,
        "message_id": event.submission_id,  # null where nobody knows what it answers
    }


def _long(event: Reply, part: int = 0) -> dict[str, object]:
    """part: which one, from 1, of a reply that came in several; 0: the whole."""
    first = event.text.split(None, 1)[:1]
    keyword = first[0] if first else ""
    body: dict[str, object] = {
        "msisdn": event.number.removeprefix("+"),
        "to": event.to.removeprefix("+"),
        "messageId": _uuid(event.id, part),
        "text": event.parts[part - 1] if part else event.text,
        "type": "text",
        # The provider's samples: as written in a short reply, in capitals in a long one.
        "keyword": keyword.upper() if part else keyword,
        "message-timestamp": localtime.written(event.at),
    }
    if part:
        body["concat"] = "true"
        body["concat-ref"] = str(event.reference)
        body["concat-total"] = str(len(event.parts))
        body["concat-part"] = str(part)
    return body


def _uuid(reply_id: int, part: int) -> str:
    """The id of one call, the same in each attempt to tell it: a UUID of version 8 (RFC 9562, 5.8) of both numbers."""
    assert 0 <= reply_id < 1 << 48 and 0 <= part < 1 << 12  # noqa: PT018 - one range, two numbers
    return f"{reply_id >> 16:08x}-{reply_id & 0xFFFF:04x}-8{part:03x}-8000-000000000000"
