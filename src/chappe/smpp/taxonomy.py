"""What an SMPP command_status or a receipt's error code means for us: one class, one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ErrorClass(StrEnum):
    """What to do about an answer; the queue acts on it, this file only names it."""

    OK = "ok"
    THROTTLE = "throttle"  # slow the carrier, keep the message first, no attempt counted
    TEMPORARY = "temporary"  # retry later, one attempt
    LINK = "link"  # the session is unusable: reconnect, requeue, no attempt counted
    AUTH = "auth"  # credentials refused: slow retry, alarm
    NUMBER = "number"  # this destination: final
    SENDER = "sender"  # this sender on this carrier: final, or another route
    MESSAGE = "message"  # this content or size: final
    CONFIG = "config"  # every message would fail: circuit breaker
    BUG = "bug"  # ours: final for the part, alarm
    REQUEST = "request"  # answer to query, cancel, replace, multi: to the caller


class ReceiptState(StrEnum):
    """What became of the part."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    DELETED = "deleted"
    IN_TRANSIT = "in_transit"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether nothing more is to come."""
        return self not in (ReceiptState.IN_TRANSIT, ReceiptState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One code judged: its class, a stable reason word, a sentence, the attempts allowed (None: the queue's own)."""

    error_class: ErrorClass
    reason: str
    sentence: str
    attempts_max: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a carrier's own table: `code` (status as an int, receipt code as text) and what it means there."""

    code: int | str
    error_class: ErrorClass
    reason: str = ""
    sentence: str = ""

    @staticmethod
    def receipt_key(code: str) -> str:
        """The form under which receipt codes compare: trimmed, upper case, no leading zeros ("006" and "6" are one)."""
        trimmed = code.strip(" \x00").upper()
        return trimmed.lstrip("0") or trimmed[-1:]
