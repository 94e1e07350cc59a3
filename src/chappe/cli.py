"""Every command: parse, call, print. Nothing large is imported before it is needed, so that commands are quick."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

from chappe.cli_commands import Argument, Group, Option
from chappe.cli_installation import Data, DatabaseUrl, Json, configuration, first_line, reached, run
from chappe.cli_output import Exit, Failure, Misuse, echo, emit, say

if TYPE_CHECKING:
    from chappe.config import Config

# Commands below these names: a module is imported when its name is among the words of the command line.
SECTIONS = {
    "account": ("chappe.cli_account", "Customers: their keys, settings and credit."),
    "carrier": ("chappe.cli_carrier", "Networks that messages go through."),
    "route": ("chappe.cli_route", "Which messages go through which carrier."),
    "number": ("chappe.cli_number", "Long (virtual) numbers, and whose they are."),
    "stop": ("chappe.cli_stop", "Who wants nothing more from an account."),
    "refund": ("chappe.cli_refund", "Which ends of messages give their money back."),
}

app = Group(
    "A self-hosted SMS platform: the HTTP APIs of SMS Partner and AllMySMS in front, SMPP carriers behind.",
    epilog="Exit status: 2 misuse, 1 failure. CHAPPE_DATA or CHAPPE_DATABASE_URL says where the installation is.",
    sections=SECTIONS,
)

TEXT_CHARACTERS_MAX = 20_000


@app.switch("--version", "Print the version and end.")
def _version() -> None:
    from importlib.metadata import version

    echo(f"chappe {version('chappe')}")


@app.command(rest="others")
def serve(
    others: list[str],
    host: Annotated[str | None, Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[str | None, Option(help="Port to listen on.", show_default="8080")] = None,
    data: Data = None,
    database_url: DatabaseUrl = None,
    api_processes: Annotated[str | None, Option(help="Processes that answer HTTP.", show_default="1")] = None,
    roles: Annotated[str | None, Option(help="What this node does.", show_default="api,work")] = None,
    config_file: Annotated[Path | None, Option("--config", help="A TOML file instead of chappe.toml.")] = None,
    settings: Annotated[bool, Option("--settings", help="List every setting as JSON and end.")] = False,
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
        config = load({**_flags(others), **own}, config_file=config_file)
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
    raise Exit(status)


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
    to: Annotated[list[str], Option(help="Number in any usual form; repeatable, or separated by commas.")],
    text: Annotated[str, Option(help="What to say; - reads standard input.")],
    sender: Annotated[str, Option(help="Who sends.", show_default="the account's")] = "",
    account: Annotated[str | None, Option(help="Who pays.", show_default="demo, or the only one")] = None,
    range_: Annotated[str, Option("--range", help="Quality of delivery.", metavar="premium|lowcost")] = "premium",
    flash: Annotated[bool, Option("--flash", help="Show it at once, keep it nowhere.")] = False,
    transactional: Annotated[
        bool | None,
        Option("--transactional/--commercial", help="Whether sending hours apply.", show_default="the account's"),
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
    id_: Annotated[str, Argument(metavar="ID", help="Submission number, NUMBER/PLACE, message id, or AllMySMS smsId.")],
    every: Annotated[bool, Option("--all", help="Show all messages of a submission.")] = False,
    limit: Annotated[int, Option(help="How many messages of a submission to show.")] = 20,
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
    host: Annotated[str, Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Option(help="SMPP port.")] = 2775,
    http_host: Annotated[str, Option(help="Address of the handset page.")] = "127.0.0.1",
    http_port: Annotated[int, Option(help="Port of the handset page and its API; 0: the system chooses.")] = 8025,
    system_id: Annotated[str, Option(help="Who may bind; empty: anybody.")] = "",
    password: Annotated[str, Option(help="With which password; empty: any.")] = "",
    journal: Annotated[Path | None, Option(help="File in which the handset keeps its messages.")] = None,
    tls_cert: Annotated[Path | None, Option(help="Certificate: speak TLS.")] = None,
    tls_key: Annotated[Path | None, Option(help="Key of the certificate.")] = None,
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
    raise Exit(status)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and gives the exit status; `arguments` are those of the process unless given."""
    words = sys.argv[1:] if arguments is None else arguments
    if arguments is None:
        sys.excepthook = _unexpected
    try:
        app.run(words, "chappe")
    except Exit as end:
        return end.status
    except (KeyboardInterrupt, EOFError):
        return 130
    except (Misuse, Failure) as trouble:
        if _debugging():
            raise
        say(str(trouble))
        return 2 if isinstance(trouble, Misuse) else 1
    except BrokenPipeError:
        sys.stdout = None  # who read has gone; nothing must be flushed to them at the end
        return 1
    return 0


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
