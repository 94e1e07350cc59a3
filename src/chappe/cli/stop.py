"""`chappe stop`: list, add, remove, import, export."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chappe.cli.installation import configuration, installation_options, perform
from chappe.cli.output import Failure, Misuse, emit, print_json, table

if TYPE_CHECKING:
    from chappe.actions.optouts import Imported
    from chappe.core.model import OptOut, OptOutAdded
    from chappe.store.database import Database
    from chappe.store.optouts import OptOutRemoved
    from chappe.store.replies import NearMiss

app = click.Group()

account_option = click.option("--account", required=True, metavar="LOGIN", help="Login of the account.")
number_argument = click.argument("number", help="In any usual form.")


@app.command("list")
@account_option
@installation_options
def list_(account: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Lists the numbers that opted out, oldest first."""

    async def work(database: Database) -> list[OptOut]:
        from chappe.actions import optouts

        return await optouts.listed(database, account)

    found = perform(configuration(data, database_url), work)
    rows = [(entry.id, entry.number, f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.comment) for entry in found]
    emit(found, table(("id", "number", "at", "by"), rows) if rows else "Nobody has opted out.", as_json=as_json)


@app.command()
@number_argument
@account_option
@installation_options
def add(number: str, account: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Puts a number on the list.

    Commercial messages that wait for it are ended.
    """

    async def work(database: Database) -> OptOutAdded:
        from chappe.actions import optouts

        return await optouts.add(database, account, number, datetime.now(UTC))

    added = perform(configuration(data, database_url), work)
    text = "this number was on the list" if added.known else "this number gets nothing commercial any more"
    emit(added, text, as_json=as_json)


@app.command()
@number_argument
@account_option
@installation_options
def remove(number: str, account: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Takes a number off the list.

    `chappe stop removed` tells from then on that it was there, and who took it off.
    """

    async def work(database: Database) -> None:
        from chappe.actions import optouts

        await optouts.remove(database, account, number, datetime.now(UTC))

    perform(configuration(data, database_url), work)
    emit({"removed": True}, "this number may get messages again", as_json=as_json)


@app.command()
@account_option
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many at most.")
@installation_options
def removed(account: str, limit: int, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Lists what was taken off the list, and by whom.

    The newest first. Who opted out: reply is the subscriber, api and import the customer, command the operator.
    """

    async def work(database: Database) -> list[OptOutRemoved]:
        from chappe.actions import optouts

        return await optouts.removed(database, account, limit)

    found = perform(configuration(data, database_url), work)
    rows = [
        (e.number, f"{e.added_at:%Y-%m-%d %H:%M:%S}", e.source, f"{e.removed_at:%Y-%m-%d %H:%M:%S}", e.removed_by)
        for e in found
    ]
    head = ("number", "opted out at", "by", "removed at", "by")
    emit(found, table(head, rows) if rows else "Nothing was taken off the list.", as_json=as_json)


@app.command()
@account_option
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, the newest first."
)
@installation_options
def near(account: str, limit: int, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Lists replies that may have meant STOP.

    They were not obeyed. `chappe stop add NUMBER` obeys one; the account setting stop_words teaches a word.
    """

    async def work(database: Database) -> list[NearMiss]:
        from chappe.actions import optouts

        return await optouts.near_misses(database, account, limit)

    found = perform(configuration(data, database_url), work)
    rows = [(f"{one.at:%Y-%m-%d %H:%M:%S}", one.number, one.text) for one in found]
    emit(found, table(("at", "number", "text"), rows) if rows else "No such reply.", as_json=as_json)


@app.command("import")
@click.argument(
    "file", type=click.Path(path_type=Path), help="CSV: a number a line, or with a heading; - reads standard input."
)
@account_option
@installation_options
def import_(file: Path, account: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Puts the numbers of a CSV file on the list.

    The file is UTF-8, UTF-16 or Windows-1252, with semicolons, tabs or commas. The columns are found by their heading
    (number or téléphone, at, comment), else by what is in them. A number that a spreadsheet rounded stops the import
    before anything is stored. Exit status 1 when a line has no number: the other lines are imported all the same.
    """

    config = configuration(data, database_url)
    try:
        octets = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Misuse(f"{file}: cannot be read: {error.strerror or error}") from error

    async def work(database: Database) -> Imported:
        from chappe.actions import optouts

        return await optouts.import_csv(database, account, octets, datetime.now(UTC))

    done = perform(config, work)
    said = f"{done.added} added, {done.known} were there, {done.bad} lines without a number"
    if done.completed:
        said += f"; {done.completed} had lost their zero and were read as French"
    emit(done, said, as_json=as_json)
    if done.bad:
        places = ", ".join(str(line) for line in done.bad_lines) + (", ..." if done.bad > len(done.bad_lines) else "")
        raise Failure(f"no number in line {places}")


@app.command()
@account_option
@click.argument("file", required=False, type=click.Path(path_type=Path), help="Where to write; none: standard output.")
@installation_options
def export(account: str, file: Path | None, data: Path | None, database_url: str | None, as_json: bool) -> None:
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
