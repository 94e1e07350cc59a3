"""An exception is logged by its class and its frames: its words may hold what was being handled."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
import uvloop

from chappe.observability import logs
from chappe.observability.tracebacks import CHAIN_MAX, FRAMES_MAX, formatted, named

TEXT = "Bonjour Ana, le code est 4711"


def unwritable() -> None:
    (TEXT + "ж").encode("latin-1")


def violated() -> None:
    raise _violation()


def _violation() -> BaseException:
    error = asyncpg.UniqueViolationError(f"duplicate key: {TEXT}")
    error.constraint_name = "message_pkey"
    error.detail = TEXT
    return error


def missing() -> None:
    {}[TEXT]  # type: ignore[misc]


def unread() -> None:
    open(f"/nowhere/{TEXT}")  # noqa: SIM115


def grouped() -> None:
    raise ExceptionGroup(TEXT, [ValueError(TEXT), KeyError(TEXT)])


def chained() -> None:
    try:
        int(TEXT)
    except ValueError as error:
        raise RuntimeError(TEXT) from error


def noted() -> None:
    error = ValueError(TEXT)
    error.add_note(TEXT)
    raise error


FAILURES: list[tuple[Callable[[], None], str]] = [
    (unwritable, "UnicodeEncodeError"),
    (violated, "UniqueViolationError: SQLSTATE 23505, constraint message_pkey"),
    (missing, "KeyError"),
    (unread, "FileNotFoundError: No such file or directory"),
    (grouped, "ExceptionGroup"),
    (chained, "RuntimeError"),
    (noted, "ValueError"),
]


def caught(fail: Callable[[], None]) -> BaseException:
    try:
        fail()
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError("it did not fail")


def lines(write: Callable[[], Any], format: logs.Format = "json") -> str:
    stream = io.StringIO()
    logs.configure(format, "debug", stream)
    write()
    return stream.getvalue()


@pytest.mark.parametrize(("fail", "shown"), FAILURES, ids=[fail.__name__ for fail, _ in FAILURES])
def test_no_word_of_an_exception_reaches_a_log(fail: Callable[[], None], shown: str) -> None:
    error = caught(fail)
    assert named(error) == shown
    log, library = logs.get_logger("chappe.test"), logging.getLogger("library")
    for format in ("json", "console"):
        told = lines(
            lambda: (
                log.error("failed", exc_info=error, error=error, errors=[error]),
                library.error(error),
                library.error("failed: %s and %r", error, error),
                library.error("failed", exc_info=error),
            ),
            format,  # type: ignore[arg-type]
        )
        assert type(error).__name__ in told
        assert fail.__name__ in told, "where it was raised"
        assert not any(word in told for word in ("Bonjour", "Ana", "4711")), told


def test_the_exceptions_before_it_are_shown_as_well() -> None:
    told = formatted(caught(chained))
    first, _, second = told.partition("The above exception was the direct cause of the following exception:")
    assert first.rstrip().endswith("ValueError")
    assert second.endswith("RuntimeError")
    assert told.count("Traceback (most recent call last):") == 2


def test_what_has_no_end_is_bounded() -> None:
    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        raise ValueError

    assert formatted(caught(lambda: deep(10 * FRAMES_MAX))).count("File ") <= FRAMES_MAX + 1
    error: BaseException = ValueError()
    for _ in range(10 * CHAIN_MAX):
        following = ValueError()
        following.__cause__ = error
        error = following
    assert formatted(error).count("ValueError") == CHAIN_MAX + 1


ENDS = {
    "process": f"raise ValueError({TEXT!r})",
    "thread": f"import threading; t = threading.Thread(target=int, args=({TEXT!r},)); t.start(); t.join()",
    "finalizer": f"class A:\n    def __del__(self): raise ValueError({TEXT!r})\nA()",
}


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_a_process_is_told_without_its_words(end: str) -> None:
    code = f"from chappe.observability import logs\nlogs.configure('json', 'info')\nlogs.log_unexpected()\n{ENDS[end]}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    told = json.loads(done.stderr)
    assert told["event"] == f"{end}_failed"
    assert told["exception"].endswith("ValueError")
    assert "Ana" not in done.stderr
    assert done.returncode == (1 if end == "process" else 0)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_what_fails_in_a_loop_is_told_without_arguments_and_words(new_loop: Callable[[], Any]) -> None:
    def called(_text: str) -> None:
        raise ValueError(TEXT)

    async def failing(text: str) -> None:
        raise ValueError(text)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        logs.log_failures_of(loop)
        loop.call_soon(called, TEXT)
        task = loop.create_task(failing(TEXT), name=TEXT)
        await asyncio.wait([task])
        del task

    def run() -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())

    told = [json.loads(line) for line in lines(run).splitlines()]
    told = [line for line in told if line["event"] == "loop_failed"]
    assert {line["what"] for line in told} == {"Exception", "Task exception was never retrieved"}
    assert all(line["exception"].endswith("ValueError") for line in told)
    assert "Ana" not in json.dumps(told)
