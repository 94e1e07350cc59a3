"""Opting out: an account's list as its customers and operators read and change it, and as a CSV file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from chappe.actions import accounts, optout_file
from chappe.actions.optout_file import ListError
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
IMPORT_BATCH: Final = 1000
BAD_SHOWN_MAX: Final = 20


class Imported(msgspec.Struct, frozen=True):
    """added: new on the list; known: there before, or repeated; bad: lines without a number, the first of them by
    their place in bad_lines; completed: numbers that had lost their zero."""

    added: int
    known: int
    bad: int
    bad_lines: tuple[int, ...] = ()
    completed: int = 0


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
    return await _add(database, account.id, _number(written, account.settings.home), now, "command", "manual")


async def remove(database: Database, login: str, written: str, now: datetime) -> None:
    """Takes a number off an account's list. Raises AccountError, ListError: also when it was not there."""
    account = await accounts.get(database, login)
    number = _number(written, account.settings.home)
    async with database.transaction() as tx:
        if not await optouts.remove(tx, account.id, number, now, "command"):
            raise ListError(f"this number is not on the list of {account.login}")


async def import_csv(database: Database, login: str, octets: bytes, now: datetime) -> Imported:
    """Puts the numbers of a CSV file on an account's list; raises AccountError, ListError, and then nothing is stored.

    One number a line, or columns of which one has numbers; see optout_file.py for encodings, separators and headings.
    Lines without a number are counted, the others are taken. Batches are each their own transaction: a second run of
    the same file changes nothing.
    """
    account = await accounts.get(database, login)
    rows: list[tuple[str, datetime, str]] = []
    added = seen = completed = 0
    bad: list[int] = []

    async def flush() -> None:
        nonlocal added
        if rows:
            async with database.transaction() as tx:
                added += await optouts.add_many(tx, account.id, rows, "import")
            rows.clear()

    for place, line in optout_file.read(octets, account.settings.home, now):
        if line is None:
            bad.append(place)
            continue
        seen += 1
        completed += line.completed
        rows.append(line[:3])
        if len(rows) >= IMPORT_BATCH:
            await flush()
    await flush()
    return Imported(added, seen - added, len(bad), tuple(bad[:BAD_SHOWN_MAX]), completed)


def _number(written: str, home: str) -> str:
    number = numbers.read(written, home)
    if not isinstance(number, Number):
        raise ListError(f"{written[:40]!r} is no telephone number")
    return number.e164


def csv_lines(entries: Iterable[OptOut]) -> Iterator[str]:
    """The list as a CSV file that import_csv reads."""
    yield ",".join(COLUMNS)
    for entry in entries:
        yield f"{entry.number},{entry.at:%Y-%m-%dT%H:%M:%S+00:00},{entry.comment}"
