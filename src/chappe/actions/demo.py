"""The demo: an account, the handset as its carrier, and a route, in a database that has nothing yet."""

from __future__ import annotations

import secrets

from chappe.core.model import AccountSettings
from chappe.core.network import CarrierSettings
from chappe.store import accounts, carriers
from chappe.store.database import Database

LOGIN = "demo"
CARRIER = "handset"
BALANCE_MICROS = 100_000_000
WINDOW = 50
PRICE_MICROS = 38_000


def new_key() -> str:
    """An API key: 256 random bits, as text that needs no escaping anywhere."""
    return secrets.token_hex(32)


async def create(database: Database, smsc_port: int) -> str | None:
    """Makes the demo and gives its key; None when the database is in use already."""
    if await database.value("select exists (select from account) or exists (select from carrier)"):
        return None
    key = new_key()
    async with database.transaction() as tx:
        settings = AccountSettings(
            transactional=True,
            firstname="Demo",
            lastname="Account",
            email="demo@localhost",
            prices={"": PRICE_MICROS},  # everywhere: nothing leaves the machine
        )
        try:
            await accounts.create(tx, LOGIN, key, settings, BALANCE_MICROS)
        except accounts.LoginTaken:
            return None  # another node was quicker
    await carriers.add(database, CARRIER, _settings(smsc_port))
    await carriers.add_route(database, CARRIER, "", None, 100)
    return key


async def follow(database: Database, smsc_port: int) -> None:
    """The handset listens elsewhere than last time: its carrier is told."""
    for carrier in await carriers.all_carriers(database):
        if carrier.name == CARRIER and carrier.settings.host == "127.0.0.1" and carrier.settings.port != smsc_port:
            await carriers.save(database, CARRIER, _settings(smsc_port))


def _settings(port: int) -> CarrierSettings:
    return CarrierSettings(host="127.0.0.1", port=port, system_id=CARRIER, password="handset", window=WINDOW)
