"""A price list as people save it: a CSV file with a prefix, a price and perhaps a day in each line. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from chappe.actions.accounts import AccountError
from chappe.actions.optout_file import date_of, decode
from chappe.core.pricing import PREFIX_DIGITS_MAX, json_number, micros
from chappe.store.prices import PriceChange

COLUMNS: Final = ("prefix", "price", "from")
EVERYWHERE: Final = "*"
NOWHERE: Final = "none"  # nothing is sent there
FORGET: Final = "-"  # no price of its own
PRICE_MICROS_MAX: Final = 1_000_000_000
LINES_MAX: Final = 5_000

_PREFIX: Final = re.compile(rf"(?:\+|00)?([1-9][0-9]{{0,{PREFIX_DIGITS_MAX - 1}}})", re.ASCII).fullmatch
_SEPARATORS: Final = (";", "\t", ",")


class PriceError(AccountError):
    """A price list cannot be used; the message is one sentence with the line."""


def read(octets: bytes, now: datetime) -> list[PriceChange]:
    """The changes of a file, all of them or none. Raises PriceError, ListError.

    Columns are found by the heading `prefix,price,from`; without one they are in this order. prefix: international
    digits, or * for everywhere else. price: EUR, with a point or a comma; none: refused there; -: no price of its own.
    from: a day or an instant, in Paris without a zone; empty: now.
    """
    text = decode(octets)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = next((mark for mark in _SEPARATORS if mark in first), ",")
    changes: list[PriceChange] = []
    seen: dict[tuple[str, datetime], int] = {}
    for line, cells in _lines(text, separator):
        change = _change(line, cells, now)
        key = change.prefix, change.valid_from
        if key in seen:
            raise PriceError(f"line {line} has the prefix and the day of line {seen[key]}")
        seen[key] = line
        changes.append(change)
        if len(changes) > LINES_MAX:
            raise PriceError(f"the file has more than {LINES_MAX} prices")
    if not changes:
        raise PriceError("the file has no prices")
    return changes


def written(prices: Mapping[str, int | None], coming: Iterable[PriceChange]) -> Iterator[str]:
    """A list and its coming changes as a file that read() reads."""
    yield ",".join(COLUMNS)
    for prefix, price_micros in sorted(prices.items()):
        yield f"{prefix or EVERYWHERE},{_shown(price_micros)},"
    for change in coming:
        price = FORGET if change.forgotten else _shown(change.price_micros)
        yield f"{change.prefix or EVERYWHERE},{price},{change.valid_from:%Y-%m-%dT%H:%M:%S+00:00}"


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers, as prefix, price and day."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    places: Sequence[int] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if places is None:
                names = [cell.lower() for cell in cells]
                if "prefix" in names and "price" in names:
                    places = [names.index(name) if name in names else len(names) for name in COLUMNS]
                    continue
                places = range(len(COLUMNS))
            yield reader.line_num, [cells[place] if place < len(cells) else "" for place in places]
    except csv.Error as error:
        raise PriceError(f"line {reader.line_num + 1} cannot be read") from error


def _change(line: int, cells: Sequence[str], now: datetime) -> PriceChange:
    prefix, price, day = cells
    found = _PREFIX(prefix.replace(" ", ""))
    if found is None and prefix != EVERYWHERE:
        raise PriceError(f"line {line}: {prefix[:40]!r} is no international prefix, such as 49, nor *")
    valid_from = date_of(day, now)
    if valid_from is None:
        raise PriceError(f"line {line}: {day[:40]!r} is no day, such as 2027-01-31")
    digits = "" if found is None else found[1]
    if price.lower() in (NOWHERE, FORGET):
        return PriceChange(digits, None, valid_from, forgotten=price == FORGET)
    try:
        price_micros = micros(price.replace(",", "."))
    except ValueError:
        price_micros = -1
    if not 0 <= price_micros <= PRICE_MICROS_MAX:
        raise PriceError(f"line {line}: {price[:40]!r} is no price in EUR, such as 0.07, nor none or -")
    return PriceChange(digits, price_micros, valid_from)


def _shown(price_micros: int | None) -> str:
    return NOWHERE if price_micros is None else json_number(price_micros)
