"""`chappe price`: list, import, export."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chappe.cli.installation import configuration, installation_options, perform
from chappe.cli.output import Failure, Misuse, emit, print_json, table

if TYPE_CHECKING:
    from chappe.actions.prices import PriceListShown, PricesImported
    from chappe.store.database import Database

app = click.Group()

account_option = click.option("--account", metavar="LOGIN", help="The list of one account instead of everybody's.")


@app.command("list")
@account_option
@installation_options
def list_(account: str | None, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Lists prices by destination.

    The list shows the prices of the whole installation, or the own prices of one account. Then it shows the prices
    that start on a later day. * is everywhere else.
    """
    found = _shown(account, data, database_url)
    from chappe.actions.price_file import written

    rows = [tuple(line.split(",")) for line in written(found.prices, found.coming)]
    emit(found, table(rows[0], rows[1:]) if len(rows) > 1 else "No prices by destination.", as_json=as_json)


@app.command("import")
@click.argument("file", type=click.Path(path_type=Path), help="CSV: prefix,price,from; - reads standard input.")
@account_option
@click.option("--replace", is_flag=True, help="Prefixes that the file does not name lose their price.")
@installation_options
def import_(
    file: Path, account: str | None, replace: bool, data: Path | None, database_url: str | None, as_json: bool
) -> None:
    """Takes over the prices of a CSV file.

    Each line has a prefix (49, or * for everywhere else), a price in EUR (none: refused there, -: no price of its
    own), and if you like a day from which it holds. One wrong line stops the import before anything is changed.
    """
    config = configuration(data, database_url)
    try:
        octets = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Misuse(f"{file}: cannot be read: {error.strerror or error}") from error

    async def work(database: Database) -> PricesImported:
        from chappe.actions import prices

        return await prices.import_csv(database, account, octets, datetime.now(UTC), replace=replace)

    done = perform(config, work)
    emit(done, f"{done.applied} prices hold now, {done.coming} from a later day on", as_json=as_json)


@app.command()
@account_option
@click.argument("file", required=False, type=click.Path(path_type=Path), help="Where to write; none: standard output.")
@installation_options
def export(account: str | None, file: Path | None, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Writes the prices as a CSV file that `import` reads."""
    found = _shown(account, data, database_url)
    from chappe.actions.price_file import written

    lines = list(written(found.prices, found.coming))
    if file is None:
        emit(found, "\n".join(lines), as_json=as_json)
        return
    try:
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {file}: {error.strerror or error}") from error
    if as_json:
        print_json({"exported": len(lines) - 1})


def _shown(account: str | None, data: Path | None, database_url: str | None) -> PriceListShown:
    async def work(database: Database) -> PriceListShown:
        from chappe.actions import prices

        return await prices.show(database, account)

    return perform(configuration(data, database_url), work)
