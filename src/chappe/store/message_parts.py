"""The parts of long messages, where they are not what was expected: answered late, or cut otherwise than priced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chappe.store.bind_turn import Turn
from chappe.store.database import Connection
from chappe.store.messages import REFUND_ARRAY, numbers, texts
from chappe.store.outcomes import resolve_doubt


class PartLate(msgspec.Struct, frozen=True):
    """A part of a message in doubt that the carrier has after all. parts: of how many."""

    message_id: int
    part: int
    parts: int


async def note_parts(connection: Connection, now: datetime, carrier_id: int, rows: Sequence[PartLate]) -> None:
    """These parts need not go to this carrier again; of a message whose parts it has all, the doubt is over."""
    whole = await connection.fetch(
        """with known as (
               select message_id, bit_or(1 << part) as bits, max(parts) as parts
               from unnest($2::text::bigint[], $3::text::int[], $4::text::int[]) as p(message_id, part, parts)
               group by message_id
           ), queued as (
               update outbox o set parts_done = o.parts_done | k.bits
               from known k cross join lateral (select lane, key from message where id = k.message_id limit 1) m
               where o.lane = m.lane and o.key = m.key and o.message_id = k.message_id and o.lane / 8 = $1
               returning o.message_id, o.parts_done
           ), listed as (
               update uncertain u set parts_done = u.parts_done | k.bits from known k
               where u.message_id = k.message_id and u.carrier_id = $1
               returning u.message_id, u.parts_done
           )
           select k.message_id from known k
           cross join lateral (select bit_or(parts_done) as bits
                               from (table queued union all table listed) t where t.message_id = k.message_id) t
           where bit_count(t.bits::bit(32)) >= k.parts""",
        carrier_id,
        numbers([row.message_id for row in rows]),
        numbers([row.part for row in rows]),
        numbers([row.parts for row in rows]),
    )
    if whole:
        await resolve_doubt(connection, now, [row["message_id"] for row in whole])


class Cut(msgspec.Struct, frozen=True):
    """Of how many parts a carrier's alphabet makes a long message, where that is not what it was priced as."""

    message_id: int
    parts: int


async def note_cuts(connection: Connection, rows: Sequence[Cut]) -> None:
    """So many parts' receipts are waited for."""
    await connection.execute(
        """update message m set parts_sent = c.parts
           from unnest($1::text::bigint[], $2::text::smallint[]) as c(id, parts)
           where m.id = c.id and m.parts_sent is distinct from c.parts""",
        numbers([row.message_id for row in rows]),
        numbers([row.parts for row in rows]),
    )


async def share(connection: Connection, now: datetime, carrier_id: int, policy: int, news: Turn) -> None:
    """Parts that a carrier gave no id of their own have the receipts of the others; after the turn's own writing."""
    await connection.execute(
        """select share_parts($1, $2, $3, $4::text::smallint[], $5::text::bigint[], $6::text::smallint[],
           $7::text::text[])""",
        carrier_id,
        now,
        policy,
        REFUND_ARRAY,
        numbers(news.s_message),
        numbers(news.s_part),
        texts(news.s_ref),
    )
