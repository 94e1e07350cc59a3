"""The data directory on disk: whether it is ours, its locks, the cluster inside it, its passwords, its socket.

DATA/                 whoever runs Chappe
  chappe.lock         held by the process that owns the server: `PID PURPOSE` inside
  chappe.clients      held shared by commands that use a server of another command
  postgres/           the cluster (PGDATA), of the unprivileged user, mode 0700
    chappe.conf       our settings
    chappe.passwords  the generated passwords, mode 0600
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chappe.embedded.errors import DataNotOurs, DataNotUsable, PasswordsLost, SocketNotUsable
from chappe.embedded.os_user import Identity
from chappe.embedded.postgres_conf import PORT

CLUSTER_NAME = "postgres"
LOCK_NAME = "chappe.lock"
CLIENTS_NAME = "chappe.clients"
PASSWORDS_NAME = "chappe.passwords"

# sockaddr_un.sun_path has 108 octets on Linux and 104 on macOS, with the final zero.
_SOCKET_PATH_OCTETS_MAX = 103
# What may lie in a directory that becomes ours: the operator's configuration, what a fresh file system holds.
_HARMLESS = {"chappe.toml", "lost+found"}


def claim(data: Path) -> None:
    """Makes `data` if needed and checks that it is, or may become, ours; raises DataNotOurs, DataNotUsable."""
    try:
        if not data.exists():
            data.mkdir(parents=True)
            data.chmod(0o711)  # the user of the server passes through, and sees nothing
        entries = set(os.listdir(data))
    except OSError as trouble:
        raise DataNotUsable(data=data, reason=trouble.strerror) from trouble
    if "PG_VERSION" in entries:
        raise DataNotOurs(data=data, reason="it is the data of another PostgreSQL")
    strange = sorted(entries - _HARMLESS)
    if LOCK_NAME not in entries and strange:
        raise DataNotOurs(data=data, reason=f"it holds {strange[0]}")
    cluster = data / CLUSTER_NAME
    try:
        if cluster.exists() and not (cluster / "PG_VERSION").is_file() and os.listdir(cluster):
            raise DataNotOurs(data=cluster, reason="it is no database")
    except PermissionError as trouble:
        raise DataNotUsable(data=cluster, reason=trouble.strerror) from trouble


def cluster_major(cluster: Path) -> int | None:
    """The major version that wrote this cluster, from PG_VERSION; None if there is none yet."""
    try:
        text = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except OSError as trouble:
        raise DataNotUsable(data=cluster, reason=trouble.strerror) from trouble
    try:
        return int(text)
    except ValueError:
        raise DataNotUsable(data=cluster, reason=f"PG_VERSION says {text[:20]!r}") from None


def give_to_owner(folder: Path, descriptor: int) -> None:
    """What root writes into somebody's folder belongs to that user, who must be able to go on with it."""
    if os.geteuid() == 0:
        owner, now = folder.stat(), os.fstat(descriptor)
        if (owner.st_uid, owner.st_gid) != (now.st_uid, now.st_gid):
            with contextlib.suppress(OSError):  # a file system without owners, or one of the network that knows no root
                os.fchown(descriptor, owner.st_uid, owner.st_gid)


class FileLock:
    """An flock(2) on a file that stays; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self, *, shared: bool = False, note: str = "") -> bool:
        """Takes the lock at once or not at all; `note` is written into the file. Raises DataNotUsable."""
        assert self._descriptor is None, "the lock is held already"
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as trouble:
            reason = f"{self.path.name}: {trouble.strerror}"
            if isinstance(trouble, PermissionError):
                reason += "; it belongs to another user, perhaps since root ran a command: give it the folder's owner"
            raise DataNotUsable(data=self.path.parent, reason=reason) from trouble
        try:
            give_to_owner(self.path.parent, descriptor)
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        if not shared:
            with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
                os.ftruncate(descriptor, 0)
                os.write(descriptor, note.encode())
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Lets go; nothing happens if the lock is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def note(self) -> str:
        """What the last holder wrote; empty if there was none."""
        try:
            return self.path.read_text(encoding="utf-8").strip()
        except OSError:
            return ""


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What postmaster.pid says (utils/pidfile.h): the process, its socket, and whether it takes connections."""

    pid: int
    socket_directory: Path | None
    ready: bool

    def lives_on(self, cluster: Path) -> bool:
        """Whether this process exists and works in `cluster`: a process id alone may be that of a stranger by now."""
        try:
            return os.path.samefile(f"/proc/{self.pid}/cwd", cluster)
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            if os.path.isdir("/proc/self"):
                return False
            return _exists(self.pid)
        except PermissionError:
            return False


def read_postmaster(cluster: Path) -> Postmaster | None:
    """The server that wrote postmaster.pid last; None without the file or while it is being written."""
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        pid = abs(int(lines[0]))
    except (OSError, IndexError, ValueError):
        return None
    directory = Path(lines[4]) if len(lines) > 4 and lines[4] else None
    return Postmaster(pid, directory, ready=len(lines) > 7 and lines[7].strip() == "ready")


def servers_in(cluster: Path, program: Path) -> list[int]:
    """Processes that run `program` with `cluster` as their working directory (Linux only; elsewhere none)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.path.samefile(entry / "cwd", cluster) and os.path.samefile(entry / "exe", program):
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


def write_for_server(path: Path, text: str, identity: Identity) -> None:
    """Writes a file the server may read, atomically, mode 0600.

    Never opens what is there: in a directory of another user it could be a link to a file of ours.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if identity.changes:
                os.fchown(file.fileno(), identity.uid, identity.gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def sync(directory: Path) -> None:
    """Makes the names in a directory durable (fsync(2))."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private(path: Path, identity: Identity) -> None:
    """Makes an empty directory of the server's user, mode 0700, in the place of whatever half-made one was there."""
    if path.is_symlink() or path.exists():
        shutil.rmtree(path)
    path.mkdir(mode=0o700)
    if identity.changes:
        os.chown(path, identity.uid, identity.gid)


def read_passwords(cluster: Path) -> dict[str, str]:
    """The generated passwords by role; raises PasswordsLost."""
    path = cluster / PASSWORDS_NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            passwords = json.load(file)
        return {role: str(passwords[role]) for role in ("chappe", "postgres")}
    except OSError as trouble:
        raise PasswordsLost(path=path, reason=trouble.strerror) from trouble
    except (ValueError, KeyError, TypeError) as trouble:
        raise PasswordsLost(path=path, reason="the file is damaged") from trouble


def make_socket_directory(cluster: Path, identity: Identity, bases: Sequence[Path] | None = None) -> Path:
    """A short directory for the socket, of the server's user, mode 0700; raises SocketNotUsable.

    Not below the data directory: that path may be longer than a socket's address can be. The name follows from the
    data's path, so that a restart comes back to it; if somebody else has put that name there first, a random name is
    taken instead, since attached commands read the true one from postmaster.pid.
    """
    name = f"chappe-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]}"
    candidates = bases if bases is not None else _socket_bases()
    for base in candidates:
        # mkdtemp adds eight letters and a dash to the name
        if len(os.fsencode(base / name / f".s.PGSQL.{PORT}")) + 9 > _SOCKET_PATH_OCTETS_MAX:
            continue
        directory = base / name
        try:
            if not _take(directory, identity):
                directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))
                _give(directory, identity)
        except OSError:
            continue  # the next one
        return directory
    raise SocketNotUsable(tried=", ".join(map(str, candidates)))


def _socket_bases() -> list[Path]:
    uid = os.geteuid()
    run = Path("/run") if uid == 0 else Path(f"/run/user/{uid}")
    return [base for base in (run, Path(tempfile.gettempdir()), Path("/tmp")) if base.is_dir()]


def _take(directory: Path, identity: Identity) -> bool:
    """Makes the directory, or takes the one that is there if it is a real directory of ours."""
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        there = directory.lstat()
        if not stat.S_ISDIR(there.st_mode) or there.st_uid not in (os.geteuid(), identity.uid):
            return False
    _give(directory, identity)
    return True


def _give(directory: Path, identity: Identity) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if identity.changes:
            os.fchown(descriptor, identity.uid, identity.gid)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
