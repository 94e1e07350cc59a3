"""Groups of contacts as they are stored. Code that changes a group locks its row, so that the count is right."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from chappe.core.contacts import Contact, Fields, Group, GroupKey
from chappe.store.database import Connection, Database
from chappe.store.rows import converted

GROUP = "id, name, created_at, contacts, locked, structure"
CONTACT = """c.id, c.group_id, c.number, c.created_at, c.fields, exists (
    select from opt_out o where o.account_id = c.account_id and o.number = c.number) as opted_out"""
MINE = "account_id = $1 and case when $2 > 0 then id = $2 else lower(name) = lower($3) end order by id limit 1"
_FIELDS = msgspec.json.Decoder(dict[str, str])


class NumberTaken(Exception):
    """The group has another contact with this number."""


def _group(row: Any) -> Group:
    return Group(**{**row, "structure": tuple(row["structure"])})


def _contact(**row: Any) -> Contact:
    return Contact(**{**row, "fields": _FIELDS.decode(row["fields"])})


def written(fields: Fields) -> str:
    """Fields as the table takes them."""
    return msgspec.json.encode(dict(fields)).decode()


async def group_of(database: Database, account_id: int, key: GroupKey) -> Group | None:
    rows = await database.fetch(f"select {GROUP} from contact_group where {MINE}", account_id, key.id, key.name)
    return _group(rows[0]) if rows else None


async def group_for_update(connection: Connection, account_id: int, key: GroupKey) -> Group | None:
    """The group, whose contacts nobody else adds or removes before the transaction ends."""
    row = await connection.fetchrow(
        f"select {GROUP} from contact_group where {MINE} for update", account_id, key.id, key.name
    )
    return None if row is None else _group(row)


async def groups(database: Database, account_id: int) -> list[Group]:
    rows = await database.fetch(f"select {GROUP} from contact_group where account_id = $1 order by id", account_id)
    return [_group(row) for row in rows]


async def hold(connection: Connection, account_id: int) -> tuple[int, int]:
    """How many groups and contacts the account has; nobody else adds any before the transaction ends."""
    await connection.execute("select from account where id = $1 for no key update", account_id)
    row = await connection.fetchrow(
        "select count(*) as groups, coalesce(sum(contacts), 0)::bigint as contacts from contact_group"
        " where account_id = $1",
        account_id,
    )
    assert row is not None
    return row["groups"], row["contacts"]


async def add_group(
    connection: Connection, account_id: int, name: str, now: datetime, structure: Sequence[str], *, locked: bool
) -> Group:
    row = await connection.fetchrow(
        f"""insert into contact_group (account_id, name, created_at, structure, locked) values ($1, $2, $3, $4, $5)
            returning {GROUP}""",
        account_id,
        name,
        now,
        list(structure),
        locked,
    )
    assert row is not None
    return _group(row)


async def remove_group(connection: Connection, group: Group) -> None:
    """Removes a group with its contacts."""
    await connection.execute("delete from contact_group where id = $1", group.id)


async def add(
    connection: Connection, account_id: int, group: Group, rows: Sequence[tuple[str, Fields]], now: datetime
) -> dict[str, int]:
    """Adds contacts (number, fields) to a group that is held; the ids of those that were not in it, by number."""
    found = await connection.fetch(
        """with added as (
               insert into contact (account_id, group_id, number, created_at, fields)
               select $1, $2, number, $3, fields::jsonb from unnest($4::text[], $5::text[]) as r(number, fields)
               on conflict do nothing returning id, number),
           counted as (
               update contact_group set contacts = contacts + (select count(*) from added)
               where id = $2 and exists (select from added))
           select id, number from added""",
        account_id,
        group.id,
        now,
        [number for number, _ in rows],
        [written(fields) for _, fields in rows],
    )
    return {row["number"]: row["id"] for row in found}


async def ids_of(connection: Connection, group: Group, numbers: Sequence[str]) -> dict[str, int]:
    """The contacts of a group that have these numbers: id by number."""
    rows = await connection.fetch(
        "select id, number from contact where group_id = $1 and number = any ($2::text[])", group.id, list(numbers)
    )
    return {row["number"]: row["id"] for row in rows}


async def remove(connection: Connection, group: Group, numbers: Sequence[str]) -> int:
    """Takes numbers out of a group that is held; how many were in it."""
    removed: int = await connection.fetchval(
        """with gone as (delete from contact where group_id = $1 and number = any ($2::text[]) returning 1),
           counted as (update contact_group set contacts = contacts - (select count(*) from gone) where id = $1)
           select count(*) from gone""",
        group.id,
        list(numbers),
    )
    return removed


async def remove_by_id(connection: Connection, account_id: int, contact_id: int) -> bool:
    """Removes one contact of a group that is held."""
    removed: int = await connection.fetchval(
        """with gone as (delete from contact where id = $2 and account_id = $1 returning group_id),
           counted as (
               update contact_group g set contacts = contacts - 1 from gone where g.id = gone.group_id)
           select count(*) from gone""",
        account_id,
        contact_id,
    )
    return removed == 1


async def one(database: Database | Connection, account_id: int, contact_id: int) -> Contact | None:
    rows = await database.fetch(
        f"select {CONTACT} from contact c where c.id = $2 and c.account_id = $1", account_id, contact_id
    )
    return _contact(**rows[0]) if rows else None


async def change(connection: Connection, account_id: int, contact_id: int, number: str, fields: Fields) -> bool:
    """Changes fields, removing those whose value is empty, and the number unless it is empty; whether there is such a
    contact. Raises NumberTaken."""
    try:
        changed = await connection.fetchval(
            """update contact set number = coalesce(nullif($3, ''), number),
                   fields = (fields || $4::text::jsonb) - $5::text[]
               where id = $2 and account_id = $1 returning true""",
            account_id,
            contact_id,
            number,
            written({name: value for name, value in fields.items() if value}),
            [name for name, value in fields.items() if not value],
        )
    except asyncpg.UniqueViolationError as error:
        raise NumberTaken from error
    return changed is True


async def page(database: Database, group: Group, page: int, size: int) -> list[Contact]:
    """Contacts of a group by their ids: one page, or all where size is 0."""
    rows = await database.fetch(
        f"""with c as materialized (
                select id, account_id, group_id, number, created_at, fields from contact
                where group_id = $1 order by id offset $2 limit $3)
            select {CONTACT} from c order by c.id""",
        group.id,
        (page - 1) * size,
        size or None,
    )
    return await converted(rows, _contact)


async def opted_out(connection: Connection, account_id: int, numbers: Sequence[str]) -> set[str]:
    """Which of these numbers are on the account's STOP list."""
    rows = await connection.fetch(
        "select number from opt_out where account_id = $1 and number = any ($2::text[])", account_id, list(numbers)
    )
    return {row["number"] for row in rows}
