"""Submissions and messages: storing a batch of them, and what becomes of single ones outside of the usual way."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar
from zlib import crc32

import msgspec

from chappe.core.lifecycle import State
from chappe.core.model import RECIPIENTS_MAX, Send
from chappe.core.pricing import REFUNDS
from chappe.store.database import Connection, Database

REFUND_STATES = [int(state) for state, back in REFUNDS.items() if back]

CLASSES = 8
"""Lanes of one carrier: lane = carrier id * CLASSES + class."""


T = TypeVar("T")


class LaneClass(enum.IntEnum):
    """What one carrier must send, by priority."""

    TRANSACTIONAL = 0
    COMMERCIAL = 1
    BULK = 2
    WAITING = 7  # due later: scheduled, held, to be tried again; or no carrier takes it (carrier 0)


BULK_RECIPIENTS = 50
"""From so many recipients on, a submission stands behind those of few: a campaign never delays a single message."""


class Flag:
    """submission.flags. Plain integers: an IntFlag makes a new object at each operation, and this is the hot path."""

    LOWCOST = 1
    TRANSACTIONAL = 2
    UNICODE = 4
    FLASH = 8
    SANDBOX = 16
    VIRTUAL_NUMBER = 32
    REPORTS_WAITING = 64
    REPORTS_POST = 128
    STOP_IGNORED = 256  # leaves for numbers that have opted out as well


def lane(carrier_id: int, lane_class: int) -> int:
    return carrier_id * CLASSES + lane_class


def key_of(at: datetime) -> int:
    """Microseconds since 1970: the queues' keys."""
    return int(at.timestamp() * 1_000_000)


def host_of(url: str) -> int:
    """A number for the host and port of a URL, as a signed 32-bit integer: whose slowness this is."""
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2].lower()
    value = crc32(authority.encode())
    return value - (1 << 32) if value >= 1 << 31 else value


class Placed(msgspec.Struct, frozen=True):
    """A Send with the decisions that storing needs: for each recipient its state and lane, and when it is due (a key,
    0 for at once); whether it is charged."""

    send: Send
    flags: int
    charge_micros: int
    states: tuple[int, ...]
    lanes: tuple[int, ...]
    keys: tuple[int, ...]
    reasons: tuple[str | None, ...] | None = None  # why a message waits, where it does


class Stored(msgspec.Struct, frozen=True):
    """What became of one Placed: its submission's id, or None when the credit did not suffice; the balance before the
    first of the batch's submissions of this account, less those accepted so far."""

    submission_id: int | None
    balance_micros: int


class OptedOut(Exception):
    """Recipients of a batch have opted out: nothing of it was stored. places: of each submission's recipients, by its
    place in the batch."""

    def __init__(self, places: dict[int, set[int]]) -> None:
        super().__init__(f"{sum(map(len, places.values()))} recipients have opted out")
        self.places = places


ACCEPT = """select ids, befores, opted from accept_batch($1,
    $2::text::int[], $3::text::bigint[], $4::text::int[],
    $5::text::int[], $6::text::bigint[], $7::text::bigint[], $8::text::int[], $9::text::int[], $10::text::int[],
    $11::text::int[], $12, $13::text::text[], $14::text::text[], $15::text::text[],
    $16::text::text[], $17::text::text[], $18::text::text[], $19::text::text[], $20::text::text[],
    $21::text::int[], $22::text::int[], $23::text::int[], $24::text::int[], $25::text::text[], $26::text::smallint[],
    $27::text::smallint[], $28::text::bigint[], $29::text::int[], $30::text::bigint[],
    $31::text::text[], $32::text::text[])"""


def numbers(values: Sequence[int | None]) -> str:
    """An array of integers as PostgreSQL reads it from text: the driver would look at each element."""
    return "{" + ",".join(["null" if v is None else str(v) for v in values]) + "}"


def texts(values: Sequence[str | None]) -> str:
    """An array of texts as PostgreSQL reads it from text."""
    if None not in values:
        joined = '","'.join(values)  # type: ignore[arg-type]
        if "\\" not in joined and joined.count('"') == 2 * len(values) - 2:
            return '{"' + joined + '"}' if values else "{}"
    return "{" + ",".join(["null" if value is None else _quoted(value) for value in values]) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _rare(values: list[T]) -> list[T] | None:
    """A column that is mostly empty: nothing at all when it is."""
    return values if any(values) else None


def _rare_texts(values: Sequence[str | None]) -> str | None:
    return texts(values) if any(values) else None


WRITTEN_CHARACTERS_MAX = 64  # kept of what was written where a number belongs, and is none

# A message as accept_batch takes it: places of submission and account, place, turn, recipient, state, parts, price,
# lane, key, text, reason.
_Row: TypeAlias = tuple[int, int, int, int, str, int, int, int, int, int, str | None, str | None]
_COLUMNS = 12


def _add_rows(rows: list[_Row], placed: Placed, submission: int, account: int, turn: int) -> int:
    """Adds the messages of one submission, those to send and then those skipped; gives the account's next turn."""
    send = placed.send
    is_charged = placed.charge_micros > 0
    reasons = placed.reasons
    place = 0
    for recipient, state, lane_, key in zip(send.recipients, placed.states, placed.lanes, placed.keys, strict=True):
        price = recipient.price_micros if is_charged else 0
        reason = reasons[place] if reasons else None
        rows.append(
            (
                submission, account, place, turn, recipient.number, state, recipient.parts, price, lane_, key,
                recipient.text, reason,
            )
        )  # fmt: skip
        place += 1
        turn += 1
    for skipped in send.skipped:
        state = State.SUPPRESSED if skipped.reason == "opted_out" else State.FAILED
        number = skipped.number or skipped.written[:WRITTEN_CHARACTERS_MAX].replace("\x00", "")  # no column takes NUL
        rows.append((submission, account, place, 0, number, state, 1, 0, 0, 0, None, skipped.reason))
        place += 1
    assert place <= RECIPIENTS_MAX, "a message's id has no room for more; the dialects refuse them"
    return turn


def _submissions(batch: Sequence[Placed]) -> tuple[object, ...]:
    """The columns s_* of accept_batch."""
    sends = [placed.send for placed in batch]
    return (
        numbers([send.account.id for send in sends]),
        numbers([placed.charge_micros for placed in batch]),
        numbers([send.cost_micros for send in sends]),
        numbers([len(send.recipients) for send in sends]),
        numbers([send.parts for send in sends]),
        numbers([placed.flags for placed in batch]),
        numbers([host_of(send.report_url) if send.report_url else None for send in sends]),
        _rare([send.scheduled_at for send in sends]),
        texts([send.dialect for send in sends]),
        texts([send.sender for send in sends]),
        texts([send.text for send in sends]),
        _rare_texts([send.tag for send in sends]),
        _rare_texts([send.campaign for send in sends]),
        _rare_texts([send.client_reference for send in sends]),
        _rare_texts([send.report_url for send in sends]),
        _rare_texts([send.reply_url for send in sends]),
    )


def _messages(columns: Sequence[Any]) -> tuple[object, ...]:
    """The columns m_* of accept_batch."""
    submission, account, place, turn, recipient, state, parts, price, lane_, key, text, reason = columns
    return (
        numbers(submission),
        numbers(account),
        numbers(place),
        numbers(turn),
        texts(recipient),
        numbers(state),
        numbers(parts),
        numbers(price),
        numbers(lane_),
        numbers(key),
        _rare_texts(text),
        _rare_texts(reason),
    )


async def accept(database: Database, batch: Sequence[Placed], now: datetime) -> list[Stored]:
    """Stores and charges a batch in one durable transaction, each submission whole or not at all. Raises OptedOut."""
    async with database.connection(hot=True) as connection:
        return await accept_by(connection, batch, now)


async def accept_by(connection: Connection, batch: Sequence[Placed], now: datetime) -> list[Stored]:
    """The same on a hot connection, in its transaction if it has one. Raises OptedOut."""
    accounts = sorted({placed.send.account.id for placed in batch})
    index = {account_id: i for i, account_id in enumerate(accounts)}
    costs = [0] * len(accounts)
    counts = [0] * len(accounts)
    rows: list[_Row] = []
    for s, placed in enumerate(batch, 1):
        a = index[placed.send.account.id]
        counts[a] = _add_rows(rows, placed, s, a + 1, counts[a])
        costs[a] += placed.charge_micros
    columns: list[Any] = list(zip(*rows, strict=True)) or [()] * _COLUMNS
    row = await connection.fetchrow(
        ACCEPT, now, numbers(accounts), numbers(costs), numbers(counts), *_submissions(batch), *_messages(columns)
    )
    assert row is not None
    if row["opted"]:
        places: dict[int, set[int]] = {}
        for i in row["opted"]:
            places.setdefault(columns[0][i - 1] - 1, set()).add(columns[2][i - 1])
        raise OptedOut(places)
    balances = dict(zip(accounts, row["befores"], strict=True))
    stored = []
    for placed, submission_id in zip(batch, row["ids"], strict=True):
        account_id = placed.send.account.id
        if submission_id is not None:
            balances[account_id] -= placed.charge_micros
        stored.append(Stored(submission_id, balances[account_id]))
    return stored
