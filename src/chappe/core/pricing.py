"""Money: integer micro-euros, decimal text at the edge, never a binary float; and what gives it back.

What a message costs is in pricelist.py.
"""

from collections.abc import Mapping
from functools import lru_cache

from chappe.core.lifecycle import State

MICROS_PER_EURO = 1_000_000
PREFIX_DIGITS_MAX = 15


def affordable(balance_micros: int, price_micros: int) -> int:
    """Count what a balance still buys, rounded down; nothing below zero.

    Raises ValueError for a price of zero: the answer would be infinite.
    """
    if price_micros <= 0:
        raise ValueError("only a positive price can be afforded a number of times")
    return max(0, balance_micros // price_micros)


def euros(amount_micros: int, places: int = 3) -> str:
    """Write money as decimal text with exactly `places` decimals, rounded down: 10_225_119_000 -> `10225.119`.

    A customer is never shown more than there is; a negative amount rounds away from zero. Raises ValueError unless
    `places` is 0 to 6.
    """
    if not 0 <= places <= 6:
        raise ValueError("money has 0 to 6 decimals")
    scale = 10**places
    units = amount_micros * scale // MICROS_PER_EURO
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, decimals = divmod(units, scale)
    return f"{sign}{whole}.{decimals:0{places}d}" if places else f"{sign}{whole}"


@lru_cache(maxsize=4096)
def json_number(amount_micros: int) -> str:
    """Write money as the shortest exact JSON number: 38_000 -> `0.038`, 2_000_000 -> `2`.

    Meant to be spliced into the JSON text as it is, so that no binary float comes near it.
    """
    return euros(amount_micros, 6).rstrip("0").rstrip(".")


def micros(text: str) -> int:
    """Read a decimal amount of euros as people write it (`100`, `100.000`, `0.045`, `-3`) exactly.

    Raises ValueError on anything else, more than 6 decimals included: money is not rounded in silence.
    """
    unsigned = text.removeprefix("-")
    whole, point, decimals = unsigned.partition(".")
    plain = whole + decimals
    if not whole or (point and not decimals) or len(decimals) > 6 or len(whole) > 12:
        raise ValueError("not an amount of euros")
    if not (plain.isascii() and plain.isdecimal()):
        raise ValueError("not an amount of euros")
    amount_micros = int(whole) * MICROS_PER_EURO + int(decimals.ljust(6, "0") if decimals else "0")
    return -amount_micros if unsigned != text else amount_micros


REFUNDS: Mapping[State, bool] = {
    # Nothing was delivered to the network, or the network took it back on the spot: it bills us nothing.
    State.REJECTED: True,
    State.SUPPRESSED: True,
    State.CANCELLED: True,
    State.FAILED: True,
    # The network carried it as far as it could and bills us, so do we.
    State.DELIVERED: False,
    State.UNDELIVERED: False,
    State.EXPIRED: False,
    # Nobody knows: it may have arrived, and the carrier's bill says that it was sent. Missing is not failed.
    State.NO_RECEIPT: False,
}
"""Which final state gives the money back, by default.

Parts already accepted by the carrier stay charged even if the message then fails: only the others are given back
(store/sql/functions/end_messages.sql).
"""
