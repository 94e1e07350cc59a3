"""What is ours on disk, and what is left alone."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from chappe.embedded import data_directory
from chappe.embedded.errors import DataNotOurs, DataNotUsable, PasswordsLost, SocketNotUsable
from chappe.embedded.os_user import Identity

OURSELVES = Identity("ourselves", os.geteuid(), os.getegid(), (), changes=False)


def fill(data: Path, *names: str) -> Path:
    """Makes files (or directories, with a final slash)."""
    data.mkdir(exist_ok=True)
    for name in names:
        path = data / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    return data


@pytest.mark.parametrize(
    "names",
    [(), ("chappe.toml",), ("lost+found/",), ("chappe.lock", "notes.txt"), ("chappe.lock", "postgres/PG_VERSION")],
)
def test_empty_directories_and_our_own_are_claimed(tmp_path: Path, names: tuple[str, ...]) -> None:
    data_directory.claim(fill(tmp_path / "var", *names))


def test_a_missing_directory_is_made_for_the_server_to_pass_through_only(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "var"
    data_directory.claim(data)
    assert stat.S_IMODE(data.stat().st_mode) == 0o711


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("holiday.jpg",), "holds holiday.jpg"),
        (("PG_VERSION", "base/"), "the data of another PostgreSQL"),
        (("chappe.lock", "postgres/poem.txt"), "it is no database"),
        (("postgres/",), "holds postgres"),
    ],
)
def test_other_peoples_directories_are_refused(tmp_path: Path, names: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(DataNotOurs, match=sentence):
        data_directory.claim(fill(tmp_path / "var", *names))


def test_a_path_through_a_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    fill(tmp_path, "file")
    with pytest.raises(DataNotUsable, match="cannot be used: Not a directory"):
        data_directory.claim(tmp_path / "file" / "var")
    with pytest.raises(DataNotUsable, match="cannot be used: Not a directory"):
        data_directory.claim(tmp_path / "file")


@pytest.mark.parametrize(("text", "expected"), [("15\n", 15), ("18", 18), (None, None)])
def test_the_version_of_the_data_is_read(tmp_path: Path, text: str | None, expected: int | None) -> None:
    if text is not None:
        (tmp_path / "PG_VERSION").write_text(text)
    assert data_directory.cluster_major(tmp_path) == expected


def test_a_damaged_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("9.6")
    with pytest.raises(DataNotUsable, match=r"PG_VERSION says '9\.6'"):
        data_directory.cluster_major(tmp_path)


def test_an_exclusive_lock_keeps_all_others_out_and_tells_who_has_it(tmp_path: Path) -> None:
    first, second = (data_directory.FileLock(tmp_path / "lock") for _ in range(2))
    assert first.acquire(note="42 serve\n")
    assert not second.acquire()
    assert not second.acquire(shared=True)
    assert second.note() == "42 serve"
    first.release()
    assert second.acquire(note="7 command\n")
    assert first.note() == "7 command"


def test_shared_locks_go_together_and_keep_an_exclusive_one_out(tmp_path: Path) -> None:
    first, second, third = (data_directory.FileLock(tmp_path / "lock") for _ in range(3))
    assert first.acquire(shared=True)
    assert second.acquire(shared=True)
    assert not third.acquire()
    first.release()
    second.release()
    assert third.acquire()


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    fill(tmp_path, "target")
    (tmp_path / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(DataNotUsable, match="lock: Too many levels of symbolic links"):
        data_directory.FileLock(tmp_path / "lock").acquire()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("77\n/d\n1\n5432\n/run/x\n\n 1 2\nready   \n", data_directory.Postmaster(77, Path("/run/x"), ready=True)),
        ("77\n/d\n1\n5432\n/run/x\n\n 1 2\nstarting\n", data_directory.Postmaster(77, Path("/run/x"), ready=False)),
        ("77\n/d\n", data_directory.Postmaster(77, None, ready=False)),
        ("-77\n", data_directory.Postmaster(77, None, ready=False)),  # single-user mode writes it so
        ("", None),
        ("garbage\n", None),
        (None, None),
    ],
)
def test_the_file_of_the_postmaster_is_read(
    tmp_path: Path, text: str | None, expected: data_directory.Postmaster | None
) -> None:
    if text is not None:
        (tmp_path / "postmaster.pid").write_text(text)
    assert data_directory.read_postmaster(tmp_path) == expected


def test_a_process_id_that_a_stranger_has_now_is_no_server_of_ours(tmp_path: Path) -> None:
    assert not data_directory.Postmaster(os.getpid(), None, ready=True).lives_on(tmp_path)
    assert data_directory.Postmaster(os.getpid(), None, ready=True).lives_on(Path.cwd())
    assert not data_directory.Postmaster(2**22 + 1, None, ready=True).lives_on(tmp_path)


def test_files_for_the_server_are_private_whole_and_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    path = tmp_path / "chappe.conf"
    path.symlink_to(tmp_path / "victim")
    data_directory.write_for_server(path, "ours", OURSELVES)
    assert (path.read_text(), (tmp_path / "victim").read_text()) == ("ours", "mine")
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["chappe.conf", "victim"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "No such file"), ("{", "damaged"), ("[]", "damaged"), ('{"chappe": "x"}', "damaged")],
)
def test_lost_passwords_are_told_in_one_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "chappe.passwords").write_text(text)
    with pytest.raises(PasswordsLost, match=sentence):
        data_directory.read_passwords(tmp_path)


def test_the_socket_directory_is_short_private_and_the_same_each_time(tmp_path: Path) -> None:
    cluster = tmp_path / ("deep" * 60) / "postgres"
    base = Path("/tmp")
    first = data_directory.make_socket_directory(cluster, OURSELVES, [base])
    try:
        assert len(os.fsencode(first / ".s.PGSQL.5432")) <= 103
        assert stat.S_IMODE(first.stat().st_mode) == 0o700
        assert data_directory.make_socket_directory(cluster, OURSELVES, [base]) == first
        first.chmod(0o755)
        data_directory.make_socket_directory(cluster, OURSELVES, [base])
        assert stat.S_IMODE(first.stat().st_mode) == 0o700
    finally:
        first.rmdir()


def test_a_name_that_somebody_took_first_is_not_used(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        taken = data_directory.make_socket_directory(tmp_path, OURSELVES, [Path(base)])
        taken.rmdir()
        taken.symlink_to(tmp_path)
        other = data_directory.make_socket_directory(tmp_path, OURSELVES, [Path(base)])
        assert other != taken
        assert other.parent == Path(base)
        assert not other.is_symlink()
        assert stat.S_IMODE(other.stat().st_mode) == 0o700


def test_too_long_or_closed_places_for_the_socket_are_passed_over_and_named(tmp_path: Path) -> None:
    long, missing = tmp_path / ("x" * 90), tmp_path / "missing"
    long.mkdir()
    with pytest.raises(SocketNotUsable, match=r"tried .*xxx.*missing"):
        data_directory.make_socket_directory(tmp_path, OURSELVES, [long, missing])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write as root")
@pytest.mark.parametrize("before", ["missing", "left by root"])
def test_what_root_locks_in_somebody_s_folder_belongs_to_the_folder_s_owner(tmp_path: Path, before: str) -> None:
    """`sudo chappe account list` once must not lock the service's own user out."""
    data = fill(tmp_path / "var", *(["chappe.clients"] if before != "missing" else []))
    os.chown(data, 65_534, 65_533)
    lock = data_directory.FileLock(data / "chappe.clients")
    assert lock.acquire(shared=True)
    lock.release()
    found = lock.path.stat()
    assert (found.st_uid, found.st_gid) == (65_534, 65_533)
    assert stat.S_IMODE(found.st_mode) & 0o600 == 0o600
