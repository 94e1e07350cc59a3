"""`chappe carrier`: add, set, list, remove, profiles, doctor."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chappe.cli.installation import configuration, installation_options, json_option, perform
from chappe.cli.output import Misuse, emit, one_line, printable, say, table
from chappe.cli.secrets import asked, secret

if TYPE_CHECKING:
    from chappe.carriers.kind import Examination
    from chappe.core.carrier_config import Carrier
    from chappe.store.database import Database

app = click.Group()

name_argument = click.argument("name", help="Name of the carrier.")
DOCTOR_WAIT_S_MAX = 3600
UNKNOWN_WORDS_SHOWN = 5  # of each carrier, to people; --json has all


@app.command()
@name_argument
@click.option("--kind", default="smpp", show_default=True, help="What it speaks.")
@click.option("--host", default="", help="Host or address of its SMSC.")
@click.option("--port", type=int, help="Port of its SMSC; may also stand behind the host, as host:port.")
@click.option("--system-id", default="", help="Who we are there.")
@click.option("--password", help="The password; -: a line of standard input; left out: asked for.")
@click.option("--password-file", type=click.Path(path_type=Path), help="File whose first line is the password.")
@click.option("--window", type=int, show_default="profile's", help="Unanswered parts of one bind.")
@click.option("--rate", type=float, show_default="profile's", help="Parts a second of all binds.")
@click.option("--binds", type=int, show_default="profile's", help="Parallel binds.")
@click.option("--profile", default="", help="Presets, joined by +; see `chappe carrier profiles`.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One knob of the profile; repeatable.")
@click.option("--replace", is_flag=True, help="Give a carrier that exists these settings.")
@installation_options
def add(
    name: str,
    kind: str,
    host: str,
    port: int | None,
    system_id: str,
    password: str | None,
    password_file: Path | None,
    window: int | None,
    rate: float | None,
    binds: int | None,
    profile: str,
    settings: tuple[str, ...],
    replace: bool,
    data: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Adds a carrier.

    It is bound without a restart. `chappe route add` then says what goes there.
    """
    config = configuration(data, database_url)
    secret = _password(password, password_file) if _takes_password(kind) or password or password_file else ""
    words = _with_secrets(settings)

    async def work(database: Database) -> tuple[Carrier, str]:
        from chappe.actions import carrier_views, carriers

        made = carriers.build_settings(
            kind=kind,
            host=host,
            port=port,
            system_id=system_id,
            password=secret,
            window=window,
            rate=rate,
            binds=binds,
            profile_names=profile,
            settings=carriers.read_settings(words),
        )
        if replace:
            carriers.check_name(name)
            carrier = await carriers.replace(database, name, made, kind)
        else:
            carrier = await carriers.add(database, name, made, kind)
        return carrier, await carrier_views.demo_note(database, carrier)

    carrier, note = perform(config, work)
    _warn(carrier)
    emit(document(carrier) | ({"note": note} if note else {}), _sentence(carrier, note), as_json=as_json)


@app.command("set")
@name_argument
@click.argument(
    "assignments",
    metavar="KEY=VALUE...",
    nargs=-1,
    required=True,
    help="host, port, window, ... or a knob of the profile; password=- asks.",
)
@installation_options
def set_(name: str, assignments: tuple[str, ...], data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Changes a carrier.

    All or nothing; its binds are made anew without a restart. Keys: host, port, system_id, password, window, rate,
    binds, profile, and the knobs that `chappe carrier profiles` lists; an empty value of a knob forgets it.
    """
    config = configuration(data, database_url)
    words = _with_secrets(assignments)

    async def work(database: Database) -> Carrier:
        from chappe.actions import carriers

        return await carriers.change(database, name, words)

    carrier = perform(config, work)
    _warn(carrier)
    emit(document(carrier), _sentence(carrier), as_json=as_json)


@app.command()
@name_argument
@installation_options
def remove(name: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Forgets a carrier and its routes.

    What waits for it goes where the other routes lead.
    """

    async def work(database: Database) -> None:
        from chappe.actions import carriers

        await carriers.remove(database, name)

    perform(configuration(data, database_url), work)
    emit({"removed": name}, f"{name} is removed", as_json=as_json)


@app.command()
@name_argument
@installation_options
def addresses(name: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Shows what a carrier's service has to call.

    The addresses of receipts and replies of a carrier over HTTP. They hold a secret: whoever knows it can tell Chappe
    that a message has arrived.
    """

    async def work(database: Database) -> dict[str, str]:
        from chappe.actions import carriers
        from chappe.carriers.registry import kind_of

        carrier = await carriers.get(database, name)
        return kind_of(carrier).addresses(carrier)

    found = perform(configuration(data, database_url), work)
    text = "\n".join(f"{what}: {address}" for what, address in found.items())
    emit(found, text or f"{name} brings its receipts and replies itself", as_json=as_json)


@app.command("list")
@installation_options
def list_(data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Lists carriers and their binds.

    State of each bind, window, rates, queue by class, and what calls for attention.
    """

    async def work(database: Database) -> Any:
        from chappe.actions import carrier_views

        return await carrier_views.read(database)

    from chappe.actions.carrier_views import Unrouted

    views, unrouted = perform(configuration(data, database_url), work)
    assert isinstance(unrouted, Unrouted)
    lines: list[str] = []
    for view in views:
        head = f"{view.name}  {view.address}"
        limit = f"{view.rate:g} parts/s" if view.rate else "no rate limit"
        lines.append(f"{head}  profile {view.profile}, window {view.window} x {len(view.binds)}, {limit}")
        queue = ", ".join(f"{count} {lane}" for lane, count in view.queue.items()) or "empty"
        lines.append(
            f"  queue: {queue}; in doubt: {view.in_doubt}; receipts without a match: {view.receipts_unmatched}"
        )
        for bind in view.binds:
            figures = ", ".join(f"{name} {value:g}" for name, value in sorted(bind.figures.items()) if value)
            detail = f" ({one_line(bind.detail)})" if bind.detail else ""
            use = f"{bind.in_flight} of {view.window} in flight"
            lines.append(f"  bind {bind.slot}: {bind.state}{detail} since {bind.since:%Y-%m-%d %H:%M:%S} UTC, {use}")
            lines += [f"    {figures}"] if figures else []
        if view.learnt:
            lines.append("  learnt: " + ", ".join(f"{name}={word}" for name, word in view.learnt.items()))
        if view.oddities:
            counts = ", ".join(f"{name} {count}" for name, count in view.oddities.items())
            lines.append(f"  odd among the latest receipts: {counts}")
        for word in view.unknown_words[:UNKNOWN_WORDS_SHOWN]:
            meant = f"; it resembles {word.resembles}" if word.resembles else ""
            lines.append(f"  ? unknown word {one_line(word.word)} in {word.receipts} receipts{meant}")
        lines += [f"  ! {alarm}" for alarm in view.alarms]
        lines += [f"  {note}" for note in view.notes]
    if not views:
        lines.append("No carrier yet: `chappe carrier add` adds one.")
    if unrouted.waiting:
        lines.append(f"! {unrouted.waiting} messages wait for a carrier that takes them: see `chappe route list`")
    emit({"carriers": views, "unrouted": unrouted.waiting}, "\n".join(lines), as_json=as_json)


@app.command()
@click.option("--kind", default="smpp", show_default=True, help="The kind of carriers.")
@json_option
def profiles(kind: str, as_json: bool) -> None:
    """Lists presets and knobs of profiles.

    Presets are for --profile, knobs for --set, with units, defaults and what is allowed.
    """
    from chappe.actions.carrier_errors import CarrierMisuse
    from chappe.actions.carriers import kind_named

    try:
        found = kind_named(kind)
    except CarrierMisuse as error:
        raise Misuse(str(error)) from None
    options = found.options.values()
    knobs = [
        {"knob": o.name, "unit": o.unit, "default": o.default, "allowed": o.allowed, "help": o.help} for o in options
    ]
    presets = [{"profile": name, "sets": dict(values)} for name, values in found.presets.items()]
    text = "\n\n".join(
        (
            table(
                ("profile", "sets"),
                [(name, " ".join(f"{k}={v}" for k, v in values.items())) for name, values in found.presets.items()],
            ),
            table(
                ("knob", "default", "allowed", "what it does"),
                [(o.name, f"{o.default} {o.unit}".strip(), o.allowed, o.help) for o in options],
            ),
        )
    )
    emit({"profiles": presets, "knobs": knobs}, text, as_json=as_json)


@app.command()
@name_argument
@click.option("--to", default="", help="Send probes to this phone of yours, and watch their receipts.")
@click.option("--sender", default="", show_default="the installation's", help="Who sends the probes.")
@click.option("--wait", default=30.0, show_default=True, help="Seconds to wait for receipts of the probes.")
@installation_options
def doctor(
    name: str, to: str, sender: str, wait: float, data: Path | None, database_url: str | None, as_json: bool
) -> None:
    """Looks at a carrier and advises.

    By a session of its own: connects, binds, measures; with --to also sends probes. It changes nothing and charges
    nobody; what it advises, `chappe carrier set` does. Exit status 1 when something fails.
    """
    if not 0 <= wait <= DOCTOR_WAIT_S_MAX:
        raise Misuse(f"--wait: expected 0 to {DOCTOR_WAIT_S_MAX} seconds")
    number = _number(to) if to else ""
    config = configuration(data, database_url)

    async def work(database: Database) -> Examination:
        from chappe.actions import carriers
        from chappe.carriers.registry import kind_of

        carrier = await carriers.get(database, name)
        began_at = datetime.now(UTC)
        found = await kind_of(carrier).examine(carrier, number, sender or config.sender_default, wait)
        await carriers.forget_probes(database, carrier, found.references, began_at)
        return found

    found = perform(config, work)
    emit(found.document, "\n".join(printable(line) for line in found.lines), as_json=as_json)
    if not found.healthy:
        raise click.exceptions.Exit(1)


def _number(written: str) -> str:
    from chappe.core import numbers

    number = numbers.read_mobile(written, numbers.HOME)
    if not isinstance(number, numbers.Number):
        raise Misuse(f"--to: {written[:40]!r} is no number that an SMS can reach ({number.value})")
    return number.e164


def document(carrier: Carrier) -> dict[str, Any]:
    """A carrier for programs, without its password."""
    import msgspec

    from chappe.actions.carrier_views import shown_options

    settings = msgspec.to_builtins(carrier.settings)
    del settings["password"]
    settings["settings"] = shown_options(carrier)
    return {"name": carrier.name, "kind": carrier.kind, "enabled": carrier.enabled, **settings}


def _warn(carrier: Carrier) -> None:
    from chappe.actions.carrier_views import clear_text_note

    if note := clear_text_note(carrier):
        say(note)


def _sentence(carrier: Carrier, note: str = "") -> str:
    from chappe.actions.carrier_views import address

    s = carrier.settings
    rate = f"{s.rate:g} parts/s" if s.rate else "no rate limit"
    return (
        f"{carrier.name}: {address(carrier)}, profile {s.profile or 'generic'}, "
        f"{s.binds} bind{'s' if s.binds > 1 else ''}, window {s.window}, {rate}" + (f"\n{note}" if note else "")
    )


def _takes_password(kind: str) -> bool:
    from chappe.carriers.registry import KINDS

    found = KINDS.get(kind)
    return found is not None and "password" in found.fields


def _with_secrets(assignments: tuple[str, ...]) -> list[str]:
    """The assignments; the value of `KEY=-` is a line of standard input, or asked for without echo."""
    found = []
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        found.append(f"{key}={asked('--' + key)}" if value == "-" else assignment)
    return found


def _password(given: str | None, file: Path | None) -> str:
    """The password, from where the options say; asked for without echo when they say nothing and somebody is there."""
    found = secret(given, file, "--password")
    if found is not None:
        return found
    if sys.stdin.isatty():
        return asked("--password")
    raise Misuse("missing option --password (or --password-file, or --password - to read standard input)")
