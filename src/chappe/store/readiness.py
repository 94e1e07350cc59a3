"""Whether a node can work with its database at this moment, and if not, why."""

from __future__ import annotations

from chappe.store import migrate
from chappe.store.database import CONNECTION_ERRORS, Database, DatabaseError


async def trouble(database: Database) -> str:
    """What keeps the node from working, as a sentence; empty when nothing does.

    A database that knows more migrations than this program is none: nodes of two versions work side by side while one
    after the other is renewed.
    """
    try:
        row = (
            await database.fetch(
                "select pg_is_in_recovery() as only_reads, (select max(number) from schema_migration) as number"
            )
        )[0]
    except CONNECTION_ERRORS:
        return "the database does not answer"
    except DatabaseError:
        return "the database has no tables of Chappe"
    if row["only_reads"]:
        return "the database is a standby"
    if (row["number"] or 0) < migrate.load()[-1].number:
        return "the database lacks tables of this version"
    return ""
