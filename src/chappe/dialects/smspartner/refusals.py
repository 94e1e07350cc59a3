"""What only requests of SMS Partner can be refused for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec

from chappe.core.errors import REFUSALS as COMMON
from chappe.core.errors import Refusal

REFUSALS: Final[Mapping[str, str]] = {
    "violations": "fields of the request break rules; see the list",
    "text_too_long": "the text is longer than the limit",
    "lowcost_too_long": "a low-cost message has one part only",
    "lowcost_unavailable": "the low-cost range is not available",
    "sender_missing": "a sender is required here",
    "sender_invalid": "the sender has not the form of one",
    "time_invalid": "the hour is not an hour",
    "minute_invalid": "the minute is not a number",
    "minute_step": "the minute is not a multiple of five",
    "date_invalid": "the date is not a date",
    "unicode_unavailable": "Unicode is not enabled for the account",
}


class SmsPartnerRefusal(Refusal):
    """A refusal of this API: `code` is a key of REFUSALS, or of those that every API has."""

    CODES: ClassVar[Mapping[str, str]] = {**COMMON, **REFUSALS}


class Violation(msgspec.Struct, frozen=True):
    """One field that breaks one rule.

    field: the neutral name (message, recipients, sender, date, minute, time, tag); rule: what is broken (required,
    invalid, too_long, past); value: what was written, for texts that quote it.
    """

    field: str
    rule: str
    value: str = ""


class Violations(SmsPartnerRefusal):
    """Fields of the request break rules: all of them, in the order in which the provider lists them."""

    def __init__(self, items: tuple[Violation, ...]) -> None:
        super().__init__("violations", items=items)
        self.items = items
