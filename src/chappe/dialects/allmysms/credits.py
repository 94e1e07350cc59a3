"""Credits of AllMySMS: what money is worth in them. 15 credits are a part to France, at 0.045 EUR."""

from __future__ import annotations

from typing import Final

CREDIT_MICROS: Final = 3_000


def credits_left(balance_micros: int) -> int:
    """Whole credits of a balance; no debt is shown."""
    return max(0, balance_micros // CREDIT_MICROS)


def credits_needed(cost_micros: int) -> int:
    """Credits that pay for a cost: rounded up, so that nobody is told to need what he has."""
    return -(-cost_micros // CREDIT_MICROS)
