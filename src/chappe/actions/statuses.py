"""What has become of my messages: the answers to customers who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from chappe.core.errors import Refusal
from chappe.core.lifecycle import State
from chappe.core.model import MessagesFound, MessageStatus, Moment, ReadMessage, ReadMessages, ReadTagged, Selector
from chappe.store import statuses
from chappe.store.database import Database
from chappe.store.statuses import StatusRow

IDS_MAX: Final = 1 << 44  # of submissions: what is larger cannot be one, and no database would take it
PAGE_SIZE_MAX: Final = 10_000
ROWS_AT_ONCE: Final = 1_000  # beyond, what is done with the rows is done beside the loop


async def read_messages(database: Database, command: ReadMessages, moment: Moment) -> MessagesFound:
    """The messages of each selector; None for a submission that this account does not have."""
    usable = [
        Selector(s.submission_id, s.number.replace("\x00", "")) if 0 < s.submission_id < IDS_MAX else None
        for s in command.selectors
    ]
    asked = list(filter(None, usable))
    rows = await statuses.selected(database, command.account.id, asked) if asked else []
    if len(rows) > ROWS_AT_ONCE:
        groups = await asyncio.to_thread(_groups, usable, rows)
    else:
        groups = _groups(usable, rows)
    if len(command.selectors) == 1:
        rows = await _dated(database, groups[0] or [])
        groups = [rows if groups[0] is not None else None]
    if len(rows) > ROWS_AT_ONCE:
        return await asyncio.to_thread(_found, groups)
    return _found(groups)


def _groups(usable: Sequence[Selector | None], rows: Sequence[StatusRow]) -> list[list[StatusRow] | None]:
    """The rows that each selector means, None for a submission that is none of the account's."""
    whole: dict[int, list[StatusRow]] = {}
    single: dict[tuple[int, str], list[StatusRow]] = {}
    for row in rows:
        of_submission = whole.setdefault(row.submission_id, [])
        if row.message_id is not None:
            of_submission.append(row)
            single.setdefault((row.submission_id, row.recipient), []).append(row)

    def meant(selector: Selector | None) -> list[StatusRow] | None:
        if selector is None or selector.submission_id not in whole:
            return None
        if not selector.number:
            return whole[selector.submission_id]
        return single.get((selector.submission_id, selector.number), [])

    return [meant(selector) for selector in usable]


def _found(groups: Sequence[Sequence[StatusRow] | None]) -> MessagesFound:
    return MessagesFound(tuple(None if group is None else tuple(_status(row) for row in group) for group in groups))


async def read_tagged(database: Database, command: ReadTagged, moment: Moment) -> MessagesFound:
    """One page of the messages of a tag."""
    size = max(1, min(command.page_size, PAGE_SIZE_MAX))
    offset = (max(1, command.page) - 1) * size
    if not command.tag or "\x00" in command.tag or offset >= statuses.TAGGED_MESSAGES_MAX:
        return MessagesFound(((),), 0)
    rows, total = await statuses.tagged(database, command.account.id, command.tag, offset, size)
    return MessagesFound((tuple(_status(row) for row in rows),), total)


async def read_message(database: Database, command: ReadMessage, moment: Moment) -> MessagesFound:
    """One message by its id. Raises Refusal not_found."""
    row = None
    if 0 < command.message_id < IDS_MAX << 16:
        row = await statuses.one(database, command.account.id, command.message_id)
    if row is None:
        raise Refusal("not_found")
    return MessagesFound((tuple(_status(row) for row in await _dated(database, [row])),), 1)


async def _dated(database: Database, rows: list[StatusRow]) -> list[StatusRow]:
    """The rows of one submission, with the instant at which the carrier took what is submitted."""
    gone = [row.message_id for row in rows if row.state == State.SUBMITTED and row.message_id is not None]
    at = await statuses.submitted_at(database, gone)
    return [replace(row, at=at[row.message_id]) if row.message_id in at else row for row in rows]


def _status(row: StatusRow) -> MessageStatus:
    assert row.message_id is not None
    return MessageStatus(
        submission_id=row.submission_id,
        message_id=row.message_id,
        recipient=row.recipient,
        state=State(row.state).word,
        at=row.at,
        accepted_at=row.accepted_at,
        cost_micros=row.price_micros - row.refunded_micros,
        parts=row.parts,
        reason=row.reason,
        opted_out=row.opted_out,
        tag=row.tag,
        client_reference=row.client_reference,
    )
