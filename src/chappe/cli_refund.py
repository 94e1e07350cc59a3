"""`chappe refund`: list, set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from chappe.cli_commands import Argument, Group
from chappe.cli_installation import Data, DatabaseUrl, Json, configuration, perform
from chappe.cli_output import Misuse, emit, table

if TYPE_CHECKING:
    from chappe.actions.refunds import Rule
    from chappe.store.database import Database

app = Group("Which ends of messages give their money back.")


@app.command("list")
def list_(data: Data = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Lists the final states, and whether they give money back."""

    async def work(database: Database) -> list[Rule]:
        from chappe.actions import refunds

        return await refunds.rules(database)

    _show(perform(configuration(data, database_url), work), as_json=as_json)


@app.command("set")
def set_(
    assignments: Annotated[list[str], Argument(metavar="STATE=yes|no...", help="As `chappe refund list` says.")],
    data: Data = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Changes which final states give money back, from now on; what has ended stays as it is."""
    from chappe.actions.refunds import RuleError, read

    try:
        wanted = read(assignments)
    except RuleError as error:
        raise Misuse(str(error)) from error

    async def work(database: Database) -> list[Rule]:
        from chappe.actions import refunds

        return await refunds.change(database, wanted)

    _show(perform(configuration(data, database_url), work), as_json=as_json)


def _show(found: list[Rule], *, as_json: bool) -> None:
    rows = [
        (rule.state, "yes" if rule.refunds else "no", "" if rule.refunds == rule.usual else "changed") for rule in found
    ]
    emit(found, table(("state", "money back", ""), rows), as_json=as_json)
