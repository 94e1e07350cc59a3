"""Settle: what was stored of a batch whose connection was lost before the answer to its commit came."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from chappe.actions.accept import outcome, without
from chappe.core.model import Accepted, Moment
from chappe.store import idempotency, lost_commits
from chappe.store.database import CONNECTION_ERRORS, Database
from chappe.store.idempotency import Identifier
from chappe.store.lost_commits import Found
from chappe.store.messages import Placed, Stored, recipient_of

DOUBT_S = 20.0
"""How long an answer is put off rather than being wrong. Who asked has mostly gone by then."""

ASK_S = 0.2


async def settle(database: Database, batch: Sequence[Placed], moment: Moment) -> list[Accepted | None]:
    """For each of the batch that was to be stored at `moment` its outcome if it was; None if it was not, and never will
    be. Waits for the database; raises one of CONNECTION_ERRORS when it stays away."""
    give_up_at = asyncio.get_running_loop().time() + DOUBT_S
    while True:
        try:
            await database.fence()
            named = {_identifier(placed) for placed in batch if placed.send.unique_identifier}
            taken = await idempotency.taken_at(database, named, moment.now) if named else set()
            found = await lost_commits.of_instant(database, moment.now, [placed.send.account.id for placed in batch])
            break
        except CONNECTION_ERRORS:
            if asyncio.get_running_loop().time() > give_up_at:
                raise
        await asyncio.sleep(ASK_S)  # the pace of asking for a database that is away
    return [_of(placed, found, taken, moment) for placed in batch]


def _identifier(placed: Placed) -> Identifier:
    return placed.send.account.id, placed.send.unique_identifier


def _of(placed: Placed, found: list[Found], taken: set[Identifier], moment: Moment) -> Accepted | None:
    """The outcome of one, taken out of what was found.

    One whose identifier was not taken was refused as a repetition. Ids rise in the order of the batch. Two that are the
    same in all that is compared cost the same: of these the later one was not stored unless the earlier one was.
    """
    if placed.send.unique_identifier and _identifier(placed) not in taken:
        return None
    wanted = [recipient.number for recipient in placed.send.recipients]
    everybody = sorted(wanted + [recipient_of(skipped) for skipped in placed.send.skipped])
    for place, row in enumerate(found):
        if not row.numbers or sorted(row.numbers + row.skipped) != everybody:
            continue
        left = Counter(row.numbers)
        gone = set()
        for at, number in enumerate(wanted):
            left[number] -= 1
            if left[number] < 0:  # on the account's list by then, all of the same number
                gone.add(at)
        stored = without(placed, gone) if gone else placed
        if not _is_same(row, stored):
            continue
        del found[place]
        taken.discard(_identifier(placed))  # of two in one batch the first has it
        told = outcome(stored, Stored(row.id, row.balance_micros), moment)
        assert isinstance(told, Accepted)
        return told
    return None


def _is_same(row: Found, placed: Placed) -> bool:
    send = placed.send
    return (
        row.account_id,
        row.cost_micros,
        row.flags,
        row.scheduled_at,
        *(row.dialect, row.sender, row.text, row.tag, row.campaign, row.client_reference),
        *(row.report_url, row.reply_url),
    ) == (
        send.account.id,
        send.cost_micros,
        placed.flags,
        send.scheduled_at,
        *(send.dialect, send.sender, send.text, send.tag, send.campaign, send.client_reference),
        *(send.report_url, send.reply_url),
    )
