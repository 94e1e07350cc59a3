"""The settings of the embedded PostgreSQL: chappe.conf, written anew at each start so that our changes apply.

The operator's own settings belong into postgresql.auto.conf (ALTER SYSTEM), which is read last and wins.
"""

from __future__ import annotations

from pathlib import Path

from chappe.embedded.process import LOG_LINE_PREFIX

PORT = 5432
FILE_NAME = "chappe.conf"
INCLUDE_LINE = f"include_if_exists = '{FILE_NAME}'"

_SETTINGS: dict[str, str] = {
    # Only through the socket, only for its owner.
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    # Said yes means durable: these are the defaults, written down because nobody may turn them off for speed.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # Many small commits: few checkpoints, spread out. Buffers are touched lazily and never given back: with twice as
    # many, all processes had 470 MiB after an hour of 200 messages a second, and no message was cheaper, since the
    # kernel caches too.
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    # Our statements are short: compiling them costs more than it gives.
    "jit": "off",
    "max_connections": "100",
    "max_locks_per_transaction": "128",  # time partitions: each takes a lock
    "random_page_cost": "1.1",
    # Hot tables decay within seconds; most of the rest is set per table. Claims begin where the last one ended, so that
    # what is dead before that costs them nothing; each look of the launcher costs a process.
    "autovacuum_naptime": "15s",
    # While somebody's forgotten transaction holds a snapshot nothing that is gone can be cleared away.
    "idle_in_transaction_session_timeout": "2min",
    "max_logical_replication_workers": "0",
    "track_io_timing": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # To stderr, where we read it; never a statement, a parameter or a quoted row, because these hold numbers and texts.
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": LOG_LINE_PREFIX,
    "lc_messages": "C",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}


def render(major: int, socket_directory: Path) -> str:
    """The text of chappe.conf for a server of version `major`."""
    settings = _SETTINGS | {"unix_socket_directories": str(socket_directory)}
    if major >= 18:
        settings["io_method"] = "sync"  # no idle I/O processes; our data fits in memory
    lines = [f"{name} = '{_quoted(value)}'" for name, value in settings.items()]
    head = "# Written by Chappe at each start: changes here are lost. Use ALTER SYSTEM for your own settings."
    return "\n".join((head, *lines, ""))


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
