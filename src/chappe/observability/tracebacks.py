"""Shows an exception by its class and the place where it was raised, without its words.

The words of an exception that nobody expected may hold what was being handled: the text that cannot be encoded, the row
that a constraint refuses, the value that is no number. No list of patterns finds a text in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from traceback import StackSummary, walk_tb

FRAMES_MAX = 50
CHAIN_MAX = 10

_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_MEANWHILE = "\nDuring handling of the above exception, another exception occurred:\n\n"


def named(error: BaseException) -> str:
    """The class of an exception, with those of its values that never come from outside: an error number of the system,
    PostgreSQL's SQLSTATE and the name of a constraint."""
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {os.strerror(error.errno)}"
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        constraint = getattr(error, "constraint_name", None)
        return f"{name}: SQLSTATE {state}" + (f", constraint {constraint}" if isinstance(constraint, str) else "")
    return name


def formatted(error: BaseException) -> str:
    """The traceback of an exception and of those that led to it, as Python prints it, but without their words."""
    return "".join(_chain(error, CHAIN_MAX)).rstrip("\n")


def _chain(error: BaseException, left: int) -> Iterator[str]:
    cause, context = error.__cause__, error.__context__
    if left and cause is not None:
        yield from _chain(cause, left - 1)
        yield _CAUSED
    elif left and context is not None and not error.__suppress_context__:
        yield from _chain(context, left - 1)
        yield _MEANWHILE
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from StackSummary.extract(walk_tb(error.__traceback__), limit=-FRAMES_MAX).format()
    yield f"{named(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for number, one in enumerate(error.exceptions[:CHAIN_MAX], 1):
            yield f"Number {number} of this group:\n"
            if left:
                yield from _chain(one, left - 1)
