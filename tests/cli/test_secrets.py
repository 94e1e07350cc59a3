"""Secrets of commands: from a file or standard input, so that neither `ps` nor the shell's history has them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from chappe.cli import main
from chappe.cli.output import Failure, Misuse
from chappe.cli.secrets import SECRET_CHARACTERS_MAX, secret


@pytest.mark.parametrize(
    ("given", "in_file", "typed", "found"),
    [
        (None, None, "", None),
        ("word", None, "", "word"),
        ("", None, "", ""),
        ("-", None, "typed\nmore", "typed"),
        ("-", None, "typed\r\n", "typed"),
        ("-", None, "", ""),
        ("-", None, "x" * 5_000, "x" * SECRET_CHARACTERS_MAX),
        (None, "kept\nmore", "", "kept"),
        (None, " kept ", "", " kept "),
    ],
)
def test_a_secret_comes_from_where_the_options_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, in_file: str | None, typed: str,
    found: str | None,
) -> None:  # fmt: skip
    file = None
    if in_file is not None:
        file = tmp_path / "secret"
        file.write_text(in_file)
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert secret(given, file, "--api-key") == found


def test_it_comes_from_one_place_only(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="--api-key and --api-key-file exclude each other"):
        secret("word", tmp_path, "--api-key")
    with pytest.raises(Failure, match="cannot be read"):
        secret(None, tmp_path / "missing", "--api-key")
    (tmp_path / "octets").write_bytes(b"\xff\xfe")
    with pytest.raises(Failure, match="no UTF-8"):
        secret(None, tmp_path / "octets", "--api-key")


@pytest.mark.parametrize(
    "words",
    [("account", "create"), ("account", "key"), ("carrier", "add"), ("smsc",)],
    ids=lambda words: " ".join(words),
)
def test_every_command_that_takes_a_secret_takes_it_from_a_file_too(words: tuple[str, ...]) -> None:
    text = CliRunner().invoke(main.app, [*words, "--help"]).output
    assert "-file" in text
    assert "standard input" in " ".join(text.split())


@pytest.mark.parametrize("option", ["--system-id", "--password"])
@pytest.mark.parametrize("value", ["заря", "caf\u00e9", "two\nlines", "\u20ac"])
def test_credentials_that_smpp_cannot_carry_are_refused_before_anything_listens(option: str, value: str) -> None:
    ended = CliRunner().invoke(main.app, ["smsc", "--port", "0", "--http-port", "0", option, value])
    assert isinstance(ended.exception, SystemExit) or ended.exit_code == 2
    assert "printable ASCII" in ended.output + str(ended.exception)
