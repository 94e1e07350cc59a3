"""`chappe number`: add, list, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from chappe.cli_commands import Argument, Group, Option
from chappe.cli_installation import Data, DatabaseUrl, Json, configuration, perform
from chappe.cli_output import emit, table

if TYPE_CHECKING:
    from chappe.store.database import Database
    from chappe.store.virtual_numbers import VirtualNumber

app = Group("Long (virtual) numbers, and whose they are.")

Number = Annotated[str, Argument(metavar="NUMBER", help="International or national, such as 33700000001.")]


@app.command()
def add(
    number: Number,
    account: Annotated[str, Option("--account", help="Login of its account.", metavar="LOGIN")],
    data: Data = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Gives a long number to an account.

    Replies to the number are the account's, and only this account sends from it.
    """

    async def work(database: Database) -> str:
        from chappe.actions import virtual_numbers

        return await virtual_numbers.add(database, number, account)

    added = perform(configuration(data, database_url), work)
    emit({"number": added, "account": account}, f"{added} belongs to {account}", as_json=as_json)


@app.command("list")
def list_(data: Data = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
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
def remove(number: Number, data: Data = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Forgets a long number."""

    async def work(database: Database) -> str:
        from chappe.actions import virtual_numbers

        return await virtual_numbers.remove(database, number)

    removed = perform(configuration(data, database_url), work)
    emit({"removed": removed}, f"{removed} is removed", as_json=as_json)
