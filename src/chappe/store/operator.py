"""What only the operator's commands read and change: accounts under lock, carriers' settings, lengths of queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from chappe.core.carrier_config import CarrierSettings
from chappe.core.model import Account, AccountSettings, AccountState
from chappe.store.accounts import fingerprint
from chappe.store.database import Connection, Database
from chappe.store.lanes import CLASSES


class LaneLength(msgspec.Struct, frozen=True):
    """How many messages wait in one lane of a carrier (0: of none), and when the first is due or was accepted."""

    carrier_id: int
    lane_class: int
    waiting: int
    first_at: datetime


class Movement(msgspec.Struct, frozen=True):
    """One ledger entry of an account."""

    kind: int
    reason: int
    amount_micros: int
    at: datetime
    note: str


async def account_for_update(connection: Connection, login: str) -> tuple[Account, dict[str, Any]] | None:
    """An account whose row nobody else changes before the caller's transaction ends, and what it has of its own; its
    settings are those alone, over the built-in defaults."""
    row = await connection.fetchrow(
        "select id, login, state, api_enabled, settings from account where lower(login) = lower($1) for update", login
    )
    if row is None:
        return None
    account = Account(
        id=row["id"],
        login=row["login"],
        state=AccountState(row["state"]),
        api_enabled=row["api_enabled"],
        settings=msgspec.json.decode(row["settings"], type=AccountSettings),
    )
    return account, msgspec.json.decode(row["settings"])


async def save_account(connection: Connection, account: Account, own: Mapping[str, Any]) -> None:
    """Stores state and access of an account, and the settings that it has of its own; its balance is the ledger's."""
    await connection.execute(
        "update account set settings = $2::text::jsonb, state = $3, api_enabled = $4 where id = $1",
        account.id,
        msgspec.json.encode(own).decode(),
        account.state,
        account.api_enabled,
    )


async def save_key(connection: Connection, account_id: int, key: str) -> bool:
    """Gives an account another API key; False when another account has it."""
    return (
        await connection.fetchval(
            """update account set key_sha256 = $2
               where id = $1 and not exists (select from account where key_sha256 = $2 and id <> $1) returning true""",
            account_id,
            fingerprint(key),
        )
        is True
    )


async def carrier_for_update(connection: Connection, name: str) -> tuple[int, CarrierSettings, str] | None:
    """A carrier's id, settings and kind, with its row locked until the caller's transaction ends."""
    row = await connection.fetchrow("select id, settings, kind from carrier where name = $1 for update", name)
    return (row["id"], msgspec.json.decode(row["settings"], type=CarrierSettings), row["kind"]) if row else None


async def save_carrier(
    connection: Connection, carrier_id: int, settings: CarrierSettings, *, forget: bool = False
) -> None:
    """Stores a carrier's settings. forget: also what was learnt of it."""
    await connection.execute(
        "update carrier set settings = $2::text::jsonb, learnt = case when $3 then null else learnt end where id = $1",
        carrier_id,
        msgspec.json.encode(settings).decode(),
        forget,
    )


async def lane_lengths(database: Database) -> list[LaneLength]:
    """The lanes that are not empty."""
    rows = await database.fetch(
        "select lane, count(*) as waiting, min(key) as first from outbox group by lane order by 1"
    )
    return [
        LaneLength(row["lane"] // CLASSES, row["lane"] % CLASSES, row["waiting"], at_of(row["first"])) for row in rows
    ]


async def counts_of_doubt(database: Database) -> dict[int, int]:
    """How many messages are in doubt, by carrier."""
    rows = await database.fetch("select carrier_id, count(*) as number from uncertain group by carrier_id")
    return {row["carrier_id"]: row["number"] for row in rows}


async def counts_of_strays(database: Database) -> dict[int, int]:
    """How many receipts wait for their match, by carrier."""
    rows = await database.fetch("select carrier_id, count(*) as number from receipt_unmatched group by carrier_id")
    return {row["carrier_id"]: row["number"] for row in rows}


async def forget_strays(database: Database, carrier_id: int, references: Sequence[str], since: datetime) -> None:
    """Receipts of these ids that came since then and wait for a match wait no more; what came stays stored."""
    await database.execute(
        """delete from receipt_unmatched
           where carrier_id = $1 and carrier_ref = any ($2::text[]) and received_at >= $3""",
        carrier_id,
        list(references),
        since,
    )


async def movements(database: Database, account_id: int, limit: int) -> list[Movement]:
    """The newest entries of an account that belong to no message: credits by an operator, and money that moved between
    it and another account."""
    rows = await database.fetch(
        """select kind, reason, amount_micros, at, coalesce(note, '') as note from ledger_entry
           where account_id = $1 and kind in (3, 4, 5) order by at desc, kind, reason desc limit $2""",
        account_id,
        limit,
    )
    return [Movement(**dict(row)) for row in rows]


def at_of(key: int) -> datetime:
    """The instant of a queue's key."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=key)


__all__ = [
    "LaneLength",
    "Movement",
    "account_for_update",
    "at_of",
    "carrier_for_update",
    "counts_of_doubt",
    "counts_of_strays",
    "forget_strays",
    "lane_lengths",
    "movements",
    "save_account",
    "save_carrier",
    "save_key",
]


class Oddity(msgspec.Struct, frozen=True):
    """What was unusual about receipts of a carrier. word: of the receipt, where it is in no table; else empty."""

    carrier_id: int
    oddity: str
    word: str
    receipts: int


RECEIPTS_LOOKED_AT = 20_000
"""The latest of all carriers: a view must not read a table that grows without end."""


async def oddities(database: Database) -> list[Oddity]:
    """What was odd about the latest receipts, the most frequent first."""
    rows = await database.fetch(
        """select carrier_id, o.oddity, case when o.oddity = 'word_unknown' then r.word else '' end as word,
                  count(*) as receipts
           from (select carrier_id, word, oddity from receipt order by id desc limit $1) r
           cross join lateral unnest(string_to_array(r.oddity, ',')) as o(oddity)
           where r.oddity is not null group by 1, 2, 3 order by 4 desc, 2, 3 limit 500""",
        RECEIPTS_LOOKED_AT,
    )
    return [Oddity(row["carrier_id"], row["oddity"], row["word"], row["receipts"]) for row in rows]
