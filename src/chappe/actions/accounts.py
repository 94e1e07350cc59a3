"""Accounts as the operator makes and changes them: one transaction each; what they say is one clear sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from chappe.actions.account_settings import SettingError, apply
from chappe.core.model import Account, AccountSettings
from chappe.core.pricing import euros
from chappe.store import accounts, operator
from chappe.store.accounts import LoginTaken, Own
from chappe.store.database import Database

AMOUNT_MICROS_MAX: Final = 10**15  # a thousand million euros
LOGIN_FORM: Final = "1 to 64 letters, digits and . _ @ + -, beginning with a letter or digit"
KEY_FORM: Final = "1 to 128 printable ASCII characters, no space at either end"
KEY_CHARACTERS_SAFE: Final = 16  # a shorter key can be guessed; the operator is told

_LOGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII).fullmatch
_KEY: Final = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?", re.ASCII).fullmatch


class AccountError(Exception):
    """What the operator asked for cannot be done; the message is one sentence."""


class AccountUnknown(AccountError):
    """There is no account of this login."""

    def __init__(self, login: str) -> None:
        super().__init__(f"there is no account {login}; `chappe account list` shows them")


def check_login(login: str) -> str:
    """The login; raises SettingError unless it has the form of one."""
    if not _LOGIN(login):
        raise SettingError(f"{login[:80]!r} is no login: {LOGIN_FORM}")
    return login


def check_key(key: str) -> str:
    """The API key; raises SettingError unless it has the form of one. The key is not in the message."""
    if not _KEY(key):
        raise SettingError(f"this API key cannot be used: {KEY_FORM}")
    return key


def check_amount(amount_micros: int) -> int:
    """An amount of money; raises SettingError when it is beyond reason."""
    if abs(amount_micros) > AMOUNT_MICROS_MAX:
        raise SettingError("an amount is at most 1000000000 EUR")
    return amount_micros


async def create(
    database: Database, login: str, key: str, settings: AccountSettings | Own, balance_micros: int = 0
) -> Account:
    """Makes an account; settings: what it has of its own. Raises SettingError for a login, key or amount without the
    form, AccountError when taken."""
    check_login(login)
    check_key(key)
    if check_amount(balance_micros) < 0:
        raise SettingError("a balance is not negative")
    try:
        async with database.transaction() as tx:
            await accounts.create(tx, login, key, settings, balance_micros)
    except LoginTaken as error:
        if await accounts.by_login(database, login) is None:
            raise AccountError("another account has this API key") from error
        raise AccountError(
            f"the account {login} exists already: `chappe account set` changes it, `chappe account key` gives a new key"
        ) from error
    return await get(database, login)


async def get(database: Database, login: str) -> Account:
    """The account of a login, in any case of letters; raises AccountUnknown."""
    found = await accounts.by_login(database, login)
    if found is None:
        raise AccountUnknown(login)
    return found


async def credit(database: Database, login: str, amount_micros: int, note: str = "") -> Account:
    """Adds to a balance, or takes from it, with a ledger entry. Raises AccountUnknown; AccountError below zero."""
    if not check_amount(amount_micros):
        raise SettingError("an amount of 0 changes nothing")
    if len(note) > 200 or not note.isprintable():
        raise SettingError("a note has at most 200 characters on one line")
    account = await get(database, login)
    async with database.transaction() as tx:
        balance_micros = await accounts.credit(tx, account.id, amount_micros, note)
    if balance_micros is None:
        has = euros((await get(database, login)).balance_micros, 6)
        raise AccountError(f"{account.login} has {has} EUR: its balance would fall below zero")
    return msgspec.structs.replace(account, balance_micros=balance_micros)


async def change(database: Database, login: str, assignments: Iterable[str]) -> Account:
    """Changes settings, state and access by `key=value` words, all or nothing.

    Raises SettingError, AccountUnknown, and AccountError for a master account that does not exist or is itself below.
    """
    words = tuple(assignments)
    if not words:
        raise SettingError("nothing to set: write KEY=VALUE")
    async with database.transaction() as tx:
        found = await operator.account_for_update(tx, login)
        if found is None:
            raise AccountUnknown(login)
        account, own = found
        after = apply(account, words, own)
        master = after.account.settings.master
        if master and master != account.settings.master:
            if master.lower() == account.login.lower():
                raise AccountError("an account is not its own master")
            if await tx.fetchval("select true from account where lower(login) = lower($1)", master) is None:
                raise AccountUnknown(master)
        await operator.save_account(tx, after.account, after.own)
    return await get(database, login)


async def renew_key(database: Database, login: str, key: str) -> Account:
    """Gives an account another API key; the old one is refused from now on. Raises as create does."""
    check_key(key)
    account = await get(database, login)
    async with database.transaction() as tx:
        saved = await operator.save_key(tx, account.id, key)
    if not saved:
        raise AccountError("another account has this API key")
    return account
