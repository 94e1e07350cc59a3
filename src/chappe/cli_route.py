"""`chappe route`: add, list, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from chappe.cli_commands import Argument, Group, Option
from chappe.cli_installation import Data, DatabaseUrl, Json, configuration, perform
from chappe.cli_output import emit, table

if TYPE_CHECKING:
    from chappe.core.network import CarrierRoute
    from chappe.store.database import Database

app = Group("Which messages go through which carrier.")


@app.command()
def add(
    carrier: Annotated[str, Option(help="Name of the carrier.")],
    prefix: Annotated[str, Option(help="International prefix without plus, such as 33; none: everywhere.")] = "",
    range_: Annotated[
        str,
        Option("--range", help="Only messages of this range.", metavar="premium|lowcost", show_default="both"),
    ] = "",
    priority: Annotated[int, Option(help="The lowest goes first; the next takes over when it is down.")] = 0,
    data: Data = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Adds a route.

    The longest prefix rules, then the lowest priority. One that exists gets the new priority.
    """

    async def work(database: Database) -> CarrierRoute:
        from chappe.actions import carriers

        return await carriers.add_route(database, carrier, prefix, range_, priority)

    route = perform(configuration(data, database_url), work)
    emit(_document(route), f"route {route.id}: {_words(route)}", as_json=as_json)


@app.command("list")
def list_(data: Data = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
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
def remove(
    route_id: Annotated[int, Argument(metavar="ID", help="As `chappe route list` shows it.")],
    data: Data = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
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
