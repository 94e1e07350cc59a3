"""What must hold of one message's row between any two steps: it is in one place, and its money is right."""

from __future__ import annotations

from typing import Any

from chappe.core.lifecycle import State

FINAL = {6, 7, 8, 9, 11, 12, 13, 14}


def in_one_place(row: Any) -> None:
    """A message that has not ended is in exactly one place."""
    state = State(row["state"])
    about = {name: row[name] for name in ("id", "state", "queued", "flying", "taken", "parts", "unsure")}
    if row["state"] in FINAL:
        return
    at_carrier = not row["queued"] and not row["flying"] and row["taken"] >= row["parts"] and state != State.UNCERTAIN
    held_in_doubt = state == State.UNCERTAIN and not row["queued"] and not row["flying"]
    if held_in_doubt:
        assert row["unsure"] == 1, about
    assert row["queued"] + row["flying"] + at_carrier + held_in_doubt == 1, about


def pays_right(row: Any) -> None:
    """What came back is what the state gives back, and never more than was paid."""
    about = {name: row[name] for name in ("id", "state", "parts", "price_micros", "refund", "charge", "taken")}
    each = row["price_micros"] // row["parts"]
    assert 0 <= row["refund"] <= row["price_micros"], about
    if row["charge"]:
        assert -row["charge"] == row["cost_micros"], about
    gives_back = State(row["state"]) in (State.REJECTED, State.SUPPRESSED, State.CANCELLED, State.FAILED)
    if not gives_back:
        assert row["refund"] == 0, about
    elif row["price_micros"]:
        assert row["refund"] % each == 0, about
        if not row["taken"]:
            assert row["refund"] == row["price_micros"], about
