"""Replies: storing them with their webhook, and how far each account has read them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chappe.core.model import Reply, submission_of
from chappe.store.database import Connection, Database
from chappe.store.messages import key_of, talk_of
from chappe.store.webhook_hosts import host_of

KINDS = ("response", "stop", "start")
"""reply.kind"""

LATELY_SUBMISSIONS = 10_000
"""How many of the newest submissions are asked for the dialect of an account."""

_COLUMNS = """r.id, r.at, r.kind, r.number, r.destination, r.text, r.parts, r.reference, r.long_number, r.message_id,
    r.dialect, r.target, a.settings ->> 'reports_method' as method, coalesce(s.client_reference, '') as client_reference
    from reply r left join account a on a.id = r.account_id left join submission s on s.id = r.message_id >> 16"""


class NearMiss(msgspec.Struct, frozen=True):
    """A reply that may have been meant as a STOP and was not taken for one."""

    id: int
    at: datetime
    number: str
    text: str


class NewReply(msgspec.Struct, frozen=True):
    """A reply to be stored. target: the URL that is told; empty: nobody's."""

    account_id: int
    carrier_id: int
    at: datetime
    kind: str
    number: str
    destination: str
    text: str
    parts: tuple[str, ...]
    reference: int
    long_number: bool
    message_id: int | None
    dialect: str
    target: str
    detail: str = ""


async def add(connection: Connection, reply: NewReply, now: datetime) -> int:
    """Stores a reply, with its webhook; gives its id. A webhook of a reply has the reply's id, negative, where others
    have their message's. Those of one subscriber to one account are told one after the other: they share a talk."""
    reply_id: int = await connection.fetchval(
        """insert into reply (id, account_id, carrier_id, at, kind, number, destination, text, parts, reference,
                              long_number, message_id, dialect, target, detail)
           values (nextval('reply_number'), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
           returning id""",
        reply.account_id,
        reply.carrier_id,
        reply.at,
        KINDS.index(reply.kind),
        reply.number,
        reply.destination,
        reply.text,
        list(reply.parts),
        reply.reference,
        reply.long_number,
        reply.message_id,
        reply.dialect,
        reply.target,
        reply.detail,
    )
    if reply.target:
        secret: bytes = await connection.fetchval("select secret from installation")
        await connection.execute(
            """insert into webhook (host, key, id, message_id, at, state, talk)
               values ($1, $2, nextval('webhook_number'), $3, $4, 0, $5)""",
            host_of(reply.account_id, reply.target, secret),
            key_of(now),
            -reply_id,
            reply.at,
            talk_of(reply.account_id, reply.number),
        )
    return reply_id


async def dialect_of(connection: Connection, account_id: int, dialects: Collection[str]) -> str | None:
    """Which of these an account spoke last; None when it has not spoken lately."""
    found: str | None = await connection.fetchval(
        """select dialect from (select account_id, dialect from submission order by id desc limit $2) s
           where s.account_id = $1 and s.dialect = any ($3::text[]) limit 1""",
        account_id,
        LATELY_SUBMISSIONS,
        list(dialects),
    )
    return found


async def by_id(connection: Connection, reply_ids: Sequence[int]) -> dict[int, Reply]:
    """Replies by their ids; those that are no more are not in it."""
    rows = await connection.fetch(f"select {_COLUMNS} where r.id = any ($1::bigint[])", list(reply_ids))
    return {row["id"]: _reply(row) for row in rows}


async def since_last(database: Database, account_id: int, limit: int) -> list[Reply]:
    """The replies that this account has not read this way yet, oldest first; from now on they count as read."""
    async with database.transaction() as tx:
        position: int = await tx.fetchval(
            """insert into reply_position (account_id, position) values ($1, 0)
               on conflict (account_id) do update set position = reply_position.position returning position""",
            account_id,
        )
        rows = await tx.fetch(
            f"select {_COLUMNS} where r.account_id = $1 and r.id > $2 order by r.id limit $3",
            account_id,
            position,
            limit,
        )
        if rows:
            await tx.execute(
                "update reply_position set position = $2 where account_id = $1", account_id, rows[-1]["id"]
            )
    return [_reply(row) for row in rows]


async def of_messages(database: Database, account_id: int, first_id: int, last_id: int, limit: int) -> list[Reply]:
    """The replies to messages of this range of ids, oldest first."""
    rows = await database.fetch(
        f"select {_COLUMNS} where r.account_id = $1 and r.message_id between $2 and $3 order by r.id limit $4",
        account_id,
        first_id,
        last_id,
        limit,
    )
    return [_reply(row) for row in rows]


async def client_reference(database: Database, account_id: int, submission_id: int) -> str | None:
    """The customer's own id of a submission; None unless it is this account's."""
    found: str | None = await database.value(
        "select client_reference from submission where id = $1 and account_id = $2", submission_id, account_id
    )
    return found


def _reply(row: Any) -> Reply:
    message_id = row["message_id"]
    return Reply(
        id=row["id"],
        number=row["number"],
        to=row["destination"],
        text=row["text"],
        at=row["at"],
        kind="stop" if KINDS[row["kind"]] == "stop" else "response",
        submission_id=None if message_id is None else submission_of(message_id),
        message_id=message_id,
        parts=tuple(row["parts"]),
        reference=row["reference"],
        long_number=row["long_number"],
        dialect=row["dialect"],
        target=row["target"],
        method=row["method"] or "GET",
        client_reference=row["client_reference"],
    )


async def near_misses(database: Database, account_id: int, note: str, limit: int) -> list[NearMiss]:
    """The newest replies of an account whose detail begins with `note`, the newest first."""
    rows = await database.fetch(
        """select id, at, number, text from reply where account_id = $1 and starts_with(detail, $2)
           order by id desc limit $3""",
        account_id,
        note,
        limit,
    )
    return [NearMiss(*row) for row in rows]
