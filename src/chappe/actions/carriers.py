"""Carriers and routes as the operator makes and changes them: checked before they are stored, told to those who run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from chappe.actions.carrier_errors import CarrierError, CarrierMisuse, CarrierUnknown
from chappe.carriers.kind import Given, Kind
from chappe.carriers.registry import KINDS, kind_of
from chappe.core.carrier_config import Carrier, CarrierRoute, CarrierSettings
from chappe.core.pricing import PREFIX_DIGITS_MAX
from chappe.settings.words import did_you_mean
from chappe.store import binds, carriers, demo, operator
from chappe.store.carriers import NameTaken
from chappe.store.database import Database

BINDS_MAX: Final = 64
WINDOW_MAX: Final = 10_000
RATE_MAX: Final = 100_000.0
PRIORITY_MAX: Final = 1_000_000
NAME_FORM: Final = "1 to 40 small letters, digits, - and _, beginning with a letter or digit"
RANGES: Final[Mapping[str, int]] = {"premium": 1, "lowcost": 2}

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII).fullmatch


def read_settings(assignments: Iterable[str]) -> dict[str, str]:
    """The settings of `key=value` words, as a command line gives them. Raises CarrierMisuse. Pure."""
    read: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        name = key.strip().lower().replace("-", "_")
        if not equals or not name:
            raise CarrierMisuse(f"{assignment[:60]!r} is not written key=value")
        if name in read:
            raise CarrierMisuse(f"{name} is set twice")
        read[name] = value.strip()
    return read


def build_settings(
    *,
    kind: str = "smpp",
    host: str = "",
    port: int | None = None,
    system_id: str = "",
    password: str = "",
    window: int | None = None,
    rate: float | None = None,
    binds: int | None = None,
    profile_names: str = "",
    settings: Mapping[str, str] | None = None,
) -> CarrierSettings:
    """Checked settings of a carrier; what is None comes from its kind. Raises CarrierMisuse. Pure."""
    found = kind_named(kind)
    options = dict(settings or {})
    for option, own in found.elsewhere.items():
        if option in options:
            raise CarrierMisuse(f"{option} is not set with --set: use --{own}")
    written = {"host": host, "port": port, "system_id": system_id, "password": password}
    for name, value in written.items():
        if value not in ("", None) and name not in found.fields:
            raise CarrierMisuse(f"{name} is no setting of a carrier over {found.title}")
    given = Given(host, port, system_id, password, window, rate, binds, profile_names, options)
    return _complete(found, given)


def change_settings(before: CarrierSettings, assignments: Iterable[str], kind: str = "smpp") -> CarrierSettings:
    """A carrier's settings after `key=value` words: its own fields, or options of its kind (an empty value forgets the
    option). Raises CarrierMisuse. Pure."""
    found = kind_named(kind)
    words = read_settings(assignments)
    if not words:
        raise CarrierMisuse("nothing to set: write KEY=VALUE")
    fields: dict[str, Any] = {}
    options = dict(before.settings)
    for name, value in words.items():
        own = found.elsewhere.get(name, name)
        if own in found.fields:
            fields[own] = _number(own, value)
        elif name not in found.options:
            raise CarrierMisuse(f"unknown setting {name}{did_you_mean(name, [*found.fields, *found.options])}")
        elif value == "":
            options.pop(name, None)
        else:
            options[name] = value
    # Only a host that is written may bring its own port.
    port = fields.get("port", None if "host" in fields else before.port)
    kept = {
        name: getattr(before, name) for name in ("host", "system_id", "password", "window", "rate", "binds", "profile")
    }
    given = Given(**{**kept, **fields, "port": port, "settings": options})
    return _complete(found, given, before)


def kind_named(kind: str) -> Kind:
    """A kind of carriers; raises CarrierMisuse for one that does not exist."""
    found = KINDS.get(kind)
    if found is None:
        raise CarrierMisuse(f"unknown kind {kind[:40]}{did_you_mean(kind, KINDS)}")
    return found


def _complete(kind: Kind, given: Given, before: CarrierSettings | None = None) -> CarrierSettings:
    try:
        result = kind.complete(given, before)
    except ValueError as error:
        raise CarrierMisuse(str(error)) from None
    if not 1 <= result.window <= WINDOW_MAX:
        raise CarrierMisuse(f"window: expected 1 to {WINDOW_MAX} unanswered parts of one bind")
    if not 0 <= result.rate <= RATE_MAX:
        raise CarrierMisuse(f"rate: expected 0 (no limit) to {RATE_MAX:.0f} parts a second")
    if not 1 <= result.binds <= BINDS_MAX:
        raise CarrierMisuse(f"binds: expected 1 to {BINDS_MAX}")
    return result


def _number(name: str, value: str) -> Any:
    """The value of one of the carrier's own fields."""
    try:
        return {"port": int, "window": int, "binds": int, "rate": float}.get(name, str)(value)
    except ValueError:
        raise CarrierMisuse(f"{name}: {value[:40]!r} is no number") from None


def check_name(name: str) -> str:
    if not _NAME(name):
        raise CarrierMisuse(f"{name[:60]!r} is no name of a carrier: {NAME_FORM}")
    return name


async def add(database: Database, name: str, settings: CarrierSettings, kind: str = "smpp") -> Carrier:
    """Stores a new carrier; workers take it up at once. Raises CarrierMisuse, CarrierError for a name that is taken."""
    check_name(name)
    kind_named(kind)
    try:
        carrier_id = await carriers.add(database, name, settings, kind)
    except NameTaken as error:
        raise CarrierError(
            f"the carrier {name} exists already: `chappe carrier set {name} KEY=VALUE` changes it, "
            "and --replace gives it all these settings"
        ) from error
    return Carrier(id=carrier_id, name=name, kind=kind, settings=settings, enabled=True)


async def replace(database: Database, name: str, settings: CarrierSettings, kind: str = "smpp") -> Carrier:
    """Gives a carrier other settings, or adds it; its routes and its queue stay. Raises CarrierError when it is of
    another kind: ids and receipts of the one mean nothing to the other."""
    before = await find(database, name)
    if before is None:
        return await add(database, name, settings, kind)
    if before.kind != kind:
        raise CarrierError(f"{name} is a carrier of the kind {before.kind}: add one of another name")
    return await _save(database, name, lambda before, of: kind_named(of).replaced(before, settings))


async def change(database: Database, name: str, assignments: Iterable[str]) -> Carrier:
    """Changes a carrier by `key=value` words, all or nothing; its binds are made anew. Raises CarrierMisuse,
    CarrierUnknown."""
    words = tuple(assignments)
    return await _save(database, name, lambda before, kind: change_settings(before, words, kind))


async def _save(database: Database, name: str, after: Any) -> Carrier:
    async with database.transaction() as tx:
        found = await operator.carrier_for_update(tx, name)
        if found is None:
            raise CarrierUnknown(name)
        carrier_id, before, kind = found
        settings: CarrierSettings = after(before, kind)
        if (settings.host, settings.port) != (before.host, before.port) and await demo.owns(tx, carrier_id):
            raise CarrierMisuse(
                f"{name} leads to the phones of the demo and nowhere else: add a carrier of another name"
            )
        of = kind_named(kind)
        forget = of.identity(before) != of.identity(settings)  # what was learnt of its ids is learnt anew
        await operator.save_carrier(tx, carrier_id, settings, forget=forget)
    if settings.binds != before.binds:
        await binds.resize(database, carrier_id, settings.binds)
    return await get(database, name)


async def forget_probes(database: Database, carrier: Carrier, references: Iterable[str], since: datetime) -> None:
    """Receipts of the doctor's probes that came over the workers' binds are of no message: they wait for none, and are
    no reason for an alarm. references: the ids in the answers to the probes; since: when the first was sent."""
    forms = kind_of(carrier).ids(carrier).forms(references)
    if forms:
        await operator.forget_strays(database, carrier.id, sorted(forms), since)


async def find(database: Database, name: str) -> Carrier | None:
    return next((carrier for carrier in await carriers.all_carriers(database) if carrier.name == name), None)


async def get(database: Database, name: str) -> Carrier:
    """The carrier of a name; raises CarrierUnknown."""
    found = await find(database, name)
    if found is None:
        raise CarrierUnknown(name)
    return found


async def remove(database: Database, name: str) -> None:
    """Forgets a carrier and its routes; what waits for it goes where the other routes lead. Raises CarrierUnknown."""
    if not await carriers.remove(database, name):
        raise CarrierUnknown(name)


async def add_route(database: Database, carrier: str, prefix: str, range_: str, priority: int) -> CarrierRoute:
    """Stores a route; one that exists gets the new priority. range_: premium, lowcost, or empty for both. Raises
    CarrierMisuse, CarrierUnknown."""
    digits = prefix.removeprefix("+")
    if digits and not (digits.isascii() and digits.isdecimal() and len(digits) <= PREFIX_DIGITS_MAX):
        raise CarrierMisuse(f"prefix: {prefix[:40]!r} is no international prefix such as 33")
    if digits.startswith("0"):
        raise CarrierMisuse(f"prefix: {prefix[:40]!r} is national; write the country's code, such as 33")
    if range_ and range_ not in RANGES:
        raise CarrierMisuse(f"range: expected premium or lowcost{did_you_mean(range_, RANGES)}")
    if not 0 <= priority <= PRIORITY_MAX:
        raise CarrierMisuse(f"priority: expected 0 to {PRIORITY_MAX}; the lowest goes first")
    number = RANGES.get(range_)
    route_id = await carriers.add_route(database, carrier, digits, number, priority)
    if route_id is None:
        raise CarrierUnknown(carrier)
    found = await get(database, carrier)
    return CarrierRoute(route_id, carrier, found.id, digits, number, priority)


async def remove_route(database: Database, route_id: int) -> None:
    """Forgets a route; messages that wait are routed anew when their carrier fails. Raises CarrierError."""
    if not 0 < route_id < 1 << 31 or not await carriers.remove_route(database, route_id):
        raise CarrierError(f"there is no route {route_id}; `chappe route list` shows them")
