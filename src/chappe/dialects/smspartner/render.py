"""How SMS Partner v1 writes values: one object becomes JSON, or XML that has lost the names.

JSON is ASCII only, with `\\u` escapes. In XML each value is an `<entry>`, in JSON order, and a list or an object is an
`<entry>` of entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from chappe.core import pricing
from chappe.core.http import Response

JSON_TYPE: Final = "application/json"
XML_TYPE: Final = "application/xml"

_PROLOG: Final = "<?xml version='1.0' encoding='UTF-8'?>\n"
# XML 1.0, 2.2 Char: what no document may contain, escaped or not.
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_quoted: Final = json.encoder.encode_basestring_ascii  # what json.dumps does with text, without its detours


class CData(str):
    """Text that XML answers carry as CDATA: that of successes; errors have theirs bare and escaped."""

    __slots__ = ()


class Number(str):
    """A number that is already written, because a float would not be exact."""

    __slots__ = ()


class Named(dict[str, str]):
    """An object whose fields keep their names in XML: only `user` of /me."""


def money(amount_micros: int) -> Number:
    """Micro-euros as the shortest exact number of euros."""
    return Number(pricing.json_number(amount_micros))


def decimal(amount_micros: int) -> str:
    """Money in text has three decimals (seed: `10225.119`), more only where three would not be exact."""
    return pricing.euros(amount_micros) if amount_micros % 1000 == 0 else pricing.json_number(amount_micros)


def respond(status: int, value: Mapping[str, object], *, xml: bool) -> Response:
    """The object as a response in the form that is wanted."""
    if xml:
        return Response(status, XML_TYPE, xml_body(value.values()))
    return Response(status, JSON_TYPE, json_body(value))


def json_body(value: object) -> bytes:
    return _json(value).encode("ascii")


def xml_body(entries: Iterable[object]) -> bytes:
    return f"{_PROLOG}<result>{_entries(entries)}</result>".encode()


def _json(value: object) -> str:
    # Lists have a hundred thousand rows: the commonest kinds of values first, each found by one comparison.
    kind = type(value)
    if isinstance(value, str):
        return value if kind is Number else _quoted(value)
    if kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ",".join([f'"{name}":{_json(held)}' for name, held in value.items()]) + "}"  # our own names
    if isinstance(value, list | tuple):
        return "[" + ",".join([_json(held) for held in value]) + "]"
    return json.dumps(value)


def _entries(values: Iterable[object]) -> str:
    return "".join([f"<entry>{_entry(value)}</entry>" for value in values])


def _entry(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, CData):
        # `]]>` would end the section: it is cut between two.
        return f"<![CDATA[{_clean(value).replace(']]>', ']]]]><![CDATA[>')}]]>"
    if isinstance(value, str):
        return _escaped(value)
    if isinstance(value, Named):
        return "".join(f"<{name}>{_escaped(text)}</{name}>" for name, text in value.items())
    if isinstance(value, dict):
        return _entries(value.values())
    if isinstance(value, list | tuple):
        return _entries(value)
    return "" if value is None else str(value)


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def _escaped(text: str) -> str:
    return _clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
