"""Root is given up where strangers are served, and what cannot be given up is said."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from typing import Any

import pytest

from chappe.config import Config
from chappe.embedded.errors import UserNotUsable
from chappe.embedded.os_user import Identity
from chappe.node import privileges

NOBODY = pwd.getpwnam("nobody")
SERVER = Identity("nobody", NOBODY.pw_uid, NOBODY.pw_gid, (NOBODY.pw_gid,), changes=True)
OTHER = Identity("other", NOBODY.pw_uid - 1, NOBODY.pw_gid, (), changes=True)


@pytest.fixture
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    async def yes(_user: privileges.User) -> bool:
        return True

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(privileges, "_may_run", yes)


@pytest.mark.parametrize(
    ("given", "database", "changes", "told"),
    [
        ({"host": "0.0.0.0"}, SERVER, True, False),
        ({"host": "::"}, SERVER, True, False),
        ({"host": "127.0.0.1", "trusted_proxies": ("127.0.0.1",)}, SERVER, True, False),
        ({"host": "127.0.0.1"}, SERVER, False, False),
        ({"host": "127.0.0.1", "process_user": "nobody"}, SERVER, True, False),
        ({"host": "0.0.0.0", "process_user": "root"}, SERVER, False, True),
        ({"host": "0.0.0.0"}, None, False, True),
        ({"host": "0.0.0.0", "process_user": "nobody"}, None, True, False),
    ],
)
@pytest.mark.usefixtures("_root")
@pytest.mark.asyncio
async def test_root_is_given_up_where_strangers_are_served(
    given: dict[str, Any], database: Identity | None, changes: bool, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    user = await privileges.user_for(Config(**given), database)
    assert (user is not None and user.uid == NOBODY.pw_uid) is changes
    assert ("served_as_root" in caplog.text) is told


@pytest.mark.usefixtures("_root")
@pytest.mark.asyncio
async def test_a_user_who_may_not_use_the_database_or_does_not_exist_is_refused() -> None:
    for name, database in (("nobody", OTHER), ("no such user", None)):
        with pytest.raises(UserNotUsable):
            await privileges.user_for(Config(process_user=name), database)


@pytest.mark.asyncio
async def test_whoever_is_not_root_stays_who_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert await privileges.user_for(Config(host="0.0.0.0"), SERVER) is None


@pytest.mark.asyncio
async def test_programs_that_the_user_may_not_read_stay_with_root_which_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(privileges, "TRIAL", "raise SystemExit(1)")
    assert await privileges.user_for(Config(host="0.0.0.0"), SERVER) is None
    assert "served_as_root" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user")
def test_who_gave_up_root_cannot_take_it_back() -> None:
    program = f"""
import os
from chappe.node.privileges import User, become
become(User({NOBODY.pw_uid}, {NOBODY.pw_gid}, ({NOBODY.pw_gid},), "/"))
try:
    os.setuid(0)
except PermissionError:
    print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ["HOME"])
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    assert said.stdout.strip() == f"{(uid,) * 3} {(gid,) * 3} {[gid]} /"
