"""The event loop of each process."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from chappe.observability import logs

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in a loop of its own. Other failures in the process are logged without their words."""
    logs.log_unexpected()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        logs.log_failures_of(runner.get_loop())
        return runner.run(main)
