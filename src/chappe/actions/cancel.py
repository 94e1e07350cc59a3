"""Cancelling: a customer takes back what has not left."""

from __future__ import annotations

from datetime import timedelta

from chappe.actions.statuses import IDS_MAX
from chappe.core.errors import Refusal
from chappe.core.model import Cancel, Cancelled, Moment
from chappe.store import cancel as store
from chappe.store.database import Database


async def cancel(database: Database, command: Cancel, moment: Moment) -> Cancelled:
    """Takes back what leaves in lead_s seconds or later; with a lead of 0 all that still waits.

    A message that a bind claims in the same instant is either claimed or cancelled, never both. Raises Refusal
    not_found.
    """
    submission_id = command.submission_id
    if not 0 < submission_id < IDS_MAX:
        raise Refusal("not_found")
    async with database.transaction(hot=True) as tx:
        if not await store.owned(tx, command.account.id, submission_id):
            raise Refusal("not_found")
        leaves_at = moment.now + timedelta(seconds=command.lead_s)
        ids = await store.take_back(tx, submission_id, moment.now, leaves_at)
        if ids:
            return Cancelled(submission_id, "cancelled", len(ids), await store.refunded(tx, ids))
        found = await store.standing(tx, submission_id)
    if found.waiting:
        return Cancelled(submission_id, "too_late")
    # Ended before anything left, as for numbers that opted out, it is as good as cancelled; sent is what it was not.
    return Cancelled(submission_id, "already" if found.cancelled or not found.left else "sent")
