"""How AllMySMS writes a reply: one object as JSON, as XML with the same names in the same order, or as lines (v2).

JSON is ASCII only, so that no client's belief about the charset matters. The provider labels the JSON of 9.0
`text/html`, and one large client accepts nothing else; REST says `application/json`. XML: the root is `response`, a
list is an element of its key's name with one `item` an entry, what is empty or null is an empty element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from typing import Final

from chappe.core import pricing
from chappe.core.http import Response
from chappe.dialects.allmysms.xmlflow import escape

JSON_TYPE: Final = "application/json"
HTML_TYPE: Final = "text/html; charset=utf-8"
XML_TYPE: Final = "text/xml; charset=utf-8"

LINES_TYPE: Final = "text/plain; charset=utf-8"
LINES: Final = "lines"

PROLOG: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'

_LINE_NAMES: Final = {"invalidNumbers": "UnvalidNums"}  # as the provider misspells it

Headers = tuple[tuple[str, str], ...]


class Number(str):
    """A number that is already written, because a float would not be exact."""

    __slots__ = ()


Scalar = str | int | None
Row = Mapping[str, Scalar]
Value = Scalar | Row | Sequence[Row]
Fields = Mapping[str, Value]


def money(amount_micros: int) -> Number:
    """Micro-euros as the shortest exact number of euros."""
    return Number(pricing.json_number(amount_micros))


def respond(fields: Fields, form: str, http: int = 200, headers: Headers = ()) -> Response:
    """The object as a response; form: xml; lines; rest, which is JSON labelled as such; everything else is the JSON of
    9.0."""
    if form == LINES:
        return Response(http, LINES_TYPE, _lines(fields).encode(), headers)
    if form == "xml":
        return Response(http, XML_TYPE, f"{PROLOG}<response>{_elements(fields)}</response>".encode(), headers)
    if form == "rest":
        return Response(http, JSON_TYPE, _object(fields).encode("ascii"), headers)
    return Response(http, HTML_TYPE, _without_markup(_object(fields)).encode("ascii"), headers)


def _without_markup(json: str) -> str:
    """The same JSON without `<` and `>`, which stand in strings only: the label lets a browser read it as a page, and
    what a customer wrote comes back in it."""
    if "<" in json or ">" in json:
        return json.replace("<", "\\u003c").replace(">", "\\u003e")
    return json


def _lines(fields: Fields) -> str:
    """`Name=value` by line, without what is a list."""
    return "".join(
        f"{_LINE_NAMES.get(name, name[:1].upper() + name[1:])}={' '.join(str(value).splitlines())}\n"
        for name, value in fields.items()
        if isinstance(value, str | int)
    )


def _object(fields: Fields) -> str:
    # Names are ours and need no quoting; most values are plain strings, and sends wait for this.
    pairs = [f'"{name}":{quoted(value) if type(value) is str else _json(value)}' for name, value in fields.items()]
    return "{" + ",".join(pairs) + "}"


def _json(value: Value) -> str:
    if isinstance(value, str):
        return value if isinstance(value, Number) else quoted(value)
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return _object(value)
    return "[" + ",".join([_object(row) for row in value]) + "]"


def _elements(fields: Fields) -> str:
    return "".join([f"<{name}>{_xml(value)}</{name}>" for name, value in fields.items()])


def _xml(value: Value) -> str:
    if isinstance(value, str):
        return escape(value)
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return _elements(value)
    return "".join([f"<item>{_elements(row)}</item>" for row in value])
