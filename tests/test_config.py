"""The configuration: precedence, every way to be wrong, and the reference page."""

import re
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe import config
from chappe.config import OWN_ADDRESSES, SETTINGS, Config, ConfigError, describe, load, setting

ROOT = Path(__file__).parent.parent


def load_from(folder: Path, toml: str, environment: dict[str, str] | None = None, **flags: object) -> Config:
    """The configuration of a data folder that holds this chappe.toml."""
    (folder / "chappe.toml").write_text(toml, encoding="utf-8")
    return load({"data": folder, **flags}, environment or {})


def test_defaults_are_those_of_the_table() -> None:
    assert load({}, {}) == Config()


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    toml = "port = 1\nhost = '::1'\napi_processes = 4\n"
    found = load_from(tmp_path, toml, {"CHAPPE_PORT": "2", "CHAPPE_HOST": "0.0.0.0"}, port="3")
    assert (found.port, found.host, found.api_processes, found.handset_port) == (3, "0.0.0.0", 4, 2775)


def test_a_flag_that_is_none_and_a_variable_that_is_empty_count_as_not_given(tmp_path: Path) -> None:
    found = load_from(tmp_path, "port = 1\nhost = '::1'", {"CHAPPE_HOST": "", "CHAPPE_DATABASE_URL": ""}, port=None)
    assert (found.port, found.host, found.database_url) == (1, "::1", None)


def test_the_data_folder_of_a_variable_is_where_the_file_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "chappe.toml").write_text("port = 1")
    assert load({}, {"CHAPPE_DATA": str(tmp_path)}).port == 1
    assert load({"data": tmp_path / "elsewhere"}, {"CHAPPE_DATA": str(tmp_path)}).port == 8080


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_named_file_replaces_that_of_the_data_folder(tmp_path: Path, by_variable: bool) -> None:
    (tmp_path / "chappe.toml").write_text("port = 1")
    named = tmp_path / "etc" / "other.toml"
    named.parent.mkdir()
    named.write_text("handset_port = 5\ndata = 'below'")
    environment = {"CHAPPE_CONFIG": str(named)} if by_variable else {}
    found = load({}, environment, None if by_variable else named)
    assert (found.port, found.handset_port, found.data) == (8080, 5, tmp_path / "etc" / "below")


def test_the_environment_of_the_process_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPPE_PORT", "4242")
    assert load({"data": "/nonexistent"}).port == 4242


def test_variables_of_others_are_left_alone() -> None:
    assert load({}, {"PATH": "/bin", "CHAPPED": "x", "chappe_port": "1"}) == Config()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("CHAPPE_PORT", "0", "port", 0),
        ("CHAPPE_ROLES", "api", "roles", frozenset({"api"})),
        ("CHAPPE_ROLES", " api , work,", "roles", frozenset({"api", "work"})),
        ("CHAPPE_DEMO", "no", "demo", False),
        ("CHAPPE_DEMO", "ON", "demo", True),
        ("CHAPPE_DATABASE_URL", "postgres://u:p@h/n", "database_url", "postgres://u:p@h/n"),
        ("CHAPPE_DATABASE_URL", "none", "database_url", None),
        ("CHAPPE_WEBHOOK_TIMEOUT_S", "2.5", "webhook_timeout_s", 2.5),
        ("CHAPPE_WEBHOOK_TIMEOUT_S", "3", "webhook_timeout_s", 3.0),
        ("CHAPPE_WEBHOOK_ALLOW_PRIVATE", "auto", "webhook_allow_private", None),
        ("CHAPPE_WEBHOOK_ALLOW_PRIVATE", "true", "webhook_allow_private", True),
        ("CHAPPE_WEBHOOK_ALLOW_PRIVATE", "0", "webhook_allow_private", False),
        ("CHAPPE_WEBHOOK_ALLOW_PRIVATE", "10.0.0.0/8, ::1", "webhook_allow_private", ("10.0.0.0/8", "::1")),
        ("CHAPPE_TRUSTED_PROXIES", "10.0.0.5, fd00::/8", "trusted_proxies", ("10.0.0.5", "fd00::/8")),
        ("CHAPPE_WEBHOOK_PORTS", "80,443", "webhook_ports", (80, 443)),
        (
            "CHAPPE_POSTGRES_BIN_DIR",
            "/usr/lib/postgresql/15/bin",
            "postgres_bin_dir",
            Path("/usr/lib/postgresql/15/bin"),
        ),
        ("CHAPPE_STOP_MENTION", " STOP au {sender}", "stop_mention", " STOP au 36111"),
    ],
)
def test_text_becomes_a_value_and_flags_read_the_same_text(variable: str, text: str, name: str, value: Any) -> None:
    assert getattr(load({}, {variable: text}), name) == value
    assert getattr(load({name: text}, {}), name) == value


@pytest.mark.parametrize(
    ("toml", "name", "value"),
    [
        ("roles = ['work']", "roles", frozenset({"work"})),
        ("roles = 'work'", "roles", frozenset({"work"})),
        ("webhook_ports = [8000]", "webhook_ports", (8000,)),
        ("webhook_timeout_s = 3", "webhook_timeout_s", 3.0),
        ("webhook_allow_private = ['fd00::/8']", "webhook_allow_private", ("fd00::/8",)),
        ("metrics = false", "metrics", False),
    ],
)
def test_toml_has_its_own_types(tmp_path: Path, toml: str, name: str, value: Any) -> None:
    assert getattr(load_from(tmp_path, toml), name) == value


@pytest.mark.parametrize(
    ("flags", "environment", "sentence"),
    [
        ({"port": "x"}, {}, '--port: "x" is not usable; expected a whole number from 0 to 65535'),
        ({"port": True}, {}, '--port: "true" is not usable; expected a whole number from 0 to 65535'),
        ({"data": ""}, {}, '--data: "" is not usable; expected a path'),
        ({"hots": "x"}, {}, "unknown flag --hots; did you mean --host?"),
        ({"xyzzy": "x"}, {}, "unknown flag --xyzzy"),
        ({}, {"CHAPPE_PROT": "1"}, "unknown environment variable CHAPPE_PROT; did you mean CHAPPE_PORT?"),
        ({}, {"CHAPPE_port": "1"}, "unknown environment variable CHAPPE_port; did you mean CHAPPE_PORT?"),
        ({}, {"CHAPPE_CONFG": "1"}, "unknown environment variable CHAPPE_CONFG; did you mean CHAPPE_CONFIG?"),
        ({}, {"CHAPPE_PORT": "65536"}, 'CHAPPE_PORT: "65536" is not usable; expected a whole number from 0 to 65535'),
        ({}, {"CHAPPE_DEMO": "maybe"}, 'CHAPPE_DEMO: "maybe" is not usable; expected true or false'),
        ({}, {"CHAPPE_LOG_FORMAT": "xml"}, 'CHAPPE_LOG_FORMAT: "xml" is not usable; expected console or json'),
        ({}, {"CHAPPE_ROLES": ","}, 'CHAPPE_ROLES: "," is not usable; expected api or work, separated by commas'),
        (
            {},
            {"CHAPPE_ROLES": "api,wrk"},
            'CHAPPE_ROLES: "api,wrk" is not usable; expected api or work, separated by commas',
        ),
        (
            {},
            {"CHAPPE_SENDER_DEFAULT": "36 111"},
            'CHAPPE_SENDER_DEFAULT: "36 111" is not usable; expected 3 to 8 digits',
        ),
        (
            {},
            {"CHAPPE_WEBHOOK_TIMEOUT_S": "0"},
            'CHAPPE_WEBHOOK_TIMEOUT_S: "0" is not usable; expected a number above 0 to 300',
        ),
        ({"webhook_allow_private": "10.0.0.1/8"}, {}, "--webhook-allow-private: 10.0.0.1/8 has host bits set"),
        (
            {"database_url": "mysql://u:hush@h"},
            {},
            "--database-url: this value is not usable; expected postgresql://user@host/name",
        ),
        ({}, {"CHAPPE_CONFIG": "/nonexistent/c.toml"}, "/nonexistent/c.toml: there is no such configuration file"),
    ],
)
def test_trouble_is_one_line_that_says_where_and_what(
    flags: dict[str, object], environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(flags, environment)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"prot = 1", "unknown setting prot; did you mean port?"),
        (b"port = 'x'", 'port: "x" is not usable; expected a whole number from 0 to 65535'),
        (b"port = 1.5", 'port: "1.5" is not usable; expected a whole number from 0 to 65535'),
        (b"host = 1979-05-27", 'host: "1979-05-27" is not usable; expected text'),
        (b"[web]\nport = 1", "unknown setting web"),
        (b'"a\\nb" = 1', "unknown setting a\\nb"),
        (b"port =", "is not TOML: Invalid value (at end of document)"),
        (b"host = '\xff'", "is not TOML: 'utf-8' codec can't decode byte 0xff in position 8: invalid start byte"),
        (b"data = 'x'", "data cannot be set by the file inside it; use --data or CHAPPE_DATA"),
    ],
)
def test_trouble_in_the_file_names_the_file(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "chappe.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load({"data": tmp_path}, {})
    assert str(caught.value) == f"{tmp_path / 'chappe.toml'}: {sentence}"


def test_a_file_that_cannot_be_read_is_an_error_not_an_absence(tmp_path: Path) -> None:
    (tmp_path / "chappe.toml").mkdir()
    with pytest.raises(ConfigError, match=r"chappe\.toml: cannot be read: Is a directory"):
        load({"data": tmp_path}, {})


def test_the_password_of_the_database_is_not_shown() -> None:
    assert "hush" not in repr(load({"database_url": "postgresql://u:hush@h/n"}, {}))


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load({}, {}).port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("[::]", False),
        ("192.168.1.2", False),
        ("sms.example.org", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback_is_not_private(host: str, loopback: bool) -> None:
    """Nothing but this machine's own addresses is open by itself, and strangers' numbers are never."""
    found = load({"host": host}, {})
    assert found.listens_on_loopback is loopback
    assert found.is_alone is loopback
    assert found.webhook_private_allowed == (OWN_ADDRESSES if loopback else False)
    assert found.strange_numbers_refused is True


@pytest.mark.parametrize(
    "flags",
    [
        {"trusted_proxies": "127.0.0.1"},
        {"database_url": "postgresql://chappe@db1/chappe"},
        {"roles": "work"},
        {"roles": "api"},
    ],
    ids=lambda flags: next(iter(flags)),
)
def test_what_is_one_of_several_or_behind_a_proxy_reaches_no_private_address(flags: dict[str, str]) -> None:
    assert load(flags, {}).webhook_private_allowed is False


def test_the_demo_mode_opens_what_the_demo_needs() -> None:
    found = load({"demo": True}, {})
    assert found.webhook_private_allowed is True
    assert found.strange_numbers_refused is False
    closed = load({"demo": True, "webhook_allow_private": False, "numbers_own_only": True}, {})
    assert closed.webhook_private_allowed is False
    assert closed.strange_numbers_refused is True


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"host": "0.0.0.0"}, "it wants a loopback host such as 127.0.0.1, not 0.0.0.0"),
        ({"host": "::"}, "it wants a loopback host such as 127.0.0.1, not ::"),
        ({"host": "192.168.1.2"}, "not 192.168.1.2; --no-demo serves without it"),
        ({"trusted_proxies": "127.0.0.1"}, "it takes no trusted_proxies"),
        ({"host": "0.0.0.0", "trusted_proxies": "10.0.0.1"}, "it takes no trusted_proxies"),
        ({"roles": "api"}, "it wants the roles api,work"),
        ({"roles": "work"}, "it wants the roles api,work"),
    ],
)
def test_the_demo_cannot_be_public(flags: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        load({"demo": True} | flags, {})
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        load({}, {"CHAPPE_DEMO": "yes"} | {f"CHAPPE_{name.upper()}": value for name, value in flags.items()})


def test_the_operator_decides_about_private_addresses() -> None:
    assert load({"host": "0.0.0.0", "webhook_allow_private": True}, {}).webhook_private_allowed is True
    assert load({"webhook_allow_private": "false"}, {}).webhook_private_allowed is False
    found = load({"webhook_allow_private": "10.0.0.0/8,fd00::/8"}, {}).webhook_private_allowed
    assert found == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_the_stop_mention_follows_the_short_code() -> None:
    assert load({"sender_default": "36180"}, {}).stop_mention == " STOP 36180"


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_every_setting_is_described_and_its_written_default_reads_back(row: config.Setting) -> None:
    assert row.help.endswith(".")
    assert f"| `{row.name}` | `{row.flag}` | `{row.variable}` | {row.expects} |" in describe()
    if row.default_text:
        assert getattr(load({}, {row.variable: row.default_text}), row.name) == getattr(Config(), row.name)


def test_a_setting_is_found_by_name_or_the_nearest_is_named() -> None:
    assert setting("port").flag == "--port"
    with pytest.raises(ConfigError, match="unknown setting prot; did you mean port"):
        setting("prot")


@given(st.sampled_from([row.variable for row in SETTINGS if row.name != "data"]), st.text(max_size=20))
def test_any_text_in_any_variable_is_a_value_or_one_clear_line(variable: str, text: str) -> None:
    try:
        outcome: object = load({"data": "/nonexistent"}, {variable: text})
    except ConfigError as error:
        outcome = error
    assert isinstance(outcome, Config) or len(str(outcome).splitlines()) == 1


def test_the_reference_page_is_current() -> None:
    code = "import runpy; print(runpy.run_path('scripts/write-reference')['reference'](), end='')"
    page = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    stored = (ROOT / "docs" / "operators" / "configuration.md").read_text(encoding="utf-8")
    assert stored == page, "run scripts/write-reference"


def test_reading_the_configuration_imports_nothing_heavy() -> None:
    code = "import sys, chappe.config; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"asyncio", "structlog", "httptools", "asyncpg", "typer", "prometheus_client", "difflib", "tomllib"}
    assert heavy.isdisjoint(done.stdout.split())
