"""What processes noticed that the operator should be told of: kept until it is settled."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from chappe.store.database import Connection, Database

UNDECLARED_PROXY: Final = "undeclared_proxy"


class Notice(msgspec.Struct, frozen=True):
    """One notice: since when, when last, and what was seen."""

    name: str
    first_at: datetime
    last_at: datetime
    detail: str


async def add(database: Database, name: str, detail: str) -> None:
    """Stores a notice, or that it was noticed again."""
    await database.execute(
        """insert into notice (name, detail) values ($1, $2)
           on conflict (name) do update set last_at = excluded.last_at, detail = excluded.detail""",
        name,
        detail,
    )


async def settle(connection: Connection, name: str) -> None:
    """Forgets a notice: its cause is gone."""
    await connection.execute("delete from notice where name = $1", name)


async def is_there(connection: Connection, name: str) -> bool:
    """Whether something was noticed and is not settled."""
    return await connection.fetchval("select true from notice where name = $1", name) is True


async def every(database: Database) -> list[Notice]:
    """All notices, by name."""
    rows = await database.fetch("select name, first_at, last_at, detail from notice order by name")
    return [Notice(**dict(row)) for row in rows]
