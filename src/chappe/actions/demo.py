"""The demo: an account with credit, and a carrier that leads to the phones of the built-in handset.

It is there while `chappe serve --demo` runs, and out of use otherwise: the account is disabled, and the carrier too,
so that nobody is bound to whatever listens on its port.
"""

from __future__ import annotations

import secrets

import msgspec

from chappe.core.carrier_config import CarrierSettings
from chappe.core.model import Account, AccountSettings
from chappe.store import accounts, carriers, operator
from chappe.store import demo as stored
from chappe.store.database import Database

LOGIN = "demo"
CARRIER = "handset"
HOST = "127.0.0.1"
BALANCE_MICROS = 100_000_000
WINDOW = 50
PRICE_MICROS = 38_000
PRIORITY = 100


class DemoError(Exception):
    """The demo cannot be made here; the message says why, and what to do."""


class Demo(msgspec.Struct, frozen=True):
    """The demo in use. key: the account's API key; others: names of the other carriers; everyone: the phones take every
    account's messages, since there is no other carrier."""

    key: str
    others: tuple[str, ...]
    everyone: bool


def new_key() -> str:
    """An API key: 256 random bits, as text that needs no escaping anywhere."""
    return secrets.token_hex(32)


async def begin(database: Database, smsc_port: int, kept_key: str) -> Demo:
    """Makes the demo where there is none, and puts it in use.

    smsc_port: where the handset listens, on loopback. kept_key: the account's key as it was kept; one that is lost is
    replaced. Raises DemoError where another account or carrier has the demo's name.
    """
    found = await stored.read(database)
    account, key = await _account(database, found.account_id if found else 0, kept_key)
    carrier_id = await _carrier(database, found.carrier_id if found else 0, smsc_port)
    async with database.transaction() as tx:
        everyone = await stored.save(tx, account.id, carrier_id)
    # Only now, since a route to a carrier that is not yet known as the demo's would hold for every account.
    if not any(route.carrier_id == carrier_id for route in await carriers.all_routes(database)):
        await carriers.add_route(database, CARRIER, "", None, PRIORITY)
    others = tuple(carrier.name for carrier in await carriers.all_carriers(database) if carrier.id != carrier_id)
    return Demo(key, others, everyone)


async def _account(database: Database, account_id: int, key: str) -> tuple[Account, str]:
    """The demo's account and its key."""
    account = await accounts.by_login(database, LOGIN)
    if account is not None and account.id != account_id:
        raise DemoError(f"there is an account {LOGIN} that is not the demo's: --demo cannot be used here")
    if account is None:
        key = new_key()
        settings = AccountSettings(
            transactional=True,
            firstname="Demo",
            lastname="Account",
            email="demo@localhost",
            prices={"": PRICE_MICROS},  # everywhere: nothing leaves the machine
        )
        async with database.transaction() as tx:
            made = await accounts.create(tx, LOGIN, key, settings, BALANCE_MICROS)
        return Account(id=made, login=LOGIN, settings=settings), key
    known = await accounts.by_key(database, key) if key else None
    if known is None or known.id != account.id:
        key = new_key()
        async with database.transaction() as tx:
            await operator.save_key(tx, account.id, key)
    return account, key


async def _carrier(database: Database, carrier_id: int, port: int) -> int:
    """The carrier that leads to the phones, at the port where they are today."""
    settings = CarrierSettings(host=HOST, port=port, system_id=CARRIER, password="handset", window=WINDOW)
    every = await carriers.all_carriers(database)
    mine = next((carrier for carrier in every if carrier.id == carrier_id), None)
    if mine is not None:
        if mine.settings.port != port:
            await carriers.save(database, mine.name, msgspec.structs.replace(mine.settings, port=port))
        return mine.id
    if any(carrier.name == CARRIER for carrier in every):
        raise DemoError(
            f"there is a carrier {CARRIER} that is not the demo's: `chappe carrier remove {CARRIER}` makes room for it"
        )
    return await carriers.add(database, CARRIER, settings)
