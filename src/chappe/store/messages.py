"""Submissions and messages: storing a batch of them, and what becomes of single ones outside of the usual way."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from chappe.core.lifecycle import State
from chappe.core.model import RECIPIENTS_MAX, Send, Skipped
from chappe.core.pricing import REFUNDS
from chappe.store.database import Connection, Database
from chappe.store.webhook_hosts import host_of

REFUND_STATES = [int(state) for state, back in REFUNDS.items() if back]

T = TypeVar("T")


def key_of(at: datetime) -> int:
    """Microseconds since 1970: the queues' keys."""
    return int(at.timestamp() * 1_000_000)


def talk_of(account_id: int, number: str) -> int:
    """A number for what one subscriber writes to one account, as a signed 64-bit integer below zero: message ids are
    above. Two that share a number by chance follow each other, which does no harm."""
    digest = hashlib.blake2b(f"{account_id} {number}".encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


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
    skipped_kept: bool = True  # whether the skipped recipients are stored as messages that failed


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
    $11::text::bigint[], $12, $13::text::text[], $14::text::text[], $15::text::text[],
    $16::text::text[], $17::text::text[], $18::text::text[], $19::text::text[], $20::text::text[],
    $21::text::int[], $22::text::int[], $23::text::int[], $24::text::int[], $25::text::text[], $26::text::smallint[],
    $27::text::smallint[], $28::text::bigint[], $29::text::int[], $30::text::bigint[],
    $31::text::text[], $32::text::text[])"""


def numbers(values: Sequence[int | None]) -> str:
    """An array of integers as PostgreSQL reads it from text: the driver would look at each element."""
    written = repr(list(values))[1:-1]  # one call in C; PostgreSQL skips the blanks
    if "N" in written or "<" in written:  # None, or a member of an enum
        written = ",".join(["null" if value is None else str(int(value)) for value in values])
    return "{" + written + "}"


REFUND_ARRAY = numbers(REFUND_STATES)


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


def recipient_of(skipped: Skipped) -> str:
    """What is stored as the recipient of one who is skipped. No column takes NUL."""
    return skipped.number or skipped.written[:WRITTEN_CHARACTERS_MAX].replace("\x00", "")


class _Messages:
    """The messages of a batch by column, as accept_batch takes them: those to send of all submissions, in their order,
    then those skipped."""

    __slots__ = ("accounts", "keys", "lanes", "parts", "places", "prices", "reasons", "recipients", "states",
                 "submissions", "texts", "turns")  # fmt: skip

    def __init__(self, batch: Sequence[Placed], accounts: Sequence[int], counts: list[int]) -> None:
        """accounts: of each submission, its account's place in the arrays a_*. counts: of each account, its messages to
        send; added to."""
        recipients = [recipient for placed in batch for recipient in placed.send.recipients]
        self.recipients = [recipient.number for recipient in recipients]
        self.parts = [recipient.parts for recipient in recipients]
        self.texts = [recipient.text for recipient in recipients]
        self.states = [state for placed in batch for state in placed.states]
        self.lanes = [lane_ for placed in batch for lane_ in placed.lanes]
        self.keys = [key for placed in batch for key in placed.keys]
        self.prices = [
            recipient.price_micros if placed.charge_micros else 0
            for placed in batch
            for recipient in placed.send.recipients
        ]
        self.reasons = [reason for placed in batch for reason in placed.reasons or (None,) * len(placed.states)]
        self.submissions: list[int] = []
        self.accounts: list[int] = []
        self.places: list[int] = []
        self.turns: list[int] = []
        for submission, (account, placed) in enumerate(zip(accounts, batch, strict=True), 1):
            count = len(placed.states)
            turn = counts[account - 1]
            counts[account - 1] = turn + count
            if count == 1:
                self.submissions.append(submission)
                self.accounts.append(account)
                self.places.append(0)
                self.turns.append(turn)
            else:
                self.submissions += [submission] * count
                self.accounts += [account] * count
                self.places += range(count)
                self.turns += range(turn, turn + count)
        for submission, (account, placed) in enumerate(zip(accounts, batch, strict=True), 1):
            if placed.send.skipped and placed.skipped_kept:
                self._skip(submission, account, placed.send)

    def _skip(self, submission: int, account: int, send: Send) -> None:
        first = len(send.recipients)
        assert first + len(send.skipped) <= RECIPIENTS_MAX, "a message's id has no room; the dialects refuse so many"
        for place, skipped in enumerate(send.skipped, first):
            self.submissions.append(submission)
            self.accounts.append(account)
            self.places.append(place)
            self.turns.append(0)
            self.recipients.append(recipient_of(skipped))
            self.states.append(int(State.SUPPRESSED if skipped.reason == "opted_out" else State.FAILED))
            self.parts.append(1)
            self.prices.append(0)
            self.lanes.append(0)
            self.keys.append(0)
            self.texts.append(None)
            self.reasons.append(skipped.reason)

    def written(self) -> tuple[object, ...]:
        """The columns m_*."""
        return (
            numbers(self.submissions),
            numbers(self.accounts),
            numbers(self.places),
            numbers(self.turns),
            texts(self.recipients),
            numbers(self.states),
            numbers(self.parts),
            numbers(self.prices),
            numbers(self.lanes),
            numbers(self.keys),
            _rare_texts(self.texts),
            _rare_texts(self.reasons),
        )


def _submissions(batch: Sequence[Placed], sends: Sequence[Send], secret: bytes) -> tuple[object, ...]:
    """The columns s_* of accept_batch."""
    return (
        numbers([send.account.id for send in sends]),
        numbers([placed.charge_micros for placed in batch]),
        numbers([send.cost_micros for send in sends]),
        numbers([len(send.recipients) for send in sends]),
        numbers([send.parts for send in sends]),
        numbers([placed.flags for placed in batch]),
        numbers([host_of(send.account.id, send.report_url, secret) if send.report_url else None for send in sends]),
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


async def accept(database: Database, batch: Sequence[Placed], now: datetime, secret: bytes) -> list[Stored]:
    """Stores and charges a batch in one durable transaction, each submission whole or not at all. Raises OptedOut.

    secret: the installation's, for the numbers of the hosts to report to.
    """
    async with database.connection(hot=True) as connection:
        return await accept_by(connection, batch, now, secret)


async def accept_by(connection: Connection, batch: Sequence[Placed], now: datetime, secret: bytes) -> list[Stored]:
    """The same on a hot connection, in its transaction if it has one. Raises OptedOut."""
    sends = [placed.send for placed in batch]
    accounts = sorted({send.account.id for send in sends})
    index = {account_id: i for i, account_id in enumerate(accounts)}
    costs = [0] * len(accounts)
    counts = [0] * len(accounts)
    for send, placed in zip(sends, batch, strict=True):
        costs[index[send.account.id]] += placed.charge_micros
    rows = _Messages(batch, [index[send.account.id] + 1 for send in sends], counts)
    written = (*_submissions(batch, sends, secret), *rows.written())
    row = await connection.fetchrow(ACCEPT, now, numbers(accounts), numbers(costs), numbers(counts), *written)
    assert row is not None
    if row["opted"]:
        places: dict[int, set[int]] = {}
        for i in row["opted"]:
            places.setdefault(rows.submissions[i - 1] - 1, set()).add(rows.places[i - 1])
        raise OptedOut(places)
    balances = dict(zip(accounts, row["befores"], strict=True))
    stored = []
    for placed, submission_id in zip(batch, row["ids"], strict=True):
        account_id = placed.send.account.id
        if submission_id is not None:
            balances[account_id] -= placed.charge_micros
        stored.append(Stored(submission_id, balances[account_id]))
    return stored
