"""Which errors of the database mean what: gone, try again, no room, a broken rule, a bad row."""

import asyncpg

DatabaseError = asyncpg.PostgresError
# What a connection that is gone, or a server that is not there, looks like.
CONNECTION_ERRORS = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg, when a connection ends in the very moment in which it is used
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    TimeoutError,
)
# Rolled back by the server for reasons that are not ours: the same again may work.
RETRY_ERRORS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
# Rolled back since the server has no room for it, on its disk or in memory: later there may be.
SHORTAGE_ERRORS = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)
# A rule of the schema is broken: by one row, or, when all are refused, the rule itself is at fault.
BROKEN_ERRORS = (asyncpg.IntegrityConstraintViolationError,)
# Refused for what is in a row, now and always: the other rows of the same transaction are sound.
POISON_ERRORS = (
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
    *BROKEN_ERRORS,
    asyncpg.RaiseError,
    ValueError,
    OverflowError,
)
LockHeld = asyncpg.LockNotAvailableError
LEASE_LOST = "CHP01"
