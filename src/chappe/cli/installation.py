"""How a command finds its installation: the options, the configuration, the database while it runs or not."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chappe.cli.output import Failure, Misuse

if TYPE_CHECKING:
    from chappe.config import Config
    from chappe.store.database import Address, Database

F = TypeVar("F", bound=Callable[..., None])
T = TypeVar("T")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    show_default="./var",
    help="Folder of the embedded database.",
)
database_url_option = click.option("--database-url", metavar="URL", help="PostgreSQL instead of the embedded one.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def installation_options(command: F) -> F:
    """Gives a command the options that nearly all have: --data, --database-url, --json."""
    return data_option(database_url_option(json_option(command)))


def configuration(data: Path | None, database_url: str | None) -> Config:
    """The configuration that these options, the environment and chappe.toml make; raises Misuse."""
    from chappe.config import ConfigError, load

    try:
        return load({"data": data, "database_url": database_url})
    except ConfigError as error:
        raise Misuse(str(error)) from error


@asynccontextmanager
async def reached(config: Config, *, create: bool = False) -> AsyncIterator[Address]:
    """Where the database is: the one of --database-url; else the embedded one, of the server that runs or of one
    started for the time of this command. Raises Failure when there is none, unless it may be made."""
    from chappe.embedded import data_directory
    from chappe.embedded.server import attach
    from chappe.store.database import Address

    if config.database_url is not None:
        yield Address(url=config.database_url)
        return
    if not create and data_directory.cluster_major(config.data / data_directory.CLUSTER_NAME) is None:
        raise Failure(
            f"there is no installation in {config.data}: `chappe serve` or `chappe migrate` makes one; "
            "--data or --database-url says where it is"
        )
    async with attach(config.data, config.postgres_bin_dir, config.postgres_user) as parameters:
        yield Address(**parameters.arguments())


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Database]:
    """The database of an installation, with our schema in it; raises Failure."""
    from chappe.store import migrate
    from chappe.store.database import Database, connect

    async with reached(config) as address:
        connection = await connect(address, name="chappe command")
        try:
            if config.database_url is None:
                await migrate.migrate(connection)
            elif (status := await migrate.status(connection)).pending or status.functions:
                raise Failure("the database lacks what this version needs: run `chappe migrate`")
        finally:
            await connection.close()
        database = Database(address, "chappe command", ordinary=2, hot=1)
        await database.open()
        try:
            yield database
        finally:
            await database.close()


def perform(config: Config, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` with the database of an installation; whatever is expected to go wrong becomes Misuse or Failure."""

    async def whole() -> T:
        async with opened(config) as database:
            return await work(database)

    return run(config, whole)


def run(config: Config, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` in a loop, with logs on standard error and the house's errors as Misuse or Failure."""
    import asyncio

    from chappe.actions.account_settings import SettingError
    from chappe.actions.accounts import AccountError
    from chappe.actions.carrier_errors import CarrierError, CarrierMisuse
    from chappe.embedded.errors import EmbeddedError
    from chappe.observability import logs
    from chappe.store.database import CONNECTION_ERRORS, DatabaseError
    from chappe.store.migrate import MigrationError

    # A command says by itself what is to be said; the rest is for those who look for a fault.
    logs.configure(config.log_format, "debug" if config.log_level == "debug" else "error", sys.stderr)
    try:
        return asyncio.run(work())
    except (SettingError, CarrierMisuse) as error:
        raise Misuse(str(error)) from error
    except (AccountError, CarrierError, EmbeddedError, MigrationError) as error:
        raise Failure(str(error)) from error
    except CONNECTION_ERRORS as error:
        raise Failure(f"the database cannot be reached: {first_line(error)}") from error
    except DatabaseError as error:
        raise Failure(f"the database refuses: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of an error's words: PostgreSQL's other lines repeat rows."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
