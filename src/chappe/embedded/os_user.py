"""Decides as which user PostgreSQL runs, since it refuses to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from chappe.embedded.errors import UserNotUsable

# Users that exist already, in order of preference; we never create one.
_UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of the server; `changes` says that we are root and have to become this user."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    changes: bool


def choose_identity(configured: str | None, owner_uid: int | None) -> Identity:
    """The user for a data directory that belongs to `owner_uid` (None: there is no data yet).

    As an ordinary user: ourselves. As root: the owner of existing data, which only that user may open; for new data the
    configured user, else `postgres`, else `nobody`. Raises UserNotUsable.
    """
    own_uid = os.geteuid()
    if own_uid != 0:
        return _ourselves(own_uid, configured, owner_uid)
    if owner_uid is not None:
        return _owner(configured, owner_uid)
    for name in (configured,) if configured is not None else _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _become(entry)
    raise UserNotUsable(
        user=configured or " or ".join(_UNPRIVILEGED), reason="this machine has no such user, and root is refused"
    )


def _ourselves(own_uid: int, configured: str | None, owner_uid: int | None) -> Identity:
    name = _name(own_uid)
    if configured not in (None, name):
        raise UserNotUsable(user=configured, reason=f"only root may change the user, and Chappe runs as {name}")
    if owner_uid not in (None, own_uid):
        raise UserNotUsable(user=name, reason=f"the data belongs to {_name(owner_uid)}; run Chappe as that user")
    return Identity(name, own_uid, os.getegid(), tuple(os.getgroups()), changes=False)


def _owner(configured: str | None, owner_uid: int) -> Identity:
    name = _name(owner_uid)
    if owner_uid == 0:
        raise UserNotUsable(user="root", reason="PostgreSQL refuses root, and the existing data belongs to root")
    if configured not in (None, name):
        raise UserNotUsable(user=configured, reason=f"the existing data belongs to {name}")
    try:
        return _become(pwd.getpwuid(owner_uid))
    except KeyError:
        raise UserNotUsable(user=name, reason="the existing data belongs to a user that no longer exists") from None


def _become(entry: pwd.struct_passwd) -> Identity:
    if entry.pw_uid == 0:
        raise UserNotUsable(user=entry.pw_name, reason="PostgreSQL refuses root")
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return Identity(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(groups), changes=True)


def _name(uid: int | None) -> str:
    if uid is None:
        return "nobody known"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
