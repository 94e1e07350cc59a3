"""Settings declared by the fields of a struct."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from chappe.settings.declared import about, declared

Port = Annotated[int, Meta(ge=0, extra={"expects": "a port"})]


class Example(msgspec.Struct):
    """One field of each form."""

    port: Annotated[Port, about("Where it listens.", secret=False)] = 80
    key: Annotated[str | None, about("Who may call.", secret=True)] = None
    words: Annotated[dict[str, str], about("What they mean.")] = msgspec.field(default_factory=dict)
    beside: int = 3


def test_a_declared_field_is_a_row_in_its_place_with_all_that_is_said_of_it() -> None:
    assert [(row.field, row.default, row.about) for row in declared(Example)] == [
        ("port", 80, {"help": "Where it listens.", "expects": "a port", "secret": False}),
        ("key", None, {"help": "Who may call.", "secret": True}),
        ("words", {}, {"help": "What they mean."}),
    ]


def test_the_limits_of_a_type_hold_when_a_value_is_converted() -> None:
    port, *_ = declared(Example)
    assert msgspec.convert("8080", port.type, strict=False) == 8080
