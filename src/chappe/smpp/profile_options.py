"""How a knob of a profile is declared, and read from the text of a command line."""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, cast

from chappe.smpp.error_codes import ErrorClass, ReceiptState, Rule

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")
TABLE_ENTRIES_MAX = 500


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting that differs by carrier: its group, type, unit ("" for none), one-line help, what is allowed.

    `parse` reads its value from text and raises ValueError with what is allowed. A `table` adds to the value it meets
    (entries with the same key are replaced); any other knob replaces it.
    """

    group: str
    type: str
    unit: str
    help: str
    allowed: str
    parse: Callable[[str], object]
    table: bool = False
    name: str = ""
    default: object = None


def knob_of(spec: Field[Any]) -> Knob:
    """The knob declared by a dataclass field, with its name and default."""
    declared = cast(Knob, spec.metadata["knob"])
    return Knob(
        declared.group,
        declared.type,
        declared.unit,
        declared.help,
        declared.allowed,
        declared.parse,
        declared.table,
        name=spec.name,
        default=spec.default,
    )


def suggestion(word: str, known: Iterable[str]) -> str:
    """'; did you mean X?' for a word close to one that is known, else ''."""
    close = difflib.get_close_matches(word[:64], list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _declare(default: T, knob: Knob) -> T:
    return field(default=default, metadata={"knob": knob})


def choice(default: E, group: str, help: str, *, only: Sequence[E] = ()) -> E:
    """A knob with one word out of an enumeration, or of some of its members."""
    words = {member.value: member for member in only or type(default)}
    allowed = ", ".join(words)

    def parse(value: str) -> E:
        try:
            return words[value.strip().lower()]
        except KeyError:
            raise ValueError(f"{value!r} is not one of {allowed}{suggestion(value, words)}") from None

    return _declare(default, Knob(group, "word", "", help, allowed, parse))


def _integer(value: str) -> int:
    """An integer written in decimal or, with 0x, in hexadecimal; as short as our limits are."""
    stripped = value.strip().lower()
    if len(stripped) > 20 or not stripped.isascii() or "_" in stripped:
        raise ValueError(f"{value[:40]!r} is not an integer")
    try:
        return int(stripped, 16) if stripped.startswith("0x") else int(stripped)
    except ValueError:
        raise ValueError(f"{value!r} is not an integer (decimal, or hexadecimal with 0x)") from None


def whole(default: int, low: int, high: int, unit: str, group: str, help: str) -> int:
    """A knob with an integer between two bounds, both included."""
    allowed = f"{low} to {high}"

    def parse(value: str) -> int:
        read = _integer(value)
        if not low <= read <= high:
            raise ValueError(f"{value!r} is not in {allowed}")
        return read

    return _declare(default, Knob(group, "integer", unit, help, allowed, parse))


def one_of(default: int, values: Mapping[str, int], group: str, help: str) -> int:
    """A knob with one integer out of a few; `values` are the ways to write them, beside the plain integers."""
    allowed = ", ".join(values)

    def parse(value: str) -> int:
        written = value.strip().lower()
        if written in values:
            return values[written]
        with contextlib.suppress(ValueError):
            if (read := _integer(written)) in values.values():
                return read
        raise ValueError(f"{value[:40]!r} is not one of {allowed}")

    return _declare(default, Knob(group, "word", "", help, allowed, parse))


def number(default: float, low: float, high: float, unit: str, group: str, help: str) -> float:
    """A knob with a number between two bounds, both included."""
    allowed = f"{low:g} to {high:g}"

    def parse(value: str) -> float:
        try:
            read = float(value) if len(value) <= 40 and "_" not in value else math.nan
        except ValueError:
            read = math.nan
        # The comparison is false for nan, so nan and infinity are refused here too.
        if not low <= read <= high:
            raise ValueError(f"{value[:40]!r} is not a number in {allowed}")
        return read

    return _declare(float(default), Knob(group, "number", unit, help, allowed, parse))


def seconds(default: float, low: float, high: float, group: str, help: str) -> float:
    """A knob with a duration in seconds."""
    return number(default, low, high, "s", group, help)


def flag(default: bool, group: str, help: str) -> bool:
    """A knob that is on or off."""
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

    def parse(value: str) -> bool:
        try:
            return words[value.strip().lower()]
        except KeyError:
            raise ValueError(f"{value[:40]!r} is not one of true, false") from None

    return _declare(default, Knob(group, "flag", "", help, "true, false", parse))


def text(default: str, octets_max: int, group: str, help: str) -> str:
    """A knob with printable ASCII text: it goes into C-octet strings, where NUL would shift the next fields."""
    allowed = f"at most {octets_max} printable ASCII characters"

    def parse(value: str) -> str:
        if len(value) > octets_max or not value.isascii() or not value.isprintable():
            raise ValueError(f"{value[:40]!r} is not {allowed}")
        return value

    return _declare(default, Knob(group, "text", "octets", help, allowed, parse))


def digits(default: str, digits_max: int, group: str, help: str) -> str:
    """A knob with decimal digits, leading zeros kept."""
    allowed = f"at most {digits_max} digits"

    def parse(value: str) -> str:
        if len(value) > digits_max or not (value == "" or (value.isascii() and value.isdigit())):
            raise ValueError(f"{value[:40]!r} is not {allowed}")
        return value

    return _declare(default, Knob(group, "digits", "digits", help, allowed, parse))


def words(default: tuple[str, ...], known: Sequence[str], group: str, help: str) -> tuple[str, ...]:
    """A knob with a list of known words, in order, separated by commas; words may hold blanks."""
    allowed = f"some of {', '.join(known)}, separated by commas"

    def parse(value: str) -> tuple[str, ...]:
        read = tuple(" ".join(word.lower().replace("_", " ").split()) for word in value[:1000].split(","))
        for word in read:
            if word not in known:
                raise ValueError(f"{word!r} is not known: {allowed}{suggestion(word, known)}")
        if len(set(read)) != len(read):
            raise ValueError(f"{value!r} names a field twice")
        return read

    return _declare(default, Knob(group, "words", "", help, allowed, parse))


def _entries(value: str, *, last: bool = False) -> list[tuple[str, str]]:
    """The `key:rest` entries of a table written `key:rest;key:rest`. last: keys may have colons, the last one ends."""
    entries = []
    for entry in value.split(";"):
        if not entry.strip():
            continue
        key, colon, rest = entry.rpartition(":") if last else entry.partition(":")
        if not colon or not key.strip():
            raise ValueError(f"{entry.strip()[:60]!r} is not written key:value (entries are separated by semicolons)")
        entries.append((key.strip(), rest.strip()))
    if len(entries) > TABLE_ENTRIES_MAX:
        raise ValueError(f"more than {TABLE_ENTRIES_MAX} entries")
    return entries


def _member(word: str, members: Iterable[E]) -> E:
    known = {member.value: member for member in members}
    try:
        return known[word.lower()]
    except KeyError:
        raise ValueError(f"{word[:40]!r} is not one of {', '.join(known)}{suggestion(word, known)}") from None


def _code(key: str, low: int, high: int) -> int:
    code = _integer(key)
    if not low <= code <= high:
        raise ValueError(f"{key!r} is not in {low:#x} to {high:#x}")
    return code


def pairs(
    default: tuple[tuple[int, E], ...], members: type[E], high: int, group: str, help: str
) -> tuple[tuple[int, E], ...]:
    """A table from an integer to a word of an enumeration, written `3:latin1;0xf1:gsm7`."""
    allowed = f"code:word;..., code 0 to {high:#x}, word one of {', '.join(members)}"

    def parse(value: str) -> tuple[tuple[int, E], ...]:
        return tuple({_code(key, 0, high): _member(word, members) for key, word in _entries(value)}.items())

    return _declare(default, Knob(group, "table", "", help, allowed, parse, table=True))


def state_table(group: str, help: str) -> tuple[tuple[str, ReceiptState], ...]:
    """A table from a status word (any case) to a receipt state, written `ACCEPTD:delivered;FAILED:no net:expired`."""
    allowed = f"WORD:state;..., state one of {', '.join(ReceiptState)}"

    def parse(value: str) -> tuple[tuple[str, ReceiptState], ...]:
        entries = _entries(value, last=True)
        return tuple({key.upper()[:40]: _member(word.strip(), ReceiptState) for key, word in entries}.items())

    return _declare((), Knob(group, "table", "", help, allowed, parse, table=True))


def rule_table(numeric: bool, group: str, help: str) -> tuple[Rule, ...]:
    """A table of Rules, written `0x401:number:blocked:The carrier blocks this number;0x45:throttle`.

    `numeric` tables have command_status values as keys, the others receipt error codes, compared by canonical form.
    """
    code = "status 0x1 to 0xffffffff" if numeric else "code as receipts write it"
    allowed = f"code:class[:reason[:sentence]];..., {code}, class one of {', '.join(ErrorClass)}"

    def parse(value: str) -> tuple[Rule, ...]:
        rules: dict[int | str, Rule] = {}
        for key, rest in _entries(value):
            word, _, more = rest.partition(":")
            reason, _, sentence = more.partition(":")
            # Status 0 is success by the standard: a table that says otherwise would lose accepted messages.
            known = _code(key, 1, 0xFFFFFFFF) if numeric else Rule.receipt_key(key)
            rules[known] = Rule(known, _member(word.strip(), ErrorClass), reason.strip()[:64], sentence.strip()[:200])
        return tuple(rules.values())

    return _declare((), Knob(group, "table", "", help, allowed, parse, table=True))


def merged(old: object, new: object) -> object:
    """Two values of a table knob as one: entries of `new` replace those of `old` with the same key."""

    def key(entry: object) -> object:
        return entry.code if isinstance(entry, Rule) else cast(tuple[object, object], entry)[0]

    together = {key(entry): entry for entry in (*cast(tuple[object, ...], old), *cast(tuple[object, ...], new))}
    return tuple(together.values())
