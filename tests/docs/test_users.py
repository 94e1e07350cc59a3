"""The pages for users say what the code does: every endpoint, every error with its words; both languages alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chappe.core.window_profiles import PROFILES
from chappe.dialects.allmysms import dialect as allmysms
from chappe.dialects.allmysms import error_catalogue, notes, rest_answers
from chappe.dialects.allmysms.methods import METHODS, UNSERVED
from chappe.dialects.allmysms.webhooks import DELIVERY
from chappe.dialects.smspartner import dialect as smspartner
from chappe.dialects.smspartner import endpoints
from chappe.dialects.smspartner.error_catalogue import ANSWERS, FIELD_NAMES, FIELD_TEXTS, SKIPPED_TEXTS
from chappe.dialects.smspartner.request_parser import NAMES
from chappe.dialects.smspartner.webhooks import STATE_WORDS
from chappe.handset.magic_numbers import MAGIC

USERS = Path(__file__).parents[2] / "docs" / "users"
PAGES = sorted(path.name for path in (USERS / "en").glob("*.md"))
LANGUAGES = ("en", "fr")
# The words of the profile table; the first are those of the settings.
WORDS = {
    "en": {word: word for word in ("closed", "warn", "open", "hold", "refuse")},
    "fr": {"closed": "fermé", "warn": "avertissement", "open": "ouvert", "hold": "attente", "refuse": "refus"},
}

both_languages = pytest.mark.parametrize("language", LANGUAGES)


def page(language: str, name: str) -> str:
    return (USERS / language / name).read_text(encoding="utf-8")


def headings(text: str) -> list[tuple[int, str]]:
    """Level and words of the headings, code blocks left out."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [(len(marks), words) for marks, words in re.findall(r"^(#{1,6}) +(.+?) *$", text, re.MULTILINE)]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, a row a list; tags stand in backticks on a page, and here without them."""
    lines = (line for line in text.splitlines() if line.startswith("|"))
    cells = ([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines)
    return [[re.sub(r"`(</?[A-Z]+>)`", r"\1", cell) for cell in row] for row in cells]


def section(text: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def has_row(text: str, *cells: str) -> bool:
    return any(row[: len(cells)] == list(cells) for row in rows(text))


def sections_of_dialects() -> Iterator[tuple[str, str]]:
    yield from (("smspartner.md", f"/{name}") for name in smspartner.PAGES if name != smspartner.UNSERVED)
    yield from (("allmysms.md", name) for name in (allmysms.SEND, allmysms.SIMPLE, allmysms.SIMULATE))
    yield from (("allmysms.md", name) for name in METHODS if name not in UNSERVED)
    for verb in (rest_answers.ONE, rest_answers.BULK, rest_answers.REPORT, rest_answers.ACCOUNT, rest_answers.VOICE):
        yield "allmysms-rest.md", f"/{verb}"
    yield "allmysms-rest.md", "/ping"


@both_languages
@pytest.mark.parametrize(("name", "heading"), list(sections_of_dialects()))
def test_every_endpoint_has_a_section_with_an_example(language: str, name: str, heading: str) -> None:
    below = section(page(language, name), heading)
    assert "```json" in below or heading == "/vn/send"  # whose answer is that of /send


@both_languages
def test_no_section_describes_an_endpoint_that_is_not_there(language: str) -> None:
    served = set(sections_of_dialects())
    for name, is_endpoint in (
        ("smspartner.md", lambda words: words.startswith("/")),
        ("allmysms.md", lambda words: re.fullmatch("[a-z]+[A-Za-z]*", words)),
        ("allmysms-rest.md", lambda words: words.startswith("/")),
    ):
        titles = [words for level, words in headings(page(language, name)) if level == 2]
        assert [words for words in titles if is_endpoint(words) and (name, words) not in served] == []


@both_languages
@pytest.mark.parametrize("refusal", ANSWERS)
def test_every_general_error_of_smspartner_is_told(language: str, refusal: str) -> None:
    answer = ANSWERS[refusal]
    sentence = (answer.french or "—",) if language == "fr" else (answer.french or "—", answer.english or "—")
    assert has_row(page(language, "smspartner.md"), str(answer.code), str(answer.status), *sentence)


@both_languages
@pytest.mark.parametrize("name", endpoints.PAGES)
def test_the_errors_of_one_page_of_smspartner_are_told_in_its_section(language: str, name: str) -> None:
    below = section(page(language, "smspartner.md"), f"/{name}")
    for answer in endpoints.PAGES[name].values():
        sentence = (answer.french,) if language == "fr" else (answer.french, answer.english)
        assert has_row(below, str(answer.code), str(answer.status), *sentence), answer


@both_languages
def test_every_violation_and_every_skipped_number_of_smspartner_is_told(language: str) -> None:
    text = page(language, "smspartner.md")
    for (field, _), words in FIELD_TEXTS.items():
        sentence = [words.json] if language == "fr" else [words.json, words.english]
        assert any(f"`{FIELD_NAMES[field]}`" in row[0] and row[1:] == sentence for row in rows(text)), words
    for skipped in SKIPPED_TEXTS.values():
        assert has_row(text, skipped.code, skipped.french, *(() if language == "fr" else (skipped.english,)))


@both_languages
def test_every_field_that_smspartner_reads_is_named(language: str) -> None:
    text = page(language, "smspartner.md")
    assert {name for name in NAMES if f"`{name}`" not in text} == set()


@both_languages
@pytest.mark.parametrize("refusal", error_catalogue.REFUSED)
def test_every_error_of_allmysms_is_told(language: str, refusal: str) -> None:
    status = error_catalogue.REFUSED[refusal]
    sentence = [
        error_catalogue.TEXTS[wire].get(status.text, status.text).replace("{tag}", status.tag)
        for wire in (("fr",) if language == "fr" else ("fr", "en"))
    ]
    assert has_row(page(language, "allmysms.md"), str(status.number), str(status.http), *sentence)


@both_languages
@pytest.mark.parametrize("code", notes.SENTENCES)
def test_every_warning_of_allmysms_is_told(language: str, code: str) -> None:
    french, english = notes.SENTENCES[code]
    sentence = (french,) if language == "fr" else (french, english)
    assert has_row(page(language, "allmysms.md"), f"`{code}`", *sentence)


@both_languages
def test_every_sentence_of_allmysms_is_told(language: str) -> None:
    text = page(language, "allmysms.md")
    cells = {cell for row in rows(text) for cell in row}
    examples = json.dumps([json.loads(block) for block in blocks(text, "json")], ensure_ascii=False)
    for key, sentence in error_catalogue.TEXTS["fr"].items():
        if key in ("incomplete", "unknown"):  # the first with its tag, above; the second where no method has its own
            continue
        assert sentence in cells or sentence in examples, key


@both_languages
@pytest.mark.parametrize("refusal", rest_answers.ERRORS)
def test_every_error_of_the_rest_api_is_told(language: str, refusal: str) -> None:
    error = rest_answers.ERRORS[refusal]
    assert has_row(page(language, "allmysms-rest.md"), str(error.code), str(error.http), error.text)


@both_languages
def test_every_method_that_is_not_served_is_named(language: str) -> None:
    text = page(language, "allmysms.md")
    assert [name for name in UNSERVED if f"`{name}`" not in text] == []


@both_languages
def test_the_words_of_states_are_told(language: str) -> None:
    webhooks = page(language, "webhooks.md")
    assert {word for word in STATE_WORDS.values() if f"| `{word}` |" not in webhooks} == set()
    acks = section(page(language, "allmysms.md"), "getAcks")
    for number, word in DELIVERY.values():
        assert has_row(acks, str(number), word)
        assert f"{number} {word}" in webhooks


@both_languages
def test_every_magic_number_is_told(language: str) -> None:
    text = page(language, "testing.md")
    for key, magic in MAGIC.items():
        assert has_row(text, key, *((magic.does,) if language == "en" else ()))


@both_languages
def test_every_sending_window_is_told_with_its_hours(language: str) -> None:
    text, words = page(language, "windows.md"), WORDS[language]
    for profile in PROFILES.values():
        hours = f"{profile.open}-{profile.close}"
        assert has_row(text, f"`{profile.name}`", hours, words[profile.sundays], words[profile.outside])


def test_both_languages_have_the_same_pages() -> None:
    assert sorted(path.name for path in (USERS / "fr").glob("*.md")) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_both_languages_have_the_same_sections_tables_and_examples(name: str) -> None:
    english, french = page("en", name), page("fr", name)
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(french)]
    names = re.compile(r"/[a-z/-]+|[a-z]+[A-Z]\w*")  # headings that are names in the API are names in both
    for (_, said), (_, dit) in zip(headings(english), headings(french), strict=True):
        if names.fullmatch(said):
            assert said == dit
    assert [row[0] for row in rows(english) if is_code(row[0])] == [row[0] for row in rows(french) if is_code(row[0])]
    assert re.findall(r"^```\w*$", english, re.MULTILINE) == re.findall(r"^```\w*$", french, re.MULTILINE)


def is_code(cell: str) -> bool:
    return re.fullmatch(r"`[^`]+`|[0-9]+", cell) is not None


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@both_languages
@pytest.mark.parametrize("name", PAGES)
def test_the_json_of_every_example_can_be_read(language: str, name: str) -> None:
    for block in blocks(page(language, name), "json"):
        assert isinstance(json.loads(block), dict)


@both_languages
def test_the_receiver_that_is_shown_is_a_program(language: str) -> None:
    (program,) = blocks(page(language, "webhooks.md"), "python")
    compile(program, "webhooks.md", "exec")
