"""The SQL files: numbered migrations of the tables, and each function once.

`migrations/NNNN_name.sql` change tables, forward only. `functions/NAME.sql` holds the function NAME, headed by its
contract, with its triggers if it has any; it can be run again at any time (`create or replace`). store/migrate.py
applies both.

Files and statements name states, flags and lane classes as `@name@`; `fill_in` puts in the numbers, from the
enumerations of the code. So `state in (@ended@)` follows the life-cycle table (core/lifecycle.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from chappe.core import lifecycle
from chappe.core.lifecycle import Event, State
from chappe.store.flags import Flag
from chappe.store.lanes import LaneClass

_NAME = re.compile(r"@([a-z_]+)@")


def _numbers(states: Iterable[State]) -> str:
    return ", ".join(str(int(state)) for state in sorted(states))


def _settled() -> frozenset[State]:
    """The states that have ended and that no receipt moves, unless it says `delivered`."""
    return frozenset(state for state in lifecycle.FINAL if lifecycle.move(state, Event.UNDELIVER) is None)


def _values() -> Mapping[str, str]:
    settled = _settled()
    delivered = lifecycle.sources(Event.DELIVER, State.DELIVERED)
    cancellable = lifecycle.sources(Event.CANCEL, State.CANCELLED)
    return {
        **{state.word: str(int(state)) for state in State},
        **{name.lower(): str(value) for name, value in vars(Flag).items() if not name.startswith("_")},
        **{f"{lane_class.name.lower()}_class": str(int(lane_class)) for lane_class in LaneClass},
        "ended": _numbers(lifecycle.FINAL),
        "settled": _numbers(settled),
        "overruled_by_delivered": _numbers(settled & delivered),
        "cancellable": _numbers(cancellable),
        "may_have_left": _numbers((State.QUEUED, State.SUBMITTING, State.SUBMITTED, State.UNCERTAIN)),
        "not_ended": _numbers(frozenset(State) - lifecycle.FINAL),
    }


VALUES: Mapping[str, str] = _values()
"""What may stand between the signs: states, flags and lane classes by their names in lower case, and sets of states."""


@cache
def fill_in(sql: str) -> str:
    """Give the statement with numbers in place of names such as `@delivered@`; raises KeyError for an unknown name."""
    return _NAME.sub(lambda match: VALUES[match[1]], sql)
