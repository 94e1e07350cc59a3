"""`chappe route`: add, list, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chappe.cli.installation import configuration, installation_options, perform
from chappe.cli.output import emit, table

if TYPE_CHECKING:
    from chappe.core.carrier_config import CarrierRoute
    from chappe.store.database import Database

app = click.Group()


@app.command()
@click.option("--carrier", required=True, help="Name of the carrier.")
@click.option("--prefix", default="", help="International prefix without plus, such as 33; none: everywhere.")
@click.option(
    "--range",
    "range_",
    type=click.Choice(("premium", "lowcost")),
    help="Only messages of this range.",
)
@click.option(
    "--priority", default=0, show_default=True, help="The lowest goes first; the next takes over when it is down."
)
@installation_options
def add(
    carrier: str,
    prefix: str,
    range_: str | None,
    priority: int,
    data: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Adds a route.

    The longest prefix rules, then the lowest priority. One that exists gets the new priority.
    """

    async def work(database: Database) -> CarrierRoute:
        from chappe.actions import carriers

        return await carriers.add_route(database, carrier, prefix, range_ or "", priority)

    route = perform(configuration(data, database_url), work)
    emit(_document(route), f"route {route.id}: {_words(route)}", as_json=as_json)


@app.command("list")
@installation_options
def list_(data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Lists routes in the order of asking."""

    async def work(database: Database) -> list[CarrierRoute]:
        from chappe.store import carriers

        return await carriers.all_routes(database)

    routes = perform(configuration(data, database_url), work)
    rows = [(r.id, "+" + r.prefix if r.prefix else "everywhere", _range(r) or "both", r.priority, r.carrier)
            for r in routes]  # fmt: skip
    head = ("id", "prefix", "range", "priority", "carrier")
    text = table(head, rows) if rows else "No route yet: `chappe route add` makes one."
    emit([_document(route) for route in routes], text, as_json=as_json)


@app.command()
@click.argument("route_id", metavar="ID", type=int, help="As `chappe route list` shows it.")
@installation_options
def remove(route_id: int, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Forgets a route."""

    async def work(database: Database) -> None:
        from chappe.actions import carriers

        await carriers.remove_route(database, route_id)

    perform(configuration(data, database_url), work)
    emit({"removed": route_id}, f"route {route_id} is removed", as_json=as_json)


def _range(route: CarrierRoute) -> str | None:
    return {1: "premium", 2: "lowcost"}.get(route.range or 0)


def _document(route: CarrierRoute) -> dict[str, Any]:
    return {
        "id": route.id,
        "carrier": route.carrier,
        "prefix": route.prefix,
        "range": _range(route),
        "priority": route.priority,
    }


def _words(route: CarrierRoute) -> str:
    where = f"to +{route.prefix}" if route.prefix else "everywhere"
    range_ = _range(route)
    return (
        f"{f'{range_} messages' if range_ else 'messages'} {where} through {route.carrier}, priority {route.priority}"
    )
