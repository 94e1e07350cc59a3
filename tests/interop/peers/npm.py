"""The npm package `smpp` in a process of its own, as ESME or SMSC: orders out, answers and events in."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

FOLDER = Path(__file__).parent
WAIT_S = 10.0

Json = dict[str, Any]


class NpmError(Exception):
    """The peer could not do what was asked."""


class NpmPeer:
    """`async with NpmPeer() as peer`; events stay in `events`, in their order."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self._number = 0
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._news = asyncio.Condition()
        self._process: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        node = shutil.which("node")
        assert node is not None
        self._process = await asyncio.create_subprocess_exec(
            node,
            str(FOLDER / "npm_peer.js"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**22,
        )
        self._reader = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(WAIT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    async def do(self, order: str, **details: Any) -> Json:
        """Gives an order and waits for its answer. Raises NpmError, and TimeoutError when none comes."""
        self._number += 1
        number = self._number
        self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": order, "number": number, **details}).encode() + b"\n")
        async with asyncio.timeout(WAIT_S):
            answer = await self._answers[number]
        if "error" in answer:
            raise NpmError(answer["error"])
        return answer

    async def request(self, session: int, command: str, **fields: Any) -> Json:
        """Sends a request of SMPP and gives the answer as the peer read it."""
        answer = await self.do("send", session=session, command=command, fields=fields)
        found: Json = answer["pdu"]
        return found

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Waits until an event makes the condition true, and gives its value. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(condition)
        return condition()

    def pdus(self, command: str, session: int | None = None) -> list[Json]:
        """The PDUs of this command that the peer received so far, as it read them."""
        return [
            event["pdu"]
            for event in self.events
            if event["event"] == "pdu" and event["pdu"]["command"] == command and session in (None, event["session"])
        ]

    def happened(self, kind: str, session: int | None = None) -> list[Json]:
        return [event for event in self.events if event["event"] == kind and session in (None, event["session"])]

    async def received(self, command: str, count: int = 1) -> list[Json]:
        """The first `count` PDUs of this command, as soon as they are there."""
        found: list[Json] = await self.until(lambda: len(rows := self.pdus(command)) >= count and rows)
        return found

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "answer" in said:
                self._answers.pop(said["answer"]).set_result(said)
            else:
                self.events.append(said)
            async with self._news:
                self._news.notify_all()


def octets(value: Any) -> bytes:
    """The octets of a field that came as {"hex": ...}."""
    return bytes.fromhex(value["hex"])
