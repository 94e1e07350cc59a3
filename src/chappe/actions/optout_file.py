"""A list of numbers as people save it: decoded, cut into cells, the number's column found. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final, NamedTuple

from chappe.actions.accounts import AccountError
from chappe.core import localtime, numbers
from chappe.core.folding import fold
from chappe.core.numbers import Number

COMMENTS: Final = ("stop", "refused", "manual")
LINES_MAX: Final = 5_000_000
OCTETS_MAX: Final = 512 * 1024 * 1024
SEPARATORS: Final = (";", "\t", "|", ",")
"""In the order in which they are preferred where lines have several: French spreadsheets write semicolons."""
LOOKED_AT: Final = 200
"""How many lines decide the separator and the column."""
NUMBER_NAMES: Final = re.compile(
    r"\b(?:number|numbers|numero|numeros|num|tel|telephone|telephones|phone|phones|phonenumber|phonenumbers|msisdn|mobile"
    r"|mobiles|portable|portables|gsm|cell|cellulaire|destinataire|recipient|contact)\b"
)
AT_NAMES: Final = ("at", "date", "le", "date stop", "created at", "createdat", "date de desinscription")
COMMENT_NAMES: Final = ("comment", "commentaire", "reason", "motif", "raison")

_SCIENTIFIC: Final = re.compile(r"\+?([0-9])[.,]([0-9]+)[eE]\+?([0-9]{1,2})", re.ASCII).fullmatch
_DECIMAL_COMMA: Final = re.compile(r"(?<=[0-9]),(?=[0-9]+[eE]\+?[0-9]|0{1,2}$)", re.ASCII)
_FRENCH_DATE: Final = re.compile(
    r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})(?:[ T]([0-9]{1,2})[:h]([0-9]{2})(?::([0-9]{2}))?)?", re.ASCII
).fullmatch


class ListError(AccountError):
    """What was given is no number, or no list of numbers; the message is one sentence."""


class Line(NamedTuple):
    """What one line says: its number in E.164, since when, why; completed: the number had lost its zero."""

    number: str
    at: datetime
    comment: str
    completed: bool


def read(octets: bytes, home: str, now: datetime) -> Iterator[tuple[int, Line | None]]:
    """(place of the line, what it says or None) of each line that is not empty.

    Raises ListError before it gives anything when the file is no list of numbers, or when a spreadsheet rounded one.
    """
    text = decode(octets)
    separator = _separator(text)
    head = list(islice(_cells(text, separator), LOOKED_AT))
    if not head:
        return iter(())
    columns, heading = _columns(head, home)
    skip = 1 if heading else 0
    for place, cells in islice(_cells(text, separator), skip, None):
        written = _cell(cells, columns["number"])
        if (found := _SCIENTIFIC(written)) and len(found[2]) < int(found[3]):
            raise ListError(
                f"line {place} has a number that a spreadsheet rounded ({written}): format the column as text, fill it "
                "in again and save the file once more"
            )
    return ((place, _line(cells, columns, home, now)) for place, cells in islice(_cells(text, separator), skip, None))


def decode(octets: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 or Windows-1252, which is what French spreadsheets save. Raises ListError."""
    if len(octets) > OCTETS_MAX:
        raise ListError(f"the file has more than {OCTETS_MAX // (1024 * 1024)} MiB")
    if octets[:2] == b"PK" or octets[:4] == b"\xd0\xcf\x11\xe0":
        raise ListError("this is a spreadsheet, not a CSV file: save it as CSV")
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codec = "utf-16"
    elif octets[1:2] == b"\x00" or octets[:1] == b"\x00":
        codec = "utf-16-be" if octets[:1] == b"\x00" else "utf-16-le"
    else:
        codec = "utf-8-sig"
    try:
        text = octets.decode(codec)
    except UnicodeDecodeError:
        # Nothing that is saved as Windows-1252 by accident is valid UTF-8 to the end, so the order is right.
        text = octets.decode("cp1252", "replace")
        if codec != "utf-8-sig" or "\ufffd" in text:
            raise ListError("the file is no text in UTF-8, UTF-16 or Windows-1252: save it as CSV UTF-8") from None
    if "\x00" in text:
        raise ListError("the file is no text: save it as CSV UTF-8")
    return text


def _separator(text: str) -> str:
    """The mark that most of the first lines have; of equals the first of SEPARATORS."""
    head = [_DECIMAL_COMMA.sub("", line) for line in text[: LOOKED_AT * 1000].splitlines() if line.strip()][:LOOKED_AT]
    counts = {mark: sum(mark in line for line in head) for mark in SEPARATORS}
    return max(SEPARATORS, key=lambda mark: counts[mark])


def _cells(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, with their places, cut into cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for cells in reader:
            if reader.line_num > LINES_MAX:
                raise ListError(f"the file has more than {LINES_MAX} lines")
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise ListError(f"line {reader.line_num + 1} cannot be read") from error


def _columns(lines: Sequence[tuple[int, list[str]]], home: str) -> tuple[dict[str, int], bool]:
    """Where the columns are, and whether the first line is a heading: it has no number, and names or no like below."""
    first = lines[0][1]
    below = [cells for _, cells in lines[1:LOOKED_AT]]
    if any(_is_number(cell, home) for cell in first):
        return {"number": _number_column([first, *below], home)}, False
    names = [fold(cell.replace("_", " ")) for cell in first]
    named = [at for at, name in enumerate(names) if NUMBER_NAMES.search(name)]
    if not named and not any(_is_number(cell, home) for cells in below for cell in cells):
        return {"number": 0}, False
    if not named and len(lines) > 1 and not any(_is_number(cell, home) for cell in below[0]):
        return {"number": _number_column(below, home)}, False  # bad lines at the top, no heading
    number = max(named, key=lambda at: _share(below, at, home)) if named else _number_column(below, home)
    columns = {"number": number}
    for name, words in (("at", AT_NAMES), ("comment", COMMENT_NAMES)):
        at = next((at for at, written in enumerate(names) if written in words and at != number), None)
        if at is not None:
            columns[name] = at
    return columns, True


def _number_column(rows: Sequence[list[str]], home: str) -> int:
    """The column that has the most numbers; of equals the first."""
    return max(range(max(len(cells) for cells in rows)), key=lambda at: _share(rows, at, home))


def _share(rows: Sequence[list[str]], at: int, home: str) -> int:
    return sum(_is_number(_cell(cells, at), home) for cells in rows)


def _cell(cells: Sequence[str], at: int) -> str:
    # `="0612345678"` and `'0612345678` is how people keep a spreadsheet from eating the zero.
    return cells[at].strip().removeprefix("=").strip("\"'\u00a0 ") if at < len(cells) else ""


def _is_number(written: str, home: str) -> bool:
    return _SCIENTIFIC(written.strip()) is not None or isinstance(_read(_cell([written], 0), home), Number)


def _read(written: str, home: str) -> Number | numbers.Unfit:
    if found := _SCIENTIFIC(written):  # with all its digits: nothing was rounded
        digits = found[1] + found[2]
        written = digits[: int(found[3]) + 1] if len(digits) > int(found[3]) else "E"
    return numbers.read(written, home)


def _line(cells: list[str], columns: dict[str, int], home: str, now: datetime) -> Line | None:
    number = _read(_cell(cells, columns["number"]), home)
    if not isinstance(number, Number):
        return None
    at = date_of(_cell(cells, columns["at"]), now) if "at" in columns else now
    if at is None:
        return None
    comment = _cell(cells, columns["comment"]).lower() if "comment" in columns else ""
    return Line(number.e164, at, comment if comment in COMMENTS else "manual", numbers.COMPLETED in number.warnings)


def date_of(written: str, now: datetime) -> datetime | None:
    """An instant as ISO 8601 (UTC without a zone) or `31/12/2026 14:05`, in Paris; None for anything else."""
    if not written:
        return now
    try:
        at = datetime.fromisoformat(written)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except ValueError:
        pass
    if not (found := _FRENCH_DATE(written)):
        return None
    day, month, year, hour, minute, second = (int(digits or 0) for digits in found.groups())
    try:
        return localtime.instant(datetime(year, month, day, hour, minute, second), now)
    except (ValueError, OverflowError):
        return None
