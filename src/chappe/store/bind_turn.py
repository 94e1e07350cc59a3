"""One turn of a bind: stores what the carrier took and the receipts that came, and claims the next messages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from chappe.store.binds import BindKey, LeaseLost
from chappe.store.database import LEASE_LOST, Connection
from chappe.store.messages import REFUND_ARRAY, key_of, numbers, texts
from chappe.store.queue_head import KEY_MIN, Looks


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """A message claimed by a bind: all that is needed to send it, and its place in the queue to put it back."""

    message_id: int
    lane: int
    key: int
    attempts: int
    parts_done: int
    account_id: int
    parts: int
    doubts: int
    recipient: str
    text: str
    sender: str
    flags: int
    report_host: int | None
    dialect: str
    due_at: datetime


class Turn(msgspec.Struct):
    """What one turn writes: see sql/functions/bind_turn.sql for the arrays. Lists grow between turns."""

    r_message: list[int] = msgspec.field(default_factory=list)
    r_part: list[int] = msgspec.field(default_factory=list)
    r_ref: list[str] = msgspec.field(default_factory=list)
    w_message: list[int] = msgspec.field(default_factory=list)
    w_host: list[int] = msgspec.field(default_factory=list)
    c_ref: list[str] = msgspec.field(default_factory=list)
    c_source: list[str] = msgspec.field(default_factory=list)
    c_state: list[int | None] = msgspec.field(default_factory=list)
    c_word: list[str] = msgspec.field(default_factory=list)
    c_error: list[str] = msgspec.field(default_factory=list)
    c_raw: list[bytes] = msgspec.field(default_factory=list)
    c_other: list[str] = msgspec.field(default_factory=list)
    c_reason: list[str] = msgspec.field(default_factory=list)
    c_oddity: list[str] = msgspec.field(default_factory=list)
    # Parts of long messages without an id of their own, for share_parts: written after the rest.
    s_message: list[int] = msgspec.field(default_factory=list)
    s_part: list[int] = msgspec.field(default_factory=list)
    s_ref: list[str] = msgspec.field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.r_message or self.c_ref or self.w_message)

    def written(self) -> tuple[object, ...]:
        """The arrays as bind_turn takes them, in its order."""
        return (
            numbers(self.r_message),
            numbers(self.r_part),
            texts(self.r_ref),
            numbers(self.w_message),
            numbers(self.w_host),
            texts(self.c_ref),
            texts(self.c_source),
            numbers(self.c_state),
            texts(self.c_word),
            texts(self.c_error),
            self.c_raw,
            _sparse(self.c_other),
            _sparse(self.c_reason),
            _sparse(self.c_oddity),
        )


def _sparse(column: list[str]) -> str:
    """A column that is nearly always empty, as a whole or not at all."""
    return texts(column) if any(column) else "{}"


TURN = """select * from bind_turn($1, $2::int::smallint, $3, $4, $5, $6::text::smallint[],
    $7::text::bigint[], $8::text::smallint[], $9::text::text[], $10::text::bigint[], $11::text::bigint[],
    $12::text::text[], $13::text::text[], $14::text::smallint[], $15::text::text[], $16::text::text[], $17,
    $18::text::text[], $19::text::text[], $20::text::text[],
    $21::text::bigint[], $22::text::int[], $23, $24::text::bigint[])"""


def _bounds(looks: Looks | None, lanes: Sequence[int], want: int, at_s: float) -> list[int] | None:
    """What a turn gives as p_from."""
    if looks is None:
        return None
    if looks.slow and want <= 0:  # it looks at no lane, and shall look through nothing else
        return [KEY_MIN] * len(lanes)
    return looks.bounds(lanes, at_s)


async def turn(
    connection: Connection,
    bind: BindKey,
    token: int,
    now: datetime,
    policy: int,
    news: Turn,
    still: Sequence[int],
    lanes: Sequence[int],
    want: int,
    looks: Looks | None = None,
) -> list[Claimed]:
    """One turn of a bind; raises LeaseLost, and then nothing is recorded. looks: of this bind, kept from turn to turn;
    None: each looks everywhere."""
    began_s = time.monotonic()
    bounds = _bounds(looks, lanes, want, began_s)
    try:
        rows: list[Any] = await connection.fetch(
            TURN,
            bind.carrier_id,
            bind.slot,
            token,
            now,
            policy,
            REFUND_ARRAY,
            *news.written(),
            numbers(still),
            numbers(lanes),
            want,
            None if bounds is None else numbers(bounds),
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate == LEASE_LOST:
            raise LeaseLost from error
        raise
    claimed = [Claimed(*row) for row in rows]
    if looks is not None and want > 0:
        ended_s = time.monotonic()
        looks.looked(
            {row.lane: row.key for row in claimed},
            whole=bounds is None,
            now_key=key_of(now),
            ended_s=ended_s,
            took_s=ended_s - began_s,
            found=len(claimed),
            empty=lanes if len(claimed) < want else (),
        )
    return claimed
