"""Workers know of each other by leases of their own names."""

from __future__ import annotations

import pytest
from shop import opened

from chappe.embedded.server import ConnectionParameters
from chappe.store import workers

pytestmark = pytest.mark.asyncio


async def test_the_living_know_of_each_other_and_not_of_who_has_gone(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        assert await workers.enlist(shop.database, "a/1:2:3", 60) == []
        assert await workers.enlist(shop.database, "b", 60) == ["a/1:2:3"]
        assert await workers.enlist(shop.database, "a/1:2:3", 60) == ["b"], "prolonged, not doubled"
        await workers.leave(shop.database, "b")
        assert await workers.enlist(shop.database, "a/1:2:3", 60) == []


async def test_who_is_not_heard_of_is_not_counted_and_then_forgotten(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await workers.enlist(shop.database, "silent", -1)
        assert await workers.enlist(shop.database, "a", 60) == []
        assert await shop.database.value("select count(*) from lease") == 2
        await shop.database.execute("update lease set expires_at = now() - interval '2 h' where owner = 'silent'")
        await workers.enlist(shop.database, "a", 60)
        assert await shop.database.value("select array_agg(owner) from lease") == ["a"]


async def test_other_leases_are_left_alone(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await shop.database.execute("insert into lease values ('upkeep', 'x', 1, '-infinity')")
        assert await workers.enlist(shop.database, "a", 60) == []
        assert await shop.database.value("select count(*) from lease where name = 'upkeep'") == 1
