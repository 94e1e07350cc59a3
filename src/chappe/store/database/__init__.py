"""The way to PostgreSQL: connections, transactions, and the group commit that turns many requests into one.

    address        where the database is, and what every connection is told
    primary        which of several servers takes writes
    connections    a few connections of one kind, kept open between their uses
    outage         a database that is away: who waits for it, and how long
    pools          a process's connections, ordinary and hot ones, and their transactions
    group_commit   many commands, one transaction
    notifications  NOTIFY and LISTEN between processes
    errors         which errors of the database mean what

asyncpg is imported in this package and in the modules beside it only.
"""

from chappe.store.database.address import HOT_SETTINGS, SETTINGS, Address, Connection, connect
from chappe.store.database.errors import (
    BROKEN_ERRORS,
    CONNECTION_ERRORS,
    LEASE_LOST,
    POISON_ERRORS,
    RETRY_ERRORS,
    SHORTAGE_ERRORS,
    DatabaseError,
    LockHeld,
)
from chappe.store.database.group_commit import GroupCommit
from chappe.store.database.notifications import Bell, Listener
from chappe.store.database.outage import DatabaseAway
from chappe.store.database.pools import Database, ready

__all__ = [
    "BROKEN_ERRORS",
    "CONNECTION_ERRORS",
    "HOT_SETTINGS",
    "LEASE_LOST",
    "POISON_ERRORS",
    "RETRY_ERRORS",
    "SETTINGS",
    "SHORTAGE_ERRORS",
    "Address",
    "Bell",
    "Connection",
    "Database",
    "DatabaseAway",
    "DatabaseError",
    "GroupCommit",
    "Listener",
    "LockHeld",
    "connect",
    "ready",
]
