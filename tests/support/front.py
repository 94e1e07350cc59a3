"""The customers' APIs of one process on a real socket, over a shop's database: what the tests of its edges ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from shop import Shop

from chappe.store import accounts
from chappe.store.channels import OUTBOX_CHANNEL
from chappe.store.database import Bell
from chappe.web.listener import Limits, Listener
from chappe.web.server import Api, Page
from chappe.web.undeclared import Undeclared

PATIENCE_S = 10.0


class Answer(NamedTuple):
    """One answer; fields have names in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Front:
    """Asks over connections of its own, one each."""

    def __init__(self, shop: Shop, api: Api, listener: Listener) -> None:
        self.shop = shop
        self.api = api
        self.listener = listener

    async def ask(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        fields = {"Host": "a", "Connection": "close", "Content-Length": str(len(body)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        octets = await self.say(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)
        return read_answer(octets)

    async def say(self, octets: bytes) -> bytes:
        """All that comes back for octets on a new connection, until it ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port)
        try:
            writer.write(octets)
            return await asyncio.wait_for(reader.read(), PATIENCE_S)
        finally:
            writer.close()
            await writer.wait_closed()

    async def form(self, target: str, /, **values: object) -> Answer:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.ask("POST", target, urlencode(values).encode(), kind)

    async def post(self, target: str, value: object, headers: Mapping[str, str] | None = None) -> Answer:
        kind = {"Content-Type": "application/json", **(headers or {})}
        return await self.ask("POST", target, json.dumps(value).encode(), kind)


def read_answer(octets: bytes) -> Answer:
    head, _, body = octets.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return Answer(int(first.split(" ")[1]), {name.lower(): value for name, _, value in pairs}, body)


@asynccontextmanager
async def front(
    shop: Shop,
    pages: dict[str, Page] | None = None,
    limits: Limits | None = None,
    counts: Path | None = None,
    **given: Any,
) -> AsyncIterator[Front]:
    """counts: the folder of the node's processes. given: of Api, as sender_default."""
    bell = Bell(shop.database.address, OUTBOX_CHANNEL)
    secret = await accounts.installation_secret(shop.database)
    wishes = {"sender_default": "36111", "stop_mention": " STOP 36111"} | given
    api = Api(shop.database, bell, secret, asyncio.get_running_loop().time, pages=pages, **wishes)
    await api.refresh()
    undeclared = Undeclared(shop.database, counts)
    listener = Listener(api.ask, limits, api.ask_limit, on_undeclared=undeclared.notice)
    await listener.start()
    try:
        yield Front(shop, api, listener)
    finally:
        await listener.stop(grace_s=0)
        await api.idle()
        await api.close()
        await bell.close()
