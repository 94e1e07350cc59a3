"""Requests through a proxy that nobody declared: noticed, told once, and kept from what is for local people."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from front import front
from shop import eventually, opened

from chappe.actions import demo
from chappe.core.http import Request
from chappe.observability import logs, metrics
from chappe.store import notices
from chappe.store.checkup import collect, judge
from chappe.web.client_address import TRACES
from chappe.web.limits import Limits
from chappe.web.node_endpoints import Pages
from chappe.web.undeclared import MARK, Undeclared

if TYPE_CHECKING:
    from chappe.embedded.server import ConnectionParameters

pytestmark = pytest.mark.asyncio

THROUGH = {"X-Forwarded-For": "203.0.113.9"}
PHONE = "+33612345678"
NUMBER = "+33611111111"


async def no_trouble() -> str:
    return ""


@pytest.fixture(autouse=True)
def _fresh_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_process", None)


# What got past the first version of the list: ingress-nginx, Cloudflare, Azure, Heroku, Tailscale, Varnish.
SEEN = ("x-forwarded-ssl", "x-scheme", "cf-ray", "x-azure-ref", "x-request-start", "tailscale-user-login", "x-varnish")


async def test_whatever_a_proxy_adds_betrays_it(database: ConnectionParameters, tmp_path: Path) -> None:
    async with opened(database) as shop:
        pages = Pages(shop.database, 1, metrics=True, trouble=no_trouble)
        async with front(shop, pages.table(), counts=tmp_path) as door:
            for name in sorted({*TRACES, *SEEN}):
                for path in ("/metrics", "/handset", "/handset/messages", "/handset/chaos"):
                    answer = await door.ask("GET", path, headers={name.title(): "203.0.113.9"})
                    assert answer.status == 403, (name, path)
                assert (await door.ask("GET", "/readyz", headers={name: "x"})).status == 200
            assert (await door.ask("GET", "/metrics")).status == 200, "and local people are served"
        assert (tmp_path / MARK).exists()


async def test_one_that_is_declared_is_served(database: ConnectionParameters, tmp_path: Path) -> None:
    limits = Limits(trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with opened(database) as shop:
        pages = Pages(shop.database, 0, metrics=True, trouble=no_trouble)
        async with front(shop, pages.table(), limits, counts=tmp_path) as door:
            assert (await door.ask("GET", "/metrics", headers=THROUGH)).status == 200
        assert not (tmp_path / MARK).exists()
        assert await notices.every(shop.database) == []


async def test_the_operator_is_told_once_and_by_the_doctor(
    database: ConnectionParameters, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("json", "info")
    async with opened(database) as shop:
        async with front(shop, counts=tmp_path) as door:
            for _ in range(3):
                await door.ask("GET", "/v1/me?apiKey=x", headers=THROUGH)
            (notice,) = await eventually(lambda: notices.every(shop.database))
        assert notice.detail == "x-forwarded-for from 127.0.0.1"
        findings = {finding.about: finding for finding in judge(await collect(shop.database))}
        assert findings["proxy"].grade == "warning"
        assert "trusted_proxies" in findings["proxy"].sentence
        async with shop.database.connection() as connection:
            await notices.settle(connection, notices.UNDECLARED_PROXY)
        assert "proxy" not in {finding.about for finding in judge(await collect(shop.database))}
    written = capsys.readouterr()
    lines = [json.loads(line) for line in (written.out + written.err).splitlines() if "undeclared_proxy" in line]
    assert [line["event"] for line in lines] == ["undeclared_proxy"]
    counted = metrics.metrics().snapshot("me")
    assert "chappe_undeclared_proxy_requests_total" in metrics.exposition(metrics.METRICS, [counted]).decode()


@pytest.mark.parametrize(
    ("peer", "told"),
    [("127.0.0.1", True), ("::1", True), ("10.0.0.5", True), ("192.168.1.1", True), ("fd00::5", True), ("", True),
     ("203.0.113.9", True), ("8.8.8.8", False), ("2001:4860:4860::8888", False)],
)  # fmt: skip
async def test_a_proxy_of_a_customer_s_own_is_no_fault(
    database: ConnectionParameters, tmp_path: Path, peer: str, told: bool
) -> None:
    async with opened(database) as shop:
        undeclared = Undeclared(shop.database, tmp_path)
        undeclared.notice(peer, {"via": "1.1 squid"})
        assert (tmp_path / MARK).exists() is told
        if told:
            await eventually(lambda: notices.every(shop.database))


async def test_nothing_of_the_demo_is_there_through_a_proxy(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        key = (await demo.begin(shop.database, 1, "")).key
        await shop.account("shop", transactional=True)
        async with front(shop, playground=True) as door:
            mine = {"apiKey": key, "phoneNumbers": PHONE, "message": "x"}
            assert (await door.post("/v1/send", mine)).json()["success"] is True
            assert (await door.post("/v1/send", mine, THROUGH)).json()["success"] is False
            assert (await door.post("/v1/me", {"apiKey": key}, THROUGH)).json()["success"] is False
            theirs = {"apiKey": "key of shop", "to": PHONE, "message": "x", "from": NUMBER}
            assert (await door.post("/v1/vn/send", theirs)).json()["success"] is True
            assert (await door.post("/v1/vn/send", theirs, THROUGH)).json()["code"] == 992


async def test_beside_a_carrier_only_the_demo_account_sends_from_numbers_of_nobody(
    database: ConnectionParameters,
) -> None:
    async with opened(database) as shop:
        key = (await demo.begin(shop.database, 1, "")).key
        await shop.account("shop", transactional=True)
        await shop.carrier("acme")
        async with front(shop, playground=True) as door:
            for who, code in ((key, None), ("key of shop", 992)):
                answer = await door.post("/v1/vn/send", {"apiKey": who, "to": PHONE, "message": "x", "from": NUMBER})
                assert answer.json().get("code") in (code, 200), answer
        async with front(shop, playground=True, numbers_automatic=False) as door:
            answer = await door.post(
                "/v1/vn/send", {"apiKey": "key of shop", "to": PHONE, "message": "x", "from": NUMBER}
            )
            assert answer.json()["success"] is True, "the operator has decided"


async def test_a_page_of_a_worker_knows_it_too(database: ConnectionParameters) -> None:
    async with opened(database) as shop:
        pages = Pages(shop.database, 0, metrics=True, trouble=no_trouble)
        assert (await pages.show(Request("GET", "/metrics", undeclared=True))).status == 403
