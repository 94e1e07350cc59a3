"""Webhooks that wait to be told: claimed by host, ended or put off in batches. One process at a time tells them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from chappe.core.lifecycle import FINAL, State
from chappe.core.model import Reply, message_id
from chappe.store import replies
from chappe.store.database import Connection, Database
from chappe.store.messages import key_of, numbers, texts
from chappe.store.queue_head import Looks
from chappe.store.webhook_claims import Shares, rows_of


class Pending(msgspec.Struct, frozen=True):
    """A webhook with all that its words need. message_state is the message's state now, state what is to be told.

    price_micros: less what came back. One that tells a reply has the reply's id, negative, as message_id, the reply
    itself, and as talk a number below zero that it shares with those that it must not overtake.
    """

    host: int
    key: int
    id: int
    message_id: int
    at: datetime
    state: int
    attempts: int
    reason: str | None
    recipient: str
    price_micros: int
    message_state: int
    dialect: str
    target: str
    tag: str
    client_reference: str
    flags: int
    talk: int
    reply: Reply | None = None

    @property
    def turn(self) -> int:
        """Those with the same number are told one after the other: news of one message, replies of one subscriber."""
        return self.talk or self.message_id


class Told(msgspec.Struct, frozen=True):
    """One attempt and what follows: again_key is when it is due again, 0 when it has ended.

    outcome: PUT_OFF when there was no attempt, since an earlier one of the same turn is due again then.
    """

    pending: Pending
    at: datetime
    status: int
    took_ms: int
    outcome: str
    again_key: int = 0


PUT_OFF = "put off"
_MAY_GIVE_BACK = FINAL - {State.DELIVERED}  # that it costs what was charged is not looked up for what arrived


class End(NamedTuple):
    """A message that had ended when it was accepted: its place in its submission, how, and why."""

    place: int
    state: State
    reason: str | None


async def add(connection: Connection, host: int, submission_id: int, ends: Sequence[End], at: datetime) -> None:
    """Has a host told of these ends; later ones are told where they are recorded."""
    await connection.execute(
        """insert into webhook (host, key, id, message_id, at, state, reason)
           select $1, $3, nextval('webhook_number'), e.id, $4, e.state, e.reason
           from unnest($2::text::bigint[], $5::text::smallint[], $6::text::text[]) as e(id, state, reason)""",
        host,
        numbers([message_id(submission_id, end.place) for end in ends]),
        key_of(at),
        at,
        numbers([end.state for end in ends]),
        texts([end.reason for end in ends]),
    )


async def claim(
    connection: Connection,
    now_key: int,
    in_hand: Sequence[int],
    per_host: int,
    full_hosts: Sequence[int],
    limit: int,
    looks: Looks | None = None,
    shares: Shares | None = None,
) -> list[Pending]:
    """What is due: at most per_host of each host, but for those that have enough in hand, and limit in all.

    looks: kept from claim to claim, by whoever has in hand what they gave; None: each looks everywhere. shares: what
    accounts and hosts may get, instead of per_host of each.
    """
    if limit <= 0:
        return []
    shares = shares or Shares(lambda _: limit, lambda _: per_host)
    rows = await rows_of(connection, now_key, in_hand, full_hosts, limit, shares, looks or Looks())
    found = [Pending(*row) for row in rows]
    return await _with_words(connection, await _in_turn(connection, found))


# The one before it of the same talk and host, and when that one is due.
_BEFORE = """
select g.id, before.key
from unnest($1::text::bigint[], $2::text::bigint[], $3::text::bigint[]) as g(id, host, talk)
cross join lateral (
    select q.key from webhook q where q.talk = g.talk and q.id < g.id and q.host = g.host order by q.id desc limit 1
) before
"""


async def _in_turn(connection: Connection, found: Sequence[Pending]) -> list[Pending]:
    """The same without the replies that follow one which is due later, since its call failed: they are due with it."""
    talking = [one for one in found if one.talk]
    if not talking:
        return list(found)
    rows = await connection.fetch(
        _BEFORE,
        numbers([one.id for one in talking]),
        numbers([one.host for one in talking]),
        numbers([one.talk for one in talking]),
    )
    before = {row["id"]: row["key"] for row in rows}
    waits: dict[tuple[int, int], int] = {}  # by host and talk: the first of them that waits, the others wait as well
    late: list[Told] = []
    in_turn: list[Pending] = []
    for one in found:
        key = waits.get((one.host, one.talk), before.get(one.id, one.key)) if one.talk else one.key
        if key <= one.key:
            in_turn.append(one)
            continue
        waits[one.host, one.talk] = key
        late.append(Told(one, one.at, 0, 0, PUT_OFF, key))
    await _put_off(connection, late)
    return in_turn


async def _with_words(connection: Connection, pending: list[Pending]) -> list[Pending]:
    """The same with the replies that they tell of, and less what came back."""
    wanted = [-one.message_id for one in pending if one.message_id < 0]
    if wanted:
        found = await replies.by_id(connection, wanted)
        pending = [replace(one, reply=found.get(-one.message_id)) if one.message_id < 0 else one for one in pending]
    ended = [one.message_id for one in pending if one.state in _MAY_GIVE_BACK and one.price_micros]
    if ended:
        back = await _given_back(connection, ended)
        pending = [
            replace(one, price_micros=one.price_micros - back[one.message_id]) if one.message_id in back else one
            for one in pending
        ]
    return pending


async def _given_back(connection: Connection, message_ids: Sequence[int]) -> dict[int, int]:
    """What came back for those of these messages for which something did, in micro-euros."""
    rows = await connection.fetch(
        "select reason, amount_micros from ledger_entry where kind = 2 and reason = any ($1::text::bigint[])",
        numbers(message_ids),
    )
    return {row["reason"]: row["amount_micros"] for row in rows}


# By keys, one after the other, whatever statistics say: of a table that is empty but for rows that are gone the planner
# thinks that reading all of it is cheap.
END = """
with given as (
    select * from unnest($1::text::bigint[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[],
                         $5::text::bigint[], $6::text::smallint[], $7::text::smallint[],
                         $8::text::int[], $9::text::text[], $10::text::bigint[])
           as g(host, key, id, message_id, again_key, state, status, took_ms, outcome, at_key)
), gone as (
    delete from webhook w where w.ctid = any (array(
        select q.ctid from given g cross join lateral (
            select ctid from webhook q where q.host = g.host and q.key = g.key and q.id = g.id limit 1) q))
    returning w.id
), again as (
    insert into webhook (host, key, id, message_id, at, state, attempts, reason, talk)
    select g.host, g.again_key, g.id, w.message_id, w.at, w.state, w.attempts + 1, w.reason, w.talk
    from given g cross join lateral (
        select * from webhook q where q.host = g.host and q.key = g.key and q.id = g.id limit 1) w
    where g.again_key <> 0 and g.id in (select id from gone)
)
insert into webhook_attempt (webhook_id, message_id, at, state, status, took_ms, outcome)
select id, message_id, timestamptz 'epoch' + at_key * interval '1 microsecond', state, status, took_ms, outcome
from given
"""


_PUT_OFF = """
update webhook w set key = g.again_key
from unnest($1::text::bigint[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[])
     as g(host, key, id, again_key)
where w.host = g.host and w.key = g.key and w.id = g.id
"""


async def _put_off(connection: Connection, late: Sequence[Told]) -> None:
    if late:
        await connection.execute(
            _PUT_OFF,
            numbers([t.pending.host for t in late]),
            numbers([t.pending.key for t in late]),
            numbers([t.pending.id for t in late]),
            numbers([t.again_key for t in late]),
        )


async def end(connection: Connection, given: Sequence[Told]) -> None:
    """Records attempts, and removes what has ended or puts it off. What follows another one is put off first: a process
    that dies in between leaves it behind."""
    await _put_off(connection, [t for t in given if t.outcome == PUT_OFF])
    told = [t for t in given if t.outcome != PUT_OFF]
    if not told:
        return
    await connection.execute(
        END,
        numbers([t.pending.host for t in told]),
        numbers([t.pending.key for t in told]),
        numbers([t.pending.id for t in told]),
        numbers([t.pending.message_id for t in told]),
        numbers([t.again_key for t in told]),
        numbers([t.pending.state for t in told]),
        numbers([t.status for t in told]),
        numbers([t.took_ms for t in told]),
        texts([t.outcome for t in told]),
        numbers([key_of(t.at) for t in told]),
    )


async def take_lease(database: Database, name: str, owner: str, lease_s: float) -> bool:
    """Takes or renews a lease by name; False while another holds it."""
    return bool(
        await database.value(
            """insert into lease (name, owner, token, expires_at)
               values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
               on conflict (name) do update
                   set owner = excluded.owner, expires_at = excluded.expires_at,
                       token = lease.token + (lease.owner <> excluded.owner)::int
                   where lease.owner = excluded.owner or lease.expires_at < clock_timestamp()
               returning true""",
            name,
            owner,
            lease_s,
        )
    )


async def drop_lease(database: Database, name: str, owner: str) -> None:
    await database.execute("update lease set expires_at = '-infinity' where name = $1 and owner = $2", name, owner)


async def holder(database: Database, name: str) -> str:
    """Who holds a lease that is not over; empty when nobody does."""
    return (
        await database.value("select owner from lease where name = $1 and expires_at >= clock_timestamp()", name) or ""
    )
