"""Many rows to values, a slice in each turn of the loop: 300,000 at once would hold everybody up for a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")

SLICE: Final = 1_000


async def converted(rows: Sequence[Mapping[str, Any]], kind: Callable[..., T]) -> list[T]:
    """Each row as a value of this kind, whose fields are the columns."""
    values: list[T] = []
    for start in range(0, len(rows), SLICE):
        if start:
            await asyncio.sleep(0)
        values += [kind(**row) for row in rows[start : start + SLICE]]
    return values
