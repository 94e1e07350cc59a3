"""Carriers and routes: what the operator has configured, cold tables."""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec

from chappe.core.carrier_config import Carrier, CarrierRoute, CarrierSettings
from chappe.core.routing import Route, Router
from chappe.observability.logs import get_logger
from chappe.store import demo
from chappe.store.database import Database

log = get_logger("chappe.store")


class NameTaken(Exception):
    """A carrier of this name exists already."""


def _carrier(row: Any) -> Carrier:
    return Carrier(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        settings=msgspec.json.decode(row["settings"], type=CarrierSettings),
        enabled=row["enabled"],
        learnt=msgspec.json.decode(row["learnt"], type=tuple[str, str]) if row["learnt"] else ("learn", "learn"),
    )


async def all_carriers(database: Database) -> list[Carrier]:
    """Every carrier that can be understood; one with settings of another version is logged and left out."""
    found = []
    for row in await database.fetch("select id, name, kind, settings, enabled, learnt from carrier order by id"):
        try:
            found.append(_carrier(row))
        except msgspec.ValidationError as error:
            log.error("carrier_settings_unusable", carrier=row["name"], error=str(error))
    return found


async def add(database: Database, name: str, settings: CarrierSettings, kind: str = "smpp") -> int:
    """Stores a carrier and a row for each of its binds; raises NameTaken."""
    async with database.transaction() as tx:
        try:
            carrier_id: int = await tx.fetchval(
                "insert into carrier (name, kind, settings) values ($1, $2, $3::text::jsonb) returning id",
                name,
                kind,
                msgspec.json.encode(settings).decode(),
            )
        except asyncpg.UniqueViolationError as error:
            raise NameTaken(name) from error
        await tx.execute(
            "insert into bind (carrier_id, slot) select $1, generate_series(0, $2::int - 1)", carrier_id, settings.binds
        )
        await demo.for_its_account_only(tx, carrier_id)
    return carrier_id


async def learn(database: Database, carrier_id: int, response_id_format: str, receipt_id_format: str) -> None:
    """Stores how a carrier writes ids; those who drive it follow at once, without a new session."""
    await database.execute(
        "update carrier set learnt = $2::text::jsonb where id = $1",
        carrier_id,
        msgspec.json.encode((response_id_format, receipt_id_format)).decode(),
    )


async def remove(database: Database, name: str) -> bool:
    """Forgets a carrier and its routes. What waits for it goes to where the remaining routes lead; whether messages in
    flight arrived, nobody can tell any more: they are in doubt until their receipts or their deadline."""
    async with database.transaction() as tx:
        carrier_id = await tx.fetchval("delete from carrier where name = $1 returning id", name)
        if carrier_id is None:
            return False
        # A worker that still drives them ends them first, and removes the rest.
        await tx.execute(
            "delete from bind where carrier_id = $1 and in_flight = '{}' and expires_at < clock_timestamp()", carrier_id
        )
        # the waiting lane of no carrier: workers route it anew
        await tx.execute(
            """with moved as (delete from outbox where lane between $1 * 8 and $1 * 8 + 7
                              returning key, lane, message_id, attempts, parts_done),
                    stored as (insert into outbox (lane, key, message_id, attempts, parts_done)
                               select 7, key, message_id, attempts, parts_done from moved)
               update message m set lane = 7 from moved where m.id = moved.message_id""",
            carrier_id,
        )
    return True


async def all_routes(database: Database) -> list[CarrierRoute]:
    rows = await database.fetch(
        """select r.id, c.name as carrier, r.carrier_id, r.prefix, r.range, r.priority
           from route r join carrier c on c.id = r.carrier_id where c.enabled
           order by length(r.prefix) desc, r.priority, r.id"""
    )
    return [CarrierRoute(**dict(row)) for row in rows]


async def router(database: Database) -> Router:
    """The routing table as it is now, ready for use."""
    routes = await all_routes(database)
    rule = await demo.rule(database)
    return Router([Route(r.prefix, r.range, str(r.carrier_id), r.priority) for r in routes], rule)


async def add_route(database: Database, carrier: str, prefix: str, range_: int | None, priority: int) -> int | None:
    """Stores a route, or the new priority of one that exists; None when there is no such carrier."""
    route_id: int | None = await database.value(
        """insert into route (carrier_id, prefix, range, priority)
           select id, $2, $3, $4 from carrier where name = $1
           on conflict (carrier_id, prefix, range) do update set priority = excluded.priority returning id""",
        carrier,
        prefix,
        range_,
        priority,
    )
    return route_id


async def remove_route(database: Database, route_id: int) -> bool:
    return await database.value("delete from route where id = $1 returning id", route_id) is not None


async def save(database: Database, name: str, settings: CarrierSettings) -> bool:
    """Stores new settings of a carrier; its binds follow without a restart. False when there is no such carrier."""
    return bool(
        await database.value(
            "update carrier set settings = $2::text::jsonb where name = $1 returning true",
            name,
            msgspec.json.encode(settings).decode(),
        )
    )
