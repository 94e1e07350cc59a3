"""Logging and metrics of a process; the one sink of log lines, where keys, phone numbers and texts are redacted.

Log with a constant event and named fields: `log.info("bind up", carrier=name, bind_id=7)`. Never put a customer's text
into an exception's message: a text without a field name cannot be told from our own words.
"""

import json
import logging
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TextIO

STRING_CHARACTERS_MAX = 8_000
DEPTH_MAX = 6
ITEMS_MAX = 100

# Compared in lower case without `_` and `-`, as the end of a field's name: `apiKey`, `smpp_password`, `X-Api-Key`.
_SECRET_NAMES = (
    *("apikey", "privatekey", "password", "passwd", "passcode", "pwd", "token", "secret", "authorization", "cookie"),
    *("dsn", "databaseurl", "signature"),
)
_TEXT_NAMES = ("text", "texts", "message", "messages", "body", "shortmessage", "messagepayload", "smsdata", "content")
# Fields whose long numbers are identifiers or amounts of ours, not somebody's phone.
_OPEN_SUFFIXES = ("_id", "_ids", "_micros", "_bytes")
_SELF_MADE = ("exception", "stack")

_SECRET_IN_TEXT = re.compile(
    r"(?i)(api[_-]?key|passw(?:or)?d|passcode|pwd|token|secret|authorization|cookie)"
    r"(\\?[\"']?\s*(?:=|:|%3D)\s*\\?[\"']?)((?:basic|bearer)\s+)?[^\s&\"',;}\\]+"
)
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")
_URL_TEXT = re.compile(r"(?i)([?&](?:message|text|body|smsdata)=)[^&\s#]*")
# PostgreSQL repeats row values in these lines of an error ("Failing row contains ..."), and what it could not read in
# its first line; asyncpg repeats the argument that it could not encode.
_DATABASE_VALUES = re.compile(
    r"(?m)^(\s*(?:DETAIL|CONTEXT|STATEMENT|QUERY):).*$"
    r"|(invalid input (?:syntax|value) for [^:\n]{1,80}:|invalid input for query argument \$\d+:|out of range:).*$"
)
# Eight digits or more, with what people write between them. Tried after the shapes that are no phone number and useful
# in a log: UUID, date (and time), IPv4 address.
_NUMBER = re.compile(
    r"(?P<other>(?<![0-9a-fA-F-])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-fA-F-])"
    r"|(?<!\d)20\d\d-(?:0[1-9]|1[0-2])-(?:[0-2]\d|3[01])(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:[.,]\d{1,6})?)?)?(?!\d)"
    r"|(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.]))"
    r"|(?P<number>\+?\d(?:[\s./()\-\u2010-\u2015]{0,3}\d){7,})"
)
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {10: "\\n", 13: "\\r", 9: "\\t"}
_CONTROLS_IN_TRACEBACK = {code: text for code, text in _CONTROLS.items() if code not in (9, 10)}

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
        """Something for who looks for a fault."""
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


def mask(text: str) -> str:
    """The text with keys, phone numbers and database values made unreadable: `+33612345678` -> `+336******78`."""
    text = _DATABASE_VALUES.sub(r"\1\2 (not logged)", text)
    text = _SECRET_IN_TEXT.sub(r"\1\2***", text)
    text = _URL_PASSWORD.sub(r"\1***@", text)
    text = _URL_TEXT.sub(r"\1***", text)
    return _NUMBER.sub(_masked_number, text)


def redact(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a log line as plain values that may be written: redacted, without control characters, bounded."""
    return {_name(name): _field(name, value, 0) for name, value in fields.items()}


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


def _word(value: object) -> str:
    """A value in a line for people: quoted where it would not be one word."""
    if isinstance(value, str) and not any(mark in value for mark in " \t=\r\n\"'"):
        return value
    return repr(value)


class _Handler(logging.StreamHandler[TextIO]):
    """The sink; what cannot be written is said without its values, which the standard handler would print in clear."""

    def handleError(self, record: logging.LogRecord) -> None:
        kind = sys.exc_info()[0]
        sys.stderr.write(f"a log line of {record.name} was lost: {kind.__name__ if kind else 'unknown'}\n")


def _masked_number(match: re.Match[str]) -> str:
    if match["other"]:
        return match[0]
    digits = [character for character in match[0] if character.isdigit()]
    plus = "+" if match[0].startswith("+") else ""
    return f"{plus}{''.join(digits[:3])}{'*' * (len(digits) - 5)}{''.join(digits[-2:])}"


def _name(name: object) -> str:
    return mask(str(name)).translate(_CONTROLS)[:100]


def _plain(name: object) -> str:
    return str(name).lower().replace("_", "").replace("-", "")


def _field(name: object, value: Any, depth: int) -> Any:
    plain = _plain(name)
    if value is None or isinstance(value, bool):
        return value
    if plain.endswith(_SECRET_NAMES):
        return "***"
    if plain.endswith(_TEXT_NAMES) and not isinstance(value, int | float):  # a number is a count, or masked below
        return f"<{len(value)} long>" if isinstance(value, str | bytes) else "<not logged>"
    if str(name).endswith(_OPEN_SUFFIXES) and (isinstance(value, int) or _is_identifier(value)):
        return value
    return _value(value, depth, _CONTROLS_IN_TRACEBACK if name in _SELF_MADE else _CONTROLS)


def _is_identifier(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 65 and value.isascii() and value.replace("-", "").isalnum()


def _value(value: Any, depth: int, controls: Mapping[int, str] = _CONTROLS) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return _cut(mask(value).translate(controls))
        case int() | float():
            return _amount(value)
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case dict() | list() | tuple() | set() | frozenset() if depth >= DEPTH_MAX:
            return "<too deep>"
        case dict():
            return {_name(key): _field(key, item, depth + 1) for key, item in _first(value.items())}
        case (str() as name, item) if isinstance(value, tuple) and _plain(name).endswith(_SECRET_NAMES + _TEXT_NAMES):
            return [_name(name), _field(name, item, depth + 1)]  # a header or a form field as a pair
        case list() | tuple() | set() | frozenset():
            return [_value(item, depth + 1) for item in _first(value)]
        case _:
            return _cut(mask(_shown(value)).translate(controls))


def _amount(value: float) -> Any:
    """A number as it is, unless it is large enough to be a phone number; decimals are rounded for the same reason."""
    if isinstance(value, float):
        value = round(value, 6)
    return mask(str(int(value))) if 10_000_000 <= abs(value) < float("inf") else value


def _first(items: Any) -> Iterator[Any]:
    for index, item in enumerate(items):
        if index == ITEMS_MAX:
            return
        yield item


def _shown(value: object) -> str:
    try:
        return str(value) if isinstance(value, BaseException) else repr(value)
    except Exception as error:  # noqa: BLE001 - a broken __repr__ must not take the log line with it
        return f"<{type(value).__name__} cannot be shown: {type(error).__name__}>"


def _cut(text: str) -> str:
    """A very long text without its middle: the end of a traceback says most."""
    if len(text) <= STRING_CHARACTERS_MAX:
        return text
    half = STRING_CHARACTERS_MAX // 2
    return f"{text[:half]} ... {len(text) - 2 * half} characters ... {text[-half:]}"


class Metric(NamedTuple):
    """One row of the table below: what is counted or measured, and its labels, all of few values (never a customer)."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)

METRICS: dict[str, Metric] = {
    "chappe_http_requests_total": Metric("counter", "HTTP requests answered.", ("status",)),
    "chappe_http_request_seconds": Metric("histogram", "Time from request to answer.", (), _SECONDS),
    "chappe_undeclared_proxy_requests_total": Metric(
        "counter", "Requests through a proxy that trusted_proxies does not name.", ("peer",)
    ),
    "chappe_accepted_total": Metric("counter", "Messages accepted.", ("dialect",)),
    "chappe_limit_reached_total": Metric("counter", "Refusals by a limit of an account, by hour or day.", ("limit",)),
    "chappe_refused_total": Metric("counter", "Commands refused.", ("dialect", "code")),
    "chappe_commit_rows": Metric("histogram", "Commands that shared one transaction.", ("action",), _ROWS),
    "chappe_commit_seconds": Metric("histogram", "Time of one transaction.", ("action",), _SECONDS),
    "chappe_submitted_total": Metric("counter", "Parts answered by a carrier.", ("carrier", "outcome")),
    "chappe_receipts_total": Metric("counter", "Receipts stored.", ("carrier", "state")),
    "chappe_receipt_oddities_total": Metric(
        "counter", "Receipts with something unusual, by what it was.", ("carrier", "oddity")
    ),
    "chappe_quarantined_total": Metric(
        "counter", "Results, receipts and messages of carriers that the database refused.", ("carrier", "kind")
    ),
    "chappe_inbound_total": Metric("counter", "Messages of subscribers stored.", ("carrier",)),
    "chappe_webhooks_total": Metric("counter", "Webhook attempts.", ("outcome",)),
    "chappe_failures_total": Metric("counter", "Work that failed unexpectedly and is tried again.", ("task",)),
}
"""What each process counts; store/gauges.py has what the database knows."""


class Snapshot(NamedTuple):
    """The counts of one process at one moment: name -> values of the labels -> value; of a histogram a list of the
    counts of its buckets, the last without a bound, and the sum."""

    process: str
    counts: dict[str, list[tuple[list[str], float | list[float]]]]


class Metrics:
    """The metrics of one process. A name or a label that is not in the table is our bug: KeyError.

    No library: the hot path counts, and an addition in a dictionary is what a count costs there.
    """

    def __init__(self, table: Mapping[str, Metric]) -> None:
        self._table = table
        self._plain: dict[str, dict[tuple[str, ...], list[float]]] = {name: {} for name in table}
        self._spread: dict[str, dict[tuple[str, ...], list[float]]] = {
            name: {} for name, row in table.items() if row.kind == "histogram"
        }

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Adds to a counter."""
        self.cell(name, **labels)[0] += amount

    def measure(self, name: str, value: float, /, **labels: str) -> None:
        """Records one value (seconds, rows) in a histogram."""
        spread(self.cell(name, **labels), self._table[name].buckets, value)

    def cell(self, name: str, /, **labels: str) -> list[float]:
        """Where one series is counted, for those who count so often that they keep it: a counter's only item, or what
        spread() takes."""
        row = self._table[name]
        key = tuple([labels[label] for label in row.labels])
        series = self._spread[name] if row.kind == "histogram" else self._plain[name]
        found = series.get(key)
        if found is None:
            found = series[key] = [0.0] * (len(row.buckets) + 2 if row.kind == "histogram" else 1)
        return found

    def snapshot(self, process: str) -> Snapshot:
        """What has been counted so far."""
        counts: dict[str, list[tuple[list[str], float | list[float]]]] = {}
        for name, row in self._table.items():
            if row.kind == "histogram":
                counts[name] = [(list(key), list(value)) for key, value in self._spread[name].items()]
            else:
                counts[name] = [(list(key), value[0]) for key, value in self._plain[name].items()]
        return Snapshot(process, counts)


def spread(cell: list[float], buckets: tuple[float, ...], value: float) -> None:
    """Records one value in a histogram's cell."""
    cell[bisect_left(buckets, value)] += 1
    cell[-1] += value


def exposition(table: Mapping[str, Metric], snapshots: Sequence[Snapshot]) -> bytes:
    """The counts of processes in the text format of Prometheus, version 0.0.4; the label `process` tells them apart
    where they are of processes."""
    lines = []
    for name, row in table.items():
        lines += [f"# HELP {name} {row.help}", f"# TYPE {name} {row.kind}"]
        for snapshot in snapshots:
            whose = [("process", snapshot.process)] if snapshot.process else []
            for values, value in snapshot.counts.get(name, ()):
                labels = [*whose, *zip(row.labels, values, strict=True)]
                lines += _series(name, row, labels, value)
    return ("\n".join(lines) + "\n").encode()


def _series(name: str, row: Metric, labels: list[tuple[str, str]], value: float | list[float]) -> list[str]:
    if not isinstance(value, list):
        return [f"{name}{_labelled(labels)} {value:g}" if value < 1e6 else f"{name}{_labelled(labels)} {value:.0f}"]
    lines = []
    total = 0.0
    for bound, count in zip([*map(str, row.buckets), "+Inf"], value, strict=False):
        total += count
        lines.append(f"{name}_bucket{_labelled([*labels, ('le', bound)])} {total:.0f}")
    return [*lines, f"{name}_sum{_labelled(labels)} {value[-1]:.6f}", f"{name}_count{_labelled(labels)} {total:.0f}"]


def _labelled(labels: list[tuple[str, str]]) -> str:
    escaped = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
    return "{" + ",".join(f'{name}="{value.translate(escaped)}"' for name, value in labels) + "}" if labels else ""


_process: Metrics | None = None


def metrics() -> Metrics:
    """The metrics of this process."""
    global _process  # counts belong to the process, as its log sink does
    if _process is None:
        _process = Metrics(METRICS)
    return _process
