"""What words mean to a command: its options and arguments, what is missing, and what help says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest

from chappe.cli_commands import Argument, Group, Option
from chappe.cli_output import Exit, Misuse

heard: list[dict[str, Any]] = []
app = Group("Things to do.", epilog="That is all.", sections={"far": ("chappe.cli_route", "Elsewhere.")})


@app.command("do")
def do(
    what: Annotated[str, Argument(metavar="WHAT", help="The thing.")],
    more: Annotated[list[str] | None, Argument(metavar="MORE...", help="Others.")] = None,
    count: Annotated[int, Option(help="How often.")] = 1,
    rate: Annotated[float | None, Option(help="How fast.", show_default="the usual")] = None,
    file: Annotated[Path | None, Option("--file", help="Where.", metavar="FILE")] = None,
    tags: Annotated[list[str] | None, Option("--tag", help="As what; repeatable.")] = None,
    loud: Annotated[bool, Option("--loud", help="Shout.")] = False,
    sure: Annotated[bool | None, Option("--sure/--unsure", help="Whether.", show_default="depends")] = None,
) -> None:
    """Does a thing.

    As often as is
    asked for.
    """
    heard.append({name: value for name, value in locals().items() if name != "heard"})


@app.command(rest="others")
def pass_on(others: list[str], need: Annotated[str, Option(help="Needed.")]) -> None:
    """Takes whatever comes."""
    heard.append({"others": others, "need": need})


@app.switch("--about", "Say what this is.")
def about() -> None:
    heard.append({"about": True})


USUAL = {"more": None, "count": 1, "rate": None, "file": None, "tags": None, "loud": False, "sure": None}


@pytest.fixture(autouse=True)
def _nothing_heard() -> None:
    heard.clear()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["do", "it"], {"what": "it"}),
        (["do", "it", "and", "that", "-"], {"what": "it", "more": ["and", "that", "-"]}),
        (["do", "--count", "3", "it"], {"what": "it", "count": 3}),
        (["do", "it", "--count=-3"], {"what": "it", "count": -3}),
        (["do", "it", "--count", "-3", "also"], {"what": "it", "count": -3, "more": ["also"]}),
        (["do", "it", "--count", "1", "--count", "2"], {"what": "it", "count": 2}),
        (["do", "-2.5"], {"what": "-2.5"}),
        (["do", "--rate", "0.5", "it"], {"what": "it", "rate": 0.5}),
        (["do", "it", "--file", "a/b"], {"what": "it", "file": Path("a/b")}),
        (["do", "it", "--tag", "a", "--tag=b"], {"what": "it", "tags": ["a", "b"]}),
        (["do", "it", "--tag="], {"what": "it", "tags": [""]}),
        (["do", "it", "--tag", "--loud"], {"what": "it", "tags": ["--loud"]}),
        (["do", "it", "--loud", "--unsure"], {"what": "it", "loud": True, "sure": False}),
        (["do", "it", "--unsure", "--sure"], {"what": "it", "sure": True}),
        (["do", "--", "--loud", "--help"], {"what": "--loud", "more": ["--help"]}),
        (["do", "--loud", "--", "it"], {"what": "it", "loud": True}),
        (["do", ""], {"what": ""}),
    ],
)
def test_words_are_read_as_the_signature_says(words: list[str], meant: dict[str, Any]) -> None:
    app.run(words, "try")
    assert heard == [USUAL | meant]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("do", "missing argument 'WHAT'; see `try do --help`"),
        ("do it --count x", "invalid value for '--count': 'x' is not a valid integer; see `try do --help`"),
        ("do it --count 1_0", "'1_0' is not a valid integer"),
        ("do it --count 1e3", "'1e3' is not a valid integer"),
        (f"do it --count {'9' * 5000}", "is not a valid integer"),
        ("do it --rate fast", "invalid value for '--rate': 'fast' is not a valid number"),
        ("do it --count", "option '--count' requires an argument"),
        ("do it --loud=yes", "option '--loud' does not take a value"),
        ("do it --lowd", "no such option: '--lowd'; did you mean --loud; see `try do --help`"),
        ("do it -l", "no such option: '-l'"),
        ("pass_on --need", "option '--need' requires an argument"),
        ("pass_on x", "missing option '--need'"),
        ("dew", "no such command: 'dew'; see `try --help`"),
        ("d", "no such command: 'd'; did you mean do; see `try --help`"),
        ("--abuot", "no such option: '--abuot'; did you mean --about"),
        ("far away", "no such command: 'away'; see `try far --help`"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(words: str, said: str) -> None:
    with pytest.raises(Misuse) as trouble:
        app.run(words.split(), "try")
    assert said in str(trouble.value)
    assert len(str(trouble.value)) < 200
    assert heard == []


def test_a_command_may_take_what_it_does_not_know_in_its_order() -> None:
    app.run(["pass_on", "--x", "1", "--need", "n", "y", "--z=2"], "try")
    assert heard == [{"others": ["--x", "1", "y", "--z=2"], "need": "n"}]


def test_a_switch_stands_in_the_place_of_a_command() -> None:
    app.run(["--about"], "try")
    assert heard == [{"about": True}]


def test_no_words_at_all_show_the_help_and_are_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit) as end:
        app.run([], "try")
    assert end.value.status == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.startswith("Usage: try [OPTIONS] COMMAND")) == ("", True)


def test_the_help_of_a_group_names_what_is_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    app.run(["--help"], "try")
    lines = capsys.readouterr().out.splitlines()
    assert "  do       Does a thing." in lines
    assert "  far      Elsewhere." in lines
    assert "  --about  Say what this is." in lines
    assert lines[-1] == "  That is all."
    app.run(["far", "--help"], "try")
    assert "Usage: try far [OPTIONS] COMMAND" in capsys.readouterr().out


def test_the_help_of_a_command_says_what_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    app.run(["do", "it", "--help"], "try")
    assert heard == []
    assert capsys.readouterr().out.splitlines() == [
        "Usage: try do [OPTIONS] WHAT [MORE...]",
        "",
        "  Does a thing.",
        "",
        "  As often as is asked for.",
        "",
        "Arguments:",
        "  WHAT     The thing.  [required]",
        "  MORE...  Others.",
        "",
        "Options:",
        "  --count INTEGER    How often.  [default: 1]",
        "  --rate NUMBER      How fast.  [default: the usual]",
        "  --file FILE        Where.",
        "  --tag TEXT         As what; repeatable.",
        "  --loud             Shout.",
        "  --sure / --unsure  Whether.  [default: depends]",
        "  --help             Show this message and exit.",
    ]
