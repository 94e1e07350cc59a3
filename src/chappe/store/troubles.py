"""Work that fails again and again for a reason that nobody thought of: stored, so that the doctor can show it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from chappe.store.database import Database


class Trouble(msgspec.Struct, frozen=True):
    """A task that failed when it was last tried. error: the exception's type; times: since it last succeeded."""

    task: str
    error: str
    times: int
    since: datetime
    last_at: datetime


async def note(database: Database, task: str, error: str) -> None:
    """The task has failed once more."""
    await database.execute(
        """insert into trouble as t (task, error, times, since, last_at) values ($1, $2, 1, now(), now())
           on conflict (task) do update set error = excluded.error, times = t.times + 1, last_at = now()""",
        task,
        error,
    )


async def end(database: Database, task: str) -> None:
    """The task has succeeded."""
    await database.execute("delete from trouble where task = $1", task)


async def read(database: Database) -> list[Trouble]:
    """Every task that failed when it was last tried, in the order of names."""
    rows = await database.fetch("select task, error, times, since, last_at from trouble order by task")
    return [Trouble(**dict(row)) for row in rows]
