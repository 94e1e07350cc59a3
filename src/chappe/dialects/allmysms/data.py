"""The data of AllMySMS's methods about lists and sub-accounts: JSON text, or XML, with the one root DATA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from chappe.core import segments
from chappe.dialects.allmysms import flow, xmlflow
from chappe.dialects.allmysms.refusals import AllMySmsRefusal
from chappe.dialects.allmysms.xmlflow import Element

ITEMS_MAX: Final = 20_000  # of a list in one request; two million octets hold not many more

Data = Mapping[str, object]
"""The values by name in upper case; those of lists and objects are as JSON has them."""


def read(written: str) -> Data:
    """The values below DATA. Raises Refusal flow_empty, flow_invalid."""
    written = written.strip().removeprefix("\ufeff")
    if not written:
        raise AllMySmsRefusal("flow_empty")
    if written[0] == "<":
        root = xmlflow.read(written)
        if root.name != "DATA":
            raise AllMySmsRefusal("flow_invalid")
        return _from_xml(root)
    try:
        decoded = msgspec.json.decode(written)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise AllMySmsRefusal("flow_invalid") from error
    data = upper(decoded).get("DATA")
    if not isinstance(data, dict):
        raise AllMySmsRefusal("flow_invalid")
    return upper(data)


def upper(value: object) -> dict[str, object]:
    """A JSON object by names in upper case; empty for anything else."""
    return {name.strip().upper(): held for name, held in value.items()} if isinstance(value, dict) else {}


def text(data: Data, name: str) -> str:
    """A single value, trimmed; empty where it is not given. Raises Refusal flow_invalid: a list or an object."""
    value = data.get(name)
    found = flow.scalar(value)
    if found is None and value not in (None, []):
        raise AllMySmsRefusal("flow_invalid", tag=name)
    return segments.clean(found or "").strip()


def required(data: Data, name: str, most: int) -> str:
    """As text(); raises Refusal flow_invalid also where it is empty or longer than `most` characters."""
    value = text(data, name)
    if not value or len(value) > most:
        raise AllMySmsRefusal("flow_invalid", tag=name)
    return value


def objects(data: Data, name: str) -> list[dict[str, object]]:
    """A list of objects by names in upper case; one alone needs no list. Raises Refusal flow_invalid."""
    value = data.get(name)
    listed = value if isinstance(value, list) else [] if value is None else [value]
    if len(listed) > ITEMS_MAX or not all(isinstance(item, dict) for item in listed):
        raise AllMySmsRefusal("flow_invalid", tag=name)
    return [upper(item) for item in listed]


def _from_xml(root: Element) -> Data:
    """Elements with the same name are a list; one with elements in it is an object."""
    found: dict[str, object] = {}
    for element in root.children:
        value: object = _from_xml(element) if element.children else element.text
        if element.name in found:
            before = found[element.name]
            found[element.name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[element.name] = value
    return found
