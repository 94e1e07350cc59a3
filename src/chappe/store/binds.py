"""Binds: who drives them, and what they hold. Their turns are in bind_turn.py.

A bind is driven by whoever has its row's newest token and an unexpired lease; the database's clock decides. What a bind
has claimed and not yet accounted for stands in its row, as ids: after a crash that is what is in doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from chappe.store.database import Database, LockHeld
from chappe.store.messages import numbers


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
