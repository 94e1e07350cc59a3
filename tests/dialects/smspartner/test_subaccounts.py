"""SMS Partner's sub-accounts on the wire: every page and every code, in JSON and XML, over a real database."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from front import Front, front
from shop import opened

from chappe.dialects.smspartner.endpoints import PAGES
from chappe.embedded.server import ConnectionParameters

pytestmark = pytest.mark.asyncio


async def ask(door: Front, call: str, login: str = "demo", /, **values: Any) -> dict[str, Any]:
    body: dict[str, Any] = (await door.post(f"/v1/{call}", {"apiKey": f"key of {login}", **values})).json()
    return body


async def token(door: Front, email: str = "ana@x.fr", **parameters: Any) -> str:
    told = await ask(door, "subaccount/create", type="simple", parameters={"email": email, **parameters})
    found: str = told["subaccount"]["token"]
    return found


async def test_a_sub_account_lives_as_the_provider_shows_it(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(email="boss@x.fr")
        wish = {"email": "ana@x.fr", "creditToAttribute": "12.5", "isBuyer": 1, "firstname": "Ana", "title": "Mme"}
        made = await ask(door, "subaccount/create", type="advanced", parameters=wish)
        key = made["subaccount"]["token"]
        assert made == {
            "success": True, "code": 200, "subaccount": {"email": "ana@x.fr", "token": key},
            "sendConfirmMailTo": "", "parent_email": "boss@x.fr",
        }  # fmt: skip
        listed = await ask(door, "subaccount/list")
        assert (listed["total"], listed["nb_per_page"], listed["page"]) == (1, 20, 1)
        (row,) = listed["data"]
        assert row.pop("createdAt")[10] == " "
        own_key = row.pop("apiKey")
        assert isinstance(row.pop("id"), int)
        assert row == {
            "email": "ana@x.fr", "type": "advanced", "token": key, "credits": {"balance": "12.500", "currency": "EUR"},
        }  # fmt: skip
        mine = (await door.post("/v1/me", {"apiKey": own_key})).json()
        assert (mine["user"]["username"], mine["user"]["firstname"]) == ("ana@x.fr", "Ana")

        moved = await ask(door, "subaccount/credit/add", credit="10", tokenSubaccount=key)
        assert moved == {"success": True, "code": 200, "credit": 77.5, "subaccountCredit": 22.5, "currency": "EUR"}
        moved = await ask(door, "subaccount/credit/remove", credit=2.5, tokenSubaccount=key)
        assert (moved["credit"], moved["subaccountCredit"]) == (80, 20)
        assert await ask(door, "subaccount/remove", token=key) == {"success": True, "code": 200}
        assert (await ask(door, "me"))["credits"]["balance"] == "100.000"
        assert (await ask(door, "subaccount/list"))["total"] == 0
        await door.api.refresh()  # as a node does when the database tells that an account changed
        assert (await door.post("/v1/me", {"apiKey": own_key})).json()["code"] == 10
        await shop.books_balance()


async def test_a_simple_one_needs_no_email(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        made = await ask(door, "subaccount/create", type="simple")
        assert made["subaccount"]["email"].endswith("@subaccounts.invalid")
        target = "/v1/subaccount/create?apiKey=key+of+demo&type=simple&parameters=%7B%22x%22%3A1%7D"
        query = await door.ask("GET", target)
        assert query.json()["success"] is True


CREDIT = [
    ({"tokenSubaccount": "{token}"}, 2, 400),
    ({"credit": "5"}, 3, 400),
    ({"credit": "-1", "tokenSubaccount": "{token}"}, 5, 400),
    ({"credit": "zero", "tokenSubaccount": "{token}"}, 5, 400),
    ({"credit": "0.0000001", "tokenSubaccount": "{token}"}, 5, 400),
    ({"credit": "1e99", "tokenSubaccount": "{token}"}, 5, 400),
    ({"credit": "5", "tokenSubaccount": "0" * 32}, 7, 400),
    ({"credit": "5", "tokenSubaccount": "x"}, 7, 400),
    ({"credit": "500", "tokenSubaccount": "{token}"}, 8, 400),
]
REFUSED: list[tuple[str, str, dict[str, Any], int, int]] = [
    ("demo", "subaccount/create", {}, 4, 400),
    ("demo", "subaccount/create", {"type": "other"}, 5, 400),
    ("demo", "subaccount/create", {"type": "advanced"}, 3, 400),
    ("demo", "subaccount/create", {"type": "advanced", "parameters": {"isBuyer": 0}}, 6, 400),
    ("demo", "subaccount/create", {"type": "simple", "parameters": {"email": "no address"}}, 6, 400),
    ("demo", "subaccount/create", {"type": "simple", "parameters": {"email": "x" * 61 + "@x.fr"}}, 6, 400),
    ("demo", "subaccount/create", {"type": "simple", "parameters": {"email": "ana@x.fr"}}, 7, 400),
    ("demo", "subaccount/create", {"type": "simple", "parameters": {"creditToAttribute": -1}}, 8, 400),
    ("demo", "subaccount/create", {"type": "simple", "parameters": {"creditToAttribute": "x"}}, 8, 400),
    ("demo", "subaccount/create", {"type": "simple", "parameters": {"creditToAttribute": 1000}}, 9, 400),
    ("poor", "subaccount/create", {"type": "simple", "parameters": {"creditToAttribute": 1}}, 9, 400),
    ("demo", "subaccount/create", {"type": "simple", "parameters": {"firstname": "x" * 201}}, 9, 400),
    ("none", "subaccount/create", {"type": "simple"}, 2, 400),
    ("demo", "subaccount/remove", {}, 1, 400),
    ("demo", "subaccount/remove", {"token": "0" * 32}, 404, 404),
    ("poor", "subaccount/remove", {"token": "{token}"}, 404, 404),
    ("demo", "subaccount/delete", {"token": "x"}, 404, 404),
    ("demo", "subaccount/list", {"page": 0}, 6, 400),
    *(("demo", "subaccount/credit/add", *case) for case in CREDIT),
    *(("demo", "subaccount/credit/remove", *case) for case in CREDIT),
    ("none", "subaccount/credit/add", {"credit": "1", "tokenSubaccount": "{token}"}, 4, 400),
    ("none", "subaccount/credit/remove", {"credit": "1", "tokenSubaccount": "{token}"}, 4, 400),
    ("poor", "subaccount/credit/add", {"credit": "1", "tokenSubaccount": "{poor}"}, 6, 400),
    ("poor", "subaccount/credit/remove", {"credit": "1", "tokenSubaccount": "{poor}"}, 6, 400),
]


async def test_every_refusal_has_its_code_in_both_forms(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        await shop.account("none", sub_accounts_max=0)
        await shop.account("poor", balance_micros=0)
        key = await token(door, creditToAttribute=3)
        poor = (await ask(door, "subaccount/create", "poor", type="simple"))["subaccount"]["token"]
        for login, page, values, code, status in REFUSED:
            said = json.loads(json.dumps(values).replace("{token}", key).replace("{poor}", poor))
            answer = await door.post(f"/v1/{page}", {"apiKey": f"key of {login}", **said})
            assert (answer.status, answer.json()["code"]) == (status, code), (page, values, answer)
            xml = await door.post(f"/v1/{page}?_format=xml", {"apiKey": f"key of {login}", **said})
            root = ET.fromstring(xml.body)
            assert (xml.status, root[0].text, root[1].text) == (status, "false", str(code)), (page, values)
        await shop.books_balance()
    reached = {(page, code) for _, page, _, code, _ in REFUSED}
    pages = [page for page in PAGES if page.startswith("subaccount")]
    assert {(page, answer.code) for page in pages for answer in PAGES[page].values()} <= reached


async def test_the_limit_of_sub_accounts_is_told_as_other_limits(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(sub_accounts_max=1)
        await token(door)
        answer = await door.post("/v1/subaccount/create", {"apiKey": "key of demo", "type": "simple"})
        assert (answer.status, answer.json()["code"]) == (429, 429)
