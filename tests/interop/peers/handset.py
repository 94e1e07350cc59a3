"""Our SMSC with its phones, as the foreign ESMEs meet it: the server on a port, its HTTP side called without HTTP."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Self
from urllib.parse import urlencode

from chappe.core.http import Request
from chappe.handset.settings import Settings
from chappe.handset.smsc import Smsc

WAIT_S = 10.0
QUICK = Settings(receipt_delay_ms=0, retry_s_min=0.05, retry_s_max=0.1)

Json = dict[str, Any]


class Handset:
    """`async with Handset() as handset`: an SMSC on a free port of the loopback."""

    def __init__(self, settings: Settings = QUICK, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.smsc = Smsc(settings)
        self.port = port
        self._tls = tls

    async def __aenter__(self) -> Self:
        self.port = await self.smsc.start("127.0.0.1", self.port, self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.smsc.stop()

    async def http(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """What the JSON API answers. Raises AssertionError for anything but 2xx."""
        octets = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"} if octets else {}
        request = Request(method, path, urlencode(query).encode(), headers, octets)
        response = await self.smsc.page(request)
        assert 200 <= response.status < 300, response.body
        return json.loads(response.body)

    async def messages(self, **query: object) -> list[Json]:
        """The messages that the phones show, oldest first."""
        found: list[Json] = await self.http("GET", "/handset/messages", limit=1000, **query)
        return found[::-1]

    async def shown(self, count: int = 1) -> list[Json]:
        """The messages, as soon as there are so many whole ones. Raises TimeoutError."""
        return await self._until(self.messages, count)

    async def details(self, message: Json) -> Json:
        found: Json = await self.http("GET", f"/handset/messages/{message['id']}")
        return found

    async def acknowledged(self, count: int = 1) -> list[Json]:
        """The details of the messages, as soon as the receipts of `count` are acknowledged. Raises TimeoutError."""

        async def done() -> list[Json]:
            found = [await self.details(message) for message in await self.messages()]
            return [row for row in found if row["receipt"] == "acknowledged"]

        return await self._until(done, count)

    async def _until(self, ask: Callable[[], Awaitable[list[Json]]], count: int) -> list[Json]:
        """Asks, as a page does that polls, until there are `count` rows. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_S):
            for pause_s in itertools.repeat(0.01):
                found = await ask()
                if len(found) >= count:
                    return found
                await asyncio.sleep(pause_s)
        raise AssertionError("not reached")

    async def alone(self) -> None:
        """Waits until no session is left. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_S):
            for link in list(self.smsc.links.values()):
                await link.wire.gone.wait()

    async def reply(self, text: str, *, source: str = "+33639980001", to: str = "CHAPPE") -> None:
        """A phone writes."""
        await self.http("POST", "/handset/replies", {"from": source, "to": to, "text": text})

    async def chaos(self, **switches: object) -> None:
        await self.http("POST", "/handset/chaos", switches)

    async def sessions(self) -> list[Json]:
        found: list[Json] = await self.http("GET", "/handset/sessions")
        return found
