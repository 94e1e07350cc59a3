"""The whole taxonomy of trouble: Refusal (theirs), Fault (the world's); a bug of ours is an assert.

    Exception
    +-- Refusal            the customer asked for something that we refuse; `code` says why (REFUSALS)
    |   +-- Violations     several fields of one request are wrong, all told at once
    +-- Fault              the world failed us; `kind` says what may be done about it (FaultKind)

A Refusal crosses the rooms as an exception inside one, and as a value in the outcomes of a batch: one refused
command never fails its neighbours. Dialects translate codes into their provider's numbers and words, and have an
answer for each code of REFUSALS.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

import msgspec

REFUSALS: Final[Mapping[str, str]] = {
    "unreadable": "the body cannot be read",
    "body_too_large": "the body is larger than this server takes",
    "key_missing": "no API key was given",
    "key_unknown": "no account has these credentials",
    "account_disabled": "the account is disabled",
    "account_blocked": "the account is blocked",
    "access_denied": "the account has no access to this call",
    "address_refused": "the caller's address is not on the account's list",
    "recipients_missing": "no recipient was given",
    "recipients_too_many": "more recipients than one request may have",
    "recipients_unusable": "no recipient is left that can be sent to",
    "price_missing": "no price is known for the recipients",
    "violations": "fields of the request break rules; see the list",
    "text_missing": "the message text is empty",
    "text_absent": "the flow has no message text",
    "text_too_long": "the text is longer than the limit",
    "lowcost_too_long": "a low-cost message has one part only",
    "lowcost_unavailable": "the low-cost range is not available",
    "sender_missing": "a sender is required here",
    "sender_invalid": "the sender has not the form of one",
    "sender_refused": "the sender is not allowed for this account",
    "time_invalid": "the hour is not an hour",
    "minute_invalid": "the minute is not a number",
    "minute_step": "the minute is not a multiple of five",
    "date_invalid": "the date is not a date",
    "window_hour": "commercial messages may not be sent at that hour",
    "window_day": "commercial messages may not be sent on that day",
    "unicode_unavailable": "Unicode is not enabled for the account",
    "credit_none": "no credit is left",
    "credit_short": "the credit does not suffice",
    "flow_empty": "the flow is empty",
    "flow_invalid": "the flow is not well formed",
    "client_empty": "the client code in the flow is empty",
    "client_wrong": "the client code in the flow is not the account's",
    "recipient_absent": "a recipient block has no number",
    "link_too_long": "the link is longer than 80 characters",
    "master_unknown": "the master account does not exist",
    "repeated": "a request with this identifier was accepted within the last day",
    "not_found": "there is nothing of that name here",
    "too_many_requests": "too many requests; slow down",
    "number_limit": "the account has sent very many messages to one of the numbers within this hour",
    "country_limit": "the account has sent very many messages to one of the countries on this day",
    "spend_limit": "the account has spent as much as it may within this hour or day",
    "sandbox_limit": "the account has sent as many sandbox messages as it may on this day",
    "opt_out_limit": "the account has put as many numbers on its STOP list as it may on this day",
    "queue_failed": "the message could not be stored",
}


class Refusal(Exception):
    """The customer's request is refused: `code` (a key of REFUSALS), and what the dialect's text needs in `values`."""

    def __init__(self, code: str, **values: Any) -> None:
        assert code in REFUSALS, code
        super().__init__(REFUSALS[code])
        self.code = code
        self.values = values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r})"  # values may hold numbers and texts: never in a log


class Violation(msgspec.Struct, frozen=True):
    """One field that breaks one rule.

    field: the neutral name (message, recipients, sender, date, minute, time, tag); rule: what is broken (required,
    invalid, too_long, past); value: what was written, for texts that quote it.
    """

    field: str
    rule: str
    value: str = ""


class Violations(Refusal):
    """Fields of the request break rules: all of them, in the order in which the dialect lists them."""

    def __init__(self, items: tuple[Violation, ...]) -> None:
        super().__init__("violations", items=items)
        self.items = items


class FaultKind(enum.Enum):
    """What may be done about a fault: the only classes of the world's trouble. Whoever speaks a protocol translates its
    codes into them, by one table."""

    PERMANENT = "permanent"  # refused for good
    TEMPORARY = "temporary"  # it may work later: costs an attempt
    THROTTLED = "throttled"  # too fast, or a queue is full: later and slower, costs no attempt
    BLOCKED = "blocked"  # nothing like it is taken now (a wrong setting): tried in a while, costs no attempt
    UNSENT = "unsent"  # certainly not sent, through no fault of its own: costs no attempt
    IN_DOUBT = "in_doubt"  # sent, and no answer: nobody knows
    UNSENDABLE = "unsendable"  # it could not even be made: a bug of ours, or a text that this carrier cannot carry


class Fault(Exception):
    """The world failed us: `kind` says what may be done, `reason` is a stable word for logs and timelines."""

    def __init__(self, kind: FaultKind, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.kind = kind
        self.reason = reason
        self.detail = detail
