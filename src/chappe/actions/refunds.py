"""Money back: which final states give it, as the operator wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from chappe.core.lifecycle import State
from chappe.core.pricing import REFUNDS
from chappe.store import refunds as store
from chappe.store.database import Database

_WORDS = {"yes": True, "no": False}


class RuleError(ValueError):
    """What was written is no rule; the message is one sentence."""


class Rule(msgspec.Struct, frozen=True):
    """Whether a final state gives money back; usual: whether it does unless the operator says otherwise."""

    state: str
    refunds: bool
    usual: bool


def read(assignments: Sequence[str]) -> dict[State, bool]:
    """`STATE=yes` and `STATE=no`. Raises RuleError."""
    wanted = {}
    states = {state.word: state for state in REFUNDS}
    for written in assignments:
        name, _, value = written.partition("=")
        if name.strip().lower() not in states:
            raise RuleError(f"{name[:40]!r} is no final state: {', '.join(sorted(states))}")
        if value.strip().lower() not in _WORDS:
            raise RuleError(f"{written[:60]!r}: expected {name[:40]}=yes or {name[:40]}=no")
        wanted[states[name.strip().lower()]] = _WORDS[value.strip().lower()]
    return wanted


async def rules(database: Database) -> list[Rule]:
    """Every final state."""
    return _shown(await store.states(database))


async def change(database: Database, wanted: Mapping[State, bool]) -> list[Rule]:
    """Changes some of the states for messages that end from now on; gives all. A message gives its money back once."""
    async with database.transaction() as tx:
        own = await store.for_update(tx)
        now = {state: state in own if own is not None else usual for state, usual in REFUNDS.items()}
        now.update(wanted)
        chosen = sorted(state for state, back in now.items() if back)
        await store.save(tx, None if now == dict(REFUNDS) else chosen)
    return await rules(database)


def _shown(own: list[int] | None) -> list[Rule]:
    return [
        Rule(state.word, usual if own is None else state in own, usual)
        for state, usual in sorted(REFUNDS.items(), key=lambda entry: entry[0])
    ]
