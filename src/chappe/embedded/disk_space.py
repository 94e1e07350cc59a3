"""A full disk is waited out: a PostgreSQL that is started on one ends again as soon as somebody writes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from pathlib import Path

LOGGER = logging.getLogger("chappe.embedded")

ROOM_OCTETS_MIN = 32 << 20
"""Two segments of PostgreSQL's log."""

LOOK_S = 1.0


async def waited_for_room(folder: Path, stopping: asyncio.Event) -> bool:
    """Returns when there is room in `folder` for a server to run, or when we are to stop: whether that took a while."""
    full = False
    while not stopping.is_set() and shutil.disk_usage(folder).free < ROOM_OCTETS_MIN:
        if not full:
            mib = ROOM_OCTETS_MIN >> 20
            LOGGER.error("the disk is full: PostgreSQL starts again when %d MiB are free in %s", mib, folder)
        full = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):  # the pace of looking
                await stopping.wait()
    return full
