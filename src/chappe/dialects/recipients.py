"""The numbers of a request: read and priced once, for every dialect and every page that sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from chappe.core import numbers
from chappe.core.errors import Refusal
from chappe.core.model import AccountSettings, Skipped
from chappe.core.numbers import Kind, Number, Unfit
from chappe.core.pricelist import PriceList


class Unreachable(NamedTuple):
    """Why a number gets nothing.

    reason: number_malformed, number_invalid, number_not_mobile, price_missing. e164: its E.164 form where a numbering
    plan has it, or where its destination has no price. judged: whether its plan was asked before its price.
    """

    reason: str
    e164: str = ""
    judged: bool = True


_REASONS: Final = {
    Unfit.FORM: Unreachable("number_malformed"),
    Unfit.UNASSIGNED: Unreachable("number_invalid"),
    Unfit.NOT_MOBILE: Unreachable("number_not_mobile"),
}


class Numbers:
    """Reads the numbers of one request, with the price of a part to each. settings: the account's, which say where nine
    digits are at home, and which countries it may send to."""

    __slots__ = ("_allowed", "_denied", "_home", "_price")

    def __init__(self, prices: PriceList, settings: AccountSettings) -> None:
        self._price = prices.price
        self._home = settings.home
        self._allowed = settings.countries_allowed
        self._denied = settings.countries_denied

    def read(self, written: str) -> tuple[Number, int] | Unreachable:
        """A number that an SMS can reach and the price of a part in micro-euros, or why it gets nothing.

        A number of a destination without a price is not judged: that takes a hundred times as long.
        """
        number = numbers.metropolitan(written)  # nearly always
        if number is None:
            e164 = numbers.foreign(written, self._home)
            if e164 is not None and self._price(e164) is None:
                return Unreachable("price_missing", e164, judged=False)
            found = numbers.read(written, self._home)
            if isinstance(found, Unfit):
                return _REASONS[found]
            if found.kind is not Kind.MOBILE:
                return Unreachable("number_not_mobile", found.e164)
            number = found
        price_micros = self._price(number.e164)
        if price_micros is None or ((self._denied or self._allowed) and not self._is_open(number.region)):
            return Unreachable("price_missing", number.e164)
        return number, price_micros

    def _is_open(self, region: str) -> bool:
        """Whether the account may send to a country."""
        return region not in self._denied and (not self._allowed or region in self._allowed)


def none_left(skipped: Sequence[Skipped]) -> Refusal:
    """The refusal of a request of which every recipient is skipped."""
    only_prices = all(recipient.reason == "price_missing" for recipient in skipped)
    return Refusal("price_missing" if only_prices else "recipients_unusable", skipped=tuple(skipped))
