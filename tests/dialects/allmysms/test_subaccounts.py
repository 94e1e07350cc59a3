"""The sub-accounts of AllMySMS 9.0 on the wire: every method in JSON and XML, and what each refuses."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from front import Answer, Front, front
from shop import opened

from chappe.embedded.server import ConnectionParameters

pytestmark = pytest.mark.asyncio
ANA = {"FIRSTNAME": "Ana", "LASTNAME": "Roy", "EMAIL": "ana@x.fr", "LOGIN": "Ana", "PASSWORD": "secret7"}


async def call(door: Front, method: str, login: str = "demo", /, **values: str) -> Answer:
    return await door.form(f"/http/9.0/{method}", login=login, apiKey=f"key of {login}", **values)


async def ask(door: Front, method: str, login: str = "demo", /, **values: str) -> dict[str, Any]:
    found: dict[str, Any] = (await call(door, method, login, **values)).json()
    return found


def data(**fields: Any) -> str:
    return json.dumps({"DATA": {**ANA, **fields}})


async def test_a_sub_account_is_made_used_funded_changed_and_removed(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account(balance_micros=3_000_000)
        made = await ask(door, "createSubAccount", accountData=data(SOCIETY="Roy SA", CITY="Épinal", POSTPAID="1"))
        assert (made["status"], made["login"], len(made["apiKey"])) == ("1", "Ana", 64)
        assert made["text"] == made["statusText"] == "OK"
        mine = (await door.form("/http/9.0/getInfo", login="ana", apiKey=made["apiKey"])).json()
        assert (mine["firstName"], mine["society"], mine["credits"]) == ("Ana", "Roy SA", "0")

        moved = await ask(door, "manageSubAccountCredits", subAccount="ANA", credits="+400")
        assert moved == {"status": "OK", "subAccount": [{"Login": "Ana", "Credits": "400"}]}
        moved = await ask(door, "manageSubAccountCredits", subAccount="Ana", credits="-100")
        assert moved["subAccount"] == [{"Login": "Ana", "Credits": "300"}]

        zip_code = '{"DATA":{"ZIP":"88000"}}'
        assert (await ask(door, "updateSubAccount", subAccount="Ana", accountData=zip_code))["status"] == "1"
        listed = await ask(door, "getSubAccounts")
        assert listed["total"] == 1
        (row,) = listed["subAccounts"]
        assert list(row) == [
            "Login", "LastName", "FirstName", "ClientType", "Company", "Phone", "Mobile", "Fax", "Email", "Address",
            "Zip", "City", "Country", "CreationDate", "LastVisit", "LastActivity", "BillLastName", "BillFirstName",
            "BillCompany", "BillPhone", "BillMobile", "BillEmail", "BillAddress", "BillZip", "BillCity", "BillCountry",
            "Credits",
        ]  # fmt: skip
        assert (row["City"], row["Zip"], row["Company"], row["Credits"]) == ("Épinal", "88000", "Roy SA", "300")
        root = ET.fromstring((await call(door, "getSubAccounts", returnformat="xml")).body)
        assert root.findtext("subAccounts/item/Login") == "Ana"

        await ask(door, "updateSubAccount", subAccount="Ana", accountData='{"DATA":{"ACTIVE":"0"}}')
        await door.api.refresh()  # as a node does when the database tells that an account changed
        assert (await door.form("/http/9.0/getInfo", login="ana", apiKey=made["apiKey"])).json()["status"] == 102
        gone = await ask(door, "deleteSubAccount", loginToDelete="ana")
        assert gone == {"status": "1", "subAccount": [{"Login": "Ana", "Credits": "300"}]}
        assert await ask(door, "getSubAccounts") == {"total": 0, "subAccounts": []}
        assert (await ask(door, "getInfo"))["credits"] == "1000"
        await shop.books_balance()


async def test_account_data_may_be_xml(database: ConnectionParameters) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        fields = "".join(f"<{name}>{value}</{name}>" for name, value in ANA.items())
        assert (await ask(door, "createSubAccount", accountData=f"<DATA>{fields}</DATA>"))["status"] == "1"


@pytest.mark.parametrize(
    ("login", "method", "values"),
    [
        ("demo", "createSubAccount", {}),
        ("demo", "createSubAccount", {"accountData": "{"}),
        *(("demo", "createSubAccount", {"accountData": data(**{name: ""})}) for name in ANA),
        ("demo", "createSubAccount", {"accountData": data(LOGIN="a b")}),
        ("demo", "createSubAccount", {"accountData": data(PASSWORD="short")}),
        ("demo", "createSubAccount", {"accountData": data(LOGIN="OTHER")}),
        ("demo", "createSubAccount", {"accountData": data(CITY="x" * 201)}),
        ("none", "createSubAccount", {"accountData": data()}),
        ("demo", "updateSubAccount", {"accountData": data()}),
        ("demo", "updateSubAccount", {"subAccount": "other", "accountData": data()}),
        ("demo", "updateSubAccount", {"subAccount": "known", "accountData": ""}),
        ("demo", "manageSubAccountCredits", {"subAccount": "known", "credits": "0"}),
        ("demo", "manageSubAccountCredits", {"subAccount": "known", "credits": "x"}),
        ("demo", "manageSubAccountCredits", {"subAccount": "known", "credits": "99999999"}),
        ("demo", "manageSubAccountCredits", {"subAccount": "known", "credits": "-1"}),
        ("demo", "manageSubAccountCredits", {"subAccount": "other", "credits": "1"}),
        ("none", "manageSubAccountCredits", {"subAccount": "known", "credits": "1"}),
        ("demo", "deleteSubAccount", {}),
        ("demo", "deleteSubAccount", {"loginToDelete": "other"}),
    ],
)
async def test_what_cannot_be_is_0_with_its_sentence_twice(
    database: ConnectionParameters, login: str, method: str, values: dict[str, str]
) -> None:
    async with opened(database) as shop, front(shop) as door:
        await shop.account()
        await shop.account("other")
        await shop.account("none", sub_accounts_max=0)
        await shop.account("known", balance_micros=0, master="demo")
        answer = await call(door, method, login, **values)
        told = answer.json()
        assert (answer.status, told["status"], list(told)) == (200, "0", ["status", "statusText", "text"]), told
        root = ET.fromstring((await call(door, method, login, **values, returnformat="xml")).body)
        assert root.findtext("text") == told["text"] != ""
        await shop.books_balance()
