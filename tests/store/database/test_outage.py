"""Patience: a short outage is nobody's trouble, a long one holds nobody up, and both are told once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from chappe.store.database.outage import ABSENCES, DatabaseAway, Patience

pytestmark = pytest.mark.asyncio


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What was told so far."""
    caplog.set_level(logging.INFO)
    return caplog


def acquiring(absences: list[Exception]) -> Callable[[], Awaitable[str]]:
    """Fails as long as there is something to fail with."""

    async def acquire() -> str:
        if absences:
            raise absences.pop(0)
        return "connection"

    return acquire


async def test_a_short_outage_is_waited_for_and_told_once(logs: pytest.LogCaptureFixture) -> None:
    patience = Patience(5.0)
    gone = [ConnectionRefusedError(), FileNotFoundError(), asyncpg.CannotConnectNowError("starting up")]
    acquire = acquiring(gone)
    both = await asyncio.gather(patience.connection(acquire), patience.connection(acquire))
    assert both == ["connection", "connection"]
    assert [record.msg for record in logs.records] == ["database_away", "database_back"]


async def test_a_long_outage_refuses_at_once_after_the_first_patience(logs: pytest.LogCaptureFixture) -> None:
    patience = Patience(0.2)
    acquire = acquiring([ConnectionRefusedError() for _ in range(1000)])
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(DatabaseAway):
        await patience.connection(acquire)
    assert loop.time() - began >= 0.2
    began = loop.time()
    for _ in range(100):
        with pytest.raises(DatabaseAway):
            await patience.connection(acquire)
    assert loop.time() - began < 100 * 0.2 / 2, "none of them waits"
    assert await patience.connection(acquiring([])) == "connection"
    assert [(record.msg, vars(record)["fields"].get("refused")) for record in logs.records] == [
        ("database_away", None),
        ("database_back", 101),
    ]


async def test_the_next_outage_has_its_own_patience() -> None:
    patience = Patience(0.1)
    with pytest.raises(DatabaseAway):
        await patience.connection(acquiring([OSError() for _ in range(1000)]))
    await patience.connection(acquiring([]))
    assert await patience.connection(acquiring([TimeoutError()])) == "connection"


@pytest.mark.parametrize(
    ("mistake", "raised"),
    [
        (asyncpg.InterfaceError("the pool is closing"), DatabaseAway),
        (asyncpg.InvalidPasswordError("no"), asyncpg.InvalidPasswordError),
    ],
)
async def test_what_no_waiting_helps_against_is_not_waited_for(mistake: Exception, raised: type[Exception]) -> None:
    assert not isinstance(mistake, ABSENCES)
    with pytest.raises(raised):
        await asyncio.wait_for(Patience(60).connection(acquiring([mistake])), 1)
