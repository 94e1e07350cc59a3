"""What one customer with a good key does to the others: questions about much, long lists, numbers without end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import urlencode

TAGGED = (2_100, 500)  # submissions, and messages of each
LISTED = 300_000
NEIGHBOURS = 600
KEY = "key of neighbour {}"

PREPARE = (
    """insert into submission (id, account_id, created_at, cost_micros, recipients, parts, flags, dialect, sender, text,
                               tag, campaign, client_reference, report_url, reply_url)
       select nextval('submission_number'), a.id, now(), 0, $2::int, $2, 16, 'smspartner', 'SHOP', 'hello',
              'spring', '', '', '', ''
       from account a, generate_series(1, $1::int) where a.login = 'attacker'""",
    """insert into message (id, account_id, price_micros, parts, state, recipient)
       select s.id << 16 | place, s.account_id, 0, 1, 6, '+336' || lpad((s.id * 500 + place)::text, 8, '0')
       from submission s, generate_series(0, $1::int - 1) as place where s.tag = 'spring'""",
    """insert into opt_out (account_id, number, at, source)
       select a.id, '+336' || lpad(n::text, 8, '0'), now(), 'api'
       from account a, generate_series(1, $1::int) as n where a.login = 'attacker'""",
    """with made as (
           insert into account (login, key_sha256, settings)
           select 'neighbour' || n, sha256(convert_to('key of neighbour ' || n, 'UTF8')), '{}'
           from generate_series(1, $1::int) as n returning id
       ) insert into balance (account_id, balance_micros) select id, 0 from made""",
)
ARGUMENTS: tuple[tuple[int, ...], ...] = (TAGGED, (TAGGED[1],), (LISTED,), (NEIGHBOURS,))


class Here(Protocol):
    """As siege.Field."""

    key: str
    address: str
    until: float

    @property
    def over(self) -> bool: ...
    async def connect(self, port: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]: ...
    def note(self, answer: bytes) -> None: ...


Many = Callable[[Any, int, Callable[[Any], Awaitable[None]]], Awaitable[None]]


async def _ask(here: Here, octets: bytes) -> None:
    """One request, of which the answer is read but not kept; again on the same connection, as long as it lasts."""
    reader, writer = await here.connect()
    try:
        while not here.over:
            writer.write(octets)
            async with asyncio.timeout(max(0.1, here.until - perf_counter())):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                while length:
                    length -= len(await reader.read(min(length, 1 << 18)))
            here.note(head)
    except TimeoutError:
        here.note(b"waits")
    finally:
        writer.close()


def _get(path: str, **values: object) -> bytes:
    return f"GET {path}?{urlencode(values)} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def _form(path: str, **values: object) -> bytes:
    body = urlencode(values).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def tag_questions(here: Here, many: Many) -> None:
    """190 questions at once about a tag of a million messages."""
    await many(here, 120, lambda f: _ask(f, _get("/v1/bulk-status-by-tag", apiKey=f.key, tag="spring", page=2_000)))


async def stop_lists(here: Here, many: Many) -> None:
    """20 lists of 300,000 entries at once."""
    await many(here, 20, lambda f: _ask(f, _get("/v1/stop-sms/list", apiKey=f.key)))


async def foreign_numbers(here: Here, many: Many) -> None:
    """Requests of 65,000 numbers that nobody serves, on ten connections; and of 5,000 that only a library knows."""

    def shot(key: str) -> bytes:
        count, plan = random.choice(((65_000, "+4915{:09d}"), (5_000, "+2127{:08d}"), (120, "+2126{:08d}")))
        numbers = ";".join(plan.format(random.randrange(10**8)) for _ in range(count))
        return _form("/http/9.0/", login="attacker", apiKey=key, message="hello", mobile=numbers)

    await many(here, 10, lambda f: _ask(f, shot(f.key)))


async def questions(here: Here, many: Many) -> None:
    """Every question of the API, on a hundred connections."""
    asked = (
        _get("/v1/me", apiKey=here.key),
        _get("/v1/stop-sms/add", apiKey=here.key, phoneNumber="0612345678"),
        _get("/v1/bulk-status", apiKey=here.key, messageId=1),
        _get("/v1/bulk-status-by-tag", apiKey=here.key, tag="spring"),
        _get("/v1/statistics/cost-resume", apiKey=here.key, interval="last_twelve_months"),
        _get("/v1/lookup", apiKey=here.key, phoneNumbers=",".join(f"+2126{n:08d}" for n in range(400))),
    )
    await many(here, 100, lambda f: _ask(f, random.choice(asked)))


class Neighbours:
    """Others than the one who sends: each looks what its balance is, once, and what became of a message."""

    def __init__(self, port: int, address: str) -> None:
        self._port = port
        self._address = address
        self.waits_s: list[float] = []
        self.refused: list[str] = []

    async def go(self, stop: asyncio.Event, key: str, message_id: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            await self._look(_get("/v1/me", apiKey=KEY.format(random.randint(1, NEIGHBOURS))))
            await self._look(_get("/v1/message-status", apiKey=key, messageId=message_id, phoneNumber="0612345678"))
            try:
                async with asyncio.timeout(0.05):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _look(self, octets: bytes) -> None:
        began = perf_counter()
        try:
            async with asyncio.timeout(60):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))
                writer.write(octets.replace(b"Host: a\r\n", b"Host: a\r\nConnection: close\r\n"))
                answer = await reader.read()
                writer.close()
        except (OSError, TimeoutError) as error:
            self.refused.append(type(error).__name__)
            return
        self.waits_s.append(perf_counter() - began)
        if b'"success":true' not in answer:
            self.refused.append(answer[9:12].decode("latin-1"))
