"""Binds: who drives them, what they hold, and their turns.

A bind is driven by whoever has its row's newest token and an unexpired lease; the database's clock decides. What a bind
has claimed and not yet accounted for stands in its row, as ids: after a crash that is what is in doubt.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from chappe.store.database import LEASE_LOST, Connection, Database, LockHeld
from chappe.store.messages import REFUND_STATES, key_of, numbers, texts
from chappe.store.queue_head import KEY_MIN, Looks
from chappe.store.timeline import BY_ANY_WAY, BY_RANGE


class LeaseLost(Exception):
    """Another process drives this bind now; nothing was recorded."""


class BindKey(msgspec.Struct, frozen=True):
    carrier_id: int
    slot: int


class Taken(msgspec.Struct, frozen=True):
    """A lease of ours: its token, and the messages that the owner before left in flight."""

    token: int
    in_flight: tuple[int, ...]


class BindView(msgspec.Struct, frozen=True):
    """What the operator sees of one bind."""

    carrier_id: int
    slot: int
    owner: str
    state: str
    detail: str
    state_at: datetime
    alive: bool
    in_flight: int
    figures: dict[str, float]


async def free(database: Database, owner: str) -> list[BindKey]:
    """The binds whose lease is over or ours without our knowing (a process of the same name restarted)."""
    rows = await database.fetch(
        """select b.carrier_id, b.slot from bind b join carrier c on c.id = b.carrier_id
           where c.enabled and (b.expires_at < clock_timestamp() or b.owner = $1) order by 1, 2""",
        owner,
    )
    return [BindKey(row["carrier_id"], row["slot"]) for row in rows]


async def left(database: Database) -> list[BindKey]:
    """The binds that nobody has and that hold messages, also of carriers that are out of use or gone."""
    rows = await database.fetch(
        "select carrier_id, slot from bind where in_flight <> '{}' and expires_at < clock_timestamp() order by 1, 2"
    )
    return [BindKey(row["carrier_id"], row["slot"]) for row in rows]


async def owners(database: Database) -> list[str]:
    """Those who hold unexpired leases."""
    rows = await database.fetch("select distinct owner from bind where expires_at >= clock_timestamp() and owner <> ''")
    return [row["owner"] for row in rows]


async def expire(database: Database, owner: str) -> None:
    """Ends the leases of a process that is known to be dead."""
    await database.execute(
        """update bind set expires_at = '-infinity', state = 'down', detail = 'the process that had it has ended',
                  state_at = now() where owner = $1""",
        owner,
    )
    await database.execute("update lease set expires_at = '-infinity' where owner = $1", owner)


PLAUSIBLE_S = 60.0
"""No lease is taken for so long: one that seems to last longer was taken before the database's clock was set back."""

REST_S_MAX = 660.0
"""No bind rests with nobody for so long: ten minutes are the most that a carrier can ask for."""

SHORTENED_S = 12.0  # its owner, if there is one, renews it long before


async def shorten(database: Database) -> None:
    """Lets leases end soon that a clock set back would keep alive for hours after their owners."""
    await database.execute(
        """with binds as (
               update bind set expires_at = clock_timestamp() + make_interval(secs => $1)
               where expires_at > clock_timestamp()
                                  + make_interval(secs => case owner when '' then $3::float else $2::float end))
           update lease set expires_at = clock_timestamp() + make_interval(secs => $1)
           where expires_at > clock_timestamp() + make_interval(secs => $2)""",
        SHORTENED_S,
        PLAUSIBLE_S,
        REST_S_MAX,
    )


async def take(database: Database, bind: BindKey, owner: str, lease_s: float) -> Taken | None:
    """Takes a free bind; None when somebody else was quicker."""
    rows = await database.fetch(
        """update bind set owner = $3, token = token + 1, expires_at = clock_timestamp() + make_interval(secs => $4),
                  state = 'down', detail = '', state_at = now()
           where carrier_id = $1 and slot = $2 and (expires_at < clock_timestamp() or owner = $3)
           returning token, in_flight""",
        bind.carrier_id,
        bind.slot,
        owner,
        lease_s,
    )
    return Taken(rows[0]["token"], tuple(rows[0]["in_flight"])) if rows else None


class Lease(msgspec.Struct, frozen=True):
    """What is told with the renewal of one bind's lease: how its link is."""

    bind: BindKey
    token: int
    state: str
    detail: str
    figures: dict[str, float]


class Renewed(msgspec.Struct, frozen=True):
    """What came of a renewal. lost: another process has the bind; busy: its row was locked, so nothing is known."""

    renewed: list[Lease]
    lost: list[Lease]
    busy: list[Lease]


# A row that is locked is passed over: one that nobody lets go of must not let all leases lapse. What is tried again and
# again has been away since it was first, and for the reason that was told last.
_AWAY = "'{down,connecting,refused}'::text[]"
_RENEW = """
with asked as (
    select * from unnest($1::text::int[], $2::text::int[], $3::text::bigint[], $4::text[], $5::text[], $6::text[])
             as a(carrier_id, slot, token, state, detail, figures)
), free as (
    select b.carrier_id, b.slot, a.state, a.detail, a.figures
    from asked a join bind b on b.carrier_id = a.carrier_id and b.slot = a.slot and b.token = a.token
    for update of b skip locked
), renewed as (
    update bind b set expires_at = clock_timestamp() + make_interval(secs => $7),
           state_at = case when b.state = f.state or b.state = any ({away}) and f.state = any ({away})
                           then b.state_at else now() end,
           detail = case when f.state = 'connecting' and b.state = any ({away}) then b.detail else f.detail end,
           state = f.state, figures = f.figures::jsonb
    from free f where b.carrier_id = f.carrier_id and b.slot = f.slot
    returning b.carrier_id, b.slot
)
select r.slot is not null as renewed, coalesce(b.token <> a.token, true) as lost
from asked a
left join bind b on b.carrier_id = a.carrier_id and b.slot = a.slot
left join renewed r on r.carrier_id = a.carrier_id and r.slot = a.slot
order by a.carrier_id, a.slot
""".replace("{away}", _AWAY)


async def renew_all(database: Database, leases: Sequence[Lease], lease_s: float) -> Renewed:
    """Prolongs the leases of many binds, and tells their states, in one statement."""
    ordered = sorted(leases, key=lambda lease: (lease.bind.carrier_id, lease.bind.slot))
    rows = await database.fetch(
        _RENEW,
        numbers([lease.bind.carrier_id for lease in ordered]),
        numbers([lease.bind.slot for lease in ordered]),
        numbers([lease.token for lease in ordered]),
        [lease.state for lease in ordered],
        [lease.detail for lease in ordered],
        [msgspec.json.encode(lease.figures).decode() for lease in ordered],
        lease_s,
    )
    outcome = Renewed([], [], [])
    for lease, row in zip(ordered, rows, strict=True):
        where = outcome.renewed if row["renewed"] else outcome.lost if row["lost"] else outcome.busy
        where.append(lease)
    return outcome


async def renew_waiting(database: Database, lease: Lease, lease_s: float, patience_s: float) -> bool | None:
    """Prolongs one lease, waiting so long for its row; False when it is no longer ours, None when it stayed locked."""
    try:
        async with database.transaction() as tx:
            await tx.execute("select set_config('lock_timeout', $1, true)", f"{patience_s * 1000:.0f}ms")
            row = await tx.fetchrow(
                _RENEW.replace("for update of b skip locked", "for update of b"),
                numbers([lease.bind.carrier_id]),
                numbers([lease.bind.slot]),
                numbers([lease.token]),
                [lease.state],
                [lease.detail],
                [msgspec.json.encode(lease.figures).decode()],
                lease_s,
            )
    except LockHeld:
        return None
    return bool(row["renewed"])


async def release(database: Database, bind: BindKey, token: int, rest_s: float = 0.0) -> None:
    """Gives a lease back, so that another process may take it at once, or after rest_s seconds; no late renewal brings
    it back."""
    await database.execute(
        """update bind set owner = '', token = token + 1, state = 'down', state_at = now(),
                  detail = case when $4::float > 0 then 'waits as long as the carrier wants' else 'released' end,
                  expires_at = case when $4::float > 0 then clock_timestamp() + make_interval(secs => $4)
                                    else '-infinity' end
           where carrier_id = $1 and slot = $2 and token = $3""",
        bind.carrier_id,
        bind.slot,
        token,
        rest_s,
    )


# A carrier that is gone has none; what a bind still holds is never forgotten.
_RESIZE_ALL = """
with meant as (
    select * from unnest($1::text::int[], $2::text::int[]) as m(carrier_id, binds)
), made as (
    insert into bind (carrier_id, slot)
    select m.carrier_id, s from meant m cross join lateral generate_series(0, m.binds - 1) s
    where not exists (select from bind b where b.carrier_id = m.carrier_id and b.slot = s)
    on conflict do nothing
)
delete from bind b
where b.in_flight = '{}' and b.expires_at < clock_timestamp()
  and (exists (select from meant m where m.carrier_id = b.carrier_id and b.slot >= m.binds)
       or not exists (select from carrier c where c.id = b.carrier_id))
"""


async def resize_all(database: Database, binds: Mapping[int, int]) -> None:
    """Makes the rows of binds be as many as each carrier (by id) should have, and none of carriers that are gone."""
    await database.execute(_RESIZE_ALL, numbers(list(binds)), numbers(list(binds.values())))


async def resize(database: Database, carrier_id: int, binds: int) -> None:
    """Makes the rows of a carrier's binds be as many as it should have; a removed one must hold nothing."""
    async with database.transaction() as tx:
        await tx.execute(
            """insert into bind (carrier_id, slot) select $1, generate_series(0, $2::int - 1) on conflict do nothing""",
            carrier_id,
            binds,
        )
        await tx.execute(
            """delete from bind where carrier_id = $1 and slot >= $2 and in_flight = '{}'
               and expires_at < clock_timestamp()""",
            carrier_id,
            binds,
        )


async def views(database: Database) -> list[BindView]:
    rows = await database.fetch(
        """select carrier_id, slot, owner, state, detail, state_at, expires_at >= clock_timestamp() as alive,
                  cardinality(in_flight) as in_flight, figures
           from bind order by carrier_id, slot"""
    )
    return [
        BindView(**{**dict(row), "figures": msgspec.json.decode(row["figures"], type=dict[str, float])}) for row in rows
    ]


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """A message claimed by a bind: all that is needed to send it, and its place in the queue to put it back."""

    message_id: int
    lane: int
    key: int
    attempts: int
    parts_done: int
    account_id: int
    parts: int
    doubts: int
    recipient: str
    text: str
    sender: str
    flags: int
    report_host: int | None
    dialect: str
    due_at: datetime


class Turn(msgspec.Struct):
    """What one turn writes: see sql/functions/bind_turn.sql for the arrays. Lists grow between turns."""

    r_message: list[int] = msgspec.field(default_factory=list)
    r_part: list[int] = msgspec.field(default_factory=list)
    r_ref: list[str] = msgspec.field(default_factory=list)
    w_message: list[int] = msgspec.field(default_factory=list)
    w_host: list[int] = msgspec.field(default_factory=list)
    c_ref: list[str] = msgspec.field(default_factory=list)
    c_source: list[str] = msgspec.field(default_factory=list)
    c_state: list[int | None] = msgspec.field(default_factory=list)
    c_word: list[str] = msgspec.field(default_factory=list)
    c_error: list[str] = msgspec.field(default_factory=list)
    c_raw: list[bytes] = msgspec.field(default_factory=list)
    c_other: list[str] = msgspec.field(default_factory=list)
    c_reason: list[str] = msgspec.field(default_factory=list)
    c_oddity: list[str] = msgspec.field(default_factory=list)
    # Parts of long messages without an id of their own, for share_parts: written after the rest.
    s_message: list[int] = msgspec.field(default_factory=list)
    s_part: list[int] = msgspec.field(default_factory=list)
    s_ref: list[str] = msgspec.field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.r_message or self.c_ref or self.w_message)

    def written(self) -> tuple[object, ...]:
        """The arrays as bind_turn takes them, in its order."""
        return (
            numbers(self.r_message),
            numbers(self.r_part),
            texts(self.r_ref),
            numbers(self.w_message),
            numbers(self.w_host),
            texts(self.c_ref),
            texts(self.c_source),
            numbers(self.c_state),
            texts(self.c_word),
            texts(self.c_error),
            self.c_raw,
            _sparse(self.c_other),
            _sparse(self.c_reason),
            _sparse(self.c_oddity),
        )


def _sparse(column: list[str]) -> str:
    """A column that is nearly always empty, as a whole or not at all."""
    return texts(column) if any(column) else "{}"


TURN = """select * from bind_turn($1, $2::int::smallint, $3, $4, $5, $6::text::smallint[],
    $7::text::bigint[], $8::text::smallint[], $9::text::text[], $10::text::bigint[], $11::text::bigint[],
    $12::text::text[], $13::text::text[], $14::text::smallint[], $15::text::text[], $16::text::text[], $17,
    $18::text::text[], $19::text::text[], $20::text::text[],
    $21::text::bigint[], $22::text::int[], $23, $24::text::bigint[])"""
REFUND_ARRAY = numbers(REFUND_STATES)


def _bounds(looks: Looks | None, lanes: Sequence[int], want: int, at_s: float) -> list[int] | None:
    """What a turn gives as p_from."""
    if looks is None:
        return None
    if looks.slow and want <= 0:  # it looks at no lane, and shall look through nothing else
        return [KEY_MIN] * len(lanes)
    return looks.bounds(lanes, at_s)


async def turn(
    connection: Connection,
    bind: BindKey,
    token: int,
    now: datetime,
    policy: int,
    news: Turn,
    still: Sequence[int],
    lanes: Sequence[int],
    want: int,
    looks: Looks | None = None,
) -> list[Claimed]:
    """One turn of a bind; raises LeaseLost, and then nothing is recorded. looks: of this bind, kept from turn to turn;
    None: each looks everywhere."""
    began_s = time.monotonic()
    bounds = _bounds(looks, lanes, want, began_s)
    try:
        rows: list[Any] = await connection.fetch(
            TURN,
            bind.carrier_id,
            bind.slot,
            token,
            now,
            policy,
            REFUND_ARRAY,
            *news.written(),
            numbers(still),
            numbers(lanes),
            want,
            None if bounds is None else numbers(bounds),
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate == LEASE_LOST:
            raise LeaseLost from error
        raise
    claimed = [Claimed(*row) for row in rows]
    if looks is not None and want > 0:
        ended_s = time.monotonic()
        looks.looked(
            {row.lane: row.key for row in claimed},
            whole=bounds is None,
            now_key=key_of(now),
            ended_s=ended_s,
            took_s=ended_s - began_s,
            found=len(claimed),
            empty=lanes if len(claimed) < want else (),
        )
    return claimed


class Requeue(msgspec.Struct, frozen=True):
    """A message that goes back to the queue. what: the event's name, empty for none."""

    message_id: int
    lane: int
    key: int
    attempts: int
    parts_done: int
    state: int
    what: str = ""
    detail: str = ""


class Finish(msgspec.Struct, frozen=True):
    """A message that ends otherwise than by a receipt. kept: parts that the carrier has and that stay charged."""

    message_id: int
    state: int
    kept: int
    reason: str
    what: str
    detail: str = ""


class Doubt(msgspec.Struct, frozen=True):
    """A message of which nobody knows whether the carrier has it. key 0: held; else when it is sent once more."""

    message_id: int
    key: int
    parts_done: int
    detail: str


async def requeue(connection: Connection, now: datetime, rows: Sequence[Requeue]) -> None:
    await connection.execute(
        """select requeue($1, $2::text::bigint[], $3::text::int[], $4::text::bigint[], $5::text::smallint[],
           $6::text::int[], $7::text::smallint[], $8, $9)""",
        now,
        numbers([r.message_id for r in rows]),
        numbers([r.lane for r in rows]),
        numbers([r.key for r in rows]),
        numbers([r.attempts for r in rows]),
        numbers([r.parts_done for r in rows]),
        numbers([r.state for r in rows]),
        [r.what for r in rows],
        [r.detail for r in rows],
    )


async def finish(connection: Connection, now: datetime, rows: Sequence[Finish]) -> None:
    await connection.execute(
        """select finish($1, $2::text::smallint[], $3::text::bigint[], $4::text::smallint[], $5::text::smallint[],
           $6, $7, $8)""",
        now,
        REFUND_ARRAY,
        numbers([r.message_id for r in rows]),
        numbers([r.state for r in rows]),
        numbers([r.kept for r in rows]),
        [r.reason for r in rows],
        [r.what for r in rows],
        [r.detail for r in rows],
    )


async def doubt(connection: Connection, now: datetime, carrier_id: int, rows: Sequence[Doubt]) -> None:
    await connection.execute(
        "select doubt($1, $2, $3::text::bigint[], $4::text::bigint[], $5::text::int[], $6)",
        now,
        carrier_id,
        numbers([r.message_id for r in rows]),
        numbers([r.key for r in rows]),
        numbers([r.parts_done for r in rows]),
        [r.detail for r in rows],
    )


class Left(msgspec.Struct, frozen=True):
    """A message that a dead owner left in flight."""

    message_id: int
    parts: int
    doubts: int
    flags: int
    parts_done: int


async def left_in_flight(connection: Connection, carrier_id: int, message_ids: Sequence[int]) -> list[Left]:
    """What a dead owner held, with the parts that the carrier is known to have (bit n: part n)."""
    known = await _parts_known(connection, carrier_id, message_ids)
    rows = await connection.fetch(
        """select m.id as message_id, m.parts, m.doubts, s.flags
           from message m join submission s on s.id = m.id >> 16
           where m.id = any ($1::text::bigint[]) order by m.id""",
        numbers(message_ids),
    )
    return [Left(**dict(row), parts_done=known.get(row["message_id"], 0)) for row in rows]


NEAR_IDS = 1000 << 16


async def _parts_known(connection: Connection, carrier_id: int, message_ids: Sequence[int]) -> dict[int, int]:
    """Of each message of which a carrier has given ids, the parts that it gave them for (bit n: part n).

    In a transaction. Each look through the index of a large table takes milliseconds: ids near each other share one.
    """
    ranges: list[list[int]] = []
    for one in sorted(message_ids):
        if ranges and one - ranges[-1][1] <= NEAR_IDS:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    await connection.execute(BY_RANGE)
    rows = await connection.fetch(
        """select r.message_id, bit_or(1 << r.part) as parts
           from unnest($2::text::bigint[], $3::text::bigint[]) as w(first, last)
           cross join lateral (select message_id, part from reference
                               where carrier_id = $1 and message_id between w.first and w.last offset 0) r
           where r.message_id = any ($4::text::bigint[]) group by r.message_id""",
        carrier_id,
        numbers([first for first, _ in ranges]),
        numbers([last for _, last in ranges]),
        numbers(message_ids),
    )
    await connection.execute(BY_ANY_WAY)
    return {row["message_id"]: row["parts"] for row in rows}


async def resolve_doubt(connection: Connection, now: datetime, message_ids: Sequence[int]) -> None:
    """The carrier has these messages after all."""
    await connection.execute("select resolve_doubt($1, $2::text::bigint[])", now, numbers(message_ids))


async def note(connection: Connection, now: datetime, what: str, notes: Sequence[tuple[int, str]]) -> None:
    """Events of messages: (message id, detail)."""
    await connection.execute(
        """insert into event (message_id, at, what, detail)
           select m, $1, $2, d from unnest($3::bigint[], $4::text[]) as n(m, d)""",
        now,
        what,
        [message_id for message_id, _ in notes],
        [detail for _, detail in notes],
    )


async def fence(database: Database, bind: BindKey, token: int) -> Taken | None:
    """What the bind's row says to be in flight, and a new token; None when the lease is another's.

    A turn of the old token that is still on its way to or in the server can record nothing any more once this returns.
    """
    rows = await database.fetch(
        """update bind set token = token + 1 where carrier_id = $1 and slot = $2 and token = $3
           returning token, in_flight""",
        bind.carrier_id,
        bind.slot,
        token,
    )
    return Taken(rows[0]["token"], tuple(rows[0]["in_flight"])) if rows else None


class Place(msgspec.Struct, frozen=True):
    """Where a message had its place in the queue, how often it was put off, and the parts that a carrier is known to
    have (bit n: part n)."""

    message_id: int
    lane: int
    key: int
    attempts: int
    parts_done: int


async def places(connection: Connection, carrier_id: int, message_ids: Sequence[int]) -> list[Place]:
    """Where messages had their place in the queue, in its order."""
    known = await _parts_known(connection, carrier_id, message_ids)
    rows = await connection.fetch(
        """select m.id as message_id, m.lane, m.key, coalesce(e.attempts, 0)::integer as attempts
           from message m
           left join (select message_id, count(*) as attempts from event
                      where message_id = any ($1::text::bigint[]) and what = 'retry' group by message_id) e
                     on e.message_id = m.id
           where m.id = any ($1::text::bigint[]) order by m.key, m.id""",
        numbers(message_ids),
    )
    # part 0 is the whole of a message of one part, and no bit
    return [Place(**dict(row), parts_done=known.get(row["message_id"], 0) & ~1) for row in rows]
