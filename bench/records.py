"""Joins what was asked, what reached the SMSC and what was called back, message by message."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from instruments import NUMBERS_PER_RUN

ASKED_COLUMNS = 6  # number, due, sent, answered, status, accepted
SUBMIT_COLUMNS = 6  # number of its request, recipient, submitted, answered, receipt, receipt answered
CALL_COLUMNS = 3  # number, time, interim
SCATTER = 6_180_339  # tools/load.c: recipients are in no order
GATHER = pow(SCATTER, -1, NUMBERS_PER_RUN)


@dataclass(frozen=True)
class Joined:
    """What came of one run. Counts are messages; rates are messages a second, steady ones without the outer tenths.

    in_none: delivered although not accepted (a broken connection may leave that). lost: accepted, never delivered.
    twice: messages that the SMSC got more than once. receipts_lost: receipts that the SMSC sent, of messages it got,
    whose end no call told the customer; calls_extra: calls that say of a message what another has said; called_interim:
    messages of which a call said that they are under way.
    """

    asked: int
    accepted: int
    delivered: int
    lost: int
    twice: int
    copies: int
    in_none: int
    delivered_steady_rate: float
    delivered_rate: float
    end_to_end_ms: dict[str, float]
    receipts: int = 0
    called: int = 0
    called_interim: int = 0
    receipts_lost: int = 0
    calls_extra: int = 0
    called_steady_rate: float = 0.0
    called_rate: float = 0.0
    send_to_call_ms: dict[str, float] | None = None


def columns(records: bytes, count: int) -> list[Sequence[int]]:
    """Records of 64 bit integers, column by column."""
    whole = array("q")
    whole.frombytes(records)
    return [whole[column::count] for column in range(count)]


def percentiles_ms(values_ns: Iterable[int]) -> dict[str, float]:
    """p50, p90, p99 and max in ms; empty without values."""
    ordered = sorted(values_ns)
    if not ordered:
        return {}
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(ordered[int((len(ordered) - 1) * share)] / 1e6, 3) for name, share in shares.items()}


def rates(times_ns: Iterable[int], began_ns: int) -> tuple[float, float]:
    """How many a second: without the first and the last tenth, and from the beginning to the very last."""
    ordered = sorted(times_ns)
    if len(ordered) < 2 or ordered[-1] <= began_ns:
        return 0.0, 0.0
    low, high = len(ordered) // 10, len(ordered) - 1 - len(ordered) // 10
    span_ns = ordered[high] - ordered[low]
    steady = (high - low) / (span_ns / 1e9) if span_ns > 0 else 0.0
    return round(steady, 1), round(len(ordered) / ((ordered[-1] - began_ns) / 1e9), 1)


def join(first: int, recipients: int, asked: bytes, submits: bytes, calls: bytes | None) -> Joined:
    """Joins the records of the run whose messages are numbered from `first` on, `recipients` of them in a request."""
    numbers, due, _sent, _answered, _status, accepted_flags = columns(asked, ASKED_COLUMNS)
    due_of: dict[int, int] = {}
    accepted: set[int] = set()
    for number, due_ns, flag in zip(numbers, due, accepted_flags, strict=True):
        for message in range(number, number + recipients):
            due_of[message] = due_ns
            if flag:
                accepted.add(message)
    began_ns = min(due, default=0)

    delivered: dict[int, int] = {}
    copies: dict[int, int] = {}
    with_receipt: set[int] = set()
    request_numbers, recipients_, submitted, _, receipt, _ = columns(submits, SUBMIT_COLUMNS)
    for request, to, at_ns, receipt_ns in zip(request_numbers, recipients_, submitted, receipt, strict=True):
        message = _message(first, request, to)
        if message not in due_of:
            continue  # of another run
        if message in delivered:
            copies[message] = copies.get(message, 0) + 1
        else:
            delivered[message] = at_ns
        if receipt_ns:
            with_receipt.add(message)
    steady, whole = rates(delivered.values(), began_ns)
    joined = Joined(
        asked=len(due_of),
        accepted=len(accepted),
        delivered=len(delivered),
        lost=len(accepted - delivered.keys()),
        twice=len(copies),
        copies=sum(copies.values()),
        in_none=len(delivered.keys() - accepted),
        delivered_steady_rate=steady,
        delivered_rate=whole,
        end_to_end_ms=percentiles_ms(at_ns - due_of[message] for message, at_ns in delivered.items()),
    )
    return joined if calls is None else _with_calls(joined, due_of, with_receipt, calls, began_ns)


def _message(first: int, request: int, to: int) -> int:
    """The number of a message, of which its recipient's last digits were made; 0 when it is of another run."""
    if not first <= request < first + NUMBERS_PER_RUN:
        return 0
    return first + (to * GATHER - first) % NUMBERS_PER_RUN


def _with_calls(joined: Joined, due_of: dict[int, int], with_receipt: set[int], calls: bytes, began_ns: int) -> Joined:
    called: dict[int, int] = {}
    called_interim: dict[int, int] = {}
    extra = 0
    for message, at_ns, interim in zip(*columns(calls, CALL_COLUMNS), strict=True):
        if message not in due_of:
            continue
        told = called_interim if interim else called
        if message in told:
            extra += 1
        else:
            told[message] = at_ns
    steady, whole = rates(called.values(), began_ns)
    return Joined(
        **{
            **vars(joined),
            "receipts": len(with_receipt),
            "called": len(called),
            "called_interim": len(called_interim),
            "receipts_lost": len(with_receipt - called.keys()),
            "calls_extra": extra,
            "called_steady_rate": steady,
            "called_rate": whole,
            "send_to_call_ms": percentiles_ms(at_ns - due_of[message] for message, at_ns in called.items()),
        }
    )
