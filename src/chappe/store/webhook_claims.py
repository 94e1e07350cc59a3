"""Claiming webhooks fairly: first which hosts have something due, then a few rows of each.

Accounts share a claim equally, and the hosts of one account share its part. So however much waits for one account, and
at however many hosts, the others' parts are the same. Hosts of which there is no room in one claim come first in the
next one. The hosts of one account lie side by side (store/webhook_hosts.py), so that both levels are found by skipping
through the primary key.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from chappe.store.database import Connection
from chappe.store.messages import numbers
from chappe.store.queue_head import KEY_MIN, Looks
from chappe.store.webhook_hosts import ORIGIN_BITS, account_of

HOSTS_MAX: Final = 500  # of one account, that one claim looks at
KNOWN_MAX: Final = 20  # of one account, of which bounds are remembered: see store/queue_head.py


class Due(NamedTuple):
    """A host that has something to be told, and the key from which on it is looked for."""

    host: int
    from_key: int


class Want(NamedTuple):
    """So many rows of a host, at most."""

    host: int
    from_key: int
    rows: int


class Shares:
    """What accounts and hosts may get; kept from claim to claim.

    room: how many more rows an account may have in hand; wish: how many a host can use.
    """

    def __init__(self, room: Callable[[int], int], wish: Callable[[int], int]) -> None:
        self.room = room
        self.wish = wish
        self.after: dict[int, int] = {}  # by account: the host behind which the next claim begins
        self.asked: dict[int, int] = {}  # by host: how many rows the last claim asked for
        self.unseen = False  # the last claim did not look at all hosts, or took less than was wished for

    def plan(self, due: Iterable[Due], limit: int) -> list[Want]:
        """Divides a claim: equally over accounts, and each part over the account's hosts, in their order."""
        by_account: dict[int, list[Due]] = {}
        for one in due:
            by_account.setdefault(account_of(one.host), []).append(one)
        wants: list[Want] = []
        for place, (account, hosts) in enumerate(by_account.items()):
            part = limit // len(by_account) + (place < limit % len(by_account))
            wants += self._part(account, hosts, min(part, self.room(account)))
        self.asked = {want.host: want.rows for want in wants}
        return wants

    def _part(self, account: int, hosts: list[Due], part: int) -> list[Want]:
        if part <= 0:
            return []
        served = hosts[:part]
        if len(served) < len(hosts):
            self.after[account] = served[-1].host
            self.unseen = True
        each, more = divmod(part, len(served))
        return [
            Want(one.host, one.from_key, min(each + (place < more), self.wish(one.host)))
            for place, one in enumerate(served)
        ]


# By account, the hosts behind a given one and then those before it, with the first key of each.
_BEHIND: Final = """
    with recursive h(host, key) as (
        (select w.host, w.key from webhook w where w.host > {after} and w.host < {end} order by w.host, w.key limit 1)
        union all
        select n.host, n.key from h cross join lateral (
            select w.host, w.key from webhook w where w.host > h.host and w.host < {end}
            order by w.host, w.key limit 1) n
    ) select host, key from h
"""
WAITING: Final = f"""
with recursive accounts(account) as (
    (select host >> {ORIGIN_BITS} from webhook order by host limit 1)
    union all
    select (select w.host >> {ORIGIN_BITS} from webhook w where w.host >= (a.account + 1) << {ORIGIN_BITS}
            order by w.host limit 1)
    from accounts a where a.account is not null
)
select h.host, h.key
from accounts a
left join unnest($1::text::bigint[], $2::text::bigint[]) as g(account, after) on g.account = a.account
cross join lateral (
    select host, key from (
        ({
    _BEHIND.format(
        after=f"coalesce(g.after, (a.account << {ORIGIN_BITS}) - 1)", end=f"(a.account + 1) << {ORIGIN_BITS}"
    )
} limit $3)
        union all
        ({_BEHIND.format(after=f"(a.account << {ORIGIN_BITS}) - 1", end="coalesce(g.after, -1) + 1")} limit $3)
    ) circle limit $3
) h
where a.account is not null
"""
# What is in hand is looked up in a hash table: an array would be searched from its beginning for each row.
CLAIM: Final = """
select w.host, w.key, w.id, w.message_id, w.at, w.state, w.attempts, w.reason,
       coalesce(m.recipient, ''), coalesce(m.price_micros, 0), coalesce(m.state, 0) as message_state,
       coalesce(s.dialect, ''), coalesce(s.report_url, '') as target, coalesce(s.tag, ''),
       coalesce(s.client_reference, ''), coalesce(s.flags, 0), coalesce(w.talk, 0)
from unnest($3::text::bigint[], $4::text::bigint[], $5::text::int[]) as h(host, from_key, wanted)
cross join lateral (
    select * from webhook q where q.host = h.host and q.key >= h.from_key and q.key <= $1
    and q.id not in (select unnest($2::text::bigint[]))
    order by q.host, q.key, q.id limit h.wanted
) w
left join lateral (select * from message where id = w.message_id limit 1) m on true
left join lateral (select * from submission where id = w.message_id >> 16 limit 1) s on true
where s.id is not null or w.message_id < 0
"""


async def waiting(connection: Connection, after: Mapping[int, int]) -> list[Due]:
    """The hosts that have something waiting, with the key of the first of it: of each account at most HOSTS_MAX,
    beginning behind the one given."""
    rows = await connection.fetch(WAITING, numbers(list(after)), numbers(list(after.values())), HOSTS_MAX)
    return [Due(row["host"], row["key"]) for row in rows]


async def rows_of(
    connection: Connection,
    now_key: int,
    in_hand: Sequence[int],
    full_hosts: Sequence[int],
    limit: int,
    shares: Shares,
    looks: Looks,
) -> list[Any]:
    """The rows of what is due, as CLAIM selects them: at most limit in all, nothing of full_hosts."""
    began_s = time.monotonic()
    shares.unseen = False
    full = frozenset(full_hosts)
    known = [host for host in looks.known if host not in full] if looks.slow else []
    bounds = looks.bounds(known, began_s)
    if bounds is None:
        listed = await waiting(connection, shares.after)
        shares.after = _circle_on(listed)
        shares.unseen = bool(shares.after)
        due = [Due(one.host, KEY_MIN) for one in listed if one.from_key <= now_key and one.host not in full]
    else:
        due = [Due(*one) for one in zip(known, bounds, strict=True)]
    wants = shares.plan(due, limit)
    rows = []
    if wants:
        rows = await connection.fetch(
            CLAIM,
            now_key,
            numbers(in_hand),
            numbers([want.host for want in wants]),
            numbers([want.from_key for want in wants]),
            numbers([want.rows for want in wants]),
        )
    ended_s = time.monotonic()
    looks.looked(
        _few_of_each({row["host"]: row["key"] for row in rows}, looks.known),
        whole=bounds is None,
        now_key=now_key,
        ended_s=ended_s,
        took_s=ended_s - began_s,
        found=len(rows),
        passed_over=full_hosts,
    )
    return rows


def _circle_on(listed: Sequence[Due]) -> dict[int, int]:
    """By account, the last host listed, where there may be more."""
    counts = Counter(account_of(one.host) for one in listed)
    many = {account for account, count in counts.items() if count >= HOSTS_MAX}
    return {account_of(one.host): one.host for one in listed if account_of(one.host) in many} if many else {}


def _few_of_each(last: dict[int, int], known: Iterable[int]) -> dict[int, int]:
    """The same, without hosts of accounts of which enough are remembered: nobody pushes out the others'."""
    counts = Counter(account_of(host) for host in known)
    kept: dict[int, int] = {}
    remembered = set(known)
    for host, key in last.items():
        account = account_of(host)
        if host not in remembered:
            if counts[account] >= KNOWN_MAX:
                continue
            counts[account] += 1
        kept[host] = key
    return kept
