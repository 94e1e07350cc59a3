"""Connections kept open: taken and given back, waited for, closed when idle, ended when they are not sound."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from shop import address_of, eventually

from chappe.embedded.server import ConnectionParameters
from chappe.store.database import Database
from chappe.store.database.connections import Connections

pytestmark = pytest.mark.asyncio


def kept(database: ConnectionParameters, most: int = 2, idle_s: float = 300.0) -> Connections:
    return Connections(lambda: asyncpg.connect(**database.arguments()), most, idle_s)


async def ended(connection: Any) -> None:
    async with asyncio.timeout(60):
        while not connection.is_closed():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)


async def count(database: ConnectionParameters) -> int:
    """How many clients the database has besides the one that asks."""
    connection = await asyncpg.connect(**database.arguments())
    try:
        return int(
            await connection.fetchval(
                """select count(*) from pg_stat_activity
                   where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()"""
            )
        )
    finally:
        await connection.close()


async def test_one_that_comes_back_is_taken_again_and_nothing_is_connected_before_it_is_needed(
    database: ConnectionParameters,
) -> None:
    connections = kept(database)
    assert await count(database) == 0
    assert connections.take() is None
    first = await connections.acquire()
    assert connections.pid(first) == await first.fetchval("select pg_backend_pid()")
    connections.release(first, sound=True)
    assert await connections.acquire() is first
    connections.release(first, sound=True)
    assert connections.take() is first
    connections.release(first, sound=True)
    await connections.close()
    assert await count(database) == 0


async def test_who_finds_none_free_waits_his_turn(database: ConnectionParameters) -> None:
    connections = kept(database, most=1)
    held = await connections.acquire()
    order: list[int] = []

    async def use(number: int) -> None:
        connection = await connections.acquire()
        order.append(number)
        connections.release(connection, sound=True)

    waiting = [asyncio.create_task(use(number)) for number in range(4)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    assert order == []
    connections.release(held, sound=True)
    await asyncio.wait(waiting)
    assert order == [0, 2, 3]
    await connections.close()


async def test_a_turn_of_someone_who_has_given_up_is_the_next_ones(database: ConnectionParameters) -> None:
    connections = kept(database, most=1)
    held = await connections.acquire()
    first = asyncio.create_task(connections.acquire())
    second = asyncio.create_task(connections.acquire())
    await asyncio.sleep(0)
    connections.release(held, sound=True)
    first.cancel()
    connection = await asyncio.wait_for(second, 60)
    connections.release(connection, sound=True)
    await connections.close()


@pytest.mark.parametrize("how", ["unsound", "in a transaction", "lost"])
async def test_one_that_may_not_be_used_again_makes_room_for_a_new_one(
    database: ConnectionParameters, how: str
) -> None:
    connections = kept(database, most=1)
    connection = await connections.acquire()
    if how == "in a transaction":
        await connection.execute("begin")
    if how == "lost":
        connection.terminate()
    connections.release(connection, sound=how != "unsound")
    another = await asyncio.wait_for(connections.acquire(), 60)
    assert another is not connection
    assert await another.fetchval("select 7") == 7
    connections.release(another, sound=True)
    await connections.close()


async def test_one_that_was_lost_while_idle_is_not_given_out(database: ConnectionParameters) -> None:
    connections = kept(database, most=1)
    connection = await connections.acquire()
    connections.release(connection, sound=True)
    connection.terminate()
    another = await asyncio.wait_for(connections.acquire(), 60)
    assert another is not connection
    connections.release(another, sound=True)
    await connections.close()


async def test_a_failure_to_connect_is_the_callers_and_takes_no_place(database: ConnectionParameters) -> None:
    failures = [OSError("no route"), OSError("no route")]

    async def connect() -> Any:
        if failures:
            raise failures.pop()
        return await asyncpg.connect(**database.arguments())

    connections = Connections(connect, 1)
    for _ in range(2):
        with pytest.raises(OSError, match="no route"):
            await connections.acquire()
    connection = await connections.acquire()
    connections.release(connection, sound=True)
    await connections.close()


async def test_what_is_idle_for_long_is_closed(database: ConnectionParameters) -> None:
    connections = kept(database, most=2, idle_s=0.2)
    used, idle = await connections.acquire(), await connections.acquire()
    connections.release(idle, sound=True)
    await ended(idle)
    assert not used.is_closed()
    connections.release(used, sound=True)
    await ended(used)
    await connections.close()


async def test_closing_waits_for_those_in_use_and_gives_out_no_more(database: ConnectionParameters) -> None:
    connections = kept(database, most=1)
    connection = await connections.acquire()
    waits = asyncio.create_task(connections.acquire())
    await asyncio.sleep(0)
    closing = asyncio.create_task(connections.close())
    with pytest.raises(asyncpg.InterfaceError):
        await waits
    assert not closing.done()
    assert await connection.fetchval("select 7") == 7
    connections.release(connection, sound=True)
    await asyncio.wait_for(closing, 60)
    with pytest.raises(asyncpg.InterfaceError):
        await connections.acquire()
    assert await count(database) == 0


async def test_terminating_ends_those_in_use_as_well(database: ConnectionParameters) -> None:
    connections = kept(database)
    used, idle = await connections.acquire(), await connections.acquire()
    connections.release(idle, sound=True)
    connections.terminate()
    assert used.is_closed()
    assert idle.is_closed()


async def test_who_is_cancelled_in_the_middle_of_a_statement_leaves_nobody_his_connection(
    database: ConnectionParameters,
) -> None:
    pool = Database(address_of(database), ordinary=1)
    await pool.open()
    asking = asyncio.create_task(pool.value("select pg_sleep(60)"))
    await eventually(lambda: count(database))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.wait_for(pool.value("select 7"), 60) == 7
    await pool.fence()  # the one that was lost is ended
    await pool.close()
    assert await count(database) == 0
