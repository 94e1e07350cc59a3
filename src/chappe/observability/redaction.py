"""What a log line may show: keys, phone numbers and texts are masked, long values are cut. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from chappe.observability.tracebacks import named

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


def _word(value: object) -> str:
    """A value in a line for people: quoted where it would not be one word."""
    if isinstance(value, str) and not any(mark in value for mark in " \t=\r\n\"'"):
        return value
    return repr(value)


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
        return named(value) if isinstance(value, BaseException) else repr(value)
    except Exception as error:  # noqa: BLE001 - a broken __repr__ must not take the log line with it
        return f"<{type(value).__name__} cannot be shown: {type(error).__name__}>"


def _cut(text: str) -> str:
    """A very long text without its middle: the end of a traceback says most."""
    if len(text) <= STRING_CHARACTERS_MAX:
        return text
    half = STRING_CHARACTERS_MAX // 2
    return f"{text[:half]} ... {len(text) - 2 * half} characters ... {text[-half:]}"
