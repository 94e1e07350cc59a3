"""Templates of requests: texts with {variables}, and JSON whose texts are templates. Pure.

A text that is one variable alone has the variable's own type (`"{validity_s}"` becomes a number, `"{unicode}"` a truth
value); `{service:int}` makes a number of a text. A field whose template is one variable alone, and whose value is
empty, is left out: services refuse an empty `sender` that they would not miss. Braces that hold no name stay as they
are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

VARIABLES: Final[Mapping[str, str]] = {
    "to": "the recipient's number with +",
    "to_digits": "the recipient's number without +",
    "to_00": "the recipient's number with 00",
    "sender": "who sends",
    "sender_name": "who sends where that is a name; left out for a number, as of a service that puts its short code",
    "nameless": "whether the sender is no name (true or false)",
    "text": "the text",
    "id": "our own id of the message",
    "user": "the carrier's system_id: a login, an account, an application",
    "password": "the carrier's password: a key, a token",
    "service": "the setting service",
    "consumer_key": "the setting consumer_key",
    "unicode": "whether the text needs Unicode (true or false)",
    "unicode_1": "1 where the text needs Unicode, else left out",
    "coding": "8bit where the text needs Unicode, else 7bit",
    "flash": "whether it is a flash message (true or false)",
    "flash_1": "1 for a flash message, else left out",
    "class": "flash for a flash message, else phoneDisplay",
    "validity_s": "how long it may be tried, in seconds",
    "validity_min": "the same in minutes, at least 1",
    "receipt_url": "the address for receipts; empty without public_url",
    "reply_url": "the address for replies; empty without public_url",
}
LEFT_OUT: Final = object()

_NAMED: Final = re.compile(r"\{([a-z_0-9]+)(?::(int))?\}")

Values = Mapping[str, Any]


def check(text: str) -> None:
    """Raises ValueError for a variable that does not exist."""
    for found in _NAMED.finditer(text):
        if found[1] not in VARIABLES:
            raise ValueError(f"unknown variable {{{found[1]}}}; there are {', '.join(VARIABLES)}")


def render(text: str, values: Values, quote: Callable[[str], str] = str) -> str:
    """The text with its variables written in; quote: of each value, such as percent-encoding."""
    return _NAMED.sub(lambda found: quote(_written(values[found[1]])), text)


def build(tree: Any, values: Values) -> Any:
    """JSON with the variables written in; LEFT_OUT where nothing is left of it. Raises ValueError for `:int` of what is
    no number."""
    if isinstance(tree, str):
        alone = _NAMED.fullmatch(tree)
        if alone is None:
            return render(tree, values)
        value = values[alone[1]]
        if value in ("", None):
            return LEFT_OUT
        return int(value) if alone[2] else value
    if isinstance(tree, Mapping):
        built = {name: build(part, values) for name, part in tree.items()}
        return {name: part for name, part in built.items() if part is not LEFT_OUT}
    if isinstance(tree, list | tuple):
        return [part for part in (build(part, values) for part in tree) if part is not LEFT_OUT]
    return tree


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def flat(tree: Mapping[str, Any], values: Values) -> list[tuple[str, str]]:
    """The fields of a form or a query; lists become repeated fields."""
    fields = []
    for name, value in build(tree, values).items():
        for one in value if isinstance(value, list) else [value]:
            fields.append((name, _written(one)))
    return fields
