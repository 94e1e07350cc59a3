"""Everything that the tables know of one submission and its messages, for the timeline. Reads only.

reference, receipt, event and webhook_attempt have BRIN indexes on message_id: they are read by the range of ids of the
messages that are shown, on an ordinary connection, since hot ones have bitmap scans turned off.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from chappe.store.database import Connection, Database

PLACES_AHEAD_MAX = 100_000
"""How far the place in the queue is counted."""

S = TypeVar("S")


class SubmissionRow(msgspec.Struct, frozen=True):
    id: int
    account_id: int
    login: str | None
    created_at: datetime
    cost_micros: int
    charged_micros: int
    recipients: int
    parts: int
    flags: int
    scheduled_at: datetime | None
    dialect: str
    sender: str
    text: str
    tag: str
    campaign: str
    client_reference: str
    report_url: str
    reply_url: str


class MessageRow(msgspec.Struct, frozen=True):
    """key and lane are the place in the outbox where the message has one (queued), else where it had."""

    id: int
    price_micros: int
    key: int
    lane: int
    parts: int
    state: int
    doubts: int
    updated_at: datetime | None
    recipient: str
    text: str | None
    reason: str | None
    attempts: int | None
    in_flight_carrier_id: int | None


class ReferenceRow(msgspec.Struct, frozen=True):
    message_id: int
    carrier_id: int
    carrier_ref: str
    part: int
    submitted_at: datetime


class ReceiptRow(msgspec.Struct, frozen=True):
    message_id: int
    carrier_id: int
    received_at: datetime
    part: int | None
    state: int | None
    word: str
    error: str
    carrier_ref: str


class EventRow(msgspec.Struct, frozen=True):
    message_id: int
    at: datetime
    what: str
    detail: str


class RefundRow(msgspec.Struct, frozen=True):
    message_id: int
    amount_micros: int
    at: datetime


class AttemptRow(msgspec.Struct, frozen=True):
    message_id: int
    at: datetime
    state: int
    status: int
    took_ms: int
    outcome: str


class ReplyRow(msgspec.Struct, frozen=True):
    """What a subscriber answered to a message. kind: 0 response, 1 stop, 2 start; target: who is told, or nobody."""

    message_id: int
    id: int
    at: datetime
    kind: int
    text: str
    detail: str
    target: str


class WindowRow(msgspec.Struct, frozen=True):
    """From when on the account had which sending window; an empty name is the default."""

    at: datetime
    name: str


class WaitingRow(msgspec.Struct, frozen=True):
    """A webhook that is still to be told. key: when it is due."""

    message_id: int
    key: int
    state: int
    attempts: int


class Everything(msgspec.Struct, frozen=True):
    """One submission, some of its messages, and all rows about these. states: of all its messages, as they are now;
    down: carriers that have no connection now, and why, as far as that is known."""

    submission: SubmissionRow
    states: dict[int, int]
    messages: list[MessageRow]
    references: list[ReferenceRow]
    receipts: list[ReceiptRow]
    events: list[EventRow]
    refunds: list[RefundRow]
    attempts: list[AttemptRow]
    waiting: list[WaitingRow]
    replies: list[ReplyRow]
    windows: list[WindowRow]
    ahead: dict[int, int]
    carriers: dict[int, str]
    down: dict[int, str]


async def exists(database: Database, submission_id: int) -> bool:
    return await database.value("select true from submission where id = $1", submission_id) is True


async def read(database: Database, first_id: int, last_id: int, limit: int) -> Everything | None:
    """The messages first_id to last_id of one submission, at most `limit` of them; None when it does not exist.

    One snapshot, so that a message that moves meanwhile is not seen in two places or in none.
    """
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        return await _read(connection, first_id, last_id, limit)


async def _read(connection: Connection, first_id: int, last_id: int, limit: int) -> Everything | None:
    submission_id = first_id >> 16
    submission = await _rows(
        connection,
        SubmissionRow,
        SUBMISSION,
        submission_id,
    )
    if not submission:
        return None
    states = await connection.fetch(
        STATES,
        submission_id << 16,
        submission_id << 16 | 0xFFFF,
    )
    messages = await _rows(
        connection,
        MessageRow,
        """select m.id, m.price_micros, m.key, m.lane, m.parts, m.state, m.doubts, m.updated_at, m.recipient, m.text,
                  m.reason, o.attempts, (select b.carrier_id from bind b where m.id = any (b.in_flight) limit 1)
                      as in_flight_carrier_id
           from message m left join outbox o on o.lane = m.lane and o.key = m.key and o.message_id = m.id
           where m.id between $1 and $2 order by m.id limit $3""",
        first_id,
        last_id,
        limit,
    )
    ids = (messages[0].id, messages[-1].id) if messages else (1, 0)
    await connection.execute(BY_RANGE)
    references = await _rows(connection, ReferenceRow, REFERENCES, *ids)
    receipts = await _rows(connection, ReceiptRow, RECEIPTS, *ids)
    events = await _rows(connection, EventRow, EVENTS, *ids)
    attempts = await _rows(connection, AttemptRow, ATTEMPTS, *ids)
    replies = await _rows(connection, ReplyRow, REPLIES, *ids)
    of_replies = (-replies[-1].id, -replies[0].id) if replies else (1, 0)  # their webhooks have these instead
    attempts += await _rows(connection, AttemptRow, ATTEMPTS, *of_replies)
    await connection.execute(BY_ANY_WAY)
    return Everything(
        submission=submission[0],
        states={row["state"]: row["number"] for row in states},
        messages=messages,
        references=references,
        receipts=receipts,
        events=events,
        attempts=attempts,
        refunds=await _rows(connection, RefundRow, REFUNDS, *ids),
        waiting=await _rows(connection, WaitingRow, WAITING, *ids)
        + await _rows(connection, WaitingRow, WAITING, *of_replies),
        replies=replies,
        windows=await _rows(
            connection,
            WindowRow,
            "select at, name from window_change where account_id = $1 order by at, id",
            submission[0].account_id,
        ),
        ahead=await _ahead(connection, [message for message in messages if message.attempts is not None]),
        carriers={row["id"]: row["name"] for row in await connection.fetch("select id, name from carrier")},
        down={row["id"]: row["detail"] for row in await connection.fetch(DOWN)},
    )


# While statistics are old, the whole of a table or of its primary key may look cheaper than its BRIN index.
BY_RANGE = "set local enable_seqscan = off; set local enable_indexscan = off; set local enable_indexonlyscan = off"
BY_ANY_WAY = "set local enable_seqscan = on; set local enable_indexscan = on; set local enable_indexonlyscan = on"
# The present states, as the comment on the table message says: what may still leave and is not in the outbox is in
# flight (4), or has been submitted (5).
PRESENT_STATE = """case when m.state > 3 or o.message_id is not null then m.state
                when m.id in (select unnest(in_flight) from bind) then 4 else 5 end"""
PLACE = "left join outbox o on o.lane = m.lane and o.key = m.key and o.message_id = m.id"
SUBMISSION = """select s.id, s.account_id, a.login, s.created_at, s.cost_micros,
           -coalesce((select amount_micros from ledger_entry where kind = 1 and reason = s.id), 0)
               as charged_micros,
           s.recipients, s.parts, s.flags, s.scheduled_at, s.dialect, s.sender, s.text, s.tag, s.campaign,
           s.client_reference, s.report_url, s.reply_url
    from submission s left join account a on a.id = s.account_id where s.id = $1"""
STATES = f"""select {PRESENT_STATE} as state, count(*) as number from message m {PLACE}
    where m.id between $1 and $2 group by 1 order by 1"""
REFERENCES = """select message_id, carrier_id, carrier_ref, part, submitted_at from reference
    where message_id between $1 and $2 order by submitted_at, part"""
RECEIPTS = """select message_id, carrier_id, received_at, part, state, word, error, carrier_ref from receipt
    where message_id between $1 and $2 order by received_at, id"""
EVENTS = "select message_id, at, what, detail from event where message_id between $1 and $2 order by at"
REPLIES = """select message_id, id, at, kind, text, detail, target from reply
    where message_id between $1 and $2 order by id"""
DOWN = """select c.id,
           coalesce((array_agg(b.detail order by b.state_at desc) filter (where b.detail <> ''))[1], '') as detail
    from carrier c left join bind b on b.carrier_id = c.id where c.enabled group by c.id
    having not coalesce(bool_or(b.state in ('bound', 'paused') and b.expires_at >= clock_timestamp()), false)"""
REFUNDS = """select reason as message_id, amount_micros, at from ledger_entry
    where kind = 2 and reason between $1 and $2 order by at"""
ATTEMPTS = """select message_id, at, state, status, took_ms, outcome from webhook_attempt
    where message_id between $1 and $2 order by at, webhook_id"""
# What waits is a short queue, and its key is the host's: it has no index on messages.
WAITING = "select message_id, key, state, attempts from webhook where message_id between $1 and $2 order by key, id"


async def _ahead(connection: Connection, queued: Sequence[MessageRow]) -> dict[int, int]:
    """How many messages of its lane leave before the first one that is queued; only for that one, since the others
    follow it. Counted up to PLACES_AHEAD_MAX."""
    if not queued:
        return {}
    first = min(queued, key=lambda message: (message.lane, message.key, message.id))
    number: int = await connection.fetchval(
        """select count(*) from (select from outbox where lane = $1 and (key, message_id) < ($2, $3) limit $4) as b""",
        first.lane,
        first.key,
        first.id,
        PLACES_AHEAD_MAX,
    )
    return {first.id: number}


async def _rows(connection: Connection, kind: type[S], statement: str, *values: object) -> list[S]:
    return [kind(**dict(row)) for row in await connection.fetch(statement, *values)]
