"""The application: a customer's long list holds up nobody else."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from chappe.core.http import Response
from chappe.core.model import Account, OptOut, OptOuts, Outcome
from chappe.dialects import Call, Credentials
from chappe.dialects.smspartner import dialect
from chappe.web import server
from chappe.web.answers import written

pytestmark = pytest.mark.asyncio

CALL = Call(Credentials("KEY"), "stop-sms/list", "json", {})
NOW = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)


def stop_list(count: int) -> Outcome:
    return OptOuts(tuple(OptOut(number, f"+336{number:08d}", NOW) for number in range(count)))


async def turns_while(writing: asyncio.Task[Response]) -> int:
    """How many turns the loop makes until it is done."""
    turns = 0
    while not writing.done():
        turns += 1
        await asyncio.sleep(0)
    return turns


async def test_the_loop_goes_on_while_a_long_answer_is_written() -> None:
    writing = asyncio.create_task(written(dialect, stop_list(50_000), CALL, Account(1, "demo")))
    turns = await turns_while(writing)
    body = json.loads(writing.result().body)
    assert (body["nbData"], body["data"][-1]["phoneNumber"]) == (50_000, "+33600049999")
    assert turns > 10


async def test_a_short_answer_needs_no_thread() -> None:
    writing = asyncio.create_task(written(dialect, stop_list(server.LARGE_ROWS), CALL, Account(1, "demo")))
    assert await turns_while(writing) <= 2
