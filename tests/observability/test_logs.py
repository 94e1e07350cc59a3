"""Log lines: whatever is written, by us or by a library, shows no number, key or text; metrics: one visible table."""

import io
import json
import logging
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from chappe.observability import logs, metrics, redaction
from chappe.observability.logs import Format, configure, get_logger
from chappe.observability.metrics import METRICS, Metric, Metrics, Snapshot, exposition
from chappe.observability.redaction import mask, redact

NESTED = {"a": [{"apiKey": "***", "336******78": ["061*****78"]}]}
FORMATS: tuple[Format, ...] = ("console", "json")


@pytest.fixture(autouse=True)
def _the_log_as_it_was() -> Iterator[None]:
    """Gives the process its handlers and levels back: other tests have their own."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def written(format: Format, level: logs.Level = "debug") -> io.StringIO:
    """A stream that receives every log line from now on."""
    stream = io.StringIO()
    logging.getLogger().handlers.clear()  # pytest's would keep the lines in clear, and fail where ours must not
    configure(format, level, stream)
    return stream


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+33612345678", "+336******78"),
        ("33612345678", "336******78"),
        ("0612345678", "061*****78"),
        ("to 06 12 34 56 78 now", "to 061*****78 now"),
        ("06.12.34.56.78", "061*****78"),
        ("06-12-34-56-78", "061*****78"),
        ("+33 (0)6 12 34 56 78", "+330*******78"),
        ("+33\u00a06\u202f12\u00a034\u00a056\u00a078", "+336******78"),
        ("06\u201112\u201134\u201156\u201178", "061*****78"),
        ("tel:+33612345678;phone-context", "tel:+336******78;phone-context"),
        ("[33612345678,33698765432]", "[336******78,336******32]"),
        ("id33612345678x", "id336******78x"),
        ("%2B33612345678", "%2B336******78"),
        ("\u0660\u0666\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", "\u0660\u0666\u0661*****\u0667\u0668"),
        ("12345678", "123***78"),
        ("1234567", "1234567"),
        ("36111", "36111"),
    ],
)
def test_a_phone_number_is_masked_however_it_is_written(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T00:45:26.123456+00:00",
        "2026-11-22 08:00",
        "until 2026-12-31",
        "192.168.100.200:2775",
        "5f1c2a3e-0b1d-11f0-9c3a-024212345678",
        "listening on 127.0.0.1 port 8080, took 12.345 s",
        "PostgreSQL 18.4 (pid 12345)",
    ],
)
def test_what_only_looks_like_a_number_stays_readable(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /v1/me?apiKey=hush&x=1", "GET /v1/me?apiKey=***&x=1"),
        ('{"apiKey": "hush", "a": 1}', '{"apiKey": "***", "a": 1}'),
        ("{'api_key': 'hush'}", "{'api_key': '***'}"),
        ("Authorization: Basic aHVzaA==", "Authorization: ***"),
        ("authorization: bearer hush", "authorization: ***"),
        ("password=hush", "password=***"),
        ("postgresql://chappe:hush@db/chappe", "postgresql://chappe:***@db/chappe"),
        ("GET /?login=a&message=Bonjour+Ana&mobile=1", "GET /?login=a&message=***&mobile=1"),
        ("duplicate key\nDETAIL:  Key (number)=(Ana)", "duplicate key\nDETAIL: (not logged)"),
        ('invalid input syntax for type integer: "Bonjour"', "invalid input syntax for type integer: (not logged)"),
        (
            "invalid input for query argument $2: 'Bonjour' (expected)",
            "invalid input for query argument $2: (not logged)",
        ),
        ("bad\nCONTEXT:  COPY message, line 1: Bonjour", "bad\nCONTEXT: (not logged)"),
    ],
)
def test_a_key_or_a_text_inside_a_sentence_is_taken_out(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("apiKey", "hush", "***"),
        ("X-Api-Key", "hush", "***"),
        ("smpp_password", "hush", "***"),
        ("passcode", 1234, "***"),
        ("Authorization", b"hush", "***"),
        ("database_url", "postgresql://h/n", "***"),
        ("text", "Bonjour", "<7 long>"),
        ("message", "Bonjour", "<7 long>"),
        ("short_message", b"Bonjour", "<7 long>"),
        ("body", {"a": 1}, "<not logged>"),
        ("messages", 17, 17),
        ("messages", ["Bonjour"], "<not logged>"),
        ("message", 33612345678, "336******78"),
        ("octets", b"Bonjour 33612345678", "<19 bytes>"),
        ("number", 33612345678, "336******78"),
        ("message_id", 33612345678, 33612345678),
        ("carrier_message_id", "0123456789", "0123456789"),
        ("carrier_message_id", "+33612345678", "+336******78"),
        ("balance_micros", 10_225_119_000, 10_225_119_000),
        ("rows", 1_234_567, 1_234_567),
        ("seconds", 0.1234567891234, 0.123457),
        ("far", float("inf"), float("inf")),
        ("error", ValueError("no such number 33612345678"), "ValueError"),
        ("error", OSError(2, "Bonjour"), "FileNotFoundError: No such file or directory"),
        ("nested", {"a": [{"apiKey": "hush", "33612345678": ["0612345678"]}]}, NESTED),
        ("headers", [("Authorization", "hush"), ("Accept", "*/*")], [["Authorization", "***"], ["Accept", "*/*"]]),
        ("injected", "a\nb\x1b[31m", "a\\nb\\x1b[31m"),
        ("nothing", None, None),
        ("truth", True, True),
    ],
)  # fmt: skip
def test_a_field_is_redacted_by_its_name_and_its_value(name: str, value: Any, shown: Any) -> None:
    assert redact({name: value}) == {name: shown}


def test_what_has_no_end_is_bounded() -> None:
    loop: list[Any] = []
    loop.append(loop)
    line = redact({"loop": loop, "long": "x" * 100_000, "many": list(range(100_000))})
    assert "too deep" in str(line["loop"])
    assert len(line["long"]) < 10_000
    assert len(line["many"]) == redaction.ITEMS_MAX


def test_a_value_that_cannot_be_shown_does_not_lose_the_line() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("33612345678")

    assert redact({"value": Broken()}) == {"value": "<Broken cannot be shown: RuntimeError>"}


digits = st.text("0123456789", min_size=10, max_size=15)
separators = st.sampled_from(["", " ", ".", "-", "/", "\u00a0"])


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, str]:
    """A phone number as people write it, and its digits."""
    plain = draw(digits)
    separator = draw(separators)
    cut = draw(st.integers(1, 4))
    groups = [plain[start : start + cut] for start in range(0, len(plain), cut)]
    return draw(st.sampled_from(["", "+"])) + separator.join(groups), plain


def looks_like_something_else(text: str) -> bool:
    """Digits that make a date or an address are shown on purpose."""
    return re.search(r"20\d\d-\d\d-\d\d|(\d{1,3}\.){3}\d{1,3}", text) is not None


plain_words = st.text(string.ascii_letters + " =:'\"{}é€\n", max_size=12)


@settings(max_examples=300)
@given(numbers(), plain_words, plain_words, st.sampled_from(FORMATS), st.integers(0, 6))
def test_no_phone_number_survives_in_any_line(
    number: tuple[str, str], before: str, after: str, format: Format, way: int
) -> None:
    shown, plain = number
    if looks_like_something_else(shown):
        return
    stream = written(format)
    text = f"{before}{shown}{after}"
    log, library = get_logger("chappe.test"), logging.getLogger("asyncpg.test")
    if way == 0:
        log.info(text)
    elif way == 1:
        log.info("event", value=text, values=[{text: int(plain)}], pair=(text, {text}))
    elif way == 2:
        log.info("to %s", text)
    elif way == 3:
        library.warning("to %s of %d", text, int(plain), extra={"peer": text})
    else:
        try:
            try:
                raise ValueError(text)
            except ValueError as error:
                raise KeyError(int(plain)) from error
        except KeyError as error:
            if way == 4:
                log.exception("failed", error=error)
            elif way == 5:
                library.exception(error)
            else:
                library.error("failed", exc_info=ExceptionGroup(text, [error]))
    line = stream.getvalue()
    assert line.endswith("\n")
    assert shown not in line
    assert plain not in line
    assert re.search(r"\d{8}", line) is None


# They begin with what no line has by itself: Hypothesis also tries words of this very file, as `Authorization`.
keys = st.text(string.ascii_letters + string.digits, min_size=9, max_size=37).map(lambda rest: f"Qz7{rest}")


@given(keys, st.sampled_from(FORMATS))
def test_no_key_survives_in_any_line(key: str, format: Format) -> None:
    stream = written(format)
    log = get_logger("chappe.test")
    log.info(f"GET /?apiKey={key}", apiKey=key, api_key=key, headers={"Authorization": key}, pairs=[("password", key)])
    logging.getLogger("some.library").error("refused: %s", {"apiKey": key, "password": key})
    try:
        raise ValueError(f"https://login:{key}@example.org/?token={key}")
    except ValueError:
        log.exception("failed")
    assert key not in stream.getvalue()


def test_a_json_line_is_one_object_with_utc_time_level_and_logger() -> None:
    stream = written("json")
    get_logger("chappe.web").warning("refused", code="C12", text="Bonjour\nAna")
    (line,) = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", fields.pop("timestamp"))
    assert fields == {
        "event": "refused",
        "code": "C12",
        "text": "<11 long>",
        "level": "warning",
        "logger": "chappe.web",
    }


def test_a_console_line_has_columns_and_the_traceback_below_it() -> None:
    stream = written("console")
    try:
        raise ValueError("to 33612345678")
    except ValueError as error:
        get_logger("chappe.web").error("refused", code="C 12", rows=3, exc_info=error)
    first, *below = stream.getvalue().splitlines()
    at, _, rest = first.partition(" ")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", at)
    assert rest == f"[error    ] {'refused':30} [chappe.web] code='C 12' rows=3"
    assert below[0] == "Traceback (most recent call last):"
    assert below[-1] == "ValueError"


def test_a_console_has_colours_where_somebody_looks() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    logging.getLogger().handlers.clear()
    terminal = Terminal()
    configure("console", "info", terminal)
    get_logger("chappe.web").warning("refused", code="C12")
    assert "\x1b[33mwarning  \x1b[0m" in terminal.getvalue()
    plain = re.sub("\x1b\\[[0-9]+m", "", terminal.getvalue())
    assert plain.endswith(f"Z [warning  ] {'refused':30} [chappe.web] code=C12\n")


def test_a_field_cannot_pass_for_what_the_line_says_of_itself() -> None:
    stream = written("json")
    get_logger("chappe.web").info("answered", level="x", logger="y", timestamp="z", event_at=1)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["logger"], line["event_at"]) == ("answered", "info", "chappe.web", 1)
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_lines_below_the_level_are_not_written(level: logs.Level, shown: int) -> None:
    stream = written("json", level)
    for logger in (get_logger("chappe.x"), logging.getLogger("asyncio.x")):
        logger.debug("a")
        logger.info("b")
        logger.warning("c")
        logger.error("d")
    assert len(stream.getvalue().splitlines()) == 2 * shown


def test_the_last_configuration_reaches_loggers_taken_before() -> None:
    log = get_logger("chappe.x")
    first = written("json", "error")
    log.info("lost")
    second = written("json", "info")
    log.info("kept")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["event"] == "kept"


def test_without_configuration_a_logger_still_redacts() -> None:
    code = "from chappe.observability.logs import get_logger\ng = get_logger('x')\n"
    code += "g.warning('to 33612345678')\ng.info('quiet')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "to 336******78" in done.stderr
    assert "quiet" not in done.stderr


def test_a_line_that_cannot_be_written_is_announced_without_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    written("json")
    logging.getLogger("asyncpg.x").error("%d", "33612345678")
    assert capsys.readouterr().err == "a log line of asyncpg.x was lost: TypeError\n"


def test_importing_it_imports_nothing_large() -> None:
    code = "import sys, chappe.observability.logs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"structlog", "rich", "prometheus_client", "asyncio", "msgspec"}.isdisjoint(done.stdout.split())


TABLE = {
    "sent_total": Metric("counter", "Sent.", ("carrier",)),
    "up": Metric("gauge", "Up."),
    "wait_seconds": Metric("histogram", "Wait.", (), (0.1, 1.0)),
}


def families(text: bytes) -> dict[str, dict[tuple[str, frozenset[tuple[str, str]]], float]]:
    """What another program reads in an exposition."""
    return {
        family.name: {(sample.name, frozenset(sample.labels.items())): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text.decode())
    }


def test_metrics_are_counted_and_measured_and_others_can_read_them() -> None:
    metrics = Metrics(TABLE)
    metrics.count("sent_total", carrier='hand"set\\')
    metrics.count("sent_total", 2, carrier='hand"set\\')
    for value in (0.05, 0.1, 0.5, 7.0):
        metrics.measure("wait_seconds", value)
    read = families(exposition(TABLE, [metrics.snapshot("api-0")]))
    mine = ("process", "api-0")
    assert read["sent"] == {("sent_total", frozenset({mine, ("carrier", 'hand"set\\')})): 3.0}
    assert read["wait_seconds"] == {
        ("wait_seconds_bucket", frozenset({mine, ("le", "0.1")})): 2.0,
        ("wait_seconds_bucket", frozenset({mine, ("le", "1.0")})): 3.0,
        ("wait_seconds_bucket", frozenset({mine, ("le", "+Inf")})): 4.0,
        ("wait_seconds_sum", frozenset({mine})): 7.65,
        ("wait_seconds_count", frozenset({mine})): 4.0,
    }


def test_the_counts_of_several_processes_stand_side_by_side() -> None:
    snapshots = []
    for process, number in (("api-0", 3), ("work", 12_345_678)):
        metrics = Metrics(TABLE)
        metrics.count("sent_total", number, carrier="red")
        snapshots.append(metrics.snapshot(process))
    text = exposition(TABLE, snapshots)
    assert text.count(b"# TYPE sent_total counter\n") == 1
    assert b'sent_total{process="work",carrier="red"} 12345678\n' in text
    assert set(families(text)["sent"].values()) == {3.0, 12_345_678.0}


def test_what_is_nobodys_has_no_process() -> None:
    assert b"\nup 2\n" in exposition(TABLE, [Snapshot("", {"up": [([], 2.0)]})])


def test_a_snapshot_travels_as_json() -> None:
    metrics = Metrics(TABLE)
    metrics.count("sent_total", carrier="red")
    metrics.measure("wait_seconds", 0.2)
    snapshot = metrics.snapshot("work")
    read = msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot)
    assert exposition(TABLE, [read]) == exposition(TABLE, [snapshot])


@pytest.mark.parametrize(
    ("name", "labels"), [("chappe_accepted", {"dialect": "x"}), ("chappe_accepted_total", {"who": "x"})]
)
def test_a_metric_outside_the_table_is_our_bug(name: str, labels: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        metrics.metrics().count(name, **labels)


def test_the_table_names_what_is_counted_and_nothing_else() -> None:
    assert metrics.metrics() is metrics.metrics()
    source = Path(logs.__file__).parents[1]
    counted = set()
    for path in source.rglob("*.py"):
        counted |= set(re.findall(r'\.(?:count|measure|cell)\(\s*"(chappe_[a-z_]+)"', path.read_text()))
    assert counted == set(METRICS)
    text = exposition(METRICS, [metrics.metrics().snapshot("alone")]).decode()
    for name, row in METRICS.items():
        assert f"# HELP {name} {row.help}\n" in text
        assert name.endswith("_total") == (row.kind == "counter")
        assert "account" not in row.labels, "a label of many values would grow without limit"
