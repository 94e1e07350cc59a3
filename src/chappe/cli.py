"""Every command: parse, call, print. Only typer is imported at the start, so that --help is instant."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from chappe.cli_installation import Data, DatabaseUrl, Json, configuration, first_line, reached, run
from chappe.cli_output import Failure, Misuse, emit, say

if TYPE_CHECKING:
    from chappe.config import Config

app = typer.Typer(
    name="chappe",
    help="A self-hosted SMS platform: the HTTP APIs of SMS Partner and AllMySMS in front, SMPP carriers behind.",
    epilog="Exit status: 2 misuse, 1 failure. CHAPPE_DATA or CHAPPE_DATABASE_URL says where the installation is.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
# Commands below these names: a module is imported when its name is among the words of the command line.
SECTIONS = {
    "account": ("chappe.cli_account", "Customers: their keys, settings and credit."),
    "carrier": ("chappe.cli_carrier", "Networks that messages go through."),
    "route": ("chappe.cli_route", "Which messages go through which carrier."),
    "number": ("chappe.cli_number", "Long (virtual) numbers, and whose they are."),
    "stop": ("chappe.cli_stop", "Who wants nothing more from an account."),
    "refund": ("chappe.cli_refund", "Which ends of messages give their money back."),
}

TEXT_CHARACTERS_MAX = 20_000


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"chappe {version('chappe')}")
        raise typer.Exit


@app.callback()
def _whole(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Nothing before a command but what concerns the program as a whole."""


_OTHER_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_OTHER_SETTINGS)
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[str | None, typer.Option(help="Port to listen on.", show_default="8080")] = None,
    data: Data = None,
    database_url: DatabaseUrl = None,
    api_processes: Annotated[str | None, typer.Option(help="Processes that answer HTTP.", show_default="1")] = None,
    roles: Annotated[str | None, typer.Option(help="What this node does.", show_default="api,work")] = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="A TOML file instead of chappe.toml.")] = None,
    settings: Annotated[bool, typer.Option("--settings", help="List every setting as JSON and end.")] = False,
) -> None:
    """Runs Chappe until a signal.

    Every other setting is an option too, such as --log-level debug or --no-handset: --settings lists them.
    """
    from chappe.config import SETTINGS, ConfigError, load

    if settings:
        rows = [{"flag": s.flag, "expects": s.expects, "default": s.default_text, "help": s.help} for s in SETTINGS]
        emit(rows, "", as_json=True)
        return
    own = {"host": host, "port": port, "data": data, "database_url": database_url,
           "api_processes": api_processes, "roles": roles}  # fmt: skip
    try:
        config = load({**_flags(context.args), **own}, config_file=config_file)
    except ConfigError as error:
        raise Misuse(str(error)) from error
    from chappe import wiring
    from chappe.core.stop import WordError
    from chappe.core.window_profiles import ProfileError
    from chappe.store.database import CONNECTION_ERRORS, DatabaseError
    from chappe.store.embedded_errors import EmbeddedError
    from chappe.store.migrate import MigrationError

    try:
        status = wiring.serve(config)
    except (ProfileError, WordError) as error:
        raise Misuse(str(error)) from error
    except (EmbeddedError, MigrationError) as error:
        raise Failure(str(error)) from error
    except (*CONNECTION_ERRORS, DatabaseError) as error:
        raise Failure(_why_not_served(error, config)) from error
    raise typer.Exit(status)


def _why_not_served(error: BaseException, config: Config) -> str:
    """What kept `serve` from starting: its address, or the database."""
    import errno
    import socket

    ours = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM)
    by_name = isinstance(error, socket.gaierror) and config.database_url is None
    if by_name or (isinstance(error, OSError) and error.errno in ours):
        return f"cannot serve on {config.host}:{config.port}: {getattr(error, 'strerror', None) or error}"
    return f"the database cannot be reached: {first_line(error)}"


def _flags(words: list[str]) -> dict[str, object]:
    """`--name value`, `--name=value`, `--name` and `--no-name` as settings; the configuration judges them."""
    found: dict[str, object] = {}
    waiting = list(reversed(words))
    while waiting:
        word = waiting.pop()
        if not word.startswith("--") or word == "--":
            raise Misuse(f"unexpected argument {word[:60]}")
        name, equals, value = word[2:].partition("=")
        name = name.replace("-", "_")
        if equals:
            found[name] = value
        elif waiting and not waiting[-1].startswith("--"):
            found[name] = waiting.pop()
        elif name.startswith("no_"):
            found[name.removeprefix("no_")] = "false"
        else:
            found[name] = "true"
    return found


@app.command()
def migrate(data: Data = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Brings the schema up.

    Safe from many nodes at once; makes the embedded database when there is none.
    """
    config = configuration(data, database_url)

    async def work() -> list[str]:
        from chappe.store import migrate as migrations
        from chappe.store.database import connect

        async with reached(config, create=True) as address:
            connection = await connect(address, name="chappe migrate")
            try:
                return [migration.name for migration in await migrations.migrate(connection)]
            finally:
                await connection.close()

    applied = run(config, work)
    text = "\n".join(f"applied {name}" for name in applied) or "The schema is up to date."
    emit({"applied": applied}, text, as_json=as_json)


@app.command()
def send(
    to: Annotated[list[str], typer.Option(help="Number in any usual form; repeatable, or separated by commas.")],
    text: Annotated[str, typer.Option(help="What to say; - reads standard input.")],
    sender: Annotated[str, typer.Option(help="Who sends.", show_default="the account's")] = "",
    account: Annotated[str | None, typer.Option(help="Who pays.", show_default="demo, or the only one")] = None,
    range_: Annotated[str, typer.Option("--range", help="Quality of delivery.", metavar="premium|lowcost")] = "premium",
    flash: Annotated[bool, typer.Option("--flash", help="Show it at once, keep it nowhere.")] = False,
    transactional: Annotated[
        bool | None,
        typer.Option("--transactional/--commercial", help="Whether sending hours apply.", show_default="the account's"),
    ] = None,
    data: Data = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Sends messages for an account.

    As if it had asked by its API; prints their ids.
    """
    from chappe import cli_message

    config = configuration(data, database_url)
    words = sys.stdin.read(TEXT_CHARACTERS_MAX).removesuffix("\n") if text == "-" else text
    cli_message.send(
        config,
        to=to,
        text=words,
        sender=sender,
        login=account,
        range_=range_,
        flash=flash,
        transactional=transactional,
        as_json=as_json,
    )


@app.command()
def message(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Submission number, NUMBER/PLACE, message id, or AllMySMS smsId.")
    ],
    every: Annotated[bool, typer.Option("--all", help="Show all messages of a submission.")] = False,
    limit: Annotated[int, typer.Option(help="How many messages of a submission to show.")] = 20,
    data: Data = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Shows the timeline of a message.

    Accepted, queued, submitted, receipts, money, webhooks; numbers and texts are shown whole.
    """
    from chappe import cli_message

    if limit < 1:
        raise Misuse("--limit: expected 1 or more")
    cli_message.message(configuration(data, database_url), id_, None if every else limit, as_json=as_json)


@app.command()
def doctor(data: Data = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """Looks at the installation's database: durability, standbys, clocks, sessions, who works.

    Ends with 1 when something is bad. `chappe carrier doctor` looks at a carrier.
    """
    from chappe.cli_checkup import doctor

    doctor(data, database_url, as_json=as_json)


@app.command()
def smsc(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="SMPP port.")] = 2775,
    http_host: Annotated[str, typer.Option(help="Address of the handset page.")] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(help="Port of the handset page and its API; 0: the system chooses.")] = 8025,
    system_id: Annotated[str, typer.Option(help="Who may bind; empty: anybody.")] = "",
    password: Annotated[str, typer.Option(help="With which password; empty: any.")] = "",
    journal: Annotated[Path | None, typer.Option(help="File in which the handset keeps its messages.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate: speak TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate.")] = None,
) -> None:
    """Runs the handset SMSC alone.

    An SMPP server with virtual phones, for other gateways' tests too.
    """
    if (tls_cert is None) is not (tls_key is None):
        raise Misuse("--tls-cert and --tls-key belong together")
    for name, number in (("--port", port), ("--http-port", http_port)):
        if not 0 <= number <= 65_535:
            raise Misuse(f"{name}: expected 0 to 65535")
    from chappe import wiring

    try:
        status = wiring.smsc(host, port, http_host, http_port, system_id, password, journal, tls_cert, tls_key)
    except OSError as error:
        raise Failure(f"cannot serve: {error.strerror or error}") from error
    raise typer.Exit(status)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and gives the exit status; `arguments` are those of the process unless given."""
    words = sys.argv[1:] if arguments is None else arguments
    whole = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
    whole.info = app.info
    whole.registered_commands = app.registered_commands
    whole.registered_callback = app.registered_callback
    for name, (module, help_) in SECTIONS.items():
        section = import_module(module).app if name in words else typer.Typer(help=help_, rich_markup_mode=None)
        whole.add_typer(section, name=name)
    command = typer.main.get_command(whole)
    if arguments is None:
        sys.excepthook = _unexpected
    try:
        status = command.main(words, prog_name="chappe", standalone_mode=False)
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        return _misused(error)
    except (Misuse, Failure) as trouble:
        if _debugging():
            raise
        say(str(trouble))
        return 2 if isinstance(trouble, Misuse) else 1
    except BrokenPipeError:
        sys.stdout = None  # who read has gone; nothing must be flushed to them at the end
        return 1
    return status if isinstance(status, int) else 0


def _misused(error: typer.TyperException) -> int:
    """The parser's complaint on one line, with where help is to be found; bare groups show their help."""
    context = getattr(error, "ctx", None)
    words = error.format_message()
    if context is not None and words == context.get_help():
        typer.echo(words, err=True)
        return 2
    path = context.command_path if context is not None else "chappe"
    sentence = words.strip().rstrip(".")
    say(f"{sentence[:1].lower()}{sentence[1:]}; see `{path} --help`")
    return error.exit_code


def _debugging() -> bool:
    from chappe.config import ConfigError, load

    try:
        return load().log_level == "debug"
    except ConfigError:
        return False


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A bug of ours, on one line; as a whole for those who look for it."""
    if _debugging():
        sys.__excepthook__(kind, error, trace)
        return
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
    say(f"a bug of Chappe: {kind.__name__}{where}; CHAPPE_LOG_LEVEL=debug shows where it comes from")


if __name__ == "__main__":
    sys.exit(main())
