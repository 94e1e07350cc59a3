"""Links between the project's documents, and the documents that the code names, lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MADE_BY_TOOLS = {".venv", ".git", "node_modules", "var", "build", "__pycache__"}
PAGES = sorted(
    path.relative_to(ROOT)
    for folder in (ROOT, ROOT / "docs", ROOT / "src", ROOT / "tests", ROOT / "bench")
    for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
    if not MADE_BY_TOOLS.intersection(path.relative_to(ROOT).parts)
)
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in ("src", "tests", "bench", "scripts", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.is_file()
    and (path.suffix in {".py", ".md", ".sql", ".toml"} or folder == "scripts")
    and not MADE_BY_TOOLS.intersection(path.relative_to(ROOT).parts)
)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
# A file of the project as a page names it: tests/core/test_window.py.
FILE = re.compile(r"(?<![\w/.-])(?:src|tests|bench|scripts)/[\w./-]*\w\.\w+")
# A document as code and other documents name it: docs/operators/limits.md.
NAMED = re.compile(r"(?<![\w/.])docs/[\w./-]*\w\.(?:md|png)\b")


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub and most viewers give to the headings of a page."""
    found: dict[str, int] = {}
    anchors = set()
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    for heading in re.findall(r"^#{1,6} +(.+?)\s*#*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        seen = found.get(slug, 0)
        anchors.add(f"{slug}-{seen}" if seen else slug)
        found[slug] = seen + 1
    return anchors


def broken_links(page: Path, text: str) -> Iterator[str]:
    """The local links of a page whose file or heading does not exist."""
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page.parent / path).resolve() if path else ROOT / page
        leads = there.exists() and there.is_relative_to(ROOT)
        if leads and anchor and there.suffix == ".md":
            leads = anchor in anchors_of(there.relative_to(ROOT))
        if not leads:
            yield target


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_local_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert list(broken_links(page, (ROOT / page).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("[a](nowhere.md)", ["nowhere.md"]),
        ("[a](CHANGELOG.md#nothing-of-this-name)", ["CHANGELOG.md#nothing-of-this-name"]),
        ("[a](#no-such-heading)", ["#no-such-heading"]),
        ("[a](../outside.md)", ["../outside.md"]),
        ("[a](CHANGELOG.md#unreleased) [b](https://example.org/nowhere.md) [c](src/) ![d](LICENSE)", []),
        ("```\n[a](nowhere.md)\n```", []),
    ],
)
def test_a_link_that_leads_nowhere_is_noticed(text: str, broken: list[str]) -> None:
    assert list(broken_links(Path("README.md"), text)) == broken


def test_every_document_that_the_code_and_the_documents_name_exists() -> None:
    wrong = {
        f"{source}: {name}"
        for source in SOURCES
        for name in NAMED.findall((ROOT / source).read_text(encoding="utf-8"))
        if not (ROOT / name).exists() and source.name != Path(__file__).name
    }
    assert wrong == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_of_the_project_that_a_page_names_exists(page: Path) -> None:
    named = FILE.findall((ROOT / page).read_text(encoding="utf-8"))
    assert sorted({name for name in named if not (ROOT / name).exists()}) == []


def test_every_document_is_listed_in_an_index() -> None:
    """Only the decision records are listed by their folder."""
    listed = {
        (ROOT / index.parent / target.partition("#")[0]).resolve()
        for index in PAGES
        if index.parts[0] == "docs" and index.name == "README.md"
        for target in LINK.findall((ROOT / index).read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:", target)
    }
    pages = {
        ROOT / page for page in PAGES if page.parts[0] == "docs" and page.parts[1] not in ("decisions", "README.md")
    }
    assert {str(page.relative_to(ROOT)) for page in pages - listed} == set()


def test_every_decision_record_has_a_number_of_its_own() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [record.name[:4] for record in records]
    assert sorted({number for number in numbers if numbers.count(number) > 1}) == []
    for record in records:
        assert record.read_text(encoding="utf-8").startswith(f"# {record.name[:4]}"), record.name
