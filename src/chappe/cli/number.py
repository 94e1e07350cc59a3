"""`chappe number`: add, list, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chappe.cli.installation import configuration, installation_options, perform
from chappe.cli.output import emit, table

if TYPE_CHECKING:
    from chappe.store.database import Database
    from chappe.store.virtual_numbers import VirtualNumber

app = click.Group()

number_argument = click.argument("number", help="International or national, such as 33700000001.")


@app.command()
@number_argument
@click.option("--account", required=True, metavar="LOGIN", help="Login of its account.")
@installation_options
def add(number: str, account: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Gives a long number to an account.

    Replies to the number are the account's, and only this account sends from it.
    """

    async def work(database: Database) -> str:
        from chappe.actions import virtual_numbers

        return await virtual_numbers.add(database, number, account)

    added = perform(configuration(data, database_url), work)
    emit({"number": added, "account": account}, f"{added} belongs to {account}", as_json=as_json)


@app.command("list")
@installation_options
def list_(data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Lists the long numbers."""

    async def work(database: Database) -> list[VirtualNumber]:
        from chappe.actions import virtual_numbers

        return await virtual_numbers.every(database)

    found = perform(configuration(data, database_url), work)
    rows = [(entry.number, entry.login, f"{entry.created_at:%Y-%m-%d %H:%M:%S}") for entry in found]
    text = table(("number", "account", "since"), rows) if rows else "No long number yet: `chappe number add` makes one."
    document = [{"number": entry.number, "account": entry.login, "created_at": entry.created_at} for entry in found]
    emit(document, text, as_json=as_json)


@app.command()
@number_argument
@installation_options
def remove(number: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Forgets a long number."""

    async def work(database: Database) -> str:
        from chappe.actions import virtual_numbers

        return await virtual_numbers.remove(database, number)

    removed = perform(configuration(data, database_url), work)
    emit({"removed": removed}, f"{removed} is removed", as_json=as_json)
