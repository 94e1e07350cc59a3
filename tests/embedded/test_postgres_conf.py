"""The settings as the running server has them, and as text."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from chappe.embedded import postgres_conf
from chappe.embedded.server import ConnectionParameters


async def ask(parameters: ConnectionParameters, query: str) -> object:
    connection = await asyncpg.connect(**parameters.arguments(), timeout=10)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.mark.every_postgres
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("shared_buffers", "128MB"),
        ("log_min_error_statement", "panic"),
        ("log_error_verbosity", "terse"),
        ("log_parameter_max_length_on_error", "0"),
    ],
)
async def test_settings_hold(postgres_server: object, name: str, value: str) -> None:
    assert await ask(postgres_server.superuser, f"SHOW {name}") == value  # type: ignore[attr-defined]


@pytest.mark.every_postgres
@pytest.mark.asyncio
async def test_text_behaves_alike_on_every_version(database: ConnectionParameters) -> None:
    assert await ask(database, "SELECT upper('é') || lower('Œ')") == "Éœ"
    assert await ask(database, "SELECT array_agg(x ORDER BY x) FROM unnest('{b,é,a,Z}'::text[]) x") == list("Zabé")


def test_quotes_in_a_path_stay_inside_the_value() -> None:
    text = postgres_conf.render(18, Path("/tmp/it's \\ here"))
    assert "unix_socket_directories = '/tmp/it''s \\\\ here'" in text


@pytest.mark.parametrize(("major", "present"), [(15, False), (17, False), (18, True)])
def test_newer_settings_are_left_out_for_older_servers(major: int, present: bool) -> None:
    assert ("io_method" in postgres_conf.render(major, Path("/tmp"))) is present
