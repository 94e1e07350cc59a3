"""Carriers and routes as the operator makes and changes them: checked before they are stored, told to those who run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from chappe.actions.carrier_errors import CarrierError, CarrierMisuse, CarrierUnknown
from chappe.carriers.registry import KINDS
from chappe.core.carrier_config import Carrier, CarrierRoute, CarrierSettings
from chappe.core.pricing import PREFIX_DIGITS_MAX
from chappe.smpp.fields import LONG_OCTETS_MAX
from chappe.smpp.message_ids import variants
from chappe.smpp.profile import KNOBS, Profile, profile
from chappe.store import binds, carriers, demo, operator
from chappe.store.carriers import NameTaken
from chappe.store.database import Database

BINDS_MAX: Final = 64
WINDOW_MAX: Final = 10_000
HOST_CHARACTERS_MAX: Final = 253
RATE_MAX: Final = 100_000.0
PRIORITY_MAX: Final = 1_000_000
NAME_FORM: Final = "1 to 40 small letters, digits, - and _, beginning with a letter or digit"
RANGES: Final[Mapping[str, int]] = {"premium": 1, "lowcost": 2}

# What stands in columns of its own and not among the profile's settings: the one truth is there.
_OWN: Final = ("host", "port", "system_id", "password", "window", "rate", "binds", "profile")
_ELSEWHERE: Final = {"rate_per_s": "rate", "window": "window", "binds": "binds"}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII).fullmatch
# A name or an IPv4 address has no colon, an IPv6 address two at least.
_HOST: Final = re.compile(
    r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?", re.ASCII
).fullmatch


def made(
    *,
    host: str,
    port: int | None,
    system_id: str,
    password: str,
    window: int | None = None,
    rate: float | None = None,
    binds: int | None = None,
    profile_names: str = "",
    settings: Mapping[str, str] | None = None,
) -> CarrierSettings:
    """Checked settings of a carrier; what is None comes from the profile, the port from a host written `host:port`.
    Raises CarrierMisuse. Pure."""
    host, port = _address(host, port)
    knobs = dict(settings or {})
    for knob, own in _ELSEWHERE.items():
        if knob in knobs:
            raise CarrierMisuse(f"{knob} is not set with --set: use --{own}")
    built = _profile(profile_names, knobs)
    result = CarrierSettings(
        host=host,
        port=port,
        system_id=system_id,
        password=password,
        window=built.window if window is None else window,
        rate=built.rate_per_s if rate is None else rate,
        binds=built.binds if binds is None else binds,
        profile=profile_names,
        settings=knobs,
    )
    _check(result)
    return result


def changed(before: CarrierSettings, assignments: Iterable[str]) -> CarrierSettings:
    """A carrier's settings after `key=value` words: its own fields, or knobs of the profile (an empty value forgets
    the knob). Raises CarrierMisuse. Pure."""
    from chappe.smpp.profile import settings as read_settings

    try:
        words = read_settings(assignments)
    except ValueError as error:
        raise CarrierMisuse(str(error)) from None
    if not words:
        raise CarrierMisuse("nothing to set: write KEY=VALUE")
    fields: dict[str, Any] = {}
    knobs = dict(before.settings)
    for name, value in words.items():
        own = _ELSEWHERE.get(name, name)
        if own in _OWN:
            fields[own] = _number(own, value)
        elif name not in KNOBS:
            raise CarrierMisuse(f"unknown setting {name}{_nearest(name, [*_OWN, *KNOBS])}")
        elif value == "":
            knobs.pop(name, None)
        else:
            knobs[name] = value
    if "host" in fields:
        fields["host"], port = _address(fields["host"], fields.get("port"), before.port)
        fields["port"] = port
    after = msgspec.structs.replace(before, settings=knobs, **fields)
    _profile(after.profile, after.settings)
    _check(after)
    return after


def _address(host: str, port: int | None, port_before: int | None = None) -> tuple[str, int]:
    """Host and port, of which the host may hold both: `host:port`, `[::1]:2775`; the brackets of an address go."""
    name, colon, digits = host.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif colon and digits.isascii() and digits.isdecimal() and (":" not in name or name.endswith("]")):
        written = int(digits[:6])
        if port is not None and port != written:
            raise CarrierMisuse(f"host: {host[:60]!r} names another port than {port}")
        host, port = name.removeprefix("[").removesuffix("]"), written
    if port is None:
        port = port_before
    if port is None:
        raise CarrierMisuse("missing option --port: write the port of the SMSC, such as 2775")
    return host, port


def _number(name: str, value: str) -> Any:
    """The value of one of the carrier's own fields."""
    try:
        return {"port": int, "window": int, "binds": int, "rate": float}.get(name, str)(value)
    except ValueError:
        raise CarrierMisuse(f"{name}: {value[:40]!r} is no number") from None


def _profile(names: str, settings: Mapping[str, str]) -> Profile:
    try:
        return profile(names or "generic", settings)
    except ValueError as error:
        raise CarrierMisuse(str(error)) from None


def _check(settings: CarrierSettings) -> None:
    if len(settings.host) > HOST_CHARACTERS_MAX or not _HOST(settings.host):
        raise CarrierMisuse(f"{settings.host[:60]!r} is no host name or address")
    if not 1 <= settings.port <= 65_535:
        raise CarrierMisuse("port: expected 1 to 65535")
    if not settings.system_id.isascii() or not settings.password.isascii():
        raise CarrierMisuse("system_id and password: expected ASCII (SMPP 3.4, 3.1)")
    # The standard has 15 and 8 octets (SMPP 3.4, 4.1.1), but many carriers hand out longer ones.
    if not 1 <= len(settings.system_id) <= LONG_OCTETS_MAX or not settings.system_id.isprintable():
        raise CarrierMisuse(f"system_id: expected 1 to {LONG_OCTETS_MAX} printable characters")
    if len(settings.password) > LONG_OCTETS_MAX or not settings.password.isprintable():
        raise CarrierMisuse(f"password: expected at most {LONG_OCTETS_MAX} printable characters")
    if not 1 <= settings.window <= WINDOW_MAX:
        raise CarrierMisuse(f"window: expected 1 to {WINDOW_MAX} unanswered parts of one bind")
    if not 0 <= settings.rate <= RATE_MAX:
        raise CarrierMisuse(f"rate: expected 0 (no limit) to {RATE_MAX:.0f} parts a second")
    if not 1 <= settings.binds <= BINDS_MAX:
        raise CarrierMisuse(f"binds: expected 1 to {BINDS_MAX}")


def check_name(name: str) -> str:
    if not _NAME(name):
        raise CarrierMisuse(f"{name[:60]!r} is no name of a carrier: {NAME_FORM}")
    return name


async def add(database: Database, name: str, settings: CarrierSettings, kind: str = "smpp") -> Carrier:
    """Stores a new carrier; workers take it up at once. Raises CarrierMisuse, CarrierError for a name that is taken."""
    check_name(name)
    if kind not in KINDS:
        raise CarrierMisuse(f"unknown kind {kind}{_nearest(kind, KINDS)}")
    try:
        carrier_id = await carriers.add(database, name, settings, kind)
    except NameTaken as error:
        raise CarrierError(
            f"the carrier {name} exists already: `chappe carrier set {name} KEY=VALUE` changes it, "
            "and --replace gives it all these settings"
        ) from error
    return Carrier(id=carrier_id, name=name, kind=kind, settings=settings, enabled=True)


async def replace(database: Database, name: str, settings: CarrierSettings) -> Carrier:
    """Gives a carrier other settings, or adds it; its routes and its queue stay."""
    if await find(database, name) is None:
        return await add(database, name, settings)
    return await _save(database, name, lambda _: settings)


async def change(database: Database, name: str, assignments: Iterable[str]) -> Carrier:
    """Changes a carrier by `key=value` words, all or nothing; its binds are made anew. Raises CarrierMisuse,
    CarrierUnknown."""
    words = tuple(assignments)
    return await _save(database, name, lambda before: changed(before, words))


async def _save(database: Database, name: str, after: Any) -> Carrier:
    async with database.transaction() as tx:
        found = await operator.carrier_for_update(tx, name)
        if found is None:
            raise CarrierUnknown(name)
        carrier_id, before = found
        settings: CarrierSettings = after(before)
        if (settings.host, settings.port) != (before.host, before.port) and await demo.owns(tx, carrier_id):
            raise CarrierMisuse(
                f"{name} leads to the phones of the demo and nowhere else: add a carrier of another name"
            )
        # Another SMSC, or another word about its ids: what was learnt of them is learnt anew.
        forget = _about_ids(before) != _about_ids(settings)
        await operator.save_carrier(tx, carrier_id, settings, forget=forget)
    if settings.binds != before.binds:
        await binds.resize(database, carrier_id, settings.binds)
    return await get(database, name)


def _about_ids(settings: CarrierSettings) -> tuple[object, ...]:
    words = [settings.settings.get(f"{side}_id_format") for side in ("response", "receipt")]
    return settings.host, settings.port, settings.system_id, settings.profile, *words


async def forget_probes(database: Database, carrier: Carrier, references: Iterable[str], since: datetime) -> None:
    """Receipts of the doctor's probes that came over the workers' binds are of no message: they wait for none, and are
    no reason for an alarm. references: the ids in the answers to the probes; since: when the first was sent."""
    forms = {form for reference in references for _, form in variants(reference)}
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
        raise CarrierMisuse(f"range: expected premium or lowcost{_nearest(range_, RANGES)}")
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


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
