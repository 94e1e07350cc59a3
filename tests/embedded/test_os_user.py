"""Who runs PostgreSQL."""

from __future__ import annotations

import os
import pwd

import pytest

from chappe.embedded.errors import UserNotUsable
from chappe.embedded.os_user import choose_identity

NOBODY = pwd.getpwnam("nobody")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user")


@AS_ROOT
def test_root_becomes_an_existing_unprivileged_user() -> None:
    identity = choose_identity(None, None)
    assert identity.name in ("postgres", "nobody")
    assert identity.uid == pwd.getpwnam(identity.name).pw_uid
    assert identity.changes
    assert 0 not in (identity.uid, identity.gid, *identity.groups)


@AS_ROOT
def test_root_becomes_whom_the_operator_names_or_whom_the_data_belongs_to() -> None:
    assert choose_identity("nobody", None).uid == NOBODY.pw_uid
    assert choose_identity(None, NOBODY.pw_uid).uid == NOBODY.pw_uid
    assert choose_identity("nobody", NOBODY.pw_uid).uid == NOBODY.pw_uid


@AS_ROOT
@pytest.mark.parametrize(
    ("configured", "owner_uid", "sentence"),
    [
        ("no-such-user", None, "cannot run as no-such-user: this machine has no such user"),
        ("root", None, "cannot run as root: PostgreSQL refuses root"),
        (None, 0, "the existing data belongs to root"),
        ("daemon", NOBODY.pw_uid, "cannot run as daemon: the existing data belongs to nobody"),
        (None, 3_999_999, "a user that no longer exists"),
    ],
)
def test_users_that_cannot_serve_are_refused(configured: str | None, owner_uid: int | None, sentence: str) -> None:
    with pytest.raises(UserNotUsable, match=sentence):
        choose_identity(configured, owner_uid)


def test_an_ordinary_user_stays_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY.pw_uid)
    assert not choose_identity(None, None).changes
    assert choose_identity("nobody", NOBODY.pw_uid).uid == NOBODY.pw_uid
    with pytest.raises(UserNotUsable, match="only root may change the user"):
        choose_identity("daemon", None)
    with pytest.raises(UserNotUsable, match="the data belongs to root; run Chappe as that user"):
        choose_identity(None, 0)
