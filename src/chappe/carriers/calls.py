"""Carriers whose services call us: receipts and replies that come as requests to an address which Chappe gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from chappe.carriers import MessageIn, ReceiptIn
from chappe.core.http import Request, Response


class Calls(Protocol):
    """How one carrier's service calls us. Pure."""

    secret: str
    """What the address has in it; empty: the service has none, and is not listened to."""

    def is_genuine(self, request: Request, now_s: float) -> bool:
        """Whether the signature is right, where the carrier asks for one. now_s: seconds since 1970."""
        ...

    def raw(self, request: Request) -> bytes:
        """A call as it is kept; empty for one that says nothing, as browsers and checks send."""
        ...

    def receipts(self, raw: bytes) -> Sequence[ReceiptIn]:
        """The receipts in a call."""
        ...

    def replies(self, raw: bytes) -> Sequence[NamedReply]:
        """The messages of subscribers in a call."""
        ...

    def response(self) -> Response:
        """The yes that the service hears."""
        ...


class NamedReply(msgspec.Struct, frozen=True):
    """A message of a subscriber. named: its key comes of an id of the service, so that two of one key are the same."""

    message: MessageIn
    named: bool
