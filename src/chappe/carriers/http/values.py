"""Values at paths of decoded JSON: `data.id`, `ids.0`, `a|b` for the first that is there. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

MISSING = None


def decode(octets: bytes) -> Any:
    """JSON; None for what is none."""
    try:
        return msgspec.json.decode(octets)
    except (msgspec.DecodeError, RecursionError):
        return None


def at(value: Any, paths: str) -> Any:
    """What is at the first of the paths where something is; MISSING where nothing is, or no path is given."""
    for path in paths.split("|") if paths else ():
        found = _at(value, path)
        if found is not MISSING and found != "":
            return found
    return MISSING


def _at(value: Any, path: str) -> Any:
    if isinstance(value, dict) and path in value:  # names of forms may hold dots themselves
        return value[path]
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name, MISSING)
        elif isinstance(value, list) and name.isascii() and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return MISSING
    return value


def text_at(value: Any, paths: str, characters_max: int) -> str:
    """The same as text, at most so long; empty for what is missing, a list or an object."""
    return text(at(value, paths))[:characters_max]


def text(value: Any) -> str:
    """A single value as it is written in JSON, a text without its quotes; NUL is left out, which no database takes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).replace("\x00", "")
