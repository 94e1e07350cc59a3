"""The house rules that a test can check: first lines, lengths, names, and what may appear nowhere."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "chappe"
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
# How a file or a function says why it is longer: "Long because ..." in its docstring or its first lines.
REASON = re.compile(r"\blong because\b", re.IGNORECASE)
NAMELESS_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "tools", "util", "utils"}
WRITTEN_BY_HAND = {
    ".cfg",
    ".css",
    ".html",
    ".ini",
    ".js",
    ".json",
    ".lock",
    ".md",
    ".py",
    ".sh",
    ".sql",
    ".toml",
    ".txt",
    ".yml",
}
# Somebody's own folders: what works only there, or tells where it was made, does not belong here.
SOMEBODYS_PATH = re.compile(r"(?<![\w.<~-])/(?:root|home|work|mnt|Users)/\w")

PURE_ROOMS = {"core", "settings", "smpp", "dialects"}
PRINTING = {
    "cli/main.py": "answers people",
    "embedded/exec_postgres.py": "a program of its own, before there is a log",
}
KNOWING_THE_ENVIRONMENT = {
    "config.py": "reads it, alone",
    "embedded/process.py": "passes a few names on to PostgreSQL",
    "node/privileges.py": "names the home of the user that the process becomes",
}

COMPARING_NAMES = {
    "settings/words.py": "for the house",
    "smpp/profile_options.py": "a library of its own",
    "smpp/status_words.py": "the same",
}

MODULES = sorted(SOURCE.rglob("*.py"))
every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))


def files_of_the_project() -> Iterator[Path]:
    """Everything that people wrote here, not what tools made."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".git"))
    for folder in ("src", "tests", "docs", "scripts", "bench", ".ci", ".github"):
        for path in (ROOT / folder).rglob("*"):
            made = {"node_modules", "__pycache__", "vendor"}.intersection(path.parts)
            if path.is_file() and not made and (path.suffix in WRITTEN_BY_HAND or not path.suffix):
                yield path


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_there_is_a_house_to_check() -> None:
    assert SOURCE / "config.py" in MODULES
    assert ROOT / "Makefile" in set(files_of_the_project())


@every_module
def test_the_first_line_says_what_the_file_is(path: Path) -> None:
    text = text_of(path)
    assert text.startswith(('"""', 'r"""')) or not text.strip()
    assert ast.get_docstring(tree_of(path)) != ""


@every_module
def test_a_file_is_short_or_says_why_not(path: Path) -> None:
    lines = text_of(path).splitlines()
    assert len(lines) <= FILE_LINES_MAX or REASON.search("\n".join(lines[:15])), f"{len(lines)} lines: split it"


@every_module
def test_a_function_is_short_or_says_why_not(path: Path) -> None:
    text = text_of(path)
    lines = text.splitlines()
    for function in functions(tree_of(path)):
        assert function.end_lineno is not None
        length = function.end_lineno - function.lineno + 1
        first_lines = "\n".join(lines[function.lineno - 2 : function.lineno + 12])
        assert length <= FUNCTION_LINES_MAX or REASON.search(first_lines), f"{function.name}: {length} lines: split it"


@every_module
def test_a_name_means_something(path: Path) -> None:
    assert NAMELESS_NAMES.isdisjoint(path.stem.split("_"))


@every_module
def test_no_exception_is_swallowed_whole(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.id if isinstance(node.type, ast.Name) else ast.unparse(node.type) if node.type else ""
        silent = all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
        assert not (silent and caught in ("", "Exception", "BaseException")), f"line {node.lineno}"


@every_module
def test_what_may_appear_nowhere_does_not(path: Path) -> None:
    tree = tree_of(path)
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported.isdisjoint({"pickle", "shelve", "marshal", "dill"}), "JSON or bytes on disk and on the wire"
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert "time.sleep" not in called, "wait for the thing itself"
    name = path.relative_to(SOURCE).as_posix()
    assert name in PRINTING or "print" not in called, "log it"
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert name in KNOWING_THE_ENVIRONMENT or attributes.isdisjoint({"os.environ", "os.getenv"}), "config.py reads it"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.relative_to(SOURCE).parts[0] in PURE_ROOMS],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_a_pure_room_asks_neither_clock_nor_chance_nor_disk(path: Path) -> None:
    # Imports are the import linter's; these come with modules that a pure room may import.
    calls = [ast.unparse(node.func) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    assert {"now", "utcnow", "today", "uuid1", "uuid4", "open", "read_text", "read_bytes"}.isdisjoint(
        call.split(".")[-1] for call in calls
    )


def test_no_file_mentions_a_path_outside_the_project() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in files_of_the_project()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if SOMEBODYS_PATH.search(line)
    ]
    assert found == []


def test_nothing_is_left_for_later_without_an_issue() -> None:
    word = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\s*\(#\d+\))")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in MODULES
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if word.search(line)
    ]
    assert found == []


def test_the_locks_name_no_index_and_hash_everything() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", text)
        for requirement in re.split(r"\n(?=[A-Za-z0-9])", text)[1:]:
            assert "--hash=sha256:" in requirement, requirement.splitlines()[0]


def test_one_place_tells_the_nearest_name() -> None:
    found = {str(path.relative_to(SOURCE)) for path in MODULES if "difflib" in path.read_text(encoding="utf-8")}
    assert found == set(COMPARING_NAMES), "use chappe.settings.words.did_you_mean"
