"""Every command: parse, call, print. Nothing large is imported before it is needed, so that commands are quick."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click

from chappe.cli.installation import (
    configuration,
    data_option,
    database_url_option,
    first_line,
    installation_options,
    reached,
    run,
)
from chappe.cli.output import Failure, Misuse, emit, say

if TYPE_CHECKING:
    from chappe.config import Config

# Commands below these names: a module is imported when its name is among the words of the command line.
SECTIONS = {
    "account": ("chappe.cli.account", "Customers: their keys, settings and credit."),
    "carrier": ("chappe.cli.carrier", "Networks that messages go through."),
    "route": ("chappe.cli.route", "Which messages go through which carrier."),
    "number": ("chappe.cli.number", "Long (virtual) numbers, and whose they are."),
    "price": ("chappe.cli.price", "What a message costs, by destination."),
    "stop": ("chappe.cli.stop", "Who wants nothing more from an account."),
    "refund": ("chappe.cli.refund", "Which ends of messages give their money back."),
}

TEXT_CHARACTERS_MAX = 20_000


class Section(click.Group):
    """Commands below one name, of a module that is imported when one of them is asked for."""

    def __init__(self, name: str, module: str, help: str) -> None:
        super().__init__(name, help=help)
        self._module = module

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._loaded())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._loaded().get(cmd_name)

    def _loaded(self) -> MutableMapping[str, click.Command]:
        if not self.commands:
            self.commands = import_module(self._module).app.commands
        return self.commands


@click.group(
    commands=[Section(name, module, help_) for name, (module, help_) in SECTIONS.items()],
    epilog="Exit status: 2 misuse, 1 failure. CHAPPE_DATA or CHAPPE_DATABASE_URL says where the installation is.",
)
@click.version_option(package_name="chappe", message="%(prog)s %(version)s")
def app() -> None:
    """A self-hosted SMS platform: the HTTP APIs of SMS Partner and AllMySMS in front, SMPP carriers behind."""


# Its words are options and settings: the configuration judges those that are no options here.
@app.command(context_settings={"ignore_unknown_options": True})
@click.argument("others", metavar="[--SETTING VALUE]...", nargs=-1, type=click.UNPROCESSED, help="Any other setting.")
@click.option("--host", show_default="127.0.0.1", help="Address to listen on.")
@click.option("--port", show_default="8080", help="Port to listen on.")
@click.option("--api-processes", show_default="1", help="Processes that answer HTTP.")
@click.option("--roles", show_default="api,work", help="What this node does.")
@click.option("--demo/--no-demo", default=None, help="Demo mode: a demo account, and phones in the browser.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="A TOML file instead of chappe.toml.")
@click.option("--settings", is_flag=True, help="List every setting as JSON and end.")
@data_option
@database_url_option
def serve(
    others: tuple[str, ...],
    host: str | None,
    port: str | None,
    data: Path | None,
    database_url: str | None,
    api_processes: str | None,
    roles: str | None,
    demo: bool | None,
    config_file: Path | None,
    settings: bool,
) -> None:
    """Runs Chappe until a signal.

    Every other setting is an option too (--log-level debug, --no-metrics): --settings lists them.
    """
    from chappe.config import SETTINGS, ConfigError, load

    if settings:
        rows = [{"flag": s.flag, "expects": s.expects, "default": s.default_text, "help": s.help} for s in SETTINGS]
        emit(rows, "", as_json=True)
        return
    own = {"host": host, "port": port, "data": data, "database_url": database_url,
           "api_processes": api_processes, "roles": roles, "demo": demo}  # fmt: skip
    try:
        config = load({**_flags(others), **own}, config_file=config_file)
    except ConfigError as error:
        raise Misuse(str(error)) from error
    from chappe.actions.account_settings import SettingError
    from chappe.actions.demo import DemoError
    from chappe.core.stop_replies import WordError
    from chappe.core.window_profiles import ProfileError
    from chappe.dialects.registry import HostError
    from chappe.embedded.errors import EmbeddedError
    from chappe.node import serve as wiring
    from chappe.store.database import CONNECTION_ERRORS, DatabaseError
    from chappe.store.migrate import MigrationError

    try:
        status = wiring.serve(config)
    except (HostError, ProfileError, SettingError, WordError) as error:
        raise Misuse(str(error)) from error
    except (DemoError, EmbeddedError, MigrationError) as error:
        raise Failure(str(error)) from error
    except (*CONNECTION_ERRORS, DatabaseError) as error:
        raise Failure(_why_not_served(error, config)) from error
    raise click.exceptions.Exit(status)


def _why_not_served(error: BaseException, config: Config) -> str:
    """What kept `serve` from starting: its address, or the database."""
    import errno
    import socket

    ours = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM)
    by_name = isinstance(error, socket.gaierror) and config.database_url is None
    if by_name or (isinstance(error, OSError) and error.errno in ours):
        advice = "; --port names another" if isinstance(error, OSError) and error.errno == errno.EADDRINUSE else ""
        return f"cannot serve on {config.host}:{config.port}: {getattr(error, 'strerror', None) or error}{advice}"
    return f"the database cannot be reached: {first_line(error)}"


def _flags(words: Sequence[str]) -> dict[str, object]:
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
@installation_options
def migrate(data: Path | None, database_url: str | None, as_json: bool) -> None:
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
@click.option(
    "--to", multiple=True, required=True, help="Number in any usual form; repeatable, or separated by commas."
)
@click.option("--text", required=True, help="What to say; - reads standard input.")
@click.option("--sender", default="", show_default="the account's", help="Who sends.")
@click.option("--account", show_default="demo, or the only one", help="Who pays.")
@click.option(
    "--range",
    "range_",
    default="premium",
    show_default=True,
    type=click.Choice(("premium", "lowcost")),
    help="Quality of delivery.",
)
@click.option("--flash", is_flag=True, help="Show it at once, keep it nowhere.")
@click.option(
    "--transactional/--commercial", default=None, show_default="the account's", help="Whether sending hours apply."
)
@installation_options
def send(
    to: tuple[str, ...],
    text: str,
    sender: str,
    account: str | None,
    range_: str,
    flash: bool,
    transactional: bool | None,
    data: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Sends messages for an account.

    As if it had asked by its API; prints their ids.
    """
    from chappe.cli import message as cli_message

    config = configuration(data, database_url)
    words = sys.stdin.read(TEXT_CHARACTERS_MAX).removesuffix("\n") if text == "-" else text
    cli_message.send(
        config,
        to=list(to),
        text=words,
        sender=sender,
        login=account,
        range_=range_,
        flash=flash,
        transactional=transactional,
        as_json=as_json,
    )


@app.command()
@click.argument("id_", metavar="ID", help="Submission number, NUMBER/PLACE, message id, or AllMySMS smsId.")
@click.option("--all", "every", is_flag=True, help="Show all messages of a submission.")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many messages of a submission to show.",
)
@installation_options
def message(id_: str, every: bool, limit: int, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Shows the timeline of a message.

    Accepted, queued, submitted, receipts, money, webhooks; numbers and texts are shown whole.
    """
    from chappe.cli import message as cli_message

    cli_message.message(configuration(data, database_url), id_, None if every else limit, as_json=as_json)


@app.command()
@installation_options
def doctor(data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Looks at the installation's database.

    Durability, standbys, clocks, sessions, who works. Ends with 1 when something is bad. `chappe carrier doctor` looks
    at a carrier.
    """
    from chappe.cli.doctor import doctor

    doctor(data, database_url, as_json=as_json)


@app.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=2775, show_default=True, type=click.IntRange(0, 65_535), help="SMPP port.")
@click.option("--http-host", default="127.0.0.1", show_default=True, help="Address of the handset page.")
@click.option(
    "--http-port",
    default=8025,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="Port of the handset page and its API; 0: the system chooses.",
)
@click.option("--system-id", default="", help="Who may bind; empty: anybody.")
@click.option("--password", help="With which password; left out: any; -: a line of standard input.")
@click.option("--password-file", type=click.Path(path_type=Path), help="File whose first line is the password.")
@click.option("--journal", type=click.Path(path_type=Path), help="File in which the handset keeps its messages.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate: speak TLS.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Key of the certificate.")
def smsc(
    host: str,
    port: int,
    http_host: str,
    http_port: int,
    system_id: str,
    password: str | None,
    password_file: Path | None,
    journal: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Runs the handset SMSC alone.

    An SMPP server with virtual phones, for other gateways' tests too.
    """
    if (tls_cert is None) is not (tls_key is None):
        raise Misuse("--tls-cert and --tls-key belong together")
    from chappe.cli.secrets import secret
    from chappe.node import serve as wiring

    word = secret(password, password_file, "--password") or ""
    for option, credential in (("--system-id", system_id), ("--password", word)):
        if not credential.isascii() or not (credential == "" or credential.isprintable()):
            raise Misuse(f"{option}: expected printable ASCII characters, as SMPP has them")
    host, http_host = (one.removeprefix("[").removesuffix("]") for one in (host, http_host))
    try:
        status = wiring.smsc(host, port, http_host, http_port, system_id, word, journal, tls_cert, tls_key)
    except OSError as error:
        raise Failure(f"cannot serve: {error.strerror or error}") from error
    raise click.exceptions.Exit(status)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and gives the exit status; `arguments` are those of the process unless given."""
    words = sys.argv[1:] if arguments is None else arguments
    if arguments is None:
        sys.excepthook = _unexpected
    try:
        status = app.main(words, prog_name="chappe", standalone_mode=False)
    except click.Abort:
        return 130
    except click.ClickException as trouble:
        if isinstance(trouble, Misuse | Failure) and _debugging():
            raise
        return _told(trouble)
    return status if isinstance(status, int) else 0


def _told(trouble: click.ClickException) -> int:
    """Says on one line why nothing was done, and gives the exit status; a group alone shows its help."""
    if isinstance(trouble, click.exceptions.NoArgsIsHelpError):
        trouble.show()
    elif isinstance(trouble, click.UsageError) and trouble.ctx is not None:
        say(f"{trouble.format_message()} (see `{trouble.ctx.command_path} --help`)")
    else:
        say(trouble.format_message())
    return trouble.exit_code


def _debugging() -> bool:
    from chappe.config import ConfigError, load

    try:
        return load().log_level == "debug"
    except ConfigError:
        return False


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A bug of ours, on one line; as a whole for those who look for it."""
    if _debugging():
        from chappe.observability.tracebacks import formatted

        say(formatted(error))
        return
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
    say(f"a bug of Chappe: {kind.__name__}{where}; CHAPPE_LOG_LEVEL=debug shows where it comes from")


if __name__ == "__main__":
    sys.exit(main())
