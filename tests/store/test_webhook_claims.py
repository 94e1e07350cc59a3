"""Claims divide rows over accounts and hosts, and list hosts in a circle."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from shop import Shop, opened

from chappe.embedded.server import ConnectionParameters
from chappe.store import webhook_claims as module
from chappe.store.queue_head import Looks
from chappe.store.webhook_claims import Due, Shares, rows_of, waiting
from chappe.store.webhook_hosts import account_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def due(account: int, hosts: int) -> list[Due]:
    return [Due(account << 32 | host, 0) for host in range(1, hosts + 1)]


@pytest.mark.parametrize(
    ("hosts", "limit", "rows"),
    [
        ([1], 2_000, [200]),
        ([1, 1], 2_000, [200, 200]),
        ([1, 1], 100, [50, 50]),
        ([1, 300], 100, [50, 50]),
        ([300, 300, 1], 300, [100, 100, 100]),
        ([7], 15, [15]),
        ([3, 2, 1], 2, [1, 1, 0]),
    ],
)
def test_a_claim_is_divided_over_accounts(hosts: list[int], limit: int, rows: list[int]) -> None:
    shares = Shares(lambda _: 10_000, lambda _: 200)
    wants = shares.plan([one for account, count in enumerate(hosts) for one in due(account, count)], limit)
    got: Counter[int] = Counter()
    for want in wants:
        got[account_of(want.host)] += want.rows
    assert [got[account] for account in range(len(hosts))] == rows
    assert all(want.rows > 0 for want in wants)


def test_an_account_without_room_gets_nothing_and_the_others_as_before() -> None:
    shares = Shares(lambda account: 0 if account == 1 else 10_000, lambda _: 200)
    assert {account_of(want.host) for want in shares.plan(due(1, 50) + due(2, 1), 100)} == {2}


async def _fill(shop: Shop, account: int, hosts: int, key: int = 1) -> None:
    (message,) = await shop.messages(await shop.account(f"account {account}"))
    await shop.database.execute(
        """insert into webhook (host, key, id, message_id, at, state)
           select $1::bigint << 32 | h, $2, nextval('webhook_number'), $3, $4, 6 from generate_series(1, $5::int) h""",
        account, key, message, NOW, hosts,
    )  # fmt: skip


@pytest.mark.asyncio
async def test_the_hosts_of_an_account_are_listed_in_a_circle(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HOSTS_MAX", 4)
    async with opened(database) as shop:
        await _fill(shop, 5, 10)
        await _fill(shop, 6, 2)
        async with shop.database.connection(hot=True) as connection:

            async def listed(after: int | None) -> list[int]:
                found = await waiting(connection, {} if after is None else {5: 5 << 32 | after})
                assert [one.host for one in found if account_of(one.host) == 6] == [6 << 32 | 1, 6 << 32 | 2]
                return [one.host & 0xFFFF_FFFF for one in found if account_of(one.host) == 5]

            assert await listed(None) == [1, 2, 3, 4]
            assert await listed(4) == [5, 6, 7, 8]
            assert await listed(8) == [9, 10, 1, 2]
            assert await listed(10) == [1, 2, 3, 4]


@pytest.mark.asyncio
async def test_every_host_has_its_turn_however_many_there_are(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HOSTS_MAX", 40)
    async with opened(database) as shop:
        await _fill(shop, 5, 100)
        await _fill(shop, 6, 1)
        shares, looks, in_hand = Shares(lambda _: 1_000, lambda _: 200), Looks(), []
        async with shop.database.connection(hot=True) as connection:
            hosts: set[int] = set()
            for claim in range(12):
                rows = await rows_of(connection, 9, in_hand, [], 20, shares, looks)
                assert claim or 6 << 32 | 1 in {row["host"] for row in rows}, "the other account in the first one"
                in_hand += [row["id"] for row in rows]
                hosts |= {row["host"] for row in rows}
                assert shares.unseen or len(hosts) == 101
        assert len(hosts) == 101


@pytest.mark.asyncio
async def test_what_is_due_later_is_not_claimed(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        await _fill(shop, 5, 3, key=100)
        shares = Shares(lambda _: 1_000, lambda _: 200)
        async with shop.database.connection(hot=True) as connection:
            assert await rows_of(connection, 99, [], [], 20, shares, Looks()) == []
            assert len(await rows_of(connection, 100, [], [], 20, shares, Looks())) == 3
            assert len(await rows_of(connection, 100, [], [5 << 32 | 2], 20, shares, Looks())) == 2
