"""Message ids: the canonical form both sides agree on, the forms to try, and a learner that finds the rule."""

from __future__ import annotations

from dataclasses import dataclass

from chappe.smpp.profile import IdFormat


def canonical(id: str, format: IdFormat) -> str:
    """The form under which an id is stored and looked up: the same function for responses and receipts.

    `dec` and `hex` both give the number in decimal digits, so a hexadecimal response meets a decimal receipt.
    """
    raise NotImplementedError


def variants(id: str) -> tuple[tuple[str, str], ...]:
    """The (name, form) pairs to try when nothing matches: raw, upper, lower, no_zeros, dec_to_hex, hex_to_dec."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Learner:
    """What the matches so far say about a carrier's two id formats; a value, `learn` gives the next one."""

    streaks: tuple[int, ...] = ()
    fixed: tuple[IdFormat, IdFormat] | None = None  # (format of responses, format of receipts)
    misses: int = 0
    changed: bool = False  # the last match broke the fixed rule often enough to forget it: raise an alarm

    def learn(self, response_id: str, receipt_id: str) -> Learner:
        """The learner after one match found by other means than the rule (destination, single candidate)."""
        raise NotImplementedError
