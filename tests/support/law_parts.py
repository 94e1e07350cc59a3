"""The pieces of an installation in virtual time (law_world): its database, its pumps, its customers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
from law_wire import Network

from chappe.core.carrier_config import Carrier
from chappe.core.http import Response
from chappe.core.model import AccountSettings
from chappe.store.database import Database
from chappe.store.database.connections import Connections
from chappe.web.reading import Reader
from chappe.workers.bind_driver import Pump


class CountedDatabase(Database):
    """A Database that knows how many connections are in use, of those beside it too, and closes none because virtual
    time passes."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._uses = [0]

    @property
    def in_use(self) -> int:
        return self._uses[0]

    def beside(self, *, ordinary: int, hot: int) -> Database:
        beside = super().beside(ordinary=ordinary, hot=hot)
        assert isinstance(beside, CountedDatabase)
        beside._uses = self._uses
        return beside

    def _connections(self, most: int, settings: dict[str, str], command_s: float) -> Connections:
        # the order of commits is what counts here, not the power of the machine; a command has as long as it takes
        own = settings | {"application_name": "law", "synchronous_commit": "off"}
        return Connections(
            lambda: asyncpg.connect(**self.address.arguments(), server_settings=own), most, idle_s=math.inf
        )

    @asynccontextmanager
    async def connection(self, *, hot: bool = False) -> AsyncIterator[Any]:
        self._uses[0] += 1
        try:
            async with super().connection(hot=hot) as connection:
                yield connection
        finally:
            self._uses[0] -= 1


class SteppedPump(Pump):
    """A pump that has its turns when it is told to."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.go = asyncio.Event()
        self.turned = asyncio.Event()

    async def _wait(self) -> None:
        self.turned.set()
        await self.go.wait()
        self.go.clear()


class Silent:
    """A bell that nobody hears: the test says who has his turn."""

    def ring(self) -> None:
        pass


class ReaderInLoop(Reader):
    """Reads large requests within the loop as well, as small ones are read."""

    def is_due_beside(self, owner: Hashable, octets: int) -> bool:
        return False


@dataclass
class Answer:
    """What a request was answered."""

    response: Response | None = None
    error: BaseException | None = None
    has_left: bool = False  # the clients of these tests wait for their answers

    def send(self, response: Response) -> None:
        assert self.response is None
        self.response = response

    def when_read(self, done: Callable[[], None]) -> None:
        done()

    def fail(self, error: BaseException) -> None:
        self.error = error


@dataclass
class Customer:
    """One account. profiles: the names of its windows with the instants from which on they were in force."""

    id: int
    login: str
    key: str
    settings: AccountSettings
    profiles: list[tuple[tuple[float, datetime], str]]


@dataclass
class Campaign:
    """One accepted submission, as its customer knows it. messages: by id the recipient's number."""

    id: int
    token: int
    customer: Customer
    commercial: bool
    stop_passes: bool
    sandbox: bool
    scheduled_at: datetime | None
    messages: dict[int, str] = field(default_factory=dict)
    cancelled: bool = False


@dataclass
class Worker:
    """One bind and who drives it."""

    network: Network
    carrier: Carrier
    pump: SteppedPump | None = None
    task: asyncio.Task[None] | None = None
    owner: str = ""
