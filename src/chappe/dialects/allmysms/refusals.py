"""What only requests of AllMySMS can be refused for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from chappe.core.errors import REFUSALS as COMMON
from chappe.core.errors import Refusal

REFUSALS: Final[Mapping[str, str]] = {
    "text_missing": "the message text is empty",
    "text_absent": "the flow has no message text",
    "text_too_long": "the text is longer than the limit",
    "sender_invalid": "the sender has not the form of one",
    "date_invalid": "the date is not a date",
    "flow_empty": "the flow is empty",
    "flow_invalid": "the flow is not well formed",
    "client_empty": "the client code in the flow is empty",
    "client_wrong": "the client code in the flow is not the account's",
    "recipient_absent": "a recipient block has no number",
    "link_too_long": "the link is longer than 80 characters",
    "list_unknown": "the list of contacts does not exist",
    "master_unknown": "the master account does not exist",
}


class AllMySmsRefusal(Refusal):
    """A refusal of this API: `code` is a key of REFUSALS, or of those that every API has."""

    CODES: ClassVar[Mapping[str, str]] = {**COMMON, **REFUSALS}
