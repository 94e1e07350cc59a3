"""Settle: what was stored of a batch whose connection was lost before the answer to its commit came."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chappe.actions.accept import outcome, without
from chappe.core.model import Accepted, Moment
from chappe.store import submissions
from chappe.store.database import CONNECTION_ERRORS, Database
from chappe.store.messages import Placed, Stored
from chappe.store.submissions import Found

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
            found = await submissions.of_instant(database, moment.now, [placed.send.account.id for placed in batch])
            break
        except CONNECTION_ERRORS:
            if asyncio.get_running_loop().time() > give_up_at:
                raise
        await asyncio.sleep(ASK_S)  # the pace of asking for a database that is away
    return [_of(placed, found, moment) for placed in batch]


def _of(placed: Placed, found: list[Found], moment: Moment) -> Accepted | None:
    """The outcome of one, taken out of what was found. Ids rise in the order of the batch, and two that look the same
    are the same to whoever asked."""
    wanted = [recipient.number for recipient in placed.send.recipients]
    for place, row in enumerate(found):
        send = placed.send
        if (row.account_id, row.sender, row.text) != (send.account.id, send.sender, send.text):
            continue
        if not row.numbers or not set(row.numbers) <= set(wanted):
            continue
        del found[place]
        gone = {place for place, number in enumerate(wanted) if number not in row.numbers}
        told = outcome(without(placed, gone) if gone else placed, Stored(row.id, row.balance_micros), moment)
        assert isinstance(told, Accepted)
        return told
    return None
