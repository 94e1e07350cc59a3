"""Accept: say yes to messages by making them durable and paid, many requests in one transaction.

Nothing is sent here. What was accepted lies in the outbox, in the lane of the carrier that its route names, or in a
waiting lane until its time comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chappe.core.errors import Refusal
from chappe.core.lifecycle import State
from chappe.core.model import Accepted, Moment, Range, Send, message_id
from chappe.core.publicid import public_id
from chappe.core.routing import Router
from chappe.store import messages
from chappe.store.database import Database
from chappe.store.messages import BULK_RECIPIENTS, Flag, LaneClass, Placed, key_of, lane


def place(send: Send, now: datetime, router: Router) -> Placed:
    """Decides for each message its state, its lane and when it is due; pure."""
    flags = _flags(send)
    count = len(send.recipients)
    if send.sandbox:
        # Ends as it would have if all had gone well; nothing is queued and nothing is charged.
        return Placed(send, flags, 0, (int(State.DELIVERED),) * count, (0,) * count, (0,) * count)
    if send.scheduled_at is not None and send.scheduled_at > now:
        state, lane_class, key = State.SCHEDULED, LaneClass.WAITING, key_of(send.scheduled_at)
    else:
        state, lane_class, key = State.QUEUED, _ready_class(flags, count), 0
    lanes = []
    keys = []
    for recipient in send.recipients:
        carriers = router.carriers(recipient.number, send.range)
        if carriers:
            lanes.append(lane(int(carriers[0]), lane_class))
            keys.append(key)
        else:  # nobody takes it now: it waits until somebody does
            lanes.append(lane(0, LaneClass.WAITING))
            keys.append(key or key_of(now))
    return Placed(send, flags, send.cost_micros, (int(state),) * count, tuple(lanes), tuple(keys))


def _flags(send: Send) -> int:
    flags = 0
    if send.range is Range.LOWCOST:
        flags |= Flag.LOWCOST
    if send.transactional:
        flags |= Flag.TRANSACTIONAL
    if send.unicode:
        flags |= Flag.UNICODE
    if send.flash:
        flags |= Flag.FLASH
    if send.sandbox:
        flags |= Flag.SANDBOX
    if send.virtual_number:
        flags |= Flag.VIRTUAL_NUMBER
    if send.report_url:
        settings = send.account.settings
        if settings.reports_waiting and send.dialect == "smspartner":
            flags |= Flag.REPORTS_WAITING
        if settings.reports_method == "POST":
            flags |= Flag.REPORTS_POST
    return int(flags)


def _ready_class(flags: int, recipients: int) -> LaneClass:
    """The lane class of messages that may leave."""
    if flags & Flag.TRANSACTIONAL:
        return LaneClass.TRANSACTIONAL
    return LaneClass.BULK if recipients >= BULK_RECIPIENTS else LaneClass.COMMERCIAL


async def accept(database: Database, batch: Sequence[Placed], moment: Moment) -> list[Accepted | Refusal]:
    """One durable transaction over the batch; what lacks credit is refused, and fails nobody else."""
    outcomes: list[Accepted | Refusal] = []
    for placed, stored in zip(batch, await messages.accept(database, batch, moment.now), strict=True):
        send = placed.send
        if stored.submission_id is None:
            code = "credit_none" if stored.balance_micros <= 0 else "credit_short"
            outcomes.append(Refusal(code, needed_micros=placed.charge_micros, balance_micros=stored.balance_micros))
            continue
        ids: tuple[str, ...] = ()
        if send.public_ids:
            first = message_id(stored.submission_id, 0)
            ids = tuple(public_id(moment.secret, first + place) for place in range(len(send.recipients)))
        outcomes.append(Accepted(stored.submission_id, send, stored.balance_micros, ids))
    return outcomes
