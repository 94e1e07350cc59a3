"""Two PostgreSQL servers on machines of their own: a primary and its synchronous standby, promoted and rebuilt."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
from nodes_lan import Machine
from program import until

from chappe.embedded.binaries import installed

ROLE = "chappe"
DATABASE = "chappe"
PORT = 5432
# What docs/operators/several-nodes.md advises; sizes are those of a test.
_SETTINGS = """
listen_addresses = '*'
port = 5432
unix_socket_directories = ''
max_connections = 100
shared_buffers = 64MB
fsync = on
full_page_writes = on
synchronous_commit = on
wal_level = replica
wal_keep_size = 512MB
max_wal_senders = 10
hot_standby = on
wal_sender_timeout = 10s
wal_receiver_timeout = 10s
tcp_keepalives_idle = 5
tcp_keepalives_interval = 2
tcp_keepalives_count = 3
log_min_error_statement = panic
log_parameter_max_length_on_error = 0
"""
_ACCESS = """
host all all 10.77.1.0/24 trust
host replication all 10.77.1.0/24 trust
"""


class Pair:
    """The two servers. primary: the machine that writes now."""

    def __init__(self, folder: Path, first: Machine, second: Machine) -> None:
        self.folder = folder
        self.machines = (first, second)
        self.primary = first
        self.promotions = 0
        self._bin = max(installed(), key=lambda one: one.major).bin_dir
        self._user = next(name for name in ("postgres", "nobody") if _exists(name))
        self._servers: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def standby(self) -> Machine:
        return self.machines[1] if self.primary is self.machines[0] else self.machines[0]

    @property
    def url(self) -> str:
        """Both, as nodes are told: whichever may be written to is the one."""
        hosts = ",".join(f"{machine.address('data')}:{PORT}" for machine in self.machines)
        return f"postgresql://{ROLE}@{hosts}/{DATABASE}"

    def start(self) -> None:
        """Makes the database and starts both servers; returns when the standby is in step."""
        data = self._empty(self.primary)
        self._run(self.primary, "initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--data-checksums")
        (data / "postgresql.auto.conf").write_text(_SETTINGS)
        (data / "pg_hba.conf").write_text(_ACCESS)
        self._serve(self.primary)
        self.ask(f"create role {ROLE} login", user="postgres", database="postgres")
        self.ask(f"create database {DATABASE} owner {ROLE}", user="postgres", database="postgres")
        self.rebuild()

    def rebuild(self) -> None:
        """Makes the other machine a standby of the primary, from nothing, and has commits wait for it."""
        standby = self.standby
        data = self._empty(standby)
        source = f"host={self.primary.address('data')} port={PORT} user=postgres application_name={standby.name}"
        self._run(standby, "pg_basebackup", "-D", str(data), "-X", "stream", "-c", "fast", "-R", "-d", source)
        self._serve(standby)
        self._set_standby(standby.name)
        until(self.in_step, f"{standby.name} to be a synchronous standby", 60.0)

    def in_step(self) -> bool:
        """Whether commits wait for the standby's disk at this moment."""
        rows = self.ask("select sync_state from pg_stat_replication", user="postgres")
        return [row["sync_state"] for row in rows] == ["sync"]

    def promote(self) -> None:
        """Makes the standby the primary, alone for now. The caller has made sure that the old one is off."""
        self.primary = self.standby
        self.promotions += 1
        assert self.ask("select pg_promote()", user="postgres")[0]["pg_promote"] is True
        self._set_standby("")

    def ask(self, statement: str, *, user: str = ROLE, database: str = DATABASE) -> list[dict[str, Any]]:
        """What a statement gives on the primary."""
        return self.ask_of(self.primary, statement, user=user, database=database)

    def ask_of(
        self, machine: Machine, statement: str, *, user: str = "postgres", database: str = DATABASE
    ) -> list[dict[str, Any]]:
        """What a statement gives on one of the two."""

        async def asked() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(
                host=machine.address("data"), port=PORT, user=user, database=database, timeout=10
            )
            try:
                return [dict(row) for row in await connection.fetch(statement, timeout=60)]
            finally:
                await connection.close()

        return asyncio.run(asked())

    def _set_standby(self, name: str) -> None:
        names = f"FIRST 1 ({name})" if name else ""
        self.ask(f"alter system set synchronous_standby_names = '{names}'", user="postgres")
        self.ask("select pg_reload_conf()", user="postgres")

    def _serve(self, machine: Machine) -> None:
        data = self._data(machine)
        (data / "postmaster.pid").unlink(missing_ok=True)  # of the life before: process ids begin anew here
        command = [*self._as_user(), str(self._bin / "postgres"), "-D", str(data)]
        self._servers[machine.name] = machine.start(command, self.folder / f"{machine.name}.log")

        def answers() -> bool:
            assert self._servers[machine.name].poll() is None, (self.folder / f"{machine.name}.log").read_text()[-3000:]
            words = ["-h", machine.address("data"), "-p", str(PORT), "-q"]
            return subprocess.run([str(self._bin / "pg_isready"), *words], timeout=20).returncode == 0

        until(answers, f"PostgreSQL on {machine.name} to answer", 60.0)

    def _run(self, machine: Machine, program: str, *arguments: str) -> None:
        machine.run(*self._as_user(), str(self._bin / program), *arguments)

    def _as_user(self) -> list[str]:
        return ["setpriv", f"--reuid={self._user}", f"--regid={pwd.getpwnam(self._user).pw_gid}", "--clear-groups"]

    def _empty(self, machine: Machine) -> Path:
        """The machine's data directory, with nothing in it."""
        data = self._data(machine)
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        os.chown(data, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)
        return data

    def _data(self, machine: Machine) -> Path:
        return self.folder / "postgres" / machine.name


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
