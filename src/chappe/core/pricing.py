"""What messages cost and what gives money back: integer micro-euros, decimal text at the edge, never a binary float."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from chappe.core.lifecycle import State

MICROS_PER_EURO = 1_000_000
PREFIX_DIGITS_MAX = 15


PREMIUM = 1
"""The range of better quality; ranges have the numbers of SMS Partner's `gamme`."""

LOW_COST = 2

# The numbering plans served at the French price. +687, +689 and +681 are French soil but not in the tariff zone.
FRENCH_ZONE = ("33", "590", "594", "596", "262", "508")


def _french(price_micros: int) -> dict[str, int | None]:
    return dict.fromkeys(FRENCH_ZONE, price_micros)


@dataclass(frozen=True)
class Tariff:
    """Prices of one part by range and destination prefix, and of one number look-up.

    Prefixes are international digits without plus; the longest one that fits decides, and the prefix "" is every other
    destination. A destination without a prefix, or whose price is None, has no price. Defaults: SMS Partner's public
    prices, France and overseas. Raises ValueError on a negative price or a malformed prefix.
    """

    premium_micros: Mapping[str, int | None] = field(default_factory=lambda: _french(38_000))
    low_cost_micros: Mapping[str, int | None] = field(default_factory=lambda: _french(23_000))
    hlr_micros: int = 5_000
    credit_micros: int = 3_000

    def __post_init__(self) -> None:
        for prices in (self.premium_micros, self.low_cost_micros):
            for prefix, price_micros in prices.items():
                if len(prefix) > PREFIX_DIGITS_MAX or (prefix and not (prefix.isascii() and prefix.isdecimal())):
                    raise ValueError(f"not a destination prefix: {prefix!r}")
                if price_micros is not None and price_micros < 0:
                    raise ValueError(f"negative price for prefix {prefix!r}")
        if self.hlr_micros < 0 or self.credit_micros <= 0:
            raise ValueError("the look-up price may not be negative, and a credit must be worth something")

    def of(self, range_: int) -> Mapping[str, int | None]:
        """Give the prices by prefix of one range; any number but 2 is premium."""
        return self.low_cost_micros if range_ == LOW_COST else self.premium_micros


SMSPARTNER_TARIFF = Tariff()
"""0.038 EUR premium, 0.023 low cost, 0.005 look-up: the prices behind the provider's published samples."""

ALLMYSMS_TARIFF = Tariff(premium_micros=_french(45_000), low_cost_micros=_french(45_000))
"""0.045 EUR, which is 15 credits of 0.003 EUR, for a part to France; one range only."""


def price(tariff: Tariff, destination: str, range_: int = PREMIUM, parts: int = 1) -> int | None:
    """Price one message in micro-euros, or None when the tariff does not serve the destination.

    `destination` is international digits, with or without plus.
    """
    unit_micros = longest_prefix(tariff.of(range_), destination)
    return None if unit_micros is None else unit_micros * parts


def longest_prefix(prices: Mapping[str, int | None], destination: str) -> int | None:
    """Give the price of the longest prefix of the destination, or None."""
    digits = destination.removeprefix("+")
    for length in range(min(len(digits), PREFIX_DIGITS_MAX), -1, -1):
        if digits[:length] in prices:
            return prices[digits[:length]]
    return None


def affordable(balance_micros: int, price_micros: int) -> int:
    """Count what a balance still buys, rounded down; nothing below zero.

    Raises ValueError for a price of zero: the answer would be infinite.
    """
    if price_micros <= 0:
        raise ValueError("only a positive price can be afforded a number of times")
    return max(0, balance_micros // price_micros)


def credits_of(amount_micros: int, tariff: Tariff = ALLMYSMS_TARIFF) -> int:
    """Convert money to whole credits, rounded down (AllMySMS: 1 credit = 0.003 EUR); a debt rounds away from zero."""
    return amount_micros // tariff.credit_micros


def micros_of_credits(count: int, tariff: Tariff = ALLMYSMS_TARIFF) -> int:
    """Convert credits to micro-euros, exactly."""
    return count * tariff.credit_micros


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

Parts already accepted by the carrier are charged even if the message then fails: the caller refunds the other parts
only.
"""


def refund(
    state: State, charged_micros: int, parts: int, parts_sent: int = 0, refunds: Mapping[State, bool] = REFUNDS
) -> int:
    """Give the micro-euros that a message in this state gives back.

    Nothing while the state is not final. A state that refunds returns the share of the parts that no carrier accepted
    (`parts_sent` of `parts` were); the charge is a multiple of the parts, any remainder stays charged.
    """
    if not refunds.get(state, False) or parts <= 0:
        return 0
    return charged_micros // parts * max(0, parts - parts_sent) if parts_sent else charged_micros
