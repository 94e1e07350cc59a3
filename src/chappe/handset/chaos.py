"""The chaos switches: how the SMSC misbehaves, as one frozen value, and the reading of it from a JSON object."""

# The calls in the defaults of Chaos are dataclasses.field with their metadata, which the linter cannot see.
# ruff: noqa: RUF009

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from chappe.handset.ids import IdFormat
from chappe.settings.words import did_you_mean
from chappe.smpp.commands import Status

_STATUS_MAX = 0xFFFFFFFF
_DELAY_MS_MAX = 72 * 3600 * 1000  # receipts as late as three days are met
_LATENCY_MS_MAX = 600_000
_SPAN_S_MAX = 86_400.0
_COUNT_MAX = 1_000_000


class ReceiptOutcome(StrEnum):
    """What receipts say, in place of delivered; `none` sends none."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    DELETED = "deleted"
    UNKNOWN = "unknown"
    NONE = "none"


class ReceiptShape(StrEnum):
    """Where a receipt says it: in the text, in TLVs, in both, or with its text in message_payload."""

    BOTH = "text+tlv"
    TEXT = "text"
    TLV = "tlv"
    PAYLOAD = "payload"


class ReceiptParts(StrEnum):
    """Which parts of a long message get a receipt."""

    ALL = "all"
    FIRST = "first"
    LAST = "last"


class ResponseFault(StrEnum):
    """What is wrong with a response."""

    SEQUENCE_ZERO = "sequence_zero"
    SEQUENCE_UNKNOWN = "sequence_unknown"
    REPEATED = "repeated"
    WRONG_TYPE = "wrong_type"
    ERROR_BODY = "error_body"
    NACK = "nack"
    NACK_WITHOUT_SEQUENCE = "nack_without_sequence"


class ReplyParts(StrEnum):
    """What happens to the parts of a long reply."""

    ORDERED = "ordered"
    SHUFFLED = "shuffled"
    REPEATED = "repeated"
    MISSING = "missing"


class Intermediate(StrEnum):
    """When intermediate notifications come: when asked for, always before the receipt, or in place of it."""

    ASKED = "asked"
    ALWAYS = "always"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class BindError:
    """Binds are refused with `status`: the next `times` of them, or for `for_s` seconds, or (both None) always."""

    status: int
    times: int | None = None
    for_s: float | None = None


class ChaosError(ValueError):
    """This is no setting of the chaos switches; the message says which key is wrong, and what it wants."""


Reader = Callable[[str, object], Any]
E = TypeVar("E", bound=StrEnum)


def _switch(default: Any, read: Reader, help: str) -> Any:
    return field(default=default, metadata={"read": read, "help": help})


def _number(low: float, high: float, unit: str = "") -> Reader:
    wanted = f"a number from {low:g} to {high:.12g}" + (f" ({unit})" if unit else "")

    def read(key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ChaosError(f"{key} wants {wanted}")
        return float(value)

    return read


def _whole(low: int, high: int, unit: str = "") -> Reader:
    wanted = f"a whole number from {low} to {high}" + (f" ({unit})" if unit else "")

    def read(key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ChaosError(f"{key} wants {wanted}")
        return value

    return read


def _optional(read: Reader) -> Reader:
    return lambda key, value: None if value is None else read(key, value)


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ChaosError(f"{key} wants true or false")
    return value


def _word(members: type[E]) -> Reader:
    def read(key: str, value: object) -> E:
        for member in members:
            if member.value == value:
                return member
        known = ", ".join(member.value for member in members)
        meant = did_you_mean(value, [member.value for member in members]) if isinstance(value, str) else ""
        raise ChaosError(f"{key} wants one of {known}{meant}")

    return read


def _status(key: str, value: object) -> int:
    """A command_status: a number, or text such as "0x58" or "RTHROTTLED"."""
    if isinstance(value, str) and value in Status.__members__:
        return int(Status[value])
    if isinstance(value, str):
        try:
            value = int(value, 0) if len(value) <= 10 else None
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _STATUS_MAX:
        raise ChaosError(f'{key} wants a command_status: a number above 0, or text such as "0x58" or "RTHROTTLED"')
    return value


def _bind_error(key: str, value: object) -> BindError:
    wanted = f'{key} wants null or an object such as {{"status": "0x0E", "times": 1}} or {{"status": 5, "for_s": 60}}'
    if not isinstance(value, dict) or "status" not in value or not value.keys() <= {"status", "times", "for_s"}:
        raise ChaosError(wanted)
    return BindError(
        _status(f"{key}.status", value["status"]),
        _optional(_whole(1, _COUNT_MAX))(f"{key}.times", value.get("times")),
        _optional(_number(0, _SPAN_S_MAX, "seconds"))(f"{key}.for_s", value.get("for_s")),
    )


_RATE = _number(0, 1)
_OFTEN = "how often, from 0 (never) to 1 (always)"


@dataclass(frozen=True, slots=True)
class Chaos:
    """Every switch with the value that changes nothing; docs/operators/handset.md has the same table."""

    seed: int | None = _switch(None, _optional(_whole(0, 2**63 - 1)), "makes all chance repeatable, from now on")
    # Responses
    error_rate: float = _switch(0.0, _RATE, f"submits answered with error_status: {_OFTEN}")
    error_every: int = _switch(0, _whole(0, _COUNT_MAX), "every Nth submit_sm is answered with error_status; 0: none")
    error_status: int = _switch(int(Status.RSYSERR), _status, "the command_status of those")
    latency_ms: int = _switch(0, _whole(0, _LATENCY_MS_MAX, "milliseconds"), "how long a response waits")
    latency_jitter_ms: int = _switch(
        0, _whole(0, _LATENCY_MS_MAX, "milliseconds"), "at most so much longer: responses lose their order"
    )
    throttle_rate: float = _switch(0.0, _RATE, f"submits answered 0x58: {_OFTEN}")
    throttle_for_s: float = _switch(0.0, _number(0, _SPAN_S_MAX, "seconds"), "from now on all submits get 0x58")
    queue_full: bool = _switch(False, _flag, "all submits get 0x14")
    drop_response_rate: float = _switch(0.0, _RATE, f"submits taken, and never answered: {_OFTEN}")
    disconnect_rate: float = _switch(0.0, _RATE, f"submits taken, then the connection is cut: {_OFTEN}")
    unbind_rate: float = _switch(0.0, _RATE, f"submits answered, then unbind is sent: {_OFTEN}")
    response_fault: ResponseFault | None = _switch(
        None, _optional(_word(ResponseFault)), "what is wrong with some responses"
    )
    response_fault_rate: float = _switch(1.0, _RATE, f"responses with that fault: {_OFTEN}")
    response_id_format: IdFormat = _switch(IdFormat.DECIMAL, _word(IdFormat), "the form of ids in responses")
    id_cycle: int = _switch(
        0, _whole(0, _COUNT_MAX), "number of different ids before they repeat; 0: they never repeat"
    )
    # Receipts
    receipt_id_format: IdFormat = _switch(IdFormat.DECIMAL, _word(IdFormat), "the form of ids in receipts")
    receipt_before_response: bool = _switch(False, _flag, "receipts come before the response")
    receipt_delay_ms: int | None = _switch(
        None, _optional(_whole(0, _DELAY_MS_MAX, "milliseconds")), "from the response to its receipt; null: as started"
    )
    receipt_jitter_ms: int = _switch(
        0, _whole(0, _DELAY_MS_MAX, "milliseconds"), "at most so much later: receipts lose their order"
    )
    receipt_duplicate_rate: float = _switch(0.0, _RATE, f"receipts sent twice: {_OFTEN}")
    receipt_outcome: ReceiptOutcome = _switch(ReceiptOutcome.DELIVERED, _word(ReceiptOutcome), "what receipts say")
    receipt_then: ReceiptOutcome = _switch(
        ReceiptOutcome.NONE, _word(ReceiptOutcome), "what a second receipt says 1 s later"
    )
    receipt_fail_rate: float = _switch(0.0, _RATE, f"receipts that say undelivered: {_OFTEN}")
    receipt_unknown_id_rate: float = _switch(0.0, _RATE, f"receipts for an id that was never given: {_OFTEN}")
    receipt_parts: ReceiptParts = _switch(ReceiptParts.ALL, _word(ReceiptParts), "which parts get a receipt")
    receipt_unasked: bool = _switch(False, _flag, "receipts come although registered_delivery is 0")
    receipt_shape: ReceiptShape = _switch(ReceiptShape.BOTH, _word(ReceiptShape), "where a receipt says it")
    receipt_contradicting: bool = _switch(False, _flag, "the TLV says undelivered, whatever the text says")
    esm_class_zero: bool = _switch(False, _flag, "receipts come with esm_class 0, as messages")
    receipt_udhi: bool = _switch(False, _flag, "receipts come with esm_class 0x44 and an empty UDH")
    intermediate: Intermediate = _switch(Intermediate.ASKED, _word(Intermediate), "intermediate notifications")
    # Replies
    reply_parts: ReplyParts = _switch(ReplyParts.ORDERED, _word(ReplyParts), "the parts of long replies")
    reply_reference: int | None = _switch(
        None, _optional(_whole(0, 255)), "the same concatenation reference for all replies"
    )
    # Sessions
    bind_error: BindError | None = _switch(None, _optional(_bind_error), "binds that are refused")
    bind_unanswered: bool = _switch(False, _flag, "binds get no answer")
    bind_then_close: bool = _switch(False, _flag, "binds are accepted, then the connection is closed")
    enquire_unanswered: bool = _switch(False, _flag, "enquire_link gets no answer")
    stop_reading: bool = _switch(False, _flag, "nothing is read from bound sessions")

    @property
    def touches_submits(self) -> bool:
        """Whether a submit must look at the switches at all."""
        return replace(self, **_ELSEWHERE) != CALM


# Switches that other places look at by themselves.
_ELSEWHERE: dict[str, Any] = {
    "seed": None,
    "receipt_shape": ReceiptShape.BOTH,
    "receipt_contradicting": False,
    "esm_class_zero": False,
    "receipt_udhi": False,
    "reply_parts": ReplyParts.ORDERED,
    "reply_reference": None,
    "bind_error": None,
    "bind_unanswered": False,
    "bind_then_close": False,
    "enquire_unanswered": False,
    "stop_reading": False,
}
CALM = Chaos()
SWITCHES: Mapping[str, str] = MappingProxyType({spec.name: spec.metadata["help"] for spec in fields(Chaos)})
_READERS: Mapping[str, Reader] = MappingProxyType({spec.name: spec.metadata["read"] for spec in fields(Chaos)})


def change(chaos: Chaos, wishes: Mapping[str, object]) -> Chaos:
    """The switches with some of them set anew; `id_format` sets both forms of ids. Raises ChaosError."""
    values: dict[str, Any] = {}
    for key, value in wishes.items():
        if key == "id_format":
            form = _word(IdFormat)(key, value)
            values["response_id_format"] = values["receipt_id_format"] = form
            continue
        read = _READERS.get(key)
        if read is None:
            raise ChaosError(f"there is no switch {key[:64]!r}{did_you_mean(key, [*_READERS, 'id_format'])}")
        values[key] = read(key, value)
    return replace(chaos, **values)
