"""Logs of a process: the one sink of log lines, where redaction happens, as text for people or JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from chappe.observability.redaction import _word, redact
from chappe.observability.tracebacks import formatted, named

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["console", "json"]


EVENT_COLUMNS = 30  # of the console: a shorter event is filled up, so that fields begin below each other
_FAINT, _BOLD, _NAME, _VALUE, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[36m", "\x1b[35m", "\x1b[0m"
_LEVEL_COLOURS = {"debug": "\x1b[32m", "info": "\x1b[32m", "warning": "\x1b[33m"}
_ALARM_COLOUR = "\x1b[31m"


def configure(format: Format, level: Level, stream: TextIO | None = None) -> None:
    """Sends every log line of this process, ours and the libraries', redacted to stream (standard error by default).

    May be called again: the last call wins.
    """
    target = stream or sys.stderr
    handler = _Handler(target)
    handler.setFormatter(_Lines(format, colours=format == "console" and target.isatty()))
    root = logging.getLogger()
    root.handlers = [old for old in root.handlers if not isinstance(old, _Handler)] + [handler]
    root.setLevel(level.upper())


def log_unexpected() -> None:
    """Logs the exceptions that end this process, a thread or a finalizer. Python would print their words."""
    logger = get_logger("chappe")

    def ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            logger.error("process_failed", exc_info=error)

    def thread_ended(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
            logger.error("thread_failed", thread=told.thread.name if told.thread else "", exc_info=told.exc_value)

    def not_raised(told: sys.UnraisableHookArgs) -> None:
        if told.exc_value is not None:
            logger.error("finalizer_failed", exc_info=told.exc_value)

    sys.excepthook = ended
    threading.excepthook = thread_ended
    sys.unraisablehook = not_raised


def log_failures_of(loop: AbstractEventLoop) -> None:
    """Logs the failures in a loop that no other code waits for. The loop itself would show arguments and results."""
    logger = get_logger("chappe")

    def failed(_loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        what = str(context.get("message", "")).partition(" in callback ")[0].partition("\n")[0]
        logger.error("loop_failed", what=what, exc_info=error if isinstance(error, BaseException) else None)

    loop.set_exception_handler(failed)


class Logger:
    """Where a module writes lines: a constant event, its values as named fields.

    A thin layer over the standard library's logger of that name, which decides what is written. No library: those that
    do this take longer to import than a command may last.
    """

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, *values: object, **fields: object) -> None:
        """A word for the engineer who looks for a fault."""
        self._write(logging.DEBUG, event, values, fields)

    def info(self, event: str, *values: object, **fields: object) -> None:
        """Something ordinary."""
        self._write(logging.INFO, event, values, fields)

    def warning(self, event: str, *values: object, **fields: object) -> None:
        """Something that the operator should know; it goes on."""
        self._write(logging.WARNING, event, values, fields)

    def error(self, event: str, *values: object, exc_info: BaseException | None = None, **fields: object) -> None:
        """Something that did not work; exc_info: an exception whose traceback is shown."""
        self._write(logging.ERROR, event, values, fields, exc_info)

    def exception(self, event: str, *values: object, **fields: object) -> None:
        """As error(), with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, values, fields, sys.exc_info()[1])

    def _write(
        self,
        level: int,
        event: str,
        values: tuple[object, ...],
        fields: dict[str, object],
        exc_info: BaseException | None = None,
    ) -> None:
        if not self._logger.isEnabledFor(level):
            return
        if not self._logger.hasHandlers():
            configure("console", "warning")  # else the library would write the event without its fields
        self._logger.log(level, event, *values, exc_info=exc_info, extra={"fields": fields})


def get_logger(name: str) -> Logger:
    """The logger of a module; until configure() is called, lines from `warning` up go to standard error."""
    return Logger(name)


class _Lines(logging.Formatter):
    """A record as one redacted line: JSON for programs, columns for people."""

    def __init__(self, format: Format, *, colours: bool) -> None:
        super().__init__()
        self._as_json = format == "json"
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {**getattr(record, "fields", {}), "event": _message(record)}
        told |= {"level": record.levelname.lower(), "logger": record.name}
        if record.stack_info:
            told["stack"] = record.stack_info
        if record.exc_info and record.exc_info[1] is not None:
            told["exception"] = formatted(record.exc_info[1])
        line = redact(told)
        line["timestamp"] = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if self._as_json:
            return json.dumps(line, ensure_ascii=False, default=str)
        return self._columns(line)

    def _columns(self, line: dict[str, Any]) -> str:
        paint = self._painted
        level, event = line.pop("level"), line.pop("event")
        at, name = line.pop("timestamp"), line.pop("logger")
        below = [str(line.pop(part)) for part in ("stack", "exception") if part in line]
        words = [
            paint(at, _FAINT),
            f"[{paint(f'{level:9}', _LEVEL_COLOURS.get(level, _ALARM_COLOUR))}]",
            paint(f"{event:{EVENT_COLUMNS}}", _BOLD),
            f"[{paint(name, _BOLD)}]",
            *(f"{paint(field, _NAME)}={paint(_word(value), _VALUE)}" for field, value in line.items()),
        ]
        return "\n".join((" ".join(words), *below))

    def _painted(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colours else text


def _message(record: logging.LogRecord) -> str:
    """The message of a record; an exception in it is shown by its class, as everywhere."""
    if isinstance(record.msg, BaseException):
        return named(record.msg)
    if isinstance(record.args, tuple) and any(isinstance(value, BaseException) for value in record.args):
        shown = tuple(named(value) if isinstance(value, BaseException) else value for value in record.args)
        return str(record.msg) % shown
    return record.getMessage()


class _Handler(logging.StreamHandler[TextIO]):
    """The sink; what cannot be written is said without its values, which the standard handler would print in clear."""

    def handleError(self, record: logging.LogRecord) -> None:
        kind = sys.exc_info()[0]
        sys.stderr.write(f"a log line of {record.name} was lost: {kind.__name__ if kind else 'unknown'}\n")
