"""Replies told to a customer's server: in the words of the dialect, part by part, all of them again when one fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from shop import NOW, Shop, eventually, opened

from chappe.embedded.server import ConnectionParameters
from chappe.net.client import Door
from chappe.store import replies
from chappe.store.replies import NewReply
from chappe.workers import notify as module
from chappe.workers.notify import Notify

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def customer(
    status: Callable[[int], int], answers: asyncio.Event | None = None
) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A server that hears JSON bodies; status: of the answer to the call of this number, from 1; answers: nothing is
    answered before."""
    heard: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
                heard.append(json.loads(await reader.readexactly(length)))
                if answers is not None:
                    await answers.wait()
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


async def test_replies_of_one_phone_are_told_one_after_the_other_and_others_beside_them(
    database: ConnectionParameters,
) -> None:
    answers = asyncio.Event()
    async with opened(database) as shop, customer(lambda _: 200, answers) as (url, heard):
        account, other = await shop.account(), await shop.account("other")
        for text in ("1", "2", "3"):
            await store(shop, account.id, url, (text,))
        await store(shop, account.id, url, ("autre",), number="+33600000002")
        await store(shop, other.id, url, ("autre",))
        async with telling(shop):

            async def three() -> bool:
                return len(heard) == 3

            await eventually(three)
            assert sorted(one["text"] for one in heard) == ["1", "autre", "autre"]
            answers.set()

            async def all_of_them() -> bool:
                return not await shop.webhooks()

            await eventually(all_of_them)
        assert [one["text"] for one in heard if one["text"] != "autre"] == ["1", "2", "3"]


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_reply_that_must_be_told_again_is_not_overtaken(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """Those that wait with it, and those that came while it waited; when it is given up they follow."""
    monkeypatch.setattr(module, "AGAIN_S", (2.0, 0.3))  # the first: time enough for another phone
    async with opened(database) as shop, customer(lambda n: 500 if n <= failures else 200) as (url, heard):
        account = await shop.account()
        ids = [await store(shop, account.id, url, (text,)) for text in ("1", "2")]
        async with telling(shop):

            async def tried() -> bool:
                return len(await attempts(shop)) >= 1

            await eventually(tried)
            ids.append(await store(shop, account.id, url, ("3",)))
            await store(shop, account.id, url, ("autre",), number="+33600000002")

            async def all_of_them() -> bool:
                return not await shop.webhooks()

            await eventually(all_of_them)
        said = [one["text"] for one in heard]
        tries = min(failures, 2) + 1
        assert [text for text in said if text != "autre"] == ["1"] * tries + ["2", "3"]
        if failures == 1:
            assert said.index("autre") < said.index("2"), "another phone does not wait"
        outcomes = [outcome for number, outcome in await attempts(shop) if number in (-ids[1], -ids[2])]
        assert outcomes == ["told", "told"], "waiting is no attempt"


async def test_who_tells_next_keeps_the_order(database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is in the table, not in a process: a new one finds a reply that is due before an older one."""
    monkeypatch.setattr(module, "AGAIN_S", (0.5, 0.5))
    async with opened(database) as shop, customer(lambda n: 500 if n == 1 else 200) as (url, heard):
        account = await shop.account()
        await store(shop, account.id, url, ("1",))
        async with telling(shop):

            async def tried() -> bool:
                return len(await attempts(shop)) == 1

            await eventually(tried)
        for text in ("2", "3"):
            await store(shop, account.id, url, (text,))
        async with telling(shop):

            async def all_of_them() -> bool:
                return not await shop.webhooks()

            await eventually(all_of_them)
        assert [one["text"] for one in heard] == ["1", "1", "2", "3"]
