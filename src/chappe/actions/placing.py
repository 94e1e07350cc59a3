"""Placing anew what waits: what is held, when a sending window is another than before; what has no route, when one is.

An account changed its profile, or the operator a profile's rules: what is held under the old ones leaves earlier, or
later. What its customer has scheduled is not touched: the window is asked when its time has come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from chappe.core.lifecycle import State
from chappe.core.window_profiles import DEFAULT, Profile
from chappe.store import window_changes
from chappe.store.database import Database
from chappe.store.messages import LaneClass, key_of, lane
from chappe.store.window_changes import Held, Moved

if TYPE_CHECKING:
    from chappe.actions.windows import Windows

log = structlog.get_logger("chappe.placing")

BATCH: Final = 1000
ROUTE_AGAIN: Final = timedelta(minutes=5)
"""When what has no route is looked at again, although no route was changed."""
AGAIN_AFTER: Final = timedelta(seconds=5)
"""How long others may go on with the profile of before: what they place meanwhile is placed anew as well."""
_INFORMS: Final = ("name", "version", "source", "valid_from")  # of a profile: these decide nothing


def fingerprint(profile: Profile) -> str:
    """What a profile decides, as a short text that is the same for the same rules."""
    rules = {name: value for name, value in msgspec.to_builtins(profile).items() if name not in _INFORMS}
    return hashlib.sha256(msgspec.json.encode(rules, order="deterministic")).hexdigest()[:32]


async def follow_profiles(database: Database, profiles: Mapping[str, Profile]) -> None:
    """Notes whose window has other rules since this was asked last: another configuration, or another Chappe."""
    await window_changes.follow_profiles(database, {name: fingerprint(p) for name, p in profiles.items()}, DEFAULT)


async def place_held(database: Database, now: datetime, windows: Windows) -> bool:
    """Places anew what accounts hold whose window has changed; True when something may leave now.

    A change that is young is looked at once more: whoever has not heard of it yet still holds by the old one.
    """
    changes = await window_changes.pending(database)
    if not changes:
        return False
    await windows.refresh(database)
    account_ids = {change.account_id for change in changes}
    earlier = moved = 0
    for lane_ in await window_changes.lanes(database):
        after = (-1, -1)
        while True:
            async with database.transaction(hot=True) as tx:
                edge = await window_changes.edge(tx, lane_, after, BATCH)
                if edge is None:
                    break
                found = await window_changes.held(tx, lane_, after, edge, account_ids)
                rows = [row for one in found if (row := placed(one, windows, now)) is not None]
                if rows:
                    moved += await window_changes.move(tx, now, rows)
                    earlier += sum(row.key <= key_of(now) for row in rows)
            after = edge
    await window_changes.done(database, [change.id for change in changes if change.at < now - AGAIN_AFTER])
    if moved:
        log.info("held_messages_placed_anew", accounts=len(account_ids), messages=moved, may_leave=earlier)
    return earlier > 0


def placed(held: Held, windows: Windows, now: datetime) -> Moved | None:
    """The new place of a message that is held, None where it is the old one; pure."""
    wanted = now if held.scheduled_at is None else max(now, held.scheduled_at)
    verdict = windows.check(held.account_id, held.flags, held.recipient, held.sender, wanted)
    name = windows.name_of(held.account_id)
    before = f"held before: {held.reason or 'window'}, until {at_key(held.key)}"
    if verdict is None or verdict.allowed:
        due = key_of(wanted)
        if due >= held.key:  # it leaves in this very moment anyway
            return None
        if wanted is now:
            return Moved(held, due, State.HELD, held.reason, f"may leave now, by {name}; {before}")
        return Moved(held, due, State.SCHEDULED, None, f"may leave at {at_key(due)}, by {name}; {before}")
    due = key_of(verdict.next_at or now + timedelta(days=1))  # it never opens: asked every day, as when it leaves
    if due == held.key or (verdict.next_at is None and held.key > key_of(now)):
        return None
    detail = f"{verdict.reason} by {name}, until {at_key(due)}; {before}"
    return Moved(held, due, State.HELD, verdict.reason, detail)


def at_key(key: int) -> str:
    """When a place of a waiting lane is due, as timelines write it."""
    return f"{datetime.fromtimestamp(key / 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


async def wake_routeless(database: Database, now: datetime) -> None:
    """Makes due now what waits for a route: there are other routes than before."""
    lane_ = lane(0, LaneClass.WAITING)
    after = (key_of(now), window_changes.KEY_MAX)
    while True:
        async with database.transaction(hot=True) as tx:
            edge = await window_changes.edge(tx, lane_, after, BATCH, key_of(now + ROUTE_AGAIN))
            if edge is None:
                return
            await window_changes.wake_routeless(tx, key_of(now), after, edge)
        after = edge
