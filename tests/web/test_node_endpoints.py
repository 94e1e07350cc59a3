"""A node's pages: what a load balancer and an operator are told, in time, whatever has become of the database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families
from shop import opened

from chappe.core.http import Request
from chappe.observability.metrics import METRICS
from chappe.store.gauges import GAUGES
from chappe.web import node_endpoints as module
from chappe.web.node_endpoints import Pages, _Shared

if TYPE_CHECKING:
    from chappe.embedded.server import ConnectionParameters
    from chappe.store.database import Database

pytestmark = pytest.mark.asyncio


async def no_trouble() -> str:
    return ""


async def asked(pages: Pages, path: str) -> tuple[int, str]:
    answer = await pages.show(Request("GET", path))
    return answer.status, answer.body.decode()


def made(database: Database, **given: object) -> Pages:
    return Pages(database, 0, **({"metrics": True, "trouble": no_trouble} | given))  # type: ignore[arg-type]


async def test_ready_means_that_it_can_accept(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        assert await asked(made(shop.database), "/readyz") == (200, "ready\n")


@pytest.mark.parametrize("why", ["the database is a standby", "the database lacks tables of this version"])
async def test_why_not_is_said(database: ConnectionParameters, why: str) -> None:
    async def trouble() -> str:
        return why

    async with opened(database) as shop:
        assert await asked(made(shop.database, trouble=trouble), "/readyz") == (503, f"{why}\n")


async def test_a_node_that_is_ending_lives_and_is_not_ready(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        pages = made(shop.database)
        pages.draining = True
        assert await asked(pages, "/readyz") == (503, "this node is ending\n")
        assert (await asked(pages, "/healthz"))[0] == 200


async def test_commits_that_do_not_come_back_make_it_not_ready(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        pages = made(shop.database, commit_s=lambda: module.COMMIT_S + 1)
        assert await asked(pages, "/readyz") == (503, "the database does not commit\n")


async def test_a_database_that_hangs_is_answered_for_in_time_and_asked_once(
    database: ConnectionParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READY_S", 0.05)
    questions = 0
    back = asyncio.Event()

    async def hangs() -> str:
        nonlocal questions
        questions += 1
        await back.wait()
        return ""

    async with opened(database) as shop:
        pages = made(shop.database, trouble=hangs)
        for _ in range(3):
            assert await asked(pages, "/readyz") == (503, "the database does not answer\n")
        assert questions == 1
        back.set()
        assert (await asked(pages, "/readyz"))[0] == 200


async def test_metrics_have_every_row_of_both_tables(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        status, text = await asked(made(shop.database), "/metrics")
        assert status == 200
        names = {family.name for family in text_string_to_metric_families(text)}
        assert names == {name.removesuffix("_total") for name in {**METRICS, **GAUGES}}
        assert "\nchappe_database_up 1\n" in text
        assert (await asked(made(shop.database, metrics=False), "/metrics"))[0] == 404


async def test_metrics_answer_while_the_database_is_away(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        pages = made(shop.database)
        await shop.database.close()
        assert "\nchappe_database_up 0\n" in (await asked(pages, "/metrics"))[1]


async def test_who_asks_again_at_once_takes_the_answer_from_nobody() -> None:
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return "well"

    shared = _Shared(ask, 0.0)

    async def again_and_again() -> list[str | None]:
        return [await shared.within(5) for _ in range(20)]

    answers = await asyncio.gather(*(again_and_again() for _ in range(10)))
    assert answers == [["well"] * 20] * 10
    assert asked < 100, "one question serves many"


async def test_a_page_is_found_by_the_path_as_it_was_written() -> None:
    pages = Pages(None, 0, metrics=True, trouble=no_trouble)  # type: ignore[arg-type]
    assert (await pages.show(Request("GET", "/healthz"))).status == 200
    assert (await pages.show(Request("GET", "/healthz", literal=False))).status == 404
