"""What a carrier's service tells us over HTTP: stored as it came, then answered.

The service hears yes only after the commit; what it says again because it missed our answer is known by its id. A call
that holds nothing which can be read is kept for the operator and answered with yes all the same: the service would
repeat it for days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from chappe.carriers import MessageIn, ReceiptIn
from chappe.carriers.calls import Calls, NamedReply
from chappe.carriers.registry import policy_of
from chappe.core.carrier_config import Carrier
from chappe.core.lifecycle import State
from chappe.observability.logs import get_logger
from chappe.observability.metrics import metrics
from chappe.store import carrier_calls, inbound, quarantine
from chappe.store.database import Database

log = get_logger("chappe.receive")

RECEIPT: Final = "receipt"
REPLY: Final = "reply"
KEPT_BYTES_MAX: Final = 65_536


async def receive(database: Database, carrier: Carrier, calls: Calls, what: str, raw: bytes) -> bool:
    """Stores what a call says; True when receipts came, after which webhooks may wait. what: RECEIPT or REPLY; raw: of
    calls. Raises what the database raises: then nothing is stored."""
    if what == RECEIPT:
        receipts = calls.receipts(raw)
        if receipts:
            await _settle(database, carrier, receipts)
            return True
    else:
        replies = calls.replies(raw)
        if replies:
            await _keep(database, carrier, replies)
            return False
    if raw:
        log.warning("carrier_call_unreadable", carrier=carrier.name, what=what)
        metrics().count("chappe_quarantined_total", carrier=carrier.name, kind=what)
        now = datetime.now(UTC)
        await quarantine.keep(database, now, carrier.id, what, [], "unreadable", raw[:KEPT_BYTES_MAX])
    return False


async def _settle(database: Database, carrier: Carrier, receipts: Sequence[ReceiptIn]) -> None:
    policy = policy_of(carrier).receipts
    left = list(receipts)
    async with database.transaction(hot=True) as tx:
        while left:  # one of each id at a time: a batch moves a message once
            first: dict[str, ReceiptIn] = {}
            rest = [receipt for receipt in left if first.setdefault(receipt.carrier_ref, receipt) is not receipt]
            await carrier_calls.settle_receipts(tx, datetime.now(UTC), carrier.id, policy, list(first.values()))
            left = rest
    for state, number in Counter(receipt.state for receipt in receipts).items():
        word = State(state).word if state is not None else "other"
        metrics().count("chappe_receipts_total", number, carrier=carrier.name, state=word)
    for oddity in [oddity for receipt in receipts for oddity in receipt.oddities]:
        metrics().count("chappe_receipt_oddities_total", carrier=carrier.name, oddity=oddity)


async def _keep(database: Database, carrier: Carrier, replies: Sequence[NamedReply]) -> None:
    by_source: dict[str, list[NamedReply]] = {}
    for reply in replies:
        by_source.setdefault(reply.message.source, []).append(reply)
    stored_ids: list[int] = []
    async with database.transaction(hot=True) as tx:
        for source in sorted(by_source):  # always in this order, since each is locked
            named = [reply.message.key for reply in by_source[source] if reply.named]
            known = await carrier_calls.known_keys(tx, carrier.id, source, named) if named else set()
            new: list[MessageIn] = [one.message for one in by_source[source] if one.message.key not in known]
            if new:
                stored_ids += await inbound.store_inbound(tx, carrier.id, new, [datetime.now(UTC)] * len(new))
    if stored_ids:
        metrics().count("chappe_inbound_total", len(stored_ids), carrier=carrier.name)
        await inbound.note_answers(database, datetime.now(UTC), stored_ids)
