"""What can become of a message, as values, and the table of magic numbers that choose it.

The numbers are of ranges that are kept for films and books and belong to nobody: +33 6 39 98 00 (ARCEP's numbering
plan, numbers for audiovisual works) and +46 70 174 06 (the Swedish PTS, telephone numbers for books and films).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from chappe.smpp.commands import Status
from chappe.smpp.error_codes import ReceiptState

# The two last digits behind these choose the outcome.
MAGIC_PREFIXES: tuple[str, ...] = ("336399800", "467017406")
THROTTLED_S = 5.0
FORGIVEN_S = 60.0  # how long a number that failed once takes messages afterwards


class Answering(StrEnum):
    """What happens to the response."""

    NORMAL = "normal"
    NONE = "none"
    CUT_ONCE = "cut_once"  # the connection breaks at the first try; the next one is taken
    THROTTLED_ONCE = "throttled_once"  # 0x58 for THROTTLED_S from the first try on; the next one is taken


@dataclass(frozen=True, slots=True)
class Report:
    """One receipt to come: `delay_s` behind the response, None for what is configured; `error_code` is a GSM error."""

    state: ReceiptState
    delay_s: float | None = None
    error_code: int = 0
    intermediate: bool = False


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one submit: its response, the receipts that follow, and what the phone writes back."""

    status: int = 0
    answering: Answering = Answering.NORMAL
    reports: tuple[Report, ...] = (Report(ReceiptState.DELIVERED),)
    early: bool = False  # the receipt comes before the response
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Magic:
    """One line of the table: what the number does, in words, and as a value."""

    does: str
    fate: Fate


ORDINARY = Fate()
UNKNOWN_SUBSCRIBER = 1  # GSM 09.02 (MAP), as carriers write them in err: and network_error_code
ABSENT_SUBSCRIBER = 27
_S = ReceiptState

MAGIC: Mapping[str, Magic] = MappingProxyType(
    {
        "11": Magic("delivered at once", Fate(reports=(Report(_S.DELIVERED, 0.0),))),
        "12": Magic("delivered after 60 s", Fate(reports=(Report(_S.DELIVERED, 60.0),))),
        "13": Magic(
            "undelivered: unknown subscriber", Fate(reports=(Report(_S.UNDELIVERED, None, UNKNOWN_SUBSCRIBER),))
        ),
        "14": Magic("undelivered: absent subscriber", Fate(reports=(Report(_S.UNDELIVERED, None, ABSENT_SUBSCRIBER),))),
        "15": Magic("expired", Fate(reports=(Report(_S.EXPIRED),))),
        "16": Magic("rejected by the receipt", Fate(reports=(Report(_S.REJECTED),))),
        "17": Magic("rejected in the response, status 0x0B", Fate(status=Status.RINVDSTADR, reports=())),
        "18": Magic("delivered, but no receipt ever", Fate(reports=())),
        "19": Magic("the receipt comes before the response", Fate(reports=(Report(_S.DELIVERED, 0.0),), early=True)),
        "20": Magic("delivered with a receipt, but no response (in doubt)", Fate(answering=Answering.NONE)),
        "21": Magic("throttled (0x58) for 5 s from the first try, then delivered", Fate(0, Answering.THROTTLED_ONCE)),
        "22": Magic("delivered, then replies STOP", Fate(reply="STOP")),
        "23": Magic("delivered, then replies with a text", Fate(reply="Bien reçu, merci !")),
        "24": Magic(
            "two receipts that contradict: delivered, 1 s later undelivered",
            Fate(reports=(Report(_S.DELIVERED, 0.0), Report(_S.UNDELIVERED, 1.0, ABSENT_SUBSCRIBER))),
        ),
        "25": Magic(
            "an intermediate notification, 5 s later delivered",
            Fate(reports=(Report(_S.IN_TRANSIT, 0.0, intermediate=True), Report(_S.DELIVERED, 5.0))),
        ),
        "26": Magic("the connection breaks at the first try, then delivered", Fate(0, Answering.CUT_ONCE)),
        "27": Magic(
            "expired, 1 s later delivered after all",
            Fate(reports=(Report(_S.EXPIRED, 0.0), Report(_S.DELIVERED, 1.0))),
        ),
    }
)
_FATES: Mapping[str, Fate] = {prefix + key: magic.fate for prefix in MAGIC_PREFIXES for key, magic in MAGIC.items()}


def fate_of(digits: str) -> Fate | None:
    """The fate that a magic number, in digits without a plus, chooses; None for any other number."""
    return _FATES.get(digits)
