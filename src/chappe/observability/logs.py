"""Logs of a process: the one sink of log lines, where redaction happens, as text for people or JSON for programs."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from chappe.observability.redaction import _word, redact

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
        told: dict[str, Any] = {**getattr(record, "fields", {}), "event": record.getMessage()}
        told |= {"level": record.levelname.lower(), "logger": record.name}
        if record.stack_info:
            told["stack"] = record.stack_info
        if record.exc_info and record.exc_info[0] is not None:
            told["exception"] = self.formatException(record.exc_info)
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


class _Handler(logging.StreamHandler[TextIO]):
    """The sink; what cannot be written is said without its values, which the standard handler would print in clear."""

    def handleError(self, record: logging.LogRecord) -> None:
        kind = sys.exc_info()[0]
        sys.stderr.write(f"a log line of {record.name} was lost: {kind.__name__ if kind else 'unknown'}\n")
