"""Submissions as they were stored in one instant: for who lost the connection over which they were stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chappe.store.database import Database

NEWEST = 200_000
"""How many of the newest submissions are looked at: far more than come while a connection is lost and made again."""


class Found(msgspec.Struct, frozen=True):
    """One stored submission, as it was asked for. numbers: the recipients that are sent to, in the order of their
    messages; skipped: the others."""

    id: int
    account_id: int
    sender: str
    text: str
    numbers: list[str]
    skipped: list[str]
    balance_micros: int
    cost_micros: int
    flags: int
    scheduled_at: datetime | None
    dialect: str
    tag: str
    campaign: str
    client_reference: str
    report_url: str
    reply_url: str


async def of_instant(database: Database, at: datetime, accounts: Sequence[int]) -> list[Found]:
    """The submissions of these accounts that were accepted at exactly `at`, in the order of their ids.

    The transaction writes something, so that its commit waits for whatever commits have to wait for: what it has seen
    is then as durable as if its own commit had been answered. Raises one of CONNECTION_ERRORS.
    """
    async with database.transaction(hot=True) as tx:
        rows = await tx.fetch(
            """select s.id, s.account_id, s.sender, s.text,
                      array(select m.recipient from message m where m.id >= s.id << 16 and m.id < (s.id + 1) << 16
                            order by m.id limit s.recipients) as numbers,
                      array(select m.recipient from message m where m.id >= s.id << 16 and m.id < (s.id + 1) << 16
                            order by m.id offset s.recipients) as skipped,
                      s.cost_micros, s.flags, s.scheduled_at, s.dialect, s.tag, s.campaign, s.client_reference,
                      s.report_url, s.reply_url,
                      (select balance_micros from balance b where b.account_id = s.account_id) as balance_micros
               from submission s
               where s.id > (select last_value from submission_number) - $3 and s.created_at = $1
                 and s.account_id = any ($2::int[])
               order by s.id""",
            at,
            sorted(set(accounts)),
            NEWEST,
        )
        await tx.execute("select pg_logical_emit_message(true, 'chappe', '')")
    return [Found(**dict(row)) for row in rows]
