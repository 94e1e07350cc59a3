"""`chappe account`: create, list, show, set, settings, credit, key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chappe.cli.installation import configuration, installation_options, json_option, perform
from chappe.cli.output import Misuse, emit, print_json, say, table
from chappe.cli.secrets import secret

if TYPE_CHECKING:
    from chappe.core.model import Account
    from chappe.store.database import Database

app = click.Group()

_COMMERCIAL = (
    "its messages are commercial: at night, on Sundays and on public holidays they wait for the sending window, while "
    "its programs hear that they were accepted; `chappe account set {login} transactional=on` lifts that for codes, "
    "alarms and the like"
)

login_argument = click.argument("login", help="Login of the account.")
api_key_option = click.option(
    "--api-key", metavar="KEY", help="The key instead of a generated one; -: a line of standard input."
)
api_key_file_option = click.option(
    "--api-key-file", type=click.Path(path_type=Path), help="File whose first line is the key."
)


@app.command()
@login_argument
@api_key_option
@api_key_file_option
@click.option("--email", default="", help="Address of the person behind it.")
@click.option("--firstname", default="", help="First name of that person.")
@click.option("--lastname", default="", help="Last name of that person.")
@click.option("--balance", default="0", show_default=True, metavar="100.000", help="Opening balance in EUR.")
@click.option("--transactional", is_flag=True, help="Its messages are no advertising.")
@installation_options
def create(
    login: str,
    api_key: str | None,
    api_key_file: Path | None,
    email: str,
    firstname: str,
    lastname: str,
    balance: str,
    transactional: bool,
    data: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Makes an account.

    Prints it as JSON, with its key: the only time that the key is shown.
    """
    import secrets

    from chappe.actions.accounts import KEY_CHARACTERS_SAFE

    config = configuration(data, database_url)
    given = secret(api_key, api_key_file, "--api-key")
    key = given if given is not None else secrets.token_hex(32)
    balance_micros = _micros(balance)
    words = [f"email={email}", f"firstname={firstname}", f"lastname={lastname}"]
    if transactional:
        words.append("transactional=on")

    async def work(database: Database) -> Account:
        from chappe.actions import account_settings, accounts
        from chappe.core.model import Account

        wanted = account_settings.apply(Account(id=0, login=login), words)
        return await accounts.create(database, login, key, wanted.own, balance_micros)

    made = perform(config, work)
    print_json(_document(made) | {"api_key": key})
    if not made.settings.transactional:
        say(_COMMERCIAL.format(login=made.login))
    if len(key) < KEY_CHARACTERS_SAFE:
        say(f"a key of fewer than {KEY_CHARACTERS_SAFE} characters can be guessed")


@app.command("list")
@installation_options
def list_(data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Lists accounts, states and balances."""

    async def work(database: Database) -> list[Account]:
        from chappe.store import accounts

        return await accounts.all_accounts(database)

    found = perform(configuration(data, database_url), work)
    rows = [(a.login, _state(a), _euros(a), "transactional" if a.settings.transactional else "") for a in found]
    text = table(("login", "state", "balance EUR", ""), rows) if rows else "No account yet."
    emit([_document(account) for account in found], text, as_json=as_json)


@app.command()
@login_argument
@installation_options
def show(login: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Shows one account.

    Its balance, what waits to leave, credits, settings.
    """

    async def work(database: Database) -> tuple[Account, int, list[Any]]:
        from chappe.actions import accounts
        from chappe.store import accounts as store
        from chappe.store import operator

        account = await accounts.get(database, login)
        _, to_send = await store.balance(database, account.id)
        return account, to_send, await operator.movements(database, account.id, 10)

    from chappe.core.pricing import json_number

    account, to_send, credits_ = perform(configuration(data, database_url), work)
    document = _document(account) | {
        "parts_waiting": to_send,
        "credits": [
            {"at": entry.at, "amount": json_number(entry.amount_micros), "note": entry.note} for entry in credits_
        ],
    }
    lines = [
        f"{account.login}: {_state(account)}, balance {_euros(account)} EUR, {to_send} parts wait to leave",
        *(f"  {entry.at:%Y-%m-%d %H:%M:%S} {json_number(entry.amount_micros)} EUR {entry.note}" for entry in credits_),
        "",
        _settings_table(account),
    ]
    emit(document, "\n".join(lines), as_json=as_json)


# A negative amount is no option.
@app.command(context_settings={"ignore_unknown_options": True})
@login_argument
@click.argument("amount", help="EUR to add; negative: to take.")
@click.option("--note", default="", help="Why: kept in the ledger.")
@installation_options
def credit(login: str, amount: str, note: str, data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Adds to a balance, or takes from it.

    The ledger keeps the entry.
    """
    amount_micros = _micros(amount)

    async def work(database: Database) -> Account:
        from chappe.actions import accounts

        return await accounts.credit(database, login, amount_micros, note)

    account = perform(configuration(data, database_url), work)
    emit(_document(account), f"{account.login} has {_euros(account)} EUR", as_json=as_json)


@app.command("set")
@login_argument
@click.argument(
    "assignments", metavar="KEY=VALUE...", nargs=-1, required=True, help="`chappe account settings` lists the keys."
)
@installation_options
def set_(login: str, assignments: tuple[str, ...], data: Path | None, database_url: str | None, as_json: bool) -> None:
    """Changes what one account has of its own.

    All or nothing; an empty value is the default. Besides the settings: state=active|disabled|blocked, api=on|off,
    price.49=0.07 (EUR a part to +49), price.49=none (refused), price.49= (forgotten).
    """

    async def work(database: Database) -> Account:
        from chappe.actions import accounts

        return await accounts.change(database, login, assignments)

    config = configuration(data, database_url)
    for assignment in assignments:
        if assignment.startswith("window="):
            _check_window(assignment.removeprefix("window="), config.windows)
    account = perform(config, work)
    emit(_document(account), f"{account.login}: {_state(account)}\n{_settings_table(account)}", as_json=as_json)


def _check_window(name: str, own: dict[str, Any]) -> None:
    """Raises Misuse for a sending window that does not exist; an empty name is the default."""
    from chappe.core.window_profiles import ProfileError, find_profile, read_profiles

    try:
        find_profile(name or "fr-seed", read_profiles(own))
    except ProfileError as error:
        raise Misuse(str(error)) from error


@app.command()
@json_option
def settings(as_json: bool) -> None:
    """Lists what can be set on an account.

    Keys, what they expect, defaults.
    """
    from chappe.actions.account_settings import BESIDE, TABLE

    rows = [(row.name, row.kind.expects, row.kind.show(row.default), row.help) for row in TABLE]
    rows += [(name, expects, "", help_) for name, (expects, help_) in BESIDE.items()]
    keys = ("key", "expects", "default", "what it does")
    emit([dict(zip(("key", "expects", "default", "help"), row, strict=True)) for row in rows],
         table(keys, rows), as_json=as_json)  # fmt: skip


@app.command()
@login_argument
@api_key_option
@api_key_file_option
@installation_options
def key(
    login: str,
    api_key: str | None,
    api_key_file: Path | None,
    data: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Gives an account a new key.

    It is printed once; the old one is refused from now on.
    """
    import secrets

    given = secret(api_key, api_key_file, "--api-key")
    new = given if given is not None else secrets.token_hex(32)

    async def work(database: Database) -> Account:
        from chappe.actions import accounts

        return await accounts.renew_key(database, login, new)

    account = perform(configuration(data, database_url), work)
    emit({"login": account.login, "api_key": new}, new, as_json=as_json)


def _micros(text: str) -> int:
    from chappe.core.pricing import micros

    try:
        return micros(text)
    except ValueError:
        raise Misuse(f"{text[:40]!r} is no amount of EUR: write 100, 100.000 or 0.045") from None


def _euros(account: Account) -> str:
    from chappe.core.pricing import MICROS_PER_EURO, euros

    places = 3 if account.balance_micros * 1000 % MICROS_PER_EURO == 0 else 6
    return euros(account.balance_micros, places)


def _state(account: Account) -> str:
    return account.state.name.lower() + ("" if account.api_enabled else ", API off")


def _document(account: Account) -> dict[str, Any]:
    """An account for programs: amounts as decimal text, settings as `account set` takes them."""
    from chappe.actions.account_settings import show

    return {
        "login": account.login,
        "state": account.state.name.lower(),
        "api": account.api_enabled,
        "balance": _euros(account),
        "balance_micros": account.balance_micros,
        "settings": show(account),
    }


def _settings_table(account: Account) -> str:
    from chappe.actions.account_settings import defaults, show

    usual = defaults()
    own = [(name, value) for name, value in show(account).items() if usual.get(name) != value]
    return table(("setting", "value"), own) if own else "All settings have their defaults."
