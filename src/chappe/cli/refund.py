"""`chappe refund`: list, set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chappe.cli.installation import configuration, installation_options, perform
from chappe.cli.output import Misuse, emit, table

if TYPE_CHECKING:
    from chappe.actions.refunds import Rule
    from chappe.store.database import Database

app = click.Group()


@app.command("list")
@installation_options
def list_(data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Lists the final states, and whether they give money back."""

    async def work(database: Database) -> list[Rule]:
        from chappe.actions import refunds

        return await refunds.rules(database)

    _show(perform(configuration(data, database_url), work), as_json=as_json)


@app.command("set")
@click.argument("assignments", metavar="STATE=yes|no...", nargs=-1, required=True, help="As `chappe refund list` says.")
@installation_options
def set_(assignments: tuple[str, ...], data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Changes which final states give money back.

    From now on: what has ended stays as it is.
    """
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
