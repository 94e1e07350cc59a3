"""An installation for tests: accounts, carriers and messages in a real database, and what must always hold of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chappe.actions.accept import place
from chappe.core.carrier_config import CarrierSettings
from chappe.core.lifecycle import State
from chappe.core.model import Account, AccountSettings, Recipient, Send, Skipped, message_id
from chappe.core.routing import Router
from chappe.embedded.server import ConnectionParameters
from chappe.store import accounts, bind_turn, binds, carriers, messages
from chappe.store.bind_turn import Claimed, Turn
from chappe.store.binds import BindKey
from chappe.store.database import Address, Database
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import Placed, Stored

PRICE = 38_000
SECRET = b"the secret of the tests"
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def address_of(parameters: ConnectionParameters) -> Address:
    return Address(**parameters.arguments())


async def eventually(ask: Callable[[], Awaitable[Any]], timeout_s: float = 60.0) -> Any:
    """The first true answer; fails with the last one when there is none in time."""
    answer: Any = None
    try:
        async with asyncio.timeout(timeout_s):
            while not (answer := await ask()):  # noqa: ASYNC110 - the database has no event for it
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"still {answer!r} after {timeout_s} s") from None
    return answer


@asynccontextmanager
async def opened(parameters: ConnectionParameters, **sizes: int) -> AsyncIterator[Shop]:
    """A shop in this database, closed at the end."""
    database = Database(address_of(parameters), "chappe test", **sizes)
    await database.open()
    try:
        yield Shop(database)
    finally:
        await database.close()


@dataclass
class Shop:
    """What a test does with an installation, in a word each."""

    database: Database

    # -- who there is

    async def account(self, login: str = "demo", balance_micros: int = 100_000_000, **settings: Any) -> Account:
        async with self.database.transaction() as tx:
            await accounts.create(tx, login, f"key of {login}", AccountSettings(**settings), balance_micros)
        found = await accounts.by_login(self.database, login)
        assert found is not None
        return found

    async def carrier(self, name: str = "red", *, prefix: str | None = "", priority: int = 0, **given: Any) -> int:
        settings: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "system_id": "me", "password": "secret"} | given
        carrier_id = await carriers.add(self.database, name, CarrierSettings(**settings))
        if prefix is not None:
            await carriers.add_route(self.database, name, prefix, None, priority)
        return carrier_id

    async def router(self) -> Router:
        return await carriers.router(self.database)

    async def bind(self, carrier_id: int, owner: str = "me", slot: int = 0, lease_s: float = 60) -> Bind:
        key = BindKey(carrier_id, slot)
        taken = await binds.take(self.database, key, owner, lease_s)
        assert taken is not None
        return Bind(self, key, taken.token, taken.in_flight)

    # -- what is sent

    def send(self, account: Account, count: int = 1, *, parts: int = 1, price: int = PRICE, **given: Any) -> Send:
        reports = {"report_taken": account.settings.reports_waiting, "report_skipped": True}  # as SMS Partner has them
        given = {"text": "hello", "dialect": "smspartner", "sender": "SHOP"} | reports | given
        numbers = given.pop("numbers", None) or [f"+336{account.id:04d}{place:04d}" for place in range(count)]
        return Send(
            account=account,
            recipients=tuple(Recipient(number, parts, price * parts) for number in numbers),
            skipped=tuple(Skipped(number, reason) for number, reason in given.pop("skipped", ())),
            **given,
        )

    async def placed(self, send: Send, now: datetime = NOW) -> Placed:
        return place(send, now, await self.router())

    async def accept(self, *sends: Send, now: datetime = NOW) -> list[Stored]:
        router = await self.router()
        return await messages.accept(self.database, [place(send, now, router) for send in sends], now, SECRET)

    async def messages(self, account: Account, count: int = 1, *, now: datetime = NOW, **given: Any) -> list[int]:
        """Ids of freshly accepted messages."""
        (stored,) = await self.accept(self.send(account, count, **given), now=now)
        assert stored.submission_id is not None
        return [message_id(stored.submission_id, place) for place in range(count)]

    # -- what became of it

    async def message(self, number: int) -> Any:
        (row,) = await self.database.fetch("select * from message where id = $1", number)
        return row

    async def state(self, number: int) -> State:
        return State((await self.message(number))["state"])

    async def states(self, numbers: Sequence[int]) -> list[State]:
        rows = await self.database.fetch("select id, state from message where id = any ($1::bigint[])", list(numbers))
        known = {row["id"]: State(row["state"]) for row in rows}
        return [known[number] for number in numbers]

    async def outbox(self) -> list[Any]:
        return await self.database.fetch("select * from outbox order by lane, key, message_id")

    async def queued(self) -> list[int]:
        return [row["message_id"] for row in await self.outbox()]

    async def in_flight(self) -> list[int]:
        rows = await self.database.fetch("select unnest(in_flight) as id from bind")
        return sorted(row["id"] for row in rows)

    async def webhooks(self) -> list[tuple[int, int]]:
        """(message, state) in the order in which they are told."""
        rows = await self.database.fetch("select message_id, state from webhook order by key, id")
        return [(row["message_id"], row["state"]) for row in rows]

    async def events(self, number: int) -> list[str]:
        rows = await self.database.fetch("select what from event where message_id = $1 order by at, ctid", number)
        return [row["what"] for row in rows]

    async def balance(self, account: Account) -> int:
        return (await accounts.balance(self.database, account.id))[0]

    async def books_balance(self) -> None:
        """What always holds: the ledger's sums are the balances, nothing is below zero, nobody is in two places."""
        wrong = await self.database.fetch(
            """select b.account_id, b.balance_micros, coalesce(sum(l.amount_micros), 0) as ledger
               from balance b left join ledger_entry l using (account_id) group by 1, 2
               having b.balance_micros <> coalesce(sum(l.amount_micros), 0) or b.balance_micros < 0"""
        )
        assert wrong == []
        twice = await self.database.fetch(
            """select id, count(*)
               from (select unnest(in_flight) as id from bind union all select message_id from outbox) places
               group by id having count(*) > 1"""
        )
        assert twice == []


@dataclass
class Bind:
    """One bind's turns, without a network."""

    shop: Shop
    key: BindKey
    token: int
    left: tuple[int, ...] = ()

    async def turn(
        self,
        want: int = 0,
        *,
        taken: Sequence[tuple[int, int, str]] = (),
        waiting: Sequence[tuple[int, int]] = (),
        receipts: Sequence[tuple[str, str, int | None]] = (),
        still: Sequence[int] = (),
        policy: int = 0,
        now: datetime = NOW,
        lanes: Sequence[int] | None = None,
        error: str = "",
    ) -> list[Claimed]:
        """taken: (message, part, carrier's id); receipts: (carrier's id, source, state)."""
        news = Turn()
        for message, part, ref in taken:
            news.r_message.append(message)
            news.r_part.append(part)
            news.r_ref.append(ref)
        for message, host in waiting:
            news.w_message.append(message)
            news.w_host.append(host)
        for ref, source, state in receipts:
            news.c_ref.append(ref)
            news.c_source.append(source)
            news.c_state.append(state)
            news.c_word.append("WORD")
            news.c_error.append(error)
            news.c_raw.append(b"raw")
        asked = self.lanes if lanes is None else lanes
        async with self.shop.database.connection(hot=True) as connection:
            return await bind_turn.turn(connection, self.key, self.token, now, policy, news, still, asked, want)

    @property
    def lanes(self) -> list[int]:
        carrier_id = self.key.carrier_id
        return [
            lane(carrier_id, lane_class)
            for lane_class in (LaneClass.TRANSACTIONAL, LaneClass.COMMERCIAL, LaneClass.BULK)
        ]


def later(**delta: float) -> datetime:
    """So long after NOW."""
    return NOW + timedelta(**delta)
