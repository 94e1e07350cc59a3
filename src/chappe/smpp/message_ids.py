"""Message ids: the canonical form both sides agree on, the forms to try, and a learner that finds the rule."""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass, replace
from typing import Final

from chappe.smpp.profile import IdFormat

# message_id is a C-octet string of 65 (SMPP 3.4 section 5.2.23); twice that, and it is no number any more but noise.
NUMBER_DIGITS_MAX: Final = 130
OCTETS_MAX: Final = 65
MATCHES_TO_FIX: Final = 6
MISSES_TO_FORGET: Final = 5

# The rules a learner considers, strictest first: (format of responses, format of receipts).
RULES: Final = (
    (IdFormat.RAW, IdFormat.RAW),
    (IdFormat.HEX_STRING, IdFormat.HEX_STRING),
    (IdFormat.DEC, IdFormat.DEC),
    (IdFormat.HEX, IdFormat.HEX),
    (IdFormat.HEX, IdFormat.DEC),
    (IdFormat.DEC, IdFormat.HEX),
)


def trimmed(id: str) -> str:
    """The id without the blanks and NULs that pad it."""
    return id.strip(" \t\r\n\x00")


def bounded(id: str) -> str:
    """The id, or the hash of one that is longer than the standard allows: the same for the same id, always.

    Indexes have a limit of some 2,700 octets for an entry, and one id of a hostile or broken SMSC would pass it.
    """
    if len(id) <= OCTETS_MAX:
        return id
    return "sha256-" + hashlib.sha256(id.encode()).hexdigest()[:56]


def _decimal(id: str) -> int | None:
    if len(id) <= NUMBER_DIGITS_MAX and id.isascii() and id.isdigit():
        return int(id)
    return None


def _hexadecimal(id: str) -> int | None:
    digits = id[2:] if id[:2] in ("0x", "0X") else id
    if 0 < len(digits) <= NUMBER_DIGITS_MAX and all(digit in string.hexdigits for digit in digits):
        return int(digits, 16)
    return None


def canonical(id: str, format: IdFormat) -> str:
    """The form under which an id is stored and looked up: the same function for responses and receipts.

    `dec` and `hex` both give the number in decimal digits, so that a hexadecimal response meets a decimal receipt.
    An id that is no number of its format stays as it is (trimmed), as `raw` and `learn` leave it.
    """
    id = trimmed(id)
    if format is IdFormat.HEX_STRING:
        return id.lower()
    value: int | None = None
    if format is IdFormat.DEC:
        value = _decimal(id)
    elif format is IdFormat.HEX:
        value = _hexadecimal(id)
    return id if value is None else str(value)


def without_prefix(id: str, prefix: str) -> str:
    """The trimmed id without the prefix this carrier puts in front on one side (the *_id_prefix knobs)."""
    return trimmed(id).removeprefix(prefix)


def variants(id: str) -> tuple[tuple[str, str], ...]:
    """The (name, form) pairs to try when nothing matches: raw, upper, lower, no_zeros, dec_to_hex, hex_to_dec.

    Two ids belong together under some rule only if their forms have one in common. The converse does not hold: the
    caller accepts only a single candidate whose destination fits. Names whose form does not exist are left out.
    """
    id = trimmed(id)
    lower = id.lower()
    forms = [("raw", id), ("upper", id.upper()), ("lower", lower)]
    forms.append(("no_zeros", lower.removeprefix("0x").lstrip("0") or lower[-1:]))
    if (value := _decimal(id)) is not None:
        forms.append(("dec_to_hex", f"{value:x}"))
    if (value := _hexadecimal(id)) is not None:
        forms.append(("hex_to_dec", str(value)))
    return tuple(forms)


def agrees(response_id: str, receipt_id: str, rule: tuple[IdFormat, IdFormat]) -> bool:
    """Whether the two ids are one message under a rule (format of responses, format of receipts)."""
    return canonical(response_id, rule[0]) == canonical(receipt_id, rule[1])


@dataclass(frozen=True, slots=True)
class Learner:
    """What the matches so far say about a carrier's two id formats; a value, `learn` gives the next one.

    `streaks` counts, rule by rule (RULES), the matches in a row that fit; after MATCHES_TO_FIX the strictest rule that
    fitted them all is `fixed`. Five matches in a row that break it make it `changed` and forgotten: time for an alarm.
    """

    streaks: tuple[int, ...] = (0,) * len(RULES)
    fixed: tuple[IdFormat, IdFormat] | None = None
    misses: int = 0
    changed: bool = False

    def learn(self, response_id: str, receipt_id: str) -> Learner:
        """The learner after one match that was proved by other means (single candidate, right destination)."""
        fits = [agrees(response_id, receipt_id, rule) for rule in RULES]
        streaks = tuple(
            min(streak + 1, MATCHES_TO_FIX) if fit else 0 for streak, fit in zip(self.streaks, fits, strict=True)
        )
        if self.fixed is not None:
            misses = 0 if fits[RULES.index(self.fixed)] else self.misses + 1
            if misses < MISSES_TO_FORGET:
                return replace(self, streaks=streaks, misses=misses, changed=False)
            return Learner(streaks=streaks, changed=True)
        ripe = (rule for rule, streak in zip(RULES, streaks, strict=True) if streak >= MATCHES_TO_FIX)
        return Learner(streaks=streaks, fixed=next(ripe, None))
