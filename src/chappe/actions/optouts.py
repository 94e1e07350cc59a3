"""Opting out: an account's list as its customers and operators read and change it, and as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from chappe.actions import accounts
from chappe.actions.accounts import AccountError
from chappe.core import numbers
from chappe.core.errors import Refusal
from chappe.core.model import AddOptOut, Moment, OptOut, OptOutAdded, OptOuts, ReadOptOuts, Removed, RemoveOptOut
from chappe.core.numbers import Number
from chappe.core.stop_replies import NEAR_MISS
from chappe.store import optouts, replies
from chappe.store.database import Database
from chappe.store.optouts import OptOutRemoved
from chappe.store.replies import NearMiss

COLUMNS: Final = ("number", "at", "comment")
NUMBER_COLUMNS: Final = ("number", "phonenumber", "phone", "msisdn", "mobile", "numero", "telephone")
COMMENTS: Final = ("stop", "refused", "manual")
IMPORT_BATCH: Final = 1000
LINES_MAX: Final = 5_000_000
BAD_SHOWN_MAX: Final = 20


class ListError(AccountError):
    """What was given is no number, or no list of numbers; the message is one sentence."""


class Imported(msgspec.Struct, frozen=True):
    """added: new on the list; known: there before, or repeated; bad: lines without a number, the first of them by
    their place in bad_lines."""

    added: int
    known: int
    bad: int
    bad_lines: tuple[int, ...] = ()


async def read_opt_outs(database: Database, command: ReadOptOuts, moment: Moment) -> OptOuts:
    """The account's list, oldest first."""
    return OptOuts(tuple(await optouts.listed(database, command.account.id)))


async def add_opt_out(database: Database, command: AddOptOut, moment: Moment) -> OptOutAdded:
    """Puts a number on the account's list, and ends what waits for it. Raises Refusal recipients_too_many: the list is
    as long as the account may make it by API."""
    account = command.account
    most = account.settings.opt_outs_by_api_max
    return await _add(database, account.id, command.number, moment.now, "api", command.comment, most)


async def remove_opt_out(database: Database, command: RemoveOptOut, moment: Moment) -> Removed:
    """Takes an entry off the account's list; what subscribers or the operator put there stays, unless the account may
    take that off as well."""
    if not 0 < command.id < 1 << 63:
        return Removed(False)
    account = command.account
    async with database.transaction() as tx:
        found = await optouts.remove_by_id(
            tx, account.id, command.id, moment.now, "api", own_only=not account.settings.stops_removable
        )
    return Removed(found is True, protected=found is None)


async def _add(
    database: Database, account_id: int, number: str, now: datetime, source: str, comment: str, most: int | None = None
) -> OptOutAdded:
    async with database.transaction() as tx:
        entry_id, known = await optouts.add(tx, account_id, number, now, source, comment)
        if not known:
            if most is not None and await optouts.are_more_than(tx, account_id, most):
                raise Refusal("recipients_too_many", limit=most)
            await optouts.sweep(tx, [account_id], number, now, f"the number was put on the list ({comment})")
    return OptOutAdded(entry_id, known)


# -- for the operator


async def removed(database: Database, login: str, limit: int) -> list[OptOutRemoved]:
    """What was taken off the list of an account by its login, the newest first; raises AccountError."""
    account = await accounts.get(database, login)
    return await optouts.removed(database, account.id, limit)


async def listed(database: Database, login: str) -> list[OptOut]:
    """The list of an account by its login; raises AccountError."""
    account = await accounts.get(database, login)
    return await optouts.listed(database, account.id)


async def near_misses(database: Database, login: str, limit: int) -> list[NearMiss]:
    """The newest replies to an account that may have been meant as a STOP and were not obeyed; raises AccountError."""
    account = await accounts.get(database, login)
    return await replies.near_misses(database, account.id, NEAR_MISS, limit)


async def add(database: Database, login: str, written: str, now: datetime) -> OptOutAdded:
    """Puts a number on an account's list; raises AccountError, ListError."""
    account = await accounts.get(database, login)
    return await _add(database, account.id, _number(written), now, "command", "manual")


async def remove(database: Database, login: str, written: str, now: datetime) -> None:
    """Takes a number off an account's list. Raises AccountError, ListError: also when it was not there."""
    account = await accounts.get(database, login)
    number = _number(written)
    async with database.transaction() as tx:
        if not await optouts.remove(tx, account.id, number, now, "command"):
            raise ListError(f"this number is not on the list of {account.login}")


async def import_csv(database: Database, login: str, lines: Iterable[str], now: datetime) -> Imported:
    """Puts the numbers of a CSV file on an account's list; raises AccountError, ListError.

    One number a line, or columns under a heading of which one is named `number` (or phone, msisdn, ...), `at` and
    `comment` where there are such; separated by commas, semicolons or tabs. Lines without a number are counted, the
    others are taken. Batches are each their own transaction: a second run of the same file changes nothing.
    """
    account = await accounts.get(database, login)
    rows: list[tuple[str, datetime, str]] = []
    added = seen = 0
    bad: list[int] = []

    async def flush() -> None:
        nonlocal added
        if rows:
            async with database.transaction() as tx:
                added += await optouts.add_many(tx, account.id, rows, "import")
            rows.clear()

    for place, row in _rows(lines, now):
        if row is None:
            bad.append(place)
            continue
        seen += 1
        rows.append(row)
        if len(rows) >= IMPORT_BATCH:
            await flush()
    await flush()
    return Imported(added, seen - added, len(bad), tuple(bad[:BAD_SHOWN_MAX]))


def _rows(lines: Iterable[str], now: datetime) -> Iterator[tuple[int, tuple[str, datetime, str] | None]]:
    """(place of the line, what it says or None) of each line that is not empty."""
    reader = csv.reader(_single(lines), delimiter=",")
    columns: dict[str, int] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if reader.line_num > LINES_MAX:
                raise ListError(f"the file has more than {LINES_MAX} lines")
            if columns is None:
                columns = _columns(cells)
                if columns:
                    continue
                columns = {"number": 0}
            yield reader.line_num, _row(cells, columns, now)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ListError(f"line {reader.line_num + 1} cannot be read") from error


def _single(lines: Iterable[str]) -> Iterator[str]:
    """The lines with one separator: the one of the first line that has any."""
    separator = ""
    for line in lines:
        if not separator:
            separator = next((mark for mark in (";", "\t", ",") if mark in line), "")
            line = line.removeprefix("\ufeff")
        yield line.replace(separator, ",") if separator in (";", "\t") else line


def _columns(cells: list[str]) -> dict[str, int]:
    """Where the columns are, when this line is a heading; else empty."""
    names = [cell.strip().lower().replace(" ", "").replace("_", "") for cell in cells]
    at = next((names.index(name) for name in NUMBER_COLUMNS if name in names), None)
    if at is None:
        return {}
    found = {"number": at}
    found.update({name: names.index(name) for name in ("at", "comment") if name in names})
    return found


def _row(cells: list[str], columns: dict[str, int], now: datetime) -> tuple[str, datetime, str] | None:
    def cell(name: str) -> str:
        place = columns.get(name, len(cells))
        return cells[place].strip() if place < len(cells) else ""

    number = numbers.read(cell("number"))
    if not isinstance(number, Number):
        return None
    at = now
    if cell("at"):
        try:
            at = datetime.fromisoformat(cell("at"))
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    comment = cell("comment").lower()
    return number.e164, at, comment if comment in COMMENTS else "manual"


def _number(written: str) -> str:
    number = numbers.read(written)
    if not isinstance(number, Number):
        raise ListError(f"{written[:40]!r} is no telephone number")
    return number.e164


def csv_lines(entries: Iterable[OptOut]) -> Iterator[str]:
    """The list as a CSV file that import_csv reads."""
    yield ",".join(COLUMNS)
    for entry in entries:
        yield f"{entry.number},{entry.at:%Y-%m-%dT%H:%M:%S+00:00},{entry.comment}"
