"""Accept: say yes to messages by making them durable and paid, many requests in one transaction.

Nothing is sent here. What was accepted lies in the outbox, in the lane of the carrier that its route names, or in a
waiting lane until its time comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from datetime import datetime

import msgspec

from chappe.actions.virtual_numbers import strangers
from chappe.core import foreign_stop, window
from chappe.core.errors import Refusal
from chappe.core.lifecycle import State
from chappe.core.model import Accepted, Moment, Range, Send, Skipped, message_id
from chappe.core.publicid import public_id
from chappe.core.routing import Router
from chappe.core.window_profiles import PROFILES, Profile
from chappe.store import (
    idempotency,
    messages,
    webhook_limits,
    webhooks,
)
from chappe.store.database import Connection, Database
from chappe.store.flags import WARNINGS, Flag
from chappe.store.lanes import BULK_RECIPIENTS, LaneClass, lane
from chappe.store.messages import OptedOut, Placed, Stored, key_of
from chappe.store.webhook_hosts import host_of
from chappe.store.webhooks import End

NEVER_CLOSED = PROFILES["none"]


def place(send: Send, now: datetime, router: Router, profile: Profile = NEVER_CLOSED) -> Placed:
    """Decides for each message its state, its lane and when it is due; pure.

    profile: the sending window of the account; transactional messages need none. Raises Refusal window_hour or
    window_day where the profile, or a strict schedule, holds nothing.
    """
    flags = _flags(send)
    count = len(send.recipients)
    if send.sandbox:
        if not send.transactional and profile is not NEVER_CLOSED:
            _within(send, flags, now, router, profile, State.SCHEDULED, LaneClass.WAITING)  # refused as a real one is
        # Ends as it would have if all had gone well; nothing is queued and nothing is charged.
        return Placed(send, flags, 0, (int(State.DELIVERED),) * count, (0,) * count, (0,) * count)
    if send.scheduled_at is not None and send.scheduled_at > now:
        state, lane_class, key = State.SCHEDULED, LaneClass.WAITING, key_of(send.scheduled_at)
    else:
        state, lane_class, key = State.QUEUED, _ready_class(flags, count), 0
    if not send.transactional and profile is not NEVER_CLOSED:
        return _within(send, flags, now, router, profile, state, lane_class)
    lanes = []
    keys = []
    for recipient in send.recipients:
        carriers = router.carriers(recipient.number, send.range, send.account.id)
        if carriers:
            lanes.append(lane(int(carriers[0]), lane_class))
            keys.append(key)
        else:  # nobody takes it now: it waits until somebody does
            lanes.append(lane(0, LaneClass.WAITING))
            keys.append(key or key_of(now))
    return Placed(send, flags, send.cost_micros, (int(state),) * count, tuple(lanes), tuple(keys))


def _within(
    send: Send, flags: int, now: datetime, router: Router, profile: Profile, state: State, ready: LaneClass
) -> Placed:
    """As place(), for commercial messages: what may not leave when it wants to is held until it may."""
    profile = profile.for_sender(send.sender)
    wanted = send.scheduled_at if send.scheduled_at is not None and send.scheduled_at > now else now
    strict = profile.outside == "refuse" or (send.schedule_strict and wanted is not now)
    if strict and (code := window.check_schedule(profile, [r.number for r in send.recipients], wanted)):
        raise Refusal(code)
    states = []
    lanes = []
    keys = []
    reasons: list[str | None] = []
    for recipient in send.recipients:
        verdict = window.check(profile, recipient.number, wanted)
        carriers = router.carriers(recipient.number, send.range, send.account.id)
        carrier_id = int(carriers[0]) if carriers else 0
        if verdict.allowed and wanted is now:
            states.append(int(state))
            lanes.append(lane(carrier_id, ready if carrier_id else LaneClass.WAITING))
            keys.append(0 if carrier_id else key_of(now))
            reasons.append(None)
            continue
        due_at = wanted if verdict.allowed else verdict.next_at
        if due_at is None:  # it would never open
            raise Refusal(verdict.refusal or "window_hour")
        states.append(int(state) if verdict.allowed else int(State.HELD))
        lanes.append(lane(carrier_id, LaneClass.WAITING))
        keys.append(key_of(due_at))
        reasons.append(None if verdict.allowed else verdict.reason)
    return Placed(send, flags, send.cost_micros, tuple(states), tuple(lanes), tuple(keys), tuple(reasons))


def _flags(send: Send) -> int:
    flags, settings = 0, send.account.settings
    if send.range is Range.LOWCOST:
        flags |= Flag.LOWCOST
    if send.transactional:
        flags |= Flag.TRANSACTIONAL
        if not settings.stop_blocks_transactional:
            flags |= Flag.STOP_IGNORED
    if send.unicode:
        flags |= Flag.UNICODE
    if send.flash:
        flags |= Flag.FLASH
    if send.sandbox:
        flags |= Flag.SANDBOX
    if send.virtual_number:
        flags |= Flag.VIRTUAL_NUMBER
    if send.report_url:
        if send.report_taken:
            flags |= Flag.REPORTS_WAITING
        if settings.reports_method == "POST":
            flags |= Flag.REPORTS_POST
    if settings.stop_foreign != "keep" and foreign_stop.has_foreign(send.text, settings):
        flags |= Flag.STOP_FOREIGN
    for warning in send.warnings:
        flags |= WARNINGS[warning]
    return int(flags)


def _ready_class(flags: int, recipients: int) -> LaneClass:
    """The lane class of messages that may leave."""
    if flags & Flag.TRANSACTIONAL:
        return LaneClass.TRANSACTIONAL
    return LaneClass.BULK if recipients >= BULK_RECIPIENTS else LaneClass.COMMERCIAL


async def accept(database: Database, batch: Sequence[Placed], moment: Moment) -> list[Accepted | Refusal]:
    """One durable transaction over the batch; what lacks credit is refused, and fails nobody else.

    A Send from a long number that is not the account's is refused, and one that repeats another. Recipients that have
    opted out become skipped ones, as the outcome's command says; a Send of which none is left is refused.
    """
    outcomes: dict[int, Accepted | Refusal] = {
        place: Refusal("sender_refused") for place in await strangers(database, batch)
    }
    waiting = {place: placed for place, placed in enumerate(batch) if place not in outcomes}
    while waiting:
        try:
            stored = await _stored(database, waiting, outcomes, moment)
        except OptedOut as found:  # nothing was stored; each time there are fewer recipients
            keys = list(waiting)
            for at, places in found.places.items():
                left = without(waiting[keys[at]], places)
                if left.states:
                    waiting[keys[at]] = left
                else:
                    outcomes[keys[at]] = Refusal("recipients_unusable", skipped=left.send.skipped)
                    del waiting[keys[at]]
            continue
        for (key, placed), one in zip(waiting.items(), stored, strict=True):
            outcomes[key] = outcome(placed, one, moment)
        break
    return [outcomes[key] for key in range(len(batch))]


async def _stored(
    database: Database, waiting: dict[int, Placed], outcomes: dict[int, Accepted | Refusal], moment: Moment
) -> list[Stored]:
    """Stores what waits. A Send whose identifier the account has used within a day is refused and waits no more.

    Raises OptedOut, and then nothing is stored.
    """
    named = {
        key: (placed.send.account.id, placed.send.unique_identifier)
        for key, placed in waiting.items()
        if placed.send.unique_identifier
    }
    ended = any((placed.send.skipped or placed.send.sandbox) and _ended(placed) for placed in waiting.values())
    if not named and not ended:
        return await messages.accept(database, list(waiting.values()), moment.now, moment.secret)
    async with database.transaction(hot=True) as tx:
        free = await idempotency.take(tx, named.values(), moment.now)
        for key, pair in named.items():
            if pair in free:
                free.remove(pair)  # of two in one batch the first has it
            else:
                outcomes[key] = Refusal("repeated")
                del waiting[key]
        stored = await messages.accept_by(tx, list(waiting.values()), moment.now, moment.secret) if waiting else []
        refused = [key for key, one in zip(waiting, stored, strict=True) if one.submission_id is None]
        await idempotency.give_back(tx, [named[key] for key in refused if key in named])
        await _report_ends(tx, waiting.values(), stored, moment)
    return stored


def _ended(placed: Placed) -> list[End]:
    """What customers hear of at once, by place: that a sandbox message was delivered, where they want that; and who is
    skipped, where the answer to the request does not say it."""
    send = placed.send
    if not send.report_url or (send.sandbox and not send.account.settings.sandbox_reports):
        return []
    ends = [End(place, State.DELIVERED, None) for place in range(len(send.recipients))] if send.sandbox else []
    if send.report_skipped and placed.skipped_kept:
        ends += [
            End(place, State.SUPPRESSED if skipped.reason == "opted_out" else State.FAILED, skipped.reason)
            for place, skipped in enumerate(send.skipped, len(send.recipients))
        ]
    return ends


async def _report_ends(tx: Connection, batch: Iterable[Placed], stored: Sequence[Stored], moment: Moment) -> None:
    """Has customers told of what has ended already. That costs them nothing, so it must not pile up."""
    crowded: dict[int, bool] = {}
    for placed, one in zip(batch, stored, strict=True):
        if one.submission_id is None or not (ends := _ended(placed)):
            continue
        account_id = placed.send.account.id
        if account_id not in crowded:
            crowded[account_id] = await webhook_limits.is_crowded(tx, account_id, webhook_limits.FREE_MAX)
        if crowded[account_id]:
            await webhook_limits.give_up(tx, one.submission_id, ends, moment.now)
        else:
            host = host_of(account_id, placed.send.report_url, moment.secret)
            await webhooks.add(tx, host, one.submission_id, ends, moment.now)


def outcome(placed: Placed, stored: Stored, moment: Moment) -> Accepted | Refusal:
    """What the caller of one is told; pure."""
    send = placed.send
    if stored.submission_id is None:
        code = "credit_none" if stored.balance_micros <= 0 else "credit_short"
        return Refusal(code, needed_micros=placed.charge_micros, balance_micros=stored.balance_micros)
    ids: tuple[str, ...] = ()
    if send.public_ids:
        first = message_id(stored.submission_id, 0)
        ids = tuple(public_id(moment.secret, first + place) for place in range(len(send.recipients)))
    held = placed.reasons is not None and any(placed.reasons)
    return Accepted(stored.submission_id, send, stored.balance_micros, ids, held)


def without(placed: Placed, places: Set[int]) -> Placed:
    """The same without the recipients at these places, who have opted out; they are skipped and cost nothing. Pure."""
    send = placed.send
    gone = [send.recipients[place] for place in sorted(places)]
    left = [place for place in range(len(send.recipients)) if place not in places]
    fewer = msgspec.structs.replace(
        send,
        recipients=tuple(send.recipients[place] for place in left),
        skipped=send.skipped + tuple(Skipped(r.written or r.number, "opted_out", r.number) for r in gone),
    )
    return msgspec.structs.replace(
        placed,
        send=fewer,
        charge_micros=fewer.cost_micros if placed.charge_micros else 0,
        states=tuple(placed.states[place] for place in left),
        lanes=tuple(placed.lanes[place] for place in left),
        keys=tuple(placed.keys[place] for place in left),
        reasons=None if placed.reasons is None else tuple(placed.reasons[place] for place in left),
    )
