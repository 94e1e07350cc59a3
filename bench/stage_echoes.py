"""Stand-ins that answer at once, without any work: what is left is what our own code does around the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from processes import HOST
from stage_store import DIALECT, MUCH_MICROS, SENDER, WINDOW, WORDS

from chappe.carriers import TAKEN, LinkState, MessageIn, Outgoing, PartResult, ReceiptIn
from chappe.core.carrier_config import Carrier
from chappe.core.lifecycle import State
from chappe.net.connection import Answer
from chappe.store.database import Database
from chappe.store.flags import Flag
from chappe.store.messages import key_of
from chappe.store.webhook_claims import CLAIM, WAITING


class _Lends:
    """A database that lends itself as a connection."""

    def connection(self, *, hot: bool = False) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *trouble: object) -> None:
        return None


class Echo(_Lends):
    """Answers at once with what it was given, and remembers what it was asked last."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows
        self.asked: tuple[Any, ...] = ()

    async def fetch(self, *asked: Any) -> Sequence[Any]:
        self.asked = asked
        return self._rows

    async def fetchrow(self, *asked: Any) -> Any:
        self.asked = asked
        return self._rows[0]


class EchoAccepting(_Lends):
    """Says yes to every batch at once; for anything else the real database is asked."""

    def __init__(self, database: Database) -> None:
        self.fetch = database.fetch
        self.value = database.value
        self.beside = database.beside

    async def fetchrow(self, _statement: str, *values: Any) -> dict[str, Any]:
        return accepted_row(values[4].count(",") + 1)  # s_account, as PostgreSQL reads an array


def accepted_row(count: int) -> dict[str, Any]:
    """What accept_batch gives for so many submissions of one account."""
    return {"ids": list(range(1, count + 1)), "befores": [MUCH_MICROS], "opted": None}


def claimed_row(place: int, lane: int, now: datetime) -> tuple[Any, ...]:
    """What bind_turn gives for one message."""
    recipient, text = f"+3361{place:07d}", f"{place:012d} {WORDS}"
    flags = Flag.TRANSACTIONAL
    return (place << 16, lane, place, 0, 0, 1, 1, 0, recipient, text, SENDER, flags, None, DIALECT.NAME, now)


class EchoTurns(_Lends):
    """Has so many messages for a bind, and is told what became of them."""

    def __init__(self, count: int) -> None:
        now = datetime.now(UTC)
        self._rows = [claimed_row(place, 8, now) for place in range(1, count + 1)]
        self._given = 0
        self.recorded = 0

    async def fetch(self, _statement: str, *values: Any) -> Sequence[Any]:
        results, want = values[6], values[-2]  # r_message, p_want
        self.recorded += results.count(",") + 1 if len(results) > 2 else 0
        first, self._given = self._given, min(self._given + want, len(self._rows))
        return self._rows[first : self._given]


class EchoLink:
    """A carrier that has taken what it is given before it is asked; see carriers.Link."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.state = LinkState.BOUND
        self.detail = ""
        self._wake = wake
        self._results: list[PartResult] = []

    def allow(self, until: float) -> None:
        return None

    def free(self) -> int:
        return WINDOW - len(self._results)

    def send(self, messages: Sequence[Outgoing]) -> None:
        self._results += [
            PartResult(message.message_id, 0, 1, TAKEN, f"{message.message_id:016x}") for message in messages
        ]
        self._wake()

    def drop(self, message_id: int) -> None:
        return None

    def pending(self) -> int:
        return len(self._results)

    def take_results(self) -> list[PartResult]:
        taken, self._results = self._results, []
        return taken

    def take_receipts(self) -> list[ReceiptIn]:
        return []

    def take_messages(self) -> list[MessageIn]:
        return []

    def acknowledge(self, tokens: list[int], *, stored: bool = True) -> list[int]:
        return tokens

    def follow(self, carrier: Carrier) -> None:
        return None

    def figures(self) -> dict[str, float]:
        return {}

    async def start(self) -> None:
        self._wake()

    async def stop(self, grace_s: float = 10.0) -> None:
        return None


HOST_NUMBER = 1


class _Row(tuple[Any, ...]):
    """A row whose first columns also have names, as a claim reads them."""

    def __getitem__(self, column: Any) -> Any:
        return super().__getitem__({"host": 0, "key": 1}.get(column, column))


class EchoWebhooks(_Lends):
    """Has so many webhooks of one host, and is told what became of them."""

    def __init__(self, count: int) -> None:
        now = datetime.now(UTC)
        delivered = int(State.DELIVERED)
        url = f"http://{HOST}:1/r/"
        self._rows = [
            _Row(
                (HOST_NUMBER, key_of(now), number, number << 16, now, delivered, 0, None, f"+3361{number:07d}",
                 38_000, delivered, DIALECT.NAME, f"{url}{number}", "", "", Flag.TRANSACTIONAL, 0)
            )
            for number in range(1, count + 1)
        ]  # fmt: skip
        self._given = 0
        self.recorded = 0

    async def value(self, *_asked: Any) -> bool:
        return True  # the lease

    async def fetch(self, statement: str, *values: Any) -> Sequence[Any]:
        if statement == WAITING:
            return self._rows[self._given : self._given + 1]  # the one host, while there is anything
        if statement != CLAIM:
            return []  # accounts with more webhooks than they may have
        wanted = int(values[-1].strip("{}"))  # rows of each host, and there is one host
        first, self._given = self._given, min(self._given + wanted, len(self._rows))
        return self._rows[first : self._given]

    async def execute(self, _statement: str, *values: Any) -> str:
        if len(values) > 2:
            self.recorded += values[2].count(",") + 1  # ids of what has ended
        return ""


class EchoDoor:
    """A receiver that has answered before it is asked."""

    async def request(self, *_asked: Any, **_named: Any) -> Answer:
        return Answer(200, b"OK", 0.0001)
