"""What a bind's last owner left in flight is in doubt: policy decides, before anything new is sent over the bind, or
also where nothing ever will be."""

from __future__ import annotations

from datetime import UTC, datetime

from chappe.observability.logs import get_logger
from chappe.store import bind_turn, outcomes
from chappe.store.bind_turn import Turn
from chappe.store.binds import BindKey, Taken
from chappe.store.database import Database
from chappe.workers.in_flight import Rules, doubtful

log = get_logger("chappe.deliver")


async def recover(database: Database, bind: BindKey, taken: Taken, rules: Rules, policy: int, name: str) -> None:
    """Decides about all that was left in flight; afterwards the bind holds nothing. Raises LeaseLost, and then nothing
    is recorded."""
    if not taken.in_flight:
        return
    log.warning("bind_left_in_doubt", carrier=name, messages=len(taken.in_flight))
    now = datetime.now(UTC)
    why = "the process that sent it ended before the answer"
    async with database.transaction() as tx:
        left = await outcomes.left_in_flight(tx, bind.carrier_id, taken.in_flight)
        doubts = [doubtful(one.message_id, one.flags, one.doubts, one.parts_done, why, now, now, rules) for one in left]
        await outcomes.doubt(tx, now, bind.carrier_id, doubts)
        await bind_turn.turn(tx, bind, taken.token, now, policy, Turn(), [], [], 0)
