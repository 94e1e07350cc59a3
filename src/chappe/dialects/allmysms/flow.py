"""The flow of AllMySMS: XML or JSON with the one root DATA, read into fields and recipient blocks.

JSON may also come without DATA, and with numbers in place of blocks: one library of the older API writes it so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from chappe.core.errors import Refusal
from chappe.core.model import RECIPIENTS_MAX
from chappe.dialects.allmysms import xmlflow
from chappe.dialects.allmysms.refusals import AllMySmsRefusal
from chappe.dialects.allmysms.xmlflow import Element

_CDATA_KEY: Final = "#CDATA-SECTION"  # what converters from XML to JSON make of a CDATA section
# Left out for being unreadable, these would let a message go when, from whom, to whom or how nobody wished.
_DECISIVE: Final = frozenset({"TPOA", "DYNAMIC", "FLASH", "CLIENT", "CLIENTCODE", "MASTERACCOUNT", "CLIMSGID"})
# PARAM_1 is documented; PARAM1 is the REST API's, PARAMS_0 a client's mistake that counts from zero.
_PARAMETER: Final = re.compile(r"PARAM(S?)_?([0-9]{1,4})", re.ASCII)
_NUMBER: Final = -1


class Block(NamedTuple):
    """One SMS block: its numbers as they were given, and its PARAM_n by n."""

    numbers: tuple[str, ...]
    parameters: Mapping[int, str]


class Flow(NamedTuple):
    """What a flow says: the values of its tags by name in upper case, trimmed but for MESSAGE, and its SMS blocks.

    A JSON null counts as not given, and so does what holds more than text where only text belongs, unless the message
    would then be sent otherwise than was wished.
    """

    fields: Mapping[str, str]
    blocks: tuple[Block, ...]


def read(flow: str) -> Flow:
    """Reads the text of `smsData`; the first character that is not white space tells XML from JSON.

    Raises Refusal flow_empty; flow_invalid: neither, not well formed, a DOCTYPE, the root is not DATA, or a TPOA, a
    PARAM_n or the like that is no text; date_invalid; recipients_too_many.
    """
    flow = flow.strip().removeprefix("\ufeff")
    if not flow:
        raise AllMySmsRefusal("flow_empty")
    if flow[0] == "<":
        return _from_xml(flow)
    if flow[0] == "{":
        return _from_json(flow)
    raise AllMySmsRefusal("flow_invalid")


def scalar(value: object) -> str | None:
    """A JSON value as text; None for null and for what is no single value. Whole numbers have no point."""
    if isinstance(value, str):
        return value
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, dict):
        if not value:
            return ""  # PHP's JSON of an empty XML element
        if len(value) == 1 and next(iter(value)).upper() == _CDATA_KEY:
            return scalar(next(iter(value.values())))
    return None


def block_of(value: object) -> Block:
    """The block that a JSON object is, its names in any case; of anything else an empty one.

    Raises Refusal flow_invalid: a PARAM_n that is no text.
    """
    return _block_of_json(value, _Tags())


def _from_xml(flow: str) -> Flow:
    root = xmlflow.read(flow)
    if root.name != "DATA":
        raise AllMySmsRefusal("flow_invalid")
    fields: dict[str, str] = {}
    blocks: list[Block] = []
    tags = _Tags()
    for element in root.children:
        if element.name == "SMS":
            blocks.append(_block_of_xml(element, tags))
        elif element.name == "MOBILEPHONE" and not element.children:  # as in version 2, without a block around it
            if number := element.text.strip():
                blocks.append(Block((number,), {}))
        elif not element.children:
            text = element.text
            fields.setdefault(element.name, text if element.name == "MESSAGE" else text.strip())
        else:
            _check_dispensable(element.name)
    return Flow(fields, tuple(blocks))


def _from_json(flow: str) -> Flow:
    try:
        root = msgspec.json.decode(flow)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise AllMySmsRefusal("flow_invalid") from error
    by_name = {name.strip().upper(): value for name, value in root.items()}
    data = by_name.get("DATA")
    if "DATA" not in by_name and ("MESSAGE" in by_name or "SMS" in by_name):
        data = root  # one library leaves the root out
    if not isinstance(data, dict):
        raise AllMySmsRefusal("flow_invalid")
    fields: dict[str, str] = {}
    blocks: list[Block] = []
    for key, value in data.items():
        name = key.strip().upper()
        if name == "SMS":
            written = value if isinstance(value, list) else [] if value is None else [value]
            if len(written) > RECIPIENTS_MAX:
                raise Refusal("recipients_too_many")
            tags = _Tags()
            blocks += [_block_of_json(block, tags) for block in written]
        elif (text := scalar(value)) is not None:
            fields.setdefault(name, text if name == "MESSAGE" else text.strip())
        elif value not in (None, []):  # an empty list is PHP's for nothing
            _check_dispensable(name)
    return Flow(fields, tuple(blocks))


def _check_dispensable(name: str) -> None:
    """That a tag whose value cannot be read may be left out; raises Refusal flow_invalid, of a date date_invalid."""
    if name == "DATE":
        raise AllMySmsRefusal("date_invalid")
    if name in _DECISIVE:
        raise AllMySmsRefusal("flow_invalid", tag=name)


class _Tags(dict[str, int | None]):
    """What the tags of blocks mean, by name as written: n of PARAM_n, _NUMBER, None for what is nothing to us.

    Filled as they come, for one flow: its thousands of blocks have the same few.
    """

    def __missing__(self, written: str) -> int | None:
        name = written.strip().upper()
        found = _PARAMETER.fullmatch(name)
        if found:
            meaning: int | None = int(found[2]) + (1 if found[1] else 0)
        else:
            meaning = _NUMBER if name == "MOBILEPHONE" else None
        self[written] = meaning
        return meaning


def _block_of_json(block: object, tags: _Tags) -> Block:
    numbers: list[str] = []
    parameters: dict[int, str] = {}
    if not isinstance(block, dict):  # the number alone
        number = (scalar(block) or "").strip()
        return Block((number,) if number else (), parameters)
    for written, value in block.items():
        tag = tags[written]
        if tag is None:
            continue
        for single in value if tag == _NUMBER and isinstance(value, list) else (value,):
            text = single if type(single) is str else scalar(single)
            if text is not None:
                _add(tag, text, numbers, parameters)
            elif tag != _NUMBER and single not in (None, []):
                raise AllMySmsRefusal("flow_invalid", tag=written)  # left out, it would leave a hole in the text
    return Block(tuple(numbers), parameters)


def _block_of_xml(block: Element, tags: _Tags) -> Block:
    numbers: list[str] = []
    parameters: dict[int, str] = {}
    for inner in block.children:
        tag = tags[inner.name]
        if tag is not None and not inner.children:
            _add(tag, inner.text, numbers, parameters)
        elif tag is not None and tag != _NUMBER:
            raise AllMySmsRefusal("flow_invalid", tag=inner.name)
    return Block(tuple(numbers), parameters)


def _add(tag: int, text: str, numbers: list[str], parameters: dict[int, str]) -> None:
    text = text.strip()
    if tag != _NUMBER:
        parameters.setdefault(tag, text)
    elif text:
        numbers.append(text)
