"""Replies told to a customer's server: in the words of the dialect, part by part, all of them again when one fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from shop import NOW, Shop, eventually, opened

from chappe.net import Door
from chappe.store import replies
from chappe.store.embedded import ConnectionParameters
from chappe.store.replies import NewReply
from chappe.workers import notify as module
from chappe.workers.notify import Notify

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def customer(status: Callable[[int], int]) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A server that hears JSON bodies; status: of the answer to the call of this number, from 1."""
    heard: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
                heard.append(json.loads(await reader.readexactly(length)))
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status(len(heard)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?secret=1", heard
    finally:
        server.close()


@asynccontextmanager
async def telling(shop: Shop) -> AsyncIterator[None]:
    door = Door(allow_private=True)
    notify = Notify(shop.database, door, b"secret", "me", 5.0)
    task = asyncio.create_task(notify.run())
    try:
        yield
    finally:
        await notify.stop()
        await task
        await door.close()


async def store(shop: Shop, account_id: int, target: str, parts: tuple[str, ...], **given: Any) -> int:
    values: dict[str, Any] = {
        "account_id": account_id, "carrier_id": 1, "at": NOW, "kind": "response", "number": "+33600000001",
        "destination": "36111", "text": "".join(parts), "parts": parts, "reference": 7, "long_number": False,
        "message_id": 5 << 16, "dialect": "smspartner", "target": target,
    }  # fmt: skip
    async with shop.database.transaction() as tx:
        return await replies.add(tx, NewReply(**(values | given)), NOW)


async def attempts(shop: Shop) -> list[tuple[int, str]]:
    rows = await shop.database.fetch("select message_id, outcome from webhook_attempt order by at, webhook_id")
    return [(row["message_id"], row["outcome"]) for row in rows]


async def test_a_reply_is_told_once_and_gone(database: ConnectionParameters) -> None:
    async with opened(database) as shop, customer(lambda _: 200) as (url, heard), telling(shop):
        account = await shop.account()
        first = await store(shop, account.id, url, ("Oui",))
        second = await store(shop, account.id, url, ("STOP",), kind="stop")

        async def both() -> bool:
            return len(await attempts(shop)) == 2

        await eventually(both)
        assert sorted(await attempts(shop)) == [(-second, "told"), (-first, "told")]
        by_type = {one["type"]: one for one in heard}
        assert by_type["response"] == {
            "type": "response", "phone_number": "+33600000001", "text": "Oui", "message_id": 5,
        }  # fmt: skip
        assert by_type["stop"]["message_id"] == 5
        assert await shop.webhooks() == []


async def test_of_a_long_one_all_parts_are_told_again_when_one_failed(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", (0.01, 0.01))
    async with opened(database) as shop, customer(lambda n: 500 if n == 2 else 200) as (url, heard), telling(shop):
        account = await shop.account()
        number = await store(
            shop, account.id, url, ("one", "two"), long_number=True, destination="+33700000001", message_id=None
        )

        async def told() -> bool:
            return (-number, "told") in await attempts(shop)

        await eventually(told)
        assert [one["text"] for one in heard] == ["one", "two", "one", "two"]
        assert [one["concat-part"] for one in heard] == ["1", "2", "1", "2"]
        assert [outcome for _, outcome in await attempts(shop)] == ["retry: status 500", "told"]
