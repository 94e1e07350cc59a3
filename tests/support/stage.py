"""A shop, an SMSC that does what a test says, and the pumps of real workers between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from scripted_smsc import Smsc, listening
from shop import Shop, eventually, opened

from chappe.carriers.registry import kind_of, policy_of, rules_of
from chappe.core.lifecycle import State
from chappe.embedded.server import ConnectionParameters
from chappe.store import binds, carriers
from chappe.store.binds import BindKey
from chappe.store.database import Database
from chappe.workers.bind_driver import Pump
from chappe.workers.in_flight import Rules


class Stage:
    """A shop, an SMSC, and pumps between them."""

    def __init__(self, shop: Shop, smsc: Smsc) -> None:
        self.shop = shop
        self.smsc = smsc
        self.pumps: list[Pump] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def carrier(self, name: str = "red", *, window: int = 10, rate: float = 0, **knobs: str) -> int:
        quick = {"reconnect_delay_s_min": "0.01", "reconnect_delay_s_max": "0.05", "throttle_pause_s": "0.05"}
        return await self.shop.carrier(name, port=self.smsc.port, window=window, rate=rate, settings=quick | knobs)

    async def start(self, carrier_id: int, *, owner: str = "me", database: Database | None = None) -> Pump:
        carrier = next(c for c in await carriers.all_carriers(self.shop.database) if c.id == carrier_id)
        taken = await binds.take(self.shop.database, BindKey(carrier_id, 0), owner, 60)
        assert taken is not None
        pump = Pump(
            database or self.shop.database,
            BindKey(carrier_id, 0),
            taken,
            lambda wake: kind_of(carrier).link(carrier, wake),
            Rules(carrier_id, *rules_of(carrier)),
            policy_of(carrier).receipts,
            carrier.name,
            lambda: None,
        )
        self.pumps.append(pump)
        self.tasks.append(asyncio.create_task(pump.run()))
        return pump

    async def send(self, count: int = 1, **given: Any) -> list[int]:
        account = given.pop("account", None) or await self.account()
        return await self.shop.messages(account, count, now=datetime.now(UTC), **given)

    async def account(self) -> Any:
        if not hasattr(self, "_account"):
            self._account = await self.shop.account()
        return self._account

    async def submitted(self, numbers: Sequence[int]) -> None:
        """Waits until each has a reference."""
        await eventually(
            lambda: self.shop.database.value(
                """select count(distinct message_id) = cardinality($1::bigint[])
                   from reference where message_id = any ($1)""",
                list(numbers),
            )
        )

    async def in_references(self, number: int, parts: int) -> None:
        """Waits until so many parts have one."""
        await eventually(
            lambda: self.shop.database.value("select count(*) = $2 from reference where message_id = $1", number, parts)
        )

    async def in_state(self, number: int, state: State) -> None:
        async def is_so() -> bool:
            return await self.shop.state(number) is state

        await eventually(is_so)

    async def close(self) -> None:
        for pump, task in zip(self.pumps, self.tasks, strict=True):
            if not task.done():
                await pump.stop()
                await asyncio.wait([task])
        for task in self.tasks:
            if not task.cancelled() and task.exception() is not None:
                task.result()


@asynccontextmanager
async def staged(database: ConnectionParameters) -> AsyncIterator[Stage]:
    async with opened(database, hot=6) as shop, listening() as smsc:
        stage = Stage(shop, smsc)
        try:
            yield stage
        finally:
            await stage.close()
            await shop.books_balance()
