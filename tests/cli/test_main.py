"""The commands as an operator gives them, on a real PostgreSQL: what they print, and what they say when they cannot."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chappe.cli import main
from chappe.embedded.server import ConnectionParameters

PROGRAM = Path(sys.executable).parent / "chappe"
KEY = "test-key-0123456789abcdef"


@dataclass
class Told:
    """What one command gave back."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


Run = Callable[..., Told]


@pytest.fixture
def chappe(
    database: ConnectionParameters, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Run:
    """Runs a command in this process on a fresh database, as `main` does for the program."""
    monkeypatch.setenv("CHAPPE_DATABASE_URL", database.dsn())
    monkeypatch.setenv("CHAPPE_DATA", str(tmp_path))

    def run(*words: str) -> Told:
        status = main.main([*words])
        captured = capsys.readouterr()
        return Told(status, captured.out, captured.err)

    return run


def query(database: ConnectionParameters, statement: str, *values: object) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(**database.arguments())
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()

    return asyncio.run(ask())


CARRIER = ("--host", "127.0.0.1", "--port", "2775", "--system-id", "us", "--password", "sesame")


LARGE = {"rich", "pygments", "pydantic", "typer", "structlog", "httptools", "phonenumbers", "email"}
CONNECTING = {"asyncio", "asyncpg", "msgspec", "uvloop"}


def imported(*words: str) -> set[str]:
    """What a command has imported when it ends."""
    script = "import sys; from chappe.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.splitlines()[-1].split())


def test_help_imports_nothing_large(chappe: Run) -> None:
    sections = {module for module, _ in main.SECTIONS.values()}
    assert (LARGE | CONNECTING | sections).isdisjoint(imported("--help"))
    assert (LARGE | CONNECTING | sections - {"chappe.cli.account"}).isdisjoint(imported("account", "create", "--help"))
    shown = chappe("--help").out
    assert all(name in shown for name in ("serve", "migrate", "account", "carrier", "route", "send", "message"))


@pytest.mark.parametrize("words", ["account list", "carrier list", "route list", "account create one", "doctor"])
def test_a_command_imports_no_more_than_its_work_takes(
    words: str, database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these takes longer to import than the command's own work."""
    monkeypatch.setenv("CHAPPE_DATABASE_URL", database.dsn())
    found = imported(*words.split())
    assert "asyncpg" in found
    assert (LARGE - {"email"}).isdisjoint(found)
    assert {"chappe.node.serve", "chappe.web.server", "chappe.workers.bind_leases", "chappe.smpp.pdu"}.isdisjoint(found)


def _commands() -> dict[str, Any]:
    """Every command by its words."""
    from importlib import import_module

    found: dict[str, Any] = {}
    for name, (module, _) in main.SECTIONS.items():
        found |= {f"{name} {word}": command for word, command in import_module(module).app.commands.items()}
    return found | {name: command for name, command in main.app.commands.items() if name not in main.SECTIONS}


@pytest.mark.parametrize("words", sorted(set(_commands()) - {"serve", "smsc"}))
def test_every_command_prints_json_and_finds_its_installation(words: str) -> None:
    flags = {flag for parameter in _commands()[words].params for flag in parameter.opts}
    assert "--json" in flags
    if words not in ("account settings", "carrier profiles"):  # tables of the program itself
        assert {"--data", "--database-url"} <= flags


@pytest.mark.parametrize("words", ["", *main.SECTIONS, *sorted(_commands())])
def test_every_command_and_section_explains_itself(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*words.split(), "--help"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith(f"Usage: {f'chappe {words}'.strip()} [OPTIONS]")
    _, _, listed = shown.out.partition("\nCommands:\n")
    assert "..." not in listed  # each summary is whole
    for parameter in _commands()[words].params if words in _commands() else []:
        assert parameter.help


@pytest.mark.parametrize("words", [[], ["account"]])
def test_a_section_alone_shows_its_help_and_is_misuse(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(words) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.startswith(f"Usage: {' '.join(['chappe', *words])} [OPTIONS] COMMAND")) == ("", True)


@pytest.mark.parametrize(
    ("words", "offered"),
    [("acc", ["account"]), ("account cr", ["create", "credit"]), ("route add --range ", ["premium", "lowcost"])],
)
def test_a_shell_completes_what_is_begun(words: str, offered: list[str]) -> None:
    count = len(words.split(" "))
    told = program(_CHAPPE_COMPLETE="bash_complete", COMP_WORDS=f"chappe {words}", COMP_CWORD=str(count))
    assert told.out.split() == [f"plain,{word}" for word in offered]


def test_an_account_is_printed_with_its_key_once_and_only_a_hash_is_stored(
    chappe: Run, database: ConnectionParameters
) -> None:
    words = ("--balance", "100.000", "--transactional", "--email", "a@example.org")
    made = chappe("account", "create", "shop", *words).document
    assert (made["login"], made["balance"], made["settings"]["transactional"]) == ("shop", "100.000", "on")
    assert len(made["api_key"]) == 64
    listed = chappe("account", "list", "--json")
    assert made["api_key"] not in listed.out
    assert [account["login"] for account in listed.document] == ["shop"]
    assert query(database, "select count(*) from account where key_sha256 = sha256($1)", made["api_key"].encode()) == 1
    assert query(database, "select sum(amount_micros) from ledger_entry") == 100_000_000


def test_a_new_key_takes_the_place_of_the_old_one(chappe: Run, database: ConnectionParameters) -> None:
    chappe("account", "create", "shop", "--api-key", KEY)
    new = chappe("account", "key", "shop", "--json").document["api_key"]
    count = "select count(*) from account where key_sha256 = sha256($1)"
    assert (query(database, count, KEY.encode()), query(database, count, new.encode())) == (0, 1)


def test_options_may_stand_anywhere(database: ConnectionParameters, capsys: pytest.CaptureFixture[str]) -> None:
    url = ("--database-url", database.dsn())
    assert main.main(["account", "create", *url, "one", "--api-key", KEY]) == 0
    assert main.main(["account", "create", "two", "--balance", "1", *url]) == 0
    capsys.readouterr()
    assert main.main(["account", "list", *url]) == 0
    assert "one" in capsys.readouterr().out


def test_credit_adds_and_takes_with_a_note(chappe: Run) -> None:
    chappe("account", "create", "shop", "--balance", "1")
    assert chappe("account", "credit", "shop", "2.5", "--note", "invoice 7", "--json").document["balance"] == "3.500"
    assert chappe("account", "credit", "SHOP", "-3.499999", "--json").document["balance_micros"] == 1
    shown = chappe("account", "show", "shop", "--json").document
    assert [entry["amount"] for entry in shown["credits"]] == ["-3.499999", "2.5", "1"]
    assert "invoice 7" in chappe("account", "show", "shop").out


def test_settings_are_changed_all_or_nothing(chappe: Run) -> None:
    chappe("account", "create", "shop")
    wrong = chappe("account", "set", "shop", "sender=ACME", "price_premium=dear")
    assert wrong.status == 2
    assert chappe("account", "show", "shop", "--json").document["settings"]["sender"] == ""
    words = ("sender=ACME", "price.49=0.07", "price.44=none", "state=blocked", "api=off")
    after = chappe("account", "set", "shop", *words, "--json").document
    assert (after["state"], after["api"]) == ("blocked", False)
    assert (after["settings"]["price.49"], after["settings"]["price.44"]) == ("0.07", "none")
    assert "price.49" not in chappe("account", "set", "shop", "price.49=", "--json").document["settings"]


def test_a_carrier_is_added_changed_and_removed_and_its_password_never_shown(
    chappe: Run, database: ConnectionParameters
) -> None:
    added = chappe("carrier", "add", "main", *CARRIER, "--profile", "wide", "--set", "ucs2_data_coding=24", "--json")
    assert added.document["window"] == 20  # the profile's
    assert query(database, "select count(*) from bind") == 10
    changed = chappe("carrier", "set", "main", "window=7", "binds=2", "password=other", "long_method=sar", "--json")
    assert (changed.document["window"], changed.document["settings"]["long_method"]) == (7, "sar")
    assert query(database, "select count(*) from bind") == 2
    assert query(database, "select settings->>'password' from carrier") == "other"
    listed = chappe("carrier", "list", "--json")
    (carrier,) = listed.document["carriers"]
    assert (carrier["name"], len(carrier["binds"]), carrier["queue"]) == ("main", 2, {})
    assert any("no route" in alarm for alarm in carrier["alarms"])
    assert (carrier["oddities"], carrier["unknown_words"]) == ({}, [])
    query(
        database,
        """insert into receipt (id, carrier_id, received_at, word, error, carrier_ref, source, raw, oddity)
           select n, (select id from carrier), now(), 'DELVRD', '', 'x', '', '', 'address,word_unknown'
           from generate_series(1, 2) n returning 1""",
    )
    (carrier,) = chappe("carrier", "list", "--json").document["carriers"]
    assert carrier["oddities"] == {"address": 2, "word_unknown": 2}
    assert carrier["unknown_words"] == [{"word": "DELVRD", "receipts": 2, "resembles": "DELIVRD"}]
    text = chappe("carrier", "list")
    assert "bind 1: down" in text.out
    assert "unknown word DELVRD in 2 receipts; it resembles DELIVRD" in text.out
    assert not any(word in told.out for word in ("sesame", "other") for told in (added, changed, listed, text))
    assert chappe("carrier", "remove", "main", "--json").document == {"removed": "main"}
    assert chappe("carrier", "list", "--json").document["carriers"] == []


@pytest.mark.parametrize(
    ("host", "tls", "warned"),
    [
        ("smsc.example", (), True),
        ("192.0.2.7", (), True),
        ("10.0.0.1", (), True),
        ("smsc.example", ("--set", "tls=on"), False),
        ("127.0.0.1", (), False),
        ("::1", (), False),
        ("localhost", (), False),
    ],
)
def test_whoever_leaves_this_machine_without_tls_is_warned(
    chappe: Run, host: str, tls: tuple[str, ...], warned: bool
) -> None:
    added = chappe("carrier", "add", "main", "--host", host, *CARRIER[2:], *tls, "--json")
    assert added.status == 0
    assert ("unencrypted" in added.err) is warned
    assert "sesame" not in added.err
    (carrier,) = chappe("carrier", "list", "--json").document["carriers"]
    assert any("unencrypted" in note for note in carrier["notes"]) is warned
    if warned:
        assert "unencrypted" in chappe("carrier", "set", "main", "window=3").err
        assert "unencrypted" not in chappe("carrier", "set", "main", "tls=on").err


def test_replace_gives_a_carrier_other_settings_and_keeps_its_routes(chappe: Run) -> None:
    chappe("carrier", "add", "main", *CARRIER)
    chappe("route", "add", "--carrier", "main")
    assert chappe("carrier", "add", "main", *CARRIER[2:], "--host", "smsc.example", "--replace").status == 0
    (carrier,) = chappe("carrier", "list", "--json").document["carriers"]
    assert (carrier["host"], carrier["routes"]) == ("smsc.example", 1)


def test_a_password_may_come_from_a_file(chappe: Run, database: ConnectionParameters, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("fromfile\nanother line\n")
    assert chappe("carrier", "add", "main", *CARRIER[:6], "--password-file", str(tmp_path / "secret")).status == 0
    assert query(database, "select settings->>'password' from carrier") == "fromfile"


def test_routes_are_listed_in_the_order_in_which_they_are_asked(chappe: Run) -> None:
    chappe("carrier", "add", "main", *CARRIER)
    chappe("route", "add", "--carrier", "main")
    chappe("route", "add", "--carrier", "main", "--prefix", "+33", "--range", "lowcost", "--priority", "5")
    routes = chappe("route", "list", "--json").document
    assert [(route["prefix"], route["range"], route["priority"]) for route in routes] == [
        ("33", "lowcost", 5),
        ("", None, 0),
    ]
    assert chappe("route", "remove", str(routes[0]["id"]), "--json").document == {"removed": routes[0]["id"]}
    assert len(chappe("route", "list", "--json").document) == 1


def test_a_message_is_sent_charged_and_found_by_each_of_its_ids(chappe: Run) -> None:
    chappe("account", "create", "shop", "--balance", "1")
    chappe("carrier", "add", "main", *CARRIER)
    chappe("route", "add", "--carrier", "main", "--prefix", "33")
    words = ("--to", "06 12 34 56 78,0698765432", "--to", "0140000000", "--text", "Bonjour", "--json")
    sent = chappe("send", *words, "--transactional")
    made = sent.document
    assert (made["cost"], made["balance"], len(made["messages"])) == ("0.076", "0.924", 2)
    assert made["skipped"] == [{"written": "0140000000", "reason": "number_not_mobile"}]
    second = made["messages"][1]
    whole = chappe("message", str(made["submission"]), "--json").document
    assert whole["states"] == {"queued": 2, "failed": 1}
    assert whole["messages"][2]["entries"][-1]["detail"] == "failed: number_not_mobile"
    assert [entry["what"] for entry in whole["messages"][0]["entries"]] == ["accepted", "charged"]
    assert whole["messages"][0]["queue"]["carrier"] == "main"
    for id_ in (f"{made['submission']}/2", str(second["id"]), second["public_id"], second["public_id"].upper()):
        (found,) = chappe("message", id_, "--json").document["messages"]
        assert found["recipient"] == "+33698765432"
    first = chappe("message", str(made["submission"]), "--limit", "1")
    assert "+33612345678" in first.out  # whole: it is the operator's
    assert "2 more messages" in first.out


def test_a_schema_that_is_missing_or_old_is_said_and_migrate_brings_it_up(
    empty_database: ConnectionParameters, capsys: pytest.CaptureFixture[str]
) -> None:
    url = ("--database-url", empty_database.dsn())
    assert main.main(["account", "list", *url]) == 1
    assert "chappe migrate" in capsys.readouterr().err
    assert main.main(["migrate", "--json", *url]) == 0
    assert json.loads(capsys.readouterr().out)["applied"][0] == "0011_baseline"
    assert main.main(["migrate", *url]) == 0
    assert "up to date" in capsys.readouterr().out
    assert main.main(["account", "list", *url]) == 0


ERRORS = [
    ("account create", 2, "missing argument"),
    ("account crate x", 2, "did you mean 'create'? (see `chappe account --help`)"),
    ("account create x --balanse 3", 2, "did you mean one of: '--balance'"),
    ("account list --json=yes", 2, "does not take a value"),
    ("account show shop --data", 2, "requires an argument"),
    ("account show shop more", 2, "unexpected extra argument (more)"),
    ("account create é", 2, "is no login"),
    ("account create x --api-key=é", 2, "1 to 128"),
    ("account set x window=fr-sed", 2, "fr-seed"),
    ("account create x --balance 1,5", 2, "is no amount of EUR"),
    ("account create x --balance=-1", 2, "not negative"),
    ("account create shop", 1, "exists already"),
    (f"account create other --api-key {KEY}", 1, "another account has this API key"),
    ("account credit nobody 1", 1, "there is no account nobody"),
    ("account credit shop 0", 2, "changes nothing"),
    ("account credit shop 1.0000001", 2, "is no amount"),
    ("account credit shop -1000", 1, "would fall below zero"),
    ("account set shop", 2, "missing argument"),
    ("account set shop adresses_allowed=1", 2, "did you mean addresses_allowed?"),
    ("account set shop sender", 2, "KEY=VALUE"),
    ("account set shop window=fr-seed window=fr-seed", 2, "set twice"),
    ("account set shop state=asleep", 2, "active, disabled or blocked"),
    ("account set shop price.x=1", 2, "international prefix"),
    ("account set shop price_premium=-1", 2, "a price in EUR"),
    ("account set shop reports_url=ftp://x", 2, "begins with http"),
    ("account set shop numbers_per_request_max=0", 2, "1 to 65536"),
    ("account set shop master=nobody", 1, "there is no account nobody"),
    ("account set shop master=SHOP", 1, "its own master"),
    ("account show nobody", 1, "there is no account"),
    ("carrier add main", 2, "missing option"),
    ("carrier add Main --host h --port 1 --system-id s --password p", 2, "is no name of a carrier"),
    ("carrier add c --host h --port 70000 --system-id s --password p", 2, "1 to 65535"),
    ("carrier add c --host h --port 1 --system-id " + "x" * 65 + " --password p", 2, "1 to 64"),
    ("carrier add c --host h --port 1 --system-id s --password p --profile wyde", 2, "did you mean 'wide'?"),
    ("carrier add c --host h --port 1 --system-id s --password p --set tsl=yes", 2, "did you mean 'tls'?"),
    ("carrier add c --host h --port 1 --system-id s --password p --set tls", 2, "key=value"),
    ("carrier add c --host h --port 1 --system-id s --password p --set window=3", 2, "use --window"),
    ("carrier add c --host h --port 1 --system-id s --password p --window 0", 2, "1 to 10000"),
    ("carrier add c --host h --port 1 --system-id s", 2, "missing option --password"),
    ("carrier add main --host h --port 1 --system-id s --password p", 1, "carrier set main"),
    ("carrier set main wimdow=3", 2, "did you mean window?"),
    ("carrier set main port=abc", 2, "is no number"),
    ("carrier set nobody window=3", 1, "there is no carrier nobody"),
    ("carrier remove nobody", 1, "there is no carrier nobody"),
    ("carrier doctor nobody", 1, "there is no carrier nobody"),
    ("carrier doctor main --to 0140000000", 2, "number_not_mobile"),
    ("route add --carrier nobody", 1, "there is no carrier nobody"),
    ("route add --carrier main --prefix 06", 2, "is national"),
    ("route add --carrier main --prefix x", 2, "is no international prefix"),
    ("route add --carrier main --range premum", 2, "not one of 'premium', 'lowcost'"),
    ("route add --carrier main --priority -1", 2, "the lowest goes first"),
    ("route remove 99", 1, "there is no route 99"),
    ("route remove x", 2, "valid integer"),
    ("send --to 0612345678", 2, "missing option '--text'"),
    ("send --to 12 --text x", 1, "no recipient is left"),
    ("send --to 0612345678 --text x --account nobody", 1, "there is no account"),
    ("send --to 0612345678 --text x --sender !!", 2, "3 to 11 letters"),
    ("send --to 0612345678 --text x --sender 1234567890123456", 2, "or a number"),
    ("send --to , --text x", 1, "--to names no recipient"),
    (f"send --to 0612345678 --text {'x' * 1531}", 2, "needs 11 parts"),
    (f"send --to 0612345678 --text {'x' * 16001}", 2, "at most 16000"),
    ("send --to 0612345678 --text=", 2, "the text is empty"),
    ("send --to 0612345678 --text x --range fast", 2, "not one of 'premium', 'lowcost'"),
    ("send --to 0612345678 --text x", 1, "0.038 EUR are needed, 0.01 EUR are left"),
    ("message x", 2, "is no id"),
    ("message 99", 1, "there is no message 99"),
    ("message 99/0", 2, "places 1 to 65536"),
    ("message 999999999999999999", 1, "there is no message"),
    ("message 00000000-0010-8000-ba0d-408399ec1003", 2, "not made by this installation"),
    ("message 1 --limit 0", 2, "not in the range x>=1"),
    ("serve --prot 3", 2, "did you mean --port?"),
    ("serve --port 70000", 2, "0 to 65535"),
    ("serve extra", 2, "unexpected argument"),
    ("serve --log-level loud", 2, "debug, info, warning or error"),
    ('serve --windows {"x":{"open":"zz"}}', 2, "window profile 'x': open: 'zz' is not a time of day"),
    ("serve --stop-words 12", 2, "'12' is no word"),
    ("smsc --tls-cert x", 2, "belong together"),
    ("smsc --port 70000", 2, "not in the range 0<=x<=65535"),
    ("carrier doctor main --wait nan", 2, "0 to 3600"),
    (f"route remove {'9' * 40}", 1, "there is no route"),
    (f"route remove {'9' * 5000}", 2, "valid integer"),
    ("nothing", 2, "no such command"),
    ("--nothing", 2, "no such option"),
]


@pytest.fixture
def furnished(chappe: Run) -> Run:
    chappe("account", "create", "shop", "--api-key", KEY, "--balance", "0.01")
    chappe("carrier", "add", "main", *CARRIER)
    return chappe


def test_every_error_is_one_clear_line_with_its_exit_status(furnished: Run) -> None:
    """One database for the whole table: no row of it changes anything."""
    wrong = []
    for words, status, fragment in ERRORS:
        told = furnished(*words.split())
        one_line = told.err.startswith("chappe: ") and told.err.count("\n") == 1
        if (told.status, told.out) != (status, "") or fragment.lower() not in told.err.lower() or not one_line:
            wrong.append((words, told))
    assert wrong == []


@pytest.mark.parametrize(
    ("url", "fragment"),
    [
        ("postgresql://127.0.0.1:1/none", "cannot be reached"),
        ("mysql://x", "postgresql://user@host/name"),
    ],
)
def test_a_database_that_is_not_there_is_one_line(url: str, fragment: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["account", "list", "--database-url", url]) in (1, 2)
    err = capsys.readouterr().err
    assert fragment in err
    assert err.count("\n") == 1


def program(*words: str, **environment: str) -> Told:
    told = subprocess.run(
        [PROGRAM, *words], capture_output=True, text=True, timeout=100, env={"PATH": "/usr/bin:/bin", **environment}
    )
    return Told(told.returncode, told.stdout, told.stderr)


def test_the_program_finds_an_embedded_installation_that_does_not_run(made: Path) -> None:
    assert program("migrate", "--data", str(made)).status == 0
    assert program("account", "create", "shop", "--data", str(made)).document["login"] == "shop"
    assert program("account", "list", "--json", CHAPPE_DATA=str(made)).document[0]["login"] == "shop"


def test_a_folder_without_an_installation_is_said_and_left_empty(tmp_path: Path) -> None:
    told = program("account", "list", "--data", str(tmp_path / "typo"))
    assert (told.status, told.err.count("\n")) == (1, 1)
    assert "there is no installation" in told.err
    assert not (tmp_path / "typo").exists()


def test_tracebacks_come_only_for_those_who_look_for_a_fault(tmp_path: Path) -> None:
    words = ("account", "list", "--data", str(tmp_path / "typo"))
    assert "Traceback" not in program(*words).err
    assert "Traceback" in program(*words, CHAPPE_LOG_LEVEL="debug").err


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("--host", "192.0.2.1"), "cannot serve on 192.0.2.1:"),
        (("--port", "0", "--database-url", "postgresql://127.0.0.1:1/none"), "the database cannot be reached"),
    ],
)
def test_what_keeps_serve_from_starting_is_one_line(words: tuple[str, ...], fragment: str, tmp_path: Path) -> None:
    told = program("serve", "--handset-port", "0", "--data", str(tmp_path), *words)
    assert told.status == 1
    assert fragment in told.err
    assert told.err.count("\n") == 1


def test_serve_lists_every_setting() -> None:
    flags = [row["flag"] for row in program("serve", "--settings").document]
    assert {"--host", "--retention-days", "--log-level"} <= set(flags)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ([], {}),
        (["--log-level", "debug"], {"log_level": "debug"}),
        (["--log-level=debug", "--metrics=false"], {"log_level": "debug", "metrics": "false"}),
        (["--no-color", "--metrics"], {"color": "false", "metrics": "true"}),
    ],
)
def test_serve_takes_every_setting_as_an_option(words: list[str], flags: dict[str, str]) -> None:
    assert main._flags(words) == flags
