"""What the stages are measured with: a real database with an account and carriers, and requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace
from processes import HOST

from chappe.actions.accept import place
from chappe.core.carrier_config import Carrier, CarrierSettings
from chappe.core.http import Request
from chappe.core.model import Account, AccountSettings, Moment, Send
from chappe.core.routing import Route, Router
from chappe.dialects import Call, Dialect
from chappe.dialects.registry import BY_NAME
from chappe.store import accounts, binds, carriers, messages
from chappe.store.binds import BindKey, Taken
from chappe.store.database import Address, Connection, Database
from chappe.store.messages import Placed

LOGIN: Final = "stages"
KEY: Final = "key-of-the-stages-0123456789"
SENDER: Final = "36111"
SECRET: Final = b"secret-of-the-stages-0123456789ab"
MUCH_MICROS: Final = 10**15
WINDOW: Final = 100
LEASE_S: Final = 600.0
LOCK_S: Final = 1.0  # as an API process has it
NAME: Final = "chappe stages"
WORDS: Final = "Hello Camille, your parcel is on its way and will be with you between 10 and 12 tomorrow."
DIALECT: Final[Dialect] = BY_NAME["smspartner"]


@dataclass
class Store:
    """A database with one account. accepted: a carrier for what is accepted and never sent; sent: one for the rest."""

    database: Database
    account: Account
    accepted: Carrier
    sent: Carrier
    made: int = 0  # requests so far: no two are alike, since what is alike may be remembered

    def requests(self, count: int, report_url: str = "") -> list[Request]:
        """So many requests for one message each, as the listener gives them to the application."""
        made = []
        for number in range(self.made, self.made + count):
            body = body_of(number, report_url)
            headers = {"host": HOST, "content-type": "application/json", "content-length": str(len(body))}
            made.append(Request("POST", "/v1/send", b"", headers, body, HOST))
        self.made += count
        return made

    def sends(self, count: int, report_url: str = "") -> list[Send]:
        """So many commands of one message each, as the application gives them to be placed."""
        now = datetime.now(UTC)
        return [self.send(opened(request), now) for request in self.requests(count, report_url)]

    def send(self, call: Call, now: datetime) -> Send:
        command = DIALECT.read(call, self.account, Moment(now, secret=SECRET))
        assert isinstance(command, Send)
        return replace(command, sender=command.sender or SENDER)

    def placed(self, count: int, carrier: Carrier, report_url: str = "") -> list[Placed]:
        router = router_to(carrier)
        now = datetime.now(UTC)
        return [place(send, now, router) for send in self.sends(count, report_url)]

    async def queue(self, count: int, report_url: str = "") -> None:
        """Has so many messages wait for the carrier that sends."""
        for begin in range(0, count, 500):
            batch = self.placed(min(500, count - begin), self.sent, report_url)
            await messages.accept(self.database, batch, datetime.now(UTC), SECRET)

    async def bind(self) -> tuple[BindKey, Taken]:
        """The lease of the one bind of the carrier that sends; what an earlier one had in flight is accounted for."""
        key = BindKey(self.sent.id, 0)
        lease = await binds.take(self.database, key, "stages", LEASE_S)
        assert lease is not None
        assert not lease.in_flight
        return key, lease

    async def backends(self) -> list[int]:
        """The database's processes that serve this program now."""
        rows = await self.database.fetch("select pid from pg_stat_activity where application_name = $1", NAME)
        return [row["pid"] for row in rows]


def body_of(number: int, report_url: str = "") -> bytes:
    fields = {"apiKey": KEY, "phoneNumbers": f"+3361{number % 10_000_000:07d}", "message": f"{number:012d} {WORDS}"}
    if report_url:
        fields["urlDlr"] = f"{report_url}{number}"
    return json.dumps(fields).encode()


def octets_of(request: Request) -> bytes:
    """The same request on its way."""
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"{request.method} {request.path} HTTP/1.1\r\n{head}\r\n".encode() + request.body


def opened(request: Request) -> Call:
    call = DIALECT.open(request)
    assert isinstance(call, Call)
    return call


def router_to(carrier: Carrier) -> Router:
    return Router([Route("33", None, str(carrier.id), 0)])


@asynccontextmanager
async def opened_store(address: Address, smsc_port: int) -> AsyncIterator[Store]:
    """The migrated, empty database at this address, with what the stages need in it."""
    database = Database(address, NAME, lock_s=LOCK_S)
    await database.open()
    try:
        settings = AccountSettings(transactional=True, reports_waiting=False)
        async with database.transaction() as tx:
            await accounts.create(tx, LOGIN, KEY, settings, MUCH_MICROS)
        account = await accounts.by_key(database, KEY)
        assert account is not None
        reach = CarrierSettings(HOST, smsc_port, "bench", "bench", WINDOW)
        for name in ("accepted", "sent"):
            await carriers.add(database, name, reach)
        await carriers.add_route(database, "accepted", "33", None, 0)
        found = {carrier.name: carrier for carrier in await carriers.all_carriers(database)}
        await binds.resize(database, found["sent"].id, 1)
        yield Store(database, account, found["accepted"], found["sent"])
    finally:
        await database.close()


async def pid_of(connection: Connection) -> int:
    return int(await connection.fetchval("select pg_backend_pid()"))
