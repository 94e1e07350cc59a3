"""Placing anew what waits: what is held, when a sending window is another than before; what has no route, when one is.

An account changed its profile, or the operator a profile's rules: what is held under the old ones leaves earlier, or
later. What its customer has scheduled is not touched: the window is asked when its time has come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from chappe.core.lifecycle import State
from chappe.core.window_profiles import DEFAULT, Profile
from chappe.observability.logs import get_logger
from chappe.store import window_changes
from chappe.store.database import Database
from chappe.store.lanes import LaneClass, lane
from chappe.store.messages import key_of
from chappe.store.window_changes import Change, Held, Moved

if TYPE_CHECKING:
    from chappe.actions.windows import Windows

log = get_logger("chappe.placing")

BATCH: Final = 1000
ROUNDS_MAX: Final = 25
"""Batches a step: other tasks of upkeep wait meanwhile."""
BEGINNING: Final = (-1, -1)
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


@dataclass(slots=True)
class Walk:
    """One walk through what waits, for accounts whose window has changed; after: how far it came in the first lane."""

    began_at: datetime
    changes: tuple[Change, ...]
    lanes: list[int]
    after: tuple[int, int] = BEGINNING

    @property
    def over(self) -> bool:
        return not self.lanes


async def begin(database: Database, now: datetime, windows: Windows) -> Walk | None:
    """A walk for the changes that nobody has followed yet; None without any."""
    changes = await window_changes.pending(database)
    if not changes:
        return None
    await windows.refresh(database)
    return Walk(now, tuple(changes), await window_changes.lanes(database))


async def step(
    database: Database, now: datetime, windows: Windows, walk: Walk, more: Callable[[], bool] = lambda: True
) -> bool:
    """Places anew the next of what is held, a bounded number; True when some of it may leave now. more: whether another
    batch may begin.

    At the end of the walk a change that is young stays to be walked for once more: whoever had not heard of it yet
    still held by the old one.
    """
    account_ids = {change.account_id for change in walk.changes}
    earlier = 0
    for _ in range(ROUNDS_MAX):
        if walk.over or not more():
            break
        async with database.transaction(hot=True) as tx:
            edge = await window_changes.edge(tx, walk.lanes[0], walk.after, BATCH)
            if edge is not None:
                found = await window_changes.held(tx, walk.lanes[0], walk.after, edge, account_ids)
                rows = [row for one in found if (row := placed(one, windows, now)) is not None]
                if rows:
                    moved = await window_changes.move(tx, now, rows)
                    log.info("held_messages_placed_anew", messages=moved)
                earlier += sum(row.key <= key_of(now) for row in rows)
        if edge is None:
            walk.lanes.pop(0)
        walk.after = edge or BEGINNING
    if walk.over:
        known = [change.id for change in walk.changes if change.at < walk.began_at - AGAIN_AFTER]
        await window_changes.done(database, known)
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


async def wake_routeless(database: Database, now: datetime, more: Callable[[], bool] = lambda: True) -> bool:
    """Makes due now what waits for a route: there are other routes than before. A bounded number; True when all is."""
    lane_ = lane(0, LaneClass.WAITING)
    after = (key_of(now), window_changes.KEY_MAX)
    for _ in range(ROUNDS_MAX):
        if not more():
            break
        async with database.transaction(hot=True) as tx:
            edge = await window_changes.edge(tx, lane_, after, BATCH, key_of(now + ROUTE_AGAIN))
            if edge is None:
                return True
            await window_changes.wake_routeless(tx, key_of(now), after, edge)
        after = edge
    return False
