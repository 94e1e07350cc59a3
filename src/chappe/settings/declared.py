"""Settings declared by the fields of a struct: each field once, with what people are told of it. Pure.

class Limits(msgspec.Struct):
    wait_s: Annotated[float, about("How long a request may wait.")] = 10.0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Meta


class Declared(msgspec.Struct, frozen=True):
    """One declared field. about: everything that the annotations of its type say of it, `help` among it."""

    field: str
    type: Any
    default: Any
    about: Mapping[str, Any]


def about(help: str, **more: object) -> Meta:
    """The description of a field for people. more: further facts that its table needs."""
    return Meta(description=help, extra=more)


def declared(struct: type[msgspec.Struct]) -> tuple[Declared, ...]:
    """The fields of a struct that have a help text, in their order; each of them has a default."""
    rows = []
    for field in msgspec.structs.fields(struct):
        told: dict[str, Any] = {}
        for meta in getattr(field.type, "__metadata__", ()):
            told |= {"help": meta.description} if meta.description else {}
            told |= meta.extra or {}
        if "help" in told:
            default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            rows.append(Declared(field.name, field.type, default, told))
    return tuple(rows)
