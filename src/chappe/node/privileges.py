"""Gives up root: which user the processes become that customers and carriers reach, and how they become it.

The supervisor stays what it is: it opens the ports, and starts and ends the others. It reads nothing that strangers
write.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from chappe.embedded.errors import UserNotUsable
from chappe.embedded.os_user import Identity, choose_identity
from chappe.observability.logs import get_logger

if TYPE_CHECKING:
    from chappe.config import Config

log = get_logger("chappe")

ROOT = "root"
TRIAL = "import chappe.node.processes"
TRIAL_S = 30.0


class User(msgspec.Struct, frozen=True):
    """Whom a process becomes: numbers of the user, its group and its other groups; home: where its own files are."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


async def user_for(config: Config, database: Identity | None) -> User | None:
    """Whom this node's processes become; None: they stay who we are.

    database: who runs the embedded PostgreSQL, whose socket nobody else may use. By itself a node with another database
    changes nothing: that may know its users by their system user. Raises UserNotUsable for a user that is set and does
    not exist, or may not use the embedded database.
    """
    if os.geteuid() != 0:
        return None
    if config.process_user is None:
        if config.listens_on_loopback:
            return None
        identity = database
    else:
        identity = None if config.process_user == ROOT else choose_identity(config.process_user, None)
    if identity is None:
        _tell(config, "process_user says so" if config.process_user == ROOT else "process_user names no other user")
        return None
    if database is not None and identity.uid != database.uid:
        raise UserNotUsable(user=identity.name, reason=f"only {database.name} may use the embedded database")
    user = User(identity.uid, identity.gid, identity.groups, _home(identity))
    if not await _may_run(user):
        _tell(config, f"the user {identity.name} may not read Chappe's programs at {sys.prefix}")
        return None
    log.info("root_given_up", user=identity.name)
    return user


def become(user: User) -> None:
    """Makes this process one of that user, for good."""
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    os.environ["HOME"] = user.home  # libraries look for their files there, and may not look into root's


def _home(identity: Identity) -> str:
    import pwd

    return pwd.getpwuid(identity.uid).pw_dir


async def _may_run(user: User) -> bool:
    """Whether this user can run our programs: an environment below /root is root's alone."""

    def try_it() -> bool:
        try:
            subprocess.run(
                [sys.executable, "-c", TRIAL],
                user=user.uid,
                group=user.gid,
                extra_groups=user.groups,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=TRIAL_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return True

    return await asyncio.to_thread(try_it)  # the loop's own subprocesses cannot change the user


def _tell(config: Config, why: str) -> None:
    if not config.listens_on_loopback:
        log.warning(
            "served_as_root",
            why=why,
            what="customers reach processes that run as root: run Chappe as its own user (docs/operators/install.md)",
        )
