"""`chappe stop`: list, add, remove, import, export."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from chappe.cli_commands import Argument, Group, Option
from chappe.cli_installation import Data, DatabaseUrl, Json, configuration, perform
from chappe.cli_output import Failure, Misuse, emit, print_json, table

if TYPE_CHECKING:
    from chappe.actions.optouts import Imported
    from chappe.core.model import OptOut, OptOutAdded
    from chappe.store.database import Database

app = Group("Who wants nothing more from an account.")

Account = Annotated[str, Option("--account", help="Login of the account.", metavar="LOGIN")]
Number = Annotated[str, Argument(metavar="NUMBER", help="In any usual form.")]


@app.command("list")
def list_(account: Account, data: Data = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Lists the numbers that opted out, oldest first."""

    async def work(database: Database) -> list[OptOut]:
        from chappe.actions import optouts

        return await optouts.listed(database, account)

    found = perform(configuration(data, database_url), work)
    rows = [(entry.id, entry.number, f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.comment) for entry in found]
    emit(found, table(("id", "number", "at", "by"), rows) if rows else "Nobody has opted out.", as_json=as_json)


@app.command()
def add(
    number: Number, account: Account, data: Data = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Puts a number on the list, and ends the commercial messages that wait for it."""

    async def work(database: Database) -> OptOutAdded:
        from chappe.actions import optouts

        return await optouts.add(database, account, number, datetime.now(UTC))

    added = perform(configuration(data, database_url), work)
    text = "this number was on the list" if added.known else "this number gets nothing commercial any more"
    emit(added, text, as_json=as_json)


@app.command()
def remove(
    number: Number, account: Account, data: Data = None, database_url: DatabaseUrl = None, as_json: Json = False
) -> None:
    """Takes a number off the list."""

    async def work(database: Database) -> None:
        from chappe.actions import optouts

        await optouts.remove(database, account, number)

    perform(configuration(data, database_url), work)
    emit({"removed": True}, "this number may get messages again", as_json=as_json)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        Argument(metavar="FILE", help="CSV: a number a line, or with a heading; - reads standard input."),
    ],
    account: Account,
    data: Data = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Puts the numbers of a CSV file on the list.

    Columns are found by their heading (number, at, comment); without one the first column has the numbers. Exit status
    1 when a line has no number: the other lines are imported all the same.
    """

    async def work(database: Database, lines: TextIO) -> Imported:
        from chappe.actions import optouts

        return await optouts.import_csv(database, account, lines, datetime.now(UTC))

    config = configuration(data, database_url)
    try:
        # The standard input is not ours to close.
        with nullcontext(sys.stdin) if str(file) == "-" else file.open(encoding="utf-8") as lines:
            done = perform(config, lambda database: work(database, lines))
    except OSError as error:
        raise Misuse(f"{file}: cannot be read: {error.strerror or error}") from error
    emit(done, f"{done.added} added, {done.known} were there, {done.bad} lines without a number", as_json=as_json)
    if done.bad:
        places = ", ".join(str(line) for line in done.bad_lines) + (", ..." if done.bad > len(done.bad_lines) else "")
        raise Failure(f"no number in line {places}")


@app.command()
def export(
    account: Account,
    file: Annotated[
        Path | None, Argument(metavar="FILE", help="Where to write.", show_default="standard output")
    ] = None,
    data: Data = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Writes the list as a CSV file that `import` reads."""

    async def work(database: Database) -> list[OptOut]:
        from chappe.actions import optouts

        return await optouts.listed(database, account)

    found = perform(configuration(data, database_url), work)
    from chappe.actions.optouts import csv_lines

    text = "\n".join(csv_lines(found))
    if file is None:
        emit(found, text, as_json=as_json)
        return
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {file}: {error.strerror or error}") from error
    if as_json:
        print_json({"exported": len(found)})
