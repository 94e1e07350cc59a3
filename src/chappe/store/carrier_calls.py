"""What carriers tell by calling us: receipts and replies that come over no bind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chappe.store.database import Connection
from chappe.store.messages import REFUND_ARRAY, numbers, texts


async def settle_receipts(tx: Connection, now: datetime, carrier_id: int, policy: int, receipts: Sequence[Any]) -> None:
    """Stores receipts (carriers.ReceiptIn) and moves their messages; at most one of each id. policy: as apply_receipts
    numbers it."""
    await tx.execute(
        """select settle_receipts($1, $2, $3, $4::text::smallint[], $5::text::text[], $6::text::text[],
                                  $7::text::smallint[], $8::text::text[], $9::text::text[], $10, $11::text::text[],
                                  $12::text::text[], $13::text::text[])""",
        carrier_id,
        now,
        policy,
        REFUND_ARRAY,
        texts([receipt.carrier_ref for receipt in receipts]),
        texts([receipt.source for receipt in receipts]),
        numbers([receipt.state for receipt in receipts]),
        texts([receipt.word for receipt in receipts]),
        texts([receipt.error for receipt in receipts]),
        [receipt.raw for receipt in receipts],
        texts([receipt.other for receipt in receipts]),
        texts([receipt.reason for receipt in receipts]),
        texts([",".join(receipt.oddities) for receipt in receipts]),
    )


async def known_keys(tx: Connection, carrier_id: int, source: str, keys: Sequence[bytes]) -> set[bytes]:
    """Those of the keys under which something of this number is stored already. Nobody else stores one of them before
    the transaction ends."""
    await tx.execute("select pg_advisory_xact_lock($1, hashtext($2))", carrier_id, source)
    rows = await tx.fetch(
        """select key from (select * from inbound where source = $1 order by source desc, id desc limit $2) i
           where carrier_id = $3 and key = any ($4::bytea[])""",
        source,
        LOOKED_THROUGH,
        carrier_id,
        list(keys),
    )
    return {row["key"] for row in rows}


LOOKED_THROUGH = 1_000
"""Among how many of the last messages of a number one that came before is looked for."""
