"""`chappe stop`, `number` and `refund` as an operator gives them, on a real PostgreSQL."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chappe.cli import main
from chappe.embedded.server import ConnectionParameters

PHONES = ("+33612345678", "+33612345679", "+33612345680")


@dataclass
class Told:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Told]


@pytest.fixture
def chappe(
    database: ConnectionParameters, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Run:
    """Runs a command on a fresh database that has the account `shop`."""
    monkeypatch.setenv("CHAPPE_DATABASE_URL", database.dsn())
    monkeypatch.setenv("CHAPPE_DATA", str(tmp_path))

    def run(*words: str) -> Told:
        status = main.main([*words])
        captured = capsys.readouterr()
        return Told(status, captured.out, captured.err)

    assert run("account", "create", "shop").status == 0
    return run


def listed(chappe: Run) -> list[tuple[str, str]]:
    return [
        (entry["number"], entry["comment"]) for entry in chappe("stop", "list", "--account", "shop", "--json").document
    ]


def test_a_number_is_put_on_the_list_and_taken_off(chappe: Run) -> None:
    assert chappe("stop", "list", "--account", "shop").out == "Nobody has opted out.\n"
    first = chappe("stop", "add", "06 12 34 56 78", "--account", "shop", "--json").document
    assert first == {"id": first["id"], "known": False}
    again = chappe("stop", "add", "33612345678", "--account", "shop", "--json").document
    assert again == {"id": first["id"], "known": True}
    assert listed(chappe) == [(PHONES[0], "manual")]
    assert PHONES[0] in chappe("stop", "list", "--account", "shop").out
    assert chappe("stop", "removed", "--account", "shop").out == "Nothing was taken off the list.\n"
    assert chappe("stop", "remove", PHONES[0], "--account", "shop").status == 0
    assert listed(chappe) == []
    (trace,) = chappe("stop", "removed", "--account", "shop", "--json").document
    assert (trace["number"], trace["source"], trace["removed_by"]) == (PHONES[0], "command", "command")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stop", "remove", PHONES[0], "--account", "shop"), "not on the list"),
        (("stop", "add", "12", "--account", "shop"), "'12' is no telephone number"),
        (("stop", "add", PHONES[0], "--account", "nobody"), "no account nobody"),
        (("number", "add", "36111", "--account", "shop"), "no long number"),
        (("number", "add", "33700000001", "--account", "nobody"), "no account nobody"),
        (("number", "remove", "33700000001"), "no such long number"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_1(chappe: Run, words: tuple[str, ...], said: str) -> None:
    told = chappe(*words)
    assert (told.status, told.out) == (1, "")
    assert said in told.err
    assert told.err.count("\n") == 1


FILES = {
    "bare": f"{PHONES[0]}\n0612345679\n\n{PHONES[2]}\n",
    "heading": f"name;Phone Number;comment\nA;{PHONES[0]};stop\nB;06 12 34 56 79;\nC;{PHONES[2]};whatever\n",
    "tabs": f"at\tnumber\n2026-01-02T03:04:05Z\t{PHONES[0]}\n2026-01-02\t{PHONES[1]}\n2026-01-02\t{PHONES[2]}\n",
    "a mark at the start": f"\ufeffnumber\r\n{PHONES[0]}\r\n{PHONES[1]}\r\n{PHONES[2]}\r\n",
    "repeated": f"{PHONES[0]}\n{PHONES[0]}\n{PHONES[1]}\n{PHONES[2]}\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_usual_form_is_imported_once(chappe: Run, tmp_path: Path, name: str) -> None:
    file = tmp_path / "list.csv"
    file.write_text(FILES[name], encoding="utf-8")
    done = chappe("stop", "import", str(file), "--account", "shop", "--json").document
    repeated = 1 if name == "repeated" else 0
    assert done == {"added": 3, "known": repeated, "bad": 0, "bad_lines": [], "completed": 0}
    assert sorted(number for number, _ in listed(chappe)) == list(PHONES)
    assert chappe("stop", "import", str(file), "--account", "shop", "--json").document["added"] == 0


@pytest.mark.parametrize("codec", ["cp1252", "utf-16", "utf-8"])
def test_what_a_french_spreadsheet_saves_is_imported(chappe: Run, tmp_path: Path, codec: str) -> None:
    file = tmp_path / "list.csv"
    text = "Prénom;Numéro de téléphone\r\nZoé, née Dupont;612345678\r\nÉric;0612345679\r\n"
    file.write_bytes(text.encode(codec))
    told = chappe("stop", "import", str(file), "--account", "shop")
    assert (told.status, told.out) == (
        0,
        "2 added, 0 were there, 0 lines without a number; 1 had lost their zero and were read as French\n",
    )
    file.write_text("numero\n0612345670\n6,12346E+08\n", encoding="utf-8")
    told = chappe("stop", "import", str(file), "--account", "shop")
    assert (told.status, told.out) == (1, "")
    assert "line 3 has a number that a spreadsheet rounded (6,12346E+08)" in told.err
    assert len(listed(chappe)) == 2, "nothing is stored"


def test_what_is_exported_can_be_imported(chappe: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "list.csv"
    file.write_text(FILES["heading"], encoding="utf-8")
    chappe("stop", "import", str(file), "--account", "shop")
    before = listed(chappe)
    assert dict(before)[PHONES[0]] == "stop"
    out = chappe("stop", "export", "--account", "shop").out
    assert chappe("stop", "export", str(tmp_path / "out.csv"), "--account", "shop").status == 0
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == out
    for phone in PHONES:
        chappe("stop", "remove", phone, "--account", "shop")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(out.encode()), encoding="utf-8"))
    assert chappe("stop", "import", "-", "--account", "shop").out == "3 added, 0 were there, 0 lines without a number\n"
    assert listed(chappe) == before


def test_lines_without_a_number_are_told_and_the_others_imported(chappe: Run, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"number,at\n{PHONES[0]},\nabc,\n{PHONES[1]},yesterday\n{PHONES[2]},\n", encoding="utf-8")
    told = chappe("stop", "import", str(file), "--account", "shop")
    assert told.status == 1
    assert "line 3, 4" in told.err
    assert "abc" not in told.err
    assert sorted(number for number, _ in listed(chappe)) == [PHONES[0], PHONES[2]]
    file.write_bytes(b"number\n\xff\xfe\n")
    told = chappe("stop", "import", str(file), "--account", "shop")
    assert (told.status, told.err.count("\n")) == (1, 1)


def test_a_long_number_is_given_listed_and_forgotten(chappe: Run) -> None:
    assert chappe("number", "list").out.startswith("No long number yet")
    assert chappe("number", "add", "33700000001", "--account", "shop").out == "+33700000001 belongs to shop\n"
    (row,) = chappe("number", "list", "--json").document
    assert (row["number"], row["account"]) == ("+33700000001", "shop")
    assert chappe("number", "remove", "+33700000001", "--json").document == {"removed": "+33700000001"}
    assert chappe("number", "list", "--json").document == []


def test_the_operator_says_what_gives_money_back(chappe: Run) -> None:
    usual = {rule["state"]: rule["refunds"] for rule in chappe("refund", "list", "--json").document}
    assert usual["rejected"]
    assert not usual["undelivered"]
    changed = chappe("refund", "set", "undelivered=yes", "rejected=no", "--json").document
    assert {rule["state"]: rule["refunds"] for rule in changed} == usual | {"undelivered": True, "rejected": False}
    assert "changed" in chappe("refund", "list").out
    chappe("refund", "set", "undelivered=no", "rejected=yes")
    assert "changed" not in chappe("refund", "list").out


@pytest.mark.parametrize("word", ["queued=yes", "rejected", "rejected=perhaps", "=yes"])
def test_a_rule_that_is_none_is_misuse(chappe: Run, word: str) -> None:
    told = chappe("refund", "set", word)
    assert (told.status, told.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("whose", [(), ("--account", "shop")])
def test_prices_are_imported_listed_and_exported(chappe: Run, tmp_path: Path, whose: tuple[str, ...]) -> None:
    assert chappe("price", "list", *whose).out == "No prices by destination.\n"
    file, copy = tmp_path / "prices.csv", tmp_path / "copy.csv"
    file.write_text("prefix;price;from\n49;0,07;\n*;none;\n34;0.2;2099-01-31\n")
    done = chappe("price", "import", str(file), *whose, "--json").document
    assert done == {"applied": 2, "coming": 1}
    assert chappe("price", "export", str(copy), *whose, "--json").document == {"exported": 3}
    assert chappe("price", "export", *whose).out == copy.read_text()
    assert copy.read_text() == "prefix,price,from\n*,none,\n49,0.07,\n34,0.2,2099-01-31T00:00:00+00:00\n"
    assert "49" in chappe("price", "list", *whose).out
    file.write_text("49;dear\n")
    told = chappe("price", "import", str(file), *whose)
    assert (told.status, "line 1" in told.err) == (1, True)
    assert chappe("price", "import", str(tmp_path / "none.csv"), *whose).status == 2


def test_the_price_of_everywhere_is_a_setting_of_an_account(chappe: Run) -> None:
    assert chappe("account", "set", "shop", "price.*=0.2", "price.49=none").status == 0
    shown = chappe("account", "show", "shop", "--json").document["settings"]
    assert (shown["price.*"], shown["price.49"]) == ("0.2", "none")
    assert chappe("account", "set", "shop", "countries_denied=de,XX").status == 2
    assert chappe("account", "set", "shop", "countries_denied=de,es").status == 0
