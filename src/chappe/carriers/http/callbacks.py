"""What a service tells us: receipts and replies, in whatever names its settings give. Pure.

A call is kept as it came, in one string of octets (`raw`): its media type, its query, its body, with line feeds between
them. The same values can be read again later from it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from chappe.carriers.http import values
from chappe.carriers.http.answers import REFERENCE_CHARACTERS_MAX
from chappe.carriers.http.options import HttpProfile

BODY_BYTES_MAX: Final = 262_144
QUERY_BYTES_MAX: Final = 16_384
FIELDS_MAX: Final = 500
EVENTS_MAX: Final = 1_000
NUMBER_CHARACTERS_MAX: Final = 40
TEXT_CHARACTERS_MAX: Final = 10_000
WORD_CHARACTERS_MAX: Final = 60
PARTS_MAX: Final = 255


class Receipt(NamedTuple):
    """state: the life-cycle's number, None for news that end nothing. known: whether the table has the word."""

    reference: str
    number: str
    state: int | None
    word: str
    error: str
    known: bool
    reason: str = ""


class Reply(NamedTuple):
    """What a subscriber wrote, or a part of it. total 1: the whole; reply_id: the service's, empty without one."""

    number: str
    to: str
    text: str
    reply_id: str
    reference: str = ""
    total: int = 1
    part: int = 1


def raw_of(content_type: str, query: bytes, body: bytes) -> bytes:
    """A call as it is kept."""
    head = content_type.replace("\n", " ")[:200].encode("utf-8", "replace")
    return b"\n".join((head, query, body))


def fields_of(raw: bytes) -> list[tuple[str, str]]:
    """The names and values of the form in the body, as they are signed."""
    content_type, _, rest = raw.partition(b"\n")
    if b"json" in content_type.lower():
        return []
    return _pairs(rest.partition(b"\n")[2])


def _pairs(octets: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            octets.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="replace"
        )
    except ValueError:  # more fields than anybody needs
        return []


def decoded(raw: bytes) -> Any:
    """What a call says: a JSON value, or an object of its form's fields; the fields of the query are beside those of an
    object. Bodies are JSON whatever their label says: several services send none."""
    _, _, rest = raw.partition(b"\n")
    query, _, body = rest.partition(b"\n")
    asked: dict[str, Any] = dict(_pairs(query))
    stripped = body.lstrip()
    if stripped[:1] in (b"{", b"["):
        found = values.decode(stripped)
        return {**asked, **found} if isinstance(found, dict) else found
    return asked | dict(_pairs(body))


def _each(said: Any, path: str) -> list[Any]:
    found = values.at(said, path) if path else said
    if isinstance(found, list):
        return found[:EVENTS_MAX]
    return [] if found is None else [found]


def receipts(raw: bytes, made: HttpProfile) -> list[Receipt]:
    """The receipts of a call; none where no id of a message is in it."""
    found = []
    for one in _each(decoded(raw), made.receipt_list):
        reference = values.text_at(one, made.receipt_id, REFERENCE_CHARACTERS_MAX)
        if not reference:
            continue
        word = values.text_at(one, made.receipt_state, WORD_CHARACTERS_MAX)
        key = word.lower()
        state = made.receipt_states.get(key)
        number = values.text_at(one, made.receipt_number, NUMBER_CHARACTERS_MAX)
        error = values.text_at(one, made.receipt_error, WORD_CHARACTERS_MAX)
        known = key in made.receipt_states
        reason = made.receipt_reasons.get(error, "")
        number = _digits(number)
        found.append(Receipt(reference, number, None if state is None else int(state), word, error, known, reason))
    return found


def replies(raw: bytes, made: HttpProfile) -> list[Reply]:
    """The replies of a call; none where nobody's number or no text is in it."""
    found = []
    for one in _each(decoded(raw), made.reply_list):
        number = values.text_at(one, made.reply_from, NUMBER_CHARACTERS_MAX)
        body = values.at(one, made.reply_text)
        if not number or (body is None and not _has_text(one, made)):
            continue
        total = _number(values.at(one, made.reply_total), 1)
        part = _number(values.at(one, made.reply_part), 1)
        to = values.text_at(one, made.reply_to, NUMBER_CHARACTERS_MAX) or made.number
        long = 1 < total <= PARTS_MAX and 1 <= part <= total
        found.append(
            Reply(
                _digits(number),
                _digits(to),
                values.text(body)[:TEXT_CHARACTERS_MAX],
                values.text_at(one, made.reply_id, REFERENCE_CHARACTERS_MAX),
                values.text_at(one, made.reply_reference, REFERENCE_CHARACTERS_MAX) if long else "",
                total if long else 1,
                part if long else 1,
            )
        )
    return found


def _has_text(one: Any, made: HttpProfile) -> bool:
    """Whether the field of the text is there, and empty: people do send empty messages."""
    return isinstance(one, dict) and any(path in one for path in made.reply_text.split("|"))


def _number(value: Any, otherwise: int) -> int:
    written = values.text(value)
    return int(written) if written.isascii() and written.isdecimal() and len(written) <= 6 else otherwise


def _digits(written: str) -> str:
    """A number without +, as carriers write it; a name stays as it is."""
    bare = "".join(written.split()).removeprefix("+")
    return bare if bare.isascii() and bare.isdecimal() else written
