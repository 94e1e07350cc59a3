"""The whole taxonomy of trouble: Refusal (theirs), Fault (the world's); a bug of ours is an assert.

    Exception
    +-- Refusal            the customer asked for something that we refuse; `code` says why (REFUSALS)
    |   +-- ...            one subclass a dialect, with the codes that only its own requests can meet
    +-- Fault              the world failed us; `kind` says what may be done about it (FaultKind)

A Refusal crosses the rooms as an exception inside one, and as a value in the outcomes of a batch: one refused
command never fails its neighbours. Dialects translate codes into their provider's numbers and words: each has an answer
for every code of REFUSALS, which any command can meet, and for those of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, ClassVar, Final

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
    "sender_refused": "the sender is not allowed for this account",
    "window_hour": "commercial messages may not be sent at that hour",
    "window_day": "commercial messages may not be sent on that day",
    "credit_none": "no credit is left",
    "credit_short": "the credit does not suffice",
    "repeated": "a request with this identifier was accepted within the last day",
    "not_found": "there is nothing of that name here",
    "too_many_requests": "too many requests; slow down",
    "number_limit": "the account has sent very many messages to one of the numbers within this hour",
    "country_limit": "the account has sent very many messages to one of the countries on this day",
    "spend_limit": "the account has spent as much as it may within this hour or day",
    "sandbox_limit": "the account has sent as many sandbox messages as it may on this day",
    "contact_limit": "the account has as many groups or contacts as it may have",
    "sub_accounts_denied": "the account may have no sub-accounts",
    "sub_account_limit": "the account has as many sub-accounts as it may have",
    "known": "there is one of that name or number already",
    "locked": "the list is locked",
    "opt_out_limit": "the account has put as many numbers on its STOP list as it may on this day",
    "queue_failed": "the message could not be stored",
}


class Refusal(Exception):
    """The customer's request is refused: `code` (a key of CODES), and what the dialect's text needs in `values`."""

    CODES: ClassVar[Mapping[str, str]] = REFUSALS

    def __init__(self, code: str, **values: Any) -> None:
        assert code in self.CODES, code
        super().__init__(self.CODES[code])
        self.code = code
        self.values = values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r})"  # values may hold numbers and texts: never in a log


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
