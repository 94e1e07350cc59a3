"""Where the database is, and what every connection to it is told.

Every connection has time-outs, so that nobody holds a snapshot or a lock for ever; hot ones also plan for tables that
grow: a plan made while a table was empty must not be kept for a table that is full.
"""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import asyncpg
import msgspec

from chappe.store.database.primary import LIVENESS, Way

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",  # a process that is frozen in the middle must not hold its locks
    "jit": "off",
    **LIVENESS,
}
COMMAND_S = 60
HOT_COMMAND_S = 20  # customers wait for these, also while commits wait for a standby that is away
# Look-ups by key are the only good plan for the hot path's statements, whatever the statistics say today.
HOT_SETTINGS = SETTINGS | {
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashagg": "off",
    "enable_material": "off",
}


class Address(msgspec.Struct, frozen=True):
    """Where the database is: a URL, or the parameters of our embedded server. The password is never shown."""

    url: str = ""
    host: str = ""
    port: int = 5432
    user: str = ""
    password: str = ""
    database: str = ""

    def __repr__(self) -> str:
        return f"Address({'a URL' if self.url else self.host})"

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of asyncpg.connect."""
        if self.url:
            return {"dsn": self.url}
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "database": self.database,
        }


@functools.cache
def way(address: Address) -> Way:
    """The way of this process to a database: it remembers which of several hosts was good."""
    return Way(address.arguments())


async def connect(address: Address, *, hot: bool = False, name: str = "chappe") -> Connection:
    """One connection outside any pool; raises one of CONNECTION_ERRORS."""
    return await way(address).connect(
        command_timeout=COMMAND_S,
        server_settings=(HOT_SETTINGS if hot else SETTINGS) | {"application_name": name},
    )
